"""The audit lines of a bridge: a begin and an end for each decision, and no secret in any of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.bridge.agent import Agent
from integration.bridge.backend import FakeBackend, event
from integration.bridge.caller import HERE, IP, MAC, Caller, eventually
from integration.bridge.process import SECRET, TOKEN, BridgeProcess

PHONE_TOKEN = "phone-token-0123456789"
PASSWORD = "router-password-0123456789"

Line = dict[str, Any]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "audit" / "lines.jsonl"


@pytest.fixture
def backend() -> Iterator[FakeBackend]:
    fake = FakeBackend()
    fake.until_up()
    yield fake
    fake.stop()


@pytest.fixture
async def audited(
    start_bridge: Callable[..., BridgeProcess],
    backend: FakeBackend,
    agent: Agent,
    file: Path,
) -> AsyncIterator[Caller]:
    """A bridge with an audit file and a feed, and a router `router-1` (R1) that does all at once."""
    agent.make_device("router-1", router_id="R1")
    work = asyncio.create_task(agent.work())
    process = start_bridge(
        CEREBRO_AUDIT="file",
        CEREBRO_AUDIT_FILE=str(file),
        CEREBRO_RECORDS="off",
        RELAY_INTERNAL_TOKEN="internal-0123456789",
        **backend.environment,
    )
    async with Caller(process) as caller:
        await caller.until_complete()
        yield caller
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


def lines(file: Path, action: str, trace_id: str | None = None) -> list[Line]:
    if not file.exists():
        return []
    every: list[Line] = [
        json.loads(line) for line in file.read_text().splitlines()
    ]
    return [
        line
        for line in every
        if line["action"] == action and trace_id in (None, line.get("traceId"))
    ]


def types(file: Path, action: str, trace_id: str | None = None) -> list[str]:
    return [
        line["type"].removeprefix("RELAY_ACTION_")
        for line in lines(file, action, trace_id)
    ]


def told(file: Path, secret: str) -> bool:
    """Whether it stands anywhere in the file."""
    return secret in file.read_text()


def rotate(file: Path) -> None:
    file.rename(file.with_name("former"))


async def traced(
    caller: Caller, trace_id: str, path: str, fields: dict[str, Any]
) -> int:
    """Call with an `x-request-id`; the answer has it too. Gives the status."""
    body = json.dumps(fields).encode()
    answer = await caller.raw(
        path,
        body,
        {**caller.signed(path, body), "x-request-id": trace_id},
    )
    assert answer.headers["x-request-id"] == trace_id
    return answer.status_code


async def test_an_order_has_its_lines_and_its_trace(
    audited: Caller, agent: Agent, file: Path, order_id: str
) -> None:
    order = {
        "pedidoId": order_id,
        "mikId": "R1",
        "deviceToken": PHONE_TOKEN,
        "contexto": {"password": PASSWORD},
        **HERE,
    }
    await traced(audited, "trace-1", "/relay/authorize-by-pedido", order)
    session = await agent.until_session(order_id)
    annotations = session.metadata.annotations
    assert annotations["relay.cerebro.dev/trace-id"] == "trace-1"
    await eventually(
        lambda: len(types(file, "AUTHORIZE_BY_PEDIDO", "trace-1")) == 2
    )
    attempt, outcome = lines(file, "AUTHORIZE_BY_PEDIDO", "trace-1")
    assert attempt["type"] == "RELAY_ACTION_ATTEMPT"
    assert attempt["payload"]["contexto"] == {"password": "***"}
    assert attempt["payload"]["deviceToken"].startswith("sha256:")
    for line in attempt, outcome:
        assert (line["mac"], line["ip"]) == (MAC, IP)
        assert (line["order"], line["router"]) == (order_id, "R1")
        assert line["source"] == "http"
    assert outcome["durationMs"] >= 0

    # By the action's name, which may bring a trace of its own.
    revoke = {"mikId": "R1", "pedidoId": order_id, "mac": MAC}
    fields = {"action": "REVOKE_SESSION", "payload": revoke, **revoke}
    await traced(
        audited, "header", "/relay/action", {**fields, "traceId": "trace-2"}
    )
    await eventually(
        lambda: len(types(file, "REVOKE_SESSION", "trace-2")) == 2
    )
    for secret in (PHONE_TOKEN, PASSWORD, TOKEN, SECRET):
        assert not told(file, secret)


async def test_refusals_say_why(audited: Caller, file: Path) -> None:
    status = await traced(
        audited,
        "trace-3",
        "/relay/revoke",
        {"mikId": "R9", "mac": MAC},
    )
    assert status == 404
    await eventually(
        lambda: types(file, "REVOKE_SESSION", "trace-3") == ["ATTEMPT", "FAIL"]
    )
    failure = lines(file, "REVOKE_SESSION", "trace-3")[-1]
    assert failure["code"] == "MIKROTIK_NODE_NOT_FOUND"
    assert failure["status"] == 404
    assert "R9" in failure["error"]


async def test_commands_and_retries_have_lines(
    audited: Caller, file: Path
) -> None:
    sentence = f"/ip/hotspot/user/add =name=u =password={PASSWORD}"
    await traced(
        audited,
        "trace-4",
        "/relay/exec-by-device",
        {"mikId": "R1", "sentences": [[sentence]]},
    )
    await traced(
        audited, "trace-5", "/relay/identity/retry-now", {"sid": PHONE_TOKEN}
    )
    await eventually(
        lambda: (
            types(file, "OPS_RETRY_NOW_OVERRIDE_COOLDOWN", "trace-5")
            == ["ATTEMPT", "FAIL"]
        )
    )
    await eventually(
        lambda: types(file, "EXEC_BY_DEVICE", "trace-4") == ["ATTEMPT", "FAIL"]
    )
    assert not told(file, PASSWORD)
    assert not told(file, PHONE_TOKEN)


async def test_a_hello_that_moves_a_session_has_a_line(
    audited: Caller, file: Path, order_id: str
) -> None:
    answer = await audited.until_confirmed.authorize(
        order_id, deviceToken=PHONE_TOKEN, **HERE
    )
    assert answer.status_code == 200, answer.text
    moved = "AA:BB:CC:DD:EE:77"
    hello = {"deviceToken": PHONE_TOKEN, "mikId": "R1", "ip": IP, "mac": moved}
    await traced(audited, "trace-6", "/relay/device/hello", hello)
    await eventually(lambda: types(file, "MOVE_SESSION") == ["SUCCESS"])
    (line,) = lines(file, "MOVE_SESSION", "trace-6")
    assert (line["mac"], line["router"]) == (moved, "R1")
    assert line["deviceToken"].startswith("sha256:")
    assert len(line["sessions"]) == 1
    assert types(file, "DEVICE_HELLO") == []


async def test_events_have_lines_of_their_own(
    audited: Caller, backend: FakeBackend, file: Path
) -> None:
    """Defect 65 of the old relay: the event's type stands beside the line's."""
    backend.offer(
        event("e-1"),
        event("e-2", "NO_SUCH_EVENT"),
        event("e-3", mikId="R9"),
    )
    for event_id in ("e-1", "e-2", "e-3"):
        await backend.until_acked(event_id)
    await eventually(
        lambda: (
            types(file, "AUTHORIZE_BY_PEDIDO", "e-3") == ["ATTEMPT", "FAIL"]
        )
    )
    await eventually(
        lambda: len(lines(file, "AUTHORIZE_BY_PEDIDO", "e-1")) == 2
    )
    attempt, outcome = lines(file, "AUTHORIZE_BY_PEDIDO", "e-1")
    assert outcome["type"] == "RELAY_ACTION_SUCCESS"
    assert (outcome["order"], outcome["router"]) == ("order-e-1", "R1")
    assert (outcome["mac"], outcome["ip"]) == (MAC, IP)
    for line in attempt, outcome:
        assert line["eventId"] == line["traceId"] == "e-1"
        assert line["eventType"] == "RELEASE_REQUESTED"
        assert line["source"] == "events"
    unknown = lines(file, "AUTHORIZE_BY_PEDIDO", "e-3")[-1]
    assert unknown["code"] == "unknown_router"
    (refused,) = lines(file, "EVENT", "e-2")
    assert refused["code"] == "unknown_type"


async def test_refused_callers_are_told_and_bounded(
    audited: Caller, file: Path
) -> None:
    count = 200
    for _ in range(count):
        answer = await audited.raw("/relay/revoke", b"{}", {})
        assert answer.status_code in (401, 429)
    await eventually(lambda: lines(file, "AUTHENTICATE"))
    await asyncio.sleep(0.5)
    refusals = lines(file, "AUTHENTICATE")
    assert refusals[0]["type"] == "RELAY_ACTION_FAIL"
    assert refusals[0]["status"] == 401
    assert refusals[0]["caller"] == "127.0.0.1"
    assert refusals[0]["path"] == "/relay/revoke"
    left_out = sum(line.get("suppressed", 0) for line in refusals)
    assert len(refusals) + left_out <= count
    assert len(refusals) < count


async def test_a_rotated_file_goes_on_under_its_name(
    audited: Caller, file: Path
) -> None:
    revoke = {"mikId": "R1", "mac": MAC}
    await traced(audited, "first", "/relay/revoke", revoke)
    await eventually(lambda: len(lines(file, "REVOKE_SESSION")) == 2)
    rotate(file)
    await traced(audited, "second", "/relay/revoke", revoke)
    await eventually(lambda: len(lines(file, "REVOKE_SESSION", "second")) == 2)
    assert audited.process.terminate() == 0
    assert len(lines(file, "REVOKE_SESSION")) == 2
