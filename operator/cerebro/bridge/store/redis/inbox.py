"""The inbox on Redis: a sorted set of numbers, a hash of entries, and a sorted
set for each bridge of what is its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Intent
from cerebro.bridge.store.base import (
    MAX_INBOX,
    Backlog,
    Entry,
    LeftOver,
    TokenLocation,
)
from cerebro.bridge.store.redis.claims import Claims
from cerebro.bridge.store.redis.engine import Engine
from cerebro.bridge.store.redis.scripts import PUT
from cerebro.bridge.store.redis.values import entry_value, read_intent

_AT_ONCE = 500
"""Entries that are read at once."""


class Inbox:
    """The inbox of all bridges on one Redis."""

    def __init__(self, engine: Engine, claims: Claims) -> None:
        self._engine = engine
        self._claims = claims

    async def put(
        self, intent: Intent, located: TokenLocation | None, now: int
    ) -> Entry:
        """Put an intent into the inbox; `located` is where its token was seen
        last.

        Raises ApiError 503 `inbox_full`, `store_unavailable`.
        """
        value = entry_value(intent, located, now)
        number = await self._engine.run(
            PUT, self._claims.owner, MAX_INBOX, value
        )
        if number is None:
            raise inbox_full()

        return self.taken(number, value, intent)

    def taken(self, number: str, value: str, intent: Intent) -> Entry:
        """Return an entry that a script has put into the inbox."""
        self._claims.add(number, value)
        received_at, lane, _ = json.loads(value)

        return Entry(int(number), lane, received_at, intent)

    async def left_over(self, before: int) -> LeftOver:
        """Return this bridge's entries received at `before` or earlier, and
        those of bridges that are gone, which are this bridge's from now on.
        """
        await self._claims.take_over()

        owned = ("ZRANGE", f"owned:{self._claims.owner}", 0, -1)
        ((*numbers,),) = await self._engine.read(owned)
        entries: list[Entry] = []
        unreadable: list[int] = []
        for part in _parts(numbers):
            (values,) = await self._engine.read(("HMGET", "entries", *part))
            for number, value in zip(part, values, strict=True):
                if value is None:
                    continue  # taken out meanwhile

                received_at, lane, text = json.loads(value)
                if received_at > before:
                    continue

                intent = read_intent(text)
                if intent is None:
                    unreadable.append(int(number))
                    continue

                self._claims.add(number, value)
                entries.append(Entry(int(number), lane, received_at, intent))

        return LeftOver(entries, unreadable)

    async def backlog(self) -> Backlog:
        """Return how full the inbox is."""
        count, first = await self._engine.read(
            ("ZCARD", "inbox"), ("ZRANGE", "inbox", 0, 0)
        )
        if not first:
            return Backlog(0, 0)

        (value,) = await self._engine.read(("HGET", "entries", first[0]))
        oldest = json.loads(value)[0] if value else 0

        return Backlog(int(count), oldest)


def inbox_full() -> ApiError:
    """Return the error for an inbox with MAX_INBOX entries."""
    return ApiError(
        503,
        "inbox_full",
        "too many orders wait for the API server: try again later",
    )


def _parts(numbers: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(numbers), _AT_ONCE):
        yield numbers[start : start + _AT_ONCE]
