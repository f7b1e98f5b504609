"""Puts our finalizers on Peers, Devices and Hubs and takes them off, as `plan`
decides.

Each write names the version of the object that was judged. So finalizers of
others survive, and changes that nobody has judged yet do too. A step needs
only the Lease: what an object says of itself holds also while the store is not
complete. That a Hub is gone is believed only of a complete store.

Nothing is decided here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from cerebro.kube import event_reasons
from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.batch import each
from cerebro.kube.client.errors import Conflict, NotFound
from cerebro.kube.client.server_clock import server_now
from cerebro.kube.events import Recorder
from cerebro.kube.objects import Change, Name
from cerebro.operator import metrics
from cerebro.operator.finalizers.plan import (
    FINALIZERS,
    Cause,
    Decision,
    Subject,
    decide,
    subject_of,
)
from cerebro.resources import HUB, KINDS, Resource

log = logging.getLogger(__name__)

_IDLE = 60.0
"""Seconds until the next step if nothing is due before."""

_RETRY = 1.0
"""Seconds until an object that changed while it was written is judged again.
"""

_EVENTS = {
    Cause.TIME_LIMIT: event_reasons.FINALIZER_TIMEOUT,
    Cause.FORCED: event_reasons.FINALIZER_FORCED,
    Cause.HUB_GONE: event_reasons.FINALIZER_WITHOUT_HUB,
}
"""What tells a release without clean-up; the other causes are the usual way.
"""

_Key = tuple[str, Name]
"""An object by its kind, namespace and name."""


class Finalizers:
    """Sets and removes finalizers, step by step.

    It keeps which objects changed since the last step, and which wait for
    their agent or for their time limit.
    """

    def __init__(
        self,
        api: KubeApi,
        store: Store,
        events: Recorder,
        *,
        limit: float,
        complete: Callable[[], bool],
    ) -> None:
        """`limit` is how long a deletion waits for an agent, in seconds;
        `complete` is true of a complete store.
        """

        self._api = api
        self._store = store
        self._events = events
        self._limit = timedelta(seconds=limit)
        self._complete = complete
        self._marked: set[_Key] = set()
        self._waiting: set[_Key] = set()

    def changed(self, change: Change) -> bool:
        """Take a change of the store; return whether a step is due."""
        kind = change.kind.kind
        if kind not in FINALIZERS:
            return False

        self._marked.add((kind, (change.namespace, change.name)))

        return True

    def begin(self) -> None:
        """Mark every object: another operator may have written until now."""
        for kind in FINALIZERS:
            stored_objects = self._store.all(KINDS[kind])
            self._marked.update(
                (kind, (stored.namespace, stored.name))
                for stored in stored_objects
            )

    async def step(self) -> float:
        """Judge the objects that changed and those that wait; return the
        seconds until the next step.

        Raises KubeError.
        """

        keys = self._marked | self._waiting
        self._marked = set()
        undone = set(keys)
        outdated: set[_Key] = set()
        now = server_now(self._api)

        # Judge all of them before the first write.
        deadlines: list[datetime] = []
        writes: list[tuple[_Key, Subject, Decision]] = []
        for key in keys:
            subject = self._read(key)
            decision = (
                self._decide(subject, now)
                if subject is not None
                else Decision()
            )

            self._waiting.discard(key)

            if decision.due is not None:
                self._waiting.add(key)
                deadlines.append(decision.due)

            if subject is not None and decision.finalizers is not None:
                writes.append((key, subject, decision))
            else:
                undone.discard(key)

        async def write(item: tuple[_Key, Subject, Decision]) -> bool:
            key, subject, decision = item
            if not await self._write(subject, decision):
                outdated.add(key)

            undone.discard(key)

            return True

        try:
            await each(writes, write)
        finally:
            self._marked |= undone | outdated

        if outdated:
            return _RETRY

        waits = [(deadline - now).total_seconds() for deadline in deadlines]

        return min([_IDLE, *waits])

    def _read(self, key: _Key) -> Subject | None:
        kind, name = key
        stored = self._store.get(KINDS[kind], *name)

        return subject_of(stored) if stored is not None else None

    def _decide(self, subject: Subject, now: datetime) -> Decision:
        metadata = subject.resource.metadata
        hub_gone = (
            subject.hub is not None
            and metadata.deletion_timestamp is not None
            and self._complete()
            and self._store.get(HUB, metadata.namespace, subject.hub) is None
        )

        return decide(subject, hub_gone=hub_gone, now=now, limit=self._limit)

    async def _write(self, subject: Subject, decision: Decision) -> bool:
        """Write the finalizers; return False if the object changed meanwhile
        and must be judged again.
        """

        kind = KINDS[subject.resource.kind]
        metadata = subject.resource.metadata
        patch = {
            "metadata": {
                "uid": metadata.uid,
                "finalizers": list(decision.finalizers or ()),
            }
        }

        try:
            written = await self._api.patch(
                kind,
                metadata.namespace,
                metadata.name,
                patch,
                resource_version=metadata.resource_version,
            )
        except Conflict:
            return False
        except NotFound:
            return True

        if decision.cause is not None:
            self._report_release(subject.resource, decision.cause)

        self._store.deliver(kind, "MODIFIED", written)

        return True

    def _report_release(self, resource: Resource, cause: Cause) -> None:
        """Log a release; count one without clean-up and post an event about
        it.
        """

        log.info(
            "%s %s/%s: let go: %s",
            resource.kind,
            resource.namespace,
            resource.name,
            cause.value,
        )

        if cause not in _EVENTS:
            return

        metrics.FINALIZERS_FORCED.labels(
            resource.kind, cause.name.lower()
        ).inc()

        self._events.post(
            resource, _EVENTS[cause], limit=self._limit.total_seconds()
        )
