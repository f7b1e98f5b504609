"""A router that comes over HTTP, through all parts: bridge, operator, agent, WireGuard, and the router's API.

What is answered is so on the interface and on the router.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from integration.agent.router import CERTAIN, Router
from integration.bridge.caller import Caller
from integration.bridge.process import BridgeProcess
from integration.hub.hub_node import HubNode, NodeAgent
from integration.hub.plain import (
    configure,
    make_keys,
    make_preshared_key,
)
from integration.hub.world import ADDRESS, PORT, World

HUB = "hub"
TUNNEL = "10.64.3.7"
PATH = "/relay/routers/routers"
LATE = frozenset(
    {
        "kubernetes_unavailable",
        "wg_peer_pending",
        "tunnel_address_pending",
        "removal_pending",
        "router_timeout",
        "MIKROTIK_UNREACHABLE",
    }
)
"""What is answered while something is not so yet: clients call again."""


@pytest.fixture
async def caller(
    world: World, agent: NodeAgent, tmp_path: Path
) -> AsyncIterator[Caller]:
    kubeconfig = world.plane.account_kubeconfig(
        "cerebro-operator", world.namespace
    )
    # Its API cannot be reached before its tunnel stands.
    environment = {
        "KUBECONFIG": str(kubeconfig),
        "CB_RECOVERY_TIMEOUT_MS": "1000",
    }
    process = BridgeProcess(tmp_path, environment, world.namespace)
    try:
        async with Caller(process) as caller:
            await caller.until_complete()
            yield caller
    finally:
        process.kill()
        print(process.output())


async def call(
    caller: Caller, method: str, path: str, fields: object = None
) -> httpx.Response:
    body = json.dumps(fields).encode() if fields is not None else b""
    deadline = time.monotonic() + CERTAIN
    while True:
        answer = await caller.raw(
            path, body, caller.signed(path, body, method=method), method
        )
        if answer.status_code != 503 or answer.json()["code"] not in LATE:
            return answer
        assert time.monotonic() < deadline, answer.text


def simulated(world: World, name: str, password: str) -> Router:
    """A router's API that no Device knows yet."""
    body = {"name": name, "password": password, "serial": f"SN{name}"}
    answer = httpx.post(f"{world.control}/routers", json=body, timeout=30)
    answer.raise_for_status()
    router = Router(world.control, answer.json())
    world.routers.append(router)
    return router


async def test_f9_a_router_registers_works_rotates_its_key_and_goes(
    world: World, node: HubNode, caller: Caller
) -> None:
    """Also cases 38, 67, 68, 69, 70, 71."""
    password, preshared = secrets.token_urlsafe(18), make_preshared_key()
    world.passwords += [password, preshared]
    router = world.plain_router("over-http", TUNNEL)
    api = simulated(world, "over-http", password)
    fields: dict[str, Any] = {
        "deviceId": "BUS05",
        "mikrotikPublicKey": router.keys.public,
        "tunnelIp": TUNNEL,
        "allowedIps": [f"{TUNNEL}/32", "192.168.77.0/24"],
        "mikrotik": {
            "publicIp": "203.0.113.7",
            "apiUser": api.address_book["user"],
            "apiPassword": password,
            "apiPort": 8728,
        },
        "presharedKey": preshared,
        "keepalive": 25,
    }
    answer = await call(caller, "POST", f"{PATH}/register", fields)
    assert answer.status_code == 200, answer.text
    seen = node.shown().peers[router.keys.public]
    assert seen.allowed_ips == {f"{TUNNEL}/32", "192.168.77.0/24"}
    assert (seen.preshared_key, seen.keepalive) == (preshared, "25")

    hub_key = str(world.status(HUB, "Hub")["publicKey"])
    router.dial(hub_key, f"{node.address}:{PORT}")
    (router.folder / "psk").write_text(preshared)
    file = str(router.folder / "psk")
    configure(router, "wg0", "peer", hub_key, "preshared-key", file)
    world.answer_api(router, api)
    router.reaches(ADDRESS)
    synced = await call(caller, "POST", "/devices/BUS05/sync")
    assert synced.status_code == 200, synced.text
    told = (await call(caller, "GET", "/devices/BUS05/status")).json()
    assert told["hasPeer"]
    assert told["mikStatus"]["status"] == "ONLINE", "with these credentials"

    new = make_keys()
    world.passwords.append(new.private)
    rotated = await call(
        caller,
        "POST",
        f"{PATH}/register",
        {**fields, "mikrotikPublicKey": new.public},
    )
    assert rotated.status_code == 200, rotated.text
    assert set(node.shown().peers) == {new.public}
    assert node.shown().peers[new.public].preshared_key == preshared

    gone = await call(caller, "DELETE", f"{PATH}/bus05")
    assert gone.status_code in (200, 404), gone.text
    assert node.shown().peers == {}
    assert world.kubectl("get", "devices,peers", "-o", "name") == ""
    left = world.kubectl("get", "secrets", "-o", "name").split()
    assert left == [f"secret/{HUB}-wireguard"]
