"""Reads single fields of a request, in any of the shapes that clients use. Pure."""

from __future__ import annotations

import ipaddress
import json
import math
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

from cerebro.bridge.errors import ApiError, invalid
from cerebro.bridge.intents import Client
from cerebro.resources import normalise_mac

Fields = Mapping[str, Any]


MAX_MINUTES = 10 * 525_600


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


def read_token(fields: Fields) -> str | None:
    """Find the device token; older clients call it `token`. `contexto.deviceId` is a router, not a phone."""
    return text(fields, "deviceToken", limit=256) or text(fields, "token", limit=256)


def read_number(name: str, value: object) -> float:
    """Read a positive number, also as text. Raises ApiError 400 that names the field."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise invalid(f"{name} must be a positive number")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise invalid(f"{name} must be a positive number") from None
    if not math.isfinite(number) or number < 0:
        raise invalid(f"{name} must be a positive number")
    return number


def read_moment(fields: Fields, name: str) -> datetime | None:
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
