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
from cerebro.resources.conditions import ABNORMAL_TRUE, RECONCILING, STALLED
from cerebro.resources.verdicts import Health, health_of

READY = "Ready"
"""The condition that every kind has."""

MESSAGE = 1024
"""Longest message that is written, in characters."""

_ENDED = ("Expired", "Revoked")
"""Reasons of Ready that say how a Session ended."""

_ABNORMAL_OF: dict[Health, str] = {
    "Progressing": RECONCILING,
    "Degraded": STALLED,
}
"""kstatus' condition, by what the object is."""

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


def abnormal_states(
    kind: str, states: Mapping[str, ConditionState]
) -> dict[str, ConditionState]:
    """Return kstatus' conditions for an object with these states, by type:
    Reconciling while work goes on, Stalled if only a person can mend it, or
    neither. Ready must be among the states.

    Its reason and message are those of the state that decides: of Enforced
    while Ready says how a Session ended and the router is not told yet, else
    of Ready.
    """
    deciding = states[READY]
    enforced = states.get("Enforced")
    if enforced is not None and deciding.reason in _ENDED:
        deciding = enforced

    health = health_of(kind, deciding.reason, deciding.status)
    name = _ABNORMAL_OF.get(health)

    return {} if name is None else {name: deciding._replace(status="True")}


def shown_abnormal(status: ConditionedStatus) -> dict[str, ConditionState]:
    """Return those of kstatus' conditions that a status has, by type."""
    return {
        condition.type: ConditionState.of(condition)
        for condition in status.conditions
        if condition.type in ABNORMAL_TRUE
    }


def judgement(
    kind: str,
    conditions: Iterable[Condition],
    states: Mapping[str, ConditionState],
    generation: int,
    now: datetime,
) -> dict[str, Any]:
    """Return what the status of an object says once that `metadata.generation`
    of it was judged, as the API server takes it: the conditions of these
    types, what kstatus makes of them, and `observedGeneration`.

    Who writes Ready writes the latter two: without Ready among the states they
    are left out. `conditions` are those that the object has: an unchanged
    status keeps its `lastTransitionTime`.
    """
    is_whole = READY in states
    wanted = (
        {**states, **abnormal_states(kind, states)} if is_whole else states
    )
    known = set_states(conditions, wanted, generation, now)

    status: dict[str, Any] = {
        "conditions": [
            condition.wire() for condition in known if condition.type in wanted
        ]
    }

    if is_whole:
        status["observedGeneration"] = generation

    return status


def shows(
    kind: str,
    status: ConditionedStatus,
    states: dict[str, ConditionState],
    generation: int,
) -> bool:
    """Return whether the status of an object says so already of that
    `metadata.generation`, as `judgement` would write it. Ready must be among
    the states.
    """
    if not status.is_judged_of(generation):
        return False

    wanted = {
        name: truncate_message(state)
        for name, state in (states | abnormal_states(kind, states)).items()
    }

    shown = {
        condition.type: ConditionState.of(condition)
        for condition in status.conditions
        if condition.observed_generation == generation
        and condition.type in wanted
    }

    return shown == wanted and shown_abnormal(status).keys() <= wanted.keys()


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
    """Return the status of a Session with these two conditions and what
    kstatus makes of them, judged of its current generation.
    """
    states = {"Enforced": enforced, READY: ready}
    states |= abnormal_states("Session", states)
    generation = session.metadata.generation
    kept = [
        condition
        for condition in status.conditions
        if condition.type not in ABNORMAL_TRUE - states.keys()
    ]

    conditions = set_states(kept, states, generation, now)

    return status.model_copy(
        update={"observed_generation": generation, "conditions": conditions}
    )
