"""What holds writes to a router back: paused and dry run (B8), rows that somebody contests (B10), a mass
removal (E13)."""

from __future__ import annotations

import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from integration.agent.process import AgentProcess
from integration.agent.relay import Relay, a_session, in_seconds
from integration.agent.router import BINDING, LIST, Router

A, B = "AA:BB:CC:00:0C:01", "AA:BB:CC:00:0C:02"
IP, IP2 = "10.5.50.11", "10.5.50.12"
CLIENTS = {
    f"AA:BB:CC:00:0D:{number:02X}": f"10.5.51.{number}"
    for number in range(1, 13)
}
CROWD = {
    f"AA:BB:CC:00:0E:{number:02X}": f"10.5.52.{number}"
    for number in range(1, 61)
}

pytestmark = pytest.mark.usefixtures("agent")


def a_router(relay: Relay, **device: object) -> Router:
    """A router that is compared every second, with two clients."""
    router = relay.router(device={"resyncInterval": "1s", **device})
    for mac, ip in ((A, IP), (B, IP2)):
        router.move_in(mac, ip)
    return router


def removed_and_put_back(relay: Relay, router: Router) -> None:
    """Remove the binding, and wait until the pass that puts it back has ended: in another one, it is another time."""
    router.remove(BINDING, router.row(BINDING)[".id"])
    relay.until(
        lambda: router.rows(BINDING), "the binding again", router.access
    )
    relay.until_resynced(router)


def drift(agent: AgentProcess) -> float:
    """Return how many clients the agent has put right, on all its routers."""
    families = text_string_to_metric_families(agent.metrics())
    return next(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == "cerebro_drift_total"
        and sample.labels == {"part": "access"}
    )


def test_b8_paused_writes_nothing_but_ends_of_access(relay: Relay) -> None:
    router = a_router(relay)
    relay.session("has-access", router.name, A, IP)
    relay.session("lapses", router.name, B, IP2, expiresAt=in_seconds(3600))
    for mac in (A, B):
        router.lets_in(mac)
    relay.until_active("has-access", "lapses")
    relay.patch("device", router.name, paused="Changes")
    relay.until_condition("Device", router.name, "Ready", "False", "Paused")
    relay.session("too-late", router.name, "AA:BB:CC:00:0C:03", "10.5.50.13")
    relay.until_condition("Session", "too-late", "Ready", "False", "Paused")
    router.remove(LIST, router.row(LIST, address=IP)[".id"])
    relay.patch("session", "lapses", expiresAt=in_seconds(2))
    router.cuts_off(B)
    relay.until_finished("lapses")
    relay.until_resynced(router)
    assert [row["mac-address"] for row in router.rows(BINDING)] == [A]
    assert not router.rows(LIST)
    relay.patch("device", router.name, paused="None")
    relay.until_active("too-late")
    relay.until(
        lambda: router.rows(LIST, address=IP),
        "the row of has-access again",
        router.access,
    )


def test_b8_paused_all_ends_nothing_either(relay: Relay) -> None:
    router = a_router(relay)
    relay.session("stays-in", router.name, A, IP)
    router.lets_in(A)
    relay.until_active("stays-in")
    relay.patch("device", router.name, paused="All")
    relay.until_condition("Device", router.name, "Ready", "False", "Paused")
    writes = router.writes()
    relay.patch("session", "stays-in", revoked=True)
    relay.session("waits", router.name, B, IP2)
    # Another Device that is not paused shows that the agent has got that far.
    other = a_router(relay)
    relay.session("elsewhere", other.name, A, IP)
    relay.until_active("elsewhere")
    assert router.writes() == writes
    assert router.forwards(A)
    assert not relay.status("stays-in").get("finished")
    relay.patch("device", router.name, paused="None")
    router.cuts_off(A)
    relay.until_finished("stays-in")
    relay.until_active("waits")


def test_f6_dry_run_says_what_would_change_and_writes_nothing(
    relay: Relay,
) -> None:
    router = a_router(relay, dryRun=True)
    router.add(
        BINDING,
        mac_address=B,
        type="bypassed",
        comment="cerebro:main:0123456789:never",
    )
    assert router.forwards(B)
    assert not router.forwards(A)
    relay.session("rehearsed", router.name, A, IP, duration="1h")
    relay.until_condition("Session", "rehearsed", "Ready", "False", "DryRun")

    def plan() -> list[str]:
        return list(relay.status(router.name, "Device").get("plan", []))

    relay.until(
        lambda: any(A in line for line in plan()), "the plan for A", plan
    )
    assert any(
        line.startswith("/ip hotspot ip-binding add")
        and f"mac-address={A}" in line
        for line in plan()
    )
    assert any(
        line.startswith("/ip firewall address-list add")
        and f"address={IP}" in line
        for line in plan()
    )
    relay.until(
        lambda: any(
            line.startswith("/ip hotspot ip-binding set")
            and line.endswith("disabled=yes")
            for line in plan()
        ),
        "the plan to end B's access, which waits a moment (E13)",
        plan,
    )
    relay.until_resynced(router)
    assert router.writes() == 0
    assert relay.status("rehearsed")["phase"] == "Pending"
    assert "authorizedAt" not in relay.status("rehearsed")
    assert not router.forwards(A)
    relay.patch("device", router.name, dryRun=False)
    router.lets_in(A)
    relay.until_active("rehearsed")
    relay.until(lambda: not plan(), "no plan any more", plan)


def test_b10_rows_that_somebody_keeps_removing_are_contested(
    relay: Relay, agent: AgentProcess
) -> None:
    router = a_router(relay)
    relay.session("fought-over", router.name, A, IP)
    relay.until_active("fought-over")
    before = drift(agent)
    for _ in range(3):
        removed_and_put_back(relay, router)
    condition = relay.until_condition(
        "Device", router.name, "Ready", "False", "Contested"
    )
    assert "1 client" in condition["message"]
    relay.until(
        lambda: "Contested" in relay.events(router.name),
        "an Event",
        lambda: relay.events(router.name),
    )
    assert "cerebro_contested_rows_total 1.0" in agent.metrics()
    assert drift(agent) - before >= 3
    # At the resync it is still put right.
    router.remove(BINDING, router.row(BINDING)[".id"])
    relay.until(
        lambda: router.rows(BINDING),
        "the binding at the resync",
        router.access,
    )


def test_b10_a_contested_client_waits_for_the_resync_and_holds_up_nobody(
    relay: Relay,
) -> None:
    router = a_router(relay)
    relay.session("contested", router.name, A, IP)
    relay.until_active("contested")
    for _ in range(3):
        removed_and_put_back(relay, router)
    relay.until_condition("Device", router.name, "Ready", "False", "Contested")
    relay.patch("device", router.name, resyncInterval="1h")
    relay.until_observed(router)
    router.remove(BINDING, router.row(BINDING)[".id"])
    relay.session("not-contested", router.name, B, IP2)
    relay.until_active("not-contested")
    relay.patch(
        "session", "contested", ttlAfterFinished="1h"
    )  # a change that makes it be looked at
    relay.until_condition(
        "Session", "contested", "Enforced", "False", "Contested"
    )
    assert [row["mac-address"] for row in router.rows(BINDING)] == [B]
    relay.patch("session", "contested", revoked=True)
    relay.until_finished("contested")  # an end does not wait


def test_e13_a_mass_removal_waits_for_a_persons_word(
    relay: Relay, agent: AgentProcess
) -> None:
    router = relay.router(device={"resyncInterval": "1s"})
    label = {"labels": {"batch": "mass"}}
    relay.apply(
        *(
            a_session(
                f"mass-{ip.rpartition('.')[2]}",
                router.name,
                mac,
                ip,
                metadata=label,
            )
            for mac, ip in CLIENTS.items()
        ),
        a_session("mass-revoked", router.name, A, IP),
    )
    for mac, ip in {**CLIENTS, A: IP}.items():
        router.move_in(mac, ip)
        router.lets_in(mac)
    relay.until_active("mass-1", "mass-12", "mass-revoked")
    # Without a memory of who had access.
    agent.end()
    relay.kubectl("delete", "sessions", "-l", "batch=mass")
    agent.start()
    condition = relay.until_condition(
        "Device", router.name, "Ready", "False", "MassRemoval"
    )
    assert "12 clients" in condition["message"]
    assert "relay.cerebro.dev/confirm-removal" in condition["message"]
    # Ends by a word or by the clock do not wait.
    relay.patch("session", "mass-revoked", revoked=True)
    router.cuts_off(A)
    relay.until_resynced(router)
    assert all(router.forwards(mac) for mac in CLIENTS)
    assert len(router.rows(BINDING)) == len(CLIENTS)

    relay.kubectl(
        "annotate",
        "device",
        router.name,
        "relay.cerebro.dev/confirm-removal=3",
    )
    relay.until_resynced(router)
    assert all(router.forwards(mac) for mac in CLIENTS)
    relay.kubectl(
        "annotate",
        "--overwrite",
        "device",
        router.name,
        "relay.cerebro.dev/confirm-removal=12",
    )
    for mac in CLIENTS:
        router.cuts_off(mac)
    relay.until_condition("Device", router.name, "Ready", "True")
    relay.until(
        lambda: router.access() == {BINDING: [], LIST: []},
        "all rows gone",
        router.access,
    )


def test_e13_deletions_that_trickle_end_a_fifth_and_wait_for_a_persons_word(
    relay: Relay,
) -> None:
    """Case S1: no single pass ends many. No resync comes to the agent's help."""
    router = relay.router(device={"resyncInterval": "1h"})
    names = {
        mac: f"crowd-{ip.rpartition('.')[2]}" for mac, ip in CROWD.items()
    }
    for mac, ip in CROWD.items():
        router.move_in(mac, ip)
    relay.apply(
        *(
            a_session(names[mac], router.name, mac, ip)
            for mac, ip in CROWD.items()
        )
    )
    for mac in CROWD:
        router.lets_in(mac)
    relay.until_active("crowd-1", "crowd-60")

    deleted = list(CROWD)[:25]
    for mac in deleted:
        relay.kubectl("delete", "session", names[mac], "--wait=false")
        time.sleep(0.4)
    relay.until_condition(
        "Device", router.name, "Ready", "False", "MassRemoval"
    )

    def still_let_in() -> list[str]:
        return [mac for mac in deleted if router.forwards(mac)]

    def message() -> str:
        text = relay.condition("Device", router.name, "Ready")["message"]
        return str(text)

    relay.until(
        lambda: f'confirm-removal: "{len(still_let_in())}"' in message(),
        "the number of all that wait",
        message,
    )
    waiting = still_let_in()
    assert len(deleted) - len(waiting) <= len(CROWD) / 5
    assert all(router.forwards(mac) for mac in CROWD if mac not in deleted)

    # Nobody else waits: neither who comes nor who is revoked.
    router.move_in(A, IP)
    relay.session("crowd-new", router.name, A, IP)
    router.lets_in(A)
    relay.patch("session", "crowd-60", revoked=True)
    router.cuts_off(list(CROWD)[-1])

    relay.kubectl(
        "annotate",
        "device",
        router.name,
        f"relay.cerebro.dev/confirm-removal={len(waiting)}",
    )
    for mac in deleted:
        router.cuts_off(mac)
    relay.until_condition("Device", router.name, "Ready", "True")
    assert len(router.rows(BINDING)) == len(CROWD) - len(deleted)
