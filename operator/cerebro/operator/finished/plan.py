"""What becomes of finished Sessions and DeviceCommands: they go after their ttl, or are opened again.

`plan` decides and is pure; `carry_out` does it. Superseding Sessions have no ttl and are
`operator_superseding`'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from cerebro.resources import DeviceCommand, Session

Finished = Session | DeviceCommand
_LATEST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Plan:
    """What is due now, and when there will be more: `wake_at` is None when nothing is ahead."""

    reopen: tuple[Session, ...]
    delete: tuple[Finished, ...]
    wake_at: datetime | None


def plan(finished: Iterable[Finished], now: datetime) -> Plan:
    """Decide about every finished object; `now` is aware and the API server's time.

    An object that cannot be judged (no `finishedAt`) and one that is being deleted are left alone.
    """
    reopen: list[Session] = []
    delete: list[Finished] = []
    ahead: list[datetime] = []
    for item in finished:
        if not item.status.finished or item.metadata.deletion_timestamp is not None:
            continue
        if isinstance(item, Session) and is_outdated(item):
            reopen.append(item)
            continue
        due = due_at(item)
        if due is None:
            continue
        if due <= now:
            delete.append(item)
        else:
            ahead.append(due)
    return Plan(tuple(reopen), tuple(delete), min(ahead, default=None))


def is_outdated(session: Session) -> bool:
    """Tell whether the spec was changed after the end: `finished` counts for `observedGeneration` only."""
    return (session.status.observed_generation or 0) < session.metadata.generation


def due_at(item: Finished) -> datetime | None:
    """Give the time at which a finished object goes; None: it stays."""
    if isinstance(item, Session) and item.spec.supersedes is not None:
        return None
    ttl = item.spec.ttl_after_finished
    if ttl is None or item.status.finished_at is None:
        return None
    try:
        return item.status.finished_at + ttl
    except OverflowError:
        return _LATEST
