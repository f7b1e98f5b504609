"""The endpoints as the clients of the old relay call them: request, status, and the fields that each client reads.

The clients look at the status first; a customer counts as let in after any 2xx.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from cerebro.resources.naming import ANNOTATION_TRACE_ID
from integration.bridge.agent import Agent, condition
from integration.bridge.caller import IP, MAC, Caller, eventually
from integration.bridge.process import SECRET, TOKEN, BridgeProcess

TOKENS = {
    "RELAY_TOKEN_TOOLS": "tools-token",
    "RELAY_TOKEN_EXEC": "exec-token",
    "RELAY_TOKEN_HEALTH": "health-token",
    "RELAY_INTERNAL_TOKEN": "internal-token",
}
OPERATOR = {"X-Relay-Internal": "internal-token"}
KEY = "A" * 43 + "="
CLIENT = {"ip": IP, "mac": MAC}
SIGNED = (
    "/relay/hotspot/authorize",
    "/relay/hotspot/revoke",
    "/relay/hotspot/ensure-user",
    "/relay/hotspot/upload-redirect",
    "/relay/upload-redirect",
    "/relay/identity/refresh",
    "/relay/identity/retry-now",
    "/session/init",
    "/session/start",
    "/session/authorize",
    "/session/revoke",
)
"""Endpoints that take a POST."""


class Dashboard:
    """The newest dashboard: form B, a Bearer token, and an id for each request."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def post(
        self, path: str, fields: dict[str, Any], **headers: str
    ) -> httpx.Response:
        return await self._send("POST", path, json.dumps(fields), headers)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self._send("GET", path, "", headers)

    async def until_confirmed(
        self, path: str, fields: dict[str, Any], **headers: str
    ) -> httpx.Response:
        """Call once more, as clients do, while the answer is 503."""
        for _ in range(20):
            answer = await self.post(path, fields, **headers)
            if answer.status_code != 503:
                return answer
        return answer

    async def _send(
        self, method: str, path: str, text: str, headers: dict[str, str]
    ) -> httpx.Response:
        body = text.encode()
        request_id = headers.pop("request_id", secrets.token_hex(8))
        signed = self._caller.signed(path, body, form="B", method=method)
        answer = await self._caller.raw(
            path,
            body,
            {**signed, "x-request-id": request_id, **headers},
            method,
        )
        assert answer.headers["x-request-id"] == request_id
        assert answer.headers["content-type"] == "application/json"
        if answer.status_code >= 400:
            shown = answer.json()
            assert shown["ok"] is False
            assert shown["code"]
            assert shown["error"] == shown["message"] != ""
        return answer


@pytest.fixture
async def relay(
    start_bridge: Callable[..., BridgeProcess], agent: Agent
) -> AsyncIterator[Caller]:
    """A bridge that has all of the old relay's tokens, and the Device R1."""
    agent.make_device("router-1", router_id="R1")
    async with Caller(start_bridge(**TOKENS)) as caller:
        await caller.until_complete()
        yield caller


@pytest.fixture
async def router(agent: Agent) -> AsyncIterator[None]:
    """An agent that grants and ends at once."""
    work = asyncio.create_task(agent.work())
    yield
    work.cancel()


async def test_the_endpoints_that_say_how_the_relay_is(
    relay: Caller, agent: Agent
) -> None:
    dashboard = Dashboard(relay)
    agent.apply("Hub", "wg0", {"addresses": ["10.8.0.1/24"]})
    agent.apply("Peer", "r1", {"hubRef": {"name": "wg0"}, "publicKey": KEY})

    # Without a token: the dashboard's own check wants 200 and "ok".
    assert (await relay.get("/health")).json()["status"] == "ok"
    assert (await relay.get("/health/live")).json() == {"status": "alive"}
    ready = (await relay.get("/health/ready")).json()
    assert (ready["status"], ready["database"], ready["hmac"]) == (
        *("ready", "ok"),
        "ok",
    )
    for path, checks in (
        ("/healthz", {"eventLoop"}),
        ("/livez", {"eventLoop"}),
        ("/readyz", {"serving", "store", "rights"}),
    ):
        assert (await relay.get(path)).json() == {"ok": True}
        probe = (await relay.get(f"{path}?verbose")).json()
        assert probe["ok"]
        assert probe["checks"] == dict.fromkeys(checks, "ok")
        assert probe["facts"] == {
            "storeComplete": True,
            "apiServerAnswers": True,
            "orderCheck": "off",
        }
    full = (await relay.get("/health/full")).json()
    assert (full["ok"], full["redis"]) == (True, True)
    assert full["uptime"] >= 0

    # With any of its tokens, in either header; the main token is never needed.
    for token in (TOKEN, "health-token", "tools-token"):
        for headers in (
            {"authorization": f"Bearer {token}"},
            {"x-relay-token": token},
        ):
            health = await relay.get("/relay/health", **headers)
            assert health.status_code == 200
            body = health.json()
            assert (body["ok"], body["status"]) == (True, "ok")
            assert set(body["build"]) == {"version", "sha"}
    refused = await relay.get(
        "/relay/health", **{"x-relay-token": "exec-token"}
    )
    assert refused.status_code == 401

    status = (
        await relay.get("/relay/status", **{"x-relay-token": TOKEN})
    ).json()
    assert (status["ok"], status["database"], status["hmac"]) == (
        *(True, "ok"),
        "ok",
    )
    assert status["wireguard"] == "down", "no agent carries the Hub"

    identity = (await dashboard.get("/relay/identity")).json()
    assert (identity["ok"], identity["service"]) == (True, "relay")
    assert {"version", "node", "uptime"} <= set(identity)

    tunnels = (await dashboard.get("/relay/wireguard/status")).json()
    assert {"interface", "timestamp"} <= set(tunnels)
    assert (tunnels["ok"], tunnels["status"]) == (False, "down")
    assert tunnels["error"]
    assert tunnels["peersCount"] == 1
    assert tunnels["peers"][0]["publicKey"] == KEY
    assert tunnels["peers"][0]["status"] == "NEVER_CONNECTED"


async def test_each_post_is_signed_and_what_is_not_done_here_says_so(
    relay: Caller,
) -> None:
    dashboard = Dashboard(relay)
    for path in SIGNED:
        for token in (TOKEN, "tools-token"):
            answer = await relay.raw(
                path, b"{}", {"authorization": f"Bearer {token}"}
            )
            assert answer.status_code == 401, path
    for path in SIGNED[3:5]:
        answer = await dashboard.post(path, {"mikId": "R1"})
        assert answer.status_code == 501
        assert answer.json()["code"] == "not_implemented"


@pytest.mark.usefixtures("router")
async def test_the_newest_dashboard_lets_a_customer_in_and_out(
    relay: Caller, agent: Agent, order_id: str
) -> None:
    dashboard = Dashboard(relay)

    # A hello with an agent that is null, then the order by token alone.
    token = f"t-{order_id}"
    hello = await dashboard.post(
        "/relay/device/hello",
        {"deviceToken": token, "mikId": "R1", **CLIENT, "userAgent": None},
    )
    assert (hello.status_code, hello.json()["deviceToken"]) == (200, token)
    paid = await dashboard.until_confirmed(
        "/relay/authorize-by-pedido",
        {"pedidoId": order_id, "mikId": "R1", "deviceToken": token},
        request_id=f"id-{order_id}",
    )
    assert paid.status_code == 200, paid.text
    annotations = agent.session(order_id).metadata.annotations
    assert annotations[ANNOTATION_TRACE_ID] == f"id-{order_id}"

    # The same by address; the dashboard reads `ok`, and `state` in its types.
    other = f"{order_id}-2"
    order = {
        "identity": "R1",
        "pedidoId": other,
        **CLIENT,
        "plano": {"minutos": 60, "perfil": "fast"},
    }
    granted = await dashboard.until_confirmed(
        "/relay/hotspot/authorize", order
    )
    assert granted.status_code == 200, granted.text
    body = granted.json()
    assert (body["ok"], body["state"]) == (True, "APPLIED")
    assert body["result"]["pedidoId"] == other

    ended = await dashboard.until_confirmed(
        "/relay/hotspot/revoke",
        {"identity": "R1", "pedidoId": other, "sessionId": None, **CLIENT},
    )
    assert (ended.status_code, ended.json()["ok"]) == (200, True), ended.text
    assert agent.session(other).spec.revoked
    assert not agent.session(order_id).spec.revoked, "another order stays (A4)"

    # A session id that the relay never heard of: who has that address goes.
    all_of_it = await dashboard.until_confirmed(
        "/relay/hotspot/revoke",
        {"identity": "R1", "sessionId": "row-17", **CLIENT},
    )
    assert all_of_it.status_code == 200, all_of_it.text
    assert agent.session(order_id).spec.revoked


async def test_a7_a_router_that_is_away_is_503_with_what_the_dashboard_reads(
    relay: Caller, order_id: str
) -> None:
    answer = await Dashboard(relay).post(
        "/relay/hotspot/authorize",
        {"identity": "R1", "pedidoId": order_id, **CLIENT},
    )
    assert answer.status_code == 503
    body = answer.json()
    assert (body["state"], body["messageCode"]) == (
        "PENDING",
        "authorization_scheduled",
    )


@pytest.mark.usefixtures("router")
async def test_a6_a_refresh_grants_what_was_paid_for_a_phone_that_nobody_knew(
    relay: Caller, agent: Agent, order_id: str
) -> None:
    dashboard = Dashboard(relay)
    sid = f"sid-{order_id}"
    customer = {"sid": sid, **CLIENT, "identity": "R1", "routerHint": None}

    nothing = await dashboard.post("/relay/identity/refresh", customer)
    assert (nothing.status_code, nothing.json()["code"]) == (
        404,
        "no_pending_payment",
    )
    nobody = f"{sid}-2"
    early = await dashboard.post(
        "/relay/authorize-by-pedido",
        {"pedidoId": order_id, "mikId": "R1", "deviceToken": nobody},
    )
    assert (early.status_code, early.json()["code"]) == (409, "device_unknown")
    await _status(dashboard, nobody, "PENDING", authorized=False)
    unseen = await dashboard.post("/relay/identity/refresh", {"sid": nobody})
    assert (unseen.status_code, unseen.json()["code"]) == (
        400,
        "missing_ip_or_mac",
    )

    body = await _refreshed(dashboard, {**customer, "sid": nobody})
    assert (body["ok"], body["pedidoId"], body["routerId"]) == (
        *(True, order_id),
        "R1",
    )
    assert body["actionKey"] == f"R1:{order_id}:AUTHORIZE"
    session = agent.session(order_id)
    assert session.spec.client.mac_address == MAC

    again = await _refreshed(dashboard, {**customer, "sid": nobody})
    assert (again["idempotent"], again["pedidoId"]) == (True, order_id)
    await _status(dashboard, nobody, "AUTHORIZED", authorized=True)

    # A new MAC moves the live Session.
    mac = "AA:BB:CC:DD:EE:02"
    moved = await _refreshed(
        dashboard, {**customer, "sid": nobody, "mac": mac}
    )
    assert moved["pedidoId"] == order_id
    assert agent.session(order_id).spec.client.mac_address == mac


async def test_a6_a_refresh_says_when_the_router_has_not_confirmed_it(
    relay: Caller, order_id: str
) -> None:
    dashboard = Dashboard(relay)
    await dashboard.post(
        "/relay/authorize-by-pedido",
        {"pedidoId": order_id, "mikId": "R1", "deviceToken": order_id},
    )
    answer = await dashboard.post(
        "/relay/identity/refresh", {"sid": order_id, "mikId": "R1", **CLIENT}
    )
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["authorized"], body["pending_authorization"]) == (False, True)
    assert body["code"] == "authorization_scheduled"
    assert body["retryInMs"] > 0

    # Operators see more, and may have it tried anew once in a while.
    path = f"/relay/identity/status?sid={order_id}"
    ops = (await dashboard.get(path, **OPERATOR)).json()["ops"]
    assert ops["pending"]["pedidoId"] == order_id
    assert ops["lastSeen"]["mac"] == MAC
    assert ops["routerHealth"]["routerId"] == "R1"
    retry = {"sid": order_id}
    for headers, status, code in (
        ({}, 403, "forbidden_ops_only"),
        (OPERATOR, 200, None),
        (OPERATOR, 429, "retry_rate_limited"),
    ):
        tried = await dashboard.post(
            "/relay/identity/retry-now", retry, **headers
        )
        assert (tried.status_code, tried.json().get("code")) == (status, code)
    unknown = await dashboard.post(
        "/relay/identity/retry-now", {"sid": "nobody"}, **OPERATOR
    )
    assert (unknown.status_code, unknown.json()["code"]) == (404, "no_pending")


async def test_f8_a_sid_that_is_a_router_answers_how_the_router_is(
    relay: Caller, agent: Agent
) -> None:
    dashboard = Dashboard(relay)
    for statuses, state, online in (
        ({}, "DEGRADED", False),
        ({"Ready": "True", "Reachable": "True"}, "OK", True),
        ({"Ready": "False", "Reachable": "False"}, "FAILED", False),
    ):
        conditions = [
            condition(kind, value, "Test", 1)
            for kind, value in statuses.items()
        ]
        agent.status("device", "router-1", conditions=conditions)
        for name in ("sid", "identity"):
            path = f"/relay/identity/status?{name}=r1"
            deadline = time.monotonic() + 60
            body: dict[str, Any] = {}
            while body.get("state") != state and time.monotonic() < deadline:
                body = (await dashboard.get(path)).json()
            assert (body["state"], body["ok"]) == (state, online)
            assert body["public"]["state"] == state
            assert body["retryInMs"] == body["public"]["retryInMs"] == 0
            assert body["messageCode"]
    missing = await dashboard.get("/relay/identity/status")
    assert (missing.status_code, missing.json()["code"]) == (
        400,
        "missing_sid",
    )


@pytest.mark.usefixtures("router")
async def test_a_session_of_the_caller_from_its_start_to_its_end(
    relay: Caller, agent: Agent
) -> None:
    dashboard = Dashboard(relay)
    start = {**CLIENT, "router": "R1", "identity": "monitor-test"}
    started = await dashboard.post("/session/start", start)
    assert started.status_code == 200, started.text
    name = started.json()["sessionId"]
    taken = await dashboard.post("/session/init", {"sessionId": name, **start})
    assert (taken.status_code, taken.json()["code"]) == (409, "session_exists")
    assert await _session(dashboard, name) == "pending"

    order = {"sessionId": name, "plano": "teste", "tempo": 300_000}
    granted = await dashboard.until_confirmed("/session/authorize", order)
    assert granted.status_code == 200, granted.text
    session = granted.json()["session"]
    assert (session["sessionId"], session["status"]) == (name, "authorized")
    assert (session["ip"], session["mac"], session["router"]) == (
        IP,
        MAC,
        "R1",
    )
    assert session["expiresAt"] - session["authorizedAt"] == 300_000
    again = await dashboard.until_confirmed("/session/authorize", order)
    assert again.json()["idempotent"] is True

    active = (await dashboard.get("/session/active")).json()["sessions"]
    assert [one["sessionId"] for one in active] == [name]
    assert active[0]["active"] is True

    ended = await dashboard.until_confirmed(
        "/session/revoke", {"sessionId": name}
    )
    assert ended.status_code == 200, ended.text
    assert ended.json()["session"]["status"] == "revoked"
    await eventually(lambda: agent.session().status.finished)
    assert await _session(dashboard, name) == "revoked"

    for path, fields in (
        ("/session/authorize", {"sessionId": "nobody", "tempo": 1000}),
        ("/session/revoke", {"sessionId": "nobody"}),
    ):
        answer = await dashboard.post(path, fields)
        assert (answer.status_code, answer.json()["code"]) == (
            404,
            "session_not_found",
        )
    for fields in ({}, {"sessionId": "s", "tempo": 0}, {"sessionId": name}):
        answer = await dashboard.post("/session/authorize", fields)
        assert answer.status_code == 400


@pytest.mark.usefixtures("router")
async def test_d5_older_dashboards_work_with_the_setting_that_names_them(
    start_bridge: Callable[..., BridgeProcess], agent: Agent, order_id: str
) -> None:
    """The one signs without method and path, the other sends a token only."""
    agent.make_device("router-1", router_id="R1")
    path = "/relay/authorize-by-pedido"
    order = {
        "pedidoId": order_id,
        "planoMinutos": 60,
        "ipAtual": IP,
        "macAtual": MAC,
        "modo": "PAGO",
        "router": {"host": "192.0.2.1", "user": "x", "pass": "y"},
        "contexto": {"deviceId": "R1", "mikId": "R1"},
    }
    body = json.dumps(order).encode()
    unsigned = {"authorization": f"Bearer {TOKEN}"}
    legacy = start_bridge(RELAY_ALLOW_LEGACY_SIGNATURES="1")
    async with Caller(legacy) as caller:
        await caller.until_complete()
        assert (await caller.raw(path, body, unsigned)).status_code == 401
        answer = await _until_confirmed(caller, path, body, _form_c)
        assert answer.status_code == 200, answer.text
    legacy.kill()

    named = start_bridge(RELAY_ALLOW_UNSIGNED=path)
    async with Caller(named) as caller:
        await caller.until_complete()
        assert (
            await caller.raw("/relay/revoke", body, unsigned)
        ).status_code == 401
        assert (await caller.raw(path, body, _form_c(body))).status_code != 401
        answer = await _until_confirmed(caller, path, body, lambda _: unsigned)
        assert answer.status_code == 200, answer.text
        wrong = {"authorization": "Bearer wrong"}
        assert (await caller.raw(path, body, wrong)).status_code == 401


async def _until_confirmed(
    caller: Caller,
    path: str,
    body: bytes,
    headers: Callable[[bytes], dict[str, str]],
) -> httpx.Response:
    for _ in range(20):
        answer = await caller.raw(path, body, headers(body))
        if answer.status_code != 503:
            return answer
    return answer


def _form_c(body: bytes) -> dict[str, str]:
    """Headers as the dashboard of December signs: no method, no path."""
    stamp, nonce = str(round(time.time() * 1000)), secrets.token_hex(16)
    message = b"\n".join((stamp.encode(), nonce.encode(), body))
    return {
        "x-relay-token": TOKEN,
        "x-relay-ts": stamp,
        "x-relay-nonce": nonce,
        "x-relay-signature": hmac.new(
            SECRET.encode(), message, hashlib.sha256
        ).hexdigest(),
    }


async def _refreshed(
    dashboard: Dashboard, customer: dict[str, Any]
) -> dict[str, Any]:
    """Refresh, as a portal does, until the customer is let in."""
    for _ in range(20):
        answer = await dashboard.post("/relay/identity/refresh", customer)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        if body["authorized"]:
            return body
    raise AssertionError(body)


async def _status(
    dashboard: Dashboard, sid: str, state: str, *, authorized: bool
) -> None:
    answer = await dashboard.get(f"/relay/identity/status?sid={sid}")
    body = answer.json()
    assert (answer.status_code, body["ok"], body["ops"]) == (200, True, None)
    public = body["public"]
    assert (public["state"], public["authorized"]) == (state, authorized)
    assert public["messageCode"]
    assert public["retryInMs"] >= 0


async def _session(dashboard: Dashboard, name: str) -> str:
    answer = await dashboard.get(f"/session/{name}")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["session"]["status"])
