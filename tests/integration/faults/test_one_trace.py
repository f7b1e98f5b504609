"""One trace through everything: from the HTTP call over the Session to the agent's line about the router's row, and
back in the answer. Nothing secret is in any line.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any

import httpx

from cerebro.resources.naming import ANNOTATION_TRACE_ID
from integration.faults.backend import AUTHORIZE, REVOKE, signed
from integration.faults.conftest import OpenStack
from integration.faults.killing import Program
from integration.faults.stack import SECRET, TOKEN, Stack, until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
REVOKED = "revoke-of-7"
PHONE_TOKEN = "phone-token-0123456789abcdef"
PASSWORD = "hush-hush-0123456789"
HIDDEN = (TOKEN, SECRET, PHONE_TOKEN, PASSWORD, "secret-1")
EACH_HAS = ["time", "level", "logger", "message"]
Line = dict[str, Any]


def lines(program: Program) -> list[Line]:
    """Return what a process wrote: lines of its log, and of the bridge also audit lines and records of access."""
    written = [json.loads(line) for line in program.output().splitlines()]
    for line in written:
        is_log = list(line)[:4] == EACH_HAS
        assert is_log or {"type", "kind"} & line.keys(), line
    return written


def about(program: Program, trace_id: str) -> list[Line]:
    """Return the lines of a trace."""
    return [line for line in lines(program) if line.get("traceId") == trace_id]


async def call(
    stack: Stack, path: str, headers: dict[str, str], **fields: Any
) -> httpx.Response:
    """Call the bridge once; return its answer."""
    body = json.dumps({"mikId": "R1", **fields}).encode()
    async with httpx.AsyncClient(timeout=60) as client:
        return await client.post(
            f"http://127.0.0.1:{stack.bridge_port}{path}",
            content=body,
            headers=signed(path, body, time.time()) | headers,
        )


async def until_lines(program: Program, trace_id: str, count: int) -> None:
    async def there() -> bool:
        return len(about(program, trace_id)) >= count

    await until(there, program.output)


async def test_one_trace_from_the_call_to_the_routers_row(
    open_stack: OpenStack,
) -> None:
    stack = await open_stack(CEREBRO_LOG_LEVEL="DEBUG")
    stack.start()
    phone = stack.new_phone()

    async def is_up() -> bool:
        try:
            answer = await call(stack, "/relay/nothing", {})
        except httpx.TransportError:
            return False
        return answer.status_code == 404

    await until(is_up, stack.logs)
    order: dict[str, Any] = {
        "pedidoId": "P-7",
        "planoMinutos": 60,
        "deviceToken": PHONE_TOKEN,
        "contexto": {"password": PASSWORD},
        **phone.address,
    }

    # The call and its answer.
    async def is_paid() -> bool:
        answer = await call(stack, AUTHORIZE, PARENT, **order)
        assert answer.headers["x-request-id"] == TRACE
        return answer.status_code == 200

    await until(is_paid, stack.logs)
    assert stack.forwarded(phone)

    # The Session, the row's line in the agent's log, the bridge's lines.
    (session,) = await stack.sessions()
    assert session.metadata.annotations[ANNOTATION_TRACE_ID] == TRACE
    await until_lines(stack.agent, TRACE, 1)
    (granted,) = about(stack.agent, TRACE)
    assert granted["session"] == f"{stack.namespace}/{session.name}"
    assert granted["device"] == f"{stack.namespace}/router-1"
    assert granted["order"] == "P-7"
    assert " Granted: access is on the router" in granted["message"]
    await until_lines(stack.bridge, TRACE, 3)
    types = {
        line.get("type", line.get("kind"))
        for line in about(stack.bridge, TRACE)
    }
    assert {"RELAY_ACTION_ATTEMPT", "RELAY_ACTION_SUCCESS"} <= types

    # Its end has the trace of who ended it.
    header = {"x-request-id": REVOKED}
    answer = await call(stack, REVOKE, header, pedidoId="P-7")
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-request-id"] == REVOKED
    await until_lines(stack.agent, REVOKED, 1)
    (revoked,) = about(stack.agent, REVOKED)
    assert " Revoked: access is off the router" in revoked["message"]

    # What is said about a router has its Device; nothing secret is said.
    for line in lines(stack.agent):
        if line["logger"].startswith("cerebro.agent.devices."):
            assert line["device"] == f"{stack.namespace}/router-1", line

    for program in stack.programs.values():
        assert lines(program)
        text = program.output()
        assert not [word for word in HIDDEN if word in text], program.role
        assert not re.search(r"x-relay-signature\W+[0-9a-f]{64}", text)
