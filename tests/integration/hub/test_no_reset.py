"""Working tunnels are never reset: nothing that we do costs a packet or a handshake.

With traffic running, and beside a control tunnel of plain WireGuard that nobody touches: many passes, a hundred
other peers that come and go, a restart of the agent, a router that roams. Handshakes are counted on the wire.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from integration.agent.router import CERTAIN
from integration.hub.hub_node import HubNode, NodeAgent
from integration.hub.plain import PlainRouter, configure, make_keys
from integration.hub.world import ADDRESS, PORT, World, a_peer

HUB = "hub"
PASSES = 1000
OTHERS = 100
ROAMED = ("192.0.2.77", 40001)


@pytest.fixture(scope="module")
def control(world: World, node: HubNode, agent: NodeAgent) -> PlainRouter:
    """A router on an interface of plain WireGuard on the same node, with another network and port."""
    router, hub_keys = world.plain_router("control"), make_keys()
    node.make_interface("wg9")
    configure(
        node, "wg9", "listen-port", "51829", private_key=hub_keys.private
    )
    configure(
        node, "wg9", "peer", router.keys.public, "allowed-ips", "10.70.0.2/32"
    )
    node.run(["ip", "address", "add", "10.70.0.1/24", "dev", "wg9"])
    node.run(["ip", "link", "set", "wg9", "mtu", "1420", "up"])
    router.live_at("10.70.0.2", "10.70.0.0/24")
    router.dial(
        hub_keys.public, f"{node.address}:51829", allowed="10.70.0.0/24"
    )
    return router


@pytest.fixture(scope="module")
def router(world: World, node: HubNode, agent: NodeAgent) -> PlainRouter:
    router = world.plain_router("managed", "10.64.0.2")
    world.applied_peer("managed", HUB, router.keys.public, "10.64.0.2/32")
    router.dial(
        str(world.status(HUB, "Hub")["publicKey"]), f"{node.address}:{PORT}"
    )
    return router


@contextmanager
def undisturbed(
    world: World, node: HubNode, router: PlainRouter, control: PlainRouter
) -> Iterator[None]:
    """See that what is done meanwhile costs no packet, and no handshake beyond those of the control tunnel.

    The handshakes of both are brought to the same moment first, so that they are due again at the same time.
    """
    for one, address in ((router, ADDRESS), (control, "10.70.0.1")):
        one.forget_session()
        one.reaches(address)
    start, before = world.internet.now(), node.shown()
    trains = {
        "managed": router.train(ADDRESS),
        "control": control.train("10.70.0.1"),
    }
    yield

    def handshakes(one: PlainRouter) -> int:
        return len(
            world.internet.attempts(
                one.address, ROAMED[0] if one is router else "", since=start
            )
        )

    # One that is due for both may have come to one of them alone at this moment.
    world.until(
        lambda: handshakes(router) <= handshakes(control),
        "no handshakes beyond those of the control tunnel",
        lambda: (handshakes(router), handshakes(control)),
    )
    pings = {name: len(train.answers()) for name, train in trains.items()}
    lost = {name: train.stop() for name, train in trains.items()}
    print(
        f"{world.internet.now() - start:.0f} s, pings {pings}, lost {lost}, ",
        end="",
    )
    print(
        f"handshakes: managed {handshakes(router)}, control {handshakes(control)}"
    )
    assert lost == {"managed": [], "control": []}
    after = node.shown()
    assert (after.index, after.private_key) == (
        before.index,
        before.private_key,
    )


@pytest.mark.timeout(11 * CERTAIN)
def test_a_thousand_passes_cost_no_packet_and_no_handshake(
    world: World,
    node: HubNode,
    agent: NodeAgent,
    router: PlainRouter,
    control: PlainRouter,
) -> None:
    start = world.passes(agent)

    def enough() -> bool:
        """Have the agent compare everything again and again, by the annotation that people have for that."""
        for _ in range(10):
            world.touch(HUB)
        return world.passes(agent) - start >= PASSES

    with undisturbed(world, node, router, control):
        world.until(
            enough,
            f"{PASSES} passes",
            lambda: world.passes(agent) - start,
            within=10 * CERTAIN,
        )


def test_a_hundred_other_peers_come_and_go(
    world: World,
    node: HubNode,
    agent: NodeAgent,
    router: PlainRouter,
    control: PlainRouter,
) -> None:
    others = {f"other-{n}": make_keys().public for n in range(OTHERS)}
    with undisturbed(world, node, router, control):
        manifests = [
            a_peer(name, HUB, key, f"10.64.9.{n}/32")
            for n, (name, key) in enumerate(others.items())
        ]
        world.apply(*manifests)
        keys = set(others.values())
        world.until_peers(
            node, lambda peers: keys <= set(peers), "all are on the interface"
        )
        world.kubectl(
            "annotate",
            "hub",
            HUB,
            f"relay.cerebro.dev/confirm-removal={OTHERS}",
        )
        world.kubectl("delete", "peer", *others, "--wait=false")
        world.until_peers(
            node,
            lambda peers: not keys & set(peers),
            "all are gone from the interface",
        )
        for name in others:
            world.until_gone("Peer", name)
        world.until_condition("Hub", HUB, "Ready", "True")
        world.kubectl(
            "annotate", "hub", HUB, "relay.cerebro.dev/confirm-removal-"
        )


def test_e2_the_agent_dies_and_comes_back(
    world: World,
    node: HubNode,
    agent: NodeAgent,
    router: PlainRouter,
    control: PlainRouter,
) -> None:
    with undisturbed(world, node, router, control):
        agent.end()
        agent.start()
        world.until(agent.ready, "the agent is ready again", agent.output)
        world.compared(HUB, 3)


def test_a_router_that_roams_keeps_its_session(
    world: World,
    node: HubNode,
    agent: NodeAgent,
    router: PlainRouter,
    control: PlainRouter,
) -> None:
    with undisturbed(world, node, router, control):
        world.internet.translate(router.address, ROAMED, router.listen_port())
        world.until_peers(
            node,
            lambda peers: (
                peers[router.keys.public].endpoint
                == f"{ROAMED[0]}:{ROAMED[1]}"
            ),
            "the Hub has seen the new endpoint",
        )
        world.compared(HUB, 5)
        assert (
            node.shown().peers[router.keys.public].endpoint
            == f"{ROAMED[0]}:{ROAMED[1]}"
        )
