"""An agent in dry run: its Hubs say what would change, and nothing is written on the node."""

from __future__ import annotations

from integration.hub.plain import configure, make_keys
from integration.hub.world import World

HUB = "hub"


def test_in_dry_run_a_hub_says_what_would_change_and_writes_nothing(
    world: World,
) -> None:
    node = world.node()
    world.operator()
    key, other = make_keys().public, make_keys().public
    agent = world.start_agent(node, CEREBRO_WIREGUARD_DRY_RUN="true")
    world.hub(HUB, node, deletionPolicy="Cleanup")
    world.peer("first", HUB, key, "10.64.1.1/32")
    world.until_condition("Peer", "first", "Applied", "False", "DryRun")

    def would() -> str:
        said = world.condition("Hub", HUB, "Ready")
        return (
            str(said.get("message")) if said.get("reason") == "DryRun" else ""
        )

    world.until(
        lambda: "make the interface" in would() and key in would(),
        "the plan for an empty node",
        would,
    )
    assert "wg0" not in node.run(["ip", "link"]).stdout
    assert "inet cerebro_wg0" not in node.run(["nft", "list", "tables"]).stdout
    agent.end()

    agent = world.start_agent(node)
    world.until_condition("Peer", "first", "Applied", "True")
    agent.end()
    before = node.shown()
    agent = world.start_agent(node, CEREBRO_DRY_RUN="true")
    configure(node, "wg0", "peer", other, "allowed-ips", "10.64.1.9/32")
    world.patch("hub", HUB, unknownPeers="Remove")
    world.peer("second", HUB, make_keys().public, "10.64.1.2/32")
    world.until_condition("Peer", "second", "Applied", "False", "DryRun")
    world.until(lambda: other in would(), "the unknown peer would go", would)
    assert node.shown().peers.keys() == before.peers.keys() | {other}
    assert world.condition("Peer", "first", "Applied")["status"] == "True"

    # One that goes waits for the end of the dry run.
    world.kubectl("delete", "hub", HUB, "--wait=false")
    world.until(
        lambda: "remove the interface wg0" in would(), "the clean-up", would
    )
    assert "CEREBRO_DRY_RUN" in would()
    assert node.shown().peers.keys() == before.peers.keys() | {other}
    agent.end()
    world.start_agent(node)
    world.until_gone("Hub", HUB)
    assert "wg0" not in node.run(["ip", "link"]).stdout
