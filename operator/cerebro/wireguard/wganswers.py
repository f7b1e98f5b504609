"""Unpacks the kernel's answers of WireGuard's generic netlink family. Pure,
but for the `PeerCache` handed in.

With ten thousand peers most of a reading is unpacking, so peers whose bytes
are as they were are not unpacked again, and the usual form of a peer is
unpacked in one go.
"""

from __future__ import annotations

import binascii
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv6Address
from struct import Struct

from cerebro.wireguard.model import ActualPeer, Endpoint, Interface, Link
from cerebro.wireguard.wgformat import (
    A_ADDRESS,
    A_FAMILY,
    A_LENGTH,
    ALLOWED_BEFORE_ADDRESS,
    ATTRIBUTE,
    D_LISTEN_PORT,
    D_PEERS,
    D_PRIVATE_KEY,
    D_PUBLIC_KEY,
    ENDPOINT_4,
    ENDPOINT_6,
    GENERIC,
    HANDSHAKE,
    KIND,
    NO_KEY,
    P_ALLOWED,
    P_ENDPOINT,
    P_HANDSHAKE,
    P_KEEPALIVE,
    P_PRESHARED_KEY,
    P_PROTOCOL,
    P_PUBLIC_KEY,
    P_RX,
    P_TX,
    PORT,
    U16,
    U64,
)

# How the kernel begins a peer: its own header, then key, secret, handshake,
# keepalive, traffic and protocol version, each header in one.
_BEGINNING = Struct("=II32sI32sIqqIHxxIQIQII")
_BEGINNING_HEADERS = tuple(
    (kind << 16) + size
    for kind, size in (
        (P_PUBLIC_KEY, 36), (P_PRESHARED_KEY, 36), (P_HANDSHAKE, 20), (P_KEEPALIVE, 6), (P_TX, 12), (P_RX, 12),
        (P_PROTOCOL, 8),
    )
)  # fmt: skip

_Rest = tuple[Endpoint | None, frozenset[str]]
"""Endpoint and allowed addresses of a peer."""

_Where = Mapping[int, tuple[int, int]]
"""By kind, start and end of an attribute's value."""

_MOST_RESTS = 1 << 16
_MOST_INTERFACES = 64


class PeerCache:
    """What earlier readings found, so that the next one unpacks only the peers
    that changed.

    It changes no result, only the time that a reading takes. Any thread may
    read with it: each step is one operation of a dictionary, and two threads
    at worst unpack the same peer twice.
    """

    __slots__ = ("last", "rests")

    def __init__(self) -> None:
        self.last: dict[str, dict[bytes, ActualPeer]] = {}
        """By interface, then by their bytes, the peers of its last reading:
        most are silent most of the time.
        """

        self.rests: dict[bytes, _Rest] = {}
        """By its bytes, the end of a peer: it seldom changes, and turning it
        into text takes longest.
        """

    def known(self, name: str) -> Mapping[bytes, ActualPeer]:
        """Return the peers of the last reading of an interface, by their
        bytes.
        """
        return self.last.get(name, {})

    def keep(self, name: str, peers: dict[bytes, ActualPeer]) -> None:
        """Keep the peers of a reading in place of those of the one before."""
        if name not in self.last and len(self.last) >= _MOST_INTERFACES:
            self.last.clear()

        self.last[name] = peers

    def add_rest(self, packed: bytes) -> _Rest:
        """Unpack and keep the end of a peer: its endpoint and allowed
        addresses.
        """
        if len(self.rests) >= _MOST_RESTS:
            self.rests.clear()

        rest = self.rests[packed] = _unpack_rest(packed)

        return rest


def interface(
    name: str, answers: Iterable[bytes], link: Link, cache: PeerCache
) -> Interface:
    """Return the interface that the answers to `get` describe, with the state
    of its link.

    `cache` is read and filled.
    """

    private_key = public_key = None
    port = 0
    peers: dict[str, ActualPeer] = {}
    known = cache.known(name)
    read: dict[bytes, ActualPeer] = {}

    for answer in answers:
        for kind, start, end in _attributes(answer, GENERIC.size, len(answer)):
            if kind == D_PEERS:
                _unpack_peers(
                    answer,
                    start,
                    end,
                    peers,
                    known=known,
                    read=read,
                    cache=cache,
                )
            elif kind == D_PRIVATE_KEY:
                private_key = _text(answer[start:end])
            elif kind == D_PUBLIC_KEY:
                public_key = _text(answer[start:end])
            elif kind == D_LISTEN_PORT:
                (port,) = U16.unpack_from(answer, start)

    cache.keep(name, read)

    return Interface(
        name=name,
        private_key=private_key,
        public_key=public_key,
        listen_port=port,
        mtu=link.mtu,
        up=link.up,
        addresses=link.addresses,
        routes=link.routes,
        peers=peers,
    )


def _text(key: bytes) -> str | None:
    return (
        None
        if key == NO_KEY
        else binascii.b2a_base64(key, newline=False).decode()
    )


def _attributes(
    data: bytes, offset: int, end: int
) -> Iterator[tuple[int, int, int]]:
    """Yield kind, start and end of each attribute's value."""
    unpack = ATTRIBUTE.unpack_from
    while offset + 4 <= end:
        size, kind = unpack(data, offset)
        yield kind & KIND, offset + 4, offset + size
        offset += (size + 3 & ~3) or 4


def _unpack_peers(
    data: bytes,
    start: int,
    end: int,
    peers: dict[str, ActualPeer],
    *,
    known: Mapping[bytes, ActualPeer],
    read: dict[bytes, ActualPeer],
    cache: PeerCache,
) -> None:
    """Add the peers between `start` and `end` of an answer to `peers`, by
    public key, and to `read`, by bytes.

    `known` are the peers of the last reading, by bytes.
    """
    get = known.get
    size = 0
    while start + 4 <= end:
        # Most have the size of the one before, and one that is known begins
        # with its own.
        raw = data[start : start + size]
        peer = get(raw)
        if peer is None:
            size, _ = ATTRIBUTE.unpack_from(data, start)
            raw = data[start : start + size]
            peer = get(raw) or _unpack_whole(raw, cache)

        start += (size + 3 & ~3) or 4

        if peer is not None:
            read[raw] = peers[peer.public_key] = peer
            continue

        # Any other form than the usual one, and a peer with many addresses,
        # which goes on in the next answer with its key and the rest of them.
        where = {
            kind: (first, last)
            for kind, first, last in _attributes(raw, 4, len(raw))
        }

        peer = _unpack_peer(raw, where)
        begun = peers.get(peer.public_key)
        if begun is not None and P_HANDSHAKE not in where:
            peer = replace(
                begun, allowed_ips=begun.allowed_ips | peer.allowed_ips
            )

        peers[peer.public_key] = peer


def _unpack_whole(data: bytes, cache: PeerCache) -> ActualPeer | None:
    """Return a peer as the kernel usually writes it; None for any other."""
    if len(data) < _BEGINNING.size:
        return None

    (
        _, h1, key, h2, secret, h3, seconds, nanoseconds, h4, keepalive, h5, tx, h6, rx, h7, _
    ) = _BEGINNING.unpack_from(data)  # fmt: skip

    if (h1, h2, h3, h4, h5, h6, h7) != _BEGINNING_HEADERS:
        return None

    packed_rest = data[_BEGINNING.size :]
    endpoint, allowed_ips = cache.rests.get(packed_rest) or cache.add_rest(
        packed_rest
    )

    return ActualPeer(
        binascii.b2a_base64(key, newline=False).decode(),
        allowed_ips,
        _text(secret),
        keepalive,
        endpoint,
        seconds + nanoseconds / 1e9,
        rx,
        tx,
    )


def _unpack_rest(data: bytes) -> _Rest:
    """Return endpoint and allowed addresses out of what follows the usual
    beginning of a peer.
    """
    if len(data) == 32 and data.startswith(ALLOWED_BEFORE_ADDRESS):
        return None, frozenset(
            {f"{socket.inet_ntop(socket.AF_INET, data[20:24])}/{data[28]}"}
        )

    where = {
        kind: (start, end)
        for kind, start, end in _attributes(data, 0, len(data))
    }

    return _unpack_endpoint(data, where), _unpack_allowed(data, where)


def _unpack_peer(data: bytes, where: _Where) -> ActualPeer:
    """Return a peer in any form, by where its attributes are."""
    start, end = where[P_PUBLIC_KEY]
    public_key = binascii.b2a_base64(data[start:end], newline=False).decode()
    allowed = _unpack_allowed(data, where)
    if P_HANDSHAKE not in where:
        return ActualPeer(public_key, allowed)

    seconds, nanoseconds = HANDSHAKE.unpack_from(data, where[P_HANDSHAKE][0])
    secret_start, secret_end = where[P_PRESHARED_KEY]

    return ActualPeer(
        public_key,
        allowed,
        _text(data[secret_start:secret_end]),
        U16.unpack_from(data, where[P_KEEPALIVE][0])[0],
        _unpack_endpoint(data, where),
        seconds + nanoseconds / 1e9,
        U64.unpack_from(data, where[P_RX][0])[0],
        U64.unpack_from(data, where[P_TX][0])[0],
    )


def _unpack_endpoint(data: bytes, where: _Where) -> Endpoint | None:
    if P_ENDPOINT not in where:
        return None

    start, _ = where[P_ENDPOINT]
    (family,) = U16.unpack_from(data, start)
    layout = ENDPOINT_4 if family == socket.AF_INET else ENDPOINT_6
    _, port, address = layout.unpack_from(data, start)

    return _address(family, address), PORT.unpack(port)[0]


def _unpack_allowed(data: bytes, where: _Where) -> frozenset[str]:
    if P_ALLOWED not in where:
        return frozenset()

    networks = set()
    for _, first, last in _attributes(data, *where[P_ALLOWED]):
        family = length = 0
        address = b""
        for kind, begin, stop in _attributes(data, first, last):
            if kind == A_FAMILY:
                (family,) = U16.unpack_from(data, begin)
            elif kind == A_ADDRESS:
                address = data[begin:stop]
            elif kind == A_LENGTH:
                length = data[begin]

        networks.add(f"{_address(family, address)}/{length}")

    return frozenset(networks)


def _address(family: int, packed: bytes) -> str:
    """Return an address as canonical text."""
    text = socket.inet_ntop(family, packed)

    # The C library writes an embedded IPv4 address with dots, Python's
    # ipaddress, which is canonical here, does not.
    return str(IPv6Address(packed)) if ":" in text and "." in text else text
