"""An event loop's time that stands still but where a test has it pass, so that a machine that holds processes up
changes nothing of what is late and what is not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

_TURNS = 20


class Clock:
    """What the loop has for its time."""

    def __init__(self, now: float) -> None:
        self.now = now

    def time(self) -> float:
        """As the loop's."""
        return self.now

    async def passes(self, seconds: float) -> None:
        """Have time pass, and whatever is due by then happen."""
        self.now += seconds
        for _ in range(_TURNS):
            await asyncio.sleep(0)


@contextmanager
def standing_clock() -> Iterator[Clock]:
    """Have the running loop's time stand still."""
    loop = asyncio.get_running_loop()
    clock = Clock(loop.time())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "time", clock.time)
        yield clock


async def until(condition: Callable[[], bool]) -> None:
    """Look in each turn of the loop, for at most a minute of everybody's time."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "did not come about"
        await asyncio.sleep(0)
