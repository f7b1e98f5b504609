"""Who may call what (D5), and what the bridge says of itself: orders without an end (A5), starting (A8). Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from cerebro.bridge.devices.family import DeviceFamily
from cerebro.bridge.endpoints.app import make_app, make_routes
from cerebro.bridge.errors import ApiError
from cerebro.bridge.http.auth import Access, Tokens
from cerebro.bridge.http.routes import PathTable, Route
from cerebro.bridge.metrics import Metrics, WatchedObjects
from cerebro.bridge.orders.decide import Known, decide
from cerebro.bridge.orders.service import OrderService
from cerebro.bridge.orders.sessions import Sessions
from cerebro.bridge.orders.writes import Create
from cerebro.bridge.settings import BridgeSettings
from cerebro.bridge.store.base import BridgeStore
from cerebro.kube.cache.store import Store as ObjectStore
from cerebro.resources import SESSION, format_time
from support.orders import (
    NAMESPACE,
    NOW,
    PHONE,
    at,
    by_hand,
    device,
    order,
    session,
)

TOKEN_ONLY = {"/relay/health", "/relay/metrics", "/relay/status", "/metrics"}
PROBES = {"/health", "/health/live", "/health/ready", "/health/full"} | {
    "/healthz",
    "/livez",
    "/readyz",
}


def settings(**more: Any) -> BridgeSettings:
    fixed = {
        "relay_token": "main",
        "relay_api_secret": "secret",
        "namespace": NAMESPACE,
    }
    return BridgeSettings(**cast("Any", {**fixed, **more}))


def relay() -> OrderService:
    """One that has heard of nothing yet, and could neither write nor ask."""
    sessions = Sessions(cast("Any", None), ObjectStore(), NAMESPACE)
    return OrderService(
        settings(),
        cast("BridgeStore", None),
        sessions,
        cast("Any", None),
        Metrics(),
        cast("Any", None),
    )


def test_d5_all_but_health_and_metrics_is_signed() -> None:
    missing = cast("Any", None)
    devices = DeviceFamily(missing, missing, missing, missing)
    routes = make_routes(relay(), missing, devices, missing, missing)
    access = {route.path: route.access for route in routes}
    assert {
        path for path, given in access.items() if given is Access.OPEN
    } == PROBES
    assert {
        path
        for path, given in access.items()
        if given
        in (
            *(Access.HEALTH, Access.METRICS),
            *(Access.LOCAL_METRICS, Access.TOKEN),
        )
    } == TOKEN_ONLY
    internal = {
        path for path, given in access.items() if given is Access.INTERNAL
    }
    assert all(path.startswith("/internal/") for path in internal)
    assert all(
        route.access.needs_signature
        for route in routes
        if route.path not in PROBES | TOKEN_ONLY | internal
    )


@pytest.mark.parametrize(
    ("access", "opens"),
    [
        (Access.HEALTH, {"main", "health", "tools"}),
        (Access.METRICS, {"main", "metrics"}),
        (Access.LOCAL_METRICS, {"main", "metrics"}),
        (Access.SIGNED, {"main"}),
        (Access.TOOLS, {"main", "tools"}),
        (Access.EXEC, {"main", "exec"}),
        (Access.KICK, {"main", "tools", "exec"}),
        (Access.TOKEN, {"main"}),
    ],
)
def test_d5_a_narrow_token_opens_its_own_paths_only(
    access: Access, opens: set[str]
) -> None:
    given = settings(
        relay_token_health="health",
        relay_token_tools="tools",
        relay_token_exec="exec",
        metrics_token="metrics",
        relay_internal_token="internal",
    )
    tokens = Tokens(given)
    for token in (
        *("main", "health", "tools", "exec", "metrics", "internal"),
        *("", "other"),
    ):
        for headers in (
            {"x-relay-token": token},
            {"authorization": f"Bearer {token}"},
        ):
            if token in opens:
                tokens.check(access, headers)
                continue
            with pytest.raises(ApiError) as caught:
                tokens.check(access, headers)
            assert (caught.value.status, caught.value.code) == (
                401,
                "UNAUTHORIZED",
            )


@pytest.mark.parametrize(
    ("headers", "address", "code"),
    [
        ({"x-relay-internal-token": "internal"}, None, None),
        ({"x-relay-internal": "internal"}, "198.51.100.9", None),
        ({"x-relay-internal-token": "main"}, None, "forbidden"),
        ({"authorization": "Bearer internal"}, None, "forbidden"),
        ({}, "10.1.2.3", None),
        ({}, "::ffff:10.1.2.3", None),
        ({}, "10.2.0.1", "forbidden"),
        ({}, None, "forbidden"),
    ],
)
def test_d5_internal_endpoints_open_by_their_token_or_by_address(
    headers: dict[str, str], address: str | None, code: str | None
) -> None:
    tokens = Tokens(
        settings(
            relay_internal_token="internal",
            internal_whitelist="10.1.0.0/16, 192.0.2.7",
        )
    )
    if code is None:
        tokens.check_internal(headers, address)
        return
    with pytest.raises(ApiError) as caught:
        tokens.check_internal(headers, address)
    assert (caught.value.status, caught.value.code) == (403, code)


def test_d5_without_an_internal_token_no_token_opens_internal_endpoints() -> (
    None
):
    tokens = Tokens(settings())
    for sent in ("", "main", "anything"):
        with pytest.raises(ApiError) as caught:
            tokens.check_internal({"x-relay-internal-token": sent}, "10.0.0.1")
        assert caught.value.code == "internal_token_not_configured"
        assert not tokens.is_internal({"x-relay-internal": sent})


@pytest.mark.parametrize(
    ("more", "variable"),
    [
        ({"relay_api_secret": None}, "RELAY_API_SECRET"),
        (
            {"relay_api_secret": None, "allow_unsigned": "all"},
            "RELAY_API_SECRET",
        ),
        ({}, "RELAY_INTERNAL_TOKEN"),
    ],
)
def test_d5_a_strict_bridge_does_not_start_without_its_secrets(
    more: dict[str, Any], variable: str
) -> None:
    with pytest.raises(ValueError, match=variable):
        settings(strict_security=True, **more)
    assert settings(
        strict_security=True, relay_internal_token="internal"
    ).strict_security


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/session/init", "/session/init"),
        ("/session/s-1", "/session/{sessionId}"),
        ("/session/a b", "/session/{sessionId}"),
        ("/session/", None),
        ("/session/s-1/", None),
        ("/session/s-1\n", None),
        ("/session/init\n", None),
        ("/session/{sessionId}", "/session/{sessionId}"),
        ("/peers/ab/c+=", "/peers/{key:path}"),
        ("/peers/ab\x00", None),
        ("/devices/a/status", "/devices/{deviceId}/status"),
        ("/devices/a", "/devices/{deviceId}"),
        ("/devices/a/b/status", None),
        ("/devices//status", None),
        ("/peers", None),
        ("/elsewhere", None),
    ],
)
def test_a_path_is_read_strictly_also_with_a_parameter(
    path: str, expected: str | None
) -> None:
    table = PathTable(
        {
            "/session/init": Access.SIGNED,
            "/session/{sessionId}": Access.TOOLS,
            "/peers/{key:path}": Access.INTERNAL,
            "/devices/{deviceId}": Access.SIGNED,
            "/devices/{deviceId}/status": Access.SIGNED,
        }
    )
    found = table.find(path)
    assert (found[0] if found else None) == expected


def test_d5_without_a_secret_the_bridge_starts_only_where_nothing_is_signed() -> (
    None
):
    with pytest.raises(ValueError, match="RELAY_API_SECRET"):
        settings(relay_api_secret=None)
    assert settings(
        relay_api_secret=None, allow_unsigned="all"
    ).unsigned_everywhere


def test_a5_paid_orders_without_an_end_are_warned_of_and_counted() -> None:
    assert any(
        "RELAY_PAID_MINUTES" in warning for warning in settings().warnings()
    )
    assert not any(
        "RELAY_PAID_MINUTES" in warning
        for warning in settings(paid_minutes=60).warnings()
    )
    endless = decide(NAMESPACE, order(), PHONE, Known(device(), NOW))
    ending = decide(
        NAMESPACE,
        order("P-2", duration=timedelta(hours=1)),
        PHONE,
        Known(device(), NOW),
    )
    assert isinstance(endless, Create)
    assert isinstance(ending, Create)
    metrics, objects = Metrics(), ObjectStore()
    metrics.watch(WatchedObjects(objects, NAMESPACE))
    mine = [session(dict(endless.body)), session(dict(ending.body))]
    for number, made in enumerate([*mine, by_hand()]):
        body = made.model_dump(mode="json", by_alias=True)
        body["metadata"]["uid"] = f"uid-{number}"
        objects.deliver(SESSION, "ADDED", body)
    line = 'relay_sessions_without_end{service="relay-cerebro"} 1.0'
    assert line in metrics.text(None)


def test_a5_the_setting_gives_paid_orders_their_end_and_trials_none() -> None:
    known = Known(device(), NOW, default_paid=timedelta(hours=2))
    for asked, written in (
        (order(), "2h"),
        (order(duration=timedelta(hours=1)), "1h"),
        (order(type="Trial", duration=timedelta(minutes=5)), "5m"),
    ):
        made = decide(NAMESPACE, asked, PHONE, known)
        assert isinstance(made, Create)
        assert made.body["spec"]["duration"] == written
    fixed = decide(NAMESPACE, order(expires_at=at(60)), PHONE, known)
    assert isinstance(fixed, Create)
    assert fixed.body["spec"]["expiresAt"] == format_time(at(60))
    assert "duration" not in fixed.body["spec"]


async def test_a8_before_all_devices_are_known_none_is_called_unknown() -> (
    None
):
    """In dry run there is no inbox to wait in: the answer is `starting` at once."""
    starting = relay()
    starting._must_exist("router-1")
    with pytest.raises(ApiError) as caught:
        await starting._pretend(order())
    assert (caught.value.status, caught.value.code) == (503, "starting")


async def test_d5_a_path_is_not_called_as_another_one_that_it_fits_too() -> (
    None
):
    """`/x/status` needs no token, and is no `/x/{key}`, which does."""
    called: list[str] = []

    async def handler(request: Request) -> Response:
        called.append(request.url.path)
        return PlainTextResponse("done")

    def route(method: Any, path: str, access: Access) -> Route:
        return Route(
            method=method,
            path=path,
            access=access,
            handler=handler,
            summary="",
            answer=None,
        )

    routes = [
        route("GET", "/x/status", Access.OPEN),
        route("DELETE", "/x/{key:path}", Access.INTERNAL),
    ]
    app = make_app(settings(), cast("Any", None), Metrics(), routes)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://bridge"
    ) as client:
        refused = await client.delete("/x/status")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET")
        assert refused.json()["code"] == "method_not_allowed"
        assert (await client.delete("/x/other")).status_code == 403
        assert called == []
        assert (await client.get("/x/status")).text == "done"
