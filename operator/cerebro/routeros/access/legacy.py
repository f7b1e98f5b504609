"""Which rows of the older relay belong to a client that is cut off (rule B4).
Pure.

Its Sessions know nothing of them, so the rows themselves have to say: a
binding joins MAC and address, and the rows of one order bear the same comment.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from cerebro.routeros.access.marker import legacy_comments
from cerebro.routeros.access.state import PlanState
from cerebro.routeros.access.tables import IndexedRow, LegacyRows, in_order
from cerebro.routeros.menus.firewall import ADDRESS_LIST
from cerebro.routeros.menus.hotspot import IP_BINDING


@dataclass(frozen=True, slots=True)
class LegacyClient:
    """A client by all that its rows say: its MAC where there is only one, its
    addresses, and the older relay's rows.
    """

    mac: str | None
    ips: frozenset[str]
    bindings: tuple[IndexedRow, ...] = ()
    lists: tuple[IndexedRow, ...] = ()

    def has(self, row: IndexedRow) -> bool:
        """Return whether a row is among the older relay's rows of the client."""
        return any(row is own for own in (*self.bindings, *self.lists))


def legacy_client(
    mac: str | None, ips: Collection[str], state: PlanState
) -> LegacyClient:
    """Return a client with what the rows of the older relay add to it.

    What an address says of one MAC does not hold for another. A binding that
    names another MAC is another client's, and so is the list row at its
    address, also with the same order.
    """

    bindings, lists, held = (
        state.legacy_bindings,
        state.legacy_lists,
        state.held,
    )

    known = (
        mac
        or _only(held[ip] for ip in ips if ip in held)
        or _named(ips, bindings, lists)
    )

    own = _own_bindings(known, ips, bindings)
    orders = {row.row.get("comment", "") for row in own}

    # Where it is: what is known, what hosts show, and what its bindings say,
    # but for what another MAC holds.
    places = {*ips, *state.held_by(known), *(row.address for row in own)} - {
        ""
    }
    if known is not None:
        places = {ip for ip in places if held.get(ip, known) == known}

    # Rows of its orders and at its addresses, but for what names another
    # client.
    without_mac = (row for row in bindings.of_orders(orders) if not row.mac)
    of_order = (
        row
        for row in lists.of_orders(orders)
        if not _is_of_another(row.address, own, bindings)
    )

    return LegacyClient(
        mac=known,
        ips=frozenset(places),
        bindings=tuple(in_order(own, without_mac)),
        lists=tuple(in_order(lists.at(places), of_order)),
    )


def clients_of_order(order: str, state: PlanState) -> list[LegacyClient]:
    """Return the clients that the older relay's rows of an order name, each
    with these rows alone (rule A4).

    A row without a MAC is that client's who is at its address, or whose
    binding is there; else it is the only client's of the order. Where somebody
    else is at the address by now, the row is a client's without an address:
    nobody is cut off with it.
    """

    comments = legacy_comments(order)
    bindings = state.legacy_bindings.of_orders(comments)
    lists = [
        row
        for row in state.legacy_lists.of_orders(comments)
        if row.row.get("list") == state.policy.address_list
    ]

    macs = {row.mac for row in bindings if row.mac}
    rows_of: dict[tuple[str | None, str], list[IndexedRow]] = {}
    for row in (*bindings, *lists):
        mac = row.mac or _mac_at(row.address, macs, state)
        at = "" if mac else row.address

        rows_of.setdefault((mac, at), []).append(row)

    return [
        LegacyClient(
            mac=mac,
            ips=_places(mac, rows, state),
            bindings=tuple(row for row in rows if row.menu is IP_BINDING),
            lists=tuple(row for row in rows if row.menu is ADDRESS_LIST),
        )
        for (mac, _), rows in rows_of.items()
    ]


def _mac_at(
    address: str, macs: Collection[str], state: PlanState
) -> str | None:
    """Return the MAC whose a row is that names an address only; `macs` are
    those of the row's order. None: it is not known, or no client of the order.
    """
    holder = state.held.get(address)
    if holder is not None:
        return holder if not macs or holder in macs else None

    named = {row.mac for row in state.legacy_bindings.at((address,))} - {""}
    if not macs:
        return _only(named)

    return _only(named.intersection(macs) if named else macs)


def _places(
    mac: str | None, rows: Iterable[IndexedRow], state: PlanState
) -> frozenset[str]:
    """Return the addresses of a client: those of its rows and of its hosts,
    but for what somebody else has now.
    """
    places = {row.address for row in rows} - {""}
    places.update(state.held_by(mac))

    return frozenset(ip for ip in places if state.held.get(ip, mac) == mac)


def _own_bindings(
    mac: str | None, ips: Collection[str], bindings: LegacyRows
) -> list[IndexedRow]:
    """Return the bindings that name a client: by its MAC where both have one,
    else by an address.
    """
    at_addresses = bindings.at(ips)
    if mac is None:
        return at_addresses

    return in_order(
        bindings.with_mac(mac), (row for row in at_addresses if not row.mac)
    )


def _is_of_another(
    address: str, own: list[IndexedRow], bindings: LegacyRows
) -> bool:
    """Return whether a binding at this address names a MAC and is not one of
    `own`.
    """
    if not address:
        return False

    return any(
        row.mac and not any(row is mine for mine in own)
        for row in bindings.at((address,))
    )


def _named(
    ips: Collection[str], bindings: LegacyRows, lists: LegacyRows
) -> str | None:
    """Return the MAC that rows give to an address which nobody holds now:
    those with it, else those of its order.
    """
    at_it = {row.mac for row in bindings.at(ips)} - {""}
    if at_it:
        return _only(at_it)

    orders = {row.row.get("comment", "") for row in lists.at(ips)}

    return _only({row.mac for row in bindings.of_orders(orders)} - {""})


def _only(macs: Iterable[str]) -> str | None:
    different = set(macs)
    return different.pop() if len(different) == 1 else None
