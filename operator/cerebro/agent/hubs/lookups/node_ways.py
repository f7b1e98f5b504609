"""What a node itself has to reach outside of all tunnels (rules E5, E17): the
networks that it is in, the API server, its name servers, its default gateways.
"""

from __future__ import annotations

import asyncio
import ipaddress
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from cerebro.agent.hubs.lookups.endpoints import addresses_of
from cerebro.agent.hubs.model import HubDesired
from cerebro.runtime.threads import in_thread
from cerebro.wireguard.networks import (
    connected_networks,
    interface_address,
    span,
)

_RESOLV_CONF = Path("/etc/resolv.conf")

_ROUTES_4 = Path("/proc/net/route")
_ROUTES_6 = Path("/proc/net/ipv6_route")
"""The main table; see proc_net(5)."""

_FIRST = 1.0
"""Seconds for the API server's name before the first pass."""

_RESOLVE = 5.0
"""Seconds for the API server's name."""

# What a condition says is at an address.
_API_SERVER = "the API server"
_NAME_SERVER = "a name server of the node"
_GATEWAY = "the node's default gateway"


class NodeWays:
    """Where the node's own ways lead, for the passes over one Hub.

    `server` is the URL of the API server. `changed` is called when its name
    has other addresses.
    """

    def __init__(self, server: str, changed: Callable[[], None]) -> None:
        self._host = urlsplit(server).hostname or ""
        self._changed = changed
        self._api_server: frozenset[str] = frozenset()
        """Its addresses, as far as they are known."""
        self._lookup: asyncio.Task[None] | None = None

    async def look_up(self, *, refresh: bool) -> dict[str, str]:
        """Return by address what is there.

        The node's files are read each time. A name of the API server is looked
        up meanwhile, with `refresh` anew; the first time it is waited for, at
        most a second.
        """
        first = self._lookup is None

        if first or (refresh and self._lookup and self._lookup.done()):
            self._lookup = asyncio.create_task(
                self._resolve(), name="resolve the API server"
            )

        if first and self._lookup is not None:
            await asyncio.wait((self._lookup,), timeout=_FIRST)

        ways = await in_thread(_ways_in_files)
        ways.update(dict.fromkeys(self._api_server, _API_SERVER))

        return ways

    def close(self) -> None:
        """Look nothing up any more."""
        if self._lookup is not None:
            self._lookup.cancel()

    async def _resolve(self) -> None:
        """Note the addresses of the API server, and call `changed` if they are
        others; a failed look-up changes nothing.
        """
        addresses = {self._host}

        if _address(self._host) is None:
            addresses = set()
            with suppress(OSError, TimeoutError, UnicodeError):
                async with asyncio.timeout(_RESOLVE):
                    resolved = await addresses_of(self._host, 443)
                    addresses = {address for address, _ in resolved}

        known = frozenset(_texts(addresses))
        if known and known != self._api_server:
            self._api_server = known
            self._changed()


def _ways_in_files() -> dict[str, str]:
    """Return what the node's files say, by address; one that is both a gateway
    and a name server is called a name server.
    """
    gateways = [
        *gateways_4(_text_of(_ROUTES_4)),
        *gateways_6(_text_of(_ROUTES_6)),
    ]

    ways = dict.fromkeys(_texts(gateways), _GATEWAY)
    servers = name_servers(_text_of(_RESOLV_CONF))
    ways.update(dict.fromkeys(_texts(servers), _NAME_SERVER))

    return ways


def _text_of(path: Path) -> str:
    """Return the text of a file, empty if it cannot be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""  # no such protocol on this node


def name_servers(text: str) -> Iterator[str]:
    """Yield the name servers that a resolv.conf names."""
    for line in text.splitlines():
        match line.split():
            case ["nameserver", address, *_]:
                yield address.partition("%")[0]


def gateways_4(text: str) -> Iterator[str]:
    """Yield the gateways of default routes in `/proc/net/route`, where
    addresses are in hex, in the byte order of the machine.
    """
    for line in text.splitlines()[1:]:
        match line.split():
            case [_, "00000000", gateway, _, _, _, _, "00000000", *_]:
                packed = int(gateway, 16).to_bytes(4, sys.byteorder)
                yield str(ipaddress.IPv4Address(packed))


def gateways_6(text: str) -> Iterator[str]:
    """Yield the gateways of default routes in `/proc/net/ipv6_route`."""
    for line in text.splitlines():
        match line.split():
            case [_, "00", _, _, gateway, *_]:
                yield str(ipaddress.IPv6Address(bytes.fromhex(gateway)))


def _texts(addresses: Iterable[str]) -> Iterator[str]:
    """Yield the addresses that lead somewhere, in canonical form."""
    for text in addresses:
        address = _address(text)
        if address is None or address.is_unspecified or address.is_loopback:
            continue

        yield str(address)


def _address(
    text: str,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a text is; None if it is a name or nothing."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def node_networks_of(
    desired: HubDesired, connected: Callable[[], Sequence[tuple[str, str]]]
) -> dict[str, str]:
    """Return the networks that the node is connected to besides a Hub's, and
    where each of them is.

    `connected` reads the addresses of the node's links; it is called only if a
    Peer asks for a network that would get a route.
    """

    spec = desired.hub.spec
    if spec.routes != "Managed":
        return {}

    pools = [interface_address(text)[2] for text in spec.addresses]
    wanted = (
        span(text) for peer in desired.peers for text in peer.spec.allowed_ips
    )

    if all(any(network.within(pool) for pool in pools) for network in wanted):
        return {}

    networks = connected_networks(
        connected(), {"lo", spec.interface, *desired.beside}
    )

    return {
        network: f"{link} on the node {desired.node}"
        for network, link in networks.items()
    }
