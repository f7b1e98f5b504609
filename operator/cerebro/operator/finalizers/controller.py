"""Puts finalizers on Peers, Devices and Hubs and takes them off, as `finalizers` decides.

Each write names the version that was judged, so that finalizers of others, and changes that nobody has judged
yet, survive. Only the Lease is needed: what an object says of itself holds also while the store is not known
to be complete; that a Hub is gone is believed only of a complete one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi, server_now
from cerebro.kube.client.batch import each
from cerebro.kube.client.errors import Conflict, NotFound
from cerebro.kube.events import Recorder
from cerebro.kube.objects import Change, Name
from cerebro.operator import metrics
from cerebro.operator.finalizers.plan import Decision, Subject, Why, decide, subject
from cerebro.resources import HUB, KINDS, Resource, reasons

log = logging.getLogger(__name__)

_IDLE = 60.0
_SOON = 1.0
_SAYS = {
    Why.TIME_LIMIT: (
        "FinalizerTimeout",
        "no agent reported its clean-up within {limit:.0f} s; what it left behind is to be removed by hand",
    ),
    Why.FORCED: (
        "FinalizerForced",
        "let go because of its annotation, without clean-up; what it left behind is unknown from now on",
    ),
    Why.HUB_GONE: (reasons.HUB_NOT_FOUND, "let go without clean-up: its Hub does not exist any more"),
}


class Finalizers:
    """The steps; keeps which objects changed, and which are on their way out."""

    def __init__(
        self, api: KubeApi, store: Store, events: Recorder, *, limit: float, complete: Callable[[], bool]
    ) -> None:
        self._api = api
        self._store = store
        self._events = events
        self._limit = timedelta(seconds=limit)
        self._complete = complete
        self._marked: set[tuple[str, Name]] = set()
        self._going: set[tuple[str, Name]] = set()

    def changed(self, change: Change) -> bool:
        """Take a change of the store; True when a step is due."""
        kind = change.kind.kind
        if kind not in ("Hub", "Peer", "Device"):
            return False
        self._marked.add((kind, (change.namespace, change.name)))
        return True

    def begin(self) -> None:
        """Have everything looked at."""
        for kind in ("Hub", "Peer", "Device"):
            self._marked.update((kind, (item.namespace, item.name)) for item in self._store.all(KINDS[kind]))

    async def step(self) -> float:
        """Look at what changed and at all that is going; gives the seconds until the next. Raises KubeError."""
        marked, self._marked = self._marked | self._going, set()
        left, again = set(marked), set[tuple[str, Name]]()
        now = server_now(self._api)
        due: list[datetime] = []
        writes: list[tuple[tuple[str, Name], Subject, Decision]] = []
        for key in marked:
            item = self._read(*key)
            decision = self._decide(item, now) if item is not None else Decision()
            self._going.discard(key)
            if decision.due is not None:
                self._going.add(key)
                due.append(decision.due)
            if item is not None and decision.finalizers is not None:
                writes.append((key, item, decision))
            else:
                left.discard(key)

        async def work(write: tuple[tuple[str, Name], Subject, Decision]) -> bool:
            key, item, decision = write
            if not await self._write(item, decision):
                again.add(key)
            left.discard(key)
            return True

        try:
            await each(writes, work)
        finally:
            self._marked |= left | again
        if again:
            return _SOON
        return min([_IDLE, *((moment - now).total_seconds() for moment in due)])

    def _read(self, kind: str, name: Name) -> Subject | None:
        stored = self._store.get(KINDS[kind], *name)
        return subject(stored) if stored is not None else None

    def _decide(self, item: Subject, now: datetime) -> Decision:
        meta = item.resource.metadata
        gone = (
            item.hub is not None
            and meta.deletion_timestamp is not None
            and self._complete()
            and self._store.get(HUB, meta.namespace, item.hub) is None
        )
        return decide(item, hub_gone=gone, now=now, limit=self._limit)

    async def _write(self, item: Subject, decision: Decision) -> bool:
        """Write the finalizers; False when the object changed meanwhile and is to be judged again."""
        meta, kind = item.resource.metadata, KINDS[item.resource.kind]
        patch = {"metadata": {"uid": meta.uid, "finalizers": list(decision.finalizers or ())}}
        try:
            written = await self._api.patch(
                kind, meta.namespace, meta.name, patch, resource_version=meta.resource_version
            )
        except Conflict:
            return False
        except NotFound:
            return True
        if decision.why is not None:
            self._tell(item.resource, decision.why)
        self._store.deliver(kind, "MODIFIED", written)
        return True

    def _tell(self, item: Resource, why: Why) -> None:
        log.info("%s %s/%s: let go: %s", item.kind, item.namespace, item.name, why.value)
        if why not in _SAYS:
            return
        metrics.FINALIZERS_FORCED.labels(item.kind, why.name.lower()).inc()
        reason, message = _SAYS[why]
        text = message.format(limit=self._limit.total_seconds())
        self._events.post(item, "Warning", reason, text, action="Finalize")
