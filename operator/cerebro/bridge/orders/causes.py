"""What a Session says of its causes: when it was asked for and revoked, and when
those requests came to the bridge (A4). Pure.

The times are in the spec. The arrivals are in annotations, so that they survive
a restart and a new store, and a Session from Git has none.
"""

from __future__ import annotations

from cerebro.bridge.intents import Arrival, Cause
from cerebro.domain.lifecycle import cause_of
from cerebro.resources import Session
from cerebro.resources.naming import (
    ANNOTATION_REQUEST_ARRIVAL,
    ANNOTATION_REVOKE_ARRIVAL,
)

Annotations = dict[str, str | None]
"""Annotations of a merge patch: None takes one away."""


def request_of(session: Session) -> Cause | None:
    """Return the request that a Session was last opened, prolonged or moved
    by; of one that a person made, its creation.
    """
    asked_at = cause_of(session)
    if asked_at is None:
        return None

    return Cause(asked_at, _arrival(session, ANNOTATION_REQUEST_ARRIVAL))


def revoke_of(session: Session) -> Cause | None:
    """Return the revoke that a Session was last ended by; None if it tells of
    none.
    """
    asked_at = session.spec.revoked_at
    if asked_at is None:
        return None

    return Cause(asked_at, _arrival(session, ANNOTATION_REVOKE_ARRIVAL))


def noted_request(cause: Cause) -> Annotations:
    """Return the annotation that goes with `spec.requestedAt`."""
    return {ANNOTATION_REQUEST_ARRIVAL: _text(cause.arrival)}


def noted_revoke(cause: Cause) -> Annotations:
    """Return the annotation that goes with `spec.revokedAt`."""
    return {ANNOTATION_REVOKE_ARRIVAL: _text(cause.arrival)}


def latest_after(request: Cause, revokes: tuple[Cause, ...]) -> Cause | None:
    """Return the revoke that a request does not come after, the latest by its
    time; None if it comes after all of them.
    """
    later = [revoke for revoke in revokes if not revoke.precedes(request)]

    return max(later, key=lambda revoke: revoke.asked_at, default=None)


def _text(arrival: Arrival | None) -> str | None:
    if arrival is None:
        return None

    return f"{arrival.received_at}.{arrival.seq}"


def _arrival(session: Session, name: str) -> Arrival | None:
    """Return the arrival in an annotation, None if it has none that can be
    read.
    """
    text = session.metadata.annotations.get(name, "")
    received_at, _, seq = text.partition(".")
    if not (received_at.isdecimal() and seq.isdecimal()):
        return None

    return Arrival(int(received_at), int(seq))
