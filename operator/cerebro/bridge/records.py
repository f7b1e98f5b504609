"""What the store keeps, and the SQL for it: each function is one step of a transaction in the writer thread.

Times are milliseconds since 1970. Everything has an end: `prune` forgets what is over, and the tables are
bounded.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Authorize, Client, Hello, Intent, Revoke, dump, load

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR

MAX_INBOX = 10_000
MAX_NONCES = 1_000_000
MAX_TOKENS = 200_000
MAX_WAITING = 10_000
MAX_MOVES_AN_HOUR = 3
REVOKE_MEMORY = DAY
TOKEN_MEMORY = 30 * DAY
NO_ORDER = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """An intent in the inbox; entries of one lane are carried out in the order of `seq`."""

    seq: int
    lane: str
    received_at: int
    intent: Intent


@dataclass(frozen=True, slots=True)
class Seen:
    """What the last hello of a token said."""

    mik_id: str
    client: Client


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an order was granted last."""

    device: str
    name: str


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
        intent = _read(text)
        if intent is None:
            unreadable.append(seq)
        else:
            entries.append(Entry(seq, lane, received, intent))
    return entries, unreadable


def _read(text: str) -> Intent | None:
    try:
        return load(text)
    except ValueError:
        return None


def backlog(db: sqlite3.Connection) -> tuple[int, int]:
    """Count what is in the inbox, and give the oldest one's time, 0 when it is empty."""
    count, oldest = db.execute("SELECT count(*), coalesce(min(received_at), 0) FROM inbox").fetchone()
    return count, oldest


def seen_by(db: sqlite3.Connection, token: str) -> Seen | None:
    """Give what the last hello of a token said."""
    row = db.execute("SELECT mik_id, mac, ip FROM tokens WHERE token = ?", (token,)).fetchone()
    return Seen(row[0], Client(mac=row[1], ip=row[2])) if row else None


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


def wait_for_hello(db: sqlite3.Connection, order: Authorize, seen: Seen | None, now: int, until: int) -> bool:
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
    found = (_read(intent) for (intent,) in rows)
    return [intent for intent in found if isinstance(intent, Authorize)]


def stop_waiting(db: sqlite3.Connection, order: Authorize) -> bool:
    """Forget that an order waits: it is in the inbox again, or carried out. False when it did not wait."""
    done = db.execute(
        "DELETE FROM waiting WHERE token = ? AND order_key = ?",
        (order.token, f"{order.type}:{order.order_id or ''}"),
    )
    return done.rowcount > 0


def link(db: sqlite3.Connection, token: str, name: str, now: int) -> None:
    """Note that a Session was made for a token, so that it can move with it."""
    db.execute("INSERT OR REPLACE INTO token_sessions VALUES (?, ?, ?)", (token, name, now))


def linked(db: sqlite3.Connection, token: str) -> list[str]:
    """Give the names of the Sessions that were made for a token."""
    return [name for (name,) in db.execute("SELECT name FROM token_sessions WHERE token = ?", (token,))]


def may_move(db: sqlite3.Connection, token: str, at: int) -> bool:
    """Note a move of a token's Sessions that a hello at `at` asked for; False when there were three within
    the hour before (A6). Asked again for the same hello it says the same.
    """
    if db.execute("SELECT 1 FROM moves WHERE token = ? AND at = ?", (token, at)).fetchone():
        return True
    moves = "SELECT count(*) FROM moves WHERE token = ? AND at > ?"
    if db.execute(moves, (token, at - HOUR)).fetchone()[0] >= MAX_MOVES_AN_HOUR:
        return False
    db.execute("INSERT INTO moves VALUES (?, ?)", (token, at))
    return True


def keep_revoke(db: sqlite3.Connection, revoke: Revoke, client: Client, device: str, now: int) -> None:
    """Keep a revoke for those orders that come after it but were asked for before (A4)."""
    key = (device, revoke.order_id or NO_ORDER, client.mac or "", client.ip or "")
    db.execute(
        "INSERT INTO revokes (device, order_id, mac, ip, revoked_at, kept_until) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET"
        " revoked_at = max(revoked_at, excluded.revoked_at), kept_until = excluded.kept_until",
        (*key, revoke.requested_at.timestamp(), now + REVOKE_MEMORY),
    )


def revoked_at(db: sqlite3.Connection, order: Authorize, client: Client, device: str) -> datetime | None:
    """Give the latest kept revoke of this order, on whatever Device, or of this client here without an order."""
    latest: float | None = None
    rows = db.execute(
        "SELECT mac, ip, order_id, revoked_at FROM revokes WHERE device = ? AND order_id = ?"
        " UNION ALL SELECT mac, ip, order_id, revoked_at FROM revokes WHERE order_id = ? AND order_id != ?",
        (device, NO_ORDER, order.order_id or NO_ORDER, NO_ORDER),
    )
    for mac, ip, order_id, moment in rows:
        same_client = client.mac == mac if mac and client.mac else bool(ip) and client.ip == ip
        if (order_id != NO_ORDER or same_client) and (latest is None or moment > latest):
            latest = moment
    return None if latest is None else datetime.fromtimestamp(latest, UTC)


def place(db: sqlite3.Connection, order: Authorize, placement: Placement, now: int) -> None:
    """Note where an order was granted."""
    if order.order_id:
        db.execute(
            "INSERT OR REPLACE INTO placements VALUES (?, ?, ?, ?, ?)",
            (order.order_id, order.type, placement.device, placement.name, now),
        )


def placed(db: sqlite3.Connection, order: Authorize) -> Placement | None:
    """Give where an order was granted last."""
    row = db.execute(
        "SELECT device, name FROM placements WHERE order_id = ? AND type = ?", (order.order_id, order.type)
    ).fetchone()
    return Placement(*row) if row else None


def names_of_order(db: sqlite3.Connection, order_id: str) -> list[str]:
    """Give the names under which an order was granted last, of each type."""
    return [name for (name,) in db.execute("SELECT name FROM placements WHERE order_id = ?", (order_id,))]


def prune(db: sqlite3.Connection, now: int) -> None:
    """Forget what is over."""
    db.execute("DELETE FROM nonces WHERE expires_at <= ?", (now,))
    db.execute("DELETE FROM waiting WHERE expires_at <= ?", (now,))
    db.execute("DELETE FROM revokes WHERE kept_until <= ?", (now,))
    db.execute("DELETE FROM moves WHERE at <= ?", (now - HOUR,))
    for table, column in (("tokens", "seen_at"), ("token_sessions", "at"), ("placements", "at")):
        db.execute(f"DELETE FROM {table} WHERE {column} <= ?", (now - TOKEN_MEMORY,))  # noqa: S608 - our own names
