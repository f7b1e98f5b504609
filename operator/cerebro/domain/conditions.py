"""The state of a condition, how a status gets it, and when two statuses mean the same. Pure."""

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
    """What a condition of an object says, without its type and its times."""

    status: ConditionStatus
    reason: str
    message: str

    @classmethod
    def of(cls, condition: Condition) -> ConditionState:
        """Return the state that a condition of a status has."""
        return cls(condition.status, condition.reason, condition.message)


def make_condition(
    name: str, state: ConditionState, generation: int, *, limit: int | None = MESSAGE
) -> Condition:
    """Return the condition of type `name` with that state, observed of that `metadata.generation`.

    Its message is cut to `limit` characters (None: not cut). `lastTransitionTime` is not set: `set_condition` does
    that.
    """
    return Condition(
        type=name,
        status=state.status,
        reason=state.reason,
        message=state.message[:limit],
        observed_generation=generation,
    )


def set_states(
    conditions: Iterable[Condition], states: Mapping[str, ConditionState], generation: int, now: datetime
) -> list[Condition]:
    """Return the conditions with these states, by type, set in place of their older ones, else at the end."""
    result = list(conditions)
    for name, state in states.items():
        result = set_condition(result, make_condition(name, state, generation), now)
    return result


def wire_states(
    conditions: Iterable[Condition], states: Mapping[str, ConditionState], generation: int, now: datetime
) -> list[dict[str, Any]]:
    """Return only the conditions of these types, as the API server takes them, for server-side apply.

    `conditions` are those that the object has: an unchanged status keeps its `lastTransitionTime`.
    """
    result = set_states(conditions, states, generation, now)
    return [condition.wire() for condition in result if condition.type in states]


def same_meaning(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tell whether two statuses say the same to a reader; times of transition follow from the rest."""
    return _meaning(one) == _meaning(other)


def _meaning(status: dict[str, Any]) -> dict[str, Any]:
    conditions = [
        {name: value for name, value in one.items() if name != "lastTransitionTime"}
        for one in status.get("conditions", [])
    ]
    return {**status, "conditions": conditions}


def truncate_message(said: ConditionState) -> ConditionState:
    """Return a state with its message as long as it is written, so that both compare equal when read back."""
    return said._replace(message=said.message[:MESSAGE])


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why the router could not be brought to what is wanted. `looked` says whether it could at least be read."""

    reason: str
    message: str
    looked: bool = True
    final: bool = False  # cannot succeed: the Session is Failed


def with_conditions(
    status: SessionStatus, session: Session, enforced: ConditionState, ready: ConditionState, now: datetime
) -> SessionStatus:
    """Return the status of a Session with these two conditions for its current generation."""
    states = {"Enforced": enforced, "Ready": ready}
    conditions = set_states(status.conditions, states, session.metadata.generation, now)
    return status.model_copy(update={"conditions": conditions})
