"""A tunnel to the same Hub that a router has already: the older relay's, whose
rows are taken over, or a person's, which are left. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from cerebro.routeros.bootstrap import Tunnel
from cerebro.routeros.menus.menu import Row, is_dynamic
from cerebro.routeros.menus.wireguard import WIREGUARD, WIREGUARD_PEERS

Tables = Mapping[str, Sequence[Row]]
"""Rows by the path of their menu, in the router's order."""

_INTERFACE = re.compile(r"managed-by-relay( deviceId:.*)?", re.DOTALL)
_ROWS = re.compile(
    r"(vps-peer|tunnel for)( deviceId:.*)?|relay-tunnel|relay-allow-wg",
    re.DOTALL,
)
"""The comments of the older relay's rows (its bootstrap, and its sync)."""

_REFERENCES = ("interface", "in-interface", "gateway")


def is_earlier(row: Row, interface: str | None) -> bool:
    """Return whether the older relay made a row of the tunnel on that
    interface.
    """
    if interface is None or _ROWS.fullmatch(row.get("comment", "")) is None:
        return False

    return any(row.get(name) == interface for name in _REFERENCES)


def earlier_interface(tunnel: Tunnel, tables: Tables) -> str | None:
    """Return the name of the older relay's interface that dials this Hub; None
    if there is none, or ours is there.
    """
    dialling = _dialling(tunnel, tables)
    interfaces = tables[WIREGUARD.path]
    if any(row.get("name") == tunnel.interface for row in interfaces):
        return None

    for row in interfaces:
        made_by_relay = _INTERFACE.fullmatch(row.get("comment", ""))
        if made_by_relay and row.get("name") == dialling:
            return dialling

    return None


def obstacle(
    tunnel: Tunnel, tables: Tables, interface: str | None
) -> str | None:
    """Return why no tunnel can be made: an interface of somebody else dials
    the Hub, and a router takes a peer's key once. `interface` is the older
    relay's.
    """
    dialling = _dialling(tunnel, tables)
    if dialling in (None, tunnel.interface, interface):
        return None

    return (
        f"the interface {dialling}, made by hand, dials this Hub already: "
        f"remove its peer, or call it {tunnel.interface} and give its peer, "
        f"address and input rule the comment {tunnel.marker}"
    )


def renamed(row: Row, before: str | None, after: str) -> Row:
    """Return a row as it reads once an interface has another name: what refers
    to it follows.
    """
    if before is None:
        return row

    return {
        name: after if name in _REFERENCES and value == before else value
        for name, value in row.items()
    }


def _dialling(tunnel: Tunnel, tables: Tables) -> str | None:
    """Return the interface whose peer has the Hub's key."""
    for row in tables[WIREGUARD_PEERS.path]:
        if row.get("public-key") == tunnel.hub_key and not is_dynamic(row):
            return row.get("interface")

    return None
