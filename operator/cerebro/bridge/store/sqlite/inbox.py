"""What the store keeps, and the SQL for it: each function is one step of a transaction in the writer thread.

Times are milliseconds since 1970. Everything has an end: `prune` forgets what is over, and the tables are
bounded.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Hello, Intent, dump, load
from cerebro.bridge.store.sqlite.schema import DAY
from cerebro.bridge.store.sqlite.tokens import seen_by

MAX_INBOX = 10_000
REVOKE_MEMORY = DAY


@dataclass(frozen=True, slots=True)
class Entry:
    """An intent in the inbox; entries of one lane are carried out in the order of `seq`."""

    seq: int
    lane: str
    received_at: int
    intent: Intent


def put(db: sqlite3.Connection, intent: Intent, now: int) -> Entry:
    """Put an intent into the inbox. Raises ApiError 503 `inbox_full`."""
    if db.execute("SELECT count(*) FROM inbox").fetchone()[0] >= MAX_INBOX:
        raise ApiError(503, "inbox_full", "too many orders wait for the API server: try again later")
    lane = lane_of(db, intent)
    done = db.execute(
        "INSERT INTO inbox (received_at, lane, intent) VALUES (?, ?, ?)", (now, lane, dump(intent))
    )
    return Entry(done.lastrowid or 0, lane, now, intent)


def lane_of(db: sqlite3.Connection, intent: Intent) -> str:
    """Name the client whose writes are kept in order: its MAC, else its token, else its address (F2)."""
    if intent.client.mac:
        return intent.client.mac
    if intent.token:
        seen = seen_by(db, intent.token)
        return seen.client.mac if seen and seen.client.mac else intent.token
    order = None if isinstance(intent, Hello) else intent.order_id
    return intent.client.ip or order or ""


def take_out(db: sqlite3.Connection, seq: int) -> None:
    """Remove an intent that was carried out."""
    db.execute("DELETE FROM inbox WHERE seq = ?", (seq,))


def left_over(db: sqlite3.Connection, before: int) -> tuple[list[Entry], list[int]]:
    """Give what is in the inbox since before a time: left by a process that died, of this bridge or its
    twin; and the numbers of what we cannot read: the next release wrote it, and it stays for that one."""
    rows = db.execute(
        "SELECT seq, lane, received_at, intent FROM inbox WHERE received_at <= ? ORDER BY seq", (before,)
    )
    entries, unreadable = [], []
    for seq, lane, received, text in rows:
        intent = read_intent(text)
        if intent is None:
            unreadable.append(seq)
        else:
            entries.append(Entry(seq, lane, received, intent))
    return entries, unreadable


def read_intent(text: str) -> Intent | None:
    """Return a stored intent; None if this release cannot read it."""
    try:
        return load(text)
    except ValueError:
        return None


def backlog(db: sqlite3.Connection) -> tuple[int, int]:
    """Count what is in the inbox, and give the oldest one's time, 0 when it is empty."""
    count, oldest = db.execute("SELECT count(*), coalesce(min(received_at), 0) FROM inbox").fetchone()
    return count, oldest
