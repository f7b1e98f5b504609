"""The table of ACKs that the backend has not taken: the outbox. Each function
is one step of a transaction.
"""

from __future__ import annotations

import sqlite3

from cerebro.bridge.store.events import Ack


def put(db: sqlite3.Connection, event_id: str, body: str, now: int) -> None:
    """Let an ACK be due now, in place of an earlier one of the event.

    It gets a number of its own: what becomes of the earlier one, which may be
    on its way, does not concern it.
    """
    db.execute("DELETE FROM acks WHERE event_id = ?", (event_id,))

    db.execute(
        "INSERT INTO acks (event_id, body, tries, due_at, made_at)"
        " VALUES (?, ?, 0, ?, ?)",
        (event_id, body, now, now),
    )


def due(db: sqlite3.Connection, now: int, limit: int) -> list[Ack]:
    """Return ACKs that are due, due longest first."""
    rows = db.execute(
        "SELECT seq, event_id, body, tries FROM acks"
        " WHERE due_at <= ?"
        " ORDER BY due_at, seq LIMIT ?",
        (now, limit),
    )

    return [Ack(*row) for row in rows]


def taken(db: sqlite3.Connection, seq: int) -> None:
    """Forget an ACK that the backend took."""
    db.execute("DELETE FROM acks WHERE seq = ?", (seq,))


def failed(db: sqlite3.Connection, seq: int, due_at: int) -> None:
    """Note that an ACK was sent in vain."""
    db.execute(
        "UPDATE acks SET tries = tries + 1, due_at = ? WHERE seq = ?",
        (due_at, seq),
    )
