"""The bytes of answers, and what the OpenAPI page says of them: both come of the same models."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast, get_args

import pytest
from fastapi import FastAPI

from cerebro.bridge.answers import Answer, ErrorAnswer
from cerebro.bridge.devices.answers import PeerChange, TunnelAnswer
from cerebro.bridge.endpoints.app import make_app, make_routes
from cerebro.bridge.endpoints.base import BridgeState
from cerebro.bridge.endpoints.health import (
    HealthAnswer,
    HealthEndpoints,
    ReadyAnswer,
)
from cerebro.bridge.errors import ApiError
from cerebro.bridge.http.answers import answer_response, render
from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.routes import Route
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.orders.answers import (
    GrantAnswer,
    HelloAnswer,
    RouterResult,
)
from cerebro.bridge.orders.service import OrderService
from cerebro.bridge.settings import BridgeSettings

MIKROTIK = b'"mikrotik":{"ok":true,"host":null,"commands":[],"dryRun":false,"errors":[]}'
CASES: list[tuple[Answer, bytes]] = [
    (
        GrantAnswer(
            pedido_id="P-é",
            mik_id="R1",
            device_token=None,
            ip=None,
            mac="AA:BB:CC:DD:EE:01",
            mikrotik=RouterResult(host=None, commands=[], dry_run=False),
        ),
        '{"ok":true,"pedidoId":"P-é","mikId":"R1","deviceToken":null,"ip":null,"mac":"AA:BB:CC:DD:EE:01",'.encode()
        + MIKROTIK
        + b"}",
    ),
    (
        HelloAnswer(
            device_token="t",
            mik_id="R1",
            ip_atual="10.5.50.10",
            mac_atual=None,
        ),
        b'{"ok":true,"deviceToken":"t","mikId":"R1","ipAtual":"10.5.50.10","macAtual":null}',
    ),
    (
        TunnelAnswer(
            created_peer=PeerChange(created=True, updated=False),
            commands=["a"],
        ),
        b'{"ok":true,"createdPeer":{"created":true,"updated":false},"commands":["a"]}',
    ),
    (HealthAnswer(status="ok"), b'{"status":"ok"}'),
    (
        HealthAnswer(status="degraded", dry_run=True),
        b'{"status":"degraded","dryRun":true}',
    ),
    (
        ReadyAnswer(
            status="not ready", uptime=1.5, database="failed", hmac="ok"
        ),
        b'{"status":"not ready","uptime":1.5,"database":"failed","hmac":"ok"}',
    ),
]


@pytest.mark.parametrize(("answer", "expected"), CASES)
def test_an_answer_has_its_fields_in_their_order_and_leaves_out_what_is_absent(
    answer: Answer, expected: bytes
) -> None:
    response = answer_response(answer)
    assert response.body == expected
    assert response.headers["content-type"] == "application/json"


def test_readiness_is_a_status_for_probes() -> None:
    for status, expected in (("ready", 200), ("not ready", 503)):
        answer = ReadyAnswer(
            status=cast("Any", status), uptime=1.0, database="ok", hmac="ok"
        )
        assert answer_response(answer).status_code == expected


def test_an_error_is_what_its_model_says() -> None:
    error = ApiError(429, "rate_limited", "too many", retryInMs=1000)
    body = json.loads(bytes(render(error).body))
    read = ErrorAnswer.model_validate(body)
    assert read.model_dump(by_alias=True) == body
    assert list(body) == ["ok", "code", "error", "message", "retryInMs"]
    assert read.error == read.message == "too many"


def all_routes() -> list[Route]:
    settings = BridgeSettings(
        **cast(
            "Any",
            {
                "relay_token": "main",
                "relay_api_secret": "secret",
                "namespace": "test",
            },
        )
    )
    missing = cast("Any", None)
    service = OrderService(
        settings, missing, missing, missing, Metrics(), missing
    )
    return make_routes(service, missing, missing, missing, missing)


def openapi() -> dict[str, Any]:
    settings = BridgeSettings(
        **cast(
            "Any",
            {
                "relay_token": "main",
                "relay_api_secret": "secret",
                "namespace": "test",
            },
        )
    )
    gate = make_app(settings, cast("Any", None), Metrics(), all_routes())
    app: FastAPI = cast("Any", gate)._app
    return app.openapi()


def test_the_page_lists_every_endpoint_with_the_model_of_its_answer() -> None:
    page = openapi()
    listed = {
        (method.upper(), path)
        for path, methods in page["paths"].items()
        for method in methods
    }
    assert listed == {(route.method, route.path) for route in all_routes()}
    for route in all_routes():
        responses = page["paths"][route.path][route.method.lower()][
            "responses"
        ]
        if route.answer is None:
            assert list(responses["200"]["content"]) == ["text/plain"]
            continue
        schema = responses["200"]["content"]["application/json"]["schema"]
        references = [part["$ref"] for part in schema.get("anyOf", [schema])]
        models = get_args(route.answer) or (route.answer,)
        assert references == [
            f"#/components/schemas/{model.__name__}" for model in models
        ]
        error = responses["400"]["content"]["application/json"]["schema"][
            "$ref"
        ]
        assert error == "#/components/schemas/ErrorAnswer"


def test_the_page_says_which_fields_may_be_absent() -> None:
    schemas = openapi()["components"]["schemas"]
    grant = schemas["GrantAnswer"]
    assert set(grant["properties"]) - set(grant["required"]) == {
        "clientSeen",
        "warning",
    }
    assert list(grant["properties"]) == [
        "ok",
        "pedidoId",
        "mikId",
        "deviceToken",
        "ip",
        "mac",
        "mikrotik",
        "clientSeen",
        "warning",
    ]


@pytest.mark.parametrize(
    ("failure", "word"), [("disk I/O error", "failed"), (None, "ok")]
)
async def test_s10_readiness_shows_no_internal_text(
    failure: str | None, word: str
) -> None:
    service = SimpleNamespace(settings=SimpleNamespace(secret="x"))
    state = BridgeState(ready=False, healthy=False, store_failure=failure)
    health = HealthEndpoints(cast("Any", service), lambda: state)
    body = answer_response(await health.ready(cast("Any", None))).body
    assert json.loads(bytes(body))["database"] == word
    assert b"disk" not in bytes(body)


def test_the_page_says_who_may_call_each_endpoint_and_how_it_refuses() -> None:
    page = openapi()
    assert set(page["components"]["securitySchemes"]) == {
        "bearer",
        "relayToken",
        "metricsToken",
        "internalToken",
    }
    for route in all_routes():
        told = page["paths"][route.path][route.method.lower()]
        assert len(told["tags"]) == 1
        assert told["description"]
        headers = {
            parameter["name"]
            for parameter in told.get("parameters", [])
            if parameter["in"] == "header"
        }
        assert ("x-relay-signature" in headers) is route.access.needs_signature
        assert ("security" in told) is (route.access is not Access.OPEN)
        assert ("401" in told["responses"]) is ("security" in told)
        assert all(
            answer["description"] for answer in told["responses"].values()
        )


def test_the_page_names_the_parameters_of_paths_and_queries() -> None:
    paths = openapi()["paths"]
    (session_id,) = [
        parameter
        for parameter in paths["/session/{sessionId}"]["get"]["parameters"]
        if parameter["in"] == "path"
    ]
    assert (session_id["name"], session_id["required"]) == ("sessionId", True)
    queries = [
        parameter["name"]
        for parameter in paths["/relay/identity/status"]["get"]["parameters"]
        if parameter["in"] == "query"
    ]
    assert queries == ["sid", "identity"]
