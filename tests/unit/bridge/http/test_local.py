"""Who reads the metrics without a token: a program on this host, and nobody through a proxy on it (D5)."""

from __future__ import annotations

from typing import Any, cast

import httpx
import pytest
from starlette.responses import PlainTextResponse

from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.gate import Gate
from cerebro.bridge.http.local import comes_from_this_host
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.settings import BridgeSettings

HOST = {"host": "127.0.0.1:3001"}


@pytest.mark.parametrize(
    ("peer", "version", "headers", "local"),
    [
        ("127.0.0.1", "1.1", HOST, True),
        ("127.0.0.9", "1.1", {"host": "localhost"}, True),
        ("::1", "1.1", {"host": "[::1]:3001"}, True),
        ("::ffff:127.0.0.1", "1.1", {"host": "LOCALHOST:3001"}, True),
        ("10.0.0.9", "1.1", HOST, False),
        ("", "1.1", HOST, False),
        ("unix", "1.1", HOST, False),
        # Signs of a proxy.
        ("127.0.0.1", "1.0", HOST, False),
        ("127.0.0.1", "1.1", HOST | {"connection": "close"}, False),
        ("127.0.0.1", "1.1", HOST | {"x-forwarded-for": "9.9.9.9"}, False),
        ("127.0.0.1", "1.1", HOST | {"x-forwarded-proto": "https"}, False),
        ("127.0.0.1", "1.1", HOST | {"forwarded": "for=9.9.9.9"}, False),
        ("127.0.0.1", "1.1", HOST | {"x-real-ip": "9.9.9.9"}, False),
        ("127.0.0.1", "1.1", HOST | {"via": "1.1 proxy"}, False),
        ("127.0.0.1", "1.1", {"host": "relay.example.com"}, False),
        ("127.0.0.1", "1.1", {}, False),
    ],
)
def test_d5_every_sign_of_a_proxy_counts(
    peer: str, version: str, headers: dict[str, str], local: bool
) -> None:
    assert comes_from_this_host(peer, version, headers) is local


async def status_of(
    path: str, peer: str = "127.0.0.1", token: str = "", **more: Any
) -> int:
    settings = BridgeSettings(
        **cast(
            "Any",
            {
                "relay_token": "main",
                "relay_api_secret": "secret",
                "relay_internal_token": "internal",
                "namespace": "test",
                **more,
            },
        )
    )
    paths = {
        "/metrics": Access.LOCAL_METRICS,
        "/relay/metrics": Access.METRICS,
        "/relay/status": Access.TOKEN,
    }
    gate = Gate(
        PlainTextResponse("figures"),
        settings,
        cast("Any", None),
        Metrics(),
        paths,
    )
    transport = httpx.ASGITransport(gate, client=(peer, 1))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:3001"
    ) as client:
        headers = {"x-metrics-token": token} if token else {}
        return (await client.get(path, headers=headers)).status_code


@pytest.mark.parametrize(
    ("path", "peer", "token", "more", "status"),
    [
        ("/metrics", "127.0.0.1", "", {}, 200),
        ("/metrics", "10.0.0.9", "", {}, 401),
        ("/relay/metrics", "127.0.0.1", "", {}, 401),
        ("/relay/status", "127.0.0.1", "", {}, 401),
        # With a token for metrics nobody is let in without one.
        ("/metrics", "127.0.0.1", "", {"metrics_token": "m"}, 401),
        ("/metrics", "127.0.0.1", "wrong", {"metrics_token": "m"}, 401),
        ("/metrics", "10.0.0.9", "m", {"metrics_token": "m"}, 200),
        ("/metrics", "10.0.0.9", "main", {"metrics_token": "m"}, 200),
        ("/relay/metrics", "10.0.0.9", "m", {"metrics_token": "m"}, 200),
        # A strict bridge trusts no address, nor one that a proxy has.
        ("/metrics", "127.0.0.1", "", {"strict_security": True}, 401),
        ("/metrics", "127.0.0.1", "", {"trusted_proxies": "127.0.0.1"}, 401),
    ],
)
async def test_d5_metrics_are_open_to_programs_on_this_host_only(
    path: str, peer: str, token: str, more: dict[str, Any], status: int
) -> None:
    assert await status_of(path, peer, token, **more) == status
