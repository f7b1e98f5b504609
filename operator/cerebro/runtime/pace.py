"""Long work in steps, between which others run: nothing holds the event loop
for long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")

_MOST_AT_ONCE = 0.005
"""Seconds of work after which others run. A step is not interrupted, so steps
are to be short.
"""


class Pace:
    """Lets others run where work would go on for long.

    What is awaited is often there already, and gives no turn away: rows of a
    reply in a buffer, events of a list.
    """

    def __init__(self) -> None:
        self._began = perf_counter()

    async def breathe(self) -> None:
        """Let others run if the last time is more than 5 ms ago."""
        if perf_counter() - self._began > _MOST_AT_ONCE:
            await asyncio.sleep(0)
            self._began = perf_counter()


async def exhaust(steps: Iterable[object]) -> None:
    """Take all steps of some work, and let others run in between.

    Work that takes less than 5 ms is done at once. Raises what a step raises;
    a cancellation ends the work between two steps.
    """
    pace = Pace()

    for _ in steps:
        await pace.breathe()


async def gather(steps: Iterable[T]) -> list[T]:
    """Return what some work yields, in its order, and let others run in
    between.

    Raises what the work raises; then nothing is returned.
    """
    results: list[T] = []

    def taken() -> Iterator[None]:
        for result in steps:
            results.append(result)
            yield

    await exhaust(taken())

    return results
