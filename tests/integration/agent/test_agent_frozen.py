"""Rule B9: what our models cannot read counts as present and is frozen.

A newer version of the CRDs is played by adding a value to an enum of the schema that the API server holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from controlplane import apply
from integration.agent.process import AgentProcess
from integration.agent.relay import Relay, in_seconds
from integration.agent.router import BINDING, LIST, Router

A, B = "AA:BB:CC:00:10:01", "AA:BB:CC:00:10:02"
IP, IP2 = "10.5.50.11", "10.5.50.12"
SPEC = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties"

pytestmark = pytest.mark.usefixtures("agent", "_newer_schema")


@pytest.fixture(scope="module")
def _newer_schema(relay: Relay) -> Iterator[None]:
    """Let Sessions have the type Gold, and Devices the commands Everything, until the end of this file."""
    for plural, field, value in (
        ("sessions", "type", "Gold"),
        ("devices", "commands", "Everything"),
    ):
        change = [
            {"op": "add", "path": f"{SPEC}/{field}/enum/-", "value": value}
        ]
        crd = f"{plural}.relay.cerebro.dev"
        relay.plane.kubectl(
            "patch", "crd", crd, "--type=json", "-p", json.dumps(change)
        )
    yield
    relay.kubectl("delete", "sessions,devices", "--all")
    apply.apply_crds(relay.plane)


@pytest.fixture
def router(relay: Relay) -> Router:
    """A router that is compared every second, with two clients."""
    router = relay.router(device={"resyncInterval": "1s"})
    for mac, ip in ((A, IP), (B, IP2)):
        router.move_in(mac, ip)
    return router


def patch_once_served(
    relay: Relay, kind: str, name: str, **spec: object
) -> None:
    """Patch as soon as the API server serves the newer schema."""

    def patched() -> bool:
        try:
            relay.patch(kind, name, **spec)
        except RuntimeError as error:
            if "Unsupported value" not in str(error):
                raise
            return False
        return True

    relay.until(patched, "the newer schema is served")


def test_b9_entries_of_a_session_that_cannot_be_read_are_left(
    relay: Relay, router: Router, agent: AgentProcess
) -> None:
    relay.session("newer", router.name, A, IP, expiresAt=in_seconds(3600))
    relay.session("older", router.name, B, IP2)
    relay.until_active("newer", "older")
    before = router.access()
    patch_once_served(relay, "session", "newer", type="Gold", revoked=True)
    condition = relay.until_condition(
        "Session", "newer", "Ready", "Unknown", "InvalidObject"
    )
    assert "type" in condition["message"]
    relay.until(
        lambda: (
            'cerebro_store_invalid_objects{kind="Session"} 1.0'
            in agent.metrics()
        ),
        "a metric",
        agent.metrics,
    )
    relay.until_resynced(router)
    assert router.access() == before
    assert router.forwards(A)
    assert relay.status("newer")["phase"] == "Active"

    # Others on the same router go on, and so does an agent that never knew how it was before.
    relay.patch("session", "older", revoked=True)
    router.cuts_off(B)
    relay.until_finished("older")
    agent.end()
    agent.start()
    relay.until(agent.ready, "the agent is ready", agent.output)
    relay.until_resynced(router)
    assert router.forwards(A)
    assert [row["mac-address"] for row in router.rows(BINDING)] == [A]
    assert [row["address"] for row in router.rows(LIST)] == [IP]

    relay.patch("session", "newer", type="Paid")
    router.cuts_off(A)
    assert relay.until_finished("newer")["phase"] == "Revoked"


def test_b9_a_device_that_cannot_be_read_keeps_its_clients_as_they_are(
    relay: Relay, router: Router
) -> None:
    relay.session("stays", router.name, A, IP)
    relay.until_active("stays")
    patch_once_served(relay, "device", router.name, commands="Everything")
    condition = relay.until_condition(
        "Device", router.name, "Ready", "Unknown", "InvalidObject"
    )
    assert "commands" in condition["message"]
    writes = router.writes()
    relay.patch("session", "stays", revoked=True)
    # Another router shows that the agent has got that far.
    other = relay.router()
    relay.session("elsewhere", other.name, A, IP)
    relay.until_active("elsewhere")
    assert router.writes() == writes
    assert router.forwards(A)
    relay.patch("device", router.name, commands="Read")
    router.cuts_off(A)
    relay.until_finished("stays")
    relay.until_condition("Device", router.name, "Ready", "True")
