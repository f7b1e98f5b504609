"""Tells by Events what keeps a Hub or Device from being Ready, and when that
is over: once each, by the condition that the agent writes.

What a person asked for (`spec.paused`) and what nobody has looked at yet is no
trouble.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cerebro.domain.conditions import ConditionState
from cerebro.kube.event_reasons import RECOVERED, of_condition
from cerebro.kube.events import Recorder
from cerebro.resources import Device, Hub, reasons

_NO_TROUBLE = frozenset(
    {
        reasons.PAUSED,
        reasons.DRY_RUN,
        reasons.NOT_LOOKED_YET,
        reasons.CLEANED_UP,
        "Contested",  # told where it is counted
    }
)

_TROUBLE_THOUGH_UNKNOWN = frozenset({"SecretNotUsable"})
"""Reasons that a person has to mend although nobody could look."""


class Troubles:
    """What was told of one Hub or Device."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._trouble: str | None = None
        """The reason that was told last and is not over."""
        self._knows_status = False

    def tell(self, item: Hub | Device, ready: ConditionState) -> None:
        """Post an Event if a trouble came, changed or is over; `ready` is what
        is written now.

        What an earlier agent told is known by the object's status.
        """
        if not self._knows_status:
            self._knows_status = True
            before = item.status.condition("Ready")
            self._trouble = (
                _trouble(ConditionState.of(before)) if before else None
            )

        trouble = _trouble(ready)

        if trouble is not None and trouble != self._trouble:
            told = of_condition(trouble, item.kind, "Compare")
            self._recorder.post(item, told, message=ready.message)

        if trouble is not None:
            self._trouble = trouble
        elif ready.status == "True" and self._trouble is not None:
            self._recorder.post(
                item, RECOVERED, reason=self._trouble, message=ready.message
            )

            self._trouble = None


def _trouble(ready: ConditionState) -> str | None:
    """Return the reason of a condition Ready if it is a trouble."""
    if ready.reason in _NO_TROUBLE or ready.status == "True":
        return None

    is_known = ready.status == "False"
    if is_known or ready.reason in _TROUBLE_THOUGH_UNKNOWN:
        return ready.reason

    return None


def state_in(
    conditions: Iterable[Mapping[str, Any]], name: str
) -> ConditionState | None:
    """Return the state of the condition of type `name` among those of a
    status, as on the wire; None if it is not written.
    """
    for condition in conditions:
        if condition["type"] == name:
            return ConditionState(
                condition["status"], condition["reason"], condition["message"]
            )

    return None
