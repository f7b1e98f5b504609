"""Forgets what is over, in all tables but the inbox, whose entries are taken
out when they are carried out.
"""

from __future__ import annotations

import sqlite3

from cerebro.bridge.store.access import ENDED_MEMORY, RECORD_MEMORY
from cerebro.bridge.store.base import MOVE_MEMORY, TOKEN_MEMORY
from cerebro.bridge.store.events import EVENT_MEMORY

AT_ONCE = 1000
"""Rows of a table that a step forgets at most, so that no request waits long
for it.
"""


def prune(db: sqlite3.Connection, now: int) -> bool:
    """Forget what is over at `now`: one step of a transaction. Return whether
    there may be more.
    """
    _keep_open_events(db, now)
    forgotten = [
        _forget(db, table, key, column, before)
        for table, key, column, before in (
            ("nonces", "nonce", "expires_at", now),
            ("waiting", "token, order_key", "expires_at", now),
            ("revokes", "device, order_id, mac, ip", "kept_until", now),
            ("moves", "rowid", "at", now - MOVE_MEMORY),
            ("tokens", "token", "seen_at", now - TOKEN_MEMORY),
            ("token_places", "token, router", "seen_at", now - TOKEN_MEMORY),
            ("token_sessions", "token, name", "at", now - TOKEN_MEMORY),
            ("placements", "order_id, type", "at", now - TOKEN_MEMORY),
            ("events", "event_id", "seen_at", now - EVENT_MEMORY),
            ("acks", "seq", "made_at", now - EVENT_MEMORY),
            ("payments", "sid", "kept_until", now),
            ("records", "seq", "made_at", now - RECORD_MEMORY),
            ("accesses", "uid", "ended_at", now - ENDED_MEMORY),
        )
    ]

    return max(forgotten) >= AT_ONCE


def _keep_open_events(db: sqlite3.Connection, now: int) -> None:
    """Note events without a final outcome as seen, before their age would
    have them forgotten: the backend is owed their ACK, however long the router
    is away.
    """
    db.execute(
        "UPDATE events SET seen_at = ?"
        " WHERE awaits IS NOT NULL AND seen_at <= ?",
        (now, now - EVENT_MEMORY),
    )


def _forget(
    db: sqlite3.Connection, table: str, key: str, column: str, before: int
) -> int:
    """Remove rows of a table whose column has `before` or an earlier time,
    AT_ONCE at most; return how many.
    """
    over = f"SELECT {key} FROM {table} WHERE {column} <= ? LIMIT ?"  # noqa: S608 - our own names

    cursor = db.execute(
        f"DELETE FROM {table} WHERE ({key}) IN ({over})",  # noqa: S608 - our own names
        (before, AT_ONCE),
    )

    return cursor.rowcount
