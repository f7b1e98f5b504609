"""The watchdog of a Hub without a node (E4) waits for no pass: the keeper's deadline moves on with the Lease.

The Leases here are long, so that a slow machine loses none while an agent starts again.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator

import pytest

from controlplane import apply
from integration.hub.hub_node import HubNode, NodeAgent
from integration.hub.world import World

HUB = "floating"
SETTINGS = {
    "CEREBRO_LEASE_DURATION": "90",
    "CEREBRO_LEASE_RENEW_INTERVAL": "1",
}
ASK = """
import json, socket, time
with socket.socket(socket.AF_UNIX) as keeper:
    keeper.connect("/run/cerebro/tunnel.sock")
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    keeper.sendall(b'{"list": true}\\n')
    print(now + json.loads(keeper.makefile().readline())["interfaces"]["wg0"]["deadline_in"])
"""
pytestmark = pytest.mark.skipif(
    os.environ.get("CEREBRO_TEST_WIREGUARD") == "Kernel",
    reason="a Hub without a node runs in userspace only (E4)",
)


@pytest.fixture(scope="module")
def agent(world: World, node: HubNode) -> NodeAgent:
    agent = world.start_agent(node, **SETTINGS)
    world.ready_hub(HUB, None)
    return agent


@pytest.fixture(scope="module")
def _newer_schema(world: World) -> Iterator[None]:
    """Let a Hub be paused in a way that our model cannot read, until the end of this file."""
    path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/paused/enum/-"
    change = [{"op": "add", "path": path, "value": "Sometimes"}]
    world.plane.kubectl(
        "patch",
        "crd",
        "hubs.relay.cerebro.dev",
        "--type=json",
        "-p",
        json.dumps(change),
    )
    yield
    world.kubectl("delete", "hubs", "--all")
    apply.apply_crds(world.plane)


def moves_on(world: World, node: HubNode) -> None:
    """Wait until the keeper's deadline for wg0 has moved on by more than one renewal."""

    def deadline() -> float:
        return float(node.run([sys.executable, "-c", ASK]).stdout)

    before = deadline()
    world.until(
        lambda: deadline() > before + 2, "the deadline moves on", deadline
    )


@pytest.mark.parametrize(
    ("paused", "status", "reason"),
    [
        ("Changes", "False", "Paused"),
        ("All", "False", "Paused"),
        ("Sometimes", "Unknown", "InvalidObject"),
    ],
)
@pytest.mark.usefixtures("_newer_schema")
def test_e4_a_tunnel_is_kept_though_no_pass_writes(
    world: World,
    node: HubNode,
    agent: NodeAgent,
    *,
    paused: str,
    status: str,
    reason: str,
) -> None:
    """E4, B8, B9: a Hub that is paused, or cannot be read, keeps its tunnel; so it does over a restart."""
    before = node.shown()

    def patched() -> bool:
        try:
            world.patch("hub", HUB, paused=paused)
        except RuntimeError:  # the newer schema is not served yet
            return False
        return True

    world.until(patched, "the Hub is patched")
    world.until_condition("Hub", HUB, "Ready", status, reason)
    moves_on(world, node)
    agent.end()
    agent.start()
    world.until(agent.ready, "the agent is ready", agent.output)
    moves_on(world, node)
    after = node.shown()
    assert (after.index, after.private_key) == (
        before.index,
        before.private_key,
    )
    world.patch("hub", HUB, paused="None")
    world.until_condition("Hub", HUB, "Ready", "True")
    assert node.shown().index == before.index
