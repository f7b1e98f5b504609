"""What a status says once an object was judged, and whether it says so already."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cerebro.domain.conditions import (
    MESSAGE,
    ConditionState,
    abnormal_states,
    judgement,
    shown_abnormal,
    shows,
    with_conditions,
)
from cerebro.resources import Session
from cerebro.resources.base import ConditionedStatus

NOW = datetime(2030, 1, 31, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)

EQUAL = ConditionState("True", "Equal", "as wanted")
UP = ConditionState("True", "Up", "wg0 is up")
STATES = {"Ready": EQUAL, "InterfaceUp": UP}


def status_of(judged: dict[str, Any]) -> ConditionedStatus:
    return ConditionedStatus.model_validate(judged)


def test_who_writes_ready_writes_the_generation_that_was_judged() -> None:
    judged = judgement("Hub", [], STATES, 7, NOW)

    assert judged["observedGeneration"] == 7
    assert {
        condition["observedGeneration"] for condition in judged["conditions"]
    } == {7}


def test_without_ready_nothing_is_said_of_the_generation() -> None:
    assert "observedGeneration" not in judgement(
        "Hub", [], {"InterfaceUp": UP}, 7, NOW
    )


def test_only_what_was_judged_is_written() -> None:
    first = status_of(judgement("Hub", [], STATES, 7, NOW))

    judged = judgement("Hub", first.conditions, {"Ready": EQUAL}, 7, LATER)

    (ready,) = judged["conditions"]
    assert ready["lastTransitionTime"] == "2030-01-31T12:00:00Z"


def test_a_status_shows_what_was_written_also_if_it_was_cut() -> None:
    wordy = {"Ready": EQUAL._replace(message="w" * (MESSAGE + 1))}
    status = status_of(judgement("Hub", [], wordy, 7, NOW))

    assert shows("Hub", status, wordy, 7)


@pytest.mark.parametrize(
    ("states", "generation"),
    [
        (STATES, 8),
        ({"Ready": EQUAL._replace(status="False")}, 7),
        ({"Ready": EQUAL._replace(message="in other words")}, 7),
        (STATES | {"Configured": EQUAL}, 7),
    ],
)
def test_a_status_does_not_show_what_is_new(
    states: dict[str, ConditionState], generation: int
) -> None:
    status = status_of(judgement("Hub", [], STATES, 7, NOW))

    assert not shows("Hub", status, states, generation)


LOOKING = ConditionState("Unknown", "NotLookedYet", "not compared yet")
MISMATCH = ConditionState("False", "KeyMismatch", "two keys")
PAUSED = ConditionState("False", "Paused", "spec.paused is All")


@pytest.mark.parametrize(
    ("ready", "expected"),
    [
        (EQUAL, {}),
        (PAUSED, {}),
        (LOOKING, {"Reconciling": LOOKING._replace(status="True")}),
        (MISMATCH, {"Stalled": MISMATCH._replace(status="True")}),
    ],
)
def test_kstatus_is_told_what_a_waiter_needs(
    ready: ConditionState, expected: dict[str, ConditionState]
) -> None:
    judged = status_of(judgement("Hub", [], {"Ready": ready}, 7, NOW))

    assert shown_abnormal(judged) == expected
    assert shows("Hub", judged, {"Ready": ready}, 7)


def test_a_condition_that_is_true_no_more_is_left_out() -> None:
    before = status_of(judgement("Hub", [], {"Ready": LOOKING}, 7, NOW))

    judged = judgement("Hub", before.conditions, {"Ready": EQUAL}, 7, LATER)

    assert [each["type"] for each in judged["conditions"]] == ["Ready"]
    assert not shows("Hub", before, {"Ready": EQUAL}, 7)


def test_the_end_of_a_session_is_judged_by_what_it_waits_for() -> None:
    ending = ConditionState("False", "Ending", "rows are being removed")
    by_hand = ConditionState("False", "GrantedByHand", "a person's row")
    revoked = ConditionState("False", "Revoked", "spec.revoked is true")

    def abnormal(enforced: ConditionState) -> dict[str, ConditionState]:
        return abnormal_states(
            "Session", {"Enforced": enforced, "Ready": revoked}
        )

    assert abnormal(ending) == {"Reconciling": ending._replace(status="True")}
    assert abnormal(by_hand) == {"Stalled": by_hand._replace(status="True")}


def test_a_session_keeps_no_condition_that_is_true_no_more() -> None:
    session = Session.model_validate(
        {
            "metadata": {"generation": 7},
            "spec": {"deviceRef": {"name": "r1"}},
        }
    )
    pending = ConditionState("False", "Granting", "being put on the router")
    granted = ConditionState("True", "Granted", "on the router")
    before = with_conditions(session.status, session, pending, pending, NOW)

    after = with_conditions(before, session, granted, granted, LATER)

    assert shown_abnormal(before) == {
        "Reconciling": pending._replace(status="True")
    }
    assert [condition.type for condition in after.conditions] == [
        "Enforced",
        "Ready",
    ]
    assert after.observed_generation == 7


def test_a_status_of_an_older_release_is_completed() -> None:
    judged = judgement("Hub", [], STATES, 7, NOW) | {"observedGeneration": -1}

    assert not shows("Hub", status_of(judged), STATES, 7)


def test_what_an_older_crd_drops_is_not_written_again_and_again() -> None:
    """There no object that is read has the field, not even as -1."""
    judged = judgement("Hub", [], STATES, 7, NOW)
    del judged["observedGeneration"]

    assert shows("Hub", status_of(judged), STATES, 7)
