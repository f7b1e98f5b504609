"""The table of nonces. Each function is one step of a transaction."""

from __future__ import annotations

import sqlite3

from cerebro.bridge.errors import ApiError
from cerebro.bridge.store.base import MAX_NONCES


def use_nonce(
    db: sqlite3.Connection, nonce: str, now: int, memory: int
) -> bool:
    """Remember a nonce; return whether it was new.

    Raises ApiError 503 if too many are remembered.
    """
    too_many = db.execute(
        "SELECT count(*) > ? FROM nonces", (MAX_NONCES,)
    ).fetchone()[0]
    if too_many:
        raise ApiError(
            503,
            "store_unavailable",
            "too many nonces are remembered: try again in a minute",
        )

    cursor = db.execute(
        "INSERT INTO nonces VALUES (?, ?) ON CONFLICT (nonce) DO UPDATE SET expires_at = excluded.expires_at"
        " WHERE nonces.expires_at <= ?",
        (nonce, now + memory, now),
    )

    return cursor.rowcount == 1
