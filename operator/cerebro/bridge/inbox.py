"""The durable inbox: every order and revoke is on disk before it is acted on, and stays until it was
carried out (F1).

Intents of one client are carried out in the order of arrival, those of different clients side by side, and
none waits for a router (F2). What carries them out is given by the caller; it must be idempotent, for what
a dead process left is carried out again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

import structlog

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Authorize, Intent
from cerebro.bridge.store.base import Entry, InboxStore
from cerebro.domain.lifecycle import GrantWindows
from cerebro.kube.client.errors import KubeError
from cerebro.runtime.backoff import Backoff
from cerebro.runtime.clock import now_ms

R = TypeVar("R")

MAX_SIDE_BY_SIDE = 64
MAX_FAULTS = 5
ADOPT_AFTER = 30.0
"""Seconds after which an entry that nobody here knows belonged to a process that is gone."""

log = structlog.get_logger(__name__)


class Inbox(Generic[R]):
    """Entries on disk, and the lanes in which they are carried out."""

    def __init__(
        self, store: InboxStore, carry_out: Callable[[Entry], Awaitable[R]], windows: GrantWindows
    ) -> None:
        self._store = store
        self._windows = windows
        self._carry_out = carry_out
        self._lanes: dict[str, deque[Entry]] = {}
        self._waiting: dict[int, asyncio.Future[R]] = {}
        self._known: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(MAX_SIDE_BY_SIDE)
        self._closed = False
        self._unreadable: set[int] = set()

    @property
    def size(self) -> int:
        """How many entries are here and not carried out."""
        return len(self._known)

    async def submit(self, intent: Intent) -> asyncio.Future[R]:
        """Put an intent on disk and begin with it; the future tells what was written, or the ApiError.

        Raises ApiError 503 when it cannot be kept.
        """
        entry = await self._store.put(intent, now_ms())
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_retrieve)
        self._waiting[entry.seq] = future
        self.enqueue(entry)
        return future

    def enqueue(self, entry: Entry) -> None:
        """Begin with an entry that is on disk already."""
        if entry.seq in self._known or self._closed:
            return
        self._known.add(entry.seq)
        lane = self._lanes.get(entry.lane)
        if lane is not None:
            lane.append(entry)
            return
        self._lanes[entry.lane] = deque((entry,))
        task = asyncio.create_task(self._run_lane(entry.lane), name=f"inbox {entry.seq}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def adopt(self, *, all_of_it: bool = False) -> int:
        """Begin with what is on disk and nobody here knows; gives how many. At start: all of it."""
        before = now_ms() if all_of_it else now_ms() - int(ADOPT_AFTER * 1000)
        entries, unreadable = await self._store.left_over(before)
        if news_of_them := set(unreadable) - self._unreadable:
            log.error(
                "orders in the inbox cannot be read, and stay for a newer release", seqs=sorted(news_of_them)
            )
        self._unreadable = set(unreadable)
        news = [entry for entry in entries if entry.seq not in self._known]
        for entry in news:
            self.enqueue(entry)
        return len(news)

    async def close(self, grace: float) -> None:
        """Take nothing new, and give what is under way `grace` seconds; the rest stays on disk (E14)."""
        self._closed = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run_lane(self, name: str) -> None:
        lane = self._lanes[name]
        try:
            while lane:
                await self._finish(lane[0])
                lane.popleft()
        finally:
            del self._lanes[name]

    async def _finish(self, entry: Entry) -> None:
        """Carry out one entry, however long the API server is away."""
        faults, waits = 0, False
        for delay in Backoff(first=0.05, ceiling=5.0):
            try:
                async with self._slots:
                    result = await self._carry_out(entry)
            except ApiError as error:
                if error.status < 500 or error.code == "inbox_full":
                    self._settle(entry, error)
                    return
                log.warning("an order is tried again", seq=entry.seq, error=str(error))
                self._tell(entry, error)
            except KubeError as error:
                say = log.debug if waits else log.warning
                say("an order waits for the API server", seq=entry.seq, error=str(error))
                waits = True
            except Exception as error:
                faults += 1
                log.exception("an order could not be carried out", seq=entry.seq, tries=faults)
                if faults >= MAX_FAULTS:
                    self._settle(entry, error)
                    return
            else:
                self._settle(entry, result)
                return
            if _too_late(entry, now_ms(), self._windows):
                self._settle(entry, ApiError(503, "too_late", "the API server was away for too long"))
                return
            await asyncio.sleep(delay)

    def _settle(self, entry: Entry, result: R | Exception) -> None:
        """Take an entry off the disk and tell who waits for it; one that stays there is carried out again."""
        with suppress(ApiError):
            self._store.take_out_soon(entry.seq)
        self._known.discard(entry.seq)
        self._tell(entry, result)

    def _tell(self, entry: Entry, result: R | Exception) -> None:
        """Tell who waits for an entry what became of it by now."""
        future = self._waiting.pop(entry.seq, None)
        if future is None:
            if isinstance(result, Exception):
                log.warning("an order that nobody waits for failed", seq=entry.seq, error=str(result))
        elif not future.done():
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)


def _too_late(entry: Entry, now: int, windows: GrantWindows) -> bool:
    """Say whether an order is older than the time within which it would have to be granted (A5)."""
    intent = entry.intent
    if not isinstance(intent, Authorize):
        return False
    return now - entry.received_at > windows.within(intent.type).total_seconds() * 1000


def _retrieve(future: asyncio.Future[R]) -> None:
    """Mark an exception as seen: the caller may have gone."""
    if not future.cancelled():
        future.exception()
