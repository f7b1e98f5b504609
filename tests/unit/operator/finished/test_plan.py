"""What the operator decides about finished Sessions and DeviceCommands. Pure: no clock, no API server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cerebro.operator.finished.plan import (
    Plan,
    completed_status,
    due_at,
    plan,
)
from cerebro.operator.orphans.superseding import LastSeen, Superseding
from cerebro.resources import DeviceCommand, Session

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def finished(
    name: str = "s",
    *,
    ago: timedelta = timedelta(),
    generation: int = 1,
    observed: int | None = 1,
    **spec: Any,
) -> Session:
    return Session.model_validate(
        {
            "metadata": {
                "name": name,
                "namespace": "ns",
                "uid": name,
                "generation": generation,
            },
            "spec": {
                "deviceRef": {"name": "r1"},
                "client": {"macAddress": "AA:BB:CC:00:00:01"},
                **spec,
            },
            "status": {
                "finished": True,
                "finishedAt": NOW - ago,
                "observedGeneration": observed,
            },
        }
    )


def test_one_is_deleted_from_the_end_of_its_ttl_on() -> None:
    session = finished(ago=timedelta(minutes=10), ttlAfterFinished="10m")
    assert plan([session], NOW).delete == (session,)
    early = plan([session], NOW - timedelta(seconds=1))
    assert early.delete == ()
    assert early.wake_at == NOW


def test_without_a_ttl_it_stays_for_ever() -> None:
    due = plan([finished(ago=timedelta(days=3650))], NOW)
    assert (due.delete, due.reopen, due.wake_at) == ((), (), None)


def test_commands_have_a_ttl_of_ten_minutes() -> None:
    command = DeviceCommand.model_validate(
        {
            "metadata": {"name": "c", "uid": "c"},
            "spec": {"deviceRef": {"name": "r1"}, "operation": "Arp"},
            "status": {"finished": True, "finishedAt": NOW},
        }
    )
    assert due_at(command) == NOW + timedelta(minutes=10)


def of_an_older_release(status: str, reason: str) -> Session:
    """A Session that finished before kstatus was told of it."""
    session = finished()
    conditions = [
        {
            "type": name,
            "status": status,
            "reason": reason,
            "message": "as it was",
            "observedGeneration": 1,
            "lastTransitionTime": NOW,
        }
        for name in ("Enforced", "Ready")
    ]
    body = session.model_dump(by_alias=True)
    body["status"] |= {"conditions": conditions}

    return Session.model_validate(body)


def test_a_status_of_an_older_release_is_completed_once() -> None:
    failed = of_an_older_release("False", "NeverGranted")

    assert plan([failed], NOW).complete == (failed,)
    status = completed_status(failed, NOW)
    assert status is not None
    types = [condition["type"] for condition in status["conditions"]]
    assert types == ["Enforced", "Ready", "Stalled"]

    body = failed.model_dump(by_alias=True)
    body["status"] |= status
    after = Session.model_validate(body)
    assert plan([after], NOW).complete == ()


def test_a_command_of_an_older_release_gets_its_generation() -> None:
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "Succeeded",
        "observedGeneration": 1,
    }
    status = {"finished": True, "finishedAt": NOW, "conditions": [ready]}
    body = {
        "metadata": {"name": "c", "uid": "c", "generation": 1},
        "spec": {"deviceRef": {"name": "r1"}, "operation": "Arp"},
        "status": status,
    }

    # The CRD of that release would not keep it.
    under_its_own_crd = DeviceCommand.model_validate(body)
    assert completed_status(under_its_own_crd, NOW) is None

    status["observedGeneration"] = -1
    under_ours = DeviceCommand.model_validate(body)
    completed = completed_status(under_ours, NOW)

    assert completed is not None
    assert completed["observedGeneration"] == 1


def test_a_whole_status_is_left_alone() -> None:
    granted = of_an_older_release("True", "Expired")

    assert plan([granted, finished()], NOW).complete == ()


def test_parts_that_are_planned_apart_come_to_the_same_plan() -> None:
    items = [finished(ago=timedelta(days=days)) for days in (0, 1, 3650)]
    parts = [plan([item], NOW) for item in items]
    assert Plan.joined(parts) == plan(items, NOW)


def test_one_changed_after_its_end_is_opened_again_and_never_deleted() -> None:
    session = finished(
        ago=timedelta(days=1), generation=2, observed=1, ttlAfterFinished="1s"
    )
    due = plan([session], NOW)
    assert due.reopen == (session,)
    assert due.delete == ()


def test_what_is_unfinished_or_going_or_has_no_time_is_left_alone() -> None:
    unfinished, going, timeless = (
        finished(name, ago=timedelta(days=1), ttlAfterFinished="1s")
        for name in ("a", "b", "c")
    )
    unfinished.status.finished = False
    going.metadata.deletion_timestamp = NOW
    timeless.status.finished_at = None
    due = plan([unfinished, going, timeless], NOW)
    assert (due.delete, due.reopen, due.wake_at) == ((), (), None)


def test_a10_superseding_sessions_have_no_ttl() -> None:
    session = finished(
        ago=timedelta(days=9),
        ttlAfterFinished="1s",
        supersedes={"name": "from-git"},
    )
    assert plan([session], NOW).delete == ()


@given(
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 600)), max_size=20),
    st.integers(0, 900),
)
def test_every_one_is_due_or_ahead_and_the_wake_up_is_the_earliest(
    cases: list[tuple[int, int]], later: int
) -> None:
    now = NOW + timedelta(seconds=later)
    sessions = [
        finished(
            f"s{index}", ago=timedelta(seconds=ago), ttlAfterFinished=f"{ttl}s"
        )
        for index, (ago, ttl) in enumerate(cases)
    ]
    due = plan(sessions, now)
    ahead = [session for session in sessions if session not in due.delete]
    assert all(ttl - ago > later for ago, ttl in cases) == (not due.delete)
    assert due.wake_at == min(
        (end for session in ahead if (end := due_at(session))), default=None
    )
    assert due.wake_at is None or due.wake_at > now


STANDS_IN = Superseding("ns", "stands-in", "uid-1", "from-git")
THERE = {("ns", "from-git")}


def test_a10_superseding_goes_some_time_after_the_superseded_was_last_seen() -> (
    None
):
    seen = LastSeen(keep=100)
    assert seen.due([STANDS_IN], THERE, now=0) == []
    assert seen.due([STANDS_IN], THERE, now=500) == []
    assert seen.due([STANDS_IN], set(), now=599) == []
    assert seen.due([STANDS_IN], set(), now=600) == [STANDS_IN]


def test_a10_what_git_makes_again_counts_anew() -> None:
    seen = LastSeen(keep=100)
    seen.due([STANDS_IN], set(), now=0)
    assert seen.due([STANDS_IN], THERE, now=99) == []
    assert seen.due([STANDS_IN], set(), now=198) == []


def test_a10_after_a_restart_it_stays_longer_never_shorter() -> None:
    assert LastSeen(keep=100).due([STANDS_IN], set(), now=10_000) == []


def test_a10_the_namesake_in_another_namespace_does_not_count() -> None:
    seen = LastSeen(keep=100)
    seen.due([STANDS_IN], {("other", "from-git")}, now=0)
    assert seen.due([STANDS_IN], {("other", "from-git")}, now=100) == [
        STANDS_IN
    ]
