"""Reads the bodies that clients of every age send into typed intents. Pure: tolerant of shape, strict
about values.

Each error is an ApiError 400 that names the field. The shapes are those of contract 1.2, 5 and 10.
"""

from __future__ import annotations

import ipaddress
import json
import math
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from cerebro.bridge.errors import ApiError, invalid
from cerebro.bridge.intents import Authorize, Client, Hello, Revoke
from cerebro.bridge.settings import MAX_TRIAL_MINUTES
from cerebro.resources import normalise_mac
from cerebro.resources.session import SessionType

Fields = Mapping[str, Any]

_MAX_MINUTES = 10 * 525_600
_MAX_TEXT = 253


def parse_body(body: bytes) -> Fields:
    """Read a body as a JSON object; an empty one is an empty object. Raises ApiError 400 INVALID_JSON."""
    if not body.strip():
        return {}
    try:
        found = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "not readable"
        raise ApiError(400, "INVALID_JSON", f"the body is no JSON in UTF-8: {reason}") from None
    if not isinstance(found, dict):
        raise ApiError(400, "INVALID_JSON", "the body must be a JSON object")
    return found


def authorize(
    fields: Fields, at: datetime, trace_id: str, *, resync: bool = False, trial_minutes: float = 5
) -> Authorize:
    """Read an order: contract 1.2, and the richer shapes of older clients."""
    order = text(fields, "pedidoId", limit=128) or text(fields, "orderCode", limit=128)
    token = _token(fields)
    client = read_client(fields)
    if not client and not token:
        raise invalid("deviceToken required, or the client's address: ipAtual, macAtual")
    if resync and not client:
        raise invalid("ipAtual or macAtual required")
    kind = _type(fields, order)
    expires_at = _moment(fields, "expiresAt")
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
    token = _token(fields)
    if not (client or order or token):
        raise invalid("ip or mac required for revoke")
    return Revoke(
        mik_id=mik_id(fields), token=token, client=client, requested_at=at, trace_id=trace_id, order_id=order
    )


def hello(fields: Fields, at: datetime, trace_id: str, new_token: str) -> Hello:
    """Read a hello; `new_token` is for a phone that came without one."""
    client = read_client(fields)
    if client.ip is None:
        raise invalid("ip required")
    if client.mac is None:
        raise invalid("mac required")
    router = mik_id(fields)
    if router is None:
        raise invalid("mikId required")
    agent = fields.get("userAgent")
    return Hello(
        mik_id=router,
        token=_token(fields) or new_token,
        client=client,
        requested_at=at,
        trace_id=trace_id,
        user_agent=printable(agent)[:512] if isinstance(agent, str) else None,
    )


def read_client(fields: Fields) -> Client:
    """Find the phone's addresses in any of the places that clients put them."""
    ip = mac = None
    for place in _places(fields):
        ip = ip or _address(place, "ipAtual") or _address(place, "ip")
        mac = mac or _mac(place, "macAtual") or _mac(place, "mac")
    return Client(mac=mac, ip=ip)


def mik_id(fields: Fields) -> str | None:
    """Find the router's identifier; None when the request has none."""
    for place in _places(fields):
        for name in ("mikId", "router", "identity"):
            if isinstance(place.get(name), Mapping):
                continue
            found = text(place, name)
            if found:
                return found
    return None


def text(fields: Fields, name: str, *, limit: int = _MAX_TEXT) -> str | None:
    """Give a text field trimmed, None when it is absent, null or blank. Raises ApiError 400 for anything
    else."""
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise invalid(f"{name} must be string")
    value = value.strip()
    if len(value) > limit:
        raise invalid(f"{name} must have at most {limit} characters")
    if value != printable(value):
        raise invalid(f"{name} must not contain control characters")
    return value or None


def printable(value: str) -> str:
    """Give the text without control characters, NUL and lone surrogates, which no store or header can
    carry."""
    return "".join(char for char in value if unicodedata.category(char) not in ("Cc", "Cs"))


def _places(fields: Fields) -> list[Fields]:
    """Give the request itself, then the objects inside it in which older clients name phone and router."""
    inner = (fields.get(name) for name in ("contexto", "plano", "device", "dispositivo"))
    return [fields, *(place for place in inner if isinstance(place, Mapping))]


def _token(fields: Fields) -> str | None:
    """Find the device token; older clients call it `token`. `contexto.deviceId` is a router, not a phone."""
    return text(fields, "deviceToken", limit=256) or text(fields, "token", limit=256)


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
        minutes = _number(name, value) / parts
        if kind == "Trial":
            if minutes == 0:
                continue
            minutes = min(minutes, _MAX_MINUTES)
        if not 0 < minutes <= _MAX_MINUTES:
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


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise invalid(f"{name} must be a positive number")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise invalid(f"{name} must be a positive number") from None
    if not math.isfinite(number) or number < 0:
        raise invalid(f"{name} must be a positive number")
    return number


def _moment(fields: Fields, name: str) -> datetime | None:
    """Read an instant: RFC 3339 with its zone, or milliseconds since 1970."""
    value = fields.get(name)
    if value is None or value == "":
        return None
    moment: datetime | None
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            moment = datetime.fromtimestamp(value / 1000, UTC)
        elif isinstance(value, str):
            moment = datetime.fromisoformat(value.strip())
        else:
            moment = None
        if moment is not None:
            moment = moment.astimezone(UTC) if moment.tzinfo is not None else None
    except (ValueError, OverflowError, OSError):
        moment = None
    if moment is None or not 1970 <= moment.year < 9000:
        raise invalid(
            f"{name} must be an instant such as 2026-01-31T12:00:00Z, or milliseconds since 1970, before the "
            "year 9000"
        )
    return moment


def _address(fields: Fields, name: str) -> str | None:
    value = text(fields, name)
    if value is None:
        return None
    try:
        return str(ipaddress.IPv4Address(value))
    except ValueError:
        raise ApiError(400, "invalid_ip", f"{name} must be an IPv4 address such as 10.5.50.10") from None


def _mac(fields: Fields, name: str) -> str | None:
    value = text(fields, name)
    if value is None:
        return None
    try:
        return normalise_mac(value)
    except ValueError:
        raise ApiError(400, "invalid_mac", f"{name} must be a MAC such as AA:BB:CC:DD:EE:FF") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
