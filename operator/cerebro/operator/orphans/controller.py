"""Finds the Sessions and DeviceCommands that have no Device, and the
superseding ones that are due to go.

One round a minute: a Table of all unfinished ones (names and columns, no
objects), the Devices out of the store, and whole objects only for what has no
Device. `plan` decides what is written on them, and `superseding` when
superseding Sessions go. Writes hold for the version that was judged.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from cerebro.domain.lifecycle import GrantWindows
from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi, Manifest
from cerebro.kube.client.batch import each
from cerebro.kube.client.errors import Conflict, Invalid, NotFound
from cerebro.kube.client.server_clock import server_now
from cerebro.kube.event_reasons import DEVICE_GONE
from cerebro.kube.events import Recorder
from cerebro.kube.objects import Name
from cerebro.operator import metrics
from cerebro.operator.orphans.plan import (
    OrphanVerdict,
    judge_command,
    judge_session,
)
from cerebro.operator.orphans.superseding import LastSeen, Superseding
from cerebro.resources import (
    DEVICE,
    DEVICE_COMMAND,
    SESSION,
    UNFINISHED,
    DeviceCommand,
    Kind,
    Resource,
    Session,
)
from cerebro.resources.kinds import (
    DEVICE_COLUMN,
    SUPERSEDES_COLUMN,
    UID_COLUMN,
)

log = logging.getLogger(__name__)

FIELD_MANAGER = "cerebro-operator-orphans"
"""One manager a concern: an apply drops what its manager wrote before and
leaves out now.
"""
WRITES_IN_ROUND = 1000
"""Writes of one round; the next round does the rest, for it does not find what
was done.
"""
_BATCH = 100


@dataclass
class _Findings:
    """What one round saw; Names are of namespace and name."""

    missing: set[Name] = field(default_factory=set)
    """Devices that the store lacks and an unfinished object names."""
    orphans: Counter[str] = field(default_factory=Counter)
    """Unfinished objects without a Device, by kind."""
    sessions_by_device: Counter[Name] = field(default_factory=Counter)
    present: set[Name] = field(default_factory=set)
    """Unfinished Sessions."""
    superseding: list[Superseding] = field(default_factory=list)

    def add_sessions(
        self,
        namespace: str,
        rows: Sequence[Mapping[str, Any]],
        by_device: Mapping[str, int],
    ) -> None:
        """Add the unfinished Sessions of a namespace, as rows of a Table."""
        self.sessions_by_device.update(
            {(namespace, name): count for name, count in by_device.items()}
        )

        for row in rows:
            self.present.add((namespace, row["name"]))
            superseded = row.get(SUPERSEDES_COLUMN.cell)
            if superseded:
                uid = row[UID_COLUMN.cell]
                self.superseding.append(
                    Superseding(namespace, row["name"], uid, superseded)
                )


class OrphanSearch:
    """The rounds of the search.

    It remembers which Devices were missing in the last round, and when
    superseded Sessions were last there.
    """

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
        """Unfinished Sessions by namespace and name of their Device, as of the
        last round.
        """

    async def round(self) -> None:
        """Search once and write what is due.

        Raises KubeError if the API server cannot be asked; what was not done
        is done in the next round.
        """

        findings = _Findings()
        for kind, namespace in itertools.product(
            (SESSION, DEVICE_COMMAND), self._namespaces
        ):
            await self._look_at(kind, namespace, findings)

        for kind_name, count in findings.orphans.items():
            metrics.ORPHANS.labels(kind_name).set(count)

        self._missing = frozenset(findings.missing)
        self.sessions_by_device = findings.sessions_by_device
        await self._end_superseding(findings)

    async def _look_at(
        self, kind: Kind, namespace: str, findings: _Findings
    ) -> None:
        """Look at all unfinished objects of a kind in a namespace, and judge
        those without a Device.
        """

        rows = await self._api.list_cells(
            kind, namespace, field_selector=UNFINISHED
        )

        by_device = Counter(row.get(DEVICE_COLUMN.cell, "") for row in rows)
        missing = {
            name
            for name in by_device
            if self._store.get(DEVICE, namespace, name) is None
        }

        findings.orphans[kind.kind] += sum(by_device[name] for name in missing)
        findings.missing |= {(namespace, name) for name in missing}

        if kind is SESSION:
            findings.add_sessions(namespace, rows, by_device)

        await self._judge_all(kind, namespace, sorted(missing))

    async def _judge_all(
        self, kind: Kind, namespace: str, devices: list[str]
    ) -> None:
        """Judge what names one of these Devices, a batch at a time, up to the
        bound on writes.

        A Device that was missing in the last round too is gone for sure.
        """
        remaining = WRITES_IN_ROUND
        for device in devices:
            if remaining <= 0:
                return

            if not await self._is_missing(namespace, device):
                continue

            gone_for_sure = (namespace, device) in self._missing
            judge = partial(self._judge, kind, gone_for_sure=gone_for_sure)
            selector = f"{UNFINISHED},spec.deviceRef.name={device}"
            async for batch in _batches(
                self._api.list_objects(
                    kind, namespace, field_selector=selector
                )
            ):
                remaining -= await each(batch, judge)
                if remaining <= 0:
                    return

    async def _is_missing(self, namespace: str, device: str) -> bool:
        """Return whether the API server lacks a Device too: it knows those
        that our store has not heard of yet.
        """
        try:
            await self._api.get(DEVICE, namespace, device)
        except NotFound:
            return True

        return False

    async def _judge(
        self, kind: Kind, body: Manifest, *, gone_for_sure: bool
    ) -> bool:
        """Judge one object and write what is due; return whether something was
        written.
        """

        try:
            item = kind.model.model_validate(body)
        except ValueError:
            return False  # frozen (B9): present, and left as it is

        now = server_now(self._api)
        verdict: OrphanVerdict | None = None
        if isinstance(item, Session):
            verdict = judge_session(
                item, gone_for_sure=gone_for_sure, within=self._within, now=now
            )
        elif isinstance(item, DeviceCommand):
            verdict = judge_command(item, gone_for_sure=gone_for_sure, now=now)

        if verdict is None:
            return False

        if not await self._write(kind, item, verdict):
            return False

        if verdict.event is not None:
            self._events.post(item, DEVICE_GONE, message=verdict.event)

        return True

    async def _write(
        self, kind: Kind, item: Resource, verdict: OrphanVerdict
    ) -> bool:
        """Write a status if the object is still in the version that was
        judged; return whether it was.
        """
        meta = {
            "uid": item.metadata.uid,
            "resourceVersion": item.metadata.resource_version,
        }

        try:
            await self._api.apply(
                kind,
                item.namespace,
                item.name,
                {"metadata": meta, "status": verdict.status},
                field_manager=FIELD_MANAGER,
                subresource="status",
            )
        except (Conflict, NotFound):
            return False
        except Invalid as error:
            log.warning(
                "%s %s/%s: its status is refused: %s",
                kind.kind,
                item.namespace,
                item.name,
                error,
            )

            return False

        return True

    async def _end_superseding(self, findings: _Findings) -> None:
        """Delete the superseding Sessions that are due (A10).

        The Table lists only unfinished Sessions, so finished ones come from
        the store.
        """
        present, superseding = (
            set(findings.present),
            list(findings.superseding),
        )

        for namespace in self._namespaces:
            for session in self._store.models(SESSION, Session, namespace):
                present.add((namespace, session.name))
                superseded = session.spec.supersedes
                if superseded is not None:
                    uid = session.metadata.uid
                    superseding.append(
                        Superseding(
                            namespace, session.name, uid, superseded.name
                        )
                    )

        due = self._last_seen.due(superseding, present, time.monotonic())
        await each(due[:WRITES_IN_ROUND], self._delete)

    async def _delete(self, session: Superseding) -> bool:
        """Delete a superseding Session unless the API server has the
        superseded one after all: it may be brand-new.
        """
        try:
            await self._api.get(SESSION, session.namespace, session.superseded)
        except NotFound:
            pass
        else:
            return False

        try:
            await self._api.delete(
                SESSION, session.namespace, session.name, uid=session.uid
            )
        except (Conflict, NotFound):
            return False

        log.info(
            "deleted Session %s/%s: the one that it superseded has been gone for long enough",
            session.namespace,
            session.name,
        )

        return True


async def _batches(
    items: AsyncIterator[Manifest],
) -> AsyncIterator[list[Manifest]]:
    batch: list[Manifest] = []
    async for item in items:
        batch.append(item)

        if len(batch) == _BATCH:
            yield batch
            batch = []

    if batch:
        yield batch
