"""The bridge's file between neighbouring releases: what one has taken, the other carries out, or refuses clearly."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from controlplane.server import ControlPlane
from integration.agent.conftest import proxy
from integration.agent.process import Proxy
from integration.bridge.agent import Agent
from integration.bridge.caller import HERE, IP, MAC, Caller, eventually
from integration.bridge.conftest import agent, start_bridge
from integration.bridge.process import CERTAIN, BridgeProcess
from releases.previous import THIS, Release

__all__ = ["agent", "proxy", "start_bridge"]

HELLO = "/relay/device/hello"
AUTHORIZE = "/relay/authorize-by-pedido"
TOKEN = "phone-token-0123456789"
AT_ONCE = "300"
"""Milliseconds until an order is answered that nobody carries out."""


@pytest.fixture(params=["to-this", "back-to-previous"])
def neighbours(
    request: pytest.FixtureRequest, previous: Release
) -> tuple[Release, Release]:
    """The release whose bridge has the file first, and the one that has it then."""
    way = (previous, THIS)
    return way if request.param == "to-this" else way[::-1]


async def test_e15_the_next_bridge_carries_out_what_is_in_the_file(
    neighbours: tuple[Release, Release],
    start_bridge: Callable[..., BridgeProcess],
    agent: Agent,
    proxy: Proxy,
    control_plane: ControlPlane,
) -> None:
    """An order that is in the inbox, a nonce that was used, the place of a phone that has said hello."""
    first, then = neighbours
    agent.make_device("router-1", router_id="R1")
    kubeconfig: Path = control_plane.account_kubeconfig(
        "cerebro-operator", agent.namespace, server=proxy.faults.url
    )
    settings = {
        "KUBECONFIG": str(kubeconfig),
        "RELAY_ANSWER_TIMEOUT_MS": AT_ONCE,
    }

    process = start_bridge(**settings, **first.environment)
    async with Caller(process) as caller:
        await caller.until_complete()
        hello = {"mikId": "R1", "deviceToken": TOKEN, "ip": IP, "mac": MAC}
        said = await caller.post(HELLO, hello)
        assert said.status_code == 200, said.text

        body = json.dumps({"pedidoId": "P-1", "mikId": "nobody", **HERE})
        headers = caller.signed(AUTHORIZE, body.encode())
        used = await caller.raw(AUTHORIZE, body.encode(), headers)
        assert used.status_code == 404

        proxy.refuse()
        waits = await caller.authorize("P-2")
        assert waits.json()["code"] == "kubernetes_unavailable"
        process.kill()
        assert process.inbox() == 1
        proxy.accept()

    process = start_bridge(**settings, **then.environment)
    if then is not THIS and not await comes_up(process):
        assert process.wait() != 0
        assert "start the release that wrote it" in process.output()
        return

    async with Caller(process) as caller:
        await caller.until_complete()
        await eventually(lambda: agent.session("P-2"))
        await caller.until_carried_out()

        again = await caller.raw(AUTHORIZE, body.encode(), headers)
        assert (again.status_code, again.json()["code"]) == (
            401,
            "HMAC_REPLAY",
        )

        known = {"pedidoId": "P-3", "deviceToken": TOKEN}
        await caller.post(AUTHORIZE, known)
        await eventually(lambda: agent.session("P-3"))
        assert agent.session("P-3").spec.client.mac_address == MAC


async def comes_up(process: BridgeProcess) -> bool:
    """Wait until a bridge listens, or has ended; return whether it listens."""
    deadline = time.monotonic() + CERTAIN
    async with httpx.AsyncClient(base_url=process.url) as client:
        while process.runs():
            assert time.monotonic() < deadline, process.output()
            with suppress(httpx.TransportError):
                await client.get("/health/live")
                return True

            await asyncio.sleep(0.05)

    return False
