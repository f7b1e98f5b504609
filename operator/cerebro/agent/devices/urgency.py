"""Work at a router that is given up when somebody comes to wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def unless_urgent(
    work: Coroutine[Any, Any, T], urgent: Callable[[], bool], *, every: float
) -> T | None:
    """Return what some work comes to; None if it was given up, as `urgent`
    returned that somebody waits.

    `urgent` is asked every so many seconds while the work runs. Raises what
    the work raises.
    """
    task = asyncio.ensure_future(work)

    try:
        while not task.done():
            await asyncio.wait({task}, timeout=every)

            if not task.done() and urgent():
                return None

        return task.result()
    finally:
        task.cancel()
