"""What the Hub's loop puts right on the interface, what it keeps, and what it leaves alone (E3, E8, E13)."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping

from integration.hub.hub_node import HubNode, NodeAgent
from integration.hub.plain import (
    Seen,
    configure,
    make_keys,
    make_preshared_key,
)
from integration.hub.world import ADDRESS, PORT, World, a_peer

HUB = "hub"


def a_name() -> str:
    return f"p-{secrets.token_hex(3)}"


def until_told(world: World, kind: str, name: str, *reasons: str) -> None:
    """Wait until `kubectl describe` tells these Events."""

    def is_told() -> bool:
        text = world.kubectl("describe", kind, name)
        events = text.partition("\nEvents:")[2]
        return all(reason in events for reason in reasons)

    world.until(is_told, f"describe {kind} {name} tells {reasons}")


def test_a_peer_removed_by_hand_is_put_back(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    name, keys = a_name(), make_keys()
    world.applied_peer(
        name, HUB, keys.public, "10.64.1.1/32", persistentKeepalive=25
    )
    configure(node, "wg0", "peer", keys.public, "remove")
    world.until_peers(
        node, lambda peers: keys.public in peers, "the peer is put back"
    )
    shown = node.shown()
    assert shown.peers[keys.public].allowed_ips == {"10.64.1.1/32"}
    assert shown.peers[keys.public].keepalive == "25"

    until_told(world, "hub", HUB, "InterfaceUp", "DriftRepaired")
    until_told(world, "peer", name, "Applied")


def test_allowed_ips_changed_by_hand_are_put_right(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    """Also when another peer got the address by hand."""
    one, other = make_keys(), make_keys()
    world.applied_peer(
        a_name(), HUB, one.public, "10.64.2.1/32", "192.168.21.0/24"
    )
    world.applied_peer(a_name(), HUB, other.public, "10.64.2.2/32")
    configure(
        node,
        "wg0",
        "peer",
        other.public,
        "allowed-ips",
        "10.64.2.2/32,10.64.2.1/32,0.0.0.0/0",
    )
    wanted = {
        one.public: {"10.64.2.1/32", "192.168.21.0/24"},
        other.public: {"10.64.2.2/32"},
    }
    world.until_peers(
        node,
        lambda peers: all(
            peers[key].allowed_ips == networks
            for key, networks in wanted.items()
        ),
        "the allowed IPs are put right",
    )


def test_routes_outside_the_pool_are_made_and_put_back(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    name = a_name()
    world.applied_peer(
        name, HUB, make_keys().public, "10.64.2.9/32", "192.168.29.0/24"
    )

    def routed() -> bool:
        return (
            "dev wg0"
            in node.run(["ip", "route", "show", "192.168.29.0/24"]).stdout
        )

    world.until(routed, "the route is there")
    node.run(["ip", "route", "del", "192.168.29.0/24"])
    world.until(routed, "the route is put back")
    world.patch("peer", name, allowedIPs=["10.64.2.9/32"])
    world.until(lambda: not routed(), "the route goes with its network")


def test_an_address_goes_with_its_line_in_the_spec(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    """One that nobody asked this agent for stays, and the Hub says how it is removed."""
    spec = {"interface": "wg1", "listenPort": 51821}
    world.ready_hub(
        "addresses",
        node,
        addresses=["10.65.0.1/24", "10.66.0.1/24", "10.67.0.1/24"],
        **spec,
    )

    def addresses() -> list[str]:
        words = ["ip", "-o", "-4", "address", "show", "wg1"]
        return [
            line.split()[3] for line in node.run(words).stdout.splitlines()
        ]

    world.patch("hub", "addresses", addresses=["10.65.0.1/24", "10.67.0.1/24"])
    world.until(
        lambda: addresses() == ["10.65.0.1/24", "10.67.0.1/24"],
        "the address is gone",
        addresses,
    )
    world.until_condition("Hub", "addresses", "Ready", "True")
    agent.end()
    world.patch("hub", "addresses", addresses=["10.65.0.1/24"])
    agent.start()
    said = world.until_condition(
        "Hub", "addresses", "Ready", "False", "ForeignAddress"
    )
    assert addresses() == ["10.65.0.1/24", "10.67.0.1/24"]
    command = re.search(r"`(ip address del .*)`", said["message"])
    assert command is not None
    node.run(command[1].split())
    world.until_condition("Hub", "addresses", "Ready", "True")
    world.delete("hub", "addresses")


def test_e8_an_unknown_peer_is_kept_and_reported_then_removed_under_remove(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    stranger = make_keys().public
    configure(node, "wg0", "peer", stranger, "allowed-ips", "10.64.3.1/32")
    world.until(
        lambda: world.status(HUB, "Hub")["peers"]["unknown"] == 1,
        "the unknown peer is counted",
        lambda: world.status(HUB, "Hub"),
    )
    world.compared(HUB)
    shown = node.shown()
    assert stranger in shown.peers
    ready = world.condition("Hub", HUB, "Ready")
    assert ready["status"] == "True"
    assert "unknownPeers" in ready["message"]
    world.patch("hub", HUB, unknownPeers="Remove")
    world.until_peers(
        node,
        lambda peers: stranger not in peers,
        "the unknown peer is removed",
    )
    world.until(
        lambda: world.status(HUB, "Hub")["peers"]["unknown"] == 0,
        "and not counted any more",
    )
    world.patch("hub", HUB, unknownPeers="Keep")


def test_d3_an_unknown_peer_within_an_administrators_network_is_no_administrator(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    """D3: its longer prefix lets it send from there, and the table must not take that for the administrator."""
    name, admin, stranger = a_name(), make_keys().public, make_keys().public

    def admitted(address: str) -> bool:
        words = [
            "nft",
            "get",
            "element",
            "inet",
            "cerebro_wg0",
            "administrators4",
            f"{{ {address} }}",
        ]
        return node.run(words, check=False).returncode == 0

    world.applied_peer(name, HUB, admin, "10.64.3.20/32", "172.16.0.0/16")
    world.until(
        lambda: admitted("172.16.5.7"),
        "the administrator's network is admitted",
    )
    configure(node, "wg0", "peer", stranger, "allowed-ips", "172.16.5.0/24")
    world.until(
        lambda: not admitted("172.16.5.7"), "what the stranger has is not"
    )
    assert admitted("172.16.6.7")
    assert admitted("10.64.3.20")
    configure(node, "wg0", "peer", stranger, "remove")
    world.until(lambda: admitted("172.16.5.7"), "it is admitted again")
    world.delete("peer", name)


def test_an_unknown_peer_becomes_known_as_it_is(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    """A Peer for a peer that works already is adopted: its session goes on."""
    router = world.plain_router(a_name(), "10.64.3.9")
    configure(
        node, "wg0", "peer", router.keys.public, "allowed-ips", "10.64.3.9/32"
    )
    router.dial(
        world.status(HUB, "Hub")["publicKey"], f"{node.address}:{PORT}"
    )
    router.reaches(ADDRESS)
    start, train = world.internet.now(), router.train(ADDRESS)
    world.applied_peer(router.name, HUB, router.keys.public, "10.64.3.9/32")
    world.compared(HUB)
    assert train.stop() == []
    assert world.internet.early_handshakes(router.address, start) == []


def test_e8_a_rotated_key_is_removed_also_under_keep(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    """Keys rotated on the router's side, of a Device: the Peer follows, the old key goes, a new handshake.

    The tunnel address has an owner all the time.
    """
    router = world.plain_router(a_name())
    old = router.keys.public
    api = {
        "address": "127.0.0.1",
        "allowPlaintext": True,
        "credentialsSecretRef": {"name": "none"},
    }
    spec = {
        "hubRef": {"name": HUB},
        "publicKey": old,
        "tunnelAddress": "10.64.4.1",
        "api": api,
    }
    world.apply(
        {"kind": "Device", "metadata": {"name": router.name}, "spec": spec}
    )
    world.until_peers(node, lambda peers: old in peers, "the peer is there")
    router.live_at("10.64.4.1")
    router.dial(
        world.status(HUB, "Hub")["publicKey"], f"{node.address}:{PORT}"
    )
    router.reaches(ADDRESS)
    new = make_keys()
    router.change_keys(new)
    world.patch("device", router.name, publicKey=new.public)

    def changed(peers: Mapping[str, Seen]) -> bool:
        assert any(
            "10.64.4.1/32" in one.allowed_ips for one in peers.values()
        ), peers
        return new.public in peers and old not in peers

    world.until_peers(node, changed, "the keys are changed")
    router.reaches(ADDRESS)
    world.until_peers(
        node,
        lambda peers: peers[new.public].latest_handshake > 0,
        "a new handshake",
    )
    world.until(
        lambda: (
            world.status(router.name, "Peer").get("appliedPublicKey")
            == new.public
        ),
        "it is noted",
    )
    assert world.status(HUB, "Hub")["peers"]["unknown"] == 0


def test_a_preshared_key_from_a_secret(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    name, psk = a_name(), make_preshared_key()
    world.tunnel_secret(f"{name}-psk", presharedKey=psk)
    router = world.plain_router(name, "10.64.5.1")
    reference = {"name": f"{name}-psk"}
    world.applied_peer(
        name,
        HUB,
        router.keys.public,
        "10.64.5.1/32",
        presharedKeySecretRef=reference,
    )
    router.dial(
        world.status(HUB, "Hub")["publicKey"],
        f"{node.address}:{PORT}",
        preshared_key=psk,
    )
    router.reaches(ADDRESS)
    shown = node.shown()
    assert shown.peers[router.keys.public].preshared_key == psk
    configure(
        node, "wg0", "peer", router.keys.public, "preshared-key", "/dev/null"
    )
    world.until_peers(
        node,
        lambda peers: peers[router.keys.public].preshared_key == psk,
        "it is put back",
    )


def test_a_preshared_key_that_is_missing_says_so_and_stops_nobody_else(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    name, other, psk = a_name(), a_name(), make_preshared_key()
    key = make_keys().public
    world.peer(
        name,
        HUB,
        key,
        "10.64.5.2/32",
        presharedKeySecretRef={"name": f"{name}-psk"},
    )
    said = world.until_condition(
        "Peer", name, "Applied", "False", "SecretNotUsable"
    )
    assert f"{name}-psk" in said["message"]
    assert "relay.cerebro.dev/wireguard" in said["message"]
    world.applied_peer(other, HUB, make_keys().public, "10.64.5.3/32")
    shown = node.shown()
    assert key not in shown.peers
    world.tunnel_secret(f"{name}-psk", presharedKey=psk)
    world.until_condition("Peer", name, "Applied", "True")
    shown = node.shown()
    assert shown.peers[key].preshared_key == psk


def test_a_peer_deleted_goes_from_the_interface_before_the_object(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    """Also when the agent was away meanwhile: the object waits for it."""
    name, key = a_name(), make_keys().public
    world.applied_peer(name, HUB, key, "10.64.6.1/32")
    world.until(
        lambda: (
            "relay.cerebro.dev/interface"
            in world.get("Peer", name)["metadata"].get("finalizers", [])
        ),
        "the Peer has its finalizer",
    )
    agent.end()
    world.kubectl("delete", "peer", name, "--wait=false")
    assert world.get("Peer", name)["metadata"]["deletionTimestamp"]
    shown = node.shown()
    assert key in shown.peers
    agent.start()
    world.until_gone("Peer", name)
    shown = node.shown()
    assert key not in shown.peers


def test_e13_many_peers_that_go_at_once_wait_for_a_persons_word(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    """E13: as when somebody deleted them all while the agent was away."""
    keys = {a_name(): make_keys().public for _ in range(50)}
    world.apply(
        *(
            a_peer(name, HUB, key, f"10.64.8.{n}/32")
            for n, (name, key) in enumerate(keys.items())
        )
    )
    for name in keys:
        world.until_condition("Peer", name, "Applied", "True")
    agent.end()
    world.kubectl("delete", "peer", *keys, "--wait=false")
    agent.start()
    said = world.until_condition("Hub", HUB, "Ready", "False", "MassRemoval")
    assert 'relay.cerebro.dev/confirm-removal: "50"' in said["message"]
    world.compared(HUB)
    assert set(keys.values()) <= set(node.shown().peers)
    world.kubectl(
        "annotate", "hub", HUB, "relay.cerebro.dev/confirm-removal=50"
    )
    world.until_peers(
        node,
        lambda peers: not peers.keys() & set(keys.values()),
        "they are gone",
    )
    for name in keys:
        world.until_gone("Peer", name)
    world.until_condition("Hub", HUB, "Ready", "True")
    world.kubectl("annotate", "hub", HUB, "relay.cerebro.dev/confirm-removal-")


def test_a_peer_deleted_under_the_agents_eyes(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    name, key = a_name(), make_keys().public
    world.applied_peer(name, HUB, key, "10.64.6.2/32")
    world.delete("peer", name)
    shown = node.shown()
    assert key not in shown.peers


def test_a_restart_of_the_agent_leaves_everything_as_it_is(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    """E2: same interface, same peers, same handshakes, and nothing is lost meanwhile."""
    router = world.connected(HUB, node, a_name(), "10.64.7.1")
    start, train = world.internet.now(), router.train(ADDRESS)
    before = node.shown()
    agent.end()
    agent.start()
    world.until(agent.ready, "the agent is ready again", agent.output)
    world.compared(HUB, 3)
    after = node.shown()
    assert train.stop() == []
    assert (after.index, after.private_key, after.listen_port) == (
        before.index,
        before.private_key,
        before.listen_port,
    )
    still = {
        key: (peer.allowed_ips, peer.endpoint)
        for key, peer in after.peers.items()
    }
    assert still == {
        key: (peer.allowed_ips, peer.endpoint)
        for key, peer in before.peers.items()
    }
    assert world.internet.early_handshakes(router.address, start) == []
    assert after.peers[router.keys.public].latest_handshake


def test_e13_peers_that_go_one_after_the_other_wait_for_a_persons_word(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    """Case S1: no single pass removes many."""
    keys = {a_name(): make_keys().public for _ in range(50)}
    world.apply(
        *(
            a_peer(name, HUB, key, f"10.64.9.{n}/32")
            for n, (name, key) in enumerate(keys.items())
        )
    )
    for name in keys:
        world.until_condition("Peer", name, "Applied", "True")
    most = len(node.shown().peers) / 5

    deleted = list(keys)[:30]
    for name in deleted:
        world.kubectl("delete", "peer", name, "--wait=false")
        time.sleep(0.3)
    world.until_condition("Hub", HUB, "Ready", "False", "MassRemoval")
    world.compared(HUB)
    said = world.condition("Hub", HUB, "Ready")
    there = node.shown().peers.keys()
    waiting = [name for name in deleted if keys[name] in there]
    assert len(deleted) - len(waiting) <= most
    assert f'confirm-removal: "{len(waiting)}"' in said["message"]
    assert {keys[name] for name in keys if name not in deleted} <= there

    world.kubectl(
        "annotate",
        "hub",
        HUB,
        f"relay.cerebro.dev/confirm-removal={len(waiting)}",
    )
    for name in deleted:
        world.until_gone("Peer", name)
    world.until_condition("Hub", HUB, "Ready", "True")
    rest = [name for name in keys if name not in deleted]
    world.kubectl(
        "annotate",
        "--overwrite",
        "hub",
        HUB,
        f"relay.cerebro.dev/confirm-removal={len(rest)}",
    )
    world.kubectl("delete", "peer", *rest, "--wait=false")
    for name in rest:
        world.until_gone("Peer", name)
    world.kubectl("annotate", "hub", HUB, "relay.cerebro.dev/confirm-removal-")
