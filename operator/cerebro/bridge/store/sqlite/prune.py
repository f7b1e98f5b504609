"""Forgets what is over, in all tables but the inbox, whose entries are taken
out when they are carried out.
"""

from __future__ import annotations

import sqlite3

from cerebro.bridge.store.base import MOVE_MEMORY, TOKEN_MEMORY


def prune(db: sqlite3.Connection, now: int) -> None:
    """Forget what is over at `now`: one step of a transaction."""
    db.execute("DELETE FROM nonces WHERE expires_at <= ?", (now,))
    db.execute("DELETE FROM waiting WHERE expires_at <= ?", (now,))
    db.execute("DELETE FROM revokes WHERE kept_until <= ?", (now,))
    db.execute("DELETE FROM moves WHERE at <= ?", (now - MOVE_MEMORY,))

    for table, column in (
        ("tokens", "seen_at"),
        ("token_sessions", "at"),
        ("placements", "at"),
    ):
        db.execute(
            f"DELETE FROM {table} WHERE {column} <= ?",  # noqa: S608 - our own names
            (now - TOKEN_MEMORY,),
        )
