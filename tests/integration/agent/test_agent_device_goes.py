"""What becomes of the loop of a Device that goes: with `Retain` (rule A8) and with `Cleanup`, also when one of its
name comes again. The operator does not run here: a test lets a Device go as the operator would.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cerebro.resources.naming import FINALIZER_CLEANUP
from integration.agent.process import AgentProcess
from integration.agent.relay import Object, Relay
from integration.agent.router import BINDING, LIST, Router

MAC, IP = "AA:BB:CC:00:15:01", "10.5.50.11"


@pytest.fixture(autouse=True)
def _nothing_stays(relay: Relay, agent: AgentProcess) -> Iterator[None]:
    """Take away what a test has left, so that the loops that there are are its own."""
    yield
    relay.kubectl("delete", "devices,sessions", "--all", "--wait=false")
    for router in relay.routers:
        if relay.get("Device", router.name):
            let_go(relay, router)
    until_loops(relay, agent, 0)


def manifest(relay: Relay, router: Router) -> Object:
    """The Device of a router as its maker has it."""
    found = relay.get("Device", router.name)
    metadata = {
        "name": router.name,
        "finalizers": found["metadata"].get("finalizers", []),
    }
    return {"kind": "Device", "metadata": metadata, "spec": found["spec"]}


def let_go(relay: Relay, router: Router) -> None:
    """Do what the operator does once a Device is cleaned up."""
    relay.kubectl(
        "patch",
        "device",
        router.name,
        "--type=merge",
        "-p",
        '{"metadata":{"finalizers":null}}',
    )
    relay.until(
        lambda: not relay.get("Device", router.name), "the Device is gone"
    )


def until_loops(relay: Relay, agent: AgentProcess, count: int) -> None:
    relay.until(
        lambda: agent.facts().get("devices") == count,
        f"{count} loops",
        agent.facts,
    )


def granted(relay: Relay, router: Router, name: str) -> None:
    """Let the client in by a Session of that name."""
    router.move_in(MAC, IP)
    relay.session(name, router.name, MAC, IP)
    router.lets_in(MAC)
    relay.until_active(name)


def test_a_device_of_the_same_name_is_cleaned_up_again(
    relay: Relay, agent: AgentProcess
) -> None:
    """What was found of the first says nothing of the second."""
    device = {"deletionPolicy": "Cleanup"}
    router = relay.router(
        device=device, metadata={"finalizers": [FINALIZER_CLEANUP]}
    )
    again = manifest(relay, router)
    for name in ("first", "second"):
        granted(relay, router, name)
        relay.delete("device", router.name, "--wait=false")
        relay.until_condition(
            "Device", router.name, "Ready", "False", "CleanedUp"
        )
        assert router.access() == {BINDING: [], LIST: []}
        let_go(relay, router)
        until_loops(relay, agent, 0)
        relay.until(
            lambda: router.sessions() == 0,
            "no session on the router",
            router.state,
        )
        relay.delete("session", name)
        relay.apply(again)


def test_a8_the_rows_of_a_retained_device_stay_and_it_may_come_back(
    relay: Relay, agent: AgentProcess
) -> None:
    router = relay.router()
    again = manifest(relay, router)
    granted(relay, router, "stays")
    rows = router.access()
    relay.delete("device", router.name)
    until_loops(relay, agent, 0)
    assert router.access() == rows
    assert router.forwards(MAC)

    relay.apply(again)
    until_loops(relay, agent, 1)
    relay.until_condition("Device", router.name, "Ready", "True")
    assert router.access() == rows
    relay.patch("session", "stays", revoked=True)
    router.cuts_off(MAC)
    relay.until_finished("stays")


def test_a_device_that_is_made_anew_while_its_router_hangs_has_one_loop(
    relay: Relay, agent: AgentProcess
) -> None:
    """The loop of the first still waits for the router when the second comes."""
    router = relay.router()
    relay.until_condition("Device", router.name, "Ready", "True")
    router.faults(hang=True)
    relay.session("waits", router.name, MAC, IP)
    again = manifest(relay, router)
    relay.delete("device", router.name)
    relay.apply(again)
    router.faults()
    router.move_in(MAC, IP)
    router.lets_in(MAC)
    relay.until_active("waits")
    assert router.row(BINDING)["mac-address"] == MAC
    relay.until(
        lambda: router.sessions() == 1,
        "one session on the router",
        router.state,
    )
    assert agent.facts()["devices"] == 1
