"""The state of a condition, and when two of them mean the same. Pure."""

from __future__ import annotations

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
    conditions = list(status.conditions)
    for name, (truth, reason, message) in (("Enforced", enforced), ("Ready", ready)):
        condition = Condition(
            type=name,
            status=truth,
            reason=reason,
            message=message[:1024],
            observed_generation=session.metadata.generation,
            last_transition_time=now,
        )
        conditions = set_condition(conditions, condition, now)
    return status.model_copy(update={"conditions": conditions})
