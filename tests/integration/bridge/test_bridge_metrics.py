"""`/relay/metrics` and `/metrics` as dashboards read them: names, who may read, and a store that is away."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from integration.bridge.agent import Agent
from integration.bridge.backend import FakeBackend, event
from integration.bridge.caller import IP, MAC, Caller
from integration.bridge.process import TOKEN, BridgeProcess
from support.redis_server import KEEPS_NOTHING, RedisServer

PATHS = ("/relay/metrics", "/metrics")
SERVICE = 'service="relay-cerebro"'


@pytest.fixture
async def router(agent: Agent) -> AsyncIterator[None]:
    """An agent that grants and ends at once."""
    work = asyncio.create_task(agent.work())
    yield
    work.cancel()


async def page(bridge: Caller, path: str = "/metrics") -> str:
    answer = await bridge.get(path, **{"x-relay-token": TOKEN})
    assert answer.status_code == 200, answer.text
    assert (
        answer.headers["content-type"]
        == "text/plain; version=0.0.4; charset=utf-8"
    )
    return answer.text


@pytest.mark.usefixtures("router")
async def test_both_paths_have_the_names_of_both_old_relays(
    bridge: Caller, agent: Agent, order_id: str
) -> None:
    answer = await bridge.until_confirmed.authorize(order_id)
    assert answer.status_code == 200, answer.text
    refused = {
        "action": "REVOKE_SESSION",
        "payload": {"mikId": "nobody", "ip": "1.2.3.4"},
    }
    assert (await bridge.post("/relay/action", refused)).status_code == 400
    session = await bridge.post("/session/init", {})
    assert session.status_code == 400
    # Without a router in the request, that of the session counts.
    place = {"sessionId": "s", "ip": IP, "mac": MAC, "router": "R1"}
    assert (await bridge.post("/session/init", place)).status_code == 200
    named = {"sessionId": "s", "tempo": 60_000}
    answer = await bridge.until_confirmed.post("/session/authorize", named)
    assert answer.status_code == 200, answer.text
    await bridge.until_shown(
        f'active_sessions{{router_id="R1",{SERVICE}}} 2.0'
    )
    for path in PATHS:
        text = await page(bridge, path)
        for line in (
            r"relay_action_AUTHORIZE_BY_PEDIDO_success 2",
            r"relay_action_REVOKE_SESSION_fail 1",
            r"relay_action_fail 1",
            r"relay_action_latency_ms_total [1-9]\d*",
            r"relay_router_R1_action_success 1",
            r"relay_audit_success 2",
            r"relay_consumer_ack_sent 0",
            r"relay_relay_p0_authorize_attempt_total 0",
            r"relay_jobs_total 0",
            r"relay_jobs_oldest_run_at 0",
            r"relay_processed_events_total 0",
            r'relay_authorization_total\{router_id="R1",SERVICE,status="success"\} 2\.0',
            r'relay_authorization_duration_seconds_count\{router_id="R1",SERVICE,status="success"\} 2\.0',
            r'relay_circuit_breaker_state\{router_id="R1",SERVICE\} 0\.0',
            r'relay_paid_orders_waiting\{router_id="R1",SERVICE\} 0\.0',
            r'relay_http_requests_total\{method="POST",route="/session/init",SERVICE,status_code="400"\} 1\.0',
            r'relay_http_request_duration_seconds_count\{.*route="/relay/action",SERVICE,status_code="400"\} 1\.0',
            r"relay_store_up\{SERVICE\} 1\.0",
            r"process_resident_memory_bytes\{SERVICE\} .+",
            r"cerebro_event_loop_held_seconds_count\{SERVICE\} .+",
            r'cerebro_store_objects\{kind="Device",SERVICE\} 1\.0',
        ):
            pattern = line.replace("SERVICE", SERVICE)
            assert re.search(f"^{pattern}$", text, re.MULTILINE), line
        assert "nobody" not in text, "no name that a caller made up"
        assert MAC not in text
        assert IP not in text
        assert list(text_string_to_metric_families(text))

    # What bears the router's name goes with its Device.
    agent.kubectl("delete", "device", "router-1", "--wait=false")
    await eventually_gone(bridge, "R1")


async def eventually_gone(bridge: Caller, router_id: str) -> None:
    for _ in range(60):
        if router_id not in await page(bridge):
            return
        await asyncio.sleep(1.5)
    raise AssertionError(f"{router_id} is shown still")


async def test_d5_who_may_read_them(bridge: Caller) -> None:
    """A program on this host needs no token for /metrics; whom a proxy there brings does (defect 25)."""
    proxied: list[dict[str, str]] = [
        {"x-forwarded-for": "203.0.113.7"},
        {"x-real-ip": "203.0.113.7"},
        {"via": "1.1 proxy"},
        {"host": "relay.example.com"},
        {"connection": "close"},
    ]
    assert (await bridge.get("/metrics")).status_code == 200
    for headers in proxied:
        answer = await bridge.get("/metrics", **headers)
        assert (answer.status_code, answer.json()["code"]) == (
            401,
            "UNAUTHORIZED",
        ), headers
    assert (await bridge.get("/relay/metrics")).status_code == 401
    allowed = {**proxied[0], "authorization": f"Bearer {TOKEN}"}
    assert (await bridge.get("/metrics", **allowed)).status_code == 200


async def test_d5_with_a_token_for_metrics_nobody_reads_them_without(
    start_bridge: Callable[..., BridgeProcess],
) -> None:
    async with Caller(start_bridge(METRICS_TOKEN="metrics-token")) as caller:
        await caller.until_up()
        for path in PATHS:
            assert (await caller.get(path)).status_code == 401
            token = {"x-metrics-token": "metrics-token"}
            assert (await caller.get(path, **token)).status_code == 200
        status = await caller.get("/relay/status", **token)
        assert status.status_code == 401


async def test_they_answer_while_redis_is_away(
    start_bridge: Callable[..., BridgeProcess], agent: Agent, tmp_path: Path
) -> None:
    agent.make_device("router-1", router_id="R1")
    server = RedisServer(tmp_path, *KEEPS_NOTHING)
    try:
        process = start_bridge(RELAY_STORE="redis", REDIS_URL=server.url)
        async with Caller(process) as caller:
            await caller.until_complete()
            text = await page(caller)
            assert f"relay_store_up{{{SERVICE}}} 1.0" in text
            assert "\nrelay_jobs_total 0\n" in text
            count = "relay_redis_operation_duration_seconds_count"
            labels = f'operation="read",{SERVICE},status="success"'
            assert f"{count}{{{labels}}}" in text

            server.stop()
            for path in PATHS:
                text = await page(caller, path)
                assert f"relay_store_up{{{SERVICE}}} 0.0" in text
                assert "\nrelay_jobs_" not in text
                assert "\nrelay_action_attempt 0\n" in text
                assert f'active_sessions{{router_id="R1",{SERVICE}}}' in text
            labels = f'operation="read",{SERVICE},status="failure"'
            assert f"{count}{{{labels}}}" in text

            server.start()
            await caller.until_shown(f"relay_store_up{{{SERVICE}}} 1.0")
    finally:
        server.stop()


@pytest.mark.usefixtures("router")
async def test_events_are_counted_as_events_and_as_actions(
    start_bridge: Callable[..., BridgeProcess], agent: Agent, order_id: str
) -> None:
    agent.make_device("router-1", router_id="R1")
    backend = FakeBackend()
    try:
        backend.until_up()
        async with Caller(start_bridge(**backend.environment)) as caller:
            await caller.until_complete()
            backend.offer(event("e-1", pedidoId=order_id, ip=IP, mac=MAC))
            await caller.until_shown("\nrelay_release_granted 1\n")
            text = await page(caller)
            for line in (
                "relay_action_AUTHORIZE_BY_PEDIDO_success 1",
                "relay_router_R1_action_success 1",
                "relay_processed_events_total 1",
            ):
                assert f"\n{line}\n" in text
            labels = f'job_name="poll",{SERVICE},status="success"'
            assert f"relay_job_duration_seconds_count{{{labels}}}" in text
    finally:
        backend.stop()
