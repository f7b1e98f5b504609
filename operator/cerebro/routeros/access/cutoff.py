"""How a plan ends what a client has running: logins, cookies, tracked connections, hosts (rule B1). Pure.

It knows whose rows are whose in one plan; which clients are granted and which end is decided in `plan.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from cerebro.routeros.access.changes import Changes
from cerebro.routeros.access.marker import client_id
from cerebro.routeros.access.model import (
    AccessPolicy,
    Actual,
    DesiredAccess,
    binding_matches,
    first_match,
    holders,
    resolve,
    seen_hosts,
    touches,
)
from cerebro.routeros.access.ownership import Ownership
from cerebro.routeros.access.result import FLOWS, HOSTS, LOGOUT, AccessPlan
from cerebro.routeros.menus.firewall import ADDRESS_LIST, CONNECTION
from cerebro.routeros.menus.hotspot import ACTIVE, COOKIE, HOST, IP_BINDING
from cerebro.routeros.menus.menu import Row, is_true


class CutOff:
    """What is known while one plan is made, and the ends in it."""

    def __init__(self, wanted: DesiredAccess, actual: Actual, policy: AccessPolicy) -> None:
        self.wanted, self.actual, self.policy = wanted, actual, policy
        self.whose = Ownership(policy)
        self.result = AccessPlan()
        seen = seen_hosts(actual)
        self.clients = resolve(wanted.grants, seen)
        self.live_macs = {client.mac for client in self.clients if client.mac}
        self.live_keys = {client.key for client in self.clients}
        self.frozen_ids = {client_id(name) for name in wanted.frozen}
        self.live_ids = {client_id(key) for key in self.live_keys}
        self.live_ips = {ip for client in self.clients for ip in client.ips}
        self.held = holders(seen)
        self.servers: dict[str, set[str]] = {}  # by MAC and by address: where hosts show a client
        for host in seen:
            for key in (HOST.normal(host, "mac-address"), host.get("address", "")):
                self.servers.setdefault(key, set()).update({host["server"]} if "server" in host else ())
        self.changes = Changes(self.result)

    def _of_client(self, row: Row, mac: str | None, ips: Iterable[str]) -> bool:
        row_mac = IP_BINDING.normal(row, "mac-address")
        return row_mac == mac if row_mac else IP_BINDING.normal(row, "address") in ips

    def _is_frozen(self, row: Row) -> bool:
        """Tell whether a Session that cannot be read names the row's client (rule B9)."""
        names = {IP_BINDING.normal(row, "mac-address"), ADDRESS_LIST.normal(row, "address")}
        marker = self.whose.marker(row)
        return bool(names & self.wanted.frozen) or (
            marker is not None and marker.client_id in self.frozen_ids
        )

    def _lives(self, mac: str | None, ips: Iterable[str]) -> bool:
        return mac in self.live_macs if mac else any(ip in self.live_ips for ip in ips)

    def _server(self, mac: str | None, ips: Iterable[str]) -> str | None:
        """Return the hotspot server of a client: the policy's, else the one of all its hosts; None: not known."""
        if self.policy.server is not None:
            return self.policy.server
        servers = set[str]().union(*(self.servers.get(key, ()) for key in ([mac] if mac else ips)))
        return servers.pop() if len(servers) == 1 else None

    def _granted_by_hand(self, mac: str | None, ips: Iterable[str]) -> str | None:
        """Return what a person made that still lets the client in after its end, on any server if it is nowhere."""
        server = self._server(mac, ips)
        for row in self.actual.bindings:
            if self.whose.foreign(row) and binding_matches(row, mac, ips, server):
                exact = self._of_client(row, mac, ips)
                if IP_BINDING.normal(row, "type") == "bypassed":
                    who = mac or ", ".join(ips)
                    return f"ip-binding {row['.id']}, made by hand, bypasses {who}" if exact else None
                return None
        return None

    def _cut_off(
        self, mac: str | None, ips: set[str], flows: frozenset[str] | None, *, keep_hosts: bool = False
    ) -> tuple[frozenset[str], bool]:
        """Plan the end of what a client has running: logins, cookies, tracked connections, then hosts (rule
        B1).
        """
        hosts = [h for h in self.actual.hosts if self._is_host(h, mac, ips)]
        addresses = ips | {h[name] for h in hosts for name in ("address", "to-address") if h.get(name)}
        addresses -= self.live_ips
        for row in self.actual.active:
            row_mac = ACTIVE.normal(row, "mac-address")
            if row_mac == mac if mac and row_mac else row.get("address") in addresses:
                self.changes.drop(LOGOUT, ACTIVE, row)
        for row in self.actual.cookies:
            if mac and COOKIE.normal(row, "mac-address") == mac:
                self.changes.drop(LOGOUT, COOKIE, row)
        self.result.wants_connections = True
        running = [r for r in self.actual.connections or () if touches(r, addresses)]
        due = [r for r in running if flows is None or r[".id"] in flows]
        open_hosts = [h for h in hosts if is_true(h, "bypassed") or is_true(h, "authorized")]
        if not keep_hosts:
            for row in due:
                self.changes.drop(FLOWS, CONNECTION, row)
            for host in open_hosts:
                self.changes.drop(HOSTS, HOST, host)
        return frozenset(r[".id"] for r in due), not open_hosts

    def _is_host(self, host: Row, mac: str | None, ips: Collection[str]) -> bool:
        return HOST.normal(host, "mac-address") == mac if mac else host.get("address") in ips

    def _unexplained(self, host: Row) -> bool:
        """Tell whether a host is let in though no binding that stays in force says so."""
        if not is_true(host, "bypassed"):
            return False
        rows = (row for row in self.actual.bindings if not self.changes.ended(IP_BINDING, row))
        match = first_match(rows, host)
        return match is None or IP_BINDING.normal(match, "type") != "bypassed"
