"""Device tokens: where their phones were seen, and which Sessions they belong to."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from cerebro.bridge.intents import Client
from cerebro.bridge.store.sqlite.schema import HOUR

MAX_MOVES_AN_HOUR = 3


@dataclass(frozen=True, slots=True)
class TokenLocation:
    """What the last hello of a token said."""

    mik_id: str
    client: Client


def seen_by(db: sqlite3.Connection, token: str) -> TokenLocation | None:
    """Give what the last hello of a token said."""
    row = db.execute("SELECT mik_id, mac, ip FROM tokens WHERE token = ?", (token,)).fetchone()
    return TokenLocation(row[0], Client(mac=row[1], ip=row[2])) if row else None


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
