"""The tables of placements and of kept revokes. Each function is one step of a
transaction.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

from cerebro.bridge.intents import Authorize, Client, Revoke
from cerebro.bridge.store.base import (
    REVOKE_MEMORY,
    KeptRevoke,
    Placement,
    latest_revoke,
)

_NO_ORDER = ""
"""In place of an order's id in the row of a revoke that names none."""
_SELECT = "SELECT mac, ip, order_id, revoked_at FROM revokes"


def keep_revoke(
    db: sqlite3.Connection,
    revoke: Revoke,
    client: Client,
    device: str,
    now: int,
) -> None:
    """Keep a revoke for those orders that come after it but were asked for
    before (A4).
    """
    key = (
        device,
        revoke.order_id or _NO_ORDER,
        client.mac or "",
        client.ip or "",
    )

    db.execute(
        "INSERT INTO revokes (device, order_id, mac, ip, revoked_at, kept_until) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET"
        " revoked_at = max(revoked_at, excluded.revoked_at), kept_until = excluded.kept_until",
        (*key, revoke.requested_at.timestamp(), now + REVOKE_MEMORY),
    )


def revoked_at(
    db: sqlite3.Connection, order: Authorize, client: Client, device: str
) -> datetime | None:
    """Return the time of the latest kept revoke that concerns an order, None
    if there is none.
    """
    rows = [
        *db.execute(
            f"{_SELECT} WHERE device = ? AND order_id = ? AND mac = ?",
            (device, _NO_ORDER, client.mac),
        ),
        *db.execute(
            f"{_SELECT} WHERE device = ? AND order_id = ? AND ip = ?",
            (device, _NO_ORDER, client.ip),
        ),
    ]
    if order.order_id:
        rows += db.execute(f"{_SELECT} WHERE order_id = ?", (order.order_id,))

    revokes = [
        KeptRevoke(
            order_id or None, Client(mac=mac or None, ip=ip or None), seconds
        )
        for mac, ip, order_id, seconds in rows
    ]

    latest = latest_revoke(revokes, client)

    return None if latest is None else datetime.fromtimestamp(latest, UTC)


def place(
    db: sqlite3.Connection, order: Authorize, placement: Placement, now: int
) -> None:
    """Remember where an order was granted; an order without an id cannot be
    found again.
    """
    if order.order_id:
        db.execute(
            "INSERT OR REPLACE INTO placements VALUES (?, ?, ?, ?, ?)",
            (
                order.order_id,
                order.type,
                placement.device,
                placement.name,
                now,
            ),
        )


def placement_of(db: sqlite3.Connection, order: Authorize) -> Placement | None:
    """Return where an order of this id and type was granted last."""
    row = db.execute(
        "SELECT device, name FROM placements WHERE order_id = ? AND type = ?",
        (order.order_id, order.type),
    ).fetchone()

    return Placement(*row) if row else None


def names_of_order(db: sqlite3.Connection, order_id: str) -> list[str]:
    """Return the names under which an order was granted last, of each type."""
    return [
        name
        for (name,) in db.execute(
            "SELECT name FROM placements WHERE order_id = ?", (order_id,)
        )
    ]
