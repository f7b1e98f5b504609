"""Internal endpoints behind the gate (D5): whose address counts (F7)."""

from __future__ import annotations

from typing import Any, cast

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.gate import Gate
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.settings import BridgeSettings

PATH = "/internal/peers/{key:path}"


async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer whether the caller is an operator."""
    internal = Request(scope).state.call.internal
    await PlainTextResponse(str(internal))(scope, receive, send)


def gate(**more: Any) -> Gate:
    settings = BridgeSettings(
        **cast(
            "Any",
            {
                "relay_token": "main",
                "relay_api_secret": "secret",
                "relay_internal_token": "internal",
                "internal_whitelist": "10.1.0.0/16",
                "namespace": "test",
                **more,
            },
        )
    )
    return Gate(
        endpoint,
        settings,
        cast("Any", None),
        Metrics(),
        {PATH: Access.INTERNAL},
    )


async def call(app: Gate, peer: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app, client=(peer, 1))
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://bridge"
    ) as client:
        return await client.delete("/internal/peers/a%2Fb=", headers=named)


@pytest.mark.parametrize(
    ("peer", "headers", "status"),
    [
        ("10.1.0.9", {}, 200),
        ("10.2.0.9", {}, 403),
        ("10.2.0.9", {"x_relay_internal_token": "internal"}, 200),
        ("10.2.0.9", {"x_relay_token": "main"}, 403),
        ("10.1.0.9", {"x_forwarded_for": "203.0.113.7"}, 403),
        ("10.1.0.9", {"x_forwarded_for": "10.1.0.1"}, 403),
        ("10.1.0.9", {"x_real_ip": "203.0.113.7"}, 403),
        ("10.1.0.9", {"forwarded": "for=203.0.113.7"}, 403),
    ],
)
async def test_f7_without_a_trusted_proxy_no_forwarded_request_is_let_in_by_address(
    peer: str, headers: dict[str, str], status: int
) -> None:
    answer = await call(gate(), peer, **headers)
    assert answer.status_code == status
    if status == 200:
        expected = "x_relay_internal_token" in headers
        assert answer.text == str(expected)


async def test_f7_behind_a_trusted_proxy_the_caller_s_own_address_counts() -> (
    None
):
    app = gate(trusted_proxies="192.0.2.1")
    for forwarded, status in (
        ("10.1.0.9", 200),
        ("203.0.113.7", 403),
        ("10.1.0.9, 203.0.113.7", 403),
    ):
        answer = await call(app, "192.0.2.1", x_forwarded_for=forwarded)
        assert answer.status_code == status, forwarded


async def test_who_tries_internal_endpoints_again_and_again_has_to_wait() -> (
    None
):
    app = gate(refusal_limit=2)
    statuses = [(await call(app, "203.0.113.7")).status_code for _ in range(3)]
    assert statuses == [403, 403, 429]
    token = {"x_relay_internal_token": "internal"}
    assert (await call(app, "203.0.113.7", **token)).status_code == 200
