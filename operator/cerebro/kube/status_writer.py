"""Writes status: the newest wanted one of each object, until the API server took it. One for a process.

Bounded by the number of objects: a newer status of the same object takes the place of one that waits. Kinds take
turns, so that a Session does not wait for ten thousand Peers. Answers go to the Store, so that the loops read their
own writes.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import Conflict, Invalid, KubeError, NotFound
from cerebro.resources import Kind
from cerebro.runtime.backoff import Backoff

log = logging.getLogger(__name__)

Key = tuple[str, str, str]  # kind, namespace, name


@dataclass(frozen=True, slots=True)
class Write:
    """A status to be written: a merge patch, or with `field_manager` what server-side apply is to make of our
    fields.
    """

    kind: Kind
    namespace: str
    name: str
    uid: str
    status: dict[str, Any]
    field_manager: str | None = None


class _Turns:
    """Keys in one line for each kind; the lines take turns."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[Key]] = {}

    def __len__(self) -> int:
        return sum(len(line) for line in self._lines.values())

    def append(self, key: Key) -> None:
        """Put a key at the end of its line."""
        self._lines.setdefault(key[0], deque()).append(key)

    def popleft(self) -> Key:
        """Take the first of the line whose turn it is."""
        kind = next(iter(self._lines))
        line = self._lines.pop(kind)
        key = line.popleft()
        if line:
            self._lines[kind] = line
        return key


class _FairQueue(asyncio.Queue[Key]):
    """A queue over such lines; this method is what asyncio has for it."""

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self._queue = _Turns()


class StatusWriter:
    """Takes statuses without waiting and writes them with a few workers; `failing` says since when nothing
    goes through.
    """

    def __init__(
        self, api: KubeApi, store: Store, *, workers: int = 16, turned: Callable[[], None] | None = None
    ) -> None:
        self._api, self._store = api, store
        self._waiting: dict[Key, Write] = {}
        self._busy: set[Key] = set()
        self._queue = _FairQueue()
        self._queued: set[Key] = set()
        self._workers = workers
        self._turned = turned or (lambda: None)

    def put(self, write: Write) -> None:
        """Have a status written; a merge patch that still waits is joined with this one."""
        key = (write.kind.kind, write.namespace, write.name)
        older = self._waiting.get(key)
        if older is not None and older.uid == write.uid and write.field_manager is None:
            write = Write(
                write.kind, write.namespace, write.name, write.uid, {**older.status, **write.status}
            )
        self._waiting[key] = write
        self._enqueue(key)

    def waits(self, kind: Kind, namespace: str, name: str) -> bool:
        """Tell whether a status of an object is not written yet."""
        key = (kind.kind, namespace, name)
        return key in self._waiting or key in self._busy

    def pending(self) -> int:
        """Return how many objects wait for their status."""
        return len(self._waiting) + len(self._busy)

    async def run(self) -> None:
        """Write until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._work(), name=f"status writer {number}")

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - the bound of E14
        """Wait until everything is written, at most `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._queue.join()
        except TimeoutError:
            log.warning(
                "%d statuses were not written before the end; they are computed again after the start",
                self.pending(),
            )

    def _enqueue(self, key: Key) -> None:
        if key in self._waiting and key not in self._queued and key not in self._busy:
            self._queued.add(key)
            self._queue.put_nowait(key)

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            self._queued.discard(key)
            self._busy.add(key)
            try:
                await self._write(key, self._waiting.pop(key))
            finally:
                self._busy.discard(key)
                self._enqueue(key)
                self._queue.task_done()

    async def _write(self, key: Key, write: Write) -> None:
        for delay in Backoff(first=0.1, ceiling=10.0):
            self._turned()
            try:
                answer = await self._send(write)
            except NotFound:
                return
            except Invalid:
                log.exception("the API server refuses the status of %s %s/%s", *key)
                return
            except KubeError as error:
                if isinstance(error, Conflict) and self._replaced(write):
                    return
                log.warning("status of %s %s/%s could not be written, trying again: %s", *key, error)
                await asyncio.sleep(delay)
                newer = self._waiting.pop(key, None)
                if newer is not None:
                    joined = newer.uid == write.uid and newer.field_manager is None
                    status = {**write.status, **newer.status} if joined else newer.status
                    write = Write(
                        newer.kind, newer.namespace, newer.name, newer.uid, status, newer.field_manager
                    )
            else:
                self._store.deliver(write.kind, "MODIFIED", answer)
                return

    def _replaced(self, write: Write) -> bool:
        """Tell whether the object went, or another of its name came, since the status was computed."""
        known = self._store.get(write.kind, write.namespace, write.name)
        return known is None or known.uid != write.uid

    async def _send(self, write: Write) -> dict[str, Any]:
        if write.field_manager is not None:
            return await self._api.apply(
                write.kind,
                write.namespace,
                write.name,
                {"metadata": {"uid": write.uid}, "status": write.status},
                field_manager=write.field_manager,
                subresource="status",
            )
        patch = {"metadata": {"uid": write.uid}, "status": write.status}
        return await self._api.patch(write.kind, write.namespace, write.name, patch, subresource="status")
