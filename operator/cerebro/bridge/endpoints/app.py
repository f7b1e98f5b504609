"""Puts the endpoints together: FastAPI for routing and the OpenAPI page, behind the gate. It decides nothing."""

from __future__ import annotations

import inspect
from collections.abc import (
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)

import structlog
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from cerebro.bridge.answers import Answer
from cerebro.bridge.audit.log import AuditLog
from cerebro.bridge.commands.service import CommandService
from cerebro.bridge.devices.family import DeviceFamily
from cerebro.bridge.endpoints.audited import audited
from cerebro.bridge.endpoints.base import BridgeState, Endpoints
from cerebro.bridge.endpoints.commands import CommandEndpoints
from cerebro.bridge.endpoints.devices import DeviceEndpoints
from cerebro.bridge.endpoints.health import HealthEndpoints
from cerebro.bridge.endpoints.hotspot import HotspotEndpoints
from cerebro.bridge.endpoints.identity import IdentityEndpoints
from cerebro.bridge.endpoints.orders import OrderEndpoints
from cerebro.bridge.endpoints.page import (
    INTRODUCTION,
    complete,
    described,
    refusals_of,
    tag_of,
)
from cerebro.bridge.endpoints.probes import ProbeEndpoints
from cerebro.bridge.endpoints.routers import RouterEndpoints
from cerebro.bridge.endpoints.sessions import SessionEndpoints
from cerebro.bridge.endpoints.status import StatusEndpoints
from cerebro.bridge.endpoints.wireguard import WireGuardEndpoints
from cerebro.bridge.errors import ApiError
from cerebro.bridge.http.answers import answer_response, render
from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.gate import Gate
from cerebro.bridge.http.routes import Handler, PathTable, Route
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.orders.service import OrderService
from cerebro.bridge.settings import BridgeSettings
from cerebro.bridge.store.base import NonceStore
from cerebro.bridge.users.service import HotspotUsers

_PAGES = ("/openapi.json", "/docs", "/redoc")
"""What FastAPI adds."""

Answering = Callable[[Request], Awaitable[Response]]
"""A handler that makes the answer whole."""

log = structlog.get_logger(__name__)


def make_routes(
    service: OrderService,
    users: HotspotUsers,
    devices: DeviceFamily,
    commands: CommandService,
    state: Callable[[], BridgeState],
) -> list[Route]:
    """Return all endpoints of a bridge."""
    families: list[Endpoints] = [
        HealthEndpoints(service, state),
        ProbeEndpoints(state),
        StatusEndpoints(service, devices.wireguard, state),
        OrderEndpoints(service),
        HotspotEndpoints(service, users),
        SessionEndpoints(service),
        IdentityEndpoints(service),
        DeviceEndpoints(service),
        RouterEndpoints(service.settings, devices.tunnels, devices.routers),
        WireGuardEndpoints(devices.bindings),
        CommandEndpoints(service.settings, commands),
    ]

    return [route for family in families for route in family.routes()]


def make_app(
    settings: BridgeSettings,
    store: NonceStore,
    metrics: Metrics,
    routes: Iterable[Route],
    audit: AuditLog | None = None,
) -> ASGIApp:
    """Return the application: the gate, and the endpoints behind it.

    `audit` is told of each call that may change something, and of those that
    are refused; None: nobody is.
    """
    audit = audit or AuditLog(None)
    app = _Application(
        title="Cérebro relay",
        description=INTRODUCTION,
        version=settings.version or "dev",
        redirect_slashes=False,
    )

    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _internal_error)

    routes = list(routes)
    paths = dict.fromkeys(_PAGES, Access.TOKEN)
    answering: dict[tuple[str, str], Answering] = {}
    methods: dict[str, list[str]] = {path: ["GET", "HEAD"] for path in _PAGES}
    for route in routes:
        handler = _answering(audited(route, audit))
        answering[route.method, route.path] = handler
        _add(app, route, handler)
        methods.setdefault(route.path, []).append(route.method)

        access = paths.setdefault(route.path, route.access)
        if access is not route.access:
            raise ValueError(
                f"{route.path}: the gate knows one access for all methods of a path"
            )

    app.answering = answering

    # FastAPI keeps the page that it makes at the first call.
    complete(app.openapi(), routes)

    unknown = set(settings.allow_unsigned) - paths.keys() - {"all"}
    if unknown:
        log.warning(
            "RELAY_ALLOW_UNSIGNED names paths that are not served",
            paths=sorted(unknown),
        )

    served = _Methods(app, PathTable(paths), methods)

    return Gate(served, settings, store, metrics, paths, audit=audit)


class _Application(FastAPI):
    """FastAPI, but for the way to an endpoint whose whole path is known.

    It compares a path with each of its routes and resolves dependencies, of
    which we have none: that takes longer than most of our answers. It has the
    paths with parameters, the pages, and the methods that a path lacks.
    """

    answering: Mapping[tuple[str, str], Answering] = {}
    """Handlers by method and path."""

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer a request that the gate let through. Raises ApiError."""
        key = (scope.get("method", ""), scope.get("path", ""))
        handler = self.answering.get(key)
        if handler is None:
            await super().__call__(scope, receive, send)
            return

        response = await handler(Request(scope, receive))
        await response(scope, receive, send)


def _add(app: FastAPI, route: Route, handler: Answering) -> None:
    """Add an endpoint. FastAPI describes its models; the answer itself is made here, so that its bytes are ours."""
    app.add_api_route(
        route.path,
        handler,
        name=route.handler.__name__,
        methods=[route.method],
        summary=route.summary,
        description=inspect.cleandoc(route.handler.__doc__ or ""),
        response_class=PlainTextResponse
        if route.answer is None
        else JSONResponse,
        response_model=route.answer,
        tags=[tag_of(route.path)],
        responses=refusals_of(route),
        response_description="It is done, or so it is.",
        openapi_extra=described(route),
    )


def _answering(handler: Handler) -> Answering:
    """Return a handler for FastAPI: a model becomes its JSON."""

    async def answering(request: Request) -> Response:
        answer = await handler(request)
        if isinstance(answer, Answer):
            return answer_response(answer)

        return answer

    return answering


async def _api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return render(error)


async def _internal_error(_: Request, __: Exception) -> Response:
    """Answer nothing about a fault inside; the gate logs it."""
    return render(ApiError(500, "internal_error", "internal error"))


async def _http_error(_: Request, error: Exception) -> Response:
    """Give the framework's own refusals the shape of ours."""
    assert isinstance(error, HTTPException)

    return render(ApiError(error.status_code, "http_error", str(error.detail)))


class _Methods:
    """Lets through the methods of a path, as the gate reads paths.

    The framework would take `DELETE /peers/status` for `/peers/{key}`, of
    which another caller may be required; and of a path with two methods its
    405 names only the first.
    """

    def __init__(
        self,
        app: ASGIApp,
        paths: PathTable,
        methods: Mapping[str, Sequence[str]],
    ) -> None:
        self._app = app
        self._paths = paths
        self._methods = methods

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        found = None
        if scope["type"] == "http":
            found = self._paths.find(scope["path"])

        if found is None or scope["method"] in self._methods[found[0]]:
            await self._app(scope, receive, send)
            return

        allowed = ", ".join(self._methods[found[0]])
        response = render(
            ApiError(
                405, "method_not_allowed", f"this path is called by {allowed}"
            )
        )
        response.headers["Allow"] = allowed
        await response(scope, receive, send)
