"""Events of the backend and payments on Redis (F1, F3, F4)."""

from __future__ import annotations

import json
from collections.abc import Sequence

from cerebro.bridge.intents import Authorize, Intent, Payment, dump
from cerebro.bridge.store.base import (
    HOUR,
    MAX_INBOX,
    MAX_WAITING,
    Entry,
    milliseconds,
)
from cerebro.bridge.store.events import (
    EVENT_MEMORY,
    MAX_EVENTS,
    NewEvent,
    OpenEvent,
)
from cerebro.bridge.store.redis.engine import Engine, Step
from cerebro.bridge.store.redis.event_scripts import (
    CONCLUDE,
    NOTE_AWAITS,
    TAKE_EVENTS,
    TELL_PENDING,
)
from cerebro.bridge.store.redis.inbox import Inbox, inbox_full
from cerebro.bridge.store.redis.places import latest_location
from cerebro.bridge.store.redis.values import (
    ack_value,
    entry_value,
    order_key,
    read_intent,
    waiting_value,
)

_FORGOTTEN_AT_ONCE = 1000
_AT_ONCE = 500
"""Open events that are read at once."""

_NO_PAYMENT = ("", "", 0, "", "", "")


async def take(
    engine: Engine,
    inbox: Inbox,
    owner: str,
    events: Sequence[NewEvent],
    *,
    now: int,
    until: int,
) -> list[Entry]:
    """Take the events that are new; return the entries that they put into the
    inbox.

    Raises ApiError 503 `inbox_full`: then none was taken.
    """
    expires_at = max(now, until)
    arguments: list[str | int] = []
    offered: list[tuple[str, Intent | None]] = []
    for event in events:
        row, value, intent = await _row(engine, event, now, expires_at)
        arguments += row
        offered.append((value, intent))

    numbers = await engine.run(
        TAKE_EVENTS,
        now,
        now - HOUR,
        expires_at,
        owner,
        MAX_INBOX,
        MAX_WAITING,
        MAX_EVENTS,
        _FORGOTTEN_AT_ONCE,
        *arguments,
    )
    if numbers is None:
        raise inbox_full()

    return [
        inbox.taken(number, value, intent)
        for number, (value, intent) in zip(numbers, offered, strict=True)
        if number and intent is not None
    ]


def note_written(event_id: str, awaits: str) -> Step:
    """Return the step that keeps what an open event waits for."""
    return Step(NOTE_AWAITS, (event_id, awaits))


def tell_pending(event_id: str, ack: str | None, now: int) -> Step:
    """Return the step that says once of an open event that it is pending."""
    return Step(TELL_PENDING, (event_id, ack_value(event_id, ack), now))


def conclude(event_id: str, ack: str | None, now: int) -> Step:
    """Return the step that notes the final outcome of an open event."""
    return Step(CONCLUDE, (event_id, ack_value(event_id, ack), now))


async def open_events(engine: Engine) -> list[OpenEvent]:
    """Return the events without a final outcome, those taken first first."""
    (flat,) = await engine.read(("ZRANGE", "open", 0, -1, "WITHSCORES"))
    rows = list(zip(flat[::2], flat[1::2], strict=True))

    events: list[OpenEvent] = []
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        event_ids = [event_id for event_id, _ in part]
        told, awaits = await engine.read(
            ("HMGET", "told", *event_ids), ("HMGET", "awaits", *event_ids)
        )
        events += [
            OpenEvent(
                event_id, int(taken_at), was_told is not None, text or ""
            )
            for (event_id, taken_at), was_told, text in zip(
                part, told, awaits, strict=True
            )
        ]

    return events


async def payment_of(engine: Engine, sid: str, now: int) -> Payment | None:
    """Return the payment of a client that is not over."""
    (value,) = await engine.read(("HGET", f"payment:{sid}", "order"))
    if value is None:
        return None

    plan_id, kept_until, text = json.loads(value)
    order = read_intent(text)
    if kept_until <= now or not isinstance(order, Authorize):
        return None

    return Payment(sid, order, plan_id)


async def _row(
    engine: Engine, event: NewEvent, now: int, expires_at: int
) -> tuple[list[str | int], str, Intent | None]:
    """Return an event as arguments of TAKE_EVENTS, and the entry that it may
    put into the inbox: its text and its intent.
    """
    value = ""
    intent: Intent | None = event.intent
    if intent is not None:
        located = await latest_location(engine, intent.token)
        value = entry_value(intent, located, now)

    payment: tuple[str | int, ...] = _NO_PAYMENT
    entry = value
    if event.payment is not None:
        intent = event.payment.waiting
        located = await latest_location(engine, event.payment.sid)
        entry = entry_value(intent, located, now)
        payment = _payment_row(event.payment, entry, now, expires_at)

    ack = ack_value(event.event_id, event.ack)

    return [event.event_id, value, *payment, ack], entry, intent


def _payment_row(
    payment: Payment, entry: str, now: int, expires_at: int
) -> tuple[str | int, ...]:
    order = payment.order
    ends_at = order.expires_at
    kept_until = (
        now + EVENT_MEMORY if ends_at is None else milliseconds(ends_at)
    )
    kept = [payment.plan_id, kept_until, dump(order)]

    return (
        payment.sid,
        json.dumps(kept, ensure_ascii=False),
        kept_until,
        order_key(order),
        entry,
        waiting_value(payment.waiting, expires_at),
    )
