"""A Hub without a node (E4): two agents, one tunnel at a time, whatever becomes of the one that carries it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from controlplane.server import ControlPlane
from integration.agent.process import Proxy
from integration.hub.hub_node import HubNode, NodeAgent
from integration.hub.internet import FLOATING
from integration.hub.plain import INTERVAL, PlainRouter, make_keys
from integration.hub.world import ADDRESS, PORT, World

HUB = "floating"
LEASE = f"cerebro-hub-{HUB}"
FOREVER = timedelta(days=1)
SETTINGS = {
    "CEREBRO_LEASE_DURATION": "4",
    "CEREBRO_LEASE_RENEW_INTERVAL": "1",
    "CEREBRO_REQUEST_TIMEOUT": "2",
}
pytestmark = pytest.mark.skipif(
    os.environ.get("CEREBRO_TEST_WIREGUARD") == "Kernel",
    reason="a Hub without a node runs in userspace only (E4)",
)


class Carrier:
    """A node with its agent, whose way to the API server can be cut, and a record of its wg0's life."""

    def __init__(
        self, world: World, plane: ControlPlane, name: str, proxy: Proxy
    ) -> None:
        self.world, self.proxy = world, proxy
        self.node: HubNode = world.node(name)
        self.node.reach(proxy.faults.port)
        self.log: Path = world.folder / f"{name}-monitor.log"
        self.node.popen(["ip", "-ts", "-o", "monitor", "link"], log=self.log)
        self.agent: NodeAgent = world.agent_on(
            self.node, server=proxy.faults.url, **SETTINGS
        )

    def start(self) -> None:
        self.agent.start()
        self.world.until(
            self.agent.ready, "the agent is ready", self.agent.output
        )

    def lives(self) -> list[tuple[datetime, datetime | None]]:
        """From when to when there was a wg0, as the kernel says."""
        found: list[tuple[datetime, datetime | None]] = []
        for line in self.log.read_text().splitlines():
            told = re.match(r"\[(\S+)\] (Deleted )?\d+: wg0:", line)
            if told is None:
                continue
            at = datetime.fromisoformat(told[1])
            if told[2] and found and found[-1][1] is None:
                found[-1] = (found[-1][0], at)
            elif not told[2] and (not found or found[-1][1] is not None):
                found.append((at, None))
        return found


@pytest.fixture(scope="module")
def carriers(
    world: World, control_plane: ControlPlane
) -> Iterator[tuple[Carrier, Carrier]]:
    with Proxy(control_plane) as left, Proxy(control_plane) as right:
        yield (
            Carrier(world, control_plane, "node-left", left),
            Carrier(world, control_plane, "node-right", right),
        )


@pytest.fixture(scope="module")
def router(world: World, carriers: tuple[Carrier, Carrier]) -> PlainRouter:
    """A router that dials the floating address; the first carrier has the Hub when it is given."""
    first, second = carriers
    first.start()
    world.hub(HUB, None)
    world.until_condition("Hub", HUB, "Ready", "True")
    second.start()
    router = world.plain_router("dials-floating", "10.64.0.2")
    world.applied_peer(router.name, HUB, router.keys.public, "10.64.0.2/32")
    first.node.take_floating_address()
    router.dial(world.status(HUB, "Hub")["publicKey"], f"{FLOATING}:{PORT}")
    router.reaches(ADDRESS)
    return router


def holder(
    world: World, carriers: tuple[Carrier, Carrier]
) -> tuple[Carrier, Carrier]:
    """Who carries the Hub and who does not."""
    name = world.status(HUB, "Hub")["nodeName"]
    one, other = carriers
    return (one, other) if one.node.name == name else (other, one)


def kill(carrier: Carrier) -> None:
    carrier.agent.end()


def start_again(carrier: Carrier) -> None:
    carrier.start()


def freeze(carrier: Carrier) -> None:
    carrier.agent.freeze()


def thaw(carrier: Carrier) -> None:
    carrier.agent.thaw()


def cut_off(carrier: Carrier) -> None:
    carrier.proxy.refuse()


def connect_again(carrier: Carrier) -> None:
    carrier.proxy.accept()


@pytest.mark.parametrize(
    ("strike", "heal"),
    [(kill, start_again), (freeze, thaw), (cut_off, connect_again)],
    ids=["kill -9", "SIGSTOP", "partition"],
)
def test_e4_another_node_takes_over_and_keeps_the_hub(
    world: World,
    carriers: tuple[Carrier, Carrier],
    router: PlainRouter,
    capsys: pytest.CaptureFixture[str],
    *,
    strike: Callable[[Carrier], None],
    heal: Callable[[Carrier], None],
) -> None:
    """E4: the old node has lost the tunnel before the new one has it; who comes back does not steal it."""
    old, new = holder(world, carriers)
    key = old.node.shown().private_key
    train, start = router.train(ADDRESS), world.internet.now()
    strike(old)
    world.until(
        lambda: new.node.show() is not None,
        "the other node has the interface",
        new.agent.output,
    )
    assert old.node.show() is None
    new.node.take_floating_address()
    world.until(
        lambda: world.status(HUB, "Hub").get("nodeName") == new.node.name,
        "the status names the other node",
        lambda: world.status(HUB, "Hub"),
    )
    train.goes_on()
    took = world.internet.now() - start
    assert new.node.shown().private_key == key
    assert router.keys.public in new.node.shown().peers
    heal(old)
    world.until(old.agent.ready, "the agent is back", old.agent.output)
    world.until_condition("Hub", HUB, "Ready", "True")
    renewals = world.get("Lease", LEASE)["spec"]["renewTime"]
    world.until(
        lambda: world.get("Lease", LEASE)["spec"]["renewTime"] > renewals,
        "the Lease is renewed",
    )
    world.compared(HUB, 3)
    assert world.get("Lease", LEASE)["spec"]["holderIdentity"] == new.node.name
    assert old.node.show() is None
    assert router.keys.public in new.node.shown().peers
    never_two(old, new)
    lost, handshakes = (
        train.stop(),
        world.internet.handshakes(router.address, since=start),
    )
    with capsys.disabled():
        print(
            f"\nfailover by {strike.__name__}: back after {took:.1f} s, {len(lost)} pings lost "
            f"(one each {INTERVAL * 1000:.0f} ms), {len(handshakes)} handshakes tried"
        )


def test_e16_the_next_node_dials_routers_that_say_nothing(
    world: World, carriers: tuple[Carrier, Carrier], router: PlainRouter
) -> None:
    """E16: it has only their statuses to go by, and nobody has sent it a packet yet."""
    old, new = holder(world, carriers)
    router.reaches(ADDRESS)
    seen = f"{router.address}:{router.listen_port()}"
    world.until(
        lambda: world.status(router.name, "Peer").get("endpoint") == seen,
        "the status says where the router is",
        lambda: world.status(router.name, "Peer"),
    )
    start = world.internet.now()
    kill(old)
    world.until(
        lambda: new.node.show() is not None,
        "the other node has the interface",
        new.agent.output,
    )
    ping = ["ping", "-nc1", "-W1", router.tunnel_address]
    world.until(
        lambda: new.node.run(ping, check=False).returncode == 0,
        "the router is back",
        new.node.show,
    )
    sources = {
        each["source"]
        for each in world.internet.handshakes(router.address, since=start)
    }
    assert new.node.address in sources
    start_again(old)
    never_two(old, new)


def test_e4_a_node_that_cannot_carry_the_hub_gives_it_to_one_that_can(
    world: World, carriers: tuple[Carrier, Carrier], router: PlainRouter
) -> None:
    """E4: it holds the Lease and would for ever, and has no tunnel process."""
    old, new = holder(world, carriers)
    old.node.stop_keeper()
    said = world.until_condition(
        "Hub", HUB, "Ready", "False", "WireGuardNotAvailable"
    )
    assert "cerebro tunnel" in said["message"]
    world.until(
        lambda: world.status(HUB, "Hub").get("nodeName") == new.node.name,
        "the other node has it",
        old.agent.output,
    )
    world.until_condition("Hub", HUB, "Ready", "True")
    new.node.take_floating_address()
    router.reaches(ADDRESS)
    old.node.start_keeper()
    never_two(old, new)


def test_e4_a_hub_that_comes_to_another_ones_node_breaks_neither(
    world: World, carriers: tuple[Carrier, Carrier], router: PlainRouter
) -> None:
    """E4: both want wg0, so each has a node; the older one's dies, and the newer one's goes on as it is."""
    second, key = "second", make_keys().public
    left, right = holder(world, carriers)
    world.hub(second, None, addresses=["10.90.0.1/24"])
    world.until(
        lambda: (
            world.status(second, "Hub").get("nodeName") == right.node.name
            and world.condition("Hub", second, "Ready").get("status") == "True"
        ),
        "the other node carries the newer Hub",
        lambda: world.status(second, "Hub"),
    )
    world.applied_peer("of-second", second, key, "10.90.0.2/32")
    private = right.node.shown().private_key
    left.agent.end()
    said = world.until_condition(
        "Hub", HUB, "Ready", "False", "InterfaceConflict"
    )
    assert second in said["message"]
    world.compared(second)
    assert right.node.shown().private_key == private
    world.until_peers(
        right.node,
        lambda peers: set(peers) == {key},
        "the peers are the newer one's alone",
    )
    world.until_condition("Hub", second, "Ready", "True")
    left.start()
    world.until(
        lambda: world.status(HUB, "Hub").get("nodeName") == left.node.name,
        "its node has it again",
    )
    world.until_condition("Hub", HUB, "Ready", "True")
    left.node.take_floating_address()
    router.reaches(ADDRESS)
    assert right.node.shown().private_key == private
    world.delete("peer", "of-second")
    world.delete("hub", second)


def never_two(old: Carrier, new: Carrier) -> None:
    """Fail if both had an interface at one moment."""
    for began, ended in old.lives():
        for other_began, other_ended in new.lives():
            overlap = began < (
                other_ended or began + FOREVER
            ) and other_began < (ended or other_began + FOREVER)
            assert not overlap, (
                old.node.name,
                old.lives(),
                new.node.name,
                new.lives(),
            )
    assert old.lives()
    assert new.lives()
