"""Looks at finished Sessions and DeviceCommands, and carries out what is
planned for them.

A step of the operator's loop deletes what is over its ttl and opens anew what
was changed after its end. Between steps the loop sleeps until the next object
is due; a change that is due earlier wakes it.
"""

from __future__ import annotations

import time

from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.batch import each
from cerebro.kube.client.errors import Conflict, NotFound
from cerebro.kube.client.server_clock import server_now
from cerebro.kube.objects import Change
from cerebro.operator import metrics
from cerebro.operator.finished.plan import (
    Finished,
    Plan,
    completed_status,
    plan,
)
from cerebro.resources import (
    DEVICE_COMMAND,
    KINDS,
    SESSION,
    DeviceCommand,
    Session,
)
from cerebro.runtime.pace import gather

_IDLE = 60.0
"""Seconds after which finished objects are looked at anew if none is due
earlier.
"""
_AT_ONCE = 100
"""Objects that are judged before anybody else may run: some 2 ms at most."""
_AFTER_WRITES = 1.0
"""Seconds in which the watch brings what was written."""


class FinishedObjects:
    """Deletes and re-opens finished objects; remembers when the loop wakes by
    itself.
    """

    def __init__(self, api: KubeApi, store: Store) -> None:
        self._api = api
        self._store = store
        self._wakes_at = 0.0  # monotonic seconds

    def changed(self, change: Change) -> bool:
        """Return whether a change is due before the loop wakes by itself."""
        item = change.new.model if change.new is not None else None
        if not isinstance(item, Session | DeviceCommand):
            return False

        now = server_now(self._api)
        planned = plan([item], now)
        if planned.has_writes:
            return True

        if planned.wake_at is None:
            return False

        return (
            time.monotonic() + (planned.wake_at - now).total_seconds()
            < self._wakes_at
        )

    async def step(self) -> float:
        """Carry out what is due; return in how many seconds to look anew.

        Each write holds for the version that was judged: one that changed
        meanwhile is judged anew when its change comes. Raises KubeError if the
        API server cannot be reached; what was not done is due in the next
        step.
        """

        now = server_now(self._api)
        sessions = self._store.models(SESSION, Session)
        commands = self._store.models(DEVICE_COMMAND, DeviceCommand)
        items: list[Finished] = [*sessions, *commands]
        parts = await gather(
            plan(items[start : start + _AT_ONCE], now)
            for start in range(0, len(items), _AT_ONCE)
        )
        planned = Plan.joined(parts)

        reopened = await each(planned.reopen, self._reopen)
        deleted = await each(planned.delete, self._delete)
        await each(planned.complete, self._complete)
        metrics.REOPENED.inc(reopened)
        metrics.DELETED.inc(deleted)

        delay = _IDLE
        if planned.has_writes:
            delay = _AFTER_WRITES
        elif planned.wake_at is not None:
            delay = min(_IDLE, (planned.wake_at - now).total_seconds())

        self._wakes_at = time.monotonic() + delay

        return delay

    async def _reopen(self, session: Session) -> bool:
        """Take `finished` away, so that agents see the Session; return False
        if it has changed or gone.
        """
        try:
            await self._api.patch(
                SESSION,
                session.namespace,
                session.name,
                {"status": {"finished": False}},
                subresource="status",
                resource_version=session.metadata.resource_version,
            )
        except (Conflict, NotFound):
            return False

        return True

    async def _complete(self, item: Finished) -> bool:
        """Write what the status of an older release lacks; return False if the
        object has changed or gone.
        """
        status = completed_status(item, server_now(self._api))
        if status is None:
            return False

        try:
            await self._api.patch(
                KINDS[item.kind],
                item.namespace,
                item.name,
                {"status": status},
                subresource="status",
                resource_version=item.metadata.resource_version,
            )
        except (Conflict, NotFound):
            return False

        return True

    async def _delete(self, item: Finished) -> bool:
        """Delete exactly the object that was judged; return False if it has
        changed or gone.
        """
        try:
            await self._api.delete(
                KINDS[item.kind],
                item.namespace,
                item.name,
                uid=item.metadata.uid,
                resource_version=item.metadata.resource_version,
            )
        except (Conflict, NotFound):
            return False

        return True
