"""The tables of placements and of kept revokes. Each function is one step of a
transaction.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

from cerebro.bridge.intents import Arrival, Authorize, Cause, Client, Revoke
from cerebro.bridge.store.base import (
    REVOKE_MEMORY,
    KeptRevoke,
    Placement,
)

_NO_ORDER = ""
"""In place of an order's id in the row of a revoke that names none."""
_SELECT = "SELECT mac, ip, order_id, revoked_at, arrived_at, arrived_seq FROM revokes"
_CONCERNING = (
    f"{_SELECT} WHERE device = ? AND order_id = ? AND mac = ?"
    f" UNION ALL {_SELECT} WHERE device = ? AND order_id = ? AND ip = ?"
    f" UNION ALL {_SELECT} WHERE order_id = ?"
)
"""Each of the three by its own index; nothing is equal to NULL."""
_LATER_ARRIVAL = (
    "CASE WHEN (excluded.arrived_at, excluded.arrived_seq)"
    " > (coalesce(arrived_at, 0), coalesce(arrived_seq, 0))"
)


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
        "INSERT INTO revokes"  # noqa: S608 - our own text
        " (device, order_id, mac, ip, revoked_at, kept_until, arrived_at, arrived_seq)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " revoked_at = max(revoked_at, excluded.revoked_at), kept_until = excluded.kept_until,"
        f" arrived_at = {_LATER_ARRIVAL} THEN excluded.arrived_at ELSE arrived_at END,"
        f" arrived_seq = {_LATER_ARRIVAL} THEN excluded.arrived_seq ELSE arrived_seq END",
        (
            *key,
            revoke.requested_at.timestamp(),
            now + REVOKE_MEMORY,
            *(revoke.arrival or (None, None)),
        ),
    )


def revokes_of(
    db: sqlite3.Connection, order: Authorize, client: Client, device: str
) -> list[Cause]:
    """Return the kept revokes that concern an order."""
    of_client = (device, _NO_ORDER)
    rows = db.execute(
        _CONCERNING,
        (
            *(*of_client, client.mac),
            *(*of_client, client.ip),
            order.order_id or None,
        ),
    )

    # A row that names both is found by both.
    revokes = [_kept_revoke(row) for row in dict.fromkeys(rows)]

    return [revoke.cause for revoke in revokes if revoke.concerns(client)]


def _kept_revoke(row: tuple[str, str, str, float, int, int]) -> KeptRevoke:
    mac, ip, order_id, seconds, *arrived = row
    arrival = None if None in arrived else Arrival(*arrived)
    cause = Cause(datetime.fromtimestamp(seconds, UTC), arrival)

    return KeptRevoke(
        order_id or None, Client(mac=mac or None, ip=ip or None), cause
    )


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
