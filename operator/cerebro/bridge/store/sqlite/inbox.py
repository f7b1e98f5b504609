"""The table of the inbox. Each function is one step of a transaction."""

from __future__ import annotations

import sqlite3

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Intent, dump, lane_of, load
from cerebro.bridge.store.base import MAX_INBOX, Backlog, Entry, LeftOver
from cerebro.bridge.store.sqlite.schema import rows_of
from cerebro.bridge.store.sqlite.tokens import locations_of


def put(db: sqlite3.Connection, intent: Intent, now: int) -> Entry:
    """Put an intent into the inbox.

    Raises ApiError 503 `inbox_full`.
    """

    if rows_of(db, "inbox") >= MAX_INBOX:
        raise ApiError(
            503,
            "inbox_full",
            "too many orders wait for the API server: try again later",
        )

    locations = locations_of(db, intent.token) if intent.token else []
    lane = lane_of(intent, locations[0].client if locations else None)
    cursor = db.execute(
        "INSERT INTO inbox (received_at, lane, intent) VALUES (?, ?, ?)",
        (now, lane, dump(intent)),
    )

    return Entry(cursor.lastrowid or 0, lane, now, intent)


def take_out(db: sqlite3.Connection, seq: int) -> None:
    """Remove an intent that was carried out."""
    db.execute("DELETE FROM inbox WHERE seq = ?", (seq,))


def left_over(db: sqlite3.Connection, before: int) -> LeftOver:
    """Return the entries received at `before` or earlier."""
    rows = db.execute(
        "SELECT seq, lane, received_at, intent FROM inbox WHERE received_at <= ? ORDER BY seq",
        (before,),
    )

    entries: list[Entry] = []
    unreadable: list[int] = []
    for seq, lane, received_at, text in rows:
        intent = read_intent(text)
        if intent is None:
            unreadable.append(seq)
        else:
            entries.append(Entry(seq, lane, received_at, intent))

    return LeftOver(entries, unreadable)


def read_intent(text: str) -> Intent | None:
    """Return a stored intent, None if this release cannot read it."""
    try:
        return load(text)
    except ValueError:
        return None


def backlog(db: sqlite3.Connection) -> Backlog:
    """Return how many entries are in the inbox, and when the oldest was
    received.
    """
    oldest = db.execute(
        "SELECT received_at FROM inbox ORDER BY seq LIMIT 1"
    ).fetchone()

    return Backlog(rows_of(db, "inbox"), oldest[0] if oldest else 0)
