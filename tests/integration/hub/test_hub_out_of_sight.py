"""A Hub whose interface is gone and cannot be made: its Peers and the Devices behind it say so too."""

from __future__ import annotations

import os

import pytest

from integration.hub.world import ADDRESS, PORT, World

HUB = "hub"
pytestmark = pytest.mark.skipif(
    os.environ.get("CEREBRO_TEST_WIREGUARD") == "Kernel",
    reason="the kernel's interface does not go with a process",
)


def test_without_the_tunnel_process_no_peer_is_ready_and_no_tunnel_up(
    world: World,
) -> None:
    node = world.node()
    world.operator()
    world.start_agent(node)
    key = world.ready_hub(HUB, node)
    router = world.plain_router("router-a")
    simulated = world.tunnel_router(HUB, router)
    world.until(
        lambda: world.status(router.name, "Device").get("tunnelAddress"),
        "an address is allocated",
    )
    router.live_at(world.status(router.name, "Device")["tunnelAddress"])
    world.until_condition("Peer", router.name, "Applied", "True")
    router.dial(key, f"{node.address}:{PORT}")
    world.answer_api(router, simulated)
    router.reaches(ADDRESS)
    world.until_condition("Device", router.name, "Ready", "True")

    def state() -> object:
        return world.status(router.name, "Peer").get("state")

    world.until(lambda: state() == "Online", "the Peer is Online")
    node.stop_keeper()
    for condition in ("Applied", "Ready"):
        said = world.until_condition(
            "Peer", router.name, condition, "False", "WireGuardNotAvailable"
        )
        assert "cerebro tunnel" in said["message"]
    assert state() == "Offline"
    assert world.condition("Peer", router.name, "Accepted")["status"] == "True"
    world.until_condition(
        "Device", router.name, "TunnelUp", "Unknown", "WireGuardNotAvailable"
    )
    node.start_keeper()
    world.until_condition("Peer", router.name, "Ready", "True")
    router.reaches(ADDRESS)
    world.until(lambda: state() == "Online", "the Peer is Online again")
    world.until_condition("Device", router.name, "Ready", "True")
