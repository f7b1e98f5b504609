"""The durable inbox: every order is on disk before anything is done about it,
and stays until it was carried out (F1).

Intents of one client are carried out in the order of arrival; those of
different clients side by side, and none waits for a router (F2). What waits for
the order check leaves its lane: the rest of its client is not kept waiting, and
a later word counts all the same (A4). The caller hands in what carries them
out. It must be idempotent: what a process that died left behind is carried out
again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import structlog

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Authorize, EnsureUser, Intent
from cerebro.bridge.order_check.check import FAILED, UNAVAILABLE
from cerebro.bridge.orders.slots import Slots
from cerebro.bridge.store.base import Entry, InboxStore
from cerebro.domain.lifecycle import GrantWindows
from cerebro.kube.client.errors import KubeError
from cerebro.runtime.backoff import Backoff
from cerebro.runtime.clock import now_ms

R = TypeVar("R")

MAX_FAULTS = 5
"""Times that an entry is tried whose work fails by a fault of ours; then it is
given up.
"""
ADOPT_AFTER = 30.0
"""Seconds after which an entry that this process does not know belonged to a
process that is gone.
"""

log = structlog.get_logger(__name__)


_BESIDE_THE_LANE = frozenset({UNAVAILABLE, FAILED})
"""Errors of the order check: what the rest of the client wants needs not wait
for that.
"""


@dataclass
class _Trouble:
    """What was in the way of an entry by now."""

    faults: int = 0
    """Faults of ours."""

    is_logged: bool = False
    """Whether a line of the log tells of it."""

    is_apart: bool = False
    """Whether it waits for the order check."""


class Inbox(Generic[R]):
    """Entries on disk, and the lanes in which they are carried out."""

    def __init__(
        self,
        store: InboxStore,
        carry_out: Callable[[Entry], Awaitable[R]],
        windows: GrantWindows,
        event_settled: Callable[[Entry, R | Exception], None] | None = None,
        slots: Slots | None = None,
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
        self._slots = slots or Slots()
        self._newest_apart: dict[str, int] = {}
        self._closed = False
        self._unreadable: set[int] = set()

    @property
    def size(self) -> int:
        """How many entries this process knows that are not carried out."""
        return len(self._known)

    def has_nothing_but(self, order: Authorize, lane: str) -> bool:
        """Return whether no entry is in hand in a lane but such as ask for the
        same as an order.

        That order need not wait for them: they are not answered differently.
        """
        entries = self._lanes.get(lane, ())

        return all(
            isinstance(entry.intent, Authorize)
            and entry.intent.asks_the_same(order)
            for entry in entries
        )

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

        self._start(self._run_lane(entry.lane), f"inbox {entry.seq}")

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

    async def adopt_all(self, stop: asyncio.Event) -> None:
        """Start all that the process before left behind, before anything new
        comes in behind it.

        While the store is away this waits for it, until `stop` is set: a Redis
        that is started anew just now is no reason to end.
        """
        for delay in Backoff(first=0.2, ceiling=5.0):
            try:
                adopted = await self.adopt(all_of_it=True)
            except ApiError as error:
                log.warning(
                    "orders left by the process before have to wait",
                    error=str(error),
                )
            else:
                if adopted:
                    log.info(
                        "orders left by the process before are carried out",
                        count=adopted,
                    )

                return

            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await stop.wait()

            if stop.is_set():
                return

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

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_lane(self, name: str) -> None:
        """Carry out the entries of a lane one after the other, until it is
        empty.
        """
        lane = self._lanes[name]

        try:
            while lane:
                entry = lane[0]
                if not await self._finish(entry):
                    self._start(
                        self._finish_apart(entry), f"apart {entry.seq}"
                    )

                lane.popleft()
        finally:
            del self._lanes[name]

    async def _finish(self, entry: Entry) -> bool:
        """Carry out an entry, however long the API server is away; return
        False if it is to wait for the order check beside its lane.
        """
        trouble = _Trouble()
        for delay in Backoff(first=0.05, ceiling=5.0):
            is_over = await self._try(entry, trouble)
            if is_over:
                return True

            if trouble.is_apart:
                return False

            await asyncio.sleep(delay)

        raise AssertionError("back-off has no end")

    async def _finish_apart(self, entry: Entry) -> None:
        """Carry out an entry that waits for the order check, beside its lane.

        Of a caller that asks for the same order again and again the newest
        entry counts: a revoke may have come in between. An event is owed an
        ACK, so each is kept.
        """
        place = _place_apart(entry)
        if place is not None:
            newest = self._newest_apart.get(place, 0)
            self._newest_apart[place] = max(newest, entry.seq)

        trouble = _Trouble(is_logged=True, is_apart=True)
        for delay in Backoff(first=0.05, ceiling=5.0):
            await asyncio.sleep(delay)
            if place and self._newest_apart.get(place) != entry.seq:
                self._drop(entry)
                return

            if await self._try(entry, trouble):
                break

        if place and self._newest_apart.get(place) == entry.seq:
            del self._newest_apart[place]

    async def _try(self, entry: Entry, trouble: _Trouble) -> bool:
        """Try to carry out an entry; return whether it is over. All that is
        logged meanwhile has the trace of its request.
        """
        trace_id = entry.intent.trace_id
        with structlog.contextvars.bound_contextvars(traceId=trace_id or None):
            return await self._attempt(entry, trouble)

    async def _attempt(self, entry: Entry, trouble: _Trouble) -> bool:
        try:
            async with self._slots.taken():
                if not await self._store.still_holds(entry.seq):
                    self._let_go(entry)
                    return True

                result = await self._carry_out(entry)
        except ApiError as error:
            if error.status < 500 or error.code == "inbox_full":
                self._settle(entry, error)
                return True

            self._tell_trouble(entry, error, trouble)
        except KubeError as error:
            write = log.debug if trouble.is_logged else log.warning
            write(
                "an order waits for the API server",
                seq=entry.seq,
                error=str(error),
            )
            trouble.is_logged = True
        except Exception as error:
            trouble.faults += 1
            log.exception(
                "an order could not be carried out",
                seq=entry.seq,
                tries=trouble.faults,
            )

            if trouble.faults >= MAX_FAULTS:
                self._settle(entry, error)
                return True
        else:
            self._settle(entry, result)
            return True

        if not _too_late(entry, now_ms(), self._windows):
            return False

        self._settle(
            entry,
            ApiError(503, "too_late", "what it needs was away for too long"),
        )

        return True

    def _tell_trouble(
        self, entry: Entry, error: ApiError, trouble: _Trouble
    ) -> None:
        """Tell who waits for an entry why it is tried again."""
        trouble.is_apart = trouble.is_apart or error.code in _BESIDE_THE_LANE
        if not trouble.is_logged:
            log.warning(
                "an order is tried again", seq=entry.seq, error=str(error)
            )

        trouble.is_logged = True
        if entry.seq in self._waiting:
            self._tell(entry, error)

    def _drop(self, entry: Entry) -> None:
        """Take an entry off the disk in whose place a newer one waits."""
        with suppress(ApiError):
            self._store.take_out_soon(entry.seq)

        self._known.discard(entry.seq)

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
    if isinstance(intent, EnsureUser):
        intent = intent.as_order

    if not isinstance(intent, Authorize):
        return False

    window_ms = windows.within(intent.type).total_seconds() * 1000

    return now - entry.received_at > window_ms


def _place_apart(entry: Entry) -> str | None:
    """Return what entries have in common of which only the newest counts; None
    of one that counts in any case.
    """
    intent = entry.intent
    if not isinstance(intent, Authorize) or intent.event_id is not None:
        return None

    parts = (
        intent.type,
        intent.order_id,
        intent.mik_id,
        intent.token,
        intent.client.key,
    )

    return "\n".join(part or "" for part in parts)


def _retrieve(future: asyncio.Future[R]) -> None:
    """Mark an exception as seen: the caller may have gone."""
    if not future.cancelled():
        future.exception()
