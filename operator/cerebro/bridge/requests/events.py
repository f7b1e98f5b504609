"""Reads events of the backend's feed (contract 3.2) into intents, payments, or
the reason why an event comes to nothing. Pure.

An event that can be used by nobody is refused once, with a reason, and gets its
ACK like any other (F4).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cerebro.bridge.errors import ApiError, invalid
from cerebro.bridge.intents import Authorize, Client, Intent, Payment
from cerebro.bridge.requests import orders
from cerebro.bridge.requests.fields import (
    Fields,
    printable,
    read_client,
    read_moment,
    text,
)

TRIAL = "TRIAL_REQUESTED"
RELEASE = "RELEASE_REQUESTED"
REVOKE = "REVOKE_REQUESTED"
PAYMENT = "PAYMENT_CONFIRMED"

KINDS = {TRIAL: "trial", RELEASE: "release", REVOKE: "revoke"}
"""What the counters of each type of event are called."""

_MAX_EVENT_ID = 256

_MAX_KEY = 64
"""Characters of a WireGuard key at most, with some to spare."""


@dataclass(frozen=True, slots=True)
class ReadEvent:
    """What an event comes to: exactly one of intent, payment and refusal."""

    event_id: str
    """As the feed has it."""

    type: str
    """As the feed has it, empty of an unknown type."""

    intent: Intent | None = None
    """What is to be carried out."""

    payment: Payment | None = None
    """What is to be kept."""

    refusal: Refusal | None = None
    """Why nothing is to be done."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an event comes to nothing."""

    reason: str
    """For programs, in the ACK."""

    error: str
    """For people: the field, and what it must be."""


@dataclass(frozen=True, slots=True)
class FeedRules:
    """What the reading of events depends on besides the events."""

    trial_within: timedelta = timedelta(minutes=15)
    """How old the request for a trial may be (F4)."""

    trial_minutes: float = 5
    """Length of a trial that names none (A5)."""

    memory: timedelta = timedelta(days=30)
    """For how long an event is remembered: an older one may have been done."""


def event_id_of(event: object) -> str | None:
    """Return the id of an event; None if it has none that an ACK could name.

    An id is a text of up to 256 characters without control characters.
    """
    if not isinstance(event, Mapping):
        return None

    event_id = event.get("eventId")

    # The ACK must name it exactly, so nothing is cut or stripped.
    if not isinstance(event_id, str) or not event_id.strip():
        return None

    is_usable = event_id == printable(event_id)

    return event_id if is_usable and len(event_id) <= _MAX_EVENT_ID else None


def read_event(
    event_id: str, event: Fields, now: datetime, rules: FeedRules
) -> ReadEvent:
    """Return what an event comes to that the feed brought at `now`."""
    event_type = event.get("type")

    if not isinstance(event_type, str) or not event_type.strip():
        return _refused(event_id, "", invalid("type must be a text"))

    # Of a type that nobody knows nothing else is read.
    reader = _READERS.get(event_type)

    if reader is None:
        shown = printable(event_type)[:_MAX_KEY]
        refusal = Refusal("unknown_type", f"no event has the type {shown!r}")

        return ReadEvent(event_id, "", refusal=refusal)

    try:
        asked_at = _asked_at(event, now)
        _raise_too_late(event_type, now - asked_at, rules)

        return reader(event_id, _payload(event), asked_at, rules)
    except ApiError as error:
        return _refused(event_id, event_type, error)


def refusal_of(error: ApiError) -> Refusal:
    """Return what an ACK says of an error."""
    if error.code == "MIKROTIK_NODE_NOT_FOUND":
        return Refusal("unknown_router", error.text)

    if error.status == 400:
        return Refusal("validation", error.text)

    return Refusal(error.code, error.text)


def _trial(
    event_id: str, payload: Fields, asked_at: datetime, rules: FeedRules
) -> ReadEvent:
    """Read an order that is a trial, whatever its id looks like."""
    return _grant(
        event_id, TRIAL, {**payload, "modo": "TRIAL"}, asked_at, rules
    )


def _release(
    event_id: str, payload: Fields, asked_at: datetime, rules: FeedRules
) -> ReadEvent:
    """Read an order that was paid; one of the form `trial:…` is a trial all
    the same (A5).
    """
    return _grant(event_id, RELEASE, payload, asked_at, rules)


def _grant(
    event_id: str,
    event_type: str,
    payload: Fields,
    asked_at: datetime,
    rules: FeedRules,
) -> ReadEvent:
    """Read an order; as an event it names all of pedidoId, mikId, ip and mac."""
    for name in ("pedidoId", "mikId", "ip", "mac"):
        _required(payload, name)

    order = orders.authorize(
        payload, asked_at, event_id, trial_minutes=rules.trial_minutes
    )

    return ReadEvent(
        event_id, event_type, _from_feed(order, event_id, payload)
    )


def _revoke(
    event_id: str, payload: Fields, asked_at: datetime, _rules: FeedRules
) -> ReadEvent:
    """Read a revoke: of an order, or of a client by address.

    Unlike over HTTP it names its router, as the old relay wanted it.
    """
    _required(payload, "mikId")
    revoke = orders.revoke(payload, asked_at, event_id)

    return ReadEvent(event_id, REVOKE, _from_feed(revoke, event_id, payload))


def _payment(
    event_id: str, payload: Fields, asked_at: datetime, _rules: FeedRules
) -> ReadEvent:
    """Read a payment: its order waits for the phone that says hello as `sid`.

    Where the payload names the phone, that counts for an order that names none
    (A6).
    """
    sid = _required(payload, "sid")

    order = Authorize(
        mik_id=text(payload, "routerId"),
        token=sid,
        client=_client_of_payment(payload),
        requested_at=asked_at,
        trace_id=event_id,
        order_id=_required(payload, "pedidoId", limit=orders.MAX_ID),
        expires_at=read_moment(payload, "expiresAt"),
    )

    payment = Payment(sid, order, text(payload, "planId"))

    return ReadEvent(event_id, PAYMENT, payment=payment)


def _client_of_payment(payload: Fields) -> Client:
    """Return the phone that a payment names; one that cannot be used is none:
    who has paid is not refused for it.
    """
    try:
        return read_client(payload)
    except ApiError:
        return Client()


def _from_feed(intent: Intent, event_id: str, payload: Fields) -> Intent:
    """Return an intent with what only events have."""
    key = text(payload, "peerPublicKey", limit=_MAX_KEY)

    return intent.model_copy(
        update={"event_id": event_id, "peer_public_key": key}
    )


def _asked_at(event: Fields, now: datetime) -> datetime:
    """Return when an event happened: its timestamp, but never later than now.

    A time in the future would outlive every later word about the client (A4).
    """
    asked_at = read_moment(event, "timestamp")

    return now if asked_at is None else min(asked_at, now)


def _raise_too_late(event_type: str, age: timedelta, rules: FeedRules) -> None:
    """Raise ApiError 409 `too_late` for an event that nobody waits for any
    more, or whose first delivery may be forgotten (F4).
    """
    if event_type == TRIAL and age > rules.trial_within:
        minutes = round(rules.trial_within.total_seconds() / 60)

        raise ApiError(
            409,
            "too_late",
            f"timestamp: the trial was asked for more than {minutes} minutes ago",
        )

    if age > rules.memory:
        raise ApiError(
            409,
            "too_late",
            f"timestamp: the event is more than {rules.memory.days} days old",
        )


def _payload(event: Fields) -> Fields:
    payload: Any = event.get("payload")

    if payload is None:
        return {}

    if not isinstance(payload, Mapping):
        raise invalid("payload must be an object")

    return payload


def _required(payload: Fields, name: str, *, limit: int = 253) -> str:
    value = text(payload, name, limit=limit)

    if value is None:
        raise invalid(f"{name} required")

    return value


def _refused(event_id: str, event_type: str, error: ApiError) -> ReadEvent:
    return ReadEvent(event_id, event_type, refusal=refusal_of(error))


_Reader = Callable[[str, Fields, datetime, FeedRules], ReadEvent]

_READERS: dict[str, _Reader] = {
    TRIAL: _trial,
    RELEASE: _release,
    REVOKE: _revoke,
    PAYMENT: _payment,
}


def utc(milliseconds: int) -> datetime:
    """Return milliseconds since 1970 as a time."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
