"""Device tokens on Redis: phones, Sessions, moves (A6)."""

from __future__ import annotations

from cerebro.bridge.intents import Hello
from cerebro.bridge.store.base import (
    MAX_INBOX,
    MAX_PLACES,
    MAX_TOKENS,
    MOVE_MEMORY,
    Entry,
    TokenLocation,
    milliseconds,
    router_key,
)
from cerebro.bridge.store.redis.engine import Command, Engine
from cerebro.bridge.store.redis.inbox import Inbox, inbox_full
from cerebro.bridge.store.redis.rows import keep_row
from cerebro.bridge.store.redis.scripts import NOTE_HELLO, NOTE_MOVE
from cerebro.bridge.store.redis.values import entry_value, place_value

_FORGOTTEN_AT_ONCE = 1000
_NOTHING_TO_DO = "0"
_FULL = "-1"


async def note_hello(
    engine: Engine, inbox: Inbox, owner: str, hello: Hello, now: int
) -> Entry | None:
    """Remember what a hello said of its router, and put it into the inbox if
    an order or a Session may be concerned.

    Raises ApiError 503 `inbox_full`: then it is not remembered.
    """
    said_at = milliseconds(hello.requested_at)
    place = TokenLocation(hello.mik_id or "", hello.client, said_at)
    value = entry_value(hello, None, now)
    number = await engine.run(
        NOTE_HELLO,
        hello.token or "",
        router_key(hello.mik_id),
        said_at,
        place_value(place),
        now,
        MAX_TOKENS,
        _FORGOTTEN_AT_ONCE,
        MAX_PLACES,
        owner,
        MAX_INBOX,
        value,
    )
    if number == _FULL:
        raise inbox_full()

    if number == _NOTHING_TO_DO:
        return None

    return inbox.taken(number, value, hello)


def link(token: str, name: str, now: int) -> tuple[Command, ...]:
    """Return the commands that remember that a Session was made for a token,
    so that it can move with it.
    """
    return keep_row("links", now, f"link:{token}", name, "1")


async def sessions_of(engine: Engine, token: str) -> list[str]:
    """Return the names of the Sessions that were made for a token."""
    (names,) = await engine.read(("HKEYS", f"link:{token}"))

    return list(names)


async def note_move(
    engine: Engine, token: str, moved_at: int, limit: int
) -> bool:
    """Note a move of a token's Sessions; return whether they may move, with at
    most `limit` in MOVE_MEMORY.
    """
    may_move = await engine.run(
        NOTE_MOVE, token, moved_at, moved_at - MOVE_MEMORY, limit
    )

    return bool(may_move)
