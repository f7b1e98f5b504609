"""What a status says once an object was judged, and whether it says so already."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cerebro.domain.conditions import (
    MESSAGE,
    ConditionState,
    judgement,
    shows,
)
from cerebro.resources.base import ConditionedStatus

NOW = datetime(2030, 1, 31, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)

EQUAL = ConditionState("True", "Equal", "as wanted")
UP = ConditionState("True", "Up", "wg0 is up")
STATES = {"Ready": EQUAL, "InterfaceUp": UP}


def status_of(judged: dict[str, Any]) -> ConditionedStatus:
    return ConditionedStatus.model_validate(judged)


def test_who_writes_ready_writes_the_generation_that_was_judged() -> None:
    judged = judgement([], STATES, 7, NOW)

    assert judged["observedGeneration"] == 7
    assert {
        condition["observedGeneration"] for condition in judged["conditions"]
    } == {7}


def test_without_ready_nothing_is_said_of_the_generation() -> None:
    assert "observedGeneration" not in judgement(
        [], {"InterfaceUp": UP}, 7, NOW
    )


def test_only_what_was_judged_is_written() -> None:
    first = status_of(judgement([], STATES, 7, NOW))

    judged = judgement(first.conditions, {"Ready": EQUAL}, 7, LATER)

    (ready,) = judged["conditions"]
    assert ready["lastTransitionTime"] == "2030-01-31T12:00:00Z"


def test_a_status_shows_what_was_written_also_if_it_was_cut() -> None:
    wordy = {"Ready": EQUAL._replace(message="w" * (MESSAGE + 1))}
    status = status_of(judgement([], wordy, 7, NOW))

    assert shows(status, wordy, 7)


@pytest.mark.parametrize(
    ("states", "generation"),
    [
        (STATES, 8),
        ({"Ready": EQUAL._replace(status="False")}, 7),
        ({"Ready": EQUAL._replace(message="in other words")}, 7),
        ({"Configured": EQUAL}, 7),
    ],
)
def test_a_status_does_not_show_what_is_new(
    states: dict[str, ConditionState], generation: int
) -> None:
    status = status_of(judgement([], STATES, 7, NOW))

    assert not shows(status, states, generation)


def test_a_status_of_an_older_release_is_completed() -> None:
    judged = {**judgement([], STATES, 7, NOW), "observedGeneration": -1}

    assert not shows(status_of(judged), STATES, 7)


def test_e15_what_an_older_crd_drops_is_not_written_again_and_again() -> None:
    """There no object that is read has the field, not even as -1."""
    judged = judgement([], STATES, 7, NOW)
    del judged["observedGeneration"]

    assert shows(status_of(judged), STATES, 7)
