"""Forgets what is over."""

from __future__ import annotations

import sqlite3

from cerebro.bridge.store.sqlite.schema import DAY, HOUR

TOKEN_MEMORY = 30 * DAY


def prune(db: sqlite3.Connection, now: int) -> None:
    """Forget what is over."""
    db.execute("DELETE FROM nonces WHERE expires_at <= ?", (now,))
    db.execute("DELETE FROM waiting WHERE expires_at <= ?", (now,))
    db.execute("DELETE FROM revokes WHERE kept_until <= ?", (now,))
    db.execute("DELETE FROM moves WHERE at <= ?", (now - HOUR,))
    for table, column in (("tokens", "seen_at"), ("token_sessions", "at"), ("placements", "at")):
        db.execute(f"DELETE FROM {table} WHERE {column} <= ?", (now - TOKEN_MEMORY,))  # noqa: S608 - our own names
