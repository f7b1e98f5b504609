"""What becomes of finished Sessions and DeviceCommands: they go after their ttl, or are opened again.

`plan` decides and is pure; `carry_out` does it. Superseding Sessions have no ttl and are
`operator_superseding`'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from cerebro.controllers.operator_calls import each
from cerebro.kube.api import KubeApi
from cerebro.kube.errors import Conflict, NotFound
from cerebro.resources import KINDS, DeviceCommand, Session

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


async def carry_out(api: KubeApi, due: Plan) -> tuple[int, int]:
    """Re-open and delete what is due; return how many were opened again and how many deleted.

    Each write holds for the version that was judged: one that changed meanwhile is judged again when its
    change comes. Raises KubeError when the API server cannot be reached; what was not done is due again.
    """
    reopened = await each(due.reopen, lambda session: _reopen(api, session))
    return reopened, await each(due.delete, lambda item: delete(api, item))


async def _reopen(api: KubeApi, session: Session) -> bool:
    try:
        await api.patch(
            KINDS["Session"],
            session.namespace,
            session.name,
            {"status": {"finished": False}},
            subresource="status",
            resource_version=session.metadata.resource_version,
        )
    except (Conflict, NotFound):
        return False
    return True


async def delete(api: KubeApi, item: Finished) -> bool:
    """Delete exactly the object that was judged, in that version; False when it is another by now or gone."""
    try:
        await api.delete(
            KINDS[item.kind],
            item.namespace,
            item.name,
            uid=item.metadata.uid,
            resource_version=item.metadata.resource_version,
        )
    except (Conflict, NotFound):
        return False
    return True
