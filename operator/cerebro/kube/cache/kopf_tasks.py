"""Keeps kopf within bounds in an event loop and a process that are not its
own.

kopf takes the process's signals, and kopf.operator() would cancel every task
of the event loop at its end. Here it gives the signals back, and only tasks of
its own are cancelled.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kopf

_HOMES = (
    str(Path(kopf.__file__).parent),
    str(Path(__file__).with_name("kopf_streams.py")),
)
"""Whose coroutines are kopf's: its own, and those that read its streams."""
_ROUNDS = 10
"""Times that what goes on is cancelled anew."""
_ROUND = 1.0
"""Seconds between two of them."""

log = logging.getLogger(__name__)


@contextmanager
def signals_kept() -> Iterator[None]:
    """Give SIGTERM and SIGINT back, at the end of the context, to the handlers
    that they had before.

    kopf takes both, and to go down is not its business (E14).
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    before = {
        number: signal.getsignal(number)
        for number in (signal.SIGTERM, signal.SIGINT)
    }

    yield

    for number, handler in before.items():
        asyncio.get_running_loop().remove_signal_handler(number)
        signal.signal(number, handler)


def running() -> set[asyncio.Task[Any]]:
    """Return the tasks of this event loop that run kopf's own coroutines."""
    return {task for task in asyncio.all_tasks() if _of_kopf(task)}


async def stop(roots: Collection[asyncio.Task[Any]]) -> None:
    """Stop all of kopf: its root tasks, then the watchers that a failed root
    leaves behind.

    A watcher swallows a cancellation that meets the end of its pause-waiter.
    So pause-waiters are left to their watchers, and whatever goes on is
    cancelled once more.
    """
    for task in roots:
        task.cancel()

    await asyncio.wait(roots, timeout=_ROUND)

    for _ in range(_ROUNDS):
        remaining = running()
        if not remaining:
            return

        for task in remaining:
            if not task.get_name().startswith("pause-waiter"):
                task.cancel()

        await asyncio.wait(remaining, timeout=_ROUND)

    for task in running():
        log.error("a task of kopf does not end: %s", task.get_name())
        task.cancel()


def _of_kopf(task: asyncio.Task[Any]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and code.co_filename.startswith(_HOMES)
