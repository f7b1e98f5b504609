"""The tables of device tokens: phones, Sessions, moves. Each function is one
step of a transaction.
"""

from __future__ import annotations

import sqlite3

from cerebro.bridge.intents import Client, Hello
from cerebro.bridge.store.base import MAX_TOKENS, MOVE_MEMORY, TokenLocation
from cerebro.bridge.store.sqlite.schema import rows_of

_FORGOTTEN_AT_ONCE = 1000


def location_of(db: sqlite3.Connection, token: str) -> TokenLocation | None:
    """Return what the last hello of a token said."""
    row = db.execute(
        "SELECT mik_id, mac, ip FROM tokens WHERE token = ?", (token,)
    ).fetchone()
    if row is None:
        return None

    mik_id, mac, ip = row

    return TokenLocation(mik_id, Client(mac=mac, ip=ip))


def note_location(db: sqlite3.Connection, hello: Hello, now: int) -> None:
    """Remember what a hello said; at MAX_TOKENS those seen longest ago are
    forgotten.
    """
    token = hello.token or ""
    is_new = location_of(db, token) is None
    if is_new and rows_of(db, "tokens") >= MAX_TOKENS:
        db.execute(
            "DELETE FROM tokens WHERE token IN (SELECT token FROM tokens ORDER BY seen_at LIMIT ?)",
            (_FORGOTTEN_AT_ONCE,),
        )

    db.execute(
        "INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (token) DO UPDATE SET"
        " mik_id = excluded.mik_id, ip = excluded.ip, mac = excluded.mac,"
        " user_agent = excluded.user_agent, seen_at = excluded.seen_at",
        (
            token,
            hello.mik_id,
            hello.client.ip,
            hello.client.mac,
            hello.user_agent,
            now,
        ),
    )


def link(db: sqlite3.Connection, token: str, name: str, now: int) -> None:
    """Remember that a Session was made for a token, so that it can move with
    it.
    """
    db.execute(
        "INSERT OR REPLACE INTO token_sessions VALUES (?, ?, ?)",
        (token, name, now),
    )


def sessions_of(db: sqlite3.Connection, token: str) -> list[str]:
    """Return the names of the Sessions that were made for a token."""
    return [
        name
        for (name,) in db.execute(
            "SELECT name FROM token_sessions WHERE token = ?", (token,)
        )
    ]


def has_session(db: sqlite3.Connection, token: str) -> bool:
    """Return whether a Session was made for a token."""
    row = db.execute(
        "SELECT 1 FROM token_sessions WHERE token = ? LIMIT 1", (token,)
    ).fetchone()

    return row is not None


def note_move(
    db: sqlite3.Connection, token: str, moved_at: int, limit: int
) -> bool:
    """Note a move of a token's Sessions; return whether they may move, with at
    most `limit` in MOVE_MEMORY.
    """

    noted = db.execute(
        "SELECT 1 FROM moves WHERE token = ? AND at = ?", (token, moved_at)
    ).fetchone()
    if noted:
        return True

    moves = db.execute(
        "SELECT at FROM moves WHERE token = ? AND at > ? LIMIT ?",
        (token, moved_at - MOVE_MEMORY, limit),
    ).fetchall()
    if len(moves) >= limit:
        return False

    db.execute("INSERT INTO moves VALUES (?, ?)", (token, moved_at))

    return True
