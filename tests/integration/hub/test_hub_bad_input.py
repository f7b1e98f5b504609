"""What cannot be done ends in a condition whose message says what to do."""

from __future__ import annotations

import base64
import secrets
from typing import Any

import pytest

from integration.agent.relay import Object
from integration.hub.hub_node import HubNode, NodeAgent
from integration.hub.plain import Implementation, make_keys
from integration.hub.world import POOL, World

HUB = "hub"
NO_ADMIN = (
    "setpriv",
    "--bounding-set",
    "-net_admin",
    "--inh-caps",
    "-net_admin",
    "--",
)


def a_device(name: str, hub: str = HUB, **spec: Any) -> Object:
    api = {
        "address": "127.0.0.1",
        "allowPlaintext": True,
        "credentialsSecretRef": {"name": "none"},
    }
    words = {
        "hubRef": {"name": hub},
        "publicKey": make_keys().public,
        "api": api,
        **spec,
    }
    return {"kind": "Device", "metadata": {"name": name}, "spec": words}


def a_name(what: str) -> str:
    return f"{what}-{secrets.token_hex(3)}"


@pytest.fixture(scope="module", autouse=True)
def _many_peers_may_go(world: World, agent: NodeAgent) -> None:
    """These tests delete ten Peers within a minute, of a Hub that has few (rule E13)."""
    world.kubectl(
        "annotate", "hub", HUB, "relay.cerebro.dev/confirm-removal=1000"
    )


def test_a_key_that_is_no_key_is_refused_at_once(world: World) -> None:
    with pytest.raises(
        RuntimeError,
        match="44 characters that end in '=', as `wg pubkey` prints it",
    ):
        world.peer("no-key", HUB, "AAAA", "10.64.1.1/32")
    with pytest.raises(RuntimeError, match="must be a WireGuard public key"):
        world.apply(a_device("no-key", publicKey="not a key"))


@pytest.mark.parametrize("whose", ["nobody's", "the hub's"])
def test_a_key_that_only_looks_like_one(
    world: World, node: HubNode, agent: NodeAgent, whose: str
) -> None:
    """Nothing but zeros, or the Hub's own: the Peer is not accepted, and others are served all the same."""
    zeros = base64.b64encode(bytes(32)).decode()
    key = (
        zeros
        if whose == "nobody's"
        else str(world.status(HUB, "Hub")["publicKey"])
    )
    name, other = a_name("bad"), a_name("good")
    world.peer(name, HUB, key, "10.64.1.2/32")
    said = world.until_condition(
        "Peer", name, "Accepted", "False", "InvalidKey"
    )
    assert "spec.publicKey" in said["message"]
    assert "write" in said["message"]
    world.until_condition("Peer", name, "Ready", "False", "InvalidKey")
    world.applied_peer(other, HUB, make_keys().public, "10.64.1.3/32")
    assert key not in node.shown().peers
    world.delete("peer", name, other)


def test_a_default_route_is_refused_for_a_device_only(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    """The router would take all traffic; who means it makes a Peer by hand, and gets no route on the node."""
    device, by_hand, key = a_name("all"), a_name("all"), make_keys().public
    manifest = a_device(device, lanNetworks=["0.0.0.0/0", "192.168.50.0/24"])
    world.apply(manifest)
    said = world.until_condition(
        "Peer", device, "Accepted", "True", "DefaultRouteRefused"
    )
    for word in ("0.0.0.0/0", "all traffic", "make a Peer by hand"):
        assert word in said["message"]
    world.until_condition("Peer", device, "Applied", "True")
    allowed = node.shown().peers[manifest["spec"]["publicKey"]].allowed_ips
    assert "192.168.50.0/24" in allowed
    assert "0.0.0.0/0" not in allowed
    routes = node.run(["ip", "route"]).stdout
    world.applied_peer(by_hand, HUB, key, "10.64.2.1/32", "0.0.0.0/0")
    world.until_condition("Peer", by_hand, "Accepted", "True", "Accepted")
    assert node.shown().peers[key].allowed_ips == {"10.64.2.1/32", "0.0.0.0/0"}
    world.compared(HUB)
    defaults = [
        line
        for line in node.run(["ip", "route"]).stdout.splitlines()
        if "default" in line
    ]
    assert defaults == [
        line for line in routes.splitlines() if "default" in line
    ]
    world.delete("device", device)
    world.delete("peer", by_hand)


def test_e5_networks_of_two_devices_that_overlap(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    """E5: only that network is dropped; whoever lost gets it when the winner goes."""
    first, second = a_name("first"), a_name("second")
    winner = a_device(first, lanNetworks=["192.168.60.0/24"])
    loser = a_device(
        second, lanNetworks=["192.168.60.128/25", "192.168.61.0/24"]
    )
    world.apply(winner)
    world.until_condition("Peer", first, "Applied", "True")
    world.apply(loser)
    said = world.until_condition(
        "Peer", second, "Accepted", "True", "NetworkConflict"
    )
    for word in (
        "192.168.60.128/25",
        f"Peer {first}",
        "take it out of one of them",
    ):
        assert word in said["message"]
    world.until_condition("Peer", second, "Applied", "True")
    allowed = node.shown().peers[loser["spec"]["publicKey"]].allowed_ips
    assert "192.168.61.0/24" in allowed
    assert "192.168.60.128/25" not in allowed
    world.delete("device", first)
    world.until_condition("Peer", second, "Accepted", "True", "Accepted")
    world.until_peers(
        node,
        lambda peers: (
            "192.168.60.128/25"
            in peers[loser["spec"]["publicKey"]].allowed_ips
        ),
        "the other one takes over",
    )
    world.delete("device", second)


def test_e5_a_network_that_the_node_is_in_itself(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    """E5: the node keeps its neighbours, and the Peer says so; it gets the network when the node leaves it."""
    name = a_name("lan")
    for words in (
        "link add lan0 type veth peer name lan1",
        "address add 192.168.70.1/24 dev lan0",
        "link set lan0 up",
        "link set lan1 up",
    ):
        node.run(["ip", *words.split()])
    manifest = a_device(
        name, lanNetworks=["192.168.70.0/25", "192.168.71.0/24"]
    )
    world.apply(manifest)
    said = world.until_condition(
        "Peer", name, "Accepted", "True", "NetworkConflict"
    )
    for word in (
        "192.168.70.0/25",
        f"192.168.70.0/24 of lan0 on the node {node.name}",
        "take it out",
    ):
        assert word in said["message"]
    world.until_condition("Peer", name, "Applied", "True")
    allowed = node.shown().peers[manifest["spec"]["publicKey"]].allowed_ips
    assert "192.168.71.0/24" in allowed
    assert "192.168.70.0/25" not in allowed
    world.compared(HUB)
    assert (
        "dev lan0" in node.run(["ip", "route", "get", "192.168.70.7"]).stdout
    )
    world.until_condition("Hub", HUB, "Ready", "True")
    node.run(["ip", "link", "del", "lan0"])
    world.until_condition("Peer", name, "Accepted", "True", "Accepted")
    world.until_peers(
        node,
        lambda peers: (
            "192.168.70.0/25"
            in peers[manifest["spec"]["publicKey"]].allowed_ips
        ),
        "the Peer has it once the node does not",
    )
    world.delete("device", name)


def test_e17_a_network_that_the_node_needs_outside_of_the_tunnel(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    """E17, case S5: its default gateway, and where a router of the Hub is; each is dropped alone."""
    router = world.connected(HUB, node, a_name("far"), "10.64.9.9")
    gateway = node.run(["ip", "route", "show", "default"]).stdout.split()[2]
    wide = gateway.rpartition(".")[0].rpartition(".")[0] + ".0.0/16"
    near = router.address.rpartition(".")[0] + ".0/24"
    name = a_name("lan")
    manifest = a_device(name, lanNetworks=[near, "192.168.73.0/24"])
    world.apply(manifest)
    said = world.until_condition(
        "Peer", name, "Accepted", "True", "NetworkConflict"
    )
    assert f"{near} holds {router.address} (the endpoint of" in said["message"]
    world.patch("device", name, lanNetworks=[wide, "192.168.73.0/24"])
    world.until(
        lambda: (
            f"{wide} holds"
            in world.condition("Peer", name, "Accepted").get("message", "")
        ),
        "the wide network is refused too",
        lambda: world.condition("Peer", name, "Accepted"),
    )
    world.until_condition("Peer", name, "Applied", "True")
    world.compared(HUB)
    allowed = node.shown().peers[manifest["spec"]["publicKey"]].allowed_ips
    assert "192.168.73.0/24" in allowed
    assert not {wide, near} & allowed
    assert (
        "dev eth0" in node.run(["ip", "route", "get", router.address]).stdout
    )
    router.reaches("10.64.0.1")
    world.delete("device", name)
    world.delete("peer", router.name)


def test_a_route_that_the_node_has_already(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    """The Peer whose network it is says so, and the Hub serves all others."""
    name = a_name("routed")
    node.run(["ip", "route", "add", "192.168.72.0/24", "dev", "lo"])
    world.apply(a_device(name, lanNetworks=["192.168.72.0/24"]))
    said = world.until_condition(
        "Peer", name, "Ready", "False", "RouteRefused"
    )
    for word in (
        "192.168.72.0/24",
        "another route",
        "take the network off the Peer",
    ):
        assert word in said["message"]
    world.until_condition("Peer", name, "Applied", "True")
    world.compared(HUB)
    assert (
        name in world.until_condition("Hub", HUB, "Ready", "True")["message"]
    )
    node.run(["ip", "route", "del", "192.168.72.0/24", "dev", "lo"])
    world.until_condition("Peer", name, "Ready", "True")
    world.delete("device", name)


@pytest.mark.parametrize("what", ["key", "address"])
def test_two_peers_with_one_key_or_address(
    world: World, node: HubNode, agent: NodeAgent, what: str
) -> None:
    """The one that is applied keeps it; the other takes over when that one goes."""
    first, second, one = a_name("first"), a_name("second"), make_keys().public
    other = one if what == "key" else make_keys().public
    world.applied_peer(first, HUB, one, "10.64.3.1/32")
    world.peer(
        second, HUB, other, "10.64.3.2/32" if what == "key" else "10.64.3.1/32"
    )
    reason = "DuplicateKey" if what == "key" else "AddressConflict"
    said = world.until_condition("Peer", second, "Accepted", "False", reason)
    assert first in said["message"]
    assert "takes over when" in said["message"]
    assert world.condition("Peer", first, "Accepted")["status"] == "True"
    assert node.shown().peers[one].allowed_ips == {"10.64.3.1/32"}
    world.delete("peer", first)
    world.until_condition("Peer", second, "Accepted", "True")
    wanted = {"10.64.3.2/32"} if what == "key" else {"10.64.3.1/32"}
    world.until_peers(
        node,
        lambda peers: other in peers and peers[other].allowed_ips == wanted,
        "it takes over",
    )
    world.delete("peer", second)


def test_e9_a_pool_that_is_exhausted(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    """A /30 has room for the Hub and one router; a further network heals it."""
    tiny = {
        "interface": "wg3",
        "listenPort": 51823,
        "addresses": ["10.68.0.1/30"],
    }
    world.ready_hub("tiny", node, **tiny)
    first, second = a_name("fits"), a_name("too-many")
    world.apply(a_device(first, "tiny"))
    world.until(
        lambda: (
            world.status(first, "Device").get("tunnelAddress") == "10.68.0.2"
        ),
        "it fits",
    )
    world.apply(a_device(second, "tiny"))
    said = world.until_condition(
        "Device", second, "Ready", "False", "PoolExhausted"
    )
    assert "spec.addresses" in said["message"]
    assert "tiny" in said["message"]
    world.patch("hub", "tiny", addresses=["10.68.0.1/30", "10.69.0.1/24"])
    world.until(
        lambda: str(
            world.status(second, "Device").get("tunnelAddress")
        ).startswith("10.69.0."),
        "it is in the further network",
        lambda: world.status(second, "Device"),
    )
    world.until_condition("Peer", second, "Applied", "True")


@pytest.mark.parametrize(
    ("field", "spec", "reason"),
    [
        (
            "listenPort",
            {"interface": "wg4", "addresses": ["10.71.0.1/24"]},
            "InterfaceConflict",
        ),
        (
            "interface",
            {"listenPort": 51824, "addresses": ["10.71.0.1/24"]},
            "InterfaceConflict",
        ),
        (
            "addresses",
            {
                "interface": "wg4",
                "listenPort": 51824,
                "addresses": ["10.64.128.1/24"],
            },
            "NetworkConflict",
        ),
    ],
    ids=["one port", "one interface", "one network"],
)
def test_two_hubs_on_a_node(
    world: World,
    node: HubNode,
    agent: NodeAgent,
    *,
    field: str,
    spec: Object,
    reason: str,
) -> None:
    """The newer one waits, and touches nothing of the older."""
    before = node.shown()
    name = a_name("newer")
    world.hub(name, node, **spec)
    said = world.until_condition("Hub", name, "Ready", "False", reason)
    assert HUB in said["message"]
    assert field in said["message"]
    world.compared(HUB)
    assert node.show("wg4") is None
    assert node.shown() == before
    assert POOL in node.run(["ip", "-o", "address", "show", "wg0"]).stdout
    assert world.condition("Hub", HUB, "Ready")["status"] == "True"
    world.delete("hub", name)


def test_a_port_that_another_program_has(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    script = "import socket, time; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('', 51825)); time.sleep(600)"
    other = node.popen(["python3", "-c", script])
    world.until(
        lambda: ":51825 " in node.run(["ss", "-lun"]).stdout,
        "the port is taken",
    )
    name = a_name("taken")
    world.hub(
        name,
        node,
        interface="wg5",
        listenPort=51825,
        addresses=["10.72.0.1/24"],
    )
    said = world.until_condition(
        "Hub", name, "Ready", "False", "ListenPortInUse"
    )
    assert "51825" in said["message"]
    other.kill()
    world.until_condition("Hub", name, "Ready", "True")
    world.delete("hub", name)


def test_an_interface_of_another_kind_is_not_touched(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    node.run(
        ["ip", "link", "add", "wg6", "type", "veth", "peer", "name", "wg6-far"]
    )
    before = node.run(["ip", "-o", "link", "show", "wg6"]).stdout
    name = a_name("foreign")
    world.hub(
        name,
        node,
        interface="wg6",
        listenPort=51826,
        addresses=["10.73.0.1/24"],
    )
    said = world.until_condition(
        "Hub", name, "Ready", "False", "InterfaceConflict"
    )
    assert "wg6" in said["message"]
    assert node.run(["ip", "-o", "link", "show", "wg6"]).stdout == before
    world.delete("hub", name)
    node.run(["ip", "link", "del", "wg6"])


def kernel_has_wireguard(node: HubNode) -> bool:
    if node.run(
        ["ip", "link", "add", "probe", "type", "wireguard"], check=False
    ).returncode:
        return False
    node.run(["ip", "link", "del", "probe"])
    return True


@pytest.mark.parametrize("asked", ["Kernel", "Userspace", "Auto"])
def test_a_node_without_wireguard(
    world: World, asked: Implementation | str
) -> None:
    """No kernel module and no keeper. Where the kernel has WireGuard, only Userspace is what is missing."""
    bare = world.node(a_name("bare"))
    if bare.keeper is not None:
        bare.stop_keeper()
    if asked != "Userspace" and kernel_has_wireguard(bare):
        asked = "Userspace"
    agent = world.start_agent(bare)
    name = a_name("bare")
    world.hub(name, bare, implementation=asked)
    said = world.until_condition(
        "Hub", name, "Ready", "False", "WireGuardNotAvailable"
    )
    words = {
        "Kernel": ("module", "Userspace"),
        "Userspace": ("cerebro tunnel",),
        "Auto": ("module", "cerebro tunnel"),
    }
    for word in words[asked]:
        assert word in said["message"]
    assert world.condition("Hub", name, "InterfaceUp")["status"] == "False"
    world.delete("hub", name)
    agent.end()


def test_without_net_admin(world: World) -> None:
    """An agent that may not change the network says which right it lacks."""
    poor = world.node(a_name("poor"))
    agent = world.start_agent(poor, before=NO_ADMIN)
    name = a_name("poor")
    world.hub(name, poor)
    said = world.until_condition("Hub", name, "Ready", "False", "NotPermitted")
    assert "NET_ADMIN" in said["message"]
    world.delete("hub", name)
    agent.end()
