"""What one plan of access knows while it is made: what is wanted, the indexed
rows, and what is decided so far. Pure.

`grants.py`, then `endings.py` and `orders.py`, then `orphans.py` read and add
to it; `plan.py` calls them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from cerebro.routeros.access.marker import client_id
from cerebro.routeros.access.model import (
    AccessPolicy,
    Client,
    DesiredAccess,
    firewall_address,
    holders,
    resolve,
)
from cerebro.routeros.access.result import SET, UNDO, AccessPlan
from cerebro.routeros.access.tables import (
    Actual,
    IndexedRow,
    LegacyRows,
    RouterTables,
    in_order,
    seen_hosts,
)
from cerebro.routeros.client.command import Command
from cerebro.routeros.menus.hotspot import HOST
from cerebro.routeros.menus.menu import Menu, Row, is_dynamic, seconds

# How long a row is relied on that the router made for a login, in seconds: it
# goes with the login, which nothing tells.
_DYNAMIC_ROWS_LAST = 60


class Changes:
    """Adds commands to the stages of a plan. Rows are known by path and id,
    since each menu counts its own ids.
    """

    def __init__(self, plan: AccessPlan) -> None:
        self._plan = plan
        self._kept: set[tuple[str, str]] = set()
        self._ended: set[tuple[str, str]] = set()

    def settled(self, row: IndexedRow) -> bool:
        """Return whether it is decided already that a row stays, or that it is
        in force no longer.
        """
        return (row.menu.path, row.id) in self._kept or self.ended(row)

    def ended(self, row: IndexedRow) -> bool:
        """Return whether it is decided that a row is in force no longer."""
        return (row.menu.path, row.id) in self._ended

    def keep(self, row: IndexedRow, desired: Row) -> bool:
        """Keep a row that a live client needs, with `desired` as its values.

        Returns whether more than our own marker has to be put right.
        """
        self._kept.add((row.menu.path, row.id))
        differences = row.menu.differences(desired, row.row)
        if differences:
            self.name(row)
            self.do(SET, row.menu, "set", {".id": row.id, **differences})

        return bool(differences.keys() - {"comment"})

    def drop(self, stage: int, row: IndexedRow) -> None:
        """Remove a row, once."""
        if self._end(row.menu, row.id, dynamic=row.dynamic):
            self.name(row)
            self.do(stage, row.menu, "remove", {".id": row.id})

    def drop_unindexed(self, stage: int, menu: Menu, row: Row) -> None:
        """Remove a row of a menu that is not indexed row by row, once."""
        if self._end(menu, row[".id"], dynamic=is_dynamic(row)):
            self._plan.rows[menu.path, row[".id"]] = row
            self.do(stage, menu, "remove", {".id": row[".id"]})

    def disable(self, row: IndexedRow) -> None:
        """Let a row count no longer, and leave it as the router's own note
        that its client is being cut off.
        """
        if self._end(row.menu, row.id, dynamic=row.dynamic):
            self.name(row)
            self.do(UNDO, row.menu, "set", {".id": row.id, "disabled": "true"})

    def name(self, row: IndexedRow) -> None:
        """Note what a row says that a command names by id."""
        self._plan.rows[row.menu.path, row.id] = row.row

    def do(
        self, stage: int, menu: Menu, verb: str, attributes: dict[str, str]
    ) -> None:
        """Add a command."""
        self._plan.stages[stage].append(Command(menu.path, verb, attributes))

    def _end(self, menu: Menu, row_id: str, *, dynamic: bool) -> bool:
        """Note that a row ends; returns False where it has ended already, or
        is the router's own.
        """
        if dynamic or (menu.path, row_id) in self._ended:
            return False

        self._ended.add((menu.path, row_id))

        return True


class PlanState:
    """The data of one plan.

    `clients` are who is granted, by `resolve`; `live_*` name them by MAC, key,
    client id and address. `held` says which MAC holds each address now.
    `servers` are the hotspot servers at which hosts show a MAC or an address.
    """

    def __init__(
        self,
        desired: DesiredAccess,
        actual: Actual,
        policy: AccessPolicy,
        tables: RouterTables,
        result: AccessPlan,
    ) -> None:
        """`tables` are those of `actual`, indexed; `result` is the plan that
        is made.
        """
        self.desired, self.policy = desired, policy
        self.tables = tables
        self.result = result
        self.changes = Changes(self.result)

        hosts = seen_hosts(actual)
        self.held = holders(hosts)
        self._held_by: dict[str, list[str]] = {}
        for ip, mac in self.held.items():
            self._held_by.setdefault(mac, []).append(ip)

        self.servers = _servers(hosts)

        self.clients = resolve(desired.grants, hosts)
        self.live_macs = {client.mac for client in self.clients if client.mac}
        self.live_keys = {client.key for client in self.clients}
        self.live_ids = {client_id(key) for key in self.live_keys}
        self.live_ips = {ip for client in self.clients for ip in client.ips}
        self.frozen_ids = {client_id(name) for name in desired.frozen}

        self.legacy_bindings = LegacyRows(self.tables.bindings, self.is_frozen)
        self.legacy_lists = LegacyRows(self.tables.lists, self.is_frozen)

    def unread(self, *menus: Menu) -> str | None:
        """Return the path of the first of some menus that could not be read;
        None when all were.
        """
        return next(
            (menu.path for menu in menus if menu.path in self.tables.unread),
            None,
        )

    def server_of(self, mac: str | None, ips: Iterable[str]) -> str | None:
        """Return the hotspot server of a client: the policy's, else that of
        all its hosts; None if not known.
        """
        if self.policy.server is not None:
            return self.policy.server

        keys = [mac] if mac else ips
        servers = set[str]().union(
            *(self.servers.get(key, ()) for key in keys)
        )

        return servers.pop() if len(servers) == 1 else None

    def held_by(self, mac: str | None) -> list[str]:
        """Return the addresses that hosts show for a MAC; none for None."""
        return self._held_by.get(mac, []) if mac else []

    def is_live(self, mac: str | None, ips: Iterable[str]) -> bool:
        """Return whether a client is granted: by its MAC, or without one by
        any of its addresses.
        """
        if mac:
            return mac in self.live_macs

        return any(ip in self.live_ips for ip in ips)

    def is_frozen(self, row: IndexedRow) -> bool:
        """Return whether a Session that cannot be read names the client of a
        row (rule B9).
        """
        if not self.desired.frozen:
            return False

        if (
            row.mac in self.desired.frozen
            or row.address in self.desired.frozen
        ):
            return True

        return (
            row.marker is not None and row.marker.client_id in self.frozen_ids
        )

    def is_logged_in_again(self, keys: Iterable[str | None]) -> bool:
        """Return whether the router keeps logging a client in by itself, whose
        MAC and addresses are given (case T8).
        """
        ids = {client_id(key) for key in keys if key}

        return not ids.isdisjoint(self.desired.logged_in_again)

    def hosts_of(
        self, mac: str | None, ips: Collection[str]
    ) -> list[IndexedRow]:
        """Return the hosts of a client: those with its MAC, or without one
        those at its addresses.

        An address that the firewall sees is one client's. One that only phones
        themselves have, behind an address pool, counts where a single phone
        has it.
        """

        if mac:
            return self.tables.hosts.with_mac(mac)

        hosts = self.tables.hosts.at_addresses(ips)
        seen = [host for host in hosts if firewall_address(host.row) in ips]
        if seen or len({host.mac for host in hosts}) == 1:
            return seen or hosts

        return []

    def is_held(self, client: Client) -> bool:
        """Return whether nothing may be written for a client now: each of its
        grants is held.
        """
        return all(grant.hold for grant in client.grants)

    def granted_by_hand(
        self, mac: str | None, ips: Collection[str]
    ) -> str | None:
        """Return which row made by hand, or by the router itself, still lets a
        client in after its end; None for none.

        Of a client that is nowhere a binding for any server counts.
        """
        return self._bypassed_by_hand(mac, ips) or self._listed_by_hand(
            mac, ips
        )

    def _bypassed_by_hand(
        self, mac: str | None, ips: Collection[str]
    ) -> str | None:
        server = self.server_of(mac, ips)
        for row in self.tables.bindings.matching(mac, ips, server):
            if not row.foreign:
                continue

            if row.value("type") != "bypassed" or not row.names(mac, ips):
                return None

            return f"ip-binding {row.id}, made by hand, bypasses {mac or ', '.join(ips)}"

        return None

    def _listed_by_hand(
        self, mac: str | None, ips: Collection[str]
    ) -> str | None:
        """Return which foreign row of the paid list covers an address of the
        client (case T3).
        """
        addresses = {
            firewall_address(host.row) for host in self.hosts_of(mac, ips)
        } - {None} or set(ips)
        for ip in sorted(address for address in addresses if address):
            if ip in self.live_ips:
                continue

            for row in self.foreign_listing(ip):
                self.look_again_after(row)
                maker = (
                    "made by the router itself"
                    if row.dynamic
                    else "made by hand"
                )

                return f"address-list {row.id} ({row.row['list']} {row.address}), {maker}, lets {ip} in"

        return None

    def foreign_listing(self, ip: str) -> list[IndexedRow]:
        """Return the enabled rows of others in the paid list that cover an
        address.
        """
        lists, name = self.tables.lists, self.policy.address_list
        ranges = (
            row for row in lists.ranges if row.address and row.covers(ip)
        )

        rows = in_order(lists.at_address(ip), ranges)

        return [
            row
            for row in rows
            if row.foreign and not row.disabled and row.row.get("list") == name
        ]

    def look_again_after(self, row: IndexedRow) -> None:
        """Note that a row on which the plan relies ends by itself (case T5):
        the router has to be looked at then.
        """
        if not row.dynamic and "timeout" not in row.row:
            return

        left = seconds(row.row.get("timeout", ""))
        self.result.look_again(_DYNAMIC_ROWS_LAST if left is None else left)


def _servers(hosts: Iterable[Row]) -> dict[str, set[str]]:
    servers: dict[str, set[str]] = {}
    for host in hosts:
        for key in (
            HOST.normal(host, "mac-address"),
            host.get("address", ""),
            firewall_address(host) or "",
        ):
            at = servers.setdefault(key, set())
            if "server" in host:
                at.add(host["server"])

    return servers
