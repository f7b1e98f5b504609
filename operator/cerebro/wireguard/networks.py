"""Networks as canonical text and as spans of numbers, read once each. Pure;
knows no interface and no object.

Allowed addresses come as text, in tens of thousands and the same ones on every
pass, so what a text means is remembered.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from cerebro.wireguard.model import Endpoint

WIDEST_V4 = 8
WIDEST_V6 = 7
"""Prefix lengths of the widest networks that anybody owns (10.0.0.0/8,
fc00::/7).
"""


class Span(NamedTuple):
    """A network: its canonical text, and its first and last address as
    numbers.
    """

    text: str
    version: Literal[4, 6]
    prefix: int
    first: int
    last: int

    @property
    def host(self) -> bool:
        """Whether it is a single address."""
        return self.first == self.last

    @property
    def takes_all(self) -> bool:
        """Whether it is a default route, or so wide (0.0.0.0/1, 2000::/3) that
        it acts like one.
        """
        widest = WIDEST_V4 if self.version == 4 else WIDEST_V6

        return self.prefix < widest

    def overlaps(self, network: Span) -> bool:
        """Return whether the two share an address."""
        return (
            self.version == network.version
            and self.first <= network.last
            and network.first <= self.last
        )

    def within(self, network: Span) -> bool:
        """Return whether all its addresses lie in `network`."""
        return (
            self.version == network.version
            and network.first <= self.first
            and self.last <= network.last
        )


@lru_cache(maxsize=1 << 16)
def span(network: str) -> Span:
    """Read a network such as `10.64.0.0/16`; an address without prefix length
    is a host route.

    Raises ValueError if the text is no network, or has bits set behind its
    prefix.
    """
    read = ipaddress.ip_network(network)
    first = int(read.network_address)
    size = 1 << (read.max_prefixlen - read.prefixlen)

    return Span(
        str(read), read.version, read.prefixlen, first, first + size - 1
    )


def without(networks: Iterable[str], holes: Iterable[str]) -> frozenset[str]:
    """Return the networks without those of `holes` that lie within one of
    them; the rest again as networks.
    """

    sorted_holes = sorted({span(text) for text in holes}, key=_start)
    starts = [_start(hole) for hole in sorted_holes]

    result: set[str] = set()
    for text in networks:
        whole = span(text)
        inside = _holes_in(whole, sorted_holes, starts)
        if inside:
            result.update(_around(whole, inside))
        else:
            result.add(whole.text)

    return frozenset(result)


def _start(network: Span) -> tuple[int, int]:
    return network.version, network.first


def _holes_in(
    whole: Span, holes: Sequence[Span], starts: Sequence[tuple[int, int]]
) -> list[Span]:
    """Return the holes that lie within a network. `holes` are in the order of
    their `starts`.
    """
    begin = bisect_left(starts, _start(whole))
    end = bisect_right(starts, (whole.version, whole.last))

    return [hole for hole in holes[begin:end] if hole.within(whole)]


def _around(whole: Span, holes: Iterable[Span]) -> Iterator[str]:
    """Yield the networks that make up a network without its holes, which are
    in order and lie within it.
    """

    address = (
        ipaddress.IPv4Address if whole.version == 4 else ipaddress.IPv6Address
    )

    gaps = [(hole.first, hole.last) for hole in holes]
    gaps.append((whole.last + 1, whole.last))

    first = whole.first
    for start, end in gaps:
        if start > first:
            for part in ipaddress.summarize_address_range(
                address(first), address(start - 1)
            ):
                yield str(part)

        first = max(first, end + 1)


@lru_cache(maxsize=1 << 10)
def interface_address(text: str) -> tuple[str, Span, Span]:
    """Read an interface's address such as `10.64.0.1/16`: canonical text, the
    address alone, its network.

    Raises ValueError if the text is none.
    """
    read = ipaddress.ip_interface(text)

    return read.with_prefixlen, span(str(read.ip)), span(str(read.network))


def connected_networks(
    addresses: Iterable[tuple[str, str]], leave_out: Collection[str]
) -> dict[str, str]:
    """Return the networks whose neighbours a node reaches directly, each with
    the name of its link.

    `addresses` are those of the node's links, each after the link's name. Left
    out are the links in `leave_out`, and loopback, link-local and single
    addresses: the kernel looks for those before any route, or nobody else is
    in them.
    """
    connected: dict[str, str] = {}
    for link, text in addresses:
        if link in leave_out:
            continue

        network = ipaddress.ip_interface(text).network
        alone = network.prefixlen == network.max_prefixlen
        if not (alone or network.is_loopback or network.is_link_local):
            connected.setdefault(str(network), link)

    return connected


@lru_cache(maxsize=1 << 16)
def endpoint_text(endpoint: Endpoint) -> str:
    """Return an endpoint as `host:port`, or `[v6]:port`."""
    host, port = endpoint
    if ":" in host:
        return f"[{host}]:{port}"

    return f"{host}:{port}"


def split_endpoint(text: str) -> tuple[str, int]:
    """Split `host:port` or `[v6]:port` into host, without brackets, and port.

    Raises ValueError if it has no port from 1 to 65535.
    """

    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    number = int(port) if port.isascii() and port.isdigit() else 0
    if not host or not 1 <= number <= 65535:
        raise ValueError(
            f"{text!r} is no endpoint: write host:port, such as vpn.example.net:51820"
        )

    return host, number


def ip_endpoint(text: str | None) -> Endpoint | None:
    """Return the endpoint that a text names by IP address; None if it names
    none, or an address that only counts on one link.
    """
    if not text or "%" in text:
        return None

    try:
        return literal_endpoint(text)
    except ValueError:
        return None


def literal_endpoint(text: str) -> Endpoint | None:
    """Return the endpoint if its host is an IP address; None if it is a name
    that must be looked up first.

    Raises ValueError as `split_endpoint`.
    """
    host, port = split_endpoint(text)
    try:
        return str(ipaddress.ip_address(host)), port
    except ValueError:
        return None
