"""The tables of accesses and of records that wait. Each function is one step
of a transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence

from cerebro.bridge.errors import ApiError
from cerebro.bridge.store.access import (
    MAX_RECORDS,
    AccessChange,
    WaitingRecord,
)
from cerebro.bridge.store.sqlite.schema import rows_of


def keep(
    db: sqlite3.Connection, changes: Sequence[AccessChange], now: int
) -> list[bool]:
    """Take the changes whose state is still that from which they were decided;
    return of each whether it was taken.
    """
    more = sum(len(change.records) for change in changes)
    if more and rows_of(db, "records") + more > MAX_RECORDS:
        raise records_full()

    return [_keep(db, change, now) for change in changes]


def records_full() -> ApiError:
    """Return the error for records that find no room."""
    return ApiError(
        503,
        "records_full",
        f"{MAX_RECORDS} records of access wait to be written: see where CEREBRO_RECORDS sends them",
    )


def _keep(db: sqlite3.Connection, change: AccessChange, now: int) -> bool:
    known = states_of(db, [change.uid]).get(change.uid, "")
    if known != change.before:
        return False

    db.execute(
        "INSERT INTO accesses (uid, state, ended_at) VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET"
        " state = excluded.state, ended_at = excluded.ended_at",
        (change.uid, change.after, None if change.is_open else now),
    )
    db.executemany(
        "INSERT INTO records (body, made_at) VALUES (?, ?)",
        [(body, now) for body in change.records],
    )

    return True


def states_of(db: sqlite3.Connection, uids: Collection[str]) -> dict[str, str]:
    """Return the states of those Sessions of which there is one, by UID."""
    states: dict[str, str] = {}

    for uid in uids:
        row = db.execute(
            "SELECT state FROM accesses WHERE uid = ?", (uid,)
        ).fetchone()

        if row is not None:
            states[uid] = row[0]

    return states


def open_states(db: sqlite3.Connection) -> dict[str, str]:
    """Return the states of all Sessions whose client has access, by UID."""
    return dict(
        db.execute("SELECT uid, state FROM accesses WHERE ended_at IS NULL")
    )


def waiting(db: sqlite3.Connection, limit: int) -> list[WaitingRecord]:
    """Return the oldest records that are not written."""
    rows = db.execute(
        "SELECT seq, body FROM records ORDER BY seq LIMIT ?", (limit,)
    )

    return [WaitingRecord(*row) for row in rows]


def written(db: sqlite3.Connection, seqs: Sequence[int]) -> None:
    """Forget records that were written."""
    db.executemany(
        "DELETE FROM records WHERE seq = ?", [(seq,) for seq in seqs]
    )


def swept_at(db: sqlite3.Connection) -> int:
    """Return when the last sweep began, 0 if there was none."""
    row = db.execute("SELECT max(at) FROM sweeps").fetchone()

    return int(row[0] or 0)


def note_sweep(db: sqlite3.Connection, at: int) -> None:
    """Note when a sweep began."""
    db.execute("DELETE FROM sweeps")
    db.execute("INSERT INTO sweeps (at) VALUES (?)", (at,))


def forget_ended(db: sqlite3.Connection, before: int, limit: int) -> int:
    """Forget the states of accesses that ended at `before` or earlier, `limit`
    at most; return how many.
    """
    over = "SELECT uid FROM accesses WHERE ended_at <= ? LIMIT ?"
    cursor = db.execute(
        f"DELETE FROM accesses WHERE uid IN ({over})",  # noqa: S608 - our own text
        (before, limit),
    )

    return cursor.rowcount
