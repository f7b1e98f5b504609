"""How a plan ends what a client has running: logins, cookies, tracked
connections, hosts (rule B1). Pure.
"""

from __future__ import annotations

from collections.abc import Collection

from cerebro.routeros.access.marker import client_id
from cerebro.routeros.access.result import FLOWS, HOSTS, LOGOUT
from cerebro.routeros.access.state import PlanState
from cerebro.routeros.access.tables import IndexedRow, in_order
from cerebro.routeros.menus.firewall import CONNECTION
from cerebro.routeros.menus.menu import is_true


def cut_off(
    state: PlanState,
    mac: str | None,
    ips: set[str],
    flows: frozenset[str] | None,
    *,
    keep_hosts: bool = False,
    keep_logins: bool = False,
) -> tuple[frozenset[str], bool]:
    """Plan the end of what a client has running: logins and cookies, then
    tracked connections and hosts.

    `flows` are the ids of the connections that were there at the end; None
    takes all. With `keep_hosts` connections and hosts stay: a row by hand lets
    the client in. With `keep_logins` logins and cookies stay too: the router
    makes them again at once. Returns the ids of the connections that are due,
    and whether no host lets the client open further ones.
    """

    hosts = state.hosts_of(mac, ips)
    addresses = _addresses(hosts, ips) - state.live_ips

    if not keep_logins:
        _log_out(state, mac, addresses)

    state.result.wants_connections = True
    running = state.tables.connections_of(addresses)
    due = [row for row in running if flows is None or row[".id"] in flows]

    open_hosts = [
        host
        for host in hosts
        if is_true(host.row, "bypassed") or is_true(host.row, "authorized")
    ]

    if not keep_hosts:
        for row in due:
            state.changes.drop_unindexed(FLOWS, CONNECTION, row)

        for host in open_hosts:
            state.changes.drop(HOSTS, host)

    return frozenset(row[".id"] for row in due), not open_hosts


def is_unexplained(state: PlanState, host: IndexedRow) -> bool:
    """Return whether a host is let in though no binding that stays in force
    says so.
    """
    if not is_true(host.row, "bypassed"):
        return False

    for binding in state.tables.bindings.first_for_host(host.row):
        if not state.changes.ended(binding):
            return binding.value("type") != "bypassed"

    return True


def _addresses(hosts: list[IndexedRow], ips: set[str]) -> set[str]:
    """Return the addresses of a client: those that are known, and both of each
    of its hosts.
    """
    addresses = set(ips)

    for host in hosts:
        addresses.update(
            value
            for name in ("address", "to-address")
            if (value := host.row.get(name))
        )

    return addresses


def logged_in_by_router(
    state: PlanState, mac: str | None, ips: Collection[str]
) -> str | None:
    """Return which login the router makes again and again for a client after
    its end (case T8); None where the client is not logged in now.
    """
    addresses = _addresses(state.hosts_of(mac, ips), set(ips))
    row = next(iter(_logins(state, mac, addresses)), None)

    if row is None:
        return None

    user, way = row.row.get("user", ""), row.row.get("login-by", "unknown")

    return (
        f"the router logs {mac or row.address} in by itself, as user {user!r} "
        f"(login-by {way})"
    )


def _logins(
    state: PlanState, mac: str | None, addresses: Collection[str]
) -> list[IndexedRow]:
    """Return the active rows of a client; one with another MAC is another
    client's.
    """
    active = state.tables.active

    at_addresses = (
        row
        for ip in addresses
        for row in active.at_address(ip)
        if not (mac and row.mac)
    )

    return in_order(active.with_mac(mac), at_addresses)


def let_in_as_user(
    state: PlanState, mac: str | None, ips: Collection[str]
) -> bool:
    """Return whether a client is logged in as a hotspot user that a live
    Session wants: then it has its access by that.
    """
    if not state.desired.live_users:
        return False

    addresses = _addresses(state.hosts_of(mac, ips), set(ips))

    return any(_is_live(state, row) for row in _logins(state, mac, addresses))


def _is_live(state: PlanState, row: IndexedRow) -> bool:
    """Return whether a login or a cookie is that of a user whom a live Session
    wants.
    """
    return row.row.get("user") in state.desired.live_users


def _log_out(state: PlanState, mac: str | None, addresses: set[str]) -> None:
    """Remove the active rows and cookies of a client, but for those of users
    whom a live Session wants.
    """
    for row in _logins(state, mac, addresses):
        if _is_live(state, row):
            continue

        state.changes.drop(LOGOUT, row)
        key = mac or row.mac or row.address
        state.result.logged_out[client_id(key)] = row.row.get("user", "")

    for row in state.tables.cookies.with_mac(mac):
        if not _is_live(state, row):
            state.changes.drop(LOGOUT, row)
