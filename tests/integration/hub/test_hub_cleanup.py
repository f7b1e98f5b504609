"""What is left on the node of a Hub that goes: nothing with `deletionPolicy: Cleanup`, everything without."""

from __future__ import annotations

import pytest

from integration.hub.hub_node import HubNode, NodeAgent
from integration.hub.plain import make_keys
from integration.hub.world import World

FINALIZER = "relay.cerebro.dev/cleanup"


@pytest.fixture(scope="module")
def agent(world: World, node: HubNode) -> NodeAgent:
    world.operator()
    return world.start_agent(node)


def has_link(node: HubNode) -> bool:
    return node.run(["ip", "link", "show", "wg0"], check=False).returncode == 0


def has_table(node: HubNode) -> bool:
    return (
        "table inet cerebro_wg0" in node.run(["nft", "list", "tables"]).stdout
    )


@pytest.mark.parametrize("asked", ["by-name", "auto"])
def test_cleanup_leaves_neither_interface_nor_table(
    world: World, node: HubNode, agent: NodeAgent, asked: str
) -> None:
    """Also where `Auto` came to userspace: the kernel's side is asked first, and knows no such link."""
    name, implementation = (
        f"cleans-{asked}",
        "Auto" if asked == "auto" else world.implementation,
    )
    world.ready_hub(
        name, node, deletionPolicy="Cleanup", implementation=implementation
    )
    world.applied_peer(
        f"{name}-peer", name, make_keys().public, "10.64.1.1/32"
    )
    assert has_link(node)
    assert has_table(node)
    world.until(
        lambda: (
            FINALIZER
            in world.get("Hub", name)["metadata"].get("finalizers", [])
        ),
        "the Hub has its finalizer",
    )
    world.kubectl("delete", "hub", name, "--wait=false")
    world.until_gone("Hub", name)
    assert not has_link(node)
    assert not has_table(node)


def test_without_cleanup_all_stays(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    world.ready_hub("retains", node)
    key = make_keys().public
    world.applied_peer("stays", "retains", key, "10.64.1.2/32")
    world.delete("hub", "retains")
    other = {
        "interface": "wg1",
        "listenPort": 51821,
        "addresses": ["10.65.0.1/24"],
    }
    world.ready_hub(
        "another", node, **other
    )  # the agent has seen that the first one went
    assert key in node.shown().peers
    assert has_table(node)
