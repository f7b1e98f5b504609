"""Tells the audit log of each call that changes something: when it begins, and
what it came to.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from cerebro.bridge.answers import Answer
from cerebro.bridge.audit.log import ATTEMPT, FAIL, SUCCESS, AuditLog
from cerebro.bridge.errors import ApiError
from cerebro.bridge.http.answers import Call
from cerebro.bridge.http.routes import Handler, Route
from cerebro.bridge.intents import Client
from cerebro.bridge.requests.fields import (
    Fields,
    parse_body,
    places,
)
from cerebro.resources import normalise_mac

_ACTIONS = {
    "/relay/authorize-by-pedido": "AUTHORIZE_BY_PEDIDO",
    "/relay/hotspot/authorize": "AUTHORIZE_BY_PEDIDO",
    "/relay/resync-device": "RESYNC_DEVICE",
    "/relay/revoke": "REVOKE_SESSION",
    "/relay/hotspot/revoke": "REVOKE_SESSION",
    "/relay/identity/retry-now": "OPS_RETRY_NOW_OVERRIDE_COOLDOWN",
}
"""The old relay's names of actions; others are named after their path."""

_BY_NAME = "/relay/action"
"""The path whose body names the action, and may name a trace."""

_NOTHING_CHANGES = frozenset(
    {
        "/hotspot/active",
        "/relay/arp-print",
        "/relay/arp/lookup",
        "/relay/device/hello",
        "/relay/ping",
    }
)
"""Paths of calls that change nothing by themselves: a router is asked, or a
phone was seen. A hello that moves a Session is told where that is decided.
"""

_ORDER_NAMES = ("pedidoId", "orderCode", "sessionId")
_ROUTER_NAMES = (
    "mikId",
    "routerHint",
    "router",
    "identity",
    "deviceId",
    "id",
    "publicKey",
)
_MAC_NAMES = ("macAtual", "mac")
_IP_NAMES = ("ipAtual", "ip")
_MAX_TEXT = 256
_PARAMETER = re.compile(r"\{[^}]*\}")
_NOT_IN_ACTIONS = re.compile(r"[^A-Z0-9]+")


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a call is about, as far as it can be read."""

    action: str
    trace_id: str
    client: Client
    details: dict[str, Any]


def audited(route: Route, audit: AuditLog) -> Handler:
    """Return the handler of a route, with a line for its begin and another one
    for what it came to, if it may change anything.
    """
    if not audit.on or not _may_change(route):
        return route.handler

    async def handler(request: Request) -> Answer | Response:
        call: Call = request.state.call
        fields = _fields(request, call)
        subject = _subject(route, call, fields, request.path_params)
        tell = _teller(audit, subject)
        tell(ATTEMPT, payload={**request.path_params, **fields})

        try:
            answer = await route.handler(request)
        except ApiError as error:
            tell(
                FAIL,
                code=error.code,
                status=error.status,
                error=error.text,
                pending=error.extra.get("pending"),
                durationMs=_milliseconds_since(call.arrived),
            )
            raise
        except Exception:
            tell(
                FAIL,
                code="internal_error",
                status=500,
                durationMs=_milliseconds_since(call.arrived),
            )
            raise

        tell(SUCCESS, durationMs=_milliseconds_since(call.arrived))

        return answer

    return handler


def _may_change(route: Route) -> bool:
    return route.method != "GET" and route.path not in _NOTHING_CHANGES


def _teller(audit: AuditLog, subject: _Subject) -> Any:
    """Return what tells a line about a call."""

    def tell(kind: str, **details: Any) -> None:
        audit.tell(
            kind,
            subject.action,
            source="http",
            trace_id=subject.trace_id,
            client=subject.client,
            **subject.details,
            **details,
        )

    return tell


def _fields(request: Request, call: Call) -> Fields:
    """Return the fields of a body, and keep them for who reads it next; none
    of one that is refused later.
    """
    try:
        fields = parse_body(call.body)
    except ApiError:
        return {}

    request.state.fields = fields

    return fields


def _subject(
    route: Route, call: Call, fields: Fields, parameters: Mapping[str, Any]
) -> _Subject:
    """Return what a call is about. What cannot be read is left out: the call
    itself is refused for it.
    """
    action = _ACTIONS.get(route.path) or _named_after(route)
    trace_id = call.trace_id

    if route.path == _BY_NAME:
        action = _text(fields, "action") or action
        trace_id = _text(fields, "traceId") or trace_id

    named = [parameters, *places(fields)]
    mac = _first(named, _MAC_NAMES)

    return _Subject(
        action,
        trace_id,
        Client(mac=_normal(mac), ip=_first(named, _IP_NAMES)),
        {
            "order": _first(named, _ORDER_NAMES),
            "router": _first(named, _ROUTER_NAMES),
        },
    )


def _named_after(route: Route) -> str:
    """Return the name of an action after its path: `/relay/exec-by-device` is
    EXEC_BY_DEVICE.
    """
    path = _PARAMETER.sub("", route.path).removeprefix("/relay/")
    name = _NOT_IN_ACTIONS.sub("_", path.upper()).strip("_")

    return name if route.method == "POST" else f"{route.method}_{name}"


def _first(named: Sequence[Fields], names: tuple[str, ...]) -> str | None:
    """Return the first text that has one of the names; the earlier place
    counts, then the earlier name.
    """
    for place in named:
        for name in names:
            value = place.get(name)
            text = _shown(value) if value else None
            if text:
                return text

    return None


def _text(fields: Fields, name: str) -> str | None:
    """Return a text of the request as it came, and no longer than a line may
    have.
    """
    return _shown(fields.get(name))


def _shown(value: object) -> str | None:
    return value.strip()[:_MAX_TEXT] if isinstance(value, str) else None


def _normal(mac: str | None) -> str | None:
    """Return a MAC as records have it; what is none as it came."""
    if mac is None:
        return None

    try:
        return normalise_mac(mac)
    except ValueError:
        return mac


def _milliseconds_since(arrived: float) -> int:
    return round((time.monotonic() - arrived) * 1000)
