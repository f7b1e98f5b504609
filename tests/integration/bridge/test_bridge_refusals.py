"""What is refused, and how: tokens, signatures, replays, clocks, sizes, shapes. Nothing else is disturbed by it."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable

import pytest

from integration.bridge.agent import Agent
from integration.bridge.caller import HERE, Caller
from integration.bridge.process import SECRET, TOKEN, BridgeProcess
from support.orders import BAD_BODIES

AUTHORIZE = "/relay/authorize-by-pedido"
POSTS = [
    AUTHORIZE,
    "/relay/resync-device",
    "/relay/revoke",
    "/relay/action",
    "/relay/device/hello",
]
GETS = [
    "/relay/health",
    "/relay/metrics",
    "/openapi.json",
    "/docs",
    "/nothing-here",
]


async def test_what_is_refused_leaves_no_trace_and_says_why(
    bridge: Caller, agent: Agent
) -> None:
    """One bridge for all of them, so that a refusal that disturbs the next request shows."""
    await _tokens(bridge)
    await _signatures(bridge)
    await _replays(bridge)
    await _clocks(bridge)
    await _bodies(bridge)
    assert agent.sessions() == []
    answer = await bridge.until_written.authorize("P-1")
    assert answer.json()["code"] == "router_timeout", (
        "and a good one still gets through"
    )
    output = bridge.process.output()
    assert TOKEN not in output
    assert SECRET not in output


async def _tokens(bridge: Caller) -> None:
    for path in GETS + POSTS:
        for headers in (
            {},
            {"x-relay-token": "wrong"},
            {"authorization": "Bearer wrong"},
        ):
            method = "POST" if path in POSTS else "GET"
            answer = await bridge.raw(path, b"{}", headers, method)
            body = answer.json()
            assert (answer.status_code, body["ok"], body["code"]) == (
                401,
                False,
                "UNAUTHORIZED",
            ), path
            assert body["error"]
    for headers in (
        {"x-relay-token": TOKEN},
        {"authorization": f"bearer {TOKEN}"},
    ):
        answer = await bridge.raw("/relay/health", b"", headers, "GET")
        body = answer.json()
        assert (
            answer.status_code,
            body["ok"],
            body["status"],
            body["service"],
        ) == (
            *(200, True),
            *("ok", "relay"),
        )
        assert set(body) == {
            "ok",
            "status",
            "service",
            "ts",
            "uptimeMs",
            "build",
        }
    assert (
        await bridge.raw("/nothing-here", b"", {"x-relay-token": TOKEN}, "GET")
    ).status_code == 404
    for path in (
        *(f"{path}%0A" for path in POSTS),
        "/relay/revoke/",
        "//relay/revoke",
        "/relay/./revoke%0a",
    ):
        answer = await bridge.raw(
            path,
            json.dumps({"mikId": "R1", **HERE}).encode(),
            {"x-relay-token": TOKEN},
        )
        assert (answer.status_code, answer.json()["code"]) in (
            (404, "not_found"),
            (401, "HMAC_SIGNATURE_MISSING"),
        )
    assert (
        await bridge.raw("/relay/revoke", b"", {"x-relay-token": TOKEN}, "GET")
    ).json()["code"]
    assert (await bridge.get("/health")).json() == {"status": "ok"}
    assert (await bridge.get("/health/ready")).status_code == 200


async def _signatures(bridge: Caller) -> None:
    body = json.dumps({"pedidoId": "P-1", "mikId": "R1", **HERE}).encode()
    for path in POSTS:
        answer = await bridge.raw(path, body, {"x-relay-token": TOKEN})
        assert (answer.status_code, answer.json()["code"]) == (
            401,
            "HMAC_SIGNATURE_MISSING",
        )
        headers = bridge.signed(path, body)
        for changed in (b" " + body, body + b"\n"):
            answer = await bridge.raw(path, changed, headers)
            assert (answer.status_code, answer.json()["code"]) == (
                401,
                "HMAC_SIGNATURE_INVALID",
            )
    elsewhere = await bridge.raw(
        "/relay/revoke", body, bridge.signed(AUTHORIZE, body)
    )
    assert elsewhere.json()["code"] == "HMAC_SIGNATURE_INVALID"


async def _replays(bridge: Caller) -> None:
    body = json.dumps({"pedidoId": "P-2", "mikId": "nobody", **HERE}).encode()
    for form in ("A", "B"):
        nonce = secrets.token_hex(16)
        wrong = {
            **bridge.signed(AUTHORIZE, body, nonce=nonce),
            "x-relay-signature": "0" * 64,
        }
        assert (await bridge.raw(AUTHORIZE, body, wrong)).json()[
            "code"
        ] == "HMAC_SIGNATURE_INVALID"
        headers = bridge.signed(AUTHORIZE, body, form=form, nonce=nonce)
        first = await bridge.raw(AUTHORIZE, body, headers)
        assert first.status_code == 404, (
            "a wrongly signed request burns no nonce"
        )
        again = await bridge.raw(AUTHORIZE, body, headers)
        assert (again.status_code, again.json()["code"]) == (
            401,
            "HMAC_REPLAY",
        )
    headers = bridge.signed(AUTHORIZE, body)
    answers = await asyncio.gather(
        *(bridge.raw(AUTHORIZE, body, headers) for _ in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [401] * 7 + [
        404
    ]


async def _clocks(bridge: Caller) -> None:
    for form in ("A", "B"):
        for off, code in (
            (130, "HMAC_TS_OUT_OF_RANGE"),
            (-130, "HMAC_TS_OUT_OF_RANGE"),
            (100, ""),
        ):
            bridge.now = off
            answer = await bridge.post(
                AUTHORIZE, {"pedidoId": "P-3", "mikId": "nobody", **HERE}, form
            )
            expected = (
                (401, code) if code else (404, "MIKROTIK_NODE_NOT_FOUND")
            )
            assert (answer.status_code, answer.json()["code"]) == expected
    bridge.now = 0.0


async def _bodies(bridge: Caller) -> None:
    for path in POSTS:
        for body in BAD_BODIES:
            if len(body) > 64 * 1024:
                continue
            answer = await bridge.raw(path, body, bridge.signed(path, body))
            assert (answer.status_code, answer.json()["code"]) == (
                400,
                "INVALID_JSON",
            ), body[:20]
    large = b'{"a":"' + b"x" * 65_536 + b'"}'
    answer = await bridge.raw(
        AUTHORIZE, large, bridge.signed(AUTHORIZE, large)
    )
    assert (answer.status_code, answer.json()["code"]) == (
        413,
        "payload_too_large",
    )
    assert "65536" in answer.json()["error"]
    for fields, word in (
        ({"pedidoId": "P-1", "mikId": "R1", "mac": "AA:BB"}, "mac"),
        ({"pedidoId": "P-1", "mikId": "R1", "ip": "300.1.1.1"}, "ip"),
        ({"pedidoId": "P-1", "mikId": "R1"}, "deviceToken required"),
        ({"mikId": "R1", **HERE}, "pedidoId required"),
        (
            {"pedidoId": "P-1", "mikId": "R1", **HERE, "planoMinutos": "x"},
            "planoMinutos",
        ),
    ):
        answer = await bridge.post(AUTHORIZE, fields)
        assert answer.status_code == 400
        assert word in answer.json()["error"]


async def test_an_expired_order_is_refused_before_anything_is_made(
    bridge: Caller, agent: Agent
) -> None:
    answer = await bridge.authorize(
        "P-old", **HERE, expiresAt="2020-01-01T00:00:00Z"
    )
    assert (answer.status_code, answer.json()["code"]) == (
        409,
        "order_expired",
    )
    assert agent.sessions() == []


async def test_openapi_lists_every_endpoint(bridge: Caller) -> None:
    answer = await bridge.raw(
        "/openapi.json", b"", {"x-relay-token": TOKEN}, "GET"
    )
    assert set(POSTS) < set(answer.json()["paths"])


async def test_d5_unsigned_requests_where_a_setting_allows_them(
    start_bridge: Callable[..., BridgeProcess], agent: Agent
) -> None:
    agent.make_device("router-1", router_id="R1")
    async with Caller(
        start_bridge(RELAY_ALLOW_UNSIGNED="/relay/revoke,/relay/device/hello")
    ) as caller:
        await caller.until_complete()
        hello = b'{"mikId":"R1","ip":"10.0.0.9","mac":"aabbccddeeff"}'
        answer = await caller.raw(
            "/relay/device/hello", hello, {"x-relay-token": TOKEN}
        )
        assert (answer.status_code, answer.json()["macAtual"]) == (
            200,
            "AA:BB:CC:DD:EE:FF",
        )
        answer = await caller.raw(AUTHORIZE, b"{}", {"x-relay-token": TOKEN})
        assert answer.json()["code"] == "HMAC_SIGNATURE_MISSING"


async def test_f6_dry_run_answers_with_the_commands_and_makes_nothing(
    start_bridge: Callable[..., BridgeProcess], agent: Agent
) -> None:
    agent.make_device("router-1", router_id="R1")
    async with Caller(start_bridge(RELAY_DRY_RUN="1")) as caller:
        await caller.until_complete()
        answer = await caller.authorize("P-1")
        assert answer.status_code == 200
        mikrotik = answer.json()["mikrotik"]
        assert mikrotik["dryRun"] is True
        assert any("ip-binding" in command for command in mikrotik["commands"])
        assert agent.sessions() == []
        assert (await caller.get("/health")).json() == {
            "status": "ok",
            "dryRun": True,
        }


async def test_f6_in_dry_run_a_hello_moves_no_session_and_is_remembered(
    bridge: Caller,
    start_bridge: Callable[..., BridgeProcess],
    agent: Agent,
    order_id: str,
) -> None:
    """Nor does a refresh or a retry; the next order by that token shows where the phone is now."""
    token = f"t-{order_id}"
    phone = {"mikId": "R1", "ip": "10.0.0.9", "mac": "AA:BB:CC:DD:EE:02"}
    order = {"mikId": "R1", "deviceToken": token}
    hello = {**order, "ip": "10.0.0.9", "mac": "AA:BB:CC:DD:EE:01"}
    await bridge.post("/relay/device/hello", hello)
    await bridge.until_written.post(
        "/relay/authorize-by-pedido", {**order, "pedidoId": order_id}
    )
    before = agent.session(order_id)
    bridge.process.kill()

    async with Caller(start_bridge(RELAY_DRY_RUN="1")) as caller:
        await caller.until_complete()
        moved = {**phone, "deviceToken": token}
        answer = await caller.post("/relay/device/hello", moved)
        assert answer.status_code == 200, answer.text
        await caller.post("/relay/identity/refresh", {**moved, "sid": token})
        pretended = await caller.post(
            "/relay/authorize-by-pedido", {**order, "pedidoId": "P-dry"}
        )
        assert pretended.json()["mac"] == phone["mac"]
        assert phone["mac"] in str(pretended.json()["mikrotik"]["commands"])
        unknown = await caller.post(
            "/relay/authorize-by-pedido",
            {"mikId": "R1", "deviceToken": "nobody", "pedidoId": "P-dry"},
        )
        assert (unknown.status_code, unknown.json()["code"]) == (
            409,
            "device_unknown",
        )
        await caller.until_carried_out()
        after = agent.session(order_id)
        assert after.metadata.generation == before.metadata.generation
        assert after.spec == before.spec


@pytest.mark.parametrize(
    ("missing", "word"),
    [("RELAY_TOKEN", "RELAY_TOKEN"), ("RELAY_API_SECRET", "RELAY_API_SECRET")],
)
def test_a_missing_setting_ends_the_start_naming_it(
    start_bridge: Callable[..., BridgeProcess], missing: str, word: str
) -> None:
    process = start_bridge(**{missing: ""})
    assert process.wait() == 2
    assert word in process.output()
