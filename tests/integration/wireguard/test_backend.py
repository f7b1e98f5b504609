"""What each backend must do, kernel or userspace: the same cases for both, in namespaces, with `wg` as the judge.

The router at the other end is set up with `ip` and `wg` alone.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cerebro.tunnel.keeper import Keeper
from cerebro.wireguard.backend import (
    Backend,
    ForeignInterface,
    NotPermitted,
    PortInUse,
    WireGuardError,
)
from cerebro.wireguard.kernel import Kernel
from cerebro.wireguard.keys import derive_public_key, generate_private_key
from cerebro.wireguard.model import (
    ActualPeer,
    Interface,
    LinkChange,
    PeerChange,
)
from cerebro.wireguard.userspace import KEEPER_SOCKET, Userspace
from controlplane.progress import wait_until
from integration.wireguard.inside import Inside
from network.node import Node, link

PORT = 51820
RUN_FOLDER, SOCKETS = Path("/run/cerebro"), Path("/run/wireguard")


@dataclass(frozen=True)
class Place:
    """A hub and a router on one cable, 10.9.0.1 and 10.9.0.2."""

    hub: Node
    router: Node
    inside: Inside
    backend: Backend

    def read(self) -> Interface:
        found = self.inside(self.backend.read, "wg0")
        assert found is not None
        return found

    def peer(self, key: str) -> ActualPeer:
        return self.read().peers[key]

    def settings(self) -> dict[str, ActualPeer]:
        """The peers without what a first try to reach them has sent."""
        return {
            key: replace(peer, tx_bytes=0)
            for key, peer in self.read().peers.items()
        }

    def set_peers(self, *changes: PeerChange) -> dict[str, str]:
        return self.inside(self.backend.set_peers, "wg0", changes)

    def make(self, *changes: PeerChange) -> str:
        """Have wg0 with a key, a port and an address; return its public key."""
        private_key = generate_private_key()
        self.inside(self.backend.ensure, "wg0", 1420)
        self.inside(
            self.backend.set_device,
            "wg0",
            private_key=private_key,
            listen_port=PORT,
        )
        up = LinkChange(up=True, add_addresses=("10.64.0.1/16", "fd64::1/64"))
        assert self.inside(self.backend.set_link, "wg0", up) == {}
        assert self.set_peers(*changes) == {}
        return derive_public_key(private_key)

    def dump(self) -> list[list[str]]:
        """What `wg show wg0 dump` says: first the interface, then the peers."""
        lines = self.hub.run(["wg", "show", "wg0", "dump"]).stdout.splitlines()
        return [
            lines[0].split("\t"),
            *sorted(line.split("\t") for line in lines[1:]),
        ]


@pytest.fixture(scope="module")
def nodes(implementation: str) -> Iterator[Place]:
    with ExitStack() as stack:
        hub, router = (
            stack.enter_context(Node(name)) for name in ("hub", "router")
        )
        link(hub, "eth0", "10.9.0.1/24", router, "eth0", "10.9.0.2/24")
        inside = stack.enter_context(Inside(hub))
        if implementation == "Kernel":
            yield Place(hub, router, inside, Kernel())
            return
        stack.enter_context(Inside(hub)).start(_keep)
        wait_until(
            lambda: inside((RUN_FOLDER / KEEPER_SOCKET).exists),
            "the keeper's socket",
            timeout=60,
        )
        yield Place(hub, router, inside, Userspace(RUN_FOLDER, SOCKETS))


@pytest.fixture
def place(nodes: Place) -> Iterator[Place]:
    yield nodes
    nodes.inside(nodes.backend.drop, "wg0")
    assert nodes.inside(nodes.backend.read, "wg0") is None


def _keep() -> None:
    async def keep() -> None:
        async with Keeper(RUN_FOLDER, SOCKETS):
            await asyncio.Event().wait()

    asyncio.run(keep())


def key() -> str:
    return derive_public_key(generate_private_key())


def test_what_is_set_is_what_wg_shows_and_what_is_read(place: Place) -> None:
    assert place.inside(place.backend.read, "wg0") is None
    keys = sorted(key() for _ in range(3))
    secret = generate_private_key()
    hub_key = place.make(
        PeerChange(
            keys[0],
            allowed_ips=("10.64.0.2/32", "fd64::2/128"),
            preshared_key=secret,
        ),
        PeerChange(
            keys[1],
            allowed_ips=("10.64.0.3/32",),
            persistent_keepalive=25,
            endpoint=("10.9.0.9", 7),
        ),
        PeerChange(
            keys[2],
            allowed_ips=("fd64:1::/48", "0.0.0.0/0"),
            endpoint=("fd09::9", 8),
        ),
    )
    shown, *peers = place.dump()
    assert shown[1:3] == [hub_key, str(PORT)]
    assert [(p[0], p[1], p[2], set(p[3].split(",")), p[7]) for p in peers] == [
        (keys[0], secret, "(none)", {"10.64.0.2/32", "fd64::2/128"}, "off"),
        (keys[1], "(none)", "10.9.0.9:7", {"10.64.0.3/32"}, "25"),
        (
            keys[2],
            "(none)",
            "[fd09::9]:8",
            {"fd64:1::/48", "0.0.0.0/0"},
            "off",
        ),
    ]
    found = place.read()
    assert (found.public_key, found.listen_port, found.mtu, found.up) == (
        hub_key,
        PORT,
        1420,
        True,
    )
    assert found.addresses == {"10.64.0.1/16", "fd64::1/64"}
    assert place.settings() == {
        keys[0]: ActualPeer(
            keys[0], frozenset({"10.64.0.2/32", "fd64::2/128"}), secret
        ),
        keys[1]: ActualPeer(
            keys[1],
            frozenset({"10.64.0.3/32"}),
            persistent_keepalive=25,
            endpoint=("10.9.0.9", 7),
        ),
        keys[2]: ActualPeer(
            keys[2],
            frozenset({"fd64:1::/48", "0.0.0.0/0"}),
            endpoint=("fd09::9", 8),
        ),
    }


def test_each_property_of_a_peer_is_changed_alone(place: Place) -> None:
    one, two, absent = key(), key(), key()
    secret = generate_private_key()
    place.make(
        PeerChange(
            one,
            allowed_ips=("10.64.0.2/32", "10.1.0.0/24"),
            preshared_key=secret,
            endpoint=("10.9.0.9", 7),
        ),
        PeerChange(two, allowed_ips=("10.64.0.3/32",)),
    )
    assert (
        place.set_peers(
            PeerChange(one, update_only=True, persistent_keepalive=9)
        )
        == {}
    )
    allowed = frozenset({"10.64.0.2/32", "10.1.0.0/24"})
    assert place.settings()[one] == ActualPeer(
        one, allowed, secret, 9, ("10.9.0.9", 7)
    )
    assert (
        place.set_peers(
            PeerChange(
                one, update_only=True, preshared_key="", persistent_keepalive=0
            )
        )
        == {}
    )
    assert place.settings()[one] == ActualPeer(
        one, allowed, None, 0, ("10.9.0.9", 7)
    )
    # An address that is added to one peer leaves the other; what is replaced is all that there is.
    assert (
        place.set_peers(
            PeerChange(two, update_only=True, allowed_ips=("10.1.0.0/24",))
        )
        == {}
    )
    assert place.peer(one).allowed_ips == {"10.64.0.2/32"}
    replaced = PeerChange(
        two,
        update_only=True,
        replace_allowed_ips=True,
        allowed_ips=("10.2.0.0/24",),
    )
    assert (
        place.set_peers(
            replaced,
            PeerChange(absent, update_only=True, allowed_ips=("10.3.0.0/24",)),
        )
        == {}
    )
    assert place.peer(two).allowed_ips == {"10.2.0.0/24"}
    assert (
        place.set_peers(
            PeerChange(one, remove=True), PeerChange(absent, remove=True)
        )
        == {}
    )
    assert set(place.read().peers) == {two}


def test_an_interface_that_exists_is_adopted_as_it_is(place: Place) -> None:
    place.make(
        PeerChange(
            key(), allowed_ips=("10.64.0.2/32",), persistent_keepalive=25
        )
    )
    before = place.dump()
    place.inside(place.backend.ensure, "wg0", 1300)
    assert place.dump() == before
    assert place.read().mtu == 1420
    assert place.read().private_key == before[0][0]


def test_a_refused_peer_stops_no_other_and_is_named(place: Place) -> None:
    keys = [key() for _ in range(80)]
    changes = [
        PeerChange(k, allowed_ips=(f"10.64.1.{i}/32",))
        for i, k in enumerate(keys)
    ]
    changes[41] = PeerChange(keys[41], allowed_ips=("10.64.1.41/33",))
    changes[7] = PeerChange(keys[7], allowed_ips=("nowhere/32",))
    place.make()
    refused = place.set_peers(*changes)
    assert set(refused) == {keys[7], keys[41]}
    found = place.read().peers
    for i, k in enumerate(keys):
        if k not in refused:
            assert found[k].allowed_ips == {f"10.64.1.{i}/32"}


def test_more_than_fits_into_one_message_arrives(place: Place) -> None:
    wide = tuple(f"10.{i // 256}.{i % 256}.0/24" for i in range(1700))
    changes = [
        PeerChange(key(), allowed_ips=(f"10.64.{i // 250}.{i % 250 + 1}/32",))
        for i in range(600)
    ]
    owner = key()
    place.make(
        *changes[:300], PeerChange(owner, allowed_ips=wide), *changes[300:]
    )
    found = place.read().peers
    assert {k: p.allowed_ips for k, p in found.items()} == {
        **{c.public_key: frozenset(c.allowed_ips) for c in changes},
        owner: frozenset(wide),
    }


def test_a_router_dials_pings_and_roams_and_our_changes_cost_no_handshake(
    place: Place,
) -> None:
    private_key, secret = generate_private_key(), generate_private_key()
    peer = derive_public_key(private_key)
    hub_key = place.make(
        PeerChange(
            peer,
            allowed_ips=("10.64.0.2/32", "fd64::2/128"),
            preshared_key=secret,
        )
    )
    _set_up_router(place, private_key, secret, hub_key)
    for address in ("10.64.0.1", "fd64::1"):
        place.router.run(["ping", "-c", "1", "-W", "10", address])
    met = place.peer(peer)
    assert met.endpoint == ("10.9.0.2", 40001)
    assert met.last_handshake > 0
    assert met.rx_bytes > 0
    assert met.tx_bytes > 0
    place.router.run(["wg", "set", "r0", "listen-port", "40002"])
    place.router.run(["ping", "-c", "1", "-W", "10", "10.64.0.1"])
    assert place.peer(peer).endpoint == ("10.9.0.2", 40002)
    for seconds in (10, 20):
        change = PeerChange(
            peer,
            update_only=True,
            persistent_keepalive=seconds,
            allowed_ips=("10.7.0.0/24",),
        )
        assert place.set_peers(change) == {}
    place.hub.run(["ping", "-c", "1", "-W", "10", "10.64.0.2"])
    after = place.peer(peer)
    assert (after.endpoint, after.last_handshake) == (
        ("10.9.0.2", 40002),
        met.last_handshake,
    )
    assert place.set_peers(PeerChange(peer, remove=True)) == {}
    assert (
        place.router.run(
            ["ping", "-c", "1", "-W", "1", "10.64.0.1"], check=False
        ).returncode
        != 0
    )


def _set_up_router(
    place: Place, private_key: str, secret: str, hub_key: str
) -> None:
    run = place.router.run
    if place.backend.implementation == "Kernel":
        run(["ip", "link", "add", "r0", "type", "wireguard"])
    else:
        run(["wireguard-go", "r0"])
    run(["sh", "-c", "umask 077; cat > /run/r0.psk"], stdin=secret)
    run(
        [
            "wg",
            "set",
            "r0",
            "private-key",
            "/dev/stdin",
            "listen-port",
            "40001",
        ],
        stdin=private_key,
    )
    words = [
        "preshared-key",
        "/run/r0.psk",
        "endpoint",
        f"10.9.0.1:{PORT}",
        "allowed-ips",
        "10.64.0.0/16,fd64::/64",
    ]
    run(["wg", "set", "r0", "peer", hub_key, *words])
    run(["ip", "address", "add", "10.64.0.2/16", "dev", "r0"])
    run(["ip", "address", "add", "fd64::2/64", "dev", "r0", "nodad"])
    run(["ip", "link", "set", "r0", "up"])


def test_a_port_of_another_program_is_told(place: Place) -> None:
    place.make()
    listen = "import socket,time; s=socket.socket(2,2); s.bind(('',40009)); print('ok',flush=True); time.sleep(60)"
    argv = place.hub.argv([sys.executable, "-c", listen])
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"ok\n"
        with pytest.raises(PortInUse, match="40009"):
            place.inside(place.backend.set_device, "wg0", listen_port=40009)
        other.kill()
    place.inside(place.backend.set_device, "wg0", listen_port=40009)
    assert place.read().listen_port == 40009


def test_without_the_capability_nothing_is_changed_and_the_error_says_so(
    place: Place,
) -> None:
    place.make()
    with Inside(place.hub, powerless=True) as powerless:
        with pytest.raises(NotPermitted, match="NET_ADMIN"):
            powerless(place.backend.set_link, "wg0", LinkChange(mtu=1300))
        if place.backend.implementation == "Kernel":
            with pytest.raises(NotPermitted, match="NET_ADMIN"):
                powerless(
                    place.backend.set_peers,
                    "wg0",
                    [PeerChange(key(), allowed_ips=("10.64.0.2/32",))],
                )
            with pytest.raises(NotPermitted, match="NET_ADMIN"):
                powerless(place.backend.ensure, "wg7", 1420)
    assert place.read().mtu == 1420
    assert not place.read().peers


def test_an_interface_of_another_kind_is_left_alone(place: Place) -> None:
    with pytest.raises(ForeignInterface, match="eth0"):
        place.inside(place.backend.read, "eth0")
    with pytest.raises(ForeignInterface, match="eth0"):
        place.inside(place.backend.ensure, "eth0", 1420)


def test_an_interface_that_went_meanwhile_is_told(place: Place) -> None:
    with pytest.raises(WireGuardError, match="wg0 is gone"):
        place.set_peers(PeerChange(key(), allowed_ips=("10.64.0.2/32",)))
    with pytest.raises(WireGuardError, match="wg0 is gone"):
        place.inside(place.backend.set_device, "wg0", listen_port=PORT)
    with pytest.raises(WireGuardError, match="wg0 is gone"):
        place.inside(place.backend.set_link, "wg0", LinkChange(up=True))
