"""The text of wireguard-go's socket, written and read."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cerebro.wireguard import keys, uapi
from cerebro.wireguard.model import PeerChange

KEY = base64.b64encode(bytes(range(32))).decode()
HEX = bytes(range(32)).hex()
OTHER = base64.b64encode(b"\x07" * 32).decode()
OTHER_HEX = "07" * 32


def test_a_change_becomes_lines_in_the_order_that_wireguard_reads() -> None:
    change = PeerChange(
        KEY,
        update_only=True,
        replace_allowed_ips=True,
        allowed_ips=("10.64.0.2/32", "fd64::/64"),
        preshared_key=OTHER,
        persistent_keepalive=25,
        endpoint=("192.0.2.1", 51820),
    )
    assert uapi.peer(change) == [
        f"public_key={HEX}",
        "update_only=true",
        f"preshared_key={OTHER_HEX}",
        "endpoint=192.0.2.1:51820",
        "persistent_keepalive_interval=25",
        "replace_allowed_ips=true",
        "allowed_ip=10.64.0.2/32",
        "allowed_ip=fd64::/64",
        "protocol_version=1",
    ]


def test_a_removed_peer_an_ipv6_endpoint_and_no_preshared_key() -> None:
    assert uapi.peer(PeerChange(KEY, remove=True)) == [
        f"public_key={HEX}",
        "remove=true",
    ]
    lines = uapi.peer(
        PeerChange(KEY, endpoint=("fd00::1", 4000), preshared_key="")
    )
    assert f"preshared_key={'0' * 64}" in lines
    assert "endpoint=[fd00::1]:4000" in lines


def test_what_is_not_said_is_not_written() -> None:
    assert uapi.peer(PeerChange(KEY)) == [
        f"public_key={HEX}",
        "protocol_version=1",
    ]
    assert uapi.device(None, 51820) == b"set=1\nlisten_port=51820\n\n"
    assert uapi.device(KEY, None) == f"set=1\nprivate_key={HEX}\n\n".encode()


@pytest.mark.parametrize(
    "change",
    [
        PeerChange("no key"),
        PeerChange(KEY[:-4]),
        PeerChange(KEY + "\nremove=true"),
        PeerChange(KEY, preshared_key="x"),
        PeerChange(KEY, allowed_ips=("10.0.0.0/8\nremove=true",)),
        PeerChange(KEY, endpoint=("host name", 1)),
        PeerChange(KEY, endpoint=("::1]\nremove=true\n[::1", 1)),
    ],
)
def test_what_is_no_key_or_no_address_writes_nothing(
    change: PeerChange,
) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any words
        uapi.peer(change)


def test_a_device_is_read_with_its_peers() -> None:
    answer = (
        f"private_key={HEX}\nlisten_port=51820\nfwmark=0\n"
        f"public_key={OTHER_HEX}\npreshared_key={'0' * 64}\nprotocol_version=1\nendpoint=[fe80::1%eth0]:4000\n"
        "last_handshake_time_sec=1700000000\nlast_handshake_time_nsec=500000000\ntx_bytes=5\nrx_bytes=7\n"
        "persistent_keepalive_interval=25\nallowed_ip=10.64.0.2/32\nallowed_ip=fd64::2/128\n"
        f"public_key={HEX}\npreshared_key={OTHER_HEX}\nprotocol_version=1\nlast_handshake_time_sec=0\n"
        "last_handshake_time_nsec=0\ntx_bytes=0\nrx_bytes=0\npersistent_keepalive_interval=0\nerrno=0\n\n"
    )
    errno, device = uapi.read(answer.encode())
    assert (errno, device.private_key, device.listen_port) == (0, KEY, 51820)
    assert device.public_key == keys.derive_public_key(KEY)
    first, second = device.peers[OTHER], device.peers[KEY]
    assert (first.endpoint, first.last_handshake) == (
        ("fe80::1%eth0", 4000),
        1700000000.5,
    )
    assert (first.rx_bytes, first.tx_bytes, first.persistent_keepalive) == (
        7,
        5,
        25,
    )
    assert first.allowed_ips == {"10.64.0.2/32", "fd64::2/128"}
    assert (first.preshared_key, second.preshared_key) == (None, OTHER)
    assert (second.endpoint, second.allowed_ips, second.last_handshake) == (
        None,
        frozenset(),
        0.0,
    )
    assert KEY not in repr(uapi.Device(private_key=KEY))


def test_a_device_without_a_key_has_none() -> None:
    _, device = uapi.read(b"listen_port=0\nfwmark=0\nerrno=0\n\n")
    assert (device.private_key, device.public_key, device.peers) == (
        None,
        None,
        {},
    )


def test_errors_are_positive_and_an_answer_without_one_is_no_answer() -> None:
    assert uapi.refused(b"errno=0\n\n") == 0
    assert uapi.refused(b"errno=-22\n\n") == 22
    assert uapi.read(b"errno=-5\n\n")[0] == 5
    for broken in (b"\n\n", b"listen_port=1\n\n"):
        with pytest.raises(ValueError, match="errno"):
            uapi.refused(broken)
        with pytest.raises(ValueError, match="errno"):
            uapi.read(broken)


@given(
    key=st.binary(min_size=32, max_size=32),
    keepalive=st.integers(0, 65535),
    allowed=st.lists(st.ip_addresses().map(str), unique=True, max_size=5),
    port=st.integers(1, 65535),
    host=st.ip_addresses().map(str),
)
def test_what_is_written_is_read_again(
    key: bytes, keepalive: int, allowed: list[str], port: int, host: str
) -> None:
    public = base64.b64encode(key).decode()
    change = PeerChange(
        public,
        allowed_ips=tuple(allowed),
        persistent_keepalive=keepalive,
        endpoint=(host, port),
    )
    answer = "\n".join(uapi.peer(change)) + "\nerrno=0\n\n"
    peer = uapi.read(answer.encode())[1].peers[public]
    assert (peer.allowed_ips, peer.persistent_keepalive) == (
        frozenset(allowed),
        keepalive,
    )
    assert peer.endpoint == (host, port)
