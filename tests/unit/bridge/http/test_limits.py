"""Who is refused for calling too often, and when it may come back (F7, case Z6). The gate, with a faked application."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.types import Message, Receive, Scope, Send

from cerebro.bridge.endpoints.orders import _error_of_action
from cerebro.bridge.errors import ApiError
from cerebro.bridge.http.answers import render
from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.gate import Gate
from cerebro.bridge.http.rate_limit import MAX_CALLERS, Callers, Limiter
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.orders.outcomes import breaker_open
from cerebro.bridge.settings import BridgeSettings
from cerebro.resources import Device
from support.orders import NOW, device

PATH = "/relay/health"


async def answered(scope: Scope, receive: Receive, send: Send) -> None:
    """Stand in for the application."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def make_gate(**more: Any) -> Gate:
    fixed: dict[str, Any] = {
        "relay_token": "main",
        "relay_api_secret": "secret",
        "namespace": "test",
    }
    settings = BridgeSettings(**cast("Any", {**fixed, **more}))
    paths = {PATH: Access.HEALTH}
    return Gate(answered, settings, cast("Any", None), Metrics(), paths)


async def call(
    gate: Gate, token: str, address: str, forwarded: str = ""
) -> tuple[int, dict[str, str]]:
    """Call the path through the gate; return status and headers."""
    sent: list[Message] = []
    headers = [
        (b"x-relay-token", token.encode()),
        (b"x-forwarded-for", forwarded.encode()),
    ]
    scope = {
        "type": "http",
        "method": "GET",
        "path": PATH,
        "headers": headers,
        "client": (address, 1),
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await gate(scope, receive, send)
    named = {
        name.decode().lower(): value.decode()
        for name, value in sent[0]["headers"]
    }
    return sent[0]["status"], named


async def statuses(gate: Gate, address: str, count: int) -> list[int]:
    return [(await call(gate, "wrong", address))[0] for _ in range(count)]


async def test_f7_callers_without_a_valid_token_are_limited_by_address() -> (
    None
):
    gate = make_gate(refusal_limit=3)
    assert await statuses(gate, "198.51.100.1", 5) == [401, 401, 401, 429, 429]
    assert await statuses(gate, "198.51.100.2", 1) == [401]
    status, headers = await call(gate, "wrong", "198.51.100.1")
    assert (status, int(headers["retry-after"]) > 0) == (429, True)


async def test_f7_a_valid_token_is_let_in_however_often_others_were_refused() -> (
    None
):
    gate = make_gate(refusal_limit=1)
    await statuses(gate, "198.51.100.1", 9)
    assert (await call(gate, "main", "198.51.100.1"))[0] == 200


async def test_f7_a_network_of_ipv6_is_one_caller() -> None:
    gate = make_gate(refusal_limit=1)
    assert await statuses(gate, "2001:db8::1", 1) == [401]
    assert await statuses(gate, "2001:db8::2", 1) == [429]
    assert await statuses(gate, "2001:db8:0:1::1", 1) == [401]


async def test_f7_behind_a_trusted_proxy_the_forwarded_address_counts() -> (
    None
):
    gate = make_gate(refusal_limit=1, trusted_proxies="10.0.0.0/8")
    for address, expected in (
        ("198.51.100.1", 401),
        ("198.51.100.2", 401),
        ("198.51.100.1", 429),
    ):
        assert (await call(gate, "wrong", "10.0.0.1", address))[0] == expected


def test_f7_what_is_counted_is_bounded() -> None:
    limiter = Limiter(1, 60.0)
    for number in range(MAX_CALLERS + 10):
        limiter.check(str(number), 0.0)
    assert len(limiter._counts) == MAX_CALLERS
    assert Callers(()).network("no address", "") == "no address"


def test_every_429_says_when_to_come_back() -> None:
    limiter = Limiter(1, 60.0)
    limiter.check("a", 0.0)
    with pytest.raises(ApiError) as refused:
        limiter.check("a", 20.5)
    answer = render(refused.value)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "40")
    assert json.loads(bytes(answer.body))["retryInMs"] == 40_000


def test_a_503_of_an_open_breaker_says_when_to_come_back() -> None:
    until = NOW + timedelta(seconds=12.2)
    circuit = SimpleNamespace(state="Open", open_until=until)
    status = SimpleNamespace(circuit=circuit)
    broken = SimpleNamespace(status=status, router_id="R1")
    error = breaker_open(cast("Device", broken), NOW)
    assert error is not None
    for same in (error, _error_of_action(error, "REVOKE_SESSION", "trace")):
        assert render(same).headers["retry-after"] == "13"


def test_a_503_without_a_known_time_says_none() -> None:
    assert breaker_open(device(), NOW) is None
    assert "retry-after" not in render(ApiError(503, "starting", "no")).headers
