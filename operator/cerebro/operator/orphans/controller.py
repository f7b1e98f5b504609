"""Finds the Sessions and DeviceCommands that have no Device, and the superseding ones that are due to go.

One round a minute: a Table of all unfinished ones (names and columns, no objects), the Devices out of the
store, and whole objects only for what has no Device. What is said of them is decided in `orphans`, and of
superseding Sessions in `operator_superseding`. Writes hold for the version that was judged.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from functools import partial

from cerebro.domain.lifecycle import GrantWindows
from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi, Manifest, server_now
from cerebro.kube.client.batch import each
from cerebro.kube.client.errors import Conflict, Invalid, NotFound
from cerebro.kube.events import Recorder
from cerebro.operator import metrics
from cerebro.operator.orphans.plan import OrphanVerdict, judge_command, judge_session
from cerebro.operator.orphans.superseding import LastSeen, Name, Superseding
from cerebro.resources import (
    DEVICE,
    DEVICE_COMMAND,
    SESSION,
    UNFINISHED,
    DeviceCommand,
    Kind,
    Session,
    reasons,
)

log = logging.getLogger(__name__)

FIELD_MANAGER = "cerebro-operator-orphans"
"""One manager a concern: an apply drops what its manager wrote before and leaves out now."""
WRITES_IN_ROUND = 1000
"""Writes of one round; what is left is done by the next, which finds those no more."""
_BATCH = 100


class OrphanSearch:
    """The rounds; keeps which Devices were missing in the last one, and when superseded ones were there."""

    def __init__(
        self,
        api: KubeApi,
        store: Store,
        events: Recorder,
        *,
        namespaces: Iterable[str],
        within: GrantWindows,
        superseding_ttl: float,
    ) -> None:
        self._api = api
        self._store = store
        self._events = events
        self._namespaces = tuple(namespaces)
        self._within = within
        self._last_seen = LastSeen(superseding_ttl)
        self._missing: frozenset[Name] = frozenset()
        self.sessions_by_device: Counter[Name] = Counter()
        """Unfinished Sessions by namespace and name of their Device, as of the last round."""

    async def round(self) -> None:
        """Search once and write what is due. Raises KubeError when the API server cannot be asked."""
        missing: set[Name] = set()
        by_device: Counter[Name] = Counter()
        present: set[Name] = set()
        superseding: list[Superseding] = []
        orphans: Counter[str] = Counter()
        for kind, namespace in itertools.product((SESSION, DEVICE_COMMAND), self._namespaces):
            rows = await self._api.list_cells(kind, namespace, field_selector=UNFINISHED)
            devices = Counter(row.get("device", "") for row in rows)
            orphaned = {name for name in devices if self._store.get(DEVICE, namespace, name) is None}
            orphans[kind.kind] += sum(devices[name] for name in orphaned)
            missing |= {(namespace, name) for name in orphaned}
            if kind.kind == "Session":
                by_device.update({(namespace, name): count for name, count in devices.items()})
                present |= {(namespace, row["name"]) for row in rows}
                superseding += [
                    Superseding(namespace, row["name"], row["uid"], row["supersedes"])
                    for row in rows
                    if row.get("supersedes")
                ]
            await self._judge_all(kind, namespace, sorted(orphaned))
        for of_kind, count in orphans.items():
            metrics.ORPHANS.labels(of_kind).set(count)
        self._missing = frozenset(missing)
        self.sessions_by_device = by_device
        await self._end_superseding(superseding, present)

    async def _judge_all(self, kind: Kind, namespace: str, devices: list[str]) -> None:
        """Judge what names a missing Device, a batch at a time, up to the bound on writes."""
        left = WRITES_IN_ROUND
        for device in devices:
            if left <= 0:
                return
            if not await self._is_missing(namespace, device):
                continue
            sure = (namespace, device) in self._missing
            selector = f"{UNFINISHED},spec.deviceRef.name={device}"
            async for batch in _batches(self._api.list_objects(kind, namespace, field_selector=selector)):
                left -= await each(batch, partial(self._judge, kind, gone_for_sure=sure))
                if left <= 0:
                    return

    async def _is_missing(self, namespace: str, device: str) -> bool:
        """Ask the API server itself: it knows of Devices that were made after our store last heard of any."""
        try:
            await self._api.get(DEVICE, namespace, device)
        except NotFound:
            return True
        return False

    async def _judge(self, kind: Kind, body: Manifest, *, gone_for_sure: bool) -> bool:
        try:
            item = kind.model.model_validate(body)
        except ValueError:
            return False  # frozen (B9): present, and left as it is
        now = server_now(self._api)
        outcome: OrphanVerdict | None = None
        if isinstance(item, Session):
            outcome = judge_session(item, gone_for_sure=gone_for_sure, within=self._within, now=now)
        elif isinstance(item, DeviceCommand):
            outcome = judge_command(item, gone_for_sure=gone_for_sure, now=now)
        if outcome is None:
            return False
        meta = {"uid": item.metadata.uid, "resourceVersion": item.metadata.resource_version}
        try:
            await self._api.apply(
                kind,
                item.namespace,
                item.name,
                {"metadata": meta, "status": outcome.status},
                field_manager=FIELD_MANAGER,
                subresource="status",
            )
        except (Conflict, NotFound):
            return False
        except Invalid as error:
            log.warning("%s %s/%s: its status is refused: %s", kind.kind, item.namespace, item.name, error)
            return False
        if outcome.event is not None:
            self._events.post(item, "Warning", reasons.DEVICE_GONE, outcome.event, action="Finish")
        return True

    async def _end_superseding(self, unfinished: list[Superseding], present: set[Name]) -> None:
        """A10: with the finished ones out of the store, as the Table has the unfinished ones only."""
        finished = [
            session
            for namespace in self._namespaces
            for session in self._store.models(SESSION, Session, namespace)
        ]
        present = present | {(session.namespace, session.name) for session in finished}
        superseding = unfinished + [
            Superseding(session.namespace, session.name, session.metadata.uid, session.spec.supersedes.name)
            for session in finished
            if session.spec.supersedes is not None
        ]
        due = self._last_seen.due(superseding, present, time.monotonic())
        await each(due[:WRITES_IN_ROUND], self._delete)

    async def _delete(self, session: Superseding) -> bool:
        """Delete it unless the API server has the superseded one after all: it may be brand-new."""
        kind = SESSION
        try:
            await self._api.get(kind, session.namespace, session.superseded)
        except NotFound:
            pass
        else:
            return False
        try:
            await self._api.delete(kind, session.namespace, session.name, uid=session.uid)
        except (Conflict, NotFound):
            return False
        log.info(
            "deleted Session %s/%s: the one that it superseded has been gone for long enough",
            session.namespace,
            session.name,
        )
        return True


async def _batches(items: AsyncIterator[Manifest]) -> AsyncIterator[list[Manifest]]:
    batch: list[Manifest] = []
    async for item in items:
        batch.append(item)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
