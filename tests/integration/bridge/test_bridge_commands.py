"""Which router a command is for, and what is answered without asking it. The agent is played by the test."""

from __future__ import annotations

import json

import pytest

from integration.bridge.agent import Agent
from integration.bridge.caller import Caller, eventually


async def test_a7_with_an_open_breaker_nothing_is_asked(
    bridge: Caller, agent: Agent
) -> None:
    agent.status("device", "router-1", circuit={"state": "Open"})
    await bridge.until_shown(
        'relay_circuit_breaker_state{router_id="R1",service="relay-cerebro"} 1.0'
    )
    for path, fields in (
        ("/relay/exec-by-device", {"sentences": ["/ip/arp/print"]}),
        ("/relay/ping", {"target": "192.0.2.1"}),
        ("/relay/arp-print", {}),
        ("/hotspot/kick", {"user": "guest"}),
    ):
        answer = await bridge.post(path, {"mikId": "r1", **fields})
        assert answer.status_code == 409, answer.text
        assert answer.json()["code"] == "router_circuit_open"
    assert agent.kubectl("get", "devicecommands", "-o", "name") == ""


@pytest.fixture
def second_router(agent: Agent) -> None:
    """Another Device than that of the bridge's fixture."""
    agent.make_device("router-2", router_id="R2")


async def test_f8_a_router_that_is_not_named_must_be_the_only_one(
    second_router: None, bridge: Caller
) -> None:
    unknown = await bridge.post("/relay/arp-print", {"mikId": "R9"})
    assert (unknown.status_code, unknown.json()["code"]) == (
        404,
        "MIKROTIK_NODE_NOT_FOUND",
    )
    unnamed = await bridge.post("/relay/ping", {})
    assert (unnamed.status_code, unnamed.json()["code"]) == (
        400,
        "mikId_required",
    )


async def test_c2_a_command_that_nobody_runs_is_taken_back(
    bridge: Caller, agent: Agent
) -> None:
    answer = await bridge.post("/relay/ping", {})
    assert answer.status_code in (503, 504), answer.text

    def none_is_left() -> bool:
        text = agent.kubectl("get", "devicecommands", "-o", "json")
        items: list[object] = json.loads(text)["items"]
        return items == []

    # 504: the API server took longer than the 4 s, and did not say whether it was deleted.
    if answer.status_code == 503:
        await eventually(none_is_left)
