"""Packs and unpacks the payloads of WireGuard's generic netlink family. Pure,
but for the `PeerCache` handed in.

Layout and limits: the kernel's include/uapi/linux/wireguard.h. An attribute
holds 65,531 bytes at most, and all peers of a message lie in one, so long
configurations take several messages.
"""

from __future__ import annotations

import binascii
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv6Address
from struct import Struct

from cerebro.wireguard.model import (
    ActualPeer,
    Endpoint,
    Interface,
    Link,
    PeerChange,
)
from cerebro.wireguard.netlink import attribute

_GET_DEVICE, _SET_DEVICE = 0, 1
_VERSION = 1
_NESTED = 0x8000
_KIND = 0x3FFF

_D_IFNAME, _D_PRIVATE_KEY, _D_PUBLIC_KEY, _D_LISTEN_PORT, _D_PEERS = (
    2,
    3,
    4,
    6,
    8,
)
(
    _P_PUBLIC_KEY, _P_PRESHARED_KEY, _P_FLAGS, _P_ENDPOINT, _P_KEEPALIVE, _P_HANDSHAKE, _P_RX, _P_TX, _P_ALLOWED,
    _P_PROTOCOL,
) = range(1, 11)  # fmt: skip
_REMOVE_ME, _REPLACE_ALLOWED_IPS, _UPDATE_ONLY = 1, 2, 4

_GENERIC = Struct("=BBH")
_HEADER = Struct("=HH")
_U16 = Struct("=H")
_U32 = Struct("=I")
_U64 = Struct("=Q")
_HANDSHAKE = Struct("=qq")
_PORT = Struct("!H")
_ENDPOINT_4 = Struct("=H2s4s8x")
_ENDPOINT_6 = Struct("=H2s4x16s4x")

# A whole allowed address in one go: its header, and family, address and prefix
# length with a header each.
_ALLOWED_4 = Struct("=HHHHH2xHH4sHHB3x")
_ALLOWED_6 = Struct("=HHHHH2xHH16sHHB3x")
_A_FAMILY, _A_ADDRESS, _A_LENGTH = 1, 2, 3

# A peer with one IPv4 address and nothing else, as nearly all are: its bytes
# up to the key, up to the address by the flags, and after it by the prefix
# length as text; and in an answer what stands before the address.
_PEER_BEFORE_KEY = Struct("=HHHH").pack(80, _NESTED, 36, _P_PUBLIC_KEY)
_ALLOWED_BEFORE_ADDRESS = Struct("=HHHHHHH2xHH").pack(
    32, _P_ALLOWED | _NESTED, 28, _NESTED, 6, _A_FAMILY, socket.AF_INET, 8, _A_ADDRESS
)  # fmt: skip
_PEER_BEFORE_ADDRESS = tuple(
    Struct("=HHI").pack(8, _P_FLAGS, flags) + _ALLOWED_BEFORE_ADDRESS
    for flags in range(8)
)
_AFTER_ADDRESS = {
    str(length): Struct("=HHB3x").pack(5, _A_LENGTH, length)
    for length in range(33)
}

_NO_KEY = bytes(32)

# How the kernel begins a peer: its own header, then key, secret, handshake,
# keepalive, traffic and protocol version, each header in one.
_BEGINNING = Struct("=II32sI32sIqqIHxxIQIQII")
_BEGINNING_HEADERS = tuple(
    (kind << 16) + size
    for kind, size in (
        (_P_PUBLIC_KEY, 36), (_P_PRESHARED_KEY, 36), (_P_HANDSHAKE, 20), (_P_KEEPALIVE, 6), (_P_TX, 12), (_P_RX, 12),
        (_P_PROTOCOL, 8),
    )
)  # fmt: skip

_Rest = tuple[Endpoint | None, frozenset[str]]
"""Endpoint and allowed addresses of a peer."""

_MOST_RESTS = 1 << 16
_MOST_INTERFACES = 64

MESSAGE_BYTES = 32 * 1024
"""Of peers in a message; while it works through one, the kernel holds up all
changes of links on the node.
"""

ALLOWED_IPS_OF_AN_ENTRY = 500
"""A peer with more of them takes several entries, so that each fits into a
message.
"""


Entry = tuple[str, bytes]
"""One peer in a message: its public key, and it packed."""


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


def get(name: str) -> bytes:
    """Return the request for the interface with all its peers."""
    return _GENERIC.pack(_GET_DEVICE, _VERSION, 0) + attribute(
        _D_IFNAME, _name(name)
    )


def device(
    name: str, *, private_key: str | None, listen_port: int | None
) -> bytes:
    """Return the request that sets what is given; raise ValueError for a key
    that is none.
    """
    payload = _GENERIC.pack(_SET_DEVICE, _VERSION, 0) + attribute(
        _D_IFNAME, _name(name)
    )
    if private_key is not None:
        payload += attribute(_D_PRIVATE_KEY, _key(private_key))

    if listen_port is not None:
        payload += attribute(_D_LISTEN_PORT, _U16.pack(listen_port))

    return payload


def peers(name: str, entries: Iterable[Entry]) -> bytes:
    """Return the request that changes those peers."""
    packed = b"".join([packed for _, packed in entries])
    return (
        _GENERIC.pack(_SET_DEVICE, _VERSION, 0)
        + attribute(_D_IFNAME, _name(name))
        + attribute(_D_PEERS | _NESTED, packed)
    )


def split(
    changes: Iterable[PeerChange], refused: dict[str, str]
) -> Iterator[list[Entry]]:
    """Yield the entries of one message after the other, in order; what cannot
    be packed goes to `refused`.
    """
    message: list[Entry] = []
    size = 0
    for entry in _pack(changes, refused):
        length = len(entry[1])
        if size + length > MESSAGE_BYTES and message:
            yield message
            message, size = [], 0

        message.append(entry)
        size += length

    if message:
        yield message


def _pack(
    changes: Iterable[PeerChange], refused: dict[str, str]
) -> Iterator[Entry]:
    for change in changes:
        try:
            simple = _simple(change)
            entries = _entries(change) if simple is None else ()
        except (ValueError, OSError, struct.error) as error:
            refused[change.public_key] = (
                f"cannot be told to the kernel: {error}"
            )

            continue

        if simple is not None:
            yield change.public_key, simple
        else:
            yield from entries


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
        for kind, start, end in _attributes(
            answer, _GENERIC.size, len(answer)
        ):
            if kind == _D_PEERS:
                _unpack_peers(
                    answer,
                    start,
                    end,
                    peers,
                    known=known,
                    read=read,
                    cache=cache,
                )
            elif kind == _D_PRIVATE_KEY:
                private_key = _text(answer[start:end])
            elif kind == _D_PUBLIC_KEY:
                public_key = _text(answer[start:end])
            elif kind == _D_LISTEN_PORT:
                (port,) = _U16.unpack_from(answer, start)

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


def _name(name: str) -> bytes:
    return name.encode() + b"\0"


def _key(text: str) -> bytes:
    key = binascii.a2b_base64(text, strict_mode=True)
    if len(key) != 32:
        raise ValueError("a key is base64 of 32 bytes")

    return key


def _text(key: bytes) -> str | None:
    return (
        None
        if key == _NO_KEY
        else binascii.b2a_base64(key, newline=False).decode()
    )


def _entries(change: PeerChange) -> list[Entry]:
    key = attribute(_P_PUBLIC_KEY, _key(change.public_key))
    flags = _flags(change)
    body = key + attribute(_P_FLAGS, _U32.pack(flags))
    if change.remove:
        return [(change.public_key, attribute(_NESTED, body))]

    if change.preshared_key is not None:
        secret = (
            _key(change.preshared_key) if change.preshared_key else _NO_KEY
        )

        body += attribute(_P_PRESHARED_KEY, secret)

    if change.persistent_keepalive is not None:
        body += attribute(_P_KEEPALIVE, _U16.pack(change.persistent_keepalive))

    if change.endpoint is not None:
        body += attribute(_P_ENDPOINT, _endpoint(change.endpoint))

    allowed = [_allowed_ip(network) for network in change.allowed_ips]
    entries = []
    for start in range(0, len(allowed) or 1, ALLOWED_IPS_OF_AN_ENTRY):
        if start:
            # What was refused or is gone meanwhile is not made anew by its
            # second part.
            body = key + attribute(_P_FLAGS, _U32.pack(_UPDATE_ONLY))

        if part := b"".join(allowed[start : start + ALLOWED_IPS_OF_AN_ENTRY]):
            body += attribute(_P_ALLOWED | _NESTED, part)

        entries.append((change.public_key, attribute(_NESTED, body)))

    return entries


def _simple(change: PeerChange) -> bytes | None:
    """Return a peer with one IPv4 address and nothing else, packed in one go;
    None for any other.
    """

    if (
        len(change.allowed_ips) != 1
        or change.remove
        or change.preshared_key is not None
        or change.persistent_keepalive is not None
        or change.endpoint is not None
    ):
        return None

    address, _, length = change.allowed_ips[0].partition("/")
    after = _AFTER_ADDRESS.get(length)
    if after is None or ":" in address:
        return None

    packed = socket.inet_pton(socket.AF_INET, address)
    flags = (
        _UPDATE_ONLY * change.update_only
        | _REPLACE_ALLOWED_IPS * change.replace_allowed_ips
    )

    return b"".join(
        (
            _PEER_BEFORE_KEY,
            _key(change.public_key),
            _PEER_BEFORE_ADDRESS[flags],
            packed,
            after,
        )
    )


def _flags(change: PeerChange) -> int:
    return (
        (_REMOVE_ME if change.remove else 0)
        | (_REPLACE_ALLOWED_IPS if change.replace_allowed_ips else 0)
        | (_UPDATE_ONLY if change.update_only else 0)
    )


def _endpoint(endpoint: Endpoint) -> bytes:
    address, port = endpoint
    if ":" in address:
        return _ENDPOINT_6.pack(
            socket.AF_INET6,
            _PORT.pack(port),
            socket.inet_pton(socket.AF_INET6, address),
        )

    return _ENDPOINT_4.pack(
        socket.AF_INET,
        _PORT.pack(port),
        socket.inet_pton(socket.AF_INET, address),
    )


def _allowed_ip(network: str) -> bytes:
    address, _, length = network.partition("/")
    if ":" in address:
        family, layout, size = socket.AF_INET6, _ALLOWED_6, 16
    else:
        family, layout, size = socket.AF_INET, _ALLOWED_4, 4

    return layout.pack(
        layout.size, _NESTED,
        6, _A_FAMILY, family,
        4 + size, _A_ADDRESS, socket.inet_pton(family, address),
        5, _A_LENGTH, int(length),
    )  # fmt: skip


def _attributes(
    data: bytes, offset: int, end: int
) -> Iterator[tuple[int, int, int]]:
    """Yield kind, start and end of each attribute's value."""
    unpack = _HEADER.unpack_from
    while offset + 4 <= end:
        size, kind = unpack(data, offset)
        yield kind & _KIND, offset + 4, offset + size
        offset += (size + 3 & ~3) or 4


def _unpack_peers(
    data: bytes,
    start: int,
    end: int,
    found: dict[str, ActualPeer],
    *,
    known: Mapping[bytes, ActualPeer],
    read: dict[bytes, ActualPeer],
    cache: PeerCache,
) -> None:
    """Add the peers between `start` and `end` of an answer to `found`, by
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
            size, _ = _HEADER.unpack_from(data, start)
            raw = data[start : start + size]
            peer = get(raw) or _unpack_whole(raw, cache)

        start += (size + 3 & ~3) or 4

        if peer is not None:
            read[raw] = found[peer.public_key] = peer
            continue

        where = {
            kind: (first, last)
            for kind, first, last in _attributes(raw, 4, len(raw))
        }

        peer = _unpack_peer(raw, where)
        if (begun := found.get(peer.public_key)) and _P_HANDSHAKE not in where:
            # A peer with many addresses goes on in the next answer, with its
            # key and the rest of them.
            peer = ActualPeer(
                begun.public_key, begun.allowed_ips | peer.allowed_ips, begun.preshared_key,
                begun.persistent_keepalive, begun.endpoint, begun.last_handshake, begun.rx_bytes, begun.tx_bytes,
            )  # fmt: skip

        found[peer.public_key] = peer


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
    if len(data) == 32 and data.startswith(_ALLOWED_BEFORE_ADDRESS):
        return None, frozenset(
            {f"{socket.inet_ntop(socket.AF_INET, data[20:24])}/{data[28]}"}
        )

    where = {
        kind: (start, end)
        for kind, start, end in _attributes(data, 0, len(data))
    }

    endpoint = (
        _unpack_endpoint(data, where[_P_ENDPOINT][0])
        if _P_ENDPOINT in where
        else None
    )

    allowed = (
        frozenset(_unpack_allowed(data, *where[_P_ALLOWED]))
        if _P_ALLOWED in where
        else frozenset()
    )

    return endpoint, allowed


def _unpack_peer(
    data: bytes, where: Mapping[int, tuple[int, int]]
) -> ActualPeer:
    start, end = where[_P_PUBLIC_KEY]
    public_key = binascii.b2a_base64(data[start:end], newline=False).decode()
    allowed = (
        frozenset(_unpack_allowed(data, *where[_P_ALLOWED]))
        if _P_ALLOWED in where
        else frozenset()
    )
    if _P_HANDSHAKE not in where:
        return ActualPeer(public_key, allowed)

    seconds, nanoseconds = _HANDSHAKE.unpack_from(data, where[_P_HANDSHAKE][0])
    secret_start, secret_end = where[_P_PRESHARED_KEY]

    return ActualPeer(
        public_key,
        allowed,
        _text(data[secret_start:secret_end]),
        _U16.unpack_from(data, where[_P_KEEPALIVE][0])[0],
        _unpack_endpoint(data, where[_P_ENDPOINT][0])
        if _P_ENDPOINT in where
        else None,
        seconds + nanoseconds / 1e9,
        _U64.unpack_from(data, where[_P_RX][0])[0],
        _U64.unpack_from(data, where[_P_TX][0])[0],
    )


def _unpack_endpoint(data: bytes, start: int) -> Endpoint:
    (family,) = _U16.unpack_from(data, start)
    layout = _ENDPOINT_4 if family == socket.AF_INET else _ENDPOINT_6
    _, port, address = layout.unpack_from(data, start)

    return _address(family, address), _PORT.unpack(port)[0]


def _unpack_allowed(data: bytes, start: int, end: int) -> Iterator[str]:
    for _, first, last in _attributes(data, start, end):
        family = length = 0
        address = b""
        for kind, begin, stop in _attributes(data, first, last):
            if kind == _A_FAMILY:
                (family,) = _U16.unpack_from(data, begin)
            elif kind == _A_ADDRESS:
                address = data[begin:stop]
            elif kind == _A_LENGTH:
                length = data[begin]

        yield f"{_address(family, address)}/{length}"


def _address(family: int, packed: bytes) -> str:
    text = socket.inet_ntop(family, packed)
    # The C library writes an embedded IPv4 address with dots, Python's
    # ipaddress, which is canonical here, does not.
    return str(IPv6Address(packed)) if ":" in text and "." in text else text
