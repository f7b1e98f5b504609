"""Reads the requests of `/session/*`, whose callers keep sessions of their own.
Pure.

To the bridge such a session is an order named after it (A1), and a device token
that says where its phone is.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from cerebro.bridge.errors import invalid
from cerebro.bridge.intents import Authorize, Hello, Revoke
from cerebro.bridge.requests.fields import (
    MAX_MINUTES,
    Fields,
    mik_id,
    read_client,
    read_number,
    text,
)
from cerebro.bridge.requests.orders import MAX_ID, session_order

_LONGEST_MS = MAX_MINUTES * 60_000
_SHORTEST = timedelta(seconds=1)


def session_id(fields: Fields) -> str:
    """Return the caller's name of a session.

    Raises ApiError 400.
    """
    name = text(fields, "sessionId", limit=MAX_ID)
    if name is None:
        raise invalid("sessionId required")

    session_order(name)

    return name


def start(
    fields: Fields,
    requested_at: datetime,
    trace_id: str,
    *,
    name: str,
    complete: bool,
) -> Hello:
    """Read where the phone of a new session is, as a hello of that session.

    `complete` is for callers that have to name MAC and router too. Raises
    ApiError 400 that names the field.
    """
    client = read_client(fields)
    if client.ip is None:
        raise invalid("ip required")

    router = mik_id(fields)
    if complete and client.mac is None:
        raise invalid("mac required")

    if complete and router is None:
        raise invalid("router required")

    return Hello(
        mik_id=router,
        token=session_order(name),
        client=client,
        requested_at=requested_at,
        trace_id=trace_id,
    )


def authorize(
    fields: Fields, requested_at: datetime, trace_id: str, *, name: str
) -> Authorize:
    """Read the order of a session; `tempo` is its length in milliseconds.

    Raises ApiError 400 that names the field.
    """
    milliseconds = read_number("tempo", fields.get("tempo"))
    if not 0 < milliseconds <= _LONGEST_MS:
        raise invalid("tempo must be a positive number of milliseconds")

    place = session_order(name)
    length = timedelta(milliseconds=milliseconds)

    return Authorize(
        token=place,
        order_id=place,
        duration=max(length, _SHORTEST),
        requested_at=requested_at,
        trace_id=trace_id,
    )


def revoke(requested_at: datetime, trace_id: str, *, name: str) -> Revoke:
    """Return the revoke of a session alone: what else its client has, stays."""
    place = session_order(name)
    return Revoke(
        token=place,
        order_id=place,
        requested_at=requested_at,
        trace_id=trace_id,
    )
