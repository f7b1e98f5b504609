"""Reads single fields of a request, in any of the shapes that clients use.
Pure.

Every reader returns None for a field that is absent, and raises ApiError 400
that names a field it cannot use.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NoReturn

from cerebro.bridge.errors import ApiError, invalid
from cerebro.bridge.intents import Client
from cerebro.resources import normalise_mac
from cerebro.resources.addresses import (
    is_client_ip,
    is_client_mac,
    parse_address,
)

Fields = Mapping[str, Any]
"""A JSON object."""

MAX_MINUTES = 10 * 525_600
"""Ten years: no order is longer."""

MAX_TEXT = 253
"""Characters of a text that has no other limit."""
MAX_TOKEN = 256
"""Characters of a device token."""

_INNER_OBJECTS = ("contexto", "plano", "device", "dispositivo")
"""Objects inside a request in which older clients name phone and router."""
_ROUTER_NAMES = ("mikId", "router", "identity")
_REMEMBERED = 4096
"""Spellings of addresses that are remembered: a phone's come again and again."""
_LOGIN = "router"
"""Where some clients have an object with the router's login, which nobody
reads.
"""
_NOT_PRINTABLE = ("Cc", "Cs")
"""Unicode categories: control characters, lone surrogates."""


def parse_body(body: bytes) -> Fields:
    """Read a body as a JSON object; an empty body is an empty object.

    Raises ApiError 400 INVALID_JSON.
    """
    if not body.strip():
        return {}

    try:
        parsed = _DECODER.decode(body.decode("utf-8"))

        # UTF-8 holds no surrogate, so one can only come of an escape.
        if b"\\ud" in body or b"\\uD" in body:
            _refuse_surrogates(parsed)
    except _UnusableError as error:
        raise _no_json(str(error)) from None
    except json.JSONDecodeError as error:
        raise _no_json(error.msg) from None
    except (ValueError, RecursionError):
        raise _no_json("not readable") from None

    if not isinstance(parsed, dict):
        raise ApiError(400, "INVALID_JSON", "the body must be a JSON object")

    return parsed


def read_client(fields: Fields) -> Client:
    """Return the phone's addresses, from the first of the places where clients
    put them.
    """
    ip: str | None = None
    mac: str | None = None
    for place in places(fields):
        ip = ip or _address(place, "ipAtual") or _address(place, "ip")
        mac = mac or _mac(place, "macAtual") or _mac(place, "mac")

    return Client(mac=mac, ip=ip)


def mik_id(fields: Fields) -> str | None:
    """Return the router's identifier, from the first of the places where
    clients put it.
    """
    for place in places(fields):
        for name in _ROUTER_NAMES:
            if name == _LOGIN and isinstance(place.get(name), Mapping):
                continue

            identifier = text(place, name)
            if identifier:
                return identifier

    return None


def text(fields: Fields, name: str, *, limit: int = MAX_TEXT) -> str | None:
    """Return a text field without blanks around it; None if it is absent, null
    or blank.

    Raises ApiError 400 if it is no text, has more than `limit` characters, or
    control characters.
    """

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
    """Return a text without control characters and lone surrogates, which no
    store or header can carry.
    """
    if value.isprintable():
        return value

    return "".join(
        char
        for char in value
        if unicodedata.category(char) not in _NOT_PRINTABLE
    )


def read_token(fields: Fields) -> str | None:
    """Return the device token; older clients call it `token`.
    `contexto.deviceId` is a router, not a phone.
    """
    return text(fields, "deviceToken", limit=MAX_TOKEN) or text(
        fields, "token", limit=MAX_TOKEN
    )


def read_number(name: str, value: object) -> float:
    """Return a number that is not negative; a text of digits is one too.

    Raises ApiError 400.
    """

    message = f"{name} must be a positive number"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise invalid(message)

    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise invalid(message) from None

    if not math.isfinite(number) or number < 0:
        raise invalid(message)

    return number


def read_moment(fields: Fields, name: str) -> datetime | None:
    """Return an instant in UTC: RFC 3339 with its zone, or milliseconds since
    1970.

    Raises ApiError 400 if it is neither, or not between 1970 and 9000.
    """

    value = fields.get(name)
    if value is None or value == "":
        return None

    moment = _moment(value)
    if moment is None or not 1970 <= moment.year < 9000:
        raise invalid(
            f"{name} must be an instant such as 2026-01-31T12:00:00Z, or milliseconds since 1970, before the "
            "year 9000"
        )

    return moment


def _moment(value: object) -> datetime | None:
    """Return an instant in UTC, None if the value is no instant or has no
    zone.
    """
    try:
        if isinstance(value, bool):
            return None

        if isinstance(value, int | float):
            return datetime.fromtimestamp(value / 1000, UTC)

        if isinstance(value, str):
            written = datetime.fromisoformat(value.strip())
            return (
                written.astimezone(UTC) if written.tzinfo is not None else None
            )
    except (ValueError, OverflowError, OSError):
        return None

    return None


def places(fields: Fields) -> list[Fields]:
    """Return the request itself, then the objects inside it that may name
    phone and router.
    """
    inner = [fields[name] for name in _INNER_OBJECTS if name in fields]
    return [fields, *(value for value in inner if isinstance(value, Mapping))]


def _address(fields: Fields, name: str) -> str | None:
    value = text(fields, name)
    if value is None:
        return None

    try:
        ip, is_clients = _ipv4(value)
    except ValueError:
        raise _invalid_ip(name) from None

    if not is_clients:
        raise ApiError(
            400,
            "invalid_ip",
            f"{name} must be a phone's own address: {ip} can be no client's",
        )

    return ip


def _mac(fields: Fields, name: str) -> str | None:
    value = text(fields, name)
    if value is None:
        return None

    try:
        mac = _normal_mac(value)
    except ValueError:
        raise ApiError(
            400,
            "invalid_mac",
            f"{name} must be a MAC such as AA:BB:CC:DD:EE:FF",
        ) from None

    if not is_client_mac(mac):
        raise ApiError(
            400,
            "invalid_mac",
            f"{name} must be a phone's own MAC: {mac} can be no client's",
        )

    return mac


@lru_cache(_REMEMBERED)
def _ipv4(value: str) -> tuple[str, bool]:
    """Return an IPv4 address in its one spelling, and whether it can be a
    phone's. Raises ValueError, also for IPv6, which the hotspot has not.
    """
    address = parse_address(value)
    if address.version != 4:
        raise ValueError("the hotspot has no IPv6")

    ip = str(address)

    return ip, is_client_ip(ip)


_normal_mac = lru_cache(_REMEMBERED)(normalise_mac)


def _invalid_ip(name: str) -> ApiError:
    return ApiError(
        400,
        "invalid_ip",
        f"{name} must be an IPv4 address such as 10.5.50.10",
    )


class _UnusableError(ValueError):
    """JSON that means nothing here; the text says why."""


def _no_json(reason: str) -> ApiError:
    return ApiError(
        400, "INVALID_JSON", f"the body is no JSON in UTF-8: {reason}"
    )


def _no_constant(name: str) -> NoReturn:
    raise _UnusableError(f"{name} is no JSON")


def _finite(digits: str) -> float:
    """Return a number. Raises _UnusableError for one that no float can be."""
    number = float(digits)
    if not math.isfinite(number):
        raise _UnusableError("a number is too large")

    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object.

    Raises _UnusableError if a name stands twice: which of the values counts,
    each reader of such a body decides for itself.
    """
    fields = dict(pairs)
    if len(fields) == len(pairs):
        return fields

    counts = Counter(name for name, _ in pairs)
    twice = next(name for name, count in counts.items() if count > 1)

    raise _UnusableError(f"{printable(twice)[:MAX_TEXT]!r} stands twice")


_DECODER = json.JSONDecoder(
    parse_constant=_no_constant,
    parse_float=_finite,
    object_pairs_hook=_object,
)


def _refuse_surrogates(parsed: Any) -> None:
    """Raise _UnusableError for half a surrogate pair, which no header, store
    or object of Kubernetes can carry.
    """
    try:
        json.dumps(parsed, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise _UnusableError(
            "an escape such as \\ud83d needs its second half"
        ) from None
