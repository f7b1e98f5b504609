"""The way of the API's clients where they come through a WireGuard tunnel:
whether the router's own configuration lets their packets in and the answers
out.

What has to be right: the interface and a peer with the hub's key, endpoint and
address, the router's address, a route back into the tunnel, the input chain of
the filter, and the service. It is looked at anew whenever one of these menus
changed. A connection that stands meets the same rules, as an established one,
and not the addresses of the service. Rules with matchers that are not known
here match nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Literal, Protocol

from simulator.options import RouterOptions
from simulator.table import Table
from simulator.values import address_span

INTERFACES = "/interface/wireguard"
PEERS = "/interface/wireguard/peers"
ADDRESSES = "/ip/address"
ROUTES = "/ip/route"
FILTER = "/ip/firewall/filter"
SERVICES = "/ip/service"

State = Literal["new", "established"]
Values = Mapping[str, str]

MOST_JUMPS = 16
STOPS = {"accept": True, "drop": False, "reject": False, "tarpit": False}
"""Actions that end the way through a chain, and whether the packet is in."""

HARMLESS = frozenset(
    {
        ".id",
        "chain",
        "action",
        "comment",
        "disabled",
        "dynamic",
        "jump-target",
        "log",
        "log-prefix",
    }
)
"""Properties of a rule that match nothing."""


class WayRouter(Protocol):
    """The part of the router that the way needs."""

    options: RouterOptions
    port: int

    @property
    def tables(self) -> dict[str, Table]:
        """The tables by the paths of their menus."""


@dataclass(frozen=True)
class Packet:
    """A packet of the hub to the API."""

    interface: str
    state: State


class TunnelWay:
    """The way of the API's clients to one router. Without the option `hub` it
    is always open.
    """

    def __init__(
        self, router: WayRouter, service: str, changed: Callable[[], None]
    ) -> None:
        """`changed` is called when a menu that the way depends on changes."""
        self._router = router
        self._service = service
        self.is_open = True
        """Whether connections that stand carry packets."""

        if router.options.hub:
            for path in (INTERFACES, PEERS, ADDRESSES, ROUTES, FILTER):
                router.tables[path].subscribe(lambda _event, _row: changed())

    def look(self) -> bool:
        """Look at the configuration as it is now; return whether the way
        opened or closed. A move is told to nobody: it shows at the next look.
        """
        before = self.is_open
        self.is_open = self.obstacle("established") is None
        return self.is_open is not before

    def obstacle(self, state: State) -> str | None:
        """Return why a packet of the hub does not come in and get its answer;
        None if it does.
        """
        options = self._router.options
        if not options.hub:
            return None
        interface = self._interface()
        if interface is None:
            return "no enabled peer leads to the hub"
        if not self._has_address():
            return "the tunnel address is gone"
        if self._route(IPv4Address(options.hub)) != interface:
            return "no route leads back into the tunnel"
        if self._chain("input", Packet(interface, state), 0) is False:
            return "the input chain drops it"
        return None

    def refusal(self) -> str | None:
        """Return why the service takes no new connection of the hub; None if
        it does.
        """
        options = self._router.options
        if not options.hub:
            return None
        obstacle = self.obstacle("new")
        if obstacle is not None:
            return obstacle
        row = self._router.tables[SERVICES].find(self._service)
        if row is None or row.values["disabled"] == "true":
            return "the service is off"
        if row.values["port"] != str(self._router.port):
            return "the service listens on another port"
        allowed = [part for part in row.values["address"].split(",") if part]
        if allowed and not any(_within(options.hub, part) for part in allowed):
            return "the service does not admit the hub"
        return None

    def _enabled(self, path: str) -> list[Values]:
        rows = self._router.tables[path].rows.values()
        return [
            row.values for row in rows if row.values.get("disabled") != "true"
        ]

    def _interface(self) -> str | None:
        """Return the name of the interface that leads to the hub."""
        options = self._router.options
        running = {
            row[".id"]: row["name"] for row in self._enabled(INTERFACES)
        }
        for peer in self._enabled(PEERS):
            endpoint = f"{peer['endpoint-address']}:{peer['endpoint-port']}"
            is_hub = peer.get("public-key") == options.hub_key
            admits = any(
                _within(options.hub, part)
                for part in peer["allowed-address"].split(",")
            )
            if is_hub and admits and endpoint == options.hub_endpoint:
                return running.get(peer["interface"])
        return None

    def _has_address(self) -> bool:
        wanted = IPv4Address(self._router.options.tunnel_address)
        return any(
            IPv4Interface(row["address"]).ip == wanted
            for row in self._enabled(ADDRESSES)
        )

    def _route(self, hub: IPv4Address) -> str | None:
        """Return over which interface, or gateway, a packet to the hub goes:
        by the longest prefix.
        """
        best = max(
            (each for each in self._routes() if hub in each[0]),
            key=lambda each: each[0].prefixlen,
            default=None,
        )
        return None if best is None else best[1]

    def _routes(self) -> Iterator[tuple[IPv4Network, str]]:
        for row in self._enabled(ADDRESSES):
            length = IPv4Interface(row["address"]).network.prefixlen
            network = IPv4Network(f"{row['network']}/{length}", strict=False)
            yield network, row["interface"]
        for row in self._enabled(ROUTES):
            network = IPv4Network(row["dst-address"])
            yield network, row.get("gateway", "")

    def _chain(self, chain: str, packet: Packet, jumps: int) -> bool | None:
        """Return whether a chain accepts or drops a packet; None if it does
        neither.
        """
        for rule in self._enabled(FILTER):
            if rule["chain"] != chain or not self._matches(rule, packet):
                continue
            action = rule["action"]
            if action in STOPS:
                return STOPS[action]
            if action == "return":
                return None
            if action == "jump" and jumps < MOST_JUMPS:
                target = rule.get("jump-target", "")
                verdict = self._chain(target, packet, jumps + 1)
                if verdict is not None:
                    return verdict
        return None

    def _matches(self, rule: Values, packet: Packet) -> bool:
        options = self._router.options
        seen: dict[str, Callable[[str], bool]] = {
            "in-interface": lambda text: text == packet.interface,
            "src-address": lambda text: _within(options.hub, text),
            "dst-address": lambda text: _within(options.tunnel_address, text),
            "protocol": lambda text: text in ("tcp", "6"),
            "dst-port": lambda text: _has_port(text, self._router.port),
            "connection-state": lambda text: packet.state in text.split(","),
        }
        for name, text in rule.items():
            if name in HARMLESS:
                continue
            matcher = seen.get(name)
            if matcher is None:
                return False
            value = text.removeprefix("!")
            if matcher(value) is not (value == text):
                return False
        return True


def follow_name(tables: Iterable[Table], before: str, after: str) -> None:
    """Let what names an interface as text follow its new name."""
    for table in tables:
        for row in list(table.rows.values()):
            changes: dict[str, str | None] = {
                name: after
                for name in ("interface", "in-interface", "gateway")
                if row.values.get(name) == before
            }
            if changes:
                table.set(row, changes)


def _within(address: str, span: str) -> bool:
    if ":" in span:
        return False
    first, last = address_span(span)
    return first <= int(IPv4Address(address)) <= last


def _has_port(text: str, port: int) -> bool:
    for part in text.split(","):
        first, _, last = part.partition("-")
        if int(first) <= port <= int(last or first):
            return True
    return False
