"""Networks as canonical text and as spans of numbers, read once each. Pure; knows no interface and no object.

Allowed addresses come as text, in tens of thousands and the same ones on every pass, so what a text means is
remembered.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from typing import Literal, NamedTuple

from cerebro.wireguard.model import Endpoint

WIDEST_V4, WIDEST_V6 = 8, 7
"""Prefix lengths of the widest networks that anybody owns (10.0.0.0/8, fc00::/7)."""


class Span(NamedTuple):
    """A network: its canonical text, and its first and last address as numbers."""

    text: str
    version: Literal[4, 6]
    prefix: int
    first: int
    last: int

    @property
    def host(self) -> bool:
        """Tell whether it is one address."""
        return self.first == self.last

    @property
    def takes_all(self) -> bool:
        """Tell whether it is a default route, or so wide (0.0.0.0/1, 2000::/3) that it acts like one."""
        return self.prefix < (WIDEST_V4 if self.version == 4 else WIDEST_V6)

    def overlaps(self, other: Span) -> bool:
        """Tell whether the two share an address."""
        return self.version == other.version and self.first <= other.last and other.first <= self.last

    def within(self, other: Span) -> bool:
        """Tell whether the other has all its addresses."""
        return self.version == other.version and other.first <= self.first and self.last <= other.last


@lru_cache(maxsize=1 << 16)
def span(network: str) -> Span:
    """Read a network such as `10.64.0.0/16`; an address without prefix length is a host route.

    Raises ValueError when it is none, or has bits set behind its prefix.
    """
    read = ipaddress.ip_network(network)
    first = int(read.network_address)
    size = 1 << (read.max_prefixlen - read.prefixlen)
    return Span(str(read), read.version, read.prefixlen, first, first + size - 1)


def without(networks: Iterable[str], holes: Iterable[str]) -> frozenset[str]:
    """Return what is left of the networks, as networks, without those of `holes` that lie within one."""
    sorted_holes = sorted({span(text) for text in holes}, key=_first)
    starts = [_first(hole) for hole in sorted_holes]
    left: set[str] = set()
    for text in networks:
        whole = span(text)
        start = bisect_left(starts, _first(whole))
        end = bisect_right(starts, (whole.version, whole.last))
        inside = [hole for hole in sorted_holes[start:end] if hole.within(whole)]
        left |= set(_left(whole, inside)) if inside else {whole.text}
    return frozenset(left)


def _first(network: Span) -> tuple[int, int]:
    return network.version, network.first


def _left(whole: Span, holes: Iterable[Span]) -> Iterator[str]:
    address = ipaddress.IPv4Address if whole.version == 4 else ipaddress.IPv6Address
    first = whole.first
    for start, end in [*((hole.first, hole.last) for hole in holes), (whole.last + 1, whole.last)]:
        if start > first:
            for part in ipaddress.summarize_address_range(address(first), address(start - 1)):
                yield str(part)
        first = max(first, end + 1)


@lru_cache(maxsize=1 << 10)
def interface_address(text: str) -> tuple[str, Span, Span]:
    """Read an interface's address such as `10.64.0.1/16`: canonical text, the address alone, its network.

    Raises ValueError when it is none.
    """
    read = ipaddress.ip_interface(text)
    return read.with_prefixlen, span(str(read.ip)), span(str(read.network))


def connected_networks(addresses: Iterable[tuple[str, str]], leave_out: Collection[str]) -> dict[str, str]:
    """Return the networks whose neighbours a node reaches directly, each with a link's name, from its links' addresses.

    Without the links in `leave_out`, and without loopback, link-local and single addresses: the kernel looks for
    those before any route, or there is nobody else in them.
    """
    found: dict[str, str] = {}
    for name, text in addresses:
        network = ipaddress.ip_interface(text).network
        alone = network.prefixlen == network.max_prefixlen
        if name not in leave_out and not (alone or network.is_loopback or network.is_link_local):
            found.setdefault(str(network), name)
    return found


def split_endpoint(text: str) -> tuple[str, int]:
    """Split `host:port` or `[v6]:port` into host, without brackets, and port.

    Raises ValueError when it has no port from 1 to 65535.
    """
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (host and port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ValueError(f"{text!r} is no endpoint: write host:port, such as vpn.example.net:51820")
    return host, int(port)


def literal_endpoint(text: str) -> Endpoint | None:
    """Give the endpoint where its host is an IP address; None where it is a name that must be looked up first.

    Raises ValueError as `split_endpoint`.
    """
    host, port = split_endpoint(text)
    try:
        return str(ipaddress.ip_address(host)), port
    except ValueError:
        return None
