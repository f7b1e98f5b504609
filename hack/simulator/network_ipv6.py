"""IPv6 behind a router: which addresses a phone gets by itself, and whether
its packet to the internet passes.

From MikroTik's manual (IPv6 neighbour discovery, DHCPv6 server, packet flow,
IPv6 firewall). The hotspot has no part in it: it is for IPv4 only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Interface, IPv6Network
from typing import Protocol

from simulator.row import Row
from simulator.table import Table

UPLINK = "ether1"
"""The interface that leads to the internet where no route names one."""

SERVER = IPv6Address("2600:1f18::10")
INTERNET = IPv6Network("2000::/3")
LINK_LOCAL = IPv6Network("fe80::/10")
HOST = 0x00AA_00FF_FE00_0001
"""The part of an address that a phone makes up itself."""

LONGEST_WAY = 20
"""Jumps after which the router gives a packet up."""


@dataclass(frozen=True)
class Packet:
    """The first packet of a new connection, as rules see it."""

    source: IPv6Address
    came_in: str
    goes_out: str
    protocol: str
    port: int


class Ipv6Router(Protocol):
    """The part of the router that IPv6 behind it needs."""

    tables: dict[str, Table]


class PhonesIpv6:
    """The IPv6 side of the network behind one router."""

    def __init__(self, router: Ipv6Router) -> None:
        self.router = router

    def addresses(self, interface: str) -> list[IPv6Address]:
        """Return the addresses that a phone on an interface gets by itself,
        the link-local one left out.
        """
        if not self._is_routed(interface):
            return []
        return [
            network[HOST % network.num_addresses]
            for network in self._prefixes(interface)
            if not network.subnet_of(LINK_LOCAL)
        ]

    def passes(
        self, interface: str, protocol: str = "tcp", port: int = 443
    ) -> bool:
        """Return whether a phone on an interface reaches a server of the
        internet.
        """
        return any(
            self._forwards(Packet(source, interface, out, protocol, port))
            for source in self.addresses(interface)
            for out in self._uplinks()
        )

    def _enabled(self, path: str) -> list[dict[str, str]]:
        rows: list[Row] = list(self.router.tables[path].rows.values())
        return [
            row.values
            for row in rows
            if row.values.get("disabled", "false") == "false"
        ]

    def _is_routed(self, interface: str) -> bool:
        """A phone takes the router for its gateway when the router says so."""
        settings = self._enabled("/ipv6/settings")[0]
        if settings["disable-ipv6"] == "true":
            return False
        discovery = {
            row["interface"]: row for row in self._enabled("/ipv6/nd")
        }
        row = discovery.get(interface, discovery.get("all"))
        return row is not None and row["ra-lifetime"] not in {"none", "0s"}

    def _prefixes(self, interface: str) -> Iterator[IPv6Network]:
        for row in self._enabled("/ipv6/address"):
            actual = self._master(row["interface"])
            if actual == interface and row["advertise"] == "true":
                yield IPv6Interface(row["address"]).network
        for row in self._enabled("/ipv6/nd/prefix"):
            if row["interface"] == interface and row["autonomous"] == "true":
                yield IPv6Network(row["prefix"])
        pools = {row["name"]: row for row in self._enabled("/ipv6/pool")}
        for row in self._enabled("/ipv6/dhcp-server"):
            pool = pools.get(row["address-pool"])
            if row["interface"] == interface and pool is not None:
                yield IPv6Network(pool["prefix"])

    def _master(self, interface: str) -> str:
        for row in self._enabled("/interface/bridge/port"):
            if row["interface"] == interface:
                return row["bridge"]
        return interface

    def _uplinks(self) -> list[str]:
        ways = [
            row["gateway"].rpartition("%")[2]
            for row in self._enabled("/ipv6/route")
            if row["dst-address"] == "::/0"
        ]
        return ways or [UPLINK]

    def _forwards(self, packet: Packet) -> bool:
        settings = self._enabled("/ipv6/settings")[0]
        if settings["forward"] != "true":
            return False
        raw = self._verdict("/ipv6/firewall/raw", "prerouting", packet)
        if raw == "drop":
            return False
        verdict = self._verdict("/ipv6/firewall/filter", "forward", packet)
        if verdict in {"drop", "reject"}:
            return False
        if packet.source in INTERNET:
            return True
        nat = self._verdict("/ipv6/firewall/nat", "srcnat", packet)
        return nat in {"masquerade", "src-nat", "netmap"}

    def _verdict(
        self, path: str, chain: str, packet: Packet, jumps: int = 0
    ) -> str | None:
        """Return the action that ends a packet's way through a chain; None at
        the chain's end.
        """
        if jumps > LONGEST_WAY:
            return "drop"
        for rule in self._enabled(path):
            if rule["chain"] != chain or not self._matches(rule, packet):
                continue
            action: str | None = rule["action"]
            if action == "return":
                return None
            if action == "jump":
                action = self._verdict(
                    path, rule["jump-target"], packet, jumps + 1
                )
            passing = {"log", "passthrough", "notrack", "fasttrack-connection"}
            if action is not None and action not in passing:
                return action
        return None

    def _matches(self, rule: dict[str, str], packet: Packet) -> bool:
        """A rule holds for a packet when each of its matchers does."""
        facts: dict[str, Callable[[str], bool]] = {
            "in-interface": lambda text: text == packet.came_in,
            "out-interface": lambda text: text == packet.goes_out,
            "in-interface-list": lambda text: self._lists(
                text, packet.came_in
            ),
            "out-interface-list": lambda text: self._lists(
                text, packet.goes_out
            ),
            "src-address": lambda text: _covers(text, packet.source),
            "dst-address": lambda text: _covers(text, SERVER),
            "protocol": lambda text: text == packet.protocol,
            "src-port": lambda _text: False,
            "dst-port": lambda text: _has_port(text, packet.port),
            "connection-state": lambda text: "new" in text.split(","),
            "src-address-list": lambda _text: False,
            "dst-address-list": lambda _text: False,
            "hop-limit": lambda _text: False,
            "ipsec-policy": lambda text: text.endswith(",none"),
        }
        return all(
            fact(rule[name].removeprefix("!"))
            is not rule[name].startswith("!")
            for name, fact in facts.items()
            if name in rule
        )

    def _lists(self, name: str, interface: str, depth: int = 0) -> bool:
        """Return whether an interface list has an interface: what it includes,
        less what it excludes, and its own members.
        """
        if name in {"all", "static"}:
            return True
        rows = self._enabled("/interface/list")
        row = next((row for row in rows if row["name"] == name), None)
        if row is None or depth > LONGEST_WAY:
            return False
        if any(
            member["list"] == name and member["interface"] == interface
            for member in self._enabled("/interface/list/member")
        ):
            return True
        if any(
            self._lists(other, interface, depth + 1)
            for other in filter(None, row["exclude"].split(","))
        ):
            return False
        return any(
            self._lists(other, interface, depth + 1)
            for other in filter(None, row["include"].split(","))
        )


def _covers(text: str, address: IPv6Address) -> bool:
    first, dash, last = text.partition("-")
    if dash:
        return IPv6Address(first) <= address <= IPv6Address(last)
    return address in IPv6Network(first, strict=False)


def _has_port(text: str, port: int) -> bool:
    for part in text.split(","):
        first, _, last = part.partition("-")
        if int(first) <= port <= int(last or first):
            return True
    return False
