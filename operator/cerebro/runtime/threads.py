"""Runs a call that blocks in a thread, with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TypeVar

_DEADLINE = 120.0
"""Seconds for one call: ten thousand peers on a slow node."""

# A pool of our own: look-ups by slow name servers may hold up every thread of
# asyncio's.
_THREADS = ThreadPoolExecutor(8, thread_name_prefix="hub")

Answer = TypeVar("Answer")


async def in_thread(
    call: Callable[[], Answer], threads: Executor = _THREADS
) -> Answer:
    """Run a blocking call beside the event loop and return its answer.

    Raises what `call` raises, and TimeoutError if it does not return within
    120 s. The thread then goes on until the call returns by itself: nothing
    can end it.
    """
    async with asyncio.timeout(_DEADLINE):
        return await asyncio.get_running_loop().run_in_executor(threads, call)
