"""The tables of the SQLite file, and its version.

`PRAGMA user_version` has the version. Files from before there were versions
have 0 and the tables of version 1: they are opened as they are, and only the
number is written.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from cerebro.bridge.store.base import StoreVersionError

VERSION = 6
"""The version that this release reads and writes."""

_COUNTED_2 = ("nonces", "inbox", "tokens", "waiting")
"""Tables that have a bound: how many rows each has is in the table `counts`.
"""

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

_INDEXES_2 = """
CREATE INDEX IF NOT EXISTS revokes_by_order ON revokes (order_id);
CREATE INDEX IF NOT EXISTS revokes_by_address ON revokes (device, order_id, ip);
CREATE INDEX IF NOT EXISTS revokes_by_end ON revokes (kept_until);
CREATE INDEX IF NOT EXISTS waiting_by_end ON waiting (expires_at);
CREATE INDEX IF NOT EXISTS moves_by_age ON moves (at);
CREATE INDEX IF NOT EXISTS token_sessions_by_age ON token_sessions (at);
CREATE INDEX IF NOT EXISTS placements_by_age ON placements (at)
"""
"""No request and no round of forgetting reads a whole table."""


def _split(statements: str) -> tuple[str, ...]:
    """Return statements one by one; none of them has a semicolon inside."""
    return tuple(statements.split(";"))


def _count_rows_of(table: str) -> tuple[str, ...]:
    """Return the statements that count a table once, and from then on with
    each row that comes or goes.

    The count is a part of the transaction that changes the table: it holds
    after a rollback, after a restart, and for two bridges that share the file.
    A row must be replaced by an upsert: `INSERT OR REPLACE` does not say that
    the former row went.
    """
    count = f"SELECT '{table}', count(*) FROM {table}"  # noqa: S608 - our own names
    change = "UPDATE counts SET rows = rows"
    of_table = f"WHERE name = '{table}'"
    come = f"CREATE TRIGGER IF NOT EXISTS {table}_come AFTER INSERT ON {table}"
    go = f"CREATE TRIGGER IF NOT EXISTS {table}_go AFTER DELETE ON {table}"

    return (
        f"INSERT OR REPLACE INTO counts {count}",
        f"{come} BEGIN {change} + 1 {of_table}; END",
        f"{go} BEGIN {change} - 1 {of_table}; END",
    )


_COUNTS_2 = (
    "CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, rows INTEGER NOT NULL) WITHOUT ROWID",
    *(
        statement
        for table in _COUNTED_2
        for statement in _count_rows_of(table)
    ),
)

_PLACES_3 = """
CREATE TABLE IF NOT EXISTS token_places (
    token TEXT NOT NULL, router TEXT NOT NULL, mik_id TEXT NOT NULL, ip TEXT, mac TEXT, user_agent TEXT,
    said_at INTEGER NOT NULL, seen_at INTEGER NOT NULL, PRIMARY KEY (token, router)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS token_places_by_word ON token_places (token, said_at);
CREATE INDEX IF NOT EXISTS token_places_by_age ON token_places (seen_at);
INSERT OR IGNORE INTO token_places
    SELECT token, lower(mik_id), mik_id, ip, mac, user_agent, seen_at, seen_at FROM tokens
"""
"""A token has a place on each router. The table `tokens` had a single one; it
stays for the bridge of the release before, which may still run beside this one
(E15).
"""

_ARRIVALS_4 = (
    "ALTER TABLE revokes ADD COLUMN arrived_at INTEGER",
    "ALTER TABLE revokes ADD COLUMN arrived_seq INTEGER",
)
"""When a kept revoke came; none of what an older release kept (A4)."""

_EVENTS_5 = """
CREATE TABLE IF NOT EXISTS events (
    event_id TEXT PRIMARY KEY,
    seen_at INTEGER NOT NULL,
    taken_at INTEGER NOT NULL,
    told INTEGER NOT NULL,
    awaits TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_by_age ON events (seen_at);
CREATE INDEX IF NOT EXISTS events_open ON events (taken_at) WHERE awaits IS NOT NULL;
CREATE TABLE IF NOT EXISTS acks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    tries INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    made_at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS acks_by_due ON acks (due_at);
CREATE INDEX IF NOT EXISTS acks_by_age ON acks (made_at);
CREATE TABLE IF NOT EXISTS payments (
    sid TEXT PRIMARY KEY,
    plan_id TEXT,
    intent TEXT NOT NULL,
    kept_until INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS payments_by_end ON payments (kept_until)
"""
"""Events of the backend: `awaits` is NULL once an event has its final outcome,
and empty while it is in the inbox.
"""

_RECORDS_6 = """
CREATE TABLE IF NOT EXISTS accesses (
    uid TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    ended_at INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS accesses_open ON accesses (uid) WHERE ended_at IS NULL;
CREATE INDEX IF NOT EXISTS accesses_by_end ON accesses (ended_at) WHERE ended_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS records (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    body TEXT NOT NULL,
    made_at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS records_by_age ON records (made_at);
CREATE TABLE IF NOT EXISTS sweeps (at INTEGER NOT NULL)
"""
"""Records of access that wait, and what is known of each Session's access:
`ended_at` is NULL while its client has it.
"""

_STEPS = (
    _split(_TABLES_1),
    _split(_INDEXES_2) + _COUNTS_2,
    _split(_PLACES_3) + _count_rows_of("token_places"),
    _ARRIVALS_4,
    _split(_EVENTS_5) + _count_rows_of("events") + _count_rows_of("acks"),
    _split(_RECORDS_6) + _count_rows_of("records"),
)
"""The statements that make version n + 1 out of version n, at index n."""


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
            for statement in step:
                db.execute(statement)

        db.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        db.execute("ROLLBACK")
        raise

    db.execute("COMMIT")


def rows_of(db: sqlite3.Connection, table: str) -> int:
    """Return how many rows a table with a bound has, without counting them."""
    row = db.execute(
        "SELECT rows FROM counts WHERE name = ?", (table,)
    ).fetchone()

    return int(row[0])


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
