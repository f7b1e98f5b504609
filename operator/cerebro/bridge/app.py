"""Puts the endpoints together: FastAPI for routing and the OpenAPI page, behind the gate. It decides
nothing."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from cerebro.bridge.endpoints.orders import Handlers
from cerebro.bridge.errors import ApiError
from cerebro.bridge.http.answers import render
from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.gate import Gate
from cerebro.bridge.http.routes import Route
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.settings import BridgeSettings
from cerebro.bridge.store.base import NonceStore

_ERROR = {
    "type": "object",
    "properties": {
        "ok": {"type": "boolean", "enum": [False]},
        "code": {"type": "string"},
        "error": {"type": "string"},
        "message": {"type": "string"},
    },
}
_CODES = ("400", "401", "404", "409", "413", "429", "503")


def make_app(settings: BridgeSettings, store: NonceStore, metrics: Metrics, handlers: Handlers) -> ASGIApp:
    """Make the application: the gate, and behind it the endpoints."""
    app = FastAPI(
        title="Cérebro relay",
        description="HTTP for the billing backend: orders in, Sessions out. Every POST is signed.",
        version=settings.version or "dev",
        redirect_slashes=False,
    )
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _internal_error)
    routes = handlers.routes()
    for route in routes:
        app.add_api_route(
            route.path,
            route.handler,
            methods=[route.method],
            summary=route.summary,
            response_class=Response,
            response_model=None,
            openapi_extra=_described(route),
        )
    paths = {route.path: route.access for route in routes}
    pages = ("/openapi.json", "/docs", "/redoc")
    return Gate(app, settings, store, metrics, paths | dict.fromkeys(pages, Access.TOKEN))


async def _api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return render(error)


async def _internal_error(_: Request, __: Exception) -> Response:
    """Say nothing of what went wrong inside; the gate logs it."""
    return render(ApiError(500, "internal_error", "internal error"))


async def _http_error(_: Request, error: Exception) -> Response:
    """Give the framework's own refusals, such as a wrong method, the shape of ours."""
    assert isinstance(error, HTTPException)
    codes = {405: ("method_not_allowed", "this path has another method")}
    code, text = codes.get(error.status_code, ("http_error", str(error.detail)))
    return render(ApiError(error.status_code, code, text))


def _described(route: Route) -> dict[str, Any]:
    """Describe an endpoint for the page: what it takes, who may call it, what goes wrong."""
    found: dict[str, Any] = {
        "responses": {
            code: {"description": "Error", "content": {"application/json": {"schema": _ERROR}}}
            for code in _CODES
        },
    }
    if route.example is not None:
        schema = {"type": "object", "example": dict(route.example)}
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if route.access is not Access.OPEN:
        names = ["authorization"]
        if route.access is Access.SIGNED:
            names += ["x-relay-ts", "x-relay-nonce", "x-relay-signature"]
        found["parameters"] = [
            {"in": "header", "name": name, "required": True, "schema": {"type": "string"}} for name in names
        ]
    return found
