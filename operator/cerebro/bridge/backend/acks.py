"""Sends the ACKs of the outbox until the backend took them (F3).

After a few quick tries an ACK is tried ever more rarely, and for as long as it
is kept. While the backend as a whole is away a single batch probes it.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import structlog

from cerebro.bridge.backend.client import MAX_SIDE_BY_SIDE, AckError
from cerebro.bridge.errors import ApiError
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.store.events import Ack, EventStore
from cerebro.runtime.backoff import Backoff
from cerebro.runtime.clock import now_ms

BATCH = 64
CEILING = 20_000
"""Milliseconds between two tries at most."""
_SLOW_FIRST = 1_000
"""The first wait, in milliseconds, after the quick tries."""
_IDLE = 15.0
"""Seconds between two looks at an empty outbox: a bridge that shares the store
may have put something into it.
"""
_WAITING = 0.25
"""Seconds between two looks at an outbox in which nothing is due now."""

log = structlog.get_logger(__name__)


class Backend(Protocol):
    """What takes ACKs.

    It takes several at a time.
    """

    async def send(self, body: str) -> None:
        """Send an ACK. Raises AckError."""
        ...


def delay(tries: int, retries: int, quick: int, dice: float) -> int:
    """Return the milliseconds until an ACK is due anew that was sent in vain
    `tries` times.

    The first `retries` further tries are `quick` milliseconds apart; then the
    time doubles up to CEILING. `dice` is from 0 to 1, and takes up to half
    off, so that what failed together does not come together.
    """
    whole = quick
    slow = tries - retries - 1

    if slow >= 0:
        whole = min(CEILING, _SLOW_FIRST * 2 ** min(slow, 16))

    return round(whole * (1 - dice / 2))


class AckSender:
    """Sends what is due in the outbox, those due longest first.

    ACKs of different events may overtake each other; of one event there is
    only one.
    """

    def __init__(
        self,
        store: EventStore,
        metrics: Metrics,
        *,
        retries: int,
        quick: int,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._retries = retries
        self._quick = quick
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look at the outbox now: something was put into it.

        It need not be committed yet: a look waits for that.
        """
        self._wake.set()

    async def run(
        self, backend: Backend, may_send: Callable[[], bool]
    ) -> None:
        """Send until cancelled.

        `may_send` is asked before each ACK: whether the Lease is held.
        """
        brake = iter(Backoff(first=0.5, ceiling=15.0))

        while True:
            # Cleared before the look: what comes after it wakes us again.
            self._wake.clear()
            acks = await self._due()

            if not acks:
                await self._wait()
                continue

            # A backend that is away is left alone for a while.
            await self._count_waiting(len(acks))
            is_away = await self._send_all(acks, backend, may_send)

            if is_away:
                await asyncio.sleep(next(brake))
            else:
                brake = iter(Backoff(first=0.5, ceiling=15.0))

    async def _due(self) -> list[Ack]:
        """Return what is due now; nothing while the store cannot be read."""
        try:
            return await self._store.due_acks(now_ms(), BATCH)
        except ApiError as error:
            log.warning("ACKs have to wait", error=str(error))
            return []

    async def _wait(self) -> None:
        """Wait until there is something in the outbox, or something may be due
        in it.
        """
        waiting = await self._count_waiting(1)

        with suppress(TimeoutError):
            async with asyncio.timeout(_WAITING if waiting else _IDLE):
                await self._wake.wait()

    async def _count_waiting(self, at_least: int) -> int:
        """Return how many ACKs wait, and show it in the metrics; `at_least`
        while the store cannot be read.
        """
        waiting = at_least

        with suppress(ApiError):
            waiting = await self._store.acks_waiting()

        self._metrics.acks_waiting.set(waiting)

        return waiting

    async def _send_all(
        self, acks: list[Ack], backend: Backend, may_send: Callable[[], bool]
    ) -> bool:
        """Send a batch side by side; return whether the backend is away. Then
        the rest of the batch was not sent, and stays due.
        """
        waiting = deque(acks)
        away = False

        # Each worker takes the next one; the first that meets a backend which
        # is away stops all of them.

        async def work() -> None:
            nonlocal away

            while waiting and not away and may_send():
                if not await self._send(waiting.popleft(), backend):
                    away = True

        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(MAX_SIDE_BY_SIDE, len(acks))):
                tasks.create_task(work())

        return away or bool(waiting)

    async def _send(self, ack: Ack, backend: Backend) -> bool:
        """Send one ACK and note what came of it; return False if the backend
        is away.
        """
        try:
            await backend.send(ack.body)
        except AckError as error:
            self._metrics.count("consumer.ack_error")

            log.warning(
                "the backend did not take an ACK",
                event_id=ack.event_id,
                tries=ack.tries + 1,
                reason=str(error),
            )

            due_at = now_ms() + delay(
                ack.tries + 1,
                self._retries,
                self._quick,
                random.random(),  # noqa: S311 no secret
            )

            # If that cannot be noted, the ACK stays due.
            with suppress(ApiError):
                self._store.ack_failed_soon(ack, due_at)

            return not error.away

        # If that cannot be noted, the ACK is sent twice, and says the same.
        self._metrics.count("consumer.ack_sent")

        with suppress(ApiError):
            self._store.ack_taken_soon(ack)

        return True
