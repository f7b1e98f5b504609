"""Where orders were granted, and revokes that later orders must know."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime

from cerebro.bridge.intents import Authorize, Client, Revoke
from cerebro.bridge.store.sqlite.inbox import REVOKE_MEMORY

NO_ORDER = ""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an order was granted last."""

    device: str
    name: str


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
