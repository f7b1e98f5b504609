"""Packs the requests of WireGuard's generic netlink family. Pure; `wganswers`
unpacks what the kernel answers.

An attribute holds 65,531 bytes at most, and all peers of a message lie in one,
so long configurations take several messages.
"""

from __future__ import annotations

import binascii
import socket
import struct
from collections.abc import Iterable, Iterator
from struct import Struct

from cerebro.wireguard.model import Endpoint, PeerChange
from cerebro.wireguard.netlink import attribute
from cerebro.wireguard.wgformat import (
    A_ADDRESS,
    A_FAMILY,
    A_LENGTH,
    ALLOWED_4,
    ALLOWED_6,
    ALLOWED_BEFORE_ADDRESS,
    D_IFNAME,
    D_LISTEN_PORT,
    D_PEERS,
    D_PRIVATE_KEY,
    ENDPOINT_4,
    ENDPOINT_6,
    GENERIC,
    GET_DEVICE,
    NESTED,
    NO_KEY,
    P_ALLOWED,
    P_ENDPOINT,
    P_FLAGS,
    P_KEEPALIVE,
    P_PRESHARED_KEY,
    P_PUBLIC_KEY,
    PORT,
    REMOVE_ME,
    REPLACE_ALLOWED_IPS,
    SET_DEVICE,
    U16,
    U32,
    UPDATE_ONLY,
    VERSION,
)

# A peer with one IPv4 address and nothing else, as nearly all are: its bytes
# up to the key, up to the address by the flags, and after it by the prefix
# length as text.
_PEER_BEFORE_KEY = Struct("=HHHH").pack(80, NESTED, 36, P_PUBLIC_KEY)
_PEER_BEFORE_ADDRESS = tuple(
    Struct("=HHI").pack(8, P_FLAGS, flags) + ALLOWED_BEFORE_ADDRESS
    for flags in range(8)
)
_AFTER_ADDRESS = {
    str(length): Struct("=HHB3x").pack(5, A_LENGTH, length)
    for length in range(33)
}

MESSAGE_BYTES = 32 * 1024
"""Of peers in a message: while it works through one, the kernel holds up all
changes of links on the node.
"""

ALLOWED_IPS_OF_AN_ENTRY = 500
"""A peer with more of them takes several entries, so that each fits into a
message.
"""


Entry = tuple[str, bytes]
"""One peer in a message: its public key, and it packed."""


def get(name: str) -> bytes:
    """Return the request for the interface with all its peers."""
    return GENERIC.pack(GET_DEVICE, VERSION, 0) + attribute(
        D_IFNAME, _name(name)
    )


def device(
    name: str, *, private_key: str | None, listen_port: int | None
) -> bytes:
    """Return the request that sets the private key, the port, or both. Raises
    ValueError for a key that is none.
    """
    payload = GENERIC.pack(SET_DEVICE, VERSION, 0) + attribute(
        D_IFNAME, _name(name)
    )

    if private_key is not None:
        payload += attribute(D_PRIVATE_KEY, _key(private_key))

    if listen_port is not None:
        payload += attribute(D_LISTEN_PORT, U16.pack(listen_port))

    return payload


def peers(name: str, entries: Iterable[Entry]) -> bytes:
    """Return the request that makes these changes of peers."""
    packed = b"".join([packed for _, packed in entries])

    return (
        GENERIC.pack(SET_DEVICE, VERSION, 0)
        + attribute(D_IFNAME, _name(name))
        + attribute(D_PEERS | NESTED, packed)
    )


def split(
    changes: Iterable[PeerChange], refused: dict[str, str]
) -> Iterator[list[Entry]]:
    """Yield the entries of one message after the other, in order.

    Why a change cannot be packed goes to `refused`, by public key.
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


def _name(name: str) -> bytes:
    return name.encode() + b"\0"


def _key(text: str) -> bytes:
    key = binascii.a2b_base64(text, strict_mode=True)
    if len(key) != 32:
        raise ValueError("a key is base64 of 32 bytes")

    return key


def _entries(change: PeerChange) -> list[Entry]:
    """Return the entries of a change: more than one if it has many addresses.
    Raises ValueError, OSError.
    """

    key = attribute(P_PUBLIC_KEY, _key(change.public_key))
    body = key + attribute(P_FLAGS, U32.pack(_flags(change)))
    if change.remove:
        return [(change.public_key, attribute(NESTED, body))]

    if change.preshared_key is not None:
        secret = _key(change.preshared_key) if change.preshared_key else NO_KEY
        body += attribute(P_PRESHARED_KEY, secret)

    if change.persistent_keepalive is not None:
        body += attribute(P_KEEPALIVE, U16.pack(change.persistent_keepalive))

    if change.endpoint is not None:
        body += attribute(P_ENDPOINT, _endpoint(change.endpoint))

    allowed = [_allowed_ip(network) for network in change.allowed_ips]
    entries = []
    for start in range(0, len(allowed) or 1, ALLOWED_IPS_OF_AN_ENTRY):
        if start:
            # What was refused or is gone meanwhile is not made anew by its
            # second part.
            body = key + attribute(P_FLAGS, U32.pack(UPDATE_ONLY))

        part = b"".join(allowed[start : start + ALLOWED_IPS_OF_AN_ENTRY])
        if part:
            body += attribute(P_ALLOWED | NESTED, part)

        entries.append((change.public_key, attribute(NESTED, body)))

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
        UPDATE_ONLY * change.update_only
        | REPLACE_ALLOWED_IPS * change.replace_allowed_ips
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
        (REMOVE_ME if change.remove else 0)
        | (REPLACE_ALLOWED_IPS if change.replace_allowed_ips else 0)
        | (UPDATE_ONLY if change.update_only else 0)
    )


def _endpoint(endpoint: Endpoint) -> bytes:
    address, port = endpoint
    if ":" in address:
        return ENDPOINT_6.pack(
            socket.AF_INET6,
            PORT.pack(port),
            socket.inet_pton(socket.AF_INET6, address),
        )

    return ENDPOINT_4.pack(
        socket.AF_INET,
        PORT.pack(port),
        socket.inet_pton(socket.AF_INET, address),
    )


def _allowed_ip(network: str) -> bytes:
    address, _, length = network.partition("/")
    if ":" in address:
        family, layout, size = socket.AF_INET6, ALLOWED_6, 16
    else:
        family, layout, size = socket.AF_INET, ALLOWED_4, 4

    return layout.pack(
        layout.size, NESTED,
        6, A_FAMILY, family,
        4 + size, A_ADDRESS, socket.inet_pton(family, address),
        5, A_LENGTH, int(length),
    )  # fmt: skip
