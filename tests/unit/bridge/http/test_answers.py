"""The bytes of answers."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cerebro.bridge.answers import Answer, ErrorAnswer
from cerebro.bridge.devices.answers import PeerChange, TunnelAnswer
from cerebro.bridge.endpoints.base import BridgeState
from cerebro.bridge.endpoints.health import (
    HealthAnswer,
    HealthEndpoints,
    ReadyAnswer,
)
from cerebro.bridge.errors import ApiError
from cerebro.bridge.http.answers import answer_response, render
from cerebro.bridge.orders.answers import (
    GrantAnswer,
    HelloAnswer,
    RouterResult,
)

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
