"""Reads the bodies that clients of every age send into typed intents. Pure: tolerant of shape, strict
about values.

Each error is an ApiError 400 that names the field. The shapes are those of contract 1.2, 5 and 10.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

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
from cerebro.bridge.settings import MAX_TRIAL_MINUTES
from cerebro.resources.session import SessionType


def authorize(
    fields: Fields, at: datetime, trace_id: str, *, resync: bool = False, trial_minutes: float = 5
) -> Authorize:
    """Read an order: contract 1.2, and the richer shapes of older clients."""
    order = text(fields, "pedidoId", limit=128) or text(fields, "orderCode", limit=128)
    token = read_token(fields)
    client = read_client(fields)
    if not client and not token:
        raise invalid("deviceToken required, or the client's address: ipAtual, macAtual")
    if resync and not client:
        raise invalid("ipAtual or macAtual required")
    kind = _type(fields, order)
    expires_at = read_moment(fields, "expiresAt")
    duration = _duration(fields, kind) if expires_at is None else None  # not read, it refuses nothing (A5)
    return Authorize(
        mik_id=mik_id(fields),
        token=token,
        client=client,
        requested_at=at,
        trace_id=trace_id,
        order_id=order,
        session_id=text(fields, "sessionId", limit=128),
        type=kind,
        **_end(kind, at, expires_at, duration, trial_minutes),
        client_first=resync,
    )


def revoke(fields: Fields, at: datetime, trace_id: str) -> Revoke:
    """Read a revoke: of an order, or of a client by address."""
    order = text(fields, "pedidoId", limit=128) or text(fields, "orderCode", limit=128)
    client = read_client(fields)
    token = read_token(fields)
    if not (client or order or token):
        raise invalid("ip or mac required for revoke")
    return Revoke(
        mik_id=mik_id(fields), token=token, client=client, requested_at=at, trace_id=trace_id, order_id=order
    )


def _type(fields: Fields, order: str | None) -> SessionType:
    mode = fields.get("modo")
    named = isinstance(mode, str) and mode.strip().upper() == "TRIAL"
    return "Trial" if named or (order or "").startswith("trial:") else "Paid"


def _duration(fields: Fields, kind: SessionType) -> timedelta | None:
    """Find a length: minutes under any of its names, else `tempo` in milliseconds; a trial's 0 is none (A5)."""
    plan = fields.get("plano")
    names = ("planoMinutos", "minutes", "trialMinutes") if kind == "Trial" else ("planoMinutos", "minutes")
    found = [(name, fields.get(name), 1.0) for name in names]
    if isinstance(plan, Mapping):
        found.insert(1, ("plano.minutos", plan.get("minutos"), 1.0))
    found.append(("tempo", fields.get("tempo"), 60_000.0))
    for name, value, parts in found:
        if value is None:
            continue
        minutes = read_number(name, value) / parts
        if kind == "Trial":
            if minutes == 0:
                continue
            minutes = min(minutes, MAX_MINUTES)
        if not 0 < minutes <= MAX_MINUTES:
            raise invalid(f"{name} must be a positive number of {'milliseconds' if parts > 1 else 'minutes'}")
        return max(timedelta(minutes=minutes), timedelta(seconds=1))
    return None


def _end(
    kind: SessionType,
    at: datetime,
    expires_at: datetime | None,
    duration: timedelta | None,
    trial_minutes: float,
) -> dict[str, Any]:
    """Settle the one end of an order: `expiresAt` before a duration; trials always end, after 120 minutes
    at most."""
    if kind == "Trial":
        longest = timedelta(minutes=MAX_TRIAL_MINUTES)
        asked = expires_at - at if expires_at is not None else duration or timedelta(minutes=trial_minutes)
        shortened = asked > longest
        warning = {"warning": f"a trial is {MAX_TRIAL_MINUTES} minutes at most"} if shortened else {}
        if expires_at is not None:
            return {"expires_at": min(expires_at, at + longest), **warning}
        return {"duration": min(asked, longest), **warning}
    return {"expires_at": expires_at} if expires_at is not None else {"duration": duration}
