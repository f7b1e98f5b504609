"""Looks at the source of events again and again: one look at a time, and only
while the Lease is held (E1).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import structlog

from cerebro.bridge.backend.client import FeedError
from cerebro.bridge.backend.consumer import Consumer
from cerebro.bridge.errors import ApiError
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.store.base import HousekeepingStore
from cerebro.runtime.backoff import Backoff
from cerebro.runtime.clock import monotonic

CEILING = 15.0
"""Seconds between two looks at a source that fails, at most."""

log = structlog.get_logger(__name__)


class Source(Protocol):
    """Where events come from.

    It may offer an event again and again; only after `confirm` it may forget
    what it offered.
    """

    async def fetch(self) -> list[Any]:
        """Return the events that are there, as parsed JSON.

        Raises FeedError if they cannot be had, or are not the backend's.
        """
        ...

    async def confirm(self) -> None:
        """Note that all that `fetch` returned was taken for good. Raises
        FeedError.
        """
        ...


class Poller:
    """The loop that takes events from one source.

    One look ends before the next one begins, however long it takes.
    """

    def __init__(
        self,
        source: Source,
        consumer: Consumer,
        store: HousekeepingStore,
        metrics: Metrics,
        *,
        interval: float,
        dry_run: bool = False,
    ) -> None:
        """`interval` is in seconds. In `dry_run` events are looked at, and
        neither taken nor acknowledged (F6).
        """
        self._source = source
        self._consumer = consumer
        self._store = store
        self._metrics = metrics
        self._interval = interval
        self._dry_run = dry_run
        self._trouble: str | None = None

    async def run(self, may_poll: Callable[[], bool]) -> None:
        """Poll until cancelled. `may_poll` is asked before each look, and
        before anything is taken.
        """
        delays = iter(self._backoff())

        while True:
            began = monotonic()

            # Without the Lease nothing is done, and that is no trouble.

            if may_poll() and not await self._poll(may_poll):
                await asyncio.sleep(next(delays))
                continue

            delays = iter(self._backoff())
            spent = monotonic() - began
            await asyncio.sleep(max(0.05, self._interval - spent))

    def _backoff(self) -> Backoff:
        """Return the waits of a new trouble: not shorter than between two
        looks, but for the jitter.
        """
        return Backoff(
            first=self._interval, ceiling=max(CEILING, self._interval)
        )

    async def _poll(self, may_poll: Callable[[], bool]) -> bool:
        """Take what the source offers; return whether it could be had, and
        the store took it.

        What was not taken is offered again.
        """
        try:
            with self._metrics.job("poll"):
                events = await self._source.fetch()
                self._metrics.count("consumer.http_fetch_ok")

                if events and may_poll():
                    await self._take(events)
        except FeedError as error:
            # The source is away, broken, or not who it should be.
            self._metrics.count(error.counter)
            self._say(str(error))

            return False
        except ApiError as error:
            # The store is full, or cannot be written.
            self._metrics.count("consumer.process_error")
            self._say(error.text)

            return False

        self._say(None)

        return True

    async def _take(self, events: list[Any]) -> None:
        """Take events for good, and let the source forget them."""
        if self._dry_run:
            log.info("dry run: events are left where they are", n=len(events))
            return

        await self._consumer.take(events)

        # What the source may forget survives a power failure too.
        await self._store.sync()
        await self._source.confirm()

    def _say(self, trouble: str | None) -> None:
        """Log a trouble once, and its end.

        A backend that is away for a night is two lines in the log.
        """
        if trouble == self._trouble:
            return

        if trouble is not None:
            log.warning("events cannot be had", reason=trouble)
        else:
            log.info("events can be had")

        self._trouble = trouble
