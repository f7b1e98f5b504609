"""Writes statuses: of each object the newest, until the API server took it.
One writer for a process.

Bounded by the number of objects: a newer status of the same object takes the
place of the one that waits. Kinds take turns, so that a Session does not wait
for ten thousand Peers, and so do Devices, so that it does not wait for two
thousand Sessions of another router. A status that cannot be written now waits for its next
try beside the queue, and keeps no worker from the others. Answers go to the
Store, so that the loops read their own writes.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import Conflict, Invalid, KubeError, NotFound
from cerebro.kube.status_apply import apply_status
from cerebro.resources import Kind
from cerebro.runtime.backoff import Backoff

log = logging.getLogger(__name__)

Key = tuple[str, str, str]
"""Kind, namespace and name of an object."""


@dataclass(frozen=True, slots=True)
class Write:
    """A status to be written.

    Without `field_manager` it is a merge patch: fields that it lacks stay. With one it is applied by the
    server: fields of that manager that it lacks go.
    """

    kind: Kind
    namespace: str
    name: str
    uid: str
    status: dict[str, Any]
    field_manager: str | None = None
    line: str = ""
    """In which of its kind's lines it waits: a Session in that of its Device."""

    @property
    def key(self) -> Key:
        """The object that it is about."""
        return self.kind.kind, self.namespace, self.name

    def over(self, older: Write) -> Write:
        """Return what is to be written instead of `older` and, after it, this.

        Two merge patches of the same object are joined; whatever else is older
        is forgotten.
        """
        if self.uid != older.uid or self.field_manager is not None:
            return self

        return replace(self, status={**older.status, **self.status})


Waiting = tuple[Key, str]
"""An object, and the line of its kind in which it waits."""


class _Turns:
    """Objects in lines. Kinds take turns, and in a kind its lines do."""

    def __init__(self) -> None:
        self._kinds: dict[str, dict[str, deque[Key]]] = {}
        """Lines by kind and name, in the order of their turns; none is empty.
        """
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, waiting: Waiting) -> None:
        """Put an object at the end of its line."""
        key, name = waiting
        lines = self._kinds.setdefault(key[0], {})
        lines.setdefault(name, deque()).append(key)
        self._count += 1

    def popleft(self) -> Waiting:
        """Remove and return the first object of the line whose turn it is."""
        kind = next(iter(self._kinds))
        lines = self._kinds.pop(kind)
        name = next(iter(lines))
        line = lines.pop(name)

        key = line.popleft()
        self._count -= 1

        # What is not empty goes behind all others.
        if line:
            lines[name] = line

        if lines:
            self._kinds[kind] = lines

        return key, name


class _FairQueue(asyncio.Queue[Waiting]):
    """A queue over such lines; `_init` is what asyncio has for queues of
    another order.
    """

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self._queue = _Turns()


class StatusWriter:
    """Takes statuses without waiting, and writes them with a few workers."""

    def __init__(
        self,
        api: KubeApi,
        store: Store,
        *,
        workers: int = 16,
        turned: Callable[[], None] | None = None,
    ) -> None:
        """`turned` is called before each request."""
        self._api = api
        self._store = store
        self._workers = workers
        self._turned = turned or (lambda: None)

        self._waiting: dict[Key, Write] = {}
        """What is to be written of an object that no worker writes now, or
        after what it writes.
        """

        self._busy: set[Key] = set()
        """Objects that a worker writes now: two workers never write the same
        object.
        """

        self._queue = _FairQueue()
        self._queued: set[Key] = set()
        """Objects in the queue; none is there twice."""
        self._backoffs: dict[Key, Iterator[float]] = {}
        """Of objects whose last try failed: the waits before the next ones, in
        seconds.
        """

        self._timers: dict[Key, asyncio.TimerHandle] = {}
        """Of objects that wait for their next try."""
        self._idle = asyncio.Event()
        self._idle.set()

    def put(self, write: Write) -> None:
        """Take a status to be written; a merge patch that still waits is
        joined with it.
        """
        older = self._waiting.get(write.key)
        self._waiting[write.key] = (
            write if older is None else write.over(older)
        )

        self._idle.clear()
        self._enqueue(write.key)

    def waits(self, kind: Kind, namespace: str, name: str) -> bool:
        """Return whether a status of an object is not written yet."""
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
                await self._idle.wait()
        except TimeoutError:
            log.warning(
                "%d statuses were not written before the end; they are computed again after the start",
                self.pending(),
            )

    def _enqueue(self, key: Key) -> None:
        """Queue an object whose status waits, unless it is queued already, a
        worker writes it, or its next try is not due.
        """
        taken = key in self._queued or key in self._busy or key in self._timers
        if key in self._waiting and not taken:
            self._queued.add(key)
            self._queue.put_nowait((key, self._waiting[key].line))

    async def _work(self) -> None:
        while True:
            key, _ = await self._queue.get()
            self._queued.discard(key)
            self._busy.add(key)

            write = self._waiting.pop(key)
            try:
                is_settled = await self._write(key, write)
            finally:
                self._busy.discard(key)

            if is_settled:
                self._backoffs.pop(key, None)
            else:
                self._put_off(key, write)

            self._enqueue(key)  # a newer status may have come meanwhile

            if not self.pending():
                self._idle.set()

    async def _write(self, key: Key, write: Write) -> bool:
        """Try to write one status; return whether it is settled: the API
        server took it, or will never take it.
        """
        self._turned()

        try:
            answer = await self._send(write)
        except NotFound:
            return True
        except Invalid:
            log.exception(
                "the API server refuses the status of %s %s/%s", *key
            )

            return True
        except KubeError as error:
            if isinstance(error, Conflict) and self._replaced(write):
                return True

            log.warning(
                "status of %s %s/%s could not be written, trying again: %s",
                *key,
                error,
            )

            return False

        self._store.deliver(write.kind, "MODIFIED", answer)

        return True

    def _put_off(self, key: Key, write: Write) -> None:
        """Keep a status that could not be written, joined with a newer one,
        for a try after a growing wait.
        """

        newer = self._waiting.get(key)
        self._waiting[key] = write if newer is None else newer.over(write)
        backoff = self._backoffs.setdefault(
            key, iter(Backoff(first=0.1, ceiling=10.0))
        )

        loop = asyncio.get_running_loop()
        self._timers[key] = loop.call_later(
            next(backoff), self._try_again, key
        )

    def _try_again(self, key: Key) -> None:
        del self._timers[key]
        self._enqueue(key)

    def _replaced(self, write: Write) -> bool:
        """Return whether the object went, or another of its name came, since
        the status was computed.
        """
        known = self._store.get(write.kind, write.namespace, write.name)

        return known is None or known.uid != write.uid

    async def _send(self, write: Write) -> dict[str, Any]:
        """Send one status; return the object as the API server has it then.
        Raises KubeError.
        """
        body = {"metadata": {"uid": write.uid}, "status": write.status}
        if write.field_manager is None:
            return await self._api.patch(
                write.kind,
                write.namespace,
                write.name,
                body,
                subresource="status",
            )

        return await apply_status(
            self._api,
            write.kind,
            write.namespace,
            write.name,
            body,
            field_manager=write.field_manager,
        )
