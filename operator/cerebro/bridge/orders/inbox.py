"""The durable inbox: every order is on disk before anything is done about it,
and stays until it was carried out (F1).

Intents of one client are carried out in the order of arrival; those of
different clients side by side, and none waits for a router (F2). The caller
hands in what carries them out. It must be idempotent: what a process that died
left behind is carried out again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import datetime
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
"""Times that an entry is tried whose work fails by a fault of ours; then it is
given up.
"""
ADOPT_AFTER = 30.0
"""Seconds after which an entry that this process does not know belonged to a
process that is gone.
"""

log = structlog.get_logger(__name__)


class Inbox(Generic[R]):
    """Entries on disk, and the lanes in which they are carried out."""

    def __init__(
        self,
        store: InboxStore,
        carry_out: Callable[[Entry], Awaitable[R]],
        windows: GrantWindows,
        event_settled: Callable[[Entry, R | Exception], None] | None = None,
    ) -> None:
        """`carry_out` raises KubeError for what should be tried again,
        ApiError below 500 for a final refusal.

        `event_settled` is called instead of taking out an entry that an event
        of the backend brought: it takes the entry out together with noting
        what became of the event.
        """

        self._store = store
        self._windows = windows
        self._carry_out = carry_out
        self._event_settled = event_settled
        self._lanes: dict[str, deque[Entry]] = {}
        self._waiting: dict[int, asyncio.Future[R]] = {}
        self._known: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(MAX_SIDE_BY_SIDE)
        self._closed = False
        self._unreadable: set[int] = set()

    @property
    def size(self) -> int:
        """How many entries this process knows that are not carried out."""
        return len(self._known)

    def paid_before(self, before: datetime) -> Iterator[str | None]:
        """Yield the `mikId` of each paid order that came before a time and is
        not carried out.

        Whatever is in the inbox is soon carried out, unless the API server is
        away; so there is little to look at.
        """
        limit = before.timestamp() * 1000

        for lane in self._lanes.values():
            for entry in lane:
                intent = entry.intent

                if _is_paid(intent) and entry.received_at < limit:
                    yield intent.mik_id

    async def submit(self, intent: Intent) -> asyncio.Future[R]:
        """Put an intent on disk and start it; the future has the result of
        `carry_out`, or its ApiError.

        Raises ApiError 503 if the intent cannot be kept.
        """

        return self.start(await self._store.put(intent, now_ms()))

    def start(self, entry: Entry) -> asyncio.Future[R]:
        """Start an entry that was just put on disk; the future has the result
        of `carry_out`, or its ApiError.
        """
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_retrieve)
        self._waiting[entry.seq] = future
        self.enqueue(entry)

        return future

    def enqueue(self, entry: Entry) -> None:
        """Start an entry that is on disk already; it waits for the entries
        before it in its lane.
        """

        if entry.seq in self._known or self._closed:
            return

        self._known.add(entry.seq)
        lane = self._lanes.get(entry.lane)

        if lane is not None:
            lane.append(entry)
            return

        # The first entry of a lane starts it.
        self._lanes[entry.lane] = deque((entry,))

        task = asyncio.create_task(
            self._run_lane(entry.lane), name=f"inbox {entry.seq}"
        )

        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def adopt(self, *, all_of_it: bool = False) -> int:
        """Start every stored entry that this process does not work on yet;
        return how many.

        At start (`all_of_it`) all of them; later only those that are older
        than ADOPT_AFTER: a bridge that shares the store may be at work on the
        others (E15). Raises ApiError 503 if the store cannot be read.
        """

        before = now_ms() if all_of_it else now_ms() - int(ADOPT_AFTER * 1000)
        left_over = await self._store.left_over(before)

        # Each unreadable entry is logged once.
        unreadable = set(left_over.unreadable)
        new_unreadable = unreadable - self._unreadable

        if new_unreadable:
            log.error(
                "orders in the inbox cannot be read, and stay for a newer release",
                seqs=sorted(new_unreadable),
            )

        self._unreadable = unreadable

        unknown = [
            entry
            for entry in left_over.entries
            if entry.seq not in self._known
        ]

        for entry in unknown:
            self.enqueue(entry)

        return len(unknown)

    async def close(self, grace: float) -> None:
        """Take nothing new, and give what is under way `grace` seconds; the
        rest stays on disk (E14).
        """
        self._closed = True

        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)

        for task in list(self._tasks):
            task.cancel()

        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run_lane(self, name: str) -> None:
        """Carry out the entries of a lane one after the other, until it is
        empty.
        """
        lane = self._lanes[name]

        try:
            while lane:
                await self._finish(lane[0])
                lane.popleft()
        finally:
            del self._lanes[name]

    async def _finish(self, entry: Entry) -> None:
        """Carry out an entry, however long the API server is away."""
        faults = 0
        api_server_away = False

        for delay in Backoff(first=0.05, ceiling=5.0):
            try:
                async with self._slots:
                    if not await self._store.still_holds(entry.seq):
                        self._let_go(entry)
                        return

                    result = await self._carry_out(entry)
            except ApiError as error:
                if error.status < 500 or error.code == "inbox_full":
                    self._settle(entry, error)
                    return

                # Who waits is told; the entry itself is tried again.
                log.warning(
                    "an order is tried again", seq=entry.seq, error=str(error)
                )

                self._tell(entry, error)
            except KubeError as error:
                write = log.debug if api_server_away else log.warning

                write(
                    "an order waits for the API server",
                    seq=entry.seq,
                    error=str(error),
                )

                api_server_away = True
            except Exception as error:
                faults += 1

                log.exception(
                    "an order could not be carried out",
                    seq=entry.seq,
                    tries=faults,
                )

                if faults >= MAX_FAULTS:
                    self._settle(entry, error)
                    return
            else:
                self._settle(entry, result)
                return

            if _too_late(entry, now_ms(), self._windows):
                self._settle(
                    entry,
                    ApiError(
                        503, "too_late", "the API server was away for too long"
                    ),
                )

                return

            await asyncio.sleep(delay)

    def _settle(self, entry: Entry, result: R | Exception) -> None:
        """Take an entry off the disk and tell who waits for it.

        If the store cannot take it out, it stays there and is carried out
        again.
        """
        is_event = entry.intent.event_id is not None

        with suppress(ApiError):
            if is_event and self._event_settled is not None:
                self._event_settled(entry, result)
            else:
                self._store.take_out_soon(entry.seq)

        self._known.discard(entry.seq)
        self._tell(entry, result)

    def _let_go(self, entry: Entry) -> None:
        """Leave an entry to the bridge that took it over."""
        self._known.discard(entry.seq)
        self._tell(
            entry,
            ApiError(
                503,
                "taken_over",
                "another bridge carries the order out: ask for it once more",
            ),
        )

    def _tell(self, entry: Entry, result: R | Exception) -> None:
        """Tell who waits for an entry what became of it by now."""
        future = self._waiting.pop(entry.seq, None)

        if future is None:
            is_event = entry.intent.event_id is not None

            if isinstance(result, Exception) and not is_event:
                log.warning(
                    "an order that nobody waits for failed",
                    seq=entry.seq,
                    error=str(result),
                )

            return

        if future.done():
            return

        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)


def _is_paid(intent: Intent) -> bool:
    """Return whether an intent is an order that was paid for."""
    return isinstance(intent, Authorize) and intent.type == "Paid"


def _too_late(entry: Entry, now: int, windows: GrantWindows) -> bool:
    """Return whether an order is older than the time within which it would
    have to be granted (A5).
    """
    intent = entry.intent

    if not isinstance(intent, Authorize):
        return False

    window_ms = windows.within(intent.type).total_seconds() * 1000

    return now - entry.received_at > window_ms


def _retrieve(future: asyncio.Future[R]) -> None:
    """Mark an exception as seen: the caller may have gone."""
    if not future.cancelled():
        future.exception()
