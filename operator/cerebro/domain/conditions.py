"""The state of a condition, how a status gets it, and when two statuses mean
the same. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from cerebro.resources import Condition, Session, SessionStatus, set_condition

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
    name: str,
    state: ConditionState,
    generation: int,
    *,
    limit: int | None = MESSAGE,
) -> Condition:
    """Return the condition of type `name` with that state, observed of that
    `metadata.generation`.

    Its message is cut to `limit` characters (None: not cut).
    `lastTransitionTime` is not set: `set_condition` does that.
    """
    return Condition(
        type=name,
        status=state.status,
        reason=state.reason,
        message=state.message[:limit],
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


def wire_states(
    conditions: Iterable[Condition],
    states: Mapping[str, ConditionState],
    generation: int,
    now: datetime,
) -> list[dict[str, Any]]:
    """Return only the conditions of these types, as the API server takes them,
    for server-side apply.

    `conditions` are those that the object has: an unchanged status keeps its
    `lastTransitionTime`.
    """
    result = set_states(conditions, states, generation, now)
    return [
        condition.wire() for condition in result if condition.type in states
    ]


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
    """Return the status of a Session with these two conditions for its current
    generation.
    """
    states = {"Enforced": enforced, "Ready": ready}
    conditions = set_states(
        status.conditions, states, session.metadata.generation, now
    )

    return status.model_copy(update={"conditions": conditions})
