"""What is packed for the kernel, as pyroute2's own reading of WireGuard's family understands it."""

from __future__ import annotations

import base64
import socket
import struct
from typing import Any

import pytest
from pyroute2.netlink.generic.wireguard import wgmsg

from cerebro.wireguard import wganswers, wgmessages
from cerebro.wireguard.model import ActualPeer, Link, PeerChange
from cerebro.wireguard.netlink import Request, attribute

KEY = base64.b64encode(bytes(range(32))).decode()
SECRET = base64.b64encode(b"s" * 32).decode()
UPDATE_ONLY, REPLACE_ALLOWED_IPS, REMOVE_ME = 4, 2, 1
NESTED = 0x8000


def understood(change: PeerChange) -> Any:
    """The one peer of the message that makes a change."""
    refused: dict[str, str] = {}
    ((entries),) = wgmessages.split([change], refused)
    assert refused == {}
    message = wgmsg(Request(30, 0, wgmessages.peers("wg0", entries)).packed(1))
    message.decode()
    assert message.get("WGDEVICE_A_IFNAME") == "wg0"
    (peer,) = message.get("WGDEVICE_A_PEERS")
    return peer


def addresses(peer: Any) -> list[str]:
    return [one["addr"] for one in peer.get("WGPEER_A_ALLOWEDIPS") or []]


@pytest.mark.parametrize("update_only", [False, True])
@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize(
    "networks",
    [
        ("10.64.0.7/32",),
        ("10.0.0.0/8",),
        ("0.0.0.0/0",),
        ("10.64.0.7/32", "192.168.88.0/24"),
        ("fd00::7/128",),
        (),
    ],
)
def test_a_peer_with_any_addresses(
    networks: tuple[str, ...], replace: bool, update_only: bool
) -> None:
    """Also one with a single IPv4 address, which is packed in a way of its own."""
    peer = understood(
        PeerChange(
            KEY,
            update_only=update_only,
            replace_allowed_ips=replace,
            allowed_ips=networks,
        )
    )
    assert peer.get("WGPEER_A_PUBLIC_KEY") == KEY.encode()
    assert addresses(peer) == list(networks)
    assert (
        peer.get("WGPEER_A_FLAGS")
        == UPDATE_ONLY * update_only | REPLACE_ALLOWED_IPS * replace
    )


def test_a_peer_with_everything() -> None:
    peer = understood(
        PeerChange(
            KEY,
            allowed_ips=("10.64.0.7/32",),
            preshared_key=SECRET,
            persistent_keepalive=25,
            endpoint=("192.0.2.7", 51820),
        )
    )
    assert peer.get("WGPEER_A_PRESHARED_KEY") == SECRET.encode()
    assert peer.get("WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL") == 25
    endpoint = peer.get("WGPEER_A_ENDPOINT")
    assert (endpoint["addr"], endpoint["port"]) == ("192.0.2.7", 51820)
    assert addresses(peer) == ["10.64.0.7/32"]


def test_a_peer_that_goes() -> None:
    peer = understood(PeerChange(KEY, remove=True))
    assert peer.get("WGPEER_A_FLAGS") == REMOVE_ME


@pytest.mark.parametrize(
    "network", ["10.64.0/24", "10.64.0.7", "fd00::7/129x", "x"]
)
def test_what_is_no_network_is_refused_and_stops_no_other(
    network: str,
) -> None:
    other = base64.b64encode(b"o" * 32).decode()
    refused: dict[str, str] = {}
    changes = [
        PeerChange(KEY, allowed_ips=(network,)),
        PeerChange(other, allowed_ips=("10.64.0.8/32",)),
    ]
    (entries,) = wgmessages.split(changes, refused)
    assert [entry[0] for entry in entries] == [other]
    assert list(refused) == [KEY]


@pytest.mark.parametrize(
    "networks", [("10.64.0.7/32",), ("10.0.0.0/8", "fd00::/64"), ()]
)
def test_what_was_packed_is_read_back(networks: tuple[str, ...]) -> None:
    """An answer of the kernel lists a peer's attributes as a request does, as far as both have them."""
    (entries,) = wgmessages.split([PeerChange(KEY, allowed_ips=networks)], {})
    link = Link(1, "wireguard", 1420, True, frozenset(), frozenset())
    found = wganswers.interface(
        "wg0", [wgmessages.peers("wg0", entries)], link, wganswers.PeerCache()
    )
    assert dict(found.peers) == {KEY: ActualPeer(KEY, frozenset(networks))}


def kernel_peer(key: bytes, address: str, handshake: int) -> bytes:
    """A peer as the kernel writes it, with one IPv4 address."""
    allowed = (
        attribute(1, struct.pack("=H", socket.AF_INET))
        + attribute(2, socket.inet_aton(address))
        + attribute(3, b"\x20")
    )
    parts = [
        attribute(1, key),
        attribute(2, bytes(32)),
        attribute(6, struct.pack("=qq", handshake, 0)),
        attribute(5, struct.pack("=H", 25)),
        attribute(8, struct.pack("=Q", 7)),
        attribute(7, struct.pack("=Q", 9)),
        attribute(10, struct.pack("=I", 1)),
        attribute(9 | NESTED, attribute(NESTED, allowed)),
    ]
    return attribute(NESTED, b"".join(parts))


def test_a_reading_finds_the_same_whatever_earlier_readings_left_in_the_cache() -> (
    None
):
    """A cache changes the time of a reading, never what it finds."""
    key, second = bytes(range(32)), b"o" * 32
    link, cache = (
        Link(1, "wireguard", 1420, True, frozenset(), frozenset()),
        wganswers.PeerCache(),
    )
    readings = [
        (
            "wg0",
            [
                kernel_peer(key, "10.64.0.7", 0),
                kernel_peer(second, "10.64.0.8", 5),
            ],
        ),
        (
            "wg0",
            [
                kernel_peer(key, "10.64.0.7", 0),
                kernel_peer(second, "10.64.0.8", 6),
            ],
        ),
        ("wg1", [kernel_peer(key, "10.64.0.9", 0)]),
        ("wg0", [kernel_peer(second, "10.64.0.7", 6)]),
        ("wg0", []),
    ]
    for name, peers in readings:
        answers = [bytes(4) + attribute(8 | NESTED, b"".join(peers))]
        cached = wganswers.interface(name, answers, link, cache)
        assert cached == wganswers.interface(
            name, answers, link, wganswers.PeerCache()
        )
        assert len(cached.peers) == len(peers)
    first = wganswers.interface(
        "wg0",
        [bytes(4) + attribute(8 | NESTED, readings[0][1][1])],
        link,
        cache,
    )
    (peer,) = first.peers.values()
    assert peer == ActualPeer(
        base64.b64encode(second).decode(),
        frozenset({"10.64.0.8/32"}),
        None,
        25,
        None,
        5.0,
        9,
        7,
    )
