"""Ends and orders as the agent honours them: `grantBefore` (A5), Sessions that supersede others (A10)."""

from __future__ import annotations

import pytest

from integration.agent.process import AgentProcess
from integration.agent.relay import Relay, at, in_seconds, not_status
from integration.agent.router import BINDING, LIST, Router

A, B = "AA:BB:CC:00:0E:01", "AA:BB:CC:00:0E:02"
IP, IP2 = "10.5.50.11", "10.5.50.12"

pytestmark = pytest.mark.usefixtures("agent")


@pytest.fixture
def router(relay: Relay) -> Router:
    """A router that is compared every second, with two clients that have no access."""
    router = relay.router(device={"resyncInterval": "1s"})
    for mac, ip in ((A, IP), (B, IP2)):
        router.move_in(mac, ip)
        assert not router.forwards(mac)
    return router


def test_a5_what_is_not_on_the_router_by_grant_before_has_failed(
    relay: Relay, router: Router
) -> None:
    relay.until_condition("Device", router.name, "Ready", "True")
    router.faults(refuse=True, cut=True)
    relay.session(
        "late",
        router.name,
        A,
        IP,
        type="Trial",
        duration="5m",
        grantBefore=in_seconds(600),
    )
    assert relay.until_phase("late", "Pending")
    relay.patch("session", "late", grantBefore=in_seconds(2))
    relay.until_phase("late", "Failed")
    assert (
        relay.condition("Session", "late", "Ready")["reason"] == "NeverGranted"
    )
    assert "authorizedAt" not in relay.status("late")
    router.faults()
    relay.until_condition("Device", router.name, "Ready", "True")
    relay.until_resynced(router)
    assert not router.forwards(A)
    assert router.access() == {BINDING: [], LIST: []}
    assert relay.until_finished("late")["phase"] == "Failed"


def test_a5_grant_before_counts_only_until_access_was_given(
    relay: Relay, router: Router
) -> None:
    relay.session("in-time", router.name, A, IP, grantBefore=in_seconds(600))
    router.lets_in(A)
    before = relay.until_active("in-time")
    deadline = in_seconds(1)
    relay.patch("session", "in-time", grantBefore=deadline)
    relay.until(lambda: in_seconds(-1) > deadline, "grantBefore to pass")
    for path in (BINDING, LIST):
        router.remove(path, router.row(path)[".id"])
    relay.until(
        lambda: router.rows(BINDING) and router.rows(LIST),
        "the rows again",
        router.access,
    )
    router.lets_in(A)
    after = relay.until_active("in-time")
    assert after["authorizedAt"] == before["authorizedAt"]


def test_a5_a_failed_session_with_a_new_grant_before_is_granted(
    relay: Relay, router: Router
) -> None:
    relay.session(
        "second-try", router.name, A, IP, grantBefore=in_seconds(-60)
    )
    relay.until_phase("second-try", "Failed")
    relay.until_finished("second-try")
    assert not router.forwards(A)
    relay.patch("session", "second-try", grantBefore=in_seconds(600))
    relay.take_up_again("second-try")
    router.lets_in(A)
    relay.until_active("second-try")


def test_a10_a_session_that_supersedes_another_revokes_it(
    relay: Relay, router: Router
) -> None:
    """Also after the superseded one was made again, as a sync from Git does."""
    relay.session("from-git", router.name, A, IP)
    router.lets_in(A)
    relay.until_active("from-git")
    assert router.forwards(A, flow="call")
    made = not_status(relay.get("Session", "from-git"))
    relay.session(
        "its-revoke",
        router.name,
        A,
        IP,
        revoked=True,
        supersedes={"name": "from-git"},
    )
    router.cuts_off(A, flow="call")
    router.cuts_off(A)
    assert relay.until_finished("from-git")["phase"] == "Revoked"
    assert relay.until_phase("its-revoke", "Revoked")
    assert not_status(relay.get("Session", "from-git")) == made

    def grants() -> int:
        return sum(
            1
            for entry in router.log()
            if entry["sentence"][0] == f"{BINDING}/add"
        )

    before = grants()
    assert before
    relay.delete("session", "from-git")
    relay.session("from-git", router.name, A, IP)
    assert relay.until_finished("from-git")["phase"] == "Revoked"
    assert not router.forwards(A)
    assert grants() == before


def test_a10_the_newest_of_several_superseding_sessions_counts(
    relay: Relay, router: Router
) -> None:
    """A new client by one, the revocation by a newer one, whichever came first to the API server."""
    relay.session("moved", router.name, A, IP, expiresAt=in_seconds(3600))
    router.lets_in(A)
    relay.until_active("moved")
    later = in_seconds(7200)
    relay.session(
        "newer",
        router.name,
        B,
        IP2,
        expiresAt=later,
        requestedAt=in_seconds(0),
        supersedes={"name": "moved"},
    )
    router.lets_in(B)
    router.cuts_off(A)
    relay.until(
        lambda: (
            relay.status("moved").get("applied", {}).get("macAddress") == B
        ),
        "the client moved",
        lambda: relay.status("moved"),
    )
    assert at(relay.until_active("moved")["expiresAt"]) == at(later)
    relay.session(
        "older",
        router.name,
        A,
        IP,
        revoked=True,
        requestedAt=in_seconds(-600),
        supersedes={"name": "moved"},
    )
    relay.until_phase("older", "Revoked")
    relay.until_resynced(router)
    assert router.forwards(B)
    assert relay.status("moved")["phase"] == "Active"
    assert relay.get("Session", "moved")["spec"]["client"]["macAddress"] == A


def test_what_is_done_on_a_router_is_a_metric_while_its_device_is_there(
    relay: Relay, router: Router, agent: AgentProcess
) -> None:
    relay.session("short", router.name, A, IP, duration="2s")
    relay.until_finished("short")
    name = f'router_id="{router.name}"'
    service = 'service="relay-cerebro"'
    for line in (
        f'cerebro_order_seconds_count{{outcome="granted",{name}}} 1.0',
        f'relay_sessions_cleaned_total{{result="success",{name},{service}}} 1.0',
        f'command="/ip/hotspot/ip-binding/add",{name},{service},status="success"}} 1.0',
    ):
        assert line in agent.metrics()
    relay.delete("device", router.name)
    relay.until(
        lambda: name not in agent.metrics(),
        "the router's lines are gone",
        agent.metrics,
    )
