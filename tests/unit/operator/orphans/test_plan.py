"""What the operator says of Sessions and DeviceCommands without a Device. Pure: no clock, no API server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cerebro.domain.lifecycle import GrantWindows
from cerebro.operator.orphans.plan import (
    OrphanVerdict,
    had_device,
    judge_command,
    judge_session,
)
from cerebro.resources import DeviceCommand, Session

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
WITHIN = GrantWindows()
GRANTED = {
    "phase": "Active",
    "authorizedAt": NOW - timedelta(hours=1),
    "observedGeneration": 1,
}


def session(
    status: dict[str, Any] | None = None,
    *,
    age: timedelta = timedelta(minutes=1),
    **spec: Any,
) -> Session:
    return Session.model_validate(
        {
            "metadata": {
                "name": "s",
                "namespace": "ns",
                "uid": "u",
                "generation": 1,
                "creationTimestamp": NOW - age,
            },
            "spec": {
                "deviceRef": {"name": "r1"},
                "client": {"macAddress": "AA:BB:CC:00:00:01"},
                **spec,
            },
            "status": status or {},
        }
    )


def judge(
    item: Session, *, sure: bool = True, now: datetime = NOW
) -> OrphanVerdict | None:
    return judge_session(item, gone_for_sure=sure, within=WITHIN, now=now)


def written(item: Session, outcome: OrphanVerdict) -> Session:
    """Give the Session as it is after the outcome was written."""
    return Session.model_validate(
        {**item.wire(), "status": {**item.status.wire(), **outcome.status}}
    )


def said(outcome: OrphanVerdict | None) -> tuple[str, bool, str]:
    """Phase, finished, and the reason of Ready."""
    assert outcome is not None
    ready = next(
        item
        for item in outcome.status["conditions"]
        if item["type"] == "Ready"
    )
    return (
        outcome.status["phase"],
        outcome.status.get("finished", False),
        ready["reason"],
    )


def test_a8_without_a_device_it_is_pending_and_said_once() -> None:
    item = session()
    outcome = judge(item)
    assert said(outcome) == ("Pending", False, "DeviceNotFound")
    assert outcome is not None
    assert (
        judge(written(item, outcome), now=NOW + timedelta(minutes=1)) is None
    )


@pytest.mark.parametrize(
    ("spec", "age", "failed"),
    [
        ({"type": "Trial"}, timedelta(minutes=14, seconds=59), False),
        ({"type": "Trial"}, timedelta(minutes=15), True),
        ({"type": "Paid"}, timedelta(hours=23, minutes=59), False),
        ({"type": "Paid"}, timedelta(hours=24), True),
        ({"grantBefore": NOW}, timedelta(), True),
        (
            {"type": "Trial", "grantBefore": NOW + timedelta(hours=9)},
            timedelta(hours=5),
            False,
        ),
    ],
)
def test_a5_not_on_the_router_in_time_is_failed(
    spec: dict[str, Any], age: timedelta, failed: bool
) -> None:
    expected = (
        ("Failed", True, "NeverGranted")
        if failed
        else ("Pending", False, "DeviceNotFound")
    )
    assert said(judge(session(age=age, **spec))) == expected


def test_a5_opened_again_it_counts_from_there() -> None:
    """The time at which the re-opening was noticed is remembered in the object itself, over a restart."""
    old = session(
        {"finished": False, "phase": "Failed", "observedGeneration": 0},
        age=timedelta(days=9),
    )
    ready = {
        "type": "Ready",
        "status": "False",
        "reason": "NeverGranted",
        "lastTransitionTime": NOW,
    }
    old = Session.model_validate(
        {**old.wire(), "status": {**old.status.wire(), "conditions": [ready]}}
    )
    outcome = judge(old)
    assert said(outcome) == ("Pending", False, "DeviceNotFound")
    assert outcome is not None
    pending = written(old, outcome)
    assert pending.status.reopened_at == NOW, (
        "an agent counts from there too, once there is a Device"
    )
    assert said(judge(pending, now=NOW + timedelta(hours=24, seconds=1))) == (
        "Failed",
        True,
        "NeverGranted",
    )
    early = judge(pending, now=NOW + timedelta(hours=23))
    assert early is None or said(early) == ("Pending", False, "DeviceNotFound")


def test_a8_of_a_deleted_device_it_finishes_and_the_event_names_the_entries() -> (
    None
):
    applied = {"macAddress": "AA:BB:CC:00:00:01", "ipAddress": "10.0.0.9"}
    item = session({**GRANTED, "applied": applied})
    outcome = judge(item)
    assert said(outcome) == ("Failed", True, "DeviceGone")
    assert outcome is not None
    assert outcome.event is not None
    assert "AA:BB:CC:00:00:01" in outcome.event
    assert "10.0.0.9" in outcome.event
    assert judge(written(item, outcome)) is None


def test_a_device_that_is_replaced_finishes_nothing() -> None:
    assert judge(session(GRANTED), sure=False) is None


@pytest.mark.parametrize(
    ("spec", "phase"),
    [
        ({"revoked": True}, "Revoked"),
        ({"expiresAt": NOW - timedelta(seconds=1)}, "Expired"),
        ({"duration": "30m"}, "Expired"),
        ({"duration": "2h"}, "Failed"),
    ],
)
def test_the_phase_says_how_it_ended_where_it_ended_by_itself(
    spec: dict[str, Any], phase: str
) -> None:
    assert said(judge(session(GRANTED, **spec))) == (phase, True, "DeviceGone")


def test_revoked_before_there_was_a_router_is_what_was_wanted() -> None:
    assert said(judge(session(revoked=True))) == ("Revoked", True, "Revoked")


def test_only_an_agent_says_other_things_than_we() -> None:
    """A Session that an agent saw, and called Pending, had a Device; one of which only we spoke had none."""
    ready = {"type": "Ready", "status": "False", "lastTransitionTime": NOW}
    seen = {
        "phase": "Pending",
        "conditions": [{**ready, "reason": "Unreachable"}],
    }
    ours = {
        "phase": "Pending",
        "conditions": [{**ready, "reason": "DeviceNotFound"}],
    }
    assert had_device(session(seen))
    assert not had_device(session(ours))
    assert not had_device(session())


@pytest.mark.parametrize("status", [{}, GRANTED])
def test_a10_superseding_sessions_are_never_finished_here(
    status: dict[str, Any],
) -> None:
    item = session(
        status, age=timedelta(days=9), supersedes={"name": "x"}, revoked=True
    )
    outcome = judge(item)
    assert outcome is not None
    assert "finished" not in outcome.status
    assert judge(written(item, outcome)) is None


def command(
    status: dict[str, Any] | None = None, *, age: float = 60
) -> DeviceCommand:
    return DeviceCommand.model_validate(
        {
            "metadata": {
                "name": "c",
                "uid": "c",
                "creationTimestamp": NOW - timedelta(seconds=age),
            },
            "spec": {
                "deviceRef": {"name": "r1"},
                "operation": "Arp",
                "timeout": "3s",
            },
            "status": status or {},
        }
    )


def test_c2_a_command_fails_when_it_is_too_late_to_run() -> None:
    assert judge_command(command(age=4.9), gone_for_sure=True, now=NOW) is None
    outcome = judge_command(command(age=5), gone_for_sure=True, now=NOW)
    assert outcome is not None
    assert {item["type"] for item in outcome.status["conditions"]} == {
        "Complete",
        "Ready",
        "Stalled",
    }
    assert {item["reason"] for item in outcome.status["conditions"]} == {
        "DeviceNotFound"
    }


def test_c2_of_one_that_was_started_nobody_says_that_it_did_not_run() -> None:
    outcome = judge_command(
        command({"phase": "Running", "startedAt": NOW}),
        gone_for_sure=True,
        now=NOW,
    )
    assert outcome is not None
    assert "may have run" in outcome.status["conditions"][0]["message"]
    assert (
        judge_command(
            command({"phase": "Running"}), gone_for_sure=False, now=NOW
        )
        is None
    )
