"""What operator and agent say of one Device together. Real: both, each with the rights of its own account."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from integration.agent.relay import Relay
from integration.operator.conftest import OperatorProcess

MAC, IP = "AA:BB:CC:00:17:01", "10.5.50.17"
DUPLICATE = ("Ready", "False", "DuplicateRouterID")

pytestmark = pytest.mark.usefixtures("agent")


@pytest.fixture(scope="module", autouse=True)
def operator(relay: Relay) -> Iterator[OperatorProcess]:
    """The operator that the tests of this file share."""
    environment = {
        "KUBECONFIG": str(
            relay.plane.account_kubeconfig("cerebro-operator", relay.namespace)
        ),
        "CEREBRO_NAMESPACE": relay.namespace,
        "CEREBRO_HEALTH_ADDRESS": "127.0.0.1:0",
        "CEREBRO_AGENT_LOST_AFTER": "600",
        "CEREBRO_BACKOFF_CEILING": "1",
    }
    process = OperatorProcess(environment, relay.folder / "operator.log")
    process.start()
    yield process
    process.end()


def test_of_two_devices_with_one_router_id_the_younger_is_a_duplicate_until_the_older_goes(
    relay: Relay,
) -> None:
    """It says so where a person looks, and is served all the same."""
    older = relay.router(device={"routerID": "R1"})
    relay.until_condition("Device", older.name, "Ready", "True")
    born = datetime.fromisoformat(
        relay.get("Device", older.name)["metadata"]["creationTimestamp"]
    ).timestamp()
    relay.until(
        lambda: time.time() >= born + 1,
        "the next second, as ages are in seconds",
    )
    younger = relay.router(device={"routerID": "r1"})
    said = relay.until_condition("Device", younger.name, *DUPLICATE)
    assert f"Device {older.name} " in said["message"]
    assert "spec.routerID" in said["message"]
    relay.until_condition("Device", younger.name, "Configured", "True")
    younger.move_in(MAC, IP)
    relay.session("by-hand", younger.name, MAC, IP)
    relay.until_active("by-hand")
    assert (
        relay.condition("Device", younger.name, "Ready")["reason"]
        == "DuplicateRouterID"
    )
    assert relay.condition("Device", older.name, "Ready")["status"] == "True"

    relay.patch("device", older.name, routerID="R2")
    relay.until_condition("Device", younger.name, "Ready", "True")
    relay.patch("device", older.name, routerID="R1")
    relay.until_condition("Device", younger.name, *DUPLICATE)
    relay.delete("device", older.name)
    relay.until_condition("Device", younger.name, "Ready", "True")
