"""Tells the audit log of the backend's events: what was taken, what was
refused, and what each came to.
"""

from __future__ import annotations

from cerebro.bridge.audit.log import ATTEMPT, FAIL, SUCCESS, AuditLog
from cerebro.bridge.backend.outcomes import Awaits, Outcome, event_type
from cerebro.bridge.intents import Client
from cerebro.bridge.requests.events import (
    PAYMENT,
    RELEASE,
    REVOKE,
    TRIAL,
    ReadEvent,
)
from cerebro.bridge.store.entry import Entry

_ACTIONS = {
    TRIAL: "AUTHORIZE_BY_PEDIDO",
    RELEASE: "AUTHORIZE_BY_PEDIDO",
    PAYMENT: "CONFIRM_PAYMENT",
    REVOKE: "REVOKE_SESSION",
}


def tell_taken(audit: AuditLog, entry: Entry) -> None:
    """Tell of an event that was put into the inbox."""
    kind = event_type(entry)
    intent = entry.intent

    audit.tell(
        ATTEMPT,
        _ACTIONS[kind],
        source="events",
        trace_id=intent.trace_id,
        client=intent.client,
        eventId=intent.event_id,
        eventType=kind,
        order=getattr(intent, "order_id", None),
        router=intent.mik_id,
    )


def tell_read(audit: AuditLog, event: ReadEvent) -> None:
    """Tell of an event that needs nothing of a router: it is refused, or a
    payment is noted.
    """
    refusal, payment = event.refusal, event.payment

    if refusal is not None:
        audit.tell(
            FAIL,
            _ACTIONS.get(event.type, "EVENT"),
            source="events",
            trace_id=event.event_id,
            error=refusal.error,
            code=refusal.reason,
            eventId=event.event_id,
            eventType=event.type or None,
        )
    elif payment is not None:
        audit.tell(
            SUCCESS,
            _ACTIONS[PAYMENT],
            source="events",
            trace_id=event.event_id,
            eventId=event.event_id,
            eventType=event.type,
            order=payment.order.order_id,
            router=payment.order.mik_id,
        )


def tell_outcome(
    audit: AuditLog,
    event_id: str,
    kind: str,
    outcome: Outcome,
    *,
    entry: Entry | None,
    awaits: Awaits | None,
    duration: int | None,
) -> None:
    """Tell the final outcome of an event.

    `kind` is its type. What it is about is known by what it awaited, else by
    its entry; `duration` are milliseconds since it was taken.
    """
    client = Client()
    order, router, trace_id = None, None, event_id

    if awaits is not None:
        client, order = awaits.client, awaits.order
        router = awaits.router or awaits.device
        trace_id = awaits.trace_id or event_id
    elif entry is not None:
        intent = entry.intent
        client, router = intent.client, intent.mik_id
        order = getattr(intent, "order_id", None)
        trace_id = intent.trace_id or event_id

    audit.tell(
        SUCCESS if outcome.ok else FAIL,
        _ACTIONS[kind],
        source="events",
        trace_id=trace_id,
        client=client,
        error=outcome.error,
        code=outcome.reason,
        eventId=event_id,
        eventType=kind,
        order=order,
        router=router,
        dryRun=outcome.dry_run or None,
        durationMs=duration,
    )
