"""The rows of a router, indexed once for each read: by MAC, by address and by
marker. Pure.

A plan looks up each client several times. With the indexes a look-up costs
what it finds, whatever else is on the router; only bindings without a MAC and
without a single address (`ranges`) are looked at for every client.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from cerebro.routeros.access.marker import Marker, Ownership
from cerebro.routeros.menus.firewall import ADDRESS_LIST
from cerebro.routeros.menus.hotspot import ACTIVE, COOKIE, HOST, IP_BINDING
from cerebro.routeros.menus.menu import Menu, Row, is_dynamic, is_true

_CONNECTION_ENDS = (
    "src-address",
    "dst-address",
    "reply-src-address",
    "reply-dst-address",
)


@dataclass(frozen=True, slots=True)
class Actual:
    """The rows that were read, in the router's order; `connections` is None
    when nobody asked for them.

    `left` are hosts that were there a moment ago: a host that we remove says
    where its client is, until it is back. `unread` says, by the path of a
    menu, why its rows could not be read; they are empty here then.
    """

    bindings: tuple[Row, ...] = ()
    lists: tuple[Row, ...] = ()
    hosts: tuple[Row, ...] = ()
    active: tuple[Row, ...] = ()
    cookies: tuple[Row, ...] = ()
    connections: tuple[Row, ...] | None = None
    left: tuple[Row, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)


def seen_hosts(actual: Actual) -> tuple[Row, ...]:
    """Return the hosts, and of clients without one those that they had a
    moment ago; who is there now comes last.
    """
    present = {HOST.normal(row, "mac-address") for row in actual.hosts}
    return (
        *(
            row
            for row in actual.left
            if HOST.normal(row, "mac-address") not in present
        ),
        *actual.hosts,
    )


@dataclass(slots=True)
class IndexedRow:
    """One row with what a plan asks of it again and again, in normal form.

    `mac` and `address` are "" where the row has none. `span` are the first and
    last address, as numbers, of a binding whose address is a prefix or a
    range. `marker` is our own marker; `foreign` says that a person or another
    installation made the row.
    """

    menu: Menu
    row: Row
    id: str
    position: int
    mac: str
    address: str
    marker: Marker | None
    legacy: bool
    dynamic: bool
    span: tuple[int, int] | None = None

    @property
    def foreign(self) -> bool:
        """Whether neither we nor the older relay made the row (rule B4)."""
        return self.marker is None and not self.legacy

    @property
    def disabled(self) -> bool:
        """Whether the row is switched off."""
        return is_true(self.row, "disabled")

    def value(self, name: str) -> str:
        """Return one property in normal form, its default where the row does
        not say it.
        """
        return self.menu.normal(self.row, name)

    def names(self, mac: str | None, ips: Collection[str]) -> bool:
        """Return whether the row names a client: by its MAC where the row has
        one, else by an address.
        """
        return self.mac == mac if self.mac else self.address in ips

    def covers(self, ip: str) -> bool:
        """Return whether the row's address, prefix or range holds an IPv4
        address.
        """
        if self.span is None:
            return self.address == ip

        number = _number(ip)

        return number is not None and self.span[0] <= number <= self.span[1]


_NO_ROWS: list[IndexedRow] = []


class MenuRows:
    """The rows of one menu in the router's order, with indexes. Each look-up
    returns rows in that order.
    """

    def __init__(
        self, menu: Menu, rows: Iterable[Row], whose: Ownership | None = None
    ) -> None:
        """Take rows that `index` looks at; with `whose` also by the client id
        of our marker.
        """
        self.menu = menu
        self._rows, self._whose = rows, whose
        self.all: list[IndexedRow] = []
        self.ranges: list[IndexedRow] = []
        """Rows without a MAC whose address is a prefix or a range, or not
        given: they may concern any client.
        """

        self._by_mac: dict[str, list[IndexedRow]] = {}
        self._by_address: dict[str, list[IndexedRow]] = {}
        self._by_client_id: dict[str, list[IndexedRow]] = {}

    def index(self) -> Iterator[None]:
        """Index the rows, and yield after each. Look-ups are right once this
        is exhausted.
        """
        for position, row in enumerate(self._rows):
            self._add(row, position, self._whose)
            yield

    def _add(self, row: Row, position: int, whose: Ownership | None) -> None:
        marker = whose.marker(row) if whose is not None else None
        indexed = IndexedRow(
            menu=self.menu,
            row=row,
            id=row[".id"],
            position=position,
            mac=self.menu.normal(row, "mac-address"),
            address=self.menu.normal(row, "address"),
            marker=marker,
            legacy=marker is None and whose is not None and whose.legacy(row),
            dynamic=is_dynamic(row),
        )

        indexed.span = _span(indexed.address)
        self.all.append(indexed)

        if not indexed.mac and (
            indexed.span is not None or not indexed.address
        ):
            self.ranges.append(indexed)

        if indexed.mac:
            self._by_mac.setdefault(indexed.mac, []).append(indexed)

        for address in {indexed.address, row.get("to-address", "")} - {""}:
            self._by_address.setdefault(address, []).append(indexed)

        if marker is not None:
            self._by_client_id.setdefault(marker.client_id, []).append(indexed)

    def with_mac(self, mac: str | None) -> list[IndexedRow]:
        """Return the rows that have this MAC; none for None."""
        return self._by_mac.get(mac, _NO_ROWS) if mac else _NO_ROWS

    def at_address(self, ip: str) -> list[IndexedRow]:
        """Return the rows whose address, or `to-address`, is this text,
        whatever MAC they have.
        """
        return self._by_address.get(ip, _NO_ROWS)

    def at_addresses(self, ips: Collection[str]) -> list[IndexedRow]:
        """Return the rows at any of these addresses."""
        return in_order(*(self.at_address(ip) for ip in ips))

    def of_client_ids(self, ids: Collection[str]) -> list[IndexedRow]:
        """Return the rows that bear our marker for any of these client ids."""
        return in_order(
            *(self._by_client_id.get(client_id, _NO_ROWS) for client_id in ids)
        )

    def has_client_id(self, client_id: str) -> bool:
        """Return whether any row bears our marker for this client id."""
        return client_id in self._by_client_id

    def of_client(
        self, mac: str | None, ips: Collection[str]
    ) -> list[IndexedRow]:
        """Return the rows that name a client, by MAC or, where a row has no
        MAC, by address.
        """
        by_address = (
            row for ip in ips for row in self.at_address(ip) if not row.mac
        )

        return in_order(self.with_mac(mac), by_address)


class Bindings(MenuRows):
    """The ip-bindings: the first enabled one that matches a client decides, so
    their order counts.
    """

    def __init__(self, rows: Iterable[Row], whose: Ownership) -> None:
        super().__init__(IP_BINDING, rows, whose)

    def matching(
        self, mac: str | None, ips: Collection[str], server: str | None
    ) -> Iterator[IndexedRow]:
        """Yield the enabled rows that match a client, the deciding one first.

        `server` None and no addresses mean: not known. A row for one server
        matches a client whose server is not known; a row for one address does
        not match a client whose address is not known.
        """
        by_address = (
            row for ip in ips for row in self.at_address(ip) if not row.mac
        )
        for row in in_order(self.with_mac(mac), by_address, self.ranges):
            if self._matches(row, ips, server):
                yield row

    def first_for_host(self, host: Row) -> Iterator[IndexedRow]:
        """Yield the enabled rows that match a host, the deciding one first."""
        ips = [
            ip for ip in (host.get("address"), host.get("to-address")) if ip
        ]

        return self.matching(
            HOST.normal(host, "mac-address"), ips, host.get("server")
        )

    @staticmethod
    def _matches(
        row: IndexedRow, ips: Collection[str], server: str | None
    ) -> bool:
        if row.disabled:
            return False

        if server is not None and row.value("server") not in ("all", server):
            return False

        return not row.address or any(row.covers(ip) for ip in ips)


class LegacyRows:
    """The older relay's rows of one menu, without those of a Session that
    cannot be read, indexed by comment too.
    """

    def __init__(
        self, rows: MenuRows, is_frozen: Callable[[IndexedRow], bool]
    ) -> None:
        self._rows, self._is_frozen = rows, is_frozen
        self._by_comment: dict[str, list[IndexedRow]] = {}
        for row in rows.all:
            if self._counts(row):
                self._by_comment.setdefault(
                    row.row.get("comment", ""), []
                ).append(row)

    def _counts(self, row: IndexedRow) -> bool:
        return row.legacy and not self._is_frozen(row)

    def with_mac(self, mac: str) -> list[IndexedRow]:
        """Return the rows with this MAC."""
        return [row for row in self._rows.with_mac(mac) if self._counts(row)]

    def at(self, ips: Collection[str]) -> list[IndexedRow]:
        """Return the rows at any of these addresses."""
        return [
            row for row in self._rows.at_addresses(ips) if self._counts(row)
        ]

    def of_orders(self, comments: Iterable[str]) -> list[IndexedRow]:
        """Return the rows with any of these comments: those of some orders."""
        return in_order(
            *(self._by_comment.get(comment, ()) for comment in comments)
        )


class RouterTables:
    """The tables of one `Actual`; complete once `index` is exhausted.

    Indexing costs a constant for each row (about 10 us); `connections` are
    indexed by the addresses at their ends, and only when somebody asks.
    """

    def __init__(self, actual: Actual, whose: Ownership) -> None:
        self.bindings = Bindings(actual.bindings, whose)
        self.lists = MenuRows(ADDRESS_LIST, actual.lists, whose)
        self.hosts = MenuRows(HOST, actual.hosts)
        self.active = MenuRows(ACTIVE, actual.active)
        self.cookies = MenuRows(COOKIE, actual.cookies)
        self.connections_read = actual.connections is not None
        self.unread = actual.unread
        self._connections = actual.connections or ()
        self._by_end: dict[str, list[Row]] | None = None
        self._places: dict[str, int] = {}

    def index(self) -> Iterator[None]:
        """Index all rows, and yield after each, so that whoever runs it may
        let others run.
        """
        for rows in (
            self.bindings,
            self.lists,
            self.hosts,
            self.active,
            self.cookies,
        ):
            yield from rows.index()

    def marked(self) -> Iterator[IndexedRow]:
        """Yield every row that bears our marker, bindings first."""
        for rows in (self.bindings, self.lists):
            for row in rows.all:
                if row.marker is not None:
                    yield row

    def connections_of(self, addresses: Collection[str]) -> list[Row]:
        """Return the tracked connections that have one of the addresses at an
        end, in the router's order.
        """
        if self._by_end is None:
            self._by_end = self._index_ends()

        matches = {
            row[".id"]: row
            for ip in addresses
            for row in self._by_end.get(ip, ())
        }

        return sorted(
            matches.values(), key=lambda row: self._places[row[".id"]]
        )

    def _index_ends(self) -> dict[str, list[Row]]:
        """Index connections by each end, which is `address:port` or, without
        ports, `address`.
        """
        by_end: dict[str, list[Row]] = {}
        for place, row in enumerate(self._connections):
            self._places[row[".id"]] = place
            texts = [row.get(name, "") for name in _CONNECTION_ENDS]
            for address in {
                part
                for text in texts
                for part in (text, text.rpartition(":")[0])
            }:
                by_end.setdefault(address, []).append(row)

        return by_end


def in_order(*groups: Iterable[IndexedRow]) -> list[IndexedRow]:
    """Return the rows of one menu that stand in any of the groups, each once,
    in the router's order.
    """
    some = [rows for rows in map(list, groups) if rows]
    if not some:
        return []

    # Most look-ups meet a single row.
    if len(some) == 1 and len(some[0]) == 1:
        return some[0]

    rows = {row.position: row for group in some for row in group}
    return [rows[position] for position in sorted(rows)]


def _number(ip: str) -> int | None:
    try:
        return int(ipaddress.IPv4Address(ip))
    except ValueError:
        return None


def _span(address: str) -> tuple[int, int] | None:
    """Return the first and last address of a prefix or a range as numbers;
    None for a single address or other text.
    """
    first, dash, last = address.partition("-")
    try:
        if dash:
            return int(ipaddress.IPv4Address(first)), int(
                ipaddress.IPv4Address(last)
            )

        if "/" in address:
            network = ipaddress.IPv4Network(address, strict=False)
            return int(network.network_address), int(network.broadcast_address)
    except ValueError:
        return None

    return None
