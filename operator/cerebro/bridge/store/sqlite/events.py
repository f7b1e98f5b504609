"""The tables of events and of payments. Each function is one step of a
transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from cerebro.bridge.intents import Authorize, Payment, dump
from cerebro.bridge.store.base import HOUR, Entry, milliseconds
from cerebro.bridge.store.events import (
    EVENT_MEMORY,
    MAX_EVENTS,
    NewEvent,
    OpenEvent,
)
from cerebro.bridge.store.sqlite import acks, inbox, waiting
from cerebro.bridge.store.sqlite.schema import rows_of
from cerebro.bridge.store.sqlite.tokens import locations_of

_FORGOTTEN_AT_ONCE = 1000
_IN_THE_INBOX = ""


def take(
    db: sqlite3.Connection, events: Sequence[NewEvent], now: int, until: int
) -> list[Entry]:
    """Take the events that are new; return the entries that they put into the
    inbox.
    """
    _make_room(db)
    entries: list[Entry] = []

    for event in events:
        if _is_known(db, event.event_id, now):
            continue

        # From here on it is taken: all of this is one transaction.
        _remember(db, event, now)

        if event.intent is not None:
            entries.append(inbox.put(db, event.intent, now))

        if event.payment is not None:
            entries += _keep_payment(db, event.payment, now, until)

        if event.ack is not None:
            acks.put(db, event.event_id, event.ack, now)

    return entries


def note_written(db: sqlite3.Connection, entry: Entry, awaits: str) -> None:
    """Keep what an event waits for now that its entry was carried out.

    An event that has its outcome already waits for nothing any more.
    """
    inbox.take_out(db, entry.seq)

    db.execute(
        "UPDATE events SET awaits = ?"
        " WHERE event_id = ? AND awaits IS NOT NULL",
        (awaits, entry.intent.event_id),
    )


def tell_pending(
    db: sqlite3.Connection, event_id: str, ack: str | None, now: int
) -> None:
    """Say once of an open event that it is pending.

    An event that has its outcome by now is not pending, and what was told once
    is not told again.
    """
    cursor = db.execute(
        "UPDATE events SET told = 1"
        " WHERE event_id = ? AND awaits IS NOT NULL AND NOT told",
        (event_id,),
    )

    if cursor.rowcount and ack is not None:
        acks.put(db, event_id, ack, now)


def conclude(
    db: sqlite3.Connection,
    event_id: str,
    ack: str | None,
    now: int,
    entry: Entry | None,
) -> None:
    """Note the final outcome of an event, unless it has its outcome already.

    Its entry goes in any case: two bridges may have carried it out.
    """
    if entry is not None:
        inbox.take_out(db, entry.seq)

    cursor = db.execute(
        "UPDATE events SET awaits = NULL"
        " WHERE event_id = ? AND awaits IS NOT NULL",
        (event_id,),
    )

    if cursor.rowcount and ack is not None:
        acks.put(db, event_id, ack, now)


def open_events(db: sqlite3.Connection) -> list[OpenEvent]:
    """Return the events without a final outcome."""
    rows = db.execute(
        "SELECT event_id, taken_at, told, awaits FROM events"
        " WHERE awaits IS NOT NULL"
        " ORDER BY taken_at"
    )

    return [
        OpenEvent(event_id, taken_at, bool(told), awaits)
        for event_id, taken_at, told, awaits in rows
    ]


def payment_of(db: sqlite3.Connection, sid: str, now: int) -> Payment | None:
    """Return the payment of a client that is not over."""
    row = db.execute(
        "SELECT plan_id, intent FROM payments"
        " WHERE sid = ? AND kept_until > ?",
        (sid, now),
    ).fetchone()

    if row is None:
        return None

    plan_id, text = row
    order = inbox.read_intent(text)

    return (
        Payment(sid, order, plan_id) if isinstance(order, Authorize) else None
    )


def _is_known(db: sqlite3.Connection, event_id: str, now: int) -> bool:
    """Return whether an event was taken before; note that a poll brought it,
    once an hour.
    """
    row = db.execute(
        "SELECT seen_at FROM events WHERE event_id = ?", (event_id,)
    ).fetchone()

    if row is None:
        return False

    if row[0] <= now - HOUR:
        db.execute(
            "UPDATE events SET seen_at = ? WHERE event_id = ?", (now, event_id)
        )

    return True


def _remember(db: sqlite3.Connection, event: NewEvent, now: int) -> None:
    awaits = _IN_THE_INBOX if event.intent is not None else None

    db.execute(
        "INSERT INTO events VALUES (?, ?, ?, 0, ?)",
        (event.event_id, now, now, awaits),
    )


def _make_room(db: sqlite3.Connection) -> None:
    """Forget the events that were seen longest ago when there are MAX_EVENTS."""
    if rows_of(db, "events") < MAX_EVENTS:
        return

    oldest = "SELECT event_id FROM events WHERE awaits IS NULL ORDER BY seen_at LIMIT ?"

    db.execute(
        f"DELETE FROM events WHERE event_id IN ({oldest})",  # noqa: S608 - our own text
        (_FORGOTTEN_AT_ONCE,),
    )


def _keep_payment(
    db: sqlite3.Connection, payment: Payment, now: int, until: int
) -> list[Entry]:
    """Keep a payment, and its order: in the inbox if a hello said where its
    phone is, else until that hello.
    """
    order = payment.order
    ends_at = order.expires_at

    kept_until = (
        now + EVENT_MEMORY if ends_at is None else milliseconds(ends_at)
    )

    db.execute(
        "INSERT INTO payments VALUES (?, ?, ?, ?)"
        " ON CONFLICT (sid) DO UPDATE SET"
        " plan_id = excluded.plan_id,"
        " intent = excluded.intent,"
        " kept_until = excluded.kept_until",
        (payment.sid, payment.plan_id, dump(order), kept_until),
    )

    locations = locations_of(db, payment.sid)

    if locations:
        return [inbox.put(db, payment.waiting, now)]

    waiting.wait_for_hello(db, payment.waiting, locations, now, until)

    return []
