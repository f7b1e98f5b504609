"""Nonces of signatures: each is used at most once."""

from __future__ import annotations

import sqlite3

from cerebro.bridge.errors import ApiError

MAX_NONCES = 1_000_000


def use_nonce(db: sqlite3.Connection, nonce: str, now: int, memory: int) -> bool:
    """Note a nonce; False when it was used within its memory."""
    if db.execute("SELECT count(*) > ? FROM nonces", (MAX_NONCES,)).fetchone()[0]:
        raise ApiError(503, "store_unavailable", "too many nonces are remembered: try again in a minute")
    done = db.execute(
        "INSERT INTO nonces VALUES (?, ?) ON CONFLICT (nonce) DO UPDATE SET expires_at = excluded.expires_at"
        " WHERE nonces.expires_at <= ?",
        (nonce, now + memory, now),
    )
    return done.rowcount == 1
