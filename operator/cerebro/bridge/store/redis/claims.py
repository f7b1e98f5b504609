"""Which entries of the inbox are this bridge's: each entry has one owner, a
bridge that gives signs of life.

A bridge that Redis has not heard of for LEASE_MS loses its entries to others.
It stops half that time before by its own clock, so that what it has under way
is over by then, and it goes on only after Redis told it which entries are
still its own.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterable

import structlog

from cerebro.bridge.errors import ApiError
from cerebro.bridge.store.redis.engine import Command, Engine, Step
from cerebro.bridge.store.redis.scripts import (
    LEASE_MS,
    RECLAIM,
    RENEW,
    TAKE_OVER,
)

RENEW_EVERY = 3.0
"""Seconds between two signs of life."""

HOLDS_FOR = LEASE_MS / 1000 / 2
"""Seconds after a sign of life for which nothing needs to be looked up."""

_AT_ONCE = 500
"""Entries that a step takes over or claims once more."""

log = structlog.get_logger(__name__)


class Claims:
    """The entries that this bridge has taken, or taken over, and not finished
    yet.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.owner = uuid.uuid4().hex
        self._values: dict[str, str] = {}
        self._held_until = 0.0
        self._since = 0
        self._renewing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Give signs of life from now on.

        Raises ApiError 503 `store_unavailable` if the first one fails.
        """
        await self._renew()
        self._task = asyncio.create_task(self._run(), name="store lease")

    async def stop(self) -> None:
        """Let others have what is not finished, at once."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

        self._held_until = 0.0
        self._values.clear()
        await self._engine.write(("ZADD", "bridges", 0, self.owner))

    def add(self, number: str, value: str) -> None:
        """Note an entry that is this bridge's."""
        self._values[number] = value

    def finish(self, number: str, *first: Step) -> None:
        """Remove an entry that was carried out, in a moment, and do some steps
        before.

        Raises ApiError 503 if too much is waiting.
        """
        self._values.pop(number, None)
        self._engine.post(*first, *self._removal(number))

    async def holds(self, number: str) -> bool:
        """Return whether an entry is still this bridge's.

        Raises ApiError 503 `store_unavailable` if only Redis knows and does
        not answer.
        """
        if time.monotonic() >= self._held_until:
            await self._renew()

        return number in self._values

    async def take_over(self) -> None:
        """Become the owner of what bridges left behind that are gone."""
        taken = _AT_ONCE
        while taken >= _AT_ONCE:
            taken = await self._engine.run(TAKE_OVER, self.owner, _AT_ONCE)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY)

            try:
                await self._renew()
            except ApiError:
                continue  # the engine has logged why
            except Exception:
                log.exception("a sign of life could not be given")

    async def _renew(self) -> None:
        """Give a sign of life; if it came late, or Redis was started anew, see
        what is still this bridge's.
        """
        async with self._renewing:
            sent_at = time.monotonic()
            in_time = await self._engine.run(RENEW, self.owner)
            since = self._engine.since
            forgetful = since != self._since
            is_late = sent_at >= self._held_until

            if forgetful or is_late or not in_time:
                await self._reclaim(put_back=forgetful)

            self._since = since
            self._held_until = sent_at + HOLDS_FOR

    async def _reclaim(self, *, put_back: bool) -> None:
        """Keep only those entries that are this bridge's by what Redis says.

        One that is missing was finished by another bridge; if Redis was
        started anew it may also be forgotten, and is put back: better twice
        than never.
        """
        values = dict(self._values)
        ours: set[str] = set()
        for part in _parts(list(values.items())):
            arguments = [text for entry in part for text in entry]
            ours |= set(
                await self._engine.run(
                    RECLAIM, self.owner, int(put_back), *arguments
                )
            )

        # What was carried out meanwhile may have been put back.
        for number in ours - self._values.keys():
            self._engine.post(*self._removal(number))

        lost = [number for number in values if number not in ours]
        for number in lost:
            self._values.pop(number, None)

        if lost:
            log.warning("another bridge took orders over", count=len(lost))

    def _removal(self, number: str) -> tuple[Command, ...]:
        return (
            ("ZREM", "inbox", number),
            ("HDEL", "entries", number),
            ("ZREM", f"owned:{self.owner}", number),
        )


def _parts(
    entries: list[tuple[str, str]],
) -> Iterable[list[tuple[str, str]]]:
    for start in range(0, len(entries), _AT_ONCE):
        yield entries[start : start + _AT_ONCE]
