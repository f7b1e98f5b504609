"""Settings that decide what callers get: the old relay's, in a Device that comes over HTTP (F5); trials (A12)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from integration.bridge.agent import Agent
from integration.bridge.caller import HERE, IP, MAC, Caller
from integration.bridge.process import BridgeProcess

KEY = "R" * 42 + "A="
HUB = {
    "nodeName": "node-1",
    "addresses": ["10.8.0.1/16"],
    "endpoint": "192.0.2.1:51820",
}
SETTINGS = {
    "RELAY_OFFLINE_MAX_AGE_SEC": "90",
    "MIKROTIK_PORT": "18728",
    "MIKROTIK_TIMEOUT_MS": "10",
    "RELAY_PAID_CLIENTS_LIST": "paid",
    "RELAY_TOKNE": "a typing error",
}


async def test_f5_a_device_that_comes_over_http_has_the_old_relays_settings(
    start_bridge: Callable[..., BridgeProcess], agent: Agent
) -> None:
    """What is too small is raised, and said at start, as is a name that nobody knows."""
    agent.apply("Hub", "hub", HUB)
    agent.status("hub", "hub", publicKey=KEY)
    process = start_bridge(**SETTINGS)
    async with Caller(process) as caller:
        await caller.until_complete()
        answer = await caller.post(
            "/mikrotik/bootstrap",
            {
                "deviceId": "BUS05",
                "tunnelIp": "10.8.0.7",
                "devicePublicKey": "Q" * 42 + "A=",
            },
        )
        assert answer.status_code in (200, 503), answer.text

    (device,) = json.loads(agent.kubectl("get", "devices", "-o", "json"))[
        "items"
    ]
    spec = device["spec"]
    assert spec["routerID"] == "BUS05"
    assert spec["offlineAfter"] == "1m30s"
    assert (spec["api"]["port"], spec["api"]["timeout"]) == (18728, "1s")
    assert spec["access"]["addressList"] == "paid"
    assert "MIKROTIK_TIMEOUT_MS is raised to 1000" in process.output()
    assert "RELAY_TOKNE is set, and is no setting" in process.output()


async def test_a12_a_phone_has_so_many_trials_a_day_and_no_more(
    start_bridge: Callable[..., BridgeProcess], agent: Agent
) -> None:
    """One that ended counts as well, and a paid order passes."""
    agent.make_device("router-1", router_id="R1")
    work = asyncio.create_task(agent.work())
    try:
        process = start_bridge(CEREBRO_TRIALS_PER_DAY="1")
        async with Caller(process) as caller:
            await caller.until_complete()
            calls = caller.until_confirmed
            first = await calls.authorize("trial:1", **HERE)
            assert first.status_code == 200, first.text
            again = await calls.authorize("trial:1", **HERE)
            assert again.status_code == 200, again.text

            phone = {"mikId": "R1", "mac": MAC, "ip": IP}
            ended = await calls.post("/relay/revoke", phone)
            assert ended.status_code == 200, ended.text

            second = await calls.authorize("trial:2", **HERE)
            assert second.status_code == 409, second.text
            assert second.json()["code"] == "trial_limit"

            paid = await calls.authorize("paid-1", **HERE)
            assert paid.status_code == 200, paid.text
    finally:
        work.cancel()
