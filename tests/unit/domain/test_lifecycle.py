"""What a Session should be now (rules A1, A5, A9, A10, A11), with the time as an argument: nothing sleeps
here.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cerebro.agent.devices.access.clients import frozen_clients
from cerebro.agent.devices.access.desired import (
    PassContext,
    judge_all,
    wanted_of,
)
from cerebro.agent.devices.access.status import (
    ended_status,
    live_status,
    status_patch,
)
from cerebro.domain.conditions import Obstacle
from cerebro.domain.lifecycle import GrantWindows, RouterObservation, judge
from cerebro.resources import Session, SessionStatus
from cerebro.routeros.access.marker import marker_for
from cerebro.routeros.access.model import AccessPolicy
from cerebro.routeros.access.result import EndingView, GrantView
from cerebro.routeros.access.tables import Actual

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MAC, IP = "AA:00:00:00:00:01", "10.5.50.1"
WINDOWS = GrantWindows()


def session(
    name: str = "s",
    *,
    status: dict[str, Any] | None = None,
    generation: int = 1,
    **spec: Any,
) -> Session:
    body = {
        "metadata": {
            "name": name,
            "namespace": "ns",
            "uid": f"uid-{name}",
            "generation": generation,
            "resourceVersion": "1",
            "creationTimestamp": (NOW - MINUTE).isoformat(),
        },
        "spec": {"deviceRef": {"name": "r1"}, "client": {"macAddress": MAC}}
        | spec,
        "status": status or {},
    }
    return Session.model_validate(body)


def at(time: datetime) -> str:
    return time.isoformat()


def test_a5_without_an_end_it_lives_until_revoked() -> None:
    verdict = judge(
        session(status={"authorizedAt": at(NOW)}),
        RouterObservation(NOW + 9999 * MINUTE),
        WINDOWS,
    )
    assert verdict.live
    assert verdict.end is None


def test_a5_a_duration_counts_from_the_first_grant() -> None:
    verdict = judge(
        session(duration="5m"), RouterObservation(NOW, marked=True), WINDOWS
    )
    assert (verdict.live, verdict.starts_now, verdict.end) == (
        True,
        True,
        None,
    )
    granted = session(duration="5m", status={"authorizedAt": at(NOW)})
    assert judge(granted, RouterObservation(NOW + 4 * MINUTE), WINDOWS).live
    assert (
        judge(granted, RouterObservation(NOW + 5 * MINUTE), WINDOWS).phase
        == "Expired"
    )


def test_a5_what_is_not_on_the_router_in_time_is_failed_never_granted() -> (
    None
):
    trial = session(type="Trial")
    assert judge(trial, RouterObservation(NOW, marked=True), WINDOWS).live
    late = judge(
        trial, RouterObservation(NOW + 15 * MINUTE, marked=True), WINDOWS
    )
    assert (late.phase, late.reason) == ("Failed", "NeverGranted")
    assert judge(
        session(), RouterObservation(NOW + 15 * MINUTE, marked=True), WINDOWS
    ).live
    there = judge(
        trial,
        RouterObservation(NOW + 15 * MINUTE, marked=True, marked_until=None),
        WINDOWS,
    )
    assert there.live, (
        "the router has it: an agent died before it could say so"
    )


def test_a5_grant_before_counts_only_while_it_was_never_granted() -> None:
    granted = session(
        grantBefore=at(NOW), status={"authorizedAt": at(NOW - MINUTE)}
    )
    assert judge(granted, RouterObservation(NOW + MINUTE), WINDOWS).live
    assert (
        judge(
            session(grantBefore=at(NOW)), RouterObservation(NOW), WINDOWS
        ).phase
        == "Failed"
    )


def test_a1_revoked_false_again_gives_access_with_the_original_end() -> None:
    status = {
        "phase": "Revoked",
        "authorizedAt": at(NOW),
        "observedGeneration": 2,
    }
    verdict = judge(
        session(generation=3, duration="10m", status=status),
        RouterObservation(NOW + MINUTE),
        WINDOWS,
    )
    assert (verdict.live, verdict.end) == (True, NOW + 10 * MINUTE)


def test_a1_a_duration_reopens_nothing_that_expired_but_a_later_end_does() -> (
    None
):
    status = {
        "phase": "Expired",
        "authorizedAt": at(NOW - 10 * MINUTE),
        "expiresAt": at(NOW - 5 * MINUTE),
        "observedGeneration": 1,
    }
    assert (
        judge(
            session(generation=2, duration="60m", status=status),
            RouterObservation(NOW),
            WINDOWS,
        ).phase
        == "Expired"
    )
    assert judge(
        session(generation=2, expiresAt=at(NOW + MINUTE), status=status),
        RouterObservation(NOW),
        WINDOWS,
    ).live


def test_a1_a_failed_one_lives_again_with_a_new_grant_before() -> None:
    status = {"phase": "Failed", "observedGeneration": 1}
    assert (
        judge(session(status=status), RouterObservation(NOW), WINDOWS).phase
        == "Failed"
    )
    again = session(generation=2, grantBefore=at(NOW + MINUTE), status=status)
    assert judge(again, RouterObservation(NOW), WINDOWS).live


def test_a9_a_clock_that_is_off_grants_nothing_new_and_ends_nothing_but_revoked_ones() -> (
    None
):
    off = RouterObservation(NOW, clock_trusted=False)
    new = judge(session(), off, WINDOWS)
    assert (new.live, new.hold, new.reason) == (True, True, "ClockSkew")
    running = session(
        expiresAt=at(NOW - MINUTE),
        status={"phase": "Active", "authorizedAt": at(NOW - 5 * MINUTE)},
    )
    assert judge(running, off, WINDOWS).live
    assert judge(session(revoked=True), off, WINDOWS).phase == "Revoked"


def test_a11_a_marker_wins_over_a_duration_that_has_not_started() -> None:
    until = NOW + 3 * MINUTE
    seen = RouterObservation(
        NOW, marked=True, marked_until=int(until.timestamp())
    )
    verdict = judge(session(duration="5m"), seen, WINDOWS)
    assert (verdict.end, verdict.authorized_at, verdict.starts_now) == (
        until,
        until - 5 * MINUTE,
        False,
    )


def test_a11_a_passed_marker_ends_what_an_agent_that_died_had_granted() -> (
    None
):
    asked = session(duration="30s", requestedAt=at(NOW - 10 * MINUTE))
    seen = RouterObservation(
        NOW, marked=True, marked_until=int((NOW - 5 * MINUTE).timestamp())
    )
    assert judge(asked, seen, WINDOWS).phase == "Expired"


@pytest.mark.parametrize(
    ("until", "own"),
    [
        (NOW + 60 * MINUTE, True),
        (NOW - 2 * MINUTE, True),
        (NOW + MINUTE, False),
    ],
    ids=[
        "beyond a fresh start",
        "from before it was asked for",
        "another Session's",
    ],
)
def test_a11_a_marker_of_something_else_neither_prolongs_nor_cuts(
    until: datetime, own: bool
) -> None:
    seen = RouterObservation(
        NOW, marked=True, marked_until=int(until.timestamp()), own_marker=own
    )
    assert judge(session(duration="5m"), seen, WINDOWS).starts_now


def test_a11_the_marker_of_an_ended_trial_is_not_taken_for_the_paid_sessions_own() -> (
    None
):
    """A trial that ran was revoked while the router was away; who paid since gets all the minutes."""
    trial_end = NOW + 2 * MINUTE
    trial = session(
        "trial",
        duration="5m",
        revoked=True,
        status={
            "phase": "Active",
            "authorizedAt": at(trial_end - 5 * MINUTE),
            "expiresAt": at(trial_end),
        },
    )
    paid = session("paid", duration="60m")
    row = {
        ".id": "*1",
        "mac-address": MAC,
        "type": "bypassed",
        "comment": str(marker_for("main", MAC, trial_end.timestamp())),
    }
    judged = judge_all(
        [trial, paid],
        Actual(bindings=(row,)),
        AccessPolicy(),
        PassContext(NOW),
    )
    assert [one.verdict.phase for one in judged] == ["Revoked", None]
    assert judged[1].verdict.starts_now


def test_b9_clients_of_sessions_that_cannot_be_read_are_known_by_their_text() -> (
    None
):
    known = {
        "spec": {"client": {"macAddress": "aa-00-00-00-00-01"}},
        "status": {"applied": {"ipAddress": IP}},
    }
    assert frozen_clients([known]) == (frozenset({MAC, IP}), False)
    assert frozen_clients([{"spec": {"client": "?"}}]) == (frozenset(), True)


def test_a_granted_session_says_so_once_and_again_says_nothing() -> None:
    one = session(duration="5m")
    verdict = judge(one, RouterObservation(NOW, marked=True), WINDOWS)
    status = live_status(one, verdict, GrantView(True, MAC, (IP,)), None, NOW)
    assert (status.phase, status.authorized_at, status.expires_at) == (
        "Active",
        NOW,
        NOW + 5 * MINUTE,
    )
    assert status_patch(one.status, status)["applied"] == {
        "macAddress": MAC,
        "ipAddress": IP,
        "pinnedFor": None,
    }
    granted = one.model_copy(update={"status": status})
    later = live_status(
        granted,
        judge(granted, RouterObservation(NOW + MINUTE), WINDOWS),
        GrantView(True, MAC, (IP,)),
        None,
        NOW + MINUTE,
    )
    assert status_patch(status, later) == {}


def statuses(status: SessionStatus) -> list[str]:
    return [
        condition.status
        for condition in status.conditions
        if condition.type in ("Enforced", "Ready")
    ]


def test_a_router_that_is_merely_away_keeps_a_session_pending_and_an_active_one_active() -> (
    None
):
    away = Obstacle("ConnectionRefused", "refused", looked=False)
    one = session()
    pending = live_status(
        one, judge(one, RouterObservation(NOW), WINDOWS), None, away, NOW
    )
    assert (pending.phase, statuses(pending)) == (
        "Pending",
        ["False", "False"],
    )
    active = session(status={"phase": "Active", "authorizedAt": at(NOW)})
    known = live_status(
        active, judge(active, RouterObservation(NOW), WINDOWS), None, away, NOW
    )
    assert (known.phase, statuses(known)) == (
        "Active",
        ["Unknown", "Unknown"],
    )


def test_an_end_is_finished_only_when_a_read_showed_it() -> None:
    one = session(revoked=True)
    verdict = judge(one, RouterObservation(NOW), WINDOWS)
    unseen = ended_status(
        one, verdict, None, Obstacle("NoAnswer", "away", looked=False), NOW
    )
    assert (unseen.phase, unseen.finished) == ("Revoked", None)
    open_by_hand = ended_status(
        one, verdict, EndingView(True, granted_by_hand="row *1"), None, NOW
    )
    assert open_by_hand.finished is None
    assert open_by_hand.conditions[0].reason == "GrantedByHand"
    seen = ended_status(one, verdict, EndingView(True), None, NOW)
    assert (seen.finished, seen.finished_at, seen.conditions[1].status) == (
        True,
        NOW,
        "True",
    )


def test_a10_a_superseding_session_stays_watched() -> None:
    one = session(revoked=True, supersedes={"name": "git"})
    status = ended_status(
        one,
        judge(one, RouterObservation(NOW), WINDOWS),
        EndingView(True),
        None,
        NOW,
    )
    assert status.finished is None
    assert status.conditions[0].status == "True"


def test_b8_a_deletion_is_an_end_of_access_that_a_pause_does_not_put_off() -> (
    None
):
    paused = PassContext(NOW, complete=True, hold="Paused")
    assert wanted_of([], paused, everything=True).complete
    assert not wanted_of([], paused, everything=False).complete
    unleased = PassContext(NOW, complete=True, hold="Paused", passed_only=True)
    assert not wanted_of([], unleased, everything=True).complete


def live_at(one: Session, time: datetime, obstacle: Obstacle) -> Session:
    """Give the Session as it is after a look at a router that did not answer."""
    verdict = judge(one, RouterObservation(time), WINDOWS)
    assert verdict.live
    return one.model_copy(
        update={"status": live_status(one, verdict, None, obstacle, time)}
    )


@pytest.mark.parametrize("phase", ["Revoked", "Failed"])
def test_a5_opened_again_the_window_counts_from_there_whatever_is_in_the_way(
    phase: str,
) -> None:
    """The router is away at every look, so that no look finds the reason that the one before gave."""
    old = session(
        generation=2,
        status={"phase": phase, "observedGeneration": 1, "finished": False},
    )
    meta = old.metadata.model_copy(
        update={"creation_timestamp": NOW - timedelta(days=3)}
    )
    one = old.model_copy(update={"metadata": meta})
    for reason, hours in (
        ("ConnectTimeout", 0),
        ("LoginRefused", 1),
        ("ConnectTimeout", 23),
    ):
        one = live_at(
            one,
            NOW + timedelta(hours=hours),
            Obstacle(reason, "away", looked=False),
        )
    assert one.status.reopened_at == NOW
    late = judge(one, RouterObservation(NOW + timedelta(hours=24)), WINDOWS)
    assert (late.phase, late.reason) == ("Failed", "NeverGranted")
    assert judge(
        one, RouterObservation(NOW), WINDOWS
    ).wake_at == NOW + timedelta(hours=24)
