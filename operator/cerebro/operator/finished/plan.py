"""What becomes of finished Sessions and DeviceCommands: they go after their
ttl, or are opened again. A status of an older release is completed. Pure.

Superseding Sessions have no ttl: when they go is decided in
`orphans/superseding`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cerebro.domain.conditions import (
    READY,
    ConditionState,
    judgement,
    shows,
)
from cerebro.domain.lifecycle import is_current, later
from cerebro.resources import DeviceCommand, Session
from cerebro.resources.conditions import ABNORMAL_TRUE

Finished = Session | DeviceCommand


@dataclass(frozen=True)
class Plan:
    """What is due now, and when there will be more."""

    reopen: tuple[Session, ...]
    delete: tuple[Finished, ...]
    complete: tuple[Finished, ...]
    """Their status lacks what a waiter is told by now."""
    wake_at: datetime | None
    """When the next object is due; None: nothing is ahead."""

    @property
    def has_writes(self) -> bool:
        """Whether anything is due now."""
        return bool(self.reopen or self.delete or self.complete)

    @classmethod
    def joined(cls, parts: Sequence[Plan]) -> Plan:
        """Return the plan for the objects of all parts."""
        ahead = [part.wake_at for part in parts if part.wake_at is not None]

        return cls(
            tuple(item for part in parts for item in part.reopen),
            tuple(item for part in parts for item in part.delete),
            tuple(item for part in parts for item in part.complete),
            min(ahead, default=None),
        )


def plan(finished: Iterable[Finished], now: datetime) -> Plan:
    """Decide about every finished object; `now` is aware and the API server's
    time.

    An object that cannot be judged (no `finishedAt`) and one that is being
    deleted are left alone.
    """

    reopen: list[Session] = []
    delete: list[Finished] = []
    complete: list[Finished] = []
    ahead: list[datetime] = []
    for item in finished:
        if (
            not item.status.finished
            or item.metadata.deletion_timestamp is not None
        ):
            continue

        # `finished` counts only for the spec that it was said of: an end that
        # was changed since is no end.
        if isinstance(item, Session) and not is_current(item):
            reopen.append(item)
            continue

        due = due_at(item)
        if due is not None and due <= now:
            delete.append(item)
            continue

        if completed_status(item, now) is not None:
            complete.append(item)

        if due is not None:
            ahead.append(due)

    return Plan(
        tuple(reopen),
        tuple(delete),
        tuple(complete),
        min(ahead, default=None),
    )


def completed_status(item: Finished, now: datetime) -> dict[str, Any] | None:
    """Return the status of a finished object of an older release with what
    such an object has by now, as a merge patch; None if nothing is missing.

    No agent looks at a finished object again, so the operator does it.
    """
    ready = item.status.condition(READY)
    is_judged = item.status.observed_generation > 0
    if ready is None or (is_judged and ready.status == "True"):
        return None

    generation = item.metadata.generation
    conditions = [
        condition
        for condition in item.status.conditions
        if condition.type not in ABNORMAL_TRUE
    ]

    states = {
        condition.type: ConditionState.of(condition)
        for condition in conditions
        if condition.observed_generation == generation
    }

    if READY not in states:
        return None

    if shows(item.kind, item.status, states, generation):
        return None

    status = judgement(
        item.kind, item.status.conditions, states, generation, now
    )

    older = [
        condition.wire()
        for condition in conditions
        if condition.type not in states
    ]

    return {**status, "conditions": [*older, *status["conditions"]]}


def due_at(item: Finished) -> datetime | None:
    """Return when a finished object goes; None: it stays."""
    if isinstance(item, Session) and item.spec.supersedes is not None:
        return None

    ttl, finished_at = item.spec.ttl_after_finished, item.status.finished_at
    if ttl is None or finished_at is None:
        return None

    return later(finished_at, ttl)
