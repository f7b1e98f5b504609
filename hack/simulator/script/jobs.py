"""Scripts that run: a slice at a time, so that nothing else has to wait.

A job runs at once as far as a slice goes. With an event loop the rest follows
in further slices, without one at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from simulator.clock import Clock
from simulator.script.evaluate import Steps
from simulator.script.values import ScriptError

SLICE = 0.01
"""Seconds that a job may hold the event loop."""

MAX_STEPS = 1_000_000
"""Steps of a script behind which it is stopped: it would not end."""

MAX_JOBS = 64

TOO_LONG = f"stopped by the simulator after {MAX_STEPS} steps: endless loop?"


class Job:
    """One running script. `error` is what stopped it, None when nothing did;
    `output` is what it put.
    """

    def __init__(
        self, name: str, steps: Steps[None], output: list[str]
    ) -> None:
        self.name = name
        self.output = output
        self.error: str | None = None
        self.done = False
        self.wake_at = 0.0
        self.ended: Callable[[Job], None] = lambda _job: None
        self._steps = steps
        self._count = 0

    @property
    def steps(self) -> int:
        """How many steps it has run."""
        return self._count

    def end(self, error: str | None = None) -> None:
        """End, by itself or by an error."""
        if not self.done:
            self.done = True
            self.error = error
            self.ended(self)

    def cancel(self) -> None:
        """Stop for good; nobody is told."""
        self.done = True

    def step(self) -> float:
        """Run one step; return the seconds to wait before the next."""
        self._count += 1
        if self._count > MAX_STEPS:
            self.end(TOO_LONG)
            return 0.0
        try:
            return next(self._steps)
        except StopIteration:
            self.end()
        except ScriptError as error:
            self.end(str(error))
        except RecursionError:
            self.end("stopped by the simulator: nested too deep")
        return 0.0


class Jobs:
    """The scripts that run on one router."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._jobs: list[Job] = []

    def start(self, job: Job) -> None:
        """Run a job as far as it goes now."""
        if len(self._jobs) >= MAX_JOBS:
            job.end(f"more than {MAX_JOBS} scripts at once")
            return
        self._jobs.append(job)
        self._drive(job)

    def wake(self) -> None:
        """Go on with those whose delay is over."""
        now = self._clock.now()
        for job in list(self._jobs):
            if 0 < job.wake_at <= now:
                job.wake_at = 0.0
                self._drive(job)

    @property
    def busy(self) -> bool:
        """Whether a job has something to do now."""
        return any(job.wake_at == 0.0 for job in self._jobs)

    def clear(self) -> None:
        """Stop all, as a reboot does."""
        for job in self._jobs:
            job.cancel()
        self._jobs.clear()

    def _drive(self, job: Job) -> None:
        end = time.monotonic() + SLICE
        while not job.done:
            wait = job.step()
            if wait > 0:
                job.wake_at = self._clock.now() + wait
                return
            if time.monotonic() > end and _later(lambda: self._drive(job)):
                return
        if job in self._jobs:
            self._jobs.remove(job)


def _later(work: Callable[[], None]) -> bool:
    """Have the event loop do it next; return whether there is one."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return False
    loop.call_soon(work)
    return True
