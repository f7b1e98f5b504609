"""Which rows of the older relay belong to a client that is cut off (rule B4). Pure.

Its Sessions know nothing of them, so the rows themselves have to say: a binding joins MAC and address, and the rows
of one order bear the same comment.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from cerebro.routeros.menus.firewall import ADDRESS_LIST
from cerebro.routeros.menus.hotspot import IP_BINDING
from cerebro.routeros.menus.menu import Menu, Row


@dataclass(frozen=True, slots=True)
class LegacyClient:
    """A client by all that its rows say: its MAC where there is only one, its addresses, the rows by path and id."""

    mac: str | None
    ips: frozenset[str]
    rows: frozenset[tuple[str, str]]

    def has(self, menu: Menu, row: Row) -> bool:
        """Tell whether a row is among them."""
        return (menu.path, row[".id"]) in self.rows


def legacy_client(
    mac: str | None,
    ips: Collection[str],
    held: Mapping[str, str],
    bindings: Collection[Row],
    lists: Collection[Row],
) -> LegacyClient:
    """Return a client with what the rows of the older relay, `bindings` and `lists`, add to it.

    `held` says which MAC holds each address now: what an address says of one MAC does not hold for another. A binding
    that names another MAC is another client's, and so is the list row at its address, also with the same order.
    """
    known = mac or _only(held[ip] for ip in ips if ip in held) or _named(ips, bindings, lists)
    own = [row for row in bindings if _is_of(row, known, ips)]
    others = {_address(row) for row in bindings if row not in own and _mac(row)}
    orders = {row.get("comment") for row in own}
    seen = {ip for ip, holder in held.items() if holder == known}
    places = {*ips, *seen, *(_address(row) for row in own)} - {""}
    places = {ip for ip in places if known is None or held.get(ip, known) == known}
    rows = [*own, *(row for row in bindings if not _mac(row) and row.get("comment") in orders)]
    listed = [
        row
        for row in lists
        if _address(row) in places or (row.get("comment") in orders and _address(row) not in others)
    ]
    ids = {(IP_BINDING.path, row[".id"]) for row in rows} | {
        (ADDRESS_LIST.path, row[".id"]) for row in listed
    }
    return LegacyClient(known, frozenset(places), frozenset(ids))


def _named(ips: Collection[str], bindings: Iterable[Row], lists: Iterable[Row]) -> str | None:
    """Return the MAC that rows give to an address which nobody holds now: those with it, else those of its order."""
    at_it = {_mac(row) for row in bindings if _address(row) in ips} - {""}
    orders = {row.get("comment") for row in lists if _address(row) in ips}
    return _only(at_it or {_mac(row) for row in bindings if row.get("comment") in orders} - {""})


def _is_of(row: Row, mac: str | None, ips: Collection[str]) -> bool:
    if mac is not None and _mac(row):
        return _mac(row) == mac
    return _address(row) in ips


def _only(macs: Iterable[str]) -> str | None:
    different = set(macs)
    return different.pop() if len(different) == 1 else None


def _mac(row: Row) -> str:
    return IP_BINDING.normal(row, "mac-address")


def _address(row: Row) -> str:
    return IP_BINDING.normal(row, "address")
