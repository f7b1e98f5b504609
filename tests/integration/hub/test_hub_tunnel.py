"""A router behind a Hub, from the objects that a person applies to the phone that is let in; and isolation."""

from __future__ import annotations

import base64

import pytest

from integration.agent.router import Router
from integration.hub.hub_node import HubNode, NodeAgent
from integration.hub.plain import PlainRouter
from integration.hub.world import ADDRESS, POOL, PORT, World

HUB = "hub"
PHONE = "AA:BB:CC:00:00:01"


@pytest.fixture(scope="module")
def router(world: World, node: HubNode, agent: NodeAgent) -> PlainRouter:
    return world.plain_router("router-a")


@pytest.fixture(scope="module")
def simulated(world: World, node: HubNode, router: PlainRouter) -> Router:
    """A simulated router whose Device is Ready through the tunnel."""
    simulated = world.tunnel_router(HUB, router, serialNumber="SNrouter-a")
    world.until(
        lambda: world.status(router.name, "Device").get("tunnelAddress"),
        "an address is allocated",
    )
    router.live_at(world.status(router.name, "Device")["tunnelAddress"])
    world.until_condition("Peer", router.name, "Applied", "True")
    router.dial(
        world.status(HUB, "Hub")["publicKey"], f"{node.address}:{PORT}"
    )
    world.answer_api(router, simulated)
    router.reaches(ADDRESS)
    world.until_condition("Device", router.name, "Ready", "True")
    return simulated


def test_a_hub_says_what_it_is(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    """E3: the interface has the key of the Secret that the agent made, and `wg` sees what the status says."""
    shown, status = node.show(), world.status(HUB, "Hub")
    assert shown is not None
    assert shown.public_key == status["publicKey"]
    assert shown.listen_port == PORT
    assert (status["nodeName"], status["implementation"]) == (
        node.name,
        world.implementation,
    )
    assert world.condition("Hub", HUB, "InterfaceUp")["status"] == "True"
    secret = world.kubectl(
        "get",
        "secret",
        f"{HUB}-wireguard",
        "-o",
        "jsonpath={.type} {.data.privateKey}",
    )
    kind, _, data = secret.partition(" ")
    assert kind == "relay.cerebro.dev/wireguard"
    world.passwords.append(shown.private_key)
    assert base64_of(shown.private_key) == data
    addresses = node.run(["ip", "-o", "address", "show", "wg0"]).stdout
    assert POOL in addresses
    assert "mtu 1420" in node.run(["ip", "link", "show", "wg0"]).stdout


def test_a_device_gets_an_address_a_peer_and_a_tunnel(
    world: World, node: HubNode, router: PlainRouter, simulated: Router
) -> None:
    status = world.status(router.name, "Device")
    peer = world.get("Peer", status["peerName"])
    assert peer["spec"]["publicKey"] == router.keys.public
    assert peer["spec"]["allowedIPs"] == [f"{status['tunnelAddress']}/32"]
    assert peer["spec"]["deviceRef"]["name"] == router.name
    assert peer["metadata"]["ownerReferences"][0]["name"] == router.name
    shown = node.shown()
    assert shown.peers[router.keys.public].allowed_ips == {
        f"{status['tunnelAddress']}/32"
    }
    assert shown.peers[router.keys.public].latest_handshake > 0
    for condition in ("Accepted", "Applied", "Ready"):
        world.until_condition("Peer", status["peerName"], condition, "True")
    world.until(
        lambda: (
            world.status(status["peerName"], "Peer").get("state") == "Online"
        ),
        "the Peer is Online",
        lambda: world.status(status["peerName"], "Peer"),
    )
    said = world.status(status["peerName"], "Peer")
    assert said["appliedPublicKey"] == router.keys.public
    assert said["lastHandshakeTime"]
    for condition in ("TunnelUp", "Reachable", "Authenticated"):
        world.until_condition("Device", router.name, condition, "True")
    figures = {"desired": 1, "applied": 1, "online": 1, "unknown": 0}
    world.until(
        lambda: world.status(HUB, "Hub")["peers"] == figures,
        "counted",
        lambda: world.status(HUB, "Hub"),
    )


def test_a_session_lets_a_phone_in_through_the_tunnel(
    world: World, router: PlainRouter, simulated: Router
) -> None:
    simulated.move_in(PHONE, "10.5.50.10")
    assert not simulated.forwards(PHONE)
    world.session("through-the-tunnel", router.name, PHONE)
    simulated.lets_in(PHONE)
    world.until_active("through-the-tunnel")
    world.patch("session", "through-the-tunnel", revoked=True)
    simulated.cuts_off(PHONE)
    world.until_finished("through-the-tunnel")


def test_what_roams_is_a_metric(
    agent: NodeAgent, world: World, router: PlainRouter, simulated: Router
) -> None:
    """Handshake ages and traffic of each Peer are metrics, not status; where it dials from is both (E16)."""
    lines = [
        line
        for line in agent.metrics().splitlines()
        if f'peer="{router.name}"' in line
    ]
    assert any("handshake" in line for line in lines), lines
    assert any("receive" in line or "rx" in line for line in lines), lines
    seen = f"{router.address}:{router.listen_port()}"
    assert world.status(router.name, "Peer")["endpoint"] == seen


def test_d3_a_router_reaches_neither_another_router_nor_the_node(
    world: World, node: HubNode, router: PlainRouter, simulated: Router
) -> None:
    """D3: only ICMP and replies come in from a router; the node reaches routers all the same."""
    other = world.plain_router("router-b")
    world.tunnel_router(HUB, other, serialNumber="SNrouter-b")
    world.until(
        lambda: world.status(other.name, "Device").get("tunnelAddress"),
        "an address is allocated",
    )
    other.live_at(world.status(other.name, "Device")["tunnelAddress"])
    world.until_condition("Peer", other.name, "Applied", "True")
    other.dial(world.status(HUB, "Hub")["publicKey"], f"{node.address}:{PORT}")
    other.reaches(ADDRESS)
    listener = other.listens(9000)
    on_node = node.popen(
        ["python3", "-m", "http.server", "9000", "--bind", "0.0.0.0"]
    )
    world.until(
        lambda: node_connects(node, "127.0.0.1"),
        "the node listens on its port",
    )
    world.until(
        lambda: node_connects(node, other.tunnel_address),
        "the node reaches the router's port",
    )
    assert not router.pings(other.tunnel_address)
    assert not router.connects(other.tunnel_address, 9000)
    assert not router.connects(ADDRESS, 9000)
    assert not router.connects(node.address, 9000, through_tunnel=True)
    assert router.pings(ADDRESS)
    # What was refused is refused by the table: without it the same connections are made.
    world.patch("hub", HUB, isolation="None")
    world.until(lambda: router.connects(ADDRESS, 9000), "isolation is off")
    world.until(
        lambda: router.connects(other.tunnel_address, 9000), "isolation is off"
    )
    world.patch("hub", HUB, isolation="Strict")
    world.until(
        lambda: not router.connects(ADDRESS, 9000), "isolation is on again"
    )
    assert not router.connects(other.tunnel_address, 9000)
    for child in (listener, on_node):
        child.kill()


def base64_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def node_connects(node: HubNode, host: str) -> bool:
    script = (
        f"import socket; socket.create_connection(({host!r}, 9000), 2).close()"
    )
    return node.run(["python3", "-c", script], check=False).returncode == 0
