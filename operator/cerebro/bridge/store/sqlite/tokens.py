"""The tables of device tokens: phones, Sessions, moves. Each function is one
step of a transaction.
"""

from __future__ import annotations

import sqlite3

from cerebro.bridge.intents import Client, Hello
from cerebro.bridge.store.base import (
    MAX_PLACES,
    MAX_TOKENS,
    MOVE_MEMORY,
    TokenLocation,
    milliseconds,
    router_key,
)
from cerebro.bridge.store.sqlite.schema import rows_of

_FORGOTTEN_AT_ONCE = 1000


def locations_of(db: sqlite3.Connection, token: str) -> list[TokenLocation]:
    """Return where a token was seen, the latest word first."""
    rows = db.execute(
        "SELECT mik_id, mac, ip, said_at FROM token_places WHERE token = ?"
        " ORDER BY said_at DESC LIMIT ?",
        (token, MAX_PLACES),
    )

    return [
        TokenLocation(mik_id, Client(mac=mac, ip=ip), said_at)
        for mik_id, mac, ip, said_at in rows
    ]


def note_location(db: sqlite3.Connection, hello: Hello, now: int) -> bool:
    """Remember what a hello said of its router; return False if a later word
    is known.

    At MAX_TOKENS those seen longest ago are forgotten.
    """
    token, router = hello.token or "", router_key(hello.mik_id)
    known = db.execute(
        "SELECT said_at FROM token_places WHERE token = ? AND router = ?",
        (token, router),
    ).fetchone()
    said_at = milliseconds(hello.requested_at)
    if known is not None and known[0] > said_at:
        return False

    if known is None and rows_of(db, "token_places") >= MAX_TOKENS:
        db.execute(
            "DELETE FROM token_places WHERE (token, router) IN"
            " (SELECT token, router FROM token_places ORDER BY seen_at LIMIT ?)",
            (_FORGOTTEN_AT_ONCE,),
        )

    db.execute(
        "INSERT INTO token_places VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (token, router) DO UPDATE SET"
        " mik_id = excluded.mik_id, ip = excluded.ip, mac = excluded.mac,"
        " user_agent = excluded.user_agent, said_at = excluded.said_at, seen_at = excluded.seen_at",
        (
            token,
            router,
            hello.mik_id,
            hello.client.ip,
            hello.client.mac,
            hello.user_agent,
            said_at,
            now,
        ),
    )

    return True


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
