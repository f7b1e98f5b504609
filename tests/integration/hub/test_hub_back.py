"""Rule E16: after its interface was made anew the Hub dials the routers where they were heard from last.

No router has anything to say meanwhile, so that none dials by itself, as in a field at night. The interface goes as
in a crash: the process that carries it is killed, or the kernel's link goes. One router is behind a NAT, which lets
nothing in but what it waits for, and has a preshared key.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from controlplane.server import ControlPlane
from integration.agent.process import Proxy
from integration.hub.hub_node import HubNode, NodeAgent
from integration.hub.internet import Nat
from integration.hub.plain import PlainRouter, make_preshared_key
from integration.hub.world import ADDRESS, PORT, World

HUB = "hub"
ROAMED = ("192.0.2.78", 40002)


@pytest.fixture(scope="module")
def proxy(control_plane: ControlPlane) -> Iterator[Proxy]:
    with Proxy(control_plane) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def agent(world: World, node: HubNode, proxy: Proxy) -> NodeAgent:
    """The agent, whose API server can be made to hang."""
    world.operator()
    node.reach(proxy.faults.port)
    agent = world.start_agent(node, server=proxy.faults.url)
    world.ready_hub(HUB, node)
    return agent


@pytest.fixture(scope="module")
def nat(world: World, agent: NodeAgent) -> Nat:
    return world.nat("nat")


@pytest.fixture(scope="module")
def routers(
    world: World, node: HubNode, agent: NodeAgent, nat: Nat
) -> list[PlainRouter]:
    """A router on the internet, and one behind a NAT; both have been Online, and their statuses say where."""
    routers = [
        world.plain_router("open", "10.64.0.2"),
        world.plain_router("behind-nat", "10.64.0.3", behind=nat),
    ]
    psk = make_preshared_key()
    world.tunnel_secret("psk", presharedKey=psk)
    for router in routers:
        secret, spec = None, dict[str, Any]()
        if router.name == "behind-nat":
            secret, spec = psk, {"presharedKeySecretRef": {"name": "psk"}}
        address = f"{router.tunnel_address}/32"
        world.applied_peer(
            router.name, HUB, router.keys.public, address, **spec
        )
        router.dial(
            world.status(HUB, "Hub")["publicKey"],
            f"{node.address}:{PORT}",
            preshared_key=secret,
        )
        router.reaches(ADDRESS)
    for router in routers:
        until_status_says_where(world, node, router)
    return routers


def until_status_says_where(
    world: World, node: HubNode, router: PlainRouter
) -> None:
    """Wait until the status of a router's Peer says where the interface hears it."""

    def says_so() -> bool:
        seen = node.shown().peers[router.keys.public].endpoint
        return bool(world.status(router.name, "Peer").get("endpoint") == seen)

    world.until(
        says_so,
        f"the status says where {router.name} is",
        lambda: world.status(router.name, "Peer"),
    )


def back(world: World, node: HubNode, routers: list[PlainRouter]) -> None:
    """Wait until the node reaches the routers, which say nothing by themselves."""
    for router in routers:
        world.until(
            partial(reaches, node, router.tunnel_address),
            f"{router.name} is back",
            node.show,
        )


def reaches(node: HubNode, address: str) -> bool:
    """Whether a ping of the node is answered."""
    ping = ["ping", "-nc1", "-W1", address]
    return node.run(ping, check=False).returncode == 0


def hub_dialled(world: World, node: HubNode, since: float, to: str) -> None:
    """Fail unless the Hub began a handshake with an address since then: without an endpoint it cannot, and with
    a router that dialled it has no reason to for two minutes.
    """
    sources = {
        seen["source"] for seen in world.internet.handshakes(to, since=since)
    }
    assert node.address in sources, sources


def test_e16_routers_are_dialled_where_they_were_when_their_tunnel_is_made_anew(
    world: World,
    node: HubNode,
    agent: NodeAgent,
    nat: Nat,
    routers: list[PlainRouter],
) -> None:
    """Also behind a NAT. After the first handshake they roam as ever, without a keepalive."""
    before, start = node.shown(), world.internet.now()
    node.lose_interface()
    world.until(
        lambda: (shown := node.show()) and shown.index != before.index,
        "the interface is another one",
        node.show,
    )
    back(world, node, routers)
    for address in (routers[0].address, nat.address):
        hub_dialled(world, node, start, address)
    world.until_peers(
        node,
        lambda peers: {peer.keepalive for peer in peers.values()} == {"off"},
        "no keepalive stays",
    )
    shown = node.shown()
    assert {key: peer.endpoint for key, peer in shown.peers.items()} == {
        key: peer.endpoint for key, peer in before.peers.items()
    }
    world.compared(HUB, 3)
    assert node.shown().peers.keys() == before.peers.keys()


def test_e16_a_router_that_was_never_heard_from_is_not_dialled(
    world: World, node: HubNode, agent: NodeAgent, routers: list[PlainRouter]
) -> None:
    router = world.plain_router("silent", "10.64.0.9")
    key = router.keys.public
    world.applied_peer(router.name, HUB, key, "10.64.0.9/32")
    start = world.internet.now()
    node.lose_interface()
    back(world, node, routers)
    assert node.shown().peers[key].endpoint == "(none)"
    assert node.shown().peers[key].keepalive == "off"
    assert "endpoint" not in world.status(router.name, "Peer")
    assert world.internet.handshakes(router.address, since=start) == []


def test_e16_where_a_router_roamed_to_since_its_status_was_written_counts(
    world: World, node: HubNode, agent: NodeAgent, routers: list[PlainRouter]
) -> None:
    """The status follows five minutes later at the earliest, and the plan leaves a router where it roams to."""
    router = routers[0]
    key, seen = router.keys.public, f"{ROAMED[0]}:{ROAMED[1]}"
    world.internet.translate(router.address, ROAMED, router.listen_port())
    router.reaches(ADDRESS)
    world.until_peers(
        node, lambda peers: peers[key].endpoint == seen, "it roamed"
    )
    world.compared(HUB, 3)
    assert node.shown().peers[key].endpoint == seen
    start = world.internet.now()
    node.lose_interface()
    back(world, node, routers)
    hub_dialled(world, node, start, ROAMED[0])


def test_e16_neither_keys_nor_endpoints_wait_for_an_api_server_that_hangs(
    world: World,
    node: HubNode,
    proxy: Proxy,
    nat: Nat,
    routers: list[PlainRouter],
) -> None:
    """Case S8: no Secret can be read; the interface gets its key, and the peer its preshared key, from memory."""
    hanging = proxy.faults.delay(
        600.0, matching=lambda request: request.resource == "secrets"
    )
    world.compared(HUB, 3)
    assert hanging.hits
    start = world.internet.now()
    node.lose_interface()
    back(world, node, routers)
    hub_dialled(world, node, start, nat.address)
    hanging.end()


def test_e16_an_agent_that_starts_with_a_new_interface_goes_by_the_statuses(
    world: World,
    node: HubNode,
    agent: NodeAgent,
    nat: Nat,
    routers: list[PlainRouter],
) -> None:
    """As after a reboot of the node. The column of `kubectl get peer -o wide` shows what it goes by."""
    router = routers[1]
    seen = world.status(router.name, "Peer")["endpoint"]
    assert seen.startswith(f"{nat.address}:")
    lines = world.kubectl("get", "peer", router.name, "-o", "wide")
    head, line = lines.splitlines()
    assert line[head.index("ENDPOINT") :].split()[0] == seen
    agent.end()
    start = world.internet.now()
    node.lose_interface()
    agent.start()
    back(world, node, [router])
    hub_dialled(world, node, start, nat.address)
