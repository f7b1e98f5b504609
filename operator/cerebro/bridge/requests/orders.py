"""Reads the bodies of orders and revokes, as clients of every age send them,
into typed intents. Pure.

It is tolerant of shape and strict about values: each error is an ApiError 400
that names the field. The fields are those of docs/http.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from cerebro.bridge.errors import invalid
from cerebro.bridge.intents import Authorize, Revoke
from cerebro.bridge.requests.fields import (
    MAX_MINUTES,
    Fields,
    mik_id,
    read_client,
    read_moment,
    read_number,
    read_token,
    text,
)
from cerebro.resources import place_of_order
from cerebro.resources.session import MAX_TRIAL_MINUTES, SessionType

MAX_ID = 128
"""Characters of an order's name, and of a session's."""

_SHORTEST = timedelta(seconds=1)
_MILLISECONDS_IN_A_MINUTE = 60_000.0


class _End(NamedTuple):
    """The end of an order: an instant or a length, or neither; and what was
    changed of the request.
    """

    expires_at: datetime | None = None
    duration: timedelta | None = None
    warning: str | None = None


def authorize(
    fields: Fields,
    requested_at: datetime,
    trace_id: str,
    *,
    resync: bool = False,
    trial_minutes: float = 5,
) -> Authorize:
    """Read an order; `resync` is one that brings the client's new address.

    `trial_minutes` is the length of a trial that names none.

    Raises ApiError 400.
    """

    order_id = _order_id(fields)
    token = read_token(fields)
    client = read_client(fields)
    if not client and not token:
        raise invalid(
            "deviceToken required, or the client's address: ipAtual, macAtual"
        )

    if resync and not client:
        raise invalid("ipAtual or macAtual required")

    # With an instant the length is not read, and refuses nothing (A5).
    session_type = _type(fields, order_id)
    session_id = text(fields, "sessionId", limit=MAX_ID)
    if order_id is None and session_id is None and session_type == "Trial":
        order_id = _order_of_trial(token)

    expires_at = read_moment(fields, "expiresAt")
    duration = (
        order_length(fields, session_type) if expires_at is None else None
    )
    if session_type == "Trial":
        end = _end_of_trial(requested_at, expires_at, duration, trial_minutes)
    else:
        end = _End(expires_at, duration)

    return Authorize(
        mik_id=mik_id(fields),
        token=token,
        client=client,
        requested_at=requested_at,
        trace_id=trace_id,
        order_id=order_id,
        session_id=session_id,
        type=session_type,
        expires_at=end.expires_at,
        duration=end.duration,
        warning=end.warning,
        client_first=resync,
    )


def revoke(fields: Fields, requested_at: datetime, trace_id: str) -> Revoke:
    """Read a revoke: of an order, or of a client by address or token.

    Raises ApiError 400.
    """

    order_id = _order_id(fields)
    client = read_client(fields)
    token = read_token(fields)
    if not (client or order_id or token):
        raise invalid("ip or mac required for revoke")

    return Revoke(
        mik_id=mik_id(fields),
        token=token,
        client=client,
        requested_at=requested_at,
        trace_id=trace_id,
        order_id=order_id,
    )


def session_order(session_id: str) -> str:
    """Return what stands in an order's place for a caller's own session (A1).

    Raises ApiError 400 for an id that leaves no room for it.
    """
    place = place_of_order(
        session_id=session_id, client=None, requested_at=None
    )
    if len(place) > MAX_ID:
        spare = len(place) - len(session_id)
        raise invalid(
            f"sessionId must have at most {MAX_ID - spare} characters"
        )

    return place


def _order_id(fields: Fields) -> str | None:
    return text(fields, "pedidoId", limit=MAX_ID) or text(
        fields, "orderCode", limit=MAX_ID
    )


def _order_of_trial(token: str | None) -> str | None:
    """Return the order of a trial that names a token only: an older dashboard
    makes a token for each trial. Its successor sends this very order.
    """
    order_id = f"trial:{token}"

    return order_id if token and len(order_id) <= MAX_ID else None


def _type(fields: Fields, order_id: str | None) -> SessionType:
    """Return Trial for `modo: "TRIAL"`, or an order of the form `trial:…`."""
    mode = fields.get("modo")
    if isinstance(mode, str) and mode.strip().upper() == "TRIAL":
        return "Trial"

    if order_id is not None and order_id.startswith("trial:"):
        return "Trial"

    return "Paid"


def order_length(
    fields: Fields, session_type: SessionType
) -> timedelta | None:
    """Return the length that an order names, None if it names none.

    It is in minutes under any of its names, else in milliseconds as `tempo`. A
    trial's 0 counts as absent (A5). Raises ApiError 400.
    """
    for name, value, parts_of_a_minute in _lengths(fields, session_type):
        if value is None:
            continue

        minutes = read_number(name, value) / parts_of_a_minute
        if session_type == "Trial":
            if minutes == 0:
                continue

            minutes = min(minutes, MAX_MINUTES)

        if not 0 < minutes <= MAX_MINUTES:
            unit = "milliseconds" if parts_of_a_minute > 1 else "minutes"
            raise invalid(f"{name} must be a positive number of {unit}")

        return max(timedelta(minutes=minutes), _SHORTEST)

    return None


def _lengths(
    fields: Fields, session_type: SessionType
) -> list[tuple[str, object, float]]:
    """Return where a length may stand: name, value, and how many of its unit
    are a minute; the first counts.
    """

    plan = fields.get("plano")
    lengths: list[tuple[str, object, float]] = [
        ("planoMinutos", fields.get("planoMinutos"), 1.0)
    ]
    if isinstance(plan, Mapping):
        lengths.append(("plano.minutos", plan.get("minutos"), 1.0))

    lengths.append(("minutes", fields.get("minutes"), 1.0))

    if session_type == "Trial":
        lengths.append(("trialMinutes", fields.get("trialMinutes"), 1.0))

    lengths.append(("tempo", fields.get("tempo"), _MILLISECONDS_IN_A_MINUTE))

    return lengths


def _end_of_trial(
    requested_at: datetime,
    expires_at: datetime | None,
    duration: timedelta | None,
    trial_minutes: float,
) -> _End:
    """Return the end of a trial: the instant, else the length, else
    `trial_minutes`; MAX_TRIAL_MINUTES at most.
    """

    longest = timedelta(minutes=MAX_TRIAL_MINUTES)
    length = duration or timedelta(minutes=trial_minutes)
    if expires_at is not None:
        length = expires_at - requested_at

    warning = (
        f"a trial is {MAX_TRIAL_MINUTES} minutes at most"
        if length > longest
        else None
    )
    if expires_at is not None:
        return _End(
            expires_at=min(expires_at, requested_at + longest), warning=warning
        )

    return _End(duration=min(length, longest), warning=warning)
