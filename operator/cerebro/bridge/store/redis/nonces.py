"""Nonces on Redis: a sorted set by the end of their memory."""

from __future__ import annotations

from cerebro.bridge.errors import ApiError
from cerebro.bridge.store.base import MAX_NONCES
from cerebro.bridge.store.redis.engine import Engine
from cerebro.bridge.store.redis.scripts import USE_NONCE

_FORGOTTEN_AT_ONCE = 1000


async def use_nonce(
    engine: Engine, nonce: str, now: int, memory: int, valid_for: int
) -> bool:
    """Remember a nonce for `memory` milliseconds; return whether it was new.

    At MAX_NONCES those are forgotten whose request is valid no more, for it is
    older than `valid_for` milliseconds. Raises ApiError 503 if there is none.
    """
    answer = await engine.run(
        USE_NONCE,
        nonce,
        now,
        now + memory,
        now + memory - valid_for,
        MAX_NONCES,
        _FORGOTTEN_AT_ONCE,
    )
    if answer == -1:
        raise ApiError(
            503,
            "store_unavailable",
            "too many nonces are remembered: try again in a minute",
        )

    return bool(answer)
