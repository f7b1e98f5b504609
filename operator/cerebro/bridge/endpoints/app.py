"""Puts the endpoints together: FastAPI for routing and the OpenAPI page, behind the gate. It decides nothing."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Literal

import structlog
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp

from cerebro.bridge.answers import Answer, ErrorAnswer
from cerebro.bridge.devices.tunnels import Tunnels
from cerebro.bridge.devices.wireguard import WireGuardView
from cerebro.bridge.endpoints.base import BridgeState, Endpoints
from cerebro.bridge.endpoints.devices import DeviceEndpoints
from cerebro.bridge.endpoints.health import HealthEndpoints
from cerebro.bridge.endpoints.hotspot import HotspotEndpoints
from cerebro.bridge.endpoints.identity import IdentityEndpoints
from cerebro.bridge.endpoints.orders import OrderEndpoints
from cerebro.bridge.endpoints.sessions import SessionEndpoints
from cerebro.bridge.endpoints.status import StatusEndpoints
from cerebro.bridge.errors import ApiError
from cerebro.bridge.http.answers import answer_response, render
from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.gate import Gate
from cerebro.bridge.http.routes import Handler, Route
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.orders.service import OrderService
from cerebro.bridge.settings import BridgeSettings
from cerebro.bridge.store.base import NonceStore

_PAGES = ("/openapi.json", "/docs", "/redoc")
"""What FastAPI adds."""
_ERRORS = (400, 401, 403, 404, 409, 413, 429, 503)
_SIGNATURE_HEADERS = ("x-relay-ts", "x-relay-nonce", "x-relay-signature")
_PARAMETERS = re.compile(r"\{(\w+)(?::path)?\}")
"""The parameters in the path of a Route."""

log = structlog.get_logger(__name__)


def make_routes(
    service: OrderService,
    tunnels: Tunnels,
    wireguard: WireGuardView,
    state: Callable[[], BridgeState],
) -> list[Route]:
    """Return all endpoints of a bridge."""
    families: list[Endpoints] = [
        HealthEndpoints(service, state),
        StatusEndpoints(service, wireguard, state),
        OrderEndpoints(service),
        HotspotEndpoints(service),
        SessionEndpoints(service),
        IdentityEndpoints(service),
        DeviceEndpoints(service, tunnels),
    ]

    return [route for family in families for route in family.routes()]


def make_app(
    settings: BridgeSettings,
    store: NonceStore,
    metrics: Metrics,
    routes: Iterable[Route],
) -> ASGIApp:
    """Return the application: the gate, and the endpoints behind it."""
    app = FastAPI(
        title="Cérebro relay",
        description="HTTP for the billing backend: orders in, Sessions out. Every POST is signed.",
        version=settings.version or "dev",
        redirect_slashes=False,
    )

    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _internal_error)

    paths = dict.fromkeys(_PAGES, Access.TOKEN)
    for route in routes:
        _add(app, route)

        access = paths.setdefault(route.path, route.access)
        if access is not route.access:
            raise ValueError(
                f"{route.path}: the gate knows one access for all methods of a path"
            )

    unknown = set(settings.allow_unsigned) - paths.keys() - {"all"}
    if unknown:
        log.warning(
            "RELAY_ALLOW_UNSIGNED names paths that are not served",
            paths=sorted(unknown),
        )

    return Gate(app, settings, store, metrics, paths)


def _add(app: FastAPI, route: Route) -> None:
    """Add an endpoint. FastAPI describes its models; the answer itself is made here, so that its bytes are ours."""
    models = dict.fromkeys(_ERRORS, ErrorAnswer) | dict(
        route.answers_by_status
    )

    app.add_api_route(
        route.path,
        _answering(route.handler),
        name=route.handler.__name__,
        methods=[route.method],
        summary=route.summary,
        description=route.handler.__doc__ or "",
        response_class=PlainTextResponse
        if route.answer is None
        else JSONResponse,
        response_model=route.answer,
        responses={
            status: {"model": model, "description": "Error"}
            for status, model in models.items()
        },
        openapi_extra=_described(route),
    )


def _answering(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Return a handler for FastAPI: a model becomes its JSON."""

    async def answering(request: Request) -> Response:
        answer = await handler(request)
        if isinstance(answer, Answer):
            return answer_response(answer)

        return answer

    return answering


def _described(route: Route) -> dict[str, Any]:
    """Return what FastAPI cannot see: the body that an endpoint takes, and the headers that the gate checks."""
    described: dict[str, Any] = {}
    if route.example is not None:
        schema = {"type": "object", "example": dict(route.example)}
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }

    parameters = [
        _parameter("path", name) for name in _PARAMETERS.findall(route.path)
    ]
    parameters += [
        _parameter("query", name, description)
        for name, description in route.query.items()
    ]
    parameters += [_parameter("header", name) for name in _headers_of(route)]
    if parameters:
        described["parameters"] = parameters

    return described


def _headers_of(route: Route) -> list[str]:
    """Return the headers that the gate checks of a call to an endpoint."""
    if route.access is Access.OPEN:
        return []

    if route.access is Access.INTERNAL:
        return ["x-relay-internal-token"]

    headers = ["authorization"]
    if route.access.needs_signature:
        headers.extend(_SIGNATURE_HEADERS)

    return headers


def _parameter(
    place: Literal["path", "query", "header"], name: str, description: str = ""
) -> dict[str, Any]:
    """Return a parameter for the page; what the query has may be absent."""
    parameter: dict[str, Any] = {
        "in": place,
        "name": name,
        "required": place != "query",
        "schema": {"type": "string"},
    }
    if description:
        parameter["description"] = description

    return parameter


async def _api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return render(error)


async def _internal_error(_: Request, __: Exception) -> Response:
    """Answer nothing about a fault inside; the gate logs it."""
    return render(ApiError(500, "internal_error", "internal error"))


async def _http_error(_: Request, error: Exception) -> Response:
    """Give the framework's own refusals, such as a wrong method, the shape of ours."""
    assert isinstance(error, HTTPException)

    if error.status_code == 405:
        return render(
            ApiError(405, "method_not_allowed", "this path has another method")
        )

    return render(ApiError(error.status_code, "http_error", str(error.detail)))
