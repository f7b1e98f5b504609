"""Who the client of a Session is, by everything that the Session tells of it.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cerebro.resources import AppliedClient, Session, normalise_mac
from cerebro.routeros.access.user_model import user_key


def client_keys(session: Session) -> tuple[str | None, frozenset[str]]:
    """Return what is known of a Session's client: its MAC, and its addresses.

    The MAC is that in the spec, else the pinned one; the addresses are that in
    the spec and the applied one.
    """
    client, placed = session.spec.client, session.placed

    if placed is None:
        return client.mac_address, some(client.ip_address)

    mac = client.mac_address or placed.mac_address

    return mac, some(client.ip_address, placed.ip_address)


def known_by(session: Session) -> tuple[frozenset[str], frozenset[str]]:
    """Return the MACs and addresses of a Session's client and of the client
    that it named before.
    """
    mac, ips = client_keys(session)
    former = former_client(session) or AppliedClient()

    return some(mac, former.mac_address), ips | some(former.ip_address)


def frozen_clients(
    raw: Iterable[Mapping[str, Any]],
) -> tuple[frozenset[str], bool]:
    """Return the MACs and addresses in Sessions that cannot be read, and the
    client keys of their hotspot users, from their bodies (rule B9).

    The second value says whether one of them names no client that we
    understand.
    """
    frozen: set[str] = set()
    names_nobody = False

    for body in raw:
        names = _names_in(body)
        names_nobody = names_nobody or not names
        frozen |= names

    return frozenset(frozen), names_nobody


def former_client(session: Session) -> AppliedClient | None:
    """Return the client that has rows by a Session which names another one by
    now.
    """
    return session.status.applied if session.placed is None else None


def user_keys(session: Session) -> tuple[str, ...]:
    """Return the client key of the hotspot user that a Session names, if it
    names any.
    """
    user = session.spec.hotspot_user

    return () if user is None else (user_key(user.name),)


def some(*names: str | None) -> frozenset[str]:
    """Return the names that are given."""
    return frozenset(name for name in names if name)


def _names_in(body: Mapping[str, Any]) -> set[str]:
    """Return the MACs and addresses of the clients in the body of a Session
    that cannot be read, and the client key of its hotspot user.
    """
    clients = [
        (body.get("spec") or {}).get("client"),
        (body.get("status") or {}).get("applied"),
    ]

    values: list[object] = []

    for client in clients:
        if isinstance(client, Mapping):
            values += [client.get("macAddress"), client.get("ipAddress")]

    names = {
        _name(value) for value in values if isinstance(value, str) and value
    }

    user = (body.get("spec") or {}).get("hotspotUser")
    name = user.get("name") if isinstance(user, Mapping) else None

    if isinstance(name, str) and name:
        names.add(user_key(name))

    return names


def _name(value: str) -> str:
    """Return a MAC as it stands on routers; any other text without blanks at
    its ends.
    """
    try:
        return normalise_mac(value)
    except ValueError:
        return value.strip()
