"""The operator's loops: step after step, each with a deadline, while acting is allowed. Knows no work."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from cerebro.kube.client.errors import KubeError
from cerebro.operator import metrics
from cerebro.runtime.backoff import Backoff

log = logging.getLogger(__name__)

STEP_DEADLINE = 300.0
"""Seconds that one step may take; what it left undone is due in the next."""
_LEAST = 0.05
_LOOK = 1.0
"""Seconds between two looks whether acting is allowed."""


class Loop:
    """Runs one kind of work without end; errors of the API server and of the work are waited out."""

    def __init__(
        self,
        name: str,
        step: Callable[[], Awaitable[float]],
        *,
        allowed: Callable[[], bool],
        backoff: Backoff,
    ) -> None:
        """`step` does what is due and gives the seconds until it wants to be called again.

        `allowed` says whether it may begin: the Lease is held (E1) and the store is complete (E7).
        """
        self.name = name
        self._turned = time.monotonic()
        self._step = step
        self._allowed = allowed
        self._backoff = backoff
        self._wake = asyncio.Event()
        self._stopping = False
        self._running: asyncio.Task[float] | None = None

    def wake(self) -> None:
        """Take the next step now: something is due earlier than the last one said."""
        self._wake.set()

    def interrupt(self) -> None:
        """Break off the step that is running: acting is not allowed any more."""
        if self._running is not None:
            self._running.cancel()

    def finish(self) -> None:
        """Begin no further step; `run` returns after the one in hand (E14)."""
        self._stopping = True
        self._wake.set()

    def trouble(self) -> str | None:
        """Say what is wrong when the loop does not turn (E11); one that waits for the API server turns."""
        silent = time.monotonic() - self._turned
        return f"has not turned for {silent:.0f} s" if silent > 2 * STEP_DEADLINE else None

    async def run(self) -> None:
        """Run until `finish`."""
        delays = iter(self._backoff)
        while not self._stopping:
            self._turned = time.monotonic()
            self._wake.clear()
            if not self._allowed():
                await self._sleep(_LOOK)
                continue
            delay = await self._attempt()
            if delay is None:
                metrics.ERRORS.labels(self.name).inc()
                delay = next(delays)
            else:
                metrics.LAST_PASS.labels(self.name).set_to_current_time()
                delays = iter(self._backoff)
            await self._sleep(delay)

    async def _sleep(self, delay: float) -> None:
        """Wait for a wake-up, or `delay` seconds, cut so that the loop is seen to turn."""
        if self._stopping:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(min(max(delay, _LEAST), STEP_DEADLINE)):
                await self._wake.wait()

    async def _attempt(self) -> float | None:
        """Take one step in a task of its own, so that it alone can be broken off; None: it failed."""
        self._running = asyncio.ensure_future(self._bounded())
        try:
            await asyncio.wait({self._running})
        except asyncio.CancelledError:
            self._running.cancel()
            await asyncio.wait({self._running}, timeout=_LOOK)
            raise
        step, self._running = self._running, None
        if step.cancelled():
            log.info("%s: broken off, the Lease is not ours any more", self.name)
            return None
        error = step.exception()
        if error is None:
            return step.result()
        if isinstance(error, KubeError | TimeoutError):
            log.warning(
                "%s: tried again soon: %s", self.name, error or f"not done within {STEP_DEADLINE:g} s"
            )
        else:
            log.error("%s: failed", self.name, exc_info=error)
        return None

    async def _bounded(self) -> float:
        async with asyncio.timeout(STEP_DEADLINE):
            return await self._step()
