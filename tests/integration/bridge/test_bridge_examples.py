"""The examples of docs/connect-a-backend.md, as a reader runs them.

Real: the programs, the bridge, the API server. Played by the test: the agent.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

from controlplane.processes import free_port
from integration.bridge.agent import Agent
from integration.bridge.caller import Caller, eventually
from integration.bridge.process import SECRET, TOKEN, BridgeProcess

EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "examples"
MAC, OTHER_MAC = "AA:BB:CC:DD:EE:31", "AA:BB:CC:DD:EE:32"
ROUTER = "router-1"


async def run(
    *words: str, stdin: str = "", environment: Mapping[str, str]
) -> tuple[int | None, str, str]:
    """Run a program of the examples; return its exit status, its output and its errors."""
    child = await asyncio.create_subprocess_exec(
        *words,
        cwd=EXAMPLES,
        env={"PATH": os.environ["PATH"], **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await child.communicate(stdin.encode())
    return child.returncode, output.decode(), errors.decode()


@pytest.fixture
async def router(agent: Agent) -> AsyncIterator[None]:
    """A router that does all at once."""
    agent.make_device(ROUTER)
    work = asyncio.create_task(agent.work())
    yield
    work.cancel()


@pytest.fixture
async def variables(
    start_bridge: Callable[..., BridgeProcess], router: None
) -> dict[str, str]:
    """What the page says to put into the environment, of a bridge that takes calls."""
    process = start_bridge()
    async with Caller(process) as caller:
        await caller.until_complete()

    return {
        "RELAY_URL": process.url,
        "RELAY_TOKEN": TOKEN,
        "RELAY_API_SECRET": SECRET,
    }


async def test_the_example_in_python_lets_a_phone_in_and_ends_that(
    variables: dict[str, str], agent: Agent
) -> None:
    program = (sys.executable, "backend.py")
    status, output, errors = await run(
        *program, "pay", "order-7", ROUTER, MAC, environment=variables
    )

    assert (status, output) == (0, f"{MAC} is in at {ROUTER}\n"), errors
    session = agent.session("order-7")
    assert session.spec.client.mac_address == MAC
    assert session.status.phase == "Active"

    status, _, errors = await run(
        *program, "revoke", "order-7", ROUTER, environment=variables
    )
    assert status == 0, errors
    assert agent.session("order-7").status.phase == "Revoked"

    status, output, errors = await run(
        *program, "pay", "order-8", "nowhere", MAC, environment=variables
    )
    assert (status, output) == (1, "")
    assert "404 MIKROTIK_NODE_NOT_FOUND" in errors


async def test_the_example_in_python_asks_for_the_same_order_until_it_is_done(
    start_bridge: Callable[..., BridgeProcess], router: None, agent: Agent
) -> None:
    """A bridge that is not there yet, as during an update."""
    port = free_port()
    environment = {
        "RELAY_URL": f"http://127.0.0.1:{port}",
        "RELAY_TOKEN": TOKEN,
        "RELAY_API_SECRET": SECRET,
    }
    paying = asyncio.create_task(
        run(
            *(sys.executable, "backend.py", "pay", "order-9", ROUTER, MAC),
            environment=environment,
        )
    )
    await asyncio.sleep(0.5)
    start_bridge(PORT=str(port))

    status, output, errors = await paying

    assert (status, output) == (0, f"{MAC} is in at {ROUTER}\n"), errors
    assert "waiting: no_answer" in errors
    assert agent.session().spec.order_id == "order-9"


async def test_the_example_with_curl_lets_a_phone_in(
    variables: dict[str, str], agent: Agent
) -> None:
    status, output, errors = await run(
        *("sh", "order.sh", "order-10", ROUTER, OTHER_MAC),
        environment=variables,
    )

    assert status == 0, output + errors
    assert output.endswith("\n200\n")
    session = agent.session("order-10")
    assert session.spec.client.mac_address == OTHER_MAC
    assert session.status.phase == "Active"

    wrong = {**variables, "RELAY_API_SECRET": "another-secret-0123456789"}
    status, output, _ = await run(
        *("sh", "order.sh", "order-11", ROUTER, OTHER_MAC), environment=wrong
    )
    assert status == 1
    assert output.endswith("\n401\n")


async def test_the_example_of_a_feed_has_its_events_carried_out(
    start_bridge: Callable[..., BridgeProcess], router: None, agent: Agent
) -> None:
    port = free_port()
    feed = f"http://127.0.0.1:{port}"
    start_bridge(
        BACKEND_EVENTS_URL=f"{feed}/events",
        BACKEND_ACK_URL=f"{feed}/ack",
        BACKEND_HMAC_SECRET="feed-secret-0123456789",
        CEREBRO_POLL_INTERVAL="0.2",
    )
    phone = {"mac": MAC, "ip": "10.5.50.31"}
    payload = {"pedidoId": "order-12", "mikId": ROUTER, **phone}
    event = {
        "eventId": "event-1",
        "type": "RELEASE_REQUESTED",
        "payload": payload,
        "timestamp": round(time.time() * 1000),
    }
    nobody = {
        **event,
        "eventId": "event-2",
        "payload": {**payload, "mikId": "nowhere"},
    }

    status, output, errors = await run(
        *(sys.executable, "feed.py", str(port)),
        stdin=f"{json.dumps(event)}\n{json.dumps(nobody)}\n",
        environment={"BACKEND_HMAC_SECRET": "feed-secret-0123456789"},
    )

    assert status == 0, errors
    final = [line for line in output.splitlines() if "pending" not in line]
    assert sorted(final) == ["event-1 ok", "event-2 unknown_router"]
    await eventually(lambda: agent.session("order-12").status.phase)
    assert agent.session("order-12").status.phase == "Active"
