"""Orders over HTTP, until the Session says that the router has them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cerebro.resources import Session, format_time
from integration.bridge.agent import Agent, condition, enforced
from integration.bridge.caller import (
    HERE,
    IP,
    MAC,
    NOT_CONFIRMED,
    Caller,
    eventually,
)
from integration.bridge.process import BridgeProcess


@pytest.fixture
async def router(agent: Agent) -> AsyncIterator[None]:
    """An agent that grants and ends at once."""
    work = asyncio.create_task(agent.work())
    yield
    work.cancel()


async def test_a7_success_is_said_when_the_entry_is_on_the_router(
    bridge: Caller, agent: Agent, order_id: str
) -> None:
    call = asyncio.create_task(
        bridge.authorize(order_id, **HERE, planoMinutos=60)
    )
    session = await agent.until_session(order_id)
    assert not call.done() or call.result().json()["code"] in NOT_CONFIRMED
    assert (
        session.spec.client.mac_address,
        session.spec.client.ip_address,
    ) == (MAC, IP)
    assert session.spec.duration == timedelta(hours=1)
    work = asyncio.create_task(agent.work())
    answer = await call
    if (
        answer.status_code == 503
    ):  # as above: the 4 s were over before the test had come here
        answer = await bridge.until_confirmed.authorize(
            order_id, **HERE, planoMinutos=60
        )
    work.cancel()
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["ok"], body["pedidoId"], body["ip"], body["mac"]) == (
        True,
        order_id,
        IP,
        MAC,
    )
    assert body["mikrotik"] == {
        "ok": True,
        "host": "127.0.0.1",
        "commands": [],
        "dryRun": False,
        "errors": [],
    }


async def test_a7_a_router_that_does_not_answer_is_503_within_4_s_and_the_session_stays(
    bridge: Caller, agent: Agent, order_id: str
) -> None:
    answer = await bridge.until_written.authorize(order_id)
    assert answer.status_code == 503, answer.text
    assert answer.json()["code"] == "router_timeout"
    session = agent.session(order_id)
    assert not session.spec.revoked
    work = asyncio.create_task(agent.work())
    again = await bridge.until_confirmed.authorize(order_id)
    work.cancel()
    assert again.status_code == 200, again.text
    assert agent.session(order_id).metadata.uid == session.metadata.uid


async def test_a7_with_an_open_breaker_the_session_is_made_and_503_said_at_once(
    bridge: Caller, agent: Agent, order_id: str
) -> None:
    agent.status("device", "router-1", circuit={"state": "Open"})
    await bridge.until_shown(
        'relay_circuit_breaker_state{router_id="R1",service="relay-cerebro"} 1.0'
    )
    answer = await bridge.until_written.authorize(order_id)
    assert (answer.status_code, answer.json()["code"]) == (
        503,
        "router_unavailable",
    )
    assert agent.session(order_id).spec.order_id == order_id


async def test_a5_an_order_waits_for_its_grant_as_long_as_the_settings_say(
    start_bridge: Callable[..., BridgeProcess], agent: Agent, order_id: str
) -> None:
    agent.make_device("router-1", router_id="R1")
    process = start_bridge(
        CEREBRO_PAID_GRANT_WITHIN="7200", CEREBRO_TRIAL_GRANT_WITHIN="1800"
    )
    async with Caller(process) as caller:
        await caller.until_complete()
        before = datetime.now(UTC)
        await caller.until_written.authorize(order_id)
        after = datetime.now(UTC)
    deadline = agent.session(order_id).spec.grant_before
    assert deadline is not None
    window = timedelta(hours=2)
    second = timedelta(seconds=1)
    assert before + window - second <= deadline <= after + window + second


@pytest.mark.usefixtures("router")
async def test_authorize_revoke_and_authorize_again(
    bridge: Caller, agent: Agent, order_id: str
) -> None:
    first = await bridge.until_confirmed.authorize(
        order_id, **HERE, planoMinutos=60
    )
    assert first.status_code == 200, first.text
    repeated = await bridge.until_confirmed.authorize(
        order_id, **HERE, planoMinutos=60
    )
    assert repeated.status_code == 200, repeated.text
    ended = await bridge.until_confirmed.revoke(mac=MAC)
    assert ended.status_code == 200, ended.text
    session = agent.session(order_id)
    assert session.spec.revoked
    assert (session.status.phase, session.status.finished) == ("Revoked", True)
    ends = session.status.expires_at
    again = await bridge.until_written.authorize(
        order_id, **HERE, planoMinutos=60
    )
    assert (
        again.status_code == 200 or again.json()["code"] == "router_timeout"
    ), again.text
    session = agent.session(order_id)
    assert not session.spec.revoked
    assert session.spec.expires_at == ends, "A1: with the original end"


@pytest.mark.usefixtures("router")
async def test_a11_the_end_is_written_into_the_spec_as_soon_as_it_is_known(
    bridge: Caller, agent: Agent, order_id: str
) -> None:
    granted = await bridge.until_confirmed.authorize(
        order_id, **HERE, planoMinutos=60
    )
    assert granted.status_code == 200, granted.text
    await eventually(
        lambda: agent.session(order_id).spec.expires_at is not None
    )
    session = agent.session(order_id)
    assert session.spec.duration is None
    assert session.spec.expires_at == session.status.expires_at


async def test_a8_an_unknown_router_is_404_and_makes_nothing(
    bridge: Caller, agent: Agent
) -> None:
    for path in ("/relay/authorize-by-pedido", "/relay/resync-device"):
        answer = await bridge.post(
            path, {"pedidoId": "P", "mikId": "nobody", **HERE}
        )
        assert (answer.status_code, answer.json()["code"]) == (
            404,
            "MIKROTIK_NODE_NOT_FOUND",
        )
        assert "nobody" in answer.json()["error"]
    answer = await bridge.post(
        "/relay/action",
        {
            "action": "AUTHORIZE_BY_PEDIDO",
            "payload": {"mikId": "nobody", **HERE},
        },
    )
    assert (answer.status_code, answer.json()["code"]) == (
        400,
        "MIKROTIK_NODE_NOT_FOUND",
    )
    assert agent.sessions() == []


@pytest.mark.usefixtures("router")
async def test_a6_an_order_waits_for_the_hello_of_its_phone(
    bridge: Caller, agent: Agent, order_id: str
) -> None:
    answer = await bridge.until_written.authorize(order_id, deviceToken="t-1")
    assert (answer.status_code, answer.json()["code"]) == (
        409,
        "device_unknown",
    )
    assert agent.sessions() == []
    hello = {"deviceToken": "t-1", "mikId": "r1", "ip": IP, "mac": MAC.lower()}
    said = await bridge.post("/relay/device/hello", hello)
    assert said.json() == {
        "ok": True,
        "deviceToken": "t-1",
        "mikId": "r1",
        "ipAtual": IP,
        "macAtual": MAC,
    }
    answer = await bridge.until_confirmed.authorize(
        order_id, deviceToken="t-1"
    )
    assert answer.status_code == 200, answer.text
    assert agent.session(order_id).spec.client.mac_address == MAC


@pytest.mark.usefixtures("router")
async def test_a6_a_hello_with_a_new_mac_moves_the_session_three_times_an_hour(
    bridge: Caller, agent: Agent, order_id: str
) -> None:
    hello = {"deviceToken": "t-2", "mikId": "R1", "ip": IP, "mac": MAC}
    await bridge.post("/relay/device/hello", hello)
    assert (
        await bridge.until_confirmed.authorize(order_id, deviceToken="t-2")
    ).status_code == 200
    for number in range(2, 6):
        mac = f"AA:BB:CC:DD:EE:0{number}"
        answer = await bridge.post(
            "/relay/device/hello", {**hello, "mac": mac}
        )
        assert answer.status_code == 200
        await bridge.until_carried_out()
    assert (
        agent.session(order_id).spec.client.mac_address == "AA:BB:CC:DD:EE:04"
    )


@pytest.mark.usefixtures("router")
async def test_a2_the_same_order_on_another_router_moves_there(
    bridge: Caller, agent: Agent, order_id: str
) -> None:
    agent.make_device("router-2", router_id="R2")
    await bridge.until_shown(
        'relay_circuit_breaker_state{router_id="R2",service="relay-cerebro"}'
    )
    first = await bridge.until_confirmed.authorize(
        order_id, **HERE, planoMinutos=60
    )
    assert first.status_code == 200, first.text
    moved = await bridge.until_confirmed.post(
        "/relay/authorize-by-pedido",
        {"pedidoId": order_id, "mikId": "R2", **HERE, "planoMinutos": 60},
    )
    assert moved.status_code == 200, moved.text

    def on_router() -> dict[str, Session]:
        return {one.spec.device_ref.name: one for one in agent.sessions()}

    await eventually(lambda: on_router()["router-1"].spec.revoked)
    on = on_router()
    assert not on["router-2"].spec.revoked
    assert on["router-2"].spec.expires_at == on["router-1"].spec.expires_at, (
        "no minute gained or lost"
    )


@pytest.mark.usefixtures("router")
async def test_a10_what_a_person_made_is_revoked_by_a_session_that_supersedes_it(
    bridge: Caller, agent: Agent
) -> None:
    agent.apply(
        "Session",
        "by-hand",
        {"deviceRef": {"name": "router-1"}, "client": {"macAddress": MAC}},
    )
    before = agent.kubectl(
        "get",
        "session",
        "by-hand",
        "-o",
        "jsonpath={.spec} {.metadata.labels}",
    )
    await bridge.until_shown(
        'relay_active_sessions{router_id="R1",service="relay-cerebro"} 1.0'
    )
    answer = await bridge.until_confirmed.revoke(mac=MAC)
    assert answer.status_code == 200, answer.text
    assert (
        agent.kubectl(
            "get",
            "session",
            "by-hand",
            "-o",
            "jsonpath={.spec} {.metadata.labels}",
        )
        == before
    )
    (made,) = [one for one in agent.sessions() if one.name != "by-hand"]
    assert made.spec.supersedes is not None
    assert (made.spec.supersedes.name, made.spec.revoked) == ("by-hand", True)
    assert made.spec.ttl_after_finished is None


@pytest.mark.parametrize("holder", ["AA:BB:CC:DD:EE:77", None])
async def test_a13_a_client_that_is_not_there_is_said_with_the_200(
    bridge: Caller, agent: Agent, order_id: str, holder: str | None
) -> None:
    """Case T4: the MAC of an order is not the one at its address."""

    def away(session: Session, now: datetime) -> dict[str, Any]:
        seen = {"clientSeen": False, "addressHeldBy": holder}
        return enforced(session, now) | seen

    work = asyncio.create_task(agent.work(away))
    answer = await bridge.until_confirmed.authorize(order_id)
    work.cancel()
    body = answer.json()
    assert (answer.status_code, body["clientSeen"]) == (200, False)
    assert (holder or "nobody") in body["warning"]
    assert MAC in body["warning"]


async def test_a4_a_revoke_by_order_alone_waits_for_the_rows_of_the_older_relay(
    bridge: Caller, agent: Agent
) -> None:
    """Case T6: no Session tells where the older relay let the client in; the router does."""
    early = await bridge.until_written.revoke(pedidoId="P-old")
    assert (early.status_code, early.json()["code"]) == (503, "router_timeout")
    made = agent.session("P-old").spec
    assert made.revoked
    assert (made.client.mac_address, made.client.ip_address) == (None, None)
    work = asyncio.create_task(agent.work())
    ended = await bridge.until_confirmed.revoke(pedidoId="P-old")
    work.cancel()
    assert ended.status_code == 200, ended.text
    assert "warning" not in ended.json()
    assert len(agent.sessions()) == 1


async def test_a4_a_revoke_that_ends_nothing_for_its_time_is_409(
    start_bridge: Callable[..., BridgeProcess], agent: Agent, order_id: str
) -> None:
    """Case T6: some seconds between the clocks of two servers end it all the same."""
    agent.make_device("router-1", router_id="R1")
    work = asyncio.create_task(agent.work())
    process = start_bridge(RELAY_TS_SKEW_MS="600000")
    async with Caller(process) as caller:
        await caller.until_complete()
        granted = await caller.until_confirmed.authorize(order_id)
        assert granted.status_code == 200
        caller.now = -300
        late = await caller.revoke(mac=MAC)
        assert (late.status_code, late.json()["code"]) == (409, "asked_later")
        requested_at = agent.session(order_id).spec.requested_at
        assert requested_at is not None
        assert late.json()["requestedAt"] == format_time(requested_at)
        caller.now = -5
        process.kill()
        process.restart()
        await caller.until_complete()
        ended = await caller.until_confirmed.revoke(mac=MAC)
        assert ended.status_code == 200
        assert agent.session(order_id).spec.revoked
    work.cancel()


async def test_b4_an_entry_made_by_hand_is_409_with_its_reason(
    bridge: Caller, agent: Agent, order_id: str
) -> None:
    def blocked(session: Session, _: datetime) -> dict[str, Any]:
        generation = session.metadata.generation
        said = condition(
            "Enforced",
            "False",
            "BlockedByHand",
            generation,
            "binding *1 blocks this client",
        )
        return {
            "phase": "Pending",
            "observedGeneration": generation,
            "conditions": [said],
        }

    work = asyncio.create_task(agent.work(blocked))
    answer = await bridge.until_confirmed.authorize(order_id)
    work.cancel()
    assert (answer.status_code, answer.json()["code"]) == (
        409,
        "blocked_by_hand",
    )
    assert "*1" in answer.json()["error"]


@pytest.mark.usefixtures("router")
async def test_all_three_actions(
    bridge: Caller, agent: Agent, order_id: str
) -> None:
    payload = {"pedidoId": order_id, "mikId": "R1", **HERE}
    for name in ("AUTHORIZE_BY_PEDIDO", "RESYNC_DEVICE"):
        answer = await bridge.until_confirmed.post(
            "/relay/action",
            {
                "action": name,
                "payload": payload,
                "traceId": "trace-1",
                "source": "test",
            },
        )
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert (body["ok"], body["action"], body["traceId"]) == (
            True,
            name,
            "trace-1",
        )
        assert body["result"]["mikrotik"]["ok"] is True
    assert (
        agent.session(order_id).metadata.annotations[
            "relay.cerebro.dev/trace-id"
        ]
        == "trace-1"
    )
    answer = await bridge.until_confirmed.post(
        "/relay/action",
        {"action": "REVOKE_SESSION", "payload": {"mikId": "R1", "ip": IP}},
    )
    assert answer.status_code == 200, answer.text
    assert agent.session(order_id).spec.revoked
    answer = await bridge.post(
        "/relay/action", {"action": "constructor", "payload": {}}
    )
    assert (answer.status_code, answer.json()["status"]) == (403, 403)
    refused: list[dict[str, object]] = [
        {"action": "REVOKE_SESSION", "payload": None},
        {"payload": {}},
    ]
    for bad in refused:
        answer = await bridge.post("/relay/action", bad)
        assert (answer.status_code, answer.json()["code"]) == (
            400,
            "invalid_payload",
        )


@pytest.mark.usefixtures("router")
async def test_f2_writes_of_one_client_are_in_the_order_of_arrival(
    bridge: Caller, agent: Agent, order_id: str
) -> None:
    calls = []
    for number in range(10):
        fields = {"mac": MAC} if number % 2 else {"pedidoId": order_id, **HERE}
        path = "/relay/revoke" if number % 2 else "/relay/authorize-by-pedido"
        calls.append(
            asyncio.create_task(bridge.post(path, {"mikId": "R1", **fields}))
        )
        await bridge.until_taken(number + 1)
    await asyncio.gather(*calls)
    await bridge.until_carried_out()
    assert agent.session(order_id).spec.revoked, "the last word was a revoke"
    assert (await bridge.authorize(order_id)).status_code in (200, 503)
    await bridge.until_carried_out()
    assert not agent.session(order_id).spec.revoked
