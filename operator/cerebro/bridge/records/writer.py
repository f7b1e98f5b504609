"""Writes the records that wait in the store, oldest first, until each is where
it belongs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import structlog

from cerebro.bridge.errors import ApiError
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.records.places import PlaceError, RecordPlace
from cerebro.bridge.store.access import AccessStore, WaitingRecord
from cerebro.runtime.backoff import Backoff

_AT_ONCE = 500
"""Records of a batch."""
_LOOK = 5.0
"""Seconds after which it is looked whether records wait, without a word of
that.
"""
_GRACE = 5.0
"""Seconds in which a batch comes to its end when the bridge does."""
FORGET_EVERY = 3600.0
"""Seconds between two rounds of deleting what is older than it may be."""

log = structlog.get_logger(__name__)


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Do work that is not to be broken off between two of its steps: who is
    cancelled waits for it, _GRACE seconds at most.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=_GRACE)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise


class RecordWriter:
    """Empties the store's outbox of records."""

    def __init__(self, store: AccessStore, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        self._due = asyncio.Event()
        self._trouble: str | None = None

    def wake(self) -> None:
        """Let it look now: records were put into the store."""
        self._due.set()

    async def run(self, place: RecordPlace) -> None:
        """Write until cancelled. Run it while the Lease is held: two that
        write would write the same.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._write_all(place))
            tasks.create_task(self._forget(place))

    async def _write_all(self, place: RecordPlace) -> None:
        delays = iter(Backoff(first=0.2, ceiling=30.0))

        while True:
            self._due.clear()

            try:
                is_more = await self._write_some(place)
            except (PlaceError, ApiError) as error:
                self._say(str(error))
                await asyncio.sleep(next(delays))
                continue

            self._say(None)
            delays = iter(Backoff(first=0.2, ceiling=30.0))

            if not is_more:
                await self._wait()

    async def _write_some(self, place: RecordPlace) -> bool:
        """Write a batch; return whether there may be more. Raises PlaceError
        and ApiError.
        """
        count = await self._store.records_waiting()
        self._metrics.records_waiting.set(count)
        if not count:
            return False

        batch = await self._store.waiting_records(_AT_ONCE)
        await _to_its_end(self._write_batch(place, batch))

        self._metrics.records_written.inc(len(batch))
        self._metrics.records_waiting.set(max(0, count - len(batch)))

        return len(batch) == _AT_ONCE

    async def _write_batch(
        self, place: RecordPlace, batch: Sequence[WaitingRecord]
    ) -> None:
        await place.write([record.body for record in batch])
        await self._store.records_written([record.seq for record in batch])

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_LOOK):
                await self._due.wait()
        except TimeoutError:
            return

    async def _forget(self, place: RecordPlace) -> None:
        while True:
            try:
                await place.forget()
            except PlaceError as error:
                log.warning("old records stay for now", error=str(error))

            await asyncio.sleep(FORGET_EVERY)

    def _say(self, trouble: str | None) -> None:
        """Log a trouble once, and its end."""
        if trouble == self._trouble:
            return

        if trouble is not None:
            log.warning("records of access wait", reason=trouble)
        else:
            log.info("records of access are written")

        self._trouble = trouble
