"""Plans the end of rows and hosts that no Session explains (rules B1, E13).
Pure.

Only for a plan that knows everybody who has access: see
`DesiredAccess.complete`.
"""

from __future__ import annotations

from cerebro.routeros.access.cutoff import (
    cut_off,
    is_unexplained,
    let_in_as_user,
)
from cerebro.routeros.access.marker import client_id
from cerebro.routeros.access.result import HOSTS, UNDO
from cerebro.routeros.access.state import PlanState
from cerebro.routeros.access.tables import IndexedRow
from cerebro.routeros.menus.firewall import CONNECTION
from cerebro.routeros.menus.hotspot import HOST


def unexplained_rows(state: PlanState) -> list[list[IndexedRow]]:
    """Return the marked rows that no grant explains, a list for each client,
    and note in the result whose they are.

    Rows whose end has not come count as orphans, and stay unless `retiring`
    names their client (rule E13).
    """
    held = {
        client_id(client.key)
        for client in state.clients
        if state.is_held(client)
    }

    retiring = state.desired.retiring
    by_client: dict[str, list[IndexedRow]] = {}
    for row in state.tables.marked():
        marker = row.marker
        if marker is None:
            continue

        state.result.marked.add(marker.client_id)

        if (
            state.changes.settled(row)
            or state.is_frozen(row)
            or marker.client_id in held
        ):
            continue

        if not marker.passed(state.desired.now):
            state.result.orphans.add(marker.client_id)

            if retiring is not None and marker.client_id not in retiring:
                continue

        by_client.setdefault(marker.client_id, []).append(row)

    return list(by_client.values())


def retire(state: PlanState, rows: list[IndexedRow]) -> None:
    """Cut off a client that no Session knows any more; `rows` are all of its
    rows.

    They are the only note of it: they are disabled at first, and removed
    together with what a packet of it began before its host was gone.
    """

    mac, ips = _client_of(rows, state)

    # What somebody else needs, or a person granted, is not cut off: only our
    # rows go.
    stays = (
        state.is_live(mac, ips)
        or let_in_as_user(state, mac, ips)
        or state.granted_by_hand(mac, ips) is not None
    )
    if stays:
        for row in rows:
            state.changes.drop(UNDO, row)

        return

    cut_off(state, mac, ips, None)
    in_force = [row for row in rows if not row.disabled]
    for row in in_force:
        state.changes.disable(row)

    # The last note goes only when nothing of the client can be left.
    read = (
        state.tables.connections_read
        and state.unread(HOST, CONNECTION) is None
    )

    let_in = not read or any(
        is_unexplained(state, host) for host in state.hosts_of(mac, ips)
    )
    if in_force or let_in:
        return

    for row in rows:
        state.changes.drop(HOSTS, row)


def _client_of(
    rows: list[IndexedRow], state: PlanState
) -> tuple[str | None, set[str]]:
    """Return the MAC that rows name, and their addresses but for those that
    another MAC holds now.
    """
    mac = next((row.mac for row in rows if row.mac), None)
    ips = {row.address for row in rows if row.address}
    if mac is not None:
        ips = {ip for ip in ips if state.held.get(ip, mac) == mac}

    return mac, ips


def cut_off_unexplained(state: PlanState, host: IndexedRow) -> None:
    """Remove a bypassed host that no enabled binding explains: what an agent
    that died left behind (rule B1).
    """
    ip = host.row.get("address", "")
    if host.mac in state.live_macs or not {host.mac, ip}.isdisjoint(
        state.desired.frozen
    ):
        return

    if is_unexplained(state, host):
        cut_off(state, host.mac, {ip} - state.live_ips, None)
