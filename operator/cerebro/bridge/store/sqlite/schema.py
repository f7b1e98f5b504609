"""The tables of the SQLite file, and its version.

`PRAGMA user_version` has the version. Files from before there were versions
have 0 and the tables of version 1: they are opened as they are, and only the
number is written.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from cerebro.bridge.store.base import StoreVersionError

VERSION = 1
"""The version that this release reads and writes."""

_TABLES_1 = """
CREATE TABLE IF NOT EXISTS nonces (nonce TEXT PRIMARY KEY, expires_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS nonces_by_end ON nonces (expires_at);
CREATE TABLE IF NOT EXISTS inbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, received_at INTEGER NOT NULL, lane TEXT NOT NULL, intent TEXT
    NOT NULL);
CREATE TABLE IF NOT EXISTS tokens (
    token TEXT PRIMARY KEY, mik_id TEXT NOT NULL, ip TEXT, mac TEXT, user_agent TEXT, seen_at INTEGER NOT
    NULL);
CREATE INDEX IF NOT EXISTS tokens_by_age ON tokens (seen_at);
CREATE TABLE IF NOT EXISTS token_sessions (
    token TEXT NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (token, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS moves (token TEXT NOT NULL, at INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS moves_by_token ON moves (token, at);
CREATE TABLE IF NOT EXISTS waiting (
    token TEXT NOT NULL, order_key TEXT NOT NULL, intent TEXT NOT NULL, expires_at INTEGER NOT NULL,
    PRIMARY KEY (token, order_key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS revokes (
    device TEXT NOT NULL, mac TEXT NOT NULL, ip TEXT NOT NULL, order_id TEXT NOT NULL, revoked_at REAL NOT
    NULL, kept_until INTEGER NOT NULL, PRIMARY KEY (device, order_id, mac, ip)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS placements (
    order_id TEXT NOT NULL, type TEXT NOT NULL, device TEXT NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (order_id, type)) WITHOUT ROWID;
"""

_STEPS = (_TABLES_1,)
"""What makes version n + 1 out of version n, at index n. No statement has a
semicolon inside.
"""


def bring_up_to_date(db: sqlite3.Connection, path: Path) -> None:
    """Create the tables, or change them to VERSION; a file that has VERSION
    already is not written.

    Raises StoreVersionError if a newer release wrote the file, and
    sqlite3.Error.
    """
    if _version_of(db, path) == VERSION:
        return

    # Two bridges may share the file: within the write lock the version is read
    # once more.
    db.execute("BEGIN IMMEDIATE")

    try:
        for step in _STEPS[_version_of(db, path) :]:
            for statement in step.split(";"):
                db.execute(statement)

        db.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        db.execute("ROLLBACK")
        raise

    db.execute("COMMIT")


def _version_of(db: sqlite3.Connection, path: Path) -> int:
    """Return the file's version.

    Raises StoreVersionError if it is newer than VERSION.
    """
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise StoreVersionError(
            f"the store {path} has version {version}, and this release reads versions up to {VERSION}: "
            "start the release that wrote it, or name another file in CEREBRO_STORE"
        )

    return version
