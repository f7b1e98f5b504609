"""Plans the end of an order that the older relay granted, where nothing but
the comments of its rows says who its clients are (rule A4). Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from cerebro.routeros.access.cutoff import cut_off, logged_in_by_router
from cerebro.routeros.access.legacy import LegacyClient, clients_of_order
from cerebro.routeros.access.marker import legacy_comments
from cerebro.routeros.access.result import HOSTS, UNDO, EndingView
from cerebro.routeros.access.state import PlanState
from cerebro.routeros.access.tables import IndexedRow
from cerebro.routeros.menus.firewall import CONNECTION
from cerebro.routeros.menus.hotspot import ACTIVE, COOKIE, HOST


def end_order(order: str, state: PlanState) -> EndingView:
    """Plan the end of an order, and return what the rows say of it.

    It is enforced where no row of the older relay has a comment of the order.
    As long as this agent may only remove what has passed, nothing is done: the
    older relay's rows say no end.
    """
    if state.desired.passed_at is not None:
        return EndingView(enforced=False, too_early=True)

    views = [
        _end_client(client, order, state)
        for client in clients_of_order(order, state)
    ]

    by_hand = (view.granted_by_hand for view in views if view.granted_by_hand)
    unread = (view.unread for view in views if view.unread)

    return EndingView(
        enforced=all(view.enforced for view in views),
        granted_by_hand=next(by_hand, None),
        unread=next(unread, None),
    )


def _end_client(
    client: LegacyClient, order: str, state: PlanState
) -> EndingView:
    """Plan the end of one client of an order; of a client that has access by
    other rows only these rows go.
    """

    every = (*client.bindings, *client.lists)
    rows = [row for row in every if not state.changes.settled(row)]
    if not rows:
        # A row that a live client needs is that one's by now.
        return EndingView(not any(state.changes.ended(row) for row in every))

    if not _stays_in(client, order, state):
        return _shut_out(client, rows, state)

    for row in rows:
        state.changes.drop(UNDO, row)

    return EndingView(enforced=False)


def _shut_out(
    client: LegacyClient, rows: list[IndexedRow], state: PlanState
) -> EndingView:
    """Plan the end of a client whose access is due to these rows alone.

    They are the only note of the client: they are disabled at first, and
    removed when nothing of it is left but what goes with them. So an agent
    that begins in the middle knows whom to cut off.
    """

    mac, ips = client.mac, client.ips

    # What somebody else does for the client is said, and not fought against.
    login = None
    if state.is_logged_in_again((mac, *ips)):
        login = logged_in_by_router(state, mac, ips)

    by_hand = state.granted_by_hand(mac, ips) or login

    # What it has running goes.
    _, no_host = cut_off(
        state,
        mac,
        set(ips),
        None,
        keep_hosts=by_hand is not None,
        keep_logins=login is not None,
    )

    # Its rows let it in no more.
    in_force = [row for row in rows if not row.disabled]
    for row in in_force:
        state.changes.disable(row)

    # The last note goes only when nothing of the client can be left.
    unread = state.unread(HOST, ACTIVE, COOKIE, CONNECTION)
    read = unread is None and state.tables.connections_read

    if read and no_host and not in_force and by_hand is None:
        for row in rows:
            state.changes.drop(HOSTS, row)

    return EndingView(enforced=False, granted_by_hand=by_hand, unread=unread)


def _stays_in(client: LegacyClient, order: str, state: PlanState) -> bool:
    """Return whether a client has a live Session, or one that cannot be read
    (rule B9), or a row of ours or of another order.
    """
    if state.is_live(client.mac, client.ips):
        return True

    if not state.desired.frozen.isdisjoint({client.mac, *client.ips}):
        return True

    comments = legacy_comments(order)

    return any(
        row.row.get("comment") not in comments
        and not (row.foreign or row.disabled or state.changes.ended(row))
        for row in _rows_of(client, state)
    )


def _rows_of(client: LegacyClient, state: PlanState) -> Iterator[IndexedRow]:
    """Yield the bindings and the rows of the paid list that name a client."""
    tables = state.tables
    yield from tables.bindings.of_client(client.mac, client.ips)

    for row in tables.lists.at_addresses(client.ips):
        if row.row.get("list") == state.policy.address_list:
            yield row
