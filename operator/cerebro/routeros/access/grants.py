"""Plans the rows of granted clients: the binding, the list rows, and the hosts
that are still treated as before. Pure.

Rules B1 to B4. First every client gets its rows (`grant`), then rows that
became needless go (`conclude`), so that nobody's rows go before they are
claimed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cerebro.routeros.access.marker import client_id, marker_for
from cerebro.routeros.access.model import Client, Grant
from cerebro.routeros.access.result import ADD, HOSTS, SET, UNDO, GrantView
from cerebro.routeros.access.state import PlanState
from cerebro.routeros.access.tables import IndexedRow, in_order
from cerebro.routeros.menus.firewall import ADDRESS_LIST
from cerebro.routeros.menus.hotspot import HOST, IP_BINDING
from cerebro.routeros.menus.menu import is_true

_NOWHERE = ""  # a hotspot server that no row names: such a row decides only if it is for all


@dataclass(slots=True)
class GrantedClient:
    """A client whose rows are planned: what a person put in the way, and how
    many changes its rows take.
    """

    client: Client
    blocked: str | None
    changes: int


def grant(state: PlanState, client: Client) -> GrantedClient:
    """Plan the rows of a client. Of one that is held the changes are counted
    and not made.
    """

    before = [len(stage) for stage in state.result.stages]

    by_hand = _bypassed_by_hand(state, client)
    blocked = None if by_hand else _blocked_by_hand(state, client)
    if blocked is None:
        if not by_hand:
            _bind(state, client)

        for ip in client.ips:
            _list(state, client, ip)

        _refresh_hosts(state, client)

    changes = state.result.count() - sum(before)

    if state.is_held(client):
        for stage, length in zip(state.result.stages, before, strict=True):
            del stage[length:]

    return GrantedClient(client, blocked, changes)


def conclude(state: PlanState, granted: GrantedClient) -> None:
    """Remove needless rows of a client, and note what the rows say of each of
    its grants.
    """

    client, changes = granted.client, granted.changes
    held = state.is_held(client)
    if granted.blocked is None and not held:
        changes += _tidy(state, client)

    unread = (
        state.unread(HOST) if state.policy.binding_type == "bypassed" else None
    )

    in_force = granted.blocked is None and not changes and unread is None
    view = GrantView(
        in_force, client.mac, tuple(client.ips), granted.blocked, unread
    )
    for each in client.grants:
        in_force_for_it = in_force and (held or not each.hold)
        seen, holder = _sighting(state, client, each)
        state.result.grants[each] = replace(
            view, granted=in_force_for_it, seen=seen, holder=holder
        )


def _sighting(
    state: PlanState, client: Client, each: Grant
) -> tuple[bool | None, str | None]:
    """Return whether the hosts show a client where its grant says it is, and
    who else has that address; `GrantView` says it in full.
    """
    if state.unread(HOST) is not None:
        return None, None

    holder = state.held.get(each.ip) if each.ip else None
    if holder is not None and holder != client.mac:
        return False, holder

    keys = [client.mac] if client.mac else client.ips

    return any(key in state.servers for key in keys), None


def _comment(state: PlanState, client: Client) -> str:
    """Return the comment of the client's rows: our marker with the latest end
    of its grants (rule B3).
    """
    return str(marker_for(state.policy.installation, client.key, client.until))


def _is_exact(client: Client, row: IndexedRow) -> bool:
    """Return whether a binding names this very client and no other."""
    if client.mac:
        return row.mac == client.mac

    return not row.mac and row.address in client.ips


def _decides(state: PlanState, client: Client, row: IndexedRow) -> bool:
    """Return whether a binding surely acts on the client: one for another
    server does not, nor where none is known.
    """
    server = state.server_of(client.mac, client.ips) or _NOWHERE
    return any(
        row is match
        for match in state.tables.bindings.matching(
            client.mac, client.ips, server
        )
    )


def _bypassed_by_hand(state: PlanState, client: Client) -> bool:
    """Return whether the row that decides about the client was made by hand
    and lets this very client in (rule B4).
    """

    if state.policy.binding_type != "bypassed":
        return False

    server = state.server_of(client.mac, client.ips) or _NOWHERE
    first = next(
        state.tables.bindings.matching(client.mac, client.ips, server), None
    )
    if first is None or not first.foreign:
        return False

    return _is_exact(client, first) and first.value("type") == "bypassed"


def _blocked_by_hand(state: PlanState, client: Client) -> str | None:
    """Return what a person made against this very client; None for nothing.

    A row for one server counts unless the client is on another.
    """

    exact = [
        row
        for row in state.tables.bindings.of_client(client.mac, client.ips)
        if _is_exact(client, row)
    ]
    if any(not row.foreign for row in exact):
        return None

    server = state.server_of(client.mac, client.ips)
    matching = {
        row.position
        for row in state.tables.bindings.matching(
            client.mac, client.ips, server
        )
    }
    for row in exact:
        kind = row.value("type")
        only_elsewhere = kind == state.policy.binding_type and not _decides(
            state, client, row
        )
        if row.position in matching and not only_elsewhere:
            return f"ip-binding {row.id} of {client.key}, made by hand, has type {kind}"

    return None


def _bind(state: PlanState, client: Client) -> None:
    """Plan the one binding of a client: add it, or put right the one that is
    there; it stands before foreign rows.
    """

    desired = {
        "mac-address": client.mac or "",
        "address": "" if client.mac else client.ips[0],
        "server": state.policy.server or "all",
        "type": state.policy.binding_type,
        "disabled": "false",
        "comment": _comment(state, client),
    }

    rows = _own_bindings(state, client)
    before = _first_foreign_match(state, client)
    if not rows:
        _add_binding(state, client, desired, before)
        return

    row, *duplicates = rows
    if state.changes.keep(row, desired):
        state.result.repaired.add(client_id(client.key))

    for duplicate in duplicates:
        state.changes.drop(UNDO, duplicate)

    if before is not None and before.position < row.position:
        state.changes.name(row)
        state.changes.name(before)
        state.changes.do(
            SET,
            IP_BINDING,
            "move",
            {"numbers": row.id, "destination": before.id},
        )


def _add_binding(
    state: PlanState,
    client: Client,
    desired: dict[str, str],
    before: IndexedRow | None,
) -> None:
    attributes = {
        name: value
        for name, value in desired.items()
        if value and name != "disabled"
    }
    if not state.policy.server:
        del attributes["server"]

    if before is not None:
        state.changes.name(before)
        attributes["place-before"] = before.id

    state.changes.do(ADD, IP_BINDING, "add", attributes)
    state.result.repaired.add(client_id(client.key))


def _own_bindings(state: PlanState, client: Client) -> list[IndexedRow]:
    """Return the bindings of a client that are ours or the older relay's, the
    one to keep first.
    """

    earlier = {*client.ips, *(grant.ip for grant in client.grants if grant.ip)}
    candidates = in_order(
        state.tables.bindings.of_client(client.mac, client.ips),
        state.tables.bindings.at_addresses(earlier),
    )

    own = [
        row
        for row in candidates
        if not row.foreign and _was_of(state, client, row, earlier)
    ]

    own.sort(key=lambda row: (not _is_exact(client, row), row.marker is None))

    return own


def _was_of(
    state: PlanState, client: Client, row: IndexedRow, earlier: set[str]
) -> bool:
    """Return whether a row is the client's, also one by address from before
    its MAC was seen (rule B2).
    """
    if _is_exact(client, row):
        return True

    if row.marker is None or row.marker.client_id in state.live_ids or row.mac:
        return False

    return (
        row.address in earlier - state.live_keys
        and not state.changes.settled(row)
    )


def _first_foreign_match(
    state: PlanState, client: Client
) -> IndexedRow | None:
    """Return the first row of others that ours must stand before, whatever
    server the client comes to.
    """
    matching = state.tables.bindings.matching(
        client.mac, client.ips, state.policy.server
    )

    return next((row for row in matching if row.foreign), None)


def _list(state: PlanState, client: Client, ip: str) -> None:
    """Plan the one list row of a client at one address."""
    comment = _comment(state, client)
    name = state.policy.address_list
    rows = [
        row
        for row in state.tables.lists.at_address(ip)
        if row.row.get("list") == name
    ]

    own = sorted(
        (row for row in rows if not row.foreign),
        key=lambda row: row.marker is None,
    )
    if own:
        desired = {
            "list": name,
            "address": ip,
            "disabled": "false",
            "comment": comment,
        }
        if state.changes.keep(own[0], desired):
            state.result.repaired.add(client_id(client.key))

        for duplicate in own[1:]:
            state.changes.drop(UNDO, duplicate)

        return

    by_hand = [row for row in rows if not row.disabled]
    if by_hand:
        # The router refuses a second row with this address, so that one has to
        # do for as long as it lasts.
        state.look_again_after(by_hand[0])
        return

    state.changes.do(
        ADD,
        ADDRESS_LIST,
        "add",
        {"list": name, "address": ip, "comment": comment},
    )

    moved = state.tables.lists.has_client_id(client_id(client.key))
    if not moved:
        state.result.repaired.add(client_id(client.key))


def _refresh_hosts(state: PlanState, client: Client) -> None:
    """Remove hosts from before the binding: they keep their old treatment
    until they are gone (rule B1).
    """
    if state.policy.binding_type != "bypassed":
        return

    server = state.policy.server
    for host in state.hosts_of(client.mac, client.ips):
        elsewhere = (
            server is not None and host.row.get("server", server) != server
        )
        if not is_true(host.row, "bypassed") and not elsewhere:
            state.changes.drop(HOSTS, host)


def _tidy(state: PlanState, client: Client) -> int:
    """Remove rows of the client that no look-up claimed: list rows at
    addresses that it has left (rule B2), and ours that a row by hand made
    needless. Returns how many went.
    """
    before = state.result.count()
    mine = (client_id(client.key),)
    for rows in (state.tables.bindings, state.tables.lists):
        for row in rows.of_client_ids(mine):
            if not state.changes.settled(row):
                state.changes.drop(UNDO, row)

    return state.result.count() - before
