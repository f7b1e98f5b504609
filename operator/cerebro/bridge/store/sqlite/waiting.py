"""Orders that wait for the hello of their token."""

from __future__ import annotations

import sqlite3

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Authorize, Hello, dump
from cerebro.bridge.store.sqlite.inbox import Entry, put, read_intent
from cerebro.bridge.store.sqlite.tokens import TokenLocation, seen_by

MAX_TOKENS = 200_000


MAX_WAITING = 10_000


def note_hello(db: sqlite3.Connection, hello: Hello, now: int) -> Entry | None:
    """Note where a token is now; an entry for the inbox when there may be something to do about it (A6)."""
    token = hello.token or ""
    before = seen_by(db, token)
    if before is None and db.execute("SELECT count(*) FROM tokens").fetchone()[0] >= MAX_TOKENS:
        db.execute("DELETE FROM tokens WHERE token IN (SELECT token FROM tokens ORDER BY seen_at LIMIT 1000)")
    db.execute(
        "INSERT OR REPLACE INTO tokens VALUES (?, ?, ?, ?, ?, ?)",
        (token, hello.mik_id, hello.client.ip, hello.client.mac, hello.user_agent, now),
    )
    waits = db.execute("SELECT 1 FROM waiting WHERE token = ? LIMIT 1", (token,)).fetchone()
    linked_too = db.execute("SELECT 1 FROM token_sessions WHERE token = ? LIMIT 1", (token,)).fetchone()
    return put(db, hello, now) if waits or linked_too else None


def wait_for_hello(
    db: sqlite3.Connection, order: Authorize, seen: TokenLocation | None, now: int, until: int
) -> bool:
    """Keep an order until a hello brings its token's address; False when one came since `seen` was read."""
    if seen_by(db, order.token or "") != seen:
        return False
    if db.execute("SELECT count(*) FROM waiting").fetchone()[0] >= MAX_WAITING:
        raise ApiError(503, "inbox_full", "too many orders wait for their device's hello")
    db.execute(
        "INSERT OR REPLACE INTO waiting VALUES (?, ?, ?, ?)",
        (order.token, f"{order.type}:{order.order_id or ''}", dump(order), max(now, until)),
    )
    return True


def waiting_for(db: sqlite3.Connection, token: str, now: int) -> list[Authorize]:
    """Give the orders that wait for a token's hello."""
    rows = db.execute(
        "SELECT intent FROM waiting WHERE token = ? AND expires_at > ? ORDER BY order_key", (token, now)
    )
    found = (read_intent(intent) for (intent,) in rows)
    return [intent for intent in found if isinstance(intent, Authorize)]


def stop_waiting(db: sqlite3.Connection, order: Authorize) -> bool:
    """Forget that an order waits: it is in the inbox again, or carried out. False when it did not wait."""
    done = db.execute(
        "DELETE FROM waiting WHERE token = ? AND order_key = ?",
        (order.token, f"{order.type}:{order.order_id or ''}"),
    )
    return done.rowcount > 0
