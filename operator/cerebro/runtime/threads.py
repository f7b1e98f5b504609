"""Runs a call that blocks in a thread, with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TypeVar

_DEADLINE = 120.0  # seconds for one call: ten thousand peers on a slow node


_THREADS = ThreadPoolExecutor(8, thread_name_prefix="hub")  # not asyncio's, which name servers may hold up


Answer = TypeVar("Answer")


async def in_thread(call: Callable[[], Answer], threads: Executor = _THREADS) -> Answer:
    """Run a blocking call beside the event loop. Raises TimeoutError when it does not come back."""
    async with asyncio.timeout(_DEADLINE):
        return await asyncio.get_running_loop().run_in_executor(threads, call)
