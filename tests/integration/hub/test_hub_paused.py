"""A Hub that is paused (B8): nothing is written on the node, ends of access excepted unless it says All."""

from __future__ import annotations

import pytest

from integration.hub.hub_node import HubNode, NodeAgent
from integration.hub.plain import configure, make_keys
from integration.hub.world import World

HUB = "hub"


@pytest.mark.parametrize("paused", ["Changes", "All"])
def test_b8_while_paused_nothing_is_written(
    world: World, node: HubNode, agent: NodeAgent, paused: str
) -> None:
    """B8: neither a new Peer nor a repair; a Peer that goes loses its access under Changes, and keeps it under All.

    What is on the interface is looked at all the same, so that Peers say what is so. Afterwards all is made good.
    """
    stays, goes, comes = (
        f"{which}-{paused.lower()}" for which in ("stays", "goes", "comes")
    )
    keys = {name: make_keys().public for name in (stays, goes, comes)}
    world.applied_peer(stays, HUB, keys[stays], "10.64.1.1/32")
    world.applied_peer(goes, HUB, keys[goes], "10.64.1.2/32")
    world.until(
        lambda: world.get("Peer", goes)["metadata"].get("finalizers"),
        "the Peer has its finalizer",
    )
    world.patch("hub", HUB, paused=paused)
    world.until_condition("Hub", HUB, "Ready", "False", "Paused")
    configure(node, "wg0", "peer", keys[stays], "allowed-ips", "10.64.1.9/32")
    world.patch("hub", HUB, addresses=["10.64.0.1/16", "10.65.0.1/24"])
    world.peer(comes, HUB, keys[comes], "10.64.1.3/32")
    world.until_condition("Peer", comes, "Applied", "False", "Paused")
    world.kubectl("delete", "peer", goes, "--wait=false")
    if paused == "Changes":
        world.until_gone("Peer", goes)
    else:
        world.until_condition("Peer", goes, "Applied", "True", "Paused")
    world.compared(HUB)
    peers = node.shown().peers
    assert peers[keys[stays]].allowed_ips == {"10.64.1.9/32"}
    assert keys[comes] not in peers
    assert (keys[goes] in peers) == (paused == "All")
    assert (
        "10.65.0.1"
        not in node.run(["ip", "-o", "address", "show", "wg0"]).stdout
    )
    assert world.condition("Peer", stays, "Applied")["status"] == "True"
    assert world.condition("Hub", HUB, "InterfaceUp")["status"] == "True"

    world.patch("hub", HUB, paused="None", addresses=["10.64.0.1/16"])
    world.until_condition("Hub", HUB, "Ready", "True")
    world.until_condition("Peer", comes, "Applied", "True")
    world.until_gone("Peer", goes)
    world.until_peers(
        node,
        lambda peers: (
            peers.keys() >= {keys[stays], keys[comes]}
            and peers[keys[stays]].allowed_ips == {"10.64.1.1/32"}
            and keys[goes] not in peers
        ),
        "all is made good",
    )
    world.delete("peer", stays, comes)


def test_b8_a_hub_that_goes_is_cleaned_up_under_changes_and_not_under_all(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    spec = {
        "interface": "wg1",
        "listenPort": 51821,
        "addresses": ["10.66.0.1/24"],
    }
    world.ready_hub("goes", node, deletionPolicy="Cleanup", **spec)
    world.until(
        lambda: world.get("Hub", "goes")["metadata"].get("finalizers"),
        "the Hub has its finalizer",
    )
    world.patch("hub", "goes", paused="All")
    world.until_condition("Hub", "goes", "Ready", "False", "Paused")
    world.kubectl("delete", "hub", "goes", "--wait=false")
    world.compared("goes")
    assert node.show("wg1") is not None
    world.patch("hub", "goes", paused="Changes")
    world.until_gone("Hub", "goes")
    assert node.show("wg1") is None
