"""The table of orders that wait for the hello of their token. Each function is
one step of a transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Authorize, Client, dump
from cerebro.bridge.store.base import MAX_WAITING, Entry, TokenLocation
from cerebro.bridge.store.sqlite import inbox, tokens
from cerebro.bridge.store.sqlite.schema import rows_of


def wait_for_hello(
    db: sqlite3.Connection,
    order: Authorize,
    locations: Sequence[TokenLocation],
    now: int,
    until: int,
) -> bool:
    """Keep an order until its token says hello; return False if it said so
    since `locations` were read.
    """

    if tokens.locations_of(db, order.token or "") != list(locations):
        return False

    if rows_of(db, "waiting") >= MAX_WAITING:
        raise ApiError(
            503, "inbox_full", "too many orders wait for their device's hello"
        )

    db.execute(
        "INSERT INTO waiting VALUES (?, ?, ?, ?) ON CONFLICT (token, order_key) DO UPDATE SET"
        " intent = excluded.intent, expires_at = excluded.expires_at",
        (order.token, _key(order), dump(order), max(now, until)),
    )

    return True


def waiting_for(
    db: sqlite3.Connection, token: str, now: int
) -> list[Authorize]:
    """Return the orders that wait for a token's hello."""
    rows = db.execute(
        "SELECT intent FROM waiting WHERE token = ? AND expires_at > ? ORDER BY order_key",
        (token, now),
    )

    intents = (inbox.read_intent(text) for (text,) in rows)

    return [intent for intent in intents if isinstance(intent, Authorize)]


def is_awaited(db: sqlite3.Connection, token: str) -> bool:
    """Return whether an order waits for a token's hello, also one whose time
    is over.
    """
    row = db.execute(
        "SELECT 1 FROM waiting WHERE token = ? LIMIT 1", (token,)
    ).fetchone()

    return row is not None


def release(
    db: sqlite3.Connection,
    orders: Sequence[Authorize],
    client: Client,
    now: int,
) -> list[Entry]:
    """Put orders that waited for their phone into the inbox, with its address;
    each only once.
    """
    entries: list[Entry] = []
    for order in orders:
        if stop_waiting(db, order):
            located = order.model_copy(
                update={"client": client, "client_first": True}
            )

            entries.append(inbox.put(db, located, now))

    return entries


def stop_waiting(db: sqlite3.Connection, order: Authorize) -> bool:
    """Forget that an order waits; return whether it did."""
    cursor = db.execute(
        "DELETE FROM waiting WHERE token = ? AND order_key = ?",
        (order.token, _key(order)),
    )

    return cursor.rowcount > 0


def _key(order: Authorize) -> str:
    return f"{order.type}:{order.order_id or ''}"
