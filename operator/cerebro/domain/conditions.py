"""The state of a condition, how a status gets it, and when two statuses mean
the same. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from cerebro.resources import Condition, Session, SessionStatus, set_condition
from cerebro.resources.base import ConditionedStatus

READY = "Ready"
"""The condition that every kind has."""

MESSAGE = 1024
"""Longest message that is written, in characters."""

ConditionStatus = Literal["True", "False", "Unknown"]


class ConditionState(NamedTuple):
    """The state of a condition, without its type, its times and its
    generation.
    """

    status: ConditionStatus
    reason: str
    message: str

    @classmethod
    def of(cls, condition: Condition) -> ConditionState:
        """Return the state of a condition."""
        return cls(condition.status, condition.reason, condition.message)


def make_condition(
    name: str, state: ConditionState, generation: int
) -> Condition:
    """Return the condition of type `name` with that state, observed of that
    `metadata.generation`.

    Its message is cut. `lastTransitionTime` is not set: `set_condition` does
    that.
    """
    return Condition(
        type=name,
        status=state.status,
        reason=state.reason,
        message=state.message[:MESSAGE],
        observed_generation=generation,
    )


def set_states(
    conditions: Iterable[Condition],
    states: Mapping[str, ConditionState],
    generation: int,
    now: datetime,
) -> list[Condition]:
    """Return the conditions with these states, by type, set in place of their
    older ones, else at the end.
    """
    result = list(conditions)
    for name, state in states.items():
        result = set_condition(
            result, make_condition(name, state, generation), now
        )

    return result


def judgement(
    conditions: Iterable[Condition],
    states: Mapping[str, ConditionState],
    generation: int,
    now: datetime,
) -> dict[str, Any]:
    """Return what the status of an object says once that `metadata.generation`
    of it was judged, as the API server takes it: only the conditions of these
    types, and `observedGeneration`.

    Who writes Ready writes `observedGeneration`: without Ready among the
    states it is left out. `conditions` are those that the object has: an
    unchanged status keeps its `lastTransitionTime`.
    """
    known = set_states(conditions, states, generation, now)
    status: dict[str, Any] = {
        "conditions": [
            condition.wire() for condition in known if condition.type in states
        ]
    }

    if READY in states:
        status["observedGeneration"] = generation

    return status


def shows(
    status: ConditionedStatus,
    states: Mapping[str, ConditionState],
    generation: int,
) -> bool:
    """Return whether a status says so already of that `metadata.generation`,
    as `judgement` would write it.
    """
    if READY in states and not status.is_judged_of(generation):
        return False

    for name, state in states.items():
        condition = status.condition(name)
        if condition is None or condition.observed_generation != generation:
            return False

        if ConditionState.of(condition) != truncate_message(state):
            return False

    return True


def same_meaning(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Return whether two statuses, as on the wire, mean the same: times of
    transition follow from the rest.
    """
    return _without_times(first) == _without_times(second)


def _without_times(status: dict[str, Any]) -> dict[str, Any]:
    conditions = [
        {
            name: value
            for name, value in condition.items()
            if name != "lastTransitionTime"
        }
        for condition in status.get("conditions", [])
    ]

    return {**status, "conditions": conditions}


def truncate_message(state: ConditionState) -> ConditionState:
    """Return a state with its message cut as it is written, so that it is
    equal when it is read back.
    """
    return state._replace(message=state.message[:MESSAGE])


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a router, Hub or Peer could not be brought to what is desired."""

    reason: str
    message: str
    looked: bool = True
    """Whether it could at least be read."""
    final: bool = False
    """Whether it cannot succeed: then the Session is Failed."""


def with_conditions(
    status: SessionStatus,
    session: Session,
    enforced: ConditionState,
    ready: ConditionState,
    now: datetime,
) -> SessionStatus:
    """Return the status of a Session with these two conditions, judged of its
    current generation.
    """
    states = {"Enforced": enforced, READY: ready}
    generation = session.metadata.generation
    conditions = set_states(status.conditions, states, generation, now)

    return status.model_copy(
        update={"observed_generation": generation, "conditions": conditions}
    )
