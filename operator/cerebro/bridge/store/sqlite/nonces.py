"""The table of nonces. Each function is one step of a transaction."""

from __future__ import annotations

import sqlite3

from cerebro.bridge.errors import ApiError
from cerebro.bridge.store.base import MAX_NONCES
from cerebro.bridge.store.sqlite.schema import rows_of

_FORGOTTEN_AT_ONCE = 1000


def use_nonce(
    db: sqlite3.Connection, nonce: str, now: int, memory: int, valid_for: int
) -> bool:
    """Remember a nonce for `memory` milliseconds; return whether it was new.

    At MAX_NONCES those are forgotten whose request is valid no more, for it is
    older than `valid_for` milliseconds. Raises ApiError 503 if there is none.
    """
    if rows_of(db, "nonces") >= MAX_NONCES:
        forgotten = db.execute(
            "DELETE FROM nonces WHERE nonce IN"
            " (SELECT nonce FROM nonces WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)",
            (now + memory - valid_for, _FORGOTTEN_AT_ONCE),
        )
        if not forgotten.rowcount:
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
