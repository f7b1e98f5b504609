"""What becomes of finished Sessions and DeviceCommands: they go after their
ttl, or are opened again. Pure.

Superseding Sessions have no ttl: when they go is decided in
`orphans/superseding`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cerebro.domain.lifecycle import is_current, later
from cerebro.resources import DeviceCommand, Session

Finished = Session | DeviceCommand


@dataclass(frozen=True)
class Plan:
    """What is due now, and when there will be more."""

    reopen: tuple[Session, ...]
    delete: tuple[Finished, ...]
    wake_at: datetime | None
    """When the next object is due; None: nothing is ahead."""

    @property
    def has_writes(self) -> bool:
        """Whether anything is due now."""
        return bool(self.reopen or self.delete)


def plan(finished: Iterable[Finished], now: datetime) -> Plan:
    """Decide about every finished object; `now` is aware and the API server's
    time.

    An object that cannot be judged (no `finishedAt`) and one that is being
    deleted are left alone.
    """

    reopen: list[Session] = []
    delete: list[Finished] = []
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
        if due is None:
            continue

        if due <= now:
            delete.append(item)
        else:
            ahead.append(due)

    return Plan(tuple(reopen), tuple(delete), min(ahead, default=None))


def due_at(item: Finished) -> datetime | None:
    """Return when a finished object goes; None: it stays."""
    if isinstance(item, Session) and item.spec.supersedes is not None:
        return None

    ttl, finished_at = item.spec.ttl_after_finished, item.status.finished_at
    if ttl is None or finished_at is None:
        return None

    return later(finished_at, ttl)
