"""Loops that do one kind of work again and again, and what keeps them going
after an error of ours.

`Loop` takes step after step, as the operator's work asks for. `LoopTable`
keeps one loop for each object, as the agent has them for Hubs and Devices:
each decides itself when to turn, and `keep_running` begins it anew.

This module knows no work: no Kubernetes and no process. What counts as an
expected error, and what is counted of a step, is passed in.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Generic, NamedTuple, Protocol, TypeVar

import structlog

from cerebro.runtime.backoff import Backoff
from cerebro.runtime.clock import monotonic

log = logging.getLogger(__name__)

STEP_DEADLINE = 300.0
"""Seconds that one step may take; what it left undone is due in the next."""
_SHORTEST_WAIT = 0.05
"""Seconds between two steps at least, so that a step that is always due leaves
time for the others.
"""
_LOOK = 1.0
"""Seconds between two looks whether acting is allowed."""
_BEGIN_ANEW_AFTER = 1.0
"""Seconds after an error of ours until a loop of an object begins anew."""


async def wait_for_wake(wake: asyncio.Event, seconds: float) -> None:
    """Return when `wake` is set, at the latest after `seconds`. The event
    stays as it is.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await wake.wait()


class Loop:
    """Runs one kind of work without end. Errors, expected ones and ours, are
    waited out with a back-off.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], Awaitable[float]],
        *,
        allowed: Callable[[], bool],
        backoff: Backoff,
        expected: tuple[type[Exception], ...] = (),
        passed: Callable[[], None] = lambda: None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        """`step` does what is due and returns the seconds until it wants to be
        called again.

        `allowed` returns whether a step may begin: the Lease is held (E1) and
        the store is complete (E7). `expected` are errors that come from
        outside, such as those of the API server: they are logged in one line,
        every other one with its traceback. `passed` and `failed` are called
        after each step.
        """

        self.name = name
        self._step = step
        self._allowed = allowed
        self._backoff = backoff
        self._expected = (*expected, TimeoutError)
        self._passed = passed
        self._failed = failed
        self._turned_at = monotonic()
        self._wake = asyncio.Event()
        self._stopping = False
        self._running: asyncio.Task[float] | None = None
        """The step that is being taken."""

    def wake(self) -> None:
        """Take the next step now: something is due earlier than the last step
        returned.
        """
        self._wake.set()

    def interrupt(self) -> None:
        """Break off the step that is running: acting is not allowed any more."""
        if self._running is not None:
            self._running.cancel()

    def finish(self) -> None:
        """Begin no further step; `run` returns after the running one (E14)."""
        self._stopping = True
        self._wake.set()

    def trouble(self) -> str | None:
        """Return what is wrong if the loop does not turn, else None (E11).

        A loop that waits for the API server turns.
        """
        silent = monotonic() - self._turned_at

        return (
            f"has not turned for {silent:.0f} s"
            if silent > 2 * STEP_DEADLINE
            else None
        )

    async def run(self) -> None:
        """Run until `finish`."""
        delays = iter(self._backoff)
        while not self._stopping:
            self._turned_at = monotonic()
            self._wake.clear()

            if not self._allowed():
                await self._sleep(_LOOK)
                continue

            delay = await self._attempt()
            if delay is None:
                self._failed()
                delay = next(delays)
            else:
                self._passed()
                delays = iter(self._backoff)

            await self._sleep(delay)

    async def _sleep(self, delay: float) -> None:
        """Wait for a wake-up, or `delay` seconds, cut so that the loop is seen
        to turn.
        """
        if self._stopping:
            return

        await wait_for_wake(
            self._wake, min(max(delay, _SHORTEST_WAIT), STEP_DEADLINE)
        )

    async def _attempt(self) -> float | None:
        """Take one step in a task of its own, so that the step alone can be
        broken off.

        Returns the seconds until the next step, None if the step failed or was
        broken off.
        """

        self._running = asyncio.ensure_future(self._bounded())
        try:
            await asyncio.wait({self._running})
        except asyncio.CancelledError:
            self._running.cancel()
            await asyncio.wait({self._running}, timeout=_LOOK)

            raise

        step, self._running = self._running, None
        if step.cancelled():
            log.info(
                "%s: broken off, the Lease is not ours any more", self.name
            )

            return None

        error = step.exception()
        if error is None:
            return step.result()

        if isinstance(error, self._expected):
            reason = error or f"not done within {STEP_DEADLINE:g} s"
            log.warning("%s: tried again soon: %s", self.name, reason)
        else:
            log.error("%s: failed", self.name, exc_info=error)

        return None

    async def _bounded(self) -> float:
        async with asyncio.timeout(STEP_DEADLINE):
            return await self._step()


async def keep_running(
    name: str,
    run: Callable[[], Awaitable[None]],
    *,
    stopping: Callable[[], bool],
    failed: Callable[[], None] = lambda: None,
) -> None:
    """Run to the end. After an error of ours log it, call `failed` and, a
    second later, begin anew.

    An error in one loop thus ends no other. Returns when `run` returns, or
    after an error once `stopping()` is true. A cancellation goes through.
    """
    while not stopping():
        try:
            await run()
        except Exception:
            log.exception("the loop of %s failed and begins anew", name)
            failed()
            await asyncio.sleep(_BEGIN_ANEW_AFTER)
        else:
            return


class ObjectLoop(Protocol):
    """The loop of one object: `run` returns when the object went, or the
    process stops.
    """

    async def run(self) -> None:
        """Turn until the object went, or the process stops."""
        ...


Key = tuple[str, str]
"""Namespace and name of an object."""

LoopT = TypeVar("LoopT", bound=ObjectLoop)


class RunningLoop(NamedTuple, Generic[LoopT]):
    """A loop and the task that runs it."""

    loop: LoopT
    task: asyncio.Task[None]


class LoopTable(Generic[LoopT]):
    """The loops of one kind of object, at most one for each namespace and
    name.
    """

    def __init__(
        self,
        kind: str,
        *,
        logged_as: str,
        failed: Callable[[], None] = lambda: None,
        ended: Callable[[Key], None] = lambda _key: None,
    ) -> None:
        """`failed` is called after each error of ours in a loop; `ended` when
        the loop of an object ended. All that a loop logs has namespace and name
        of its object in the field `logged_as`.
        """

        self._kind = kind
        self._logged_as = logged_as
        self._failed = failed
        self._ended = ended
        self._running: dict[Key, RunningLoop[LoopT]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._make: Callable[[str, str], LoopT | None] = (
            lambda _namespace, _name: None
        )

        self._stopping: Callable[[], bool] = lambda: False

    def start(
        self,
        tasks: asyncio.TaskGroup,
        make: Callable[[str, str], LoopT | None],
        *,
        stopping: Callable[[], bool],
    ) -> None:
        """Let loops run from now on, in `tasks`; before this none is made.

        `make` returns a new loop of an object, None if no such object exists.
        """
        self._tasks = tasks
        self._make = make
        self._stopping = stopping

    def started(self) -> bool:
        """Return whether loops may run."""
        return self._tasks is not None

    def ensure(self, namespace: str, name: str) -> LoopT | None:
        """Return the loop of an object; a new one if the object exists and has
        none.
        """

        key = (namespace, name)
        if key in self._running:
            return self._running[key].loop

        if self._tasks is None or self._stopping():
            return None

        loop = self._make(namespace, name)
        if loop is None:
            return None

        task_name = f"{self._kind.lower()} {namespace}/{name}"
        # Whatever woke the loop, its lines have fields of its own only.
        task = self._tasks.create_task(
            self._run(loop, key),
            name=task_name,
            context=contextvars.Context(),
        )

        self._running[key] = RunningLoop(loop, task)

        return loop

    def get(self, namespace: str, name: str) -> LoopT | None:
        """Return the loop of an object, None if it has none."""
        running = self._running.get((namespace, name))

        return running.loop if running is not None else None

    def items(self) -> Iterator[tuple[Key, LoopT]]:
        """Yield each object's namespace and name with its loop."""
        for key, running in self._running.items():
            yield key, running.loop

    def tasks(self) -> set[asyncio.Task[None]]:
        """Return the tasks that run the loops."""
        return {running.task for running in self._running.values()}

    def __len__(self) -> int:
        return len(self._running)

    async def _run(self, loop: LoopT, key: Key) -> None:
        """Keep a loop running until its object goes.

        An object of that name that came meanwhile gets a loop of its own,
        which knows nothing of this one's. While the process stops, the loop
        stays in the table for what is being done by its help.
        """

        namespace, name = key
        description = f"{self._kind} {namespace}/{name}"
        structlog.contextvars.bind_contextvars(
            **{self._logged_as: f"{namespace}/{name}"}
        )

        await keep_running(
            description, loop.run, stopping=self._stopping, failed=self._failed
        )

        if self._stopping():
            return

        del self._running[key]
        self._ended(key)
        self.ensure(namespace, name)
