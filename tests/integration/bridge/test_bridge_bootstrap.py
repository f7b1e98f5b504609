"""POST /mikrotik/bootstrap: a script, then a key, then a tunnel (contract 1.2 and 6.1; rules F8, F9, F10).

The test plays the Hub's agent and the operator: it writes the statuses and Peers that they would.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.connection import from_kubeconfig
from cerebro.kube.client.errors import KubeError, NotFound
from cerebro.resources import DEVICE, PEER
from controlplane import apply
from controlplane.server import ControlPlane
from integration.bridge.agent import Agent, condition
from integration.bridge.caller import NOT_CONFIRMED, Caller
from integration.bridge.process import BridgeProcess
from support.console_router import ConsoleRouter

PATH = "/mikrotik/bootstrap"
ROUTER = {"deviceId": "BUS05", "tunnelIp": "10.8.0.7"}
HUB_KEY = base64.b64encode(b"h" * 32).decode()
OVERLAY = Path(__file__).parents[3] / "deploy" / "overlays" / "bridge-apart"


def a_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def make_hub(
    agent: Agent, name: str = "hub", key: str | None = HUB_KEY
) -> None:
    fields = {
        "nodeName": "node-1",
        "addresses": ["10.8.0.1/16"],
        "endpoint": "192.0.2.1:51820",
    }
    agent.apply("Hub", name, fields)
    if key:
        agent.status("hub", name, publicKey=key)


@pytest.fixture(scope="module")
def apart(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace with the rights of the overlay in which the bridge has an account of its own."""
    name = "test-bootstrap-apart"
    apply.apply_rights(control_plane, name, OVERLAY)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def relay(
    control_plane: ControlPlane, apart: str, tmp_path: Path
) -> Iterator[Callable[..., BridgeProcess]]:
    """Call it to start a bridge with nothing but the rights of a bridge."""
    kubeconfig = str(control_plane.account_kubeconfig("cerebro-bridge", apart))
    running: list[BridgeProcess] = []

    def start(**environment: str) -> BridgeProcess:
        process = BridgeProcess(
            tmp_path, {"KUBECONFIG": kubeconfig, **environment}, apart
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        print(process.output())


@pytest.fixture
def hands(control_plane: ControlPlane, apart: str) -> Iterator[Agent]:
    """Whoever else writes there; all is gone afterwards."""
    agent = Agent(control_plane, apart)
    yield agent
    agent.kubectl("delete", "devices,peers,hubs", "--all")


@pytest.fixture
async def caller(
    relay: Callable[..., BridgeProcess], hands: Agent
) -> AsyncIterator[Caller]:
    make_hub(hands)
    async with Caller(relay()) as caller:
        await caller.until_complete()
        yield caller


async def ask(caller: Caller, **fields: Any) -> httpx.Response:
    return await caller.until_written.post(PATH, {**ROUTER, **fields})


async def ask_until_confirmed(caller: Caller, **fields: Any) -> httpx.Response:
    return await caller.until_confirmed.post(PATH, {**ROUTER, **fields})


def object_(agent: Agent, kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        agent.kubectl("get", kind, name, "-o", "json")
    )
    return found


async def carry(agent: Agent, device: str, key: str, **said: str) -> None:
    """Do what operator and agent do with a Device's key, once the Device has it."""
    namespace = agent.namespace
    fields = {
        "hubRef": {"name": "hub"},
        "publicKey": key,
        "allowedIPs": ["10.8.0.7/32"],
    }
    manifest = {
        "metadata": {"name": device},
        "spec": {**fields, "deviceRef": {"name": device}},
    }
    async with KubeApi(from_kubeconfig(agent.plane.kubeconfig)) as api:
        await until_it_has(key, api, namespace, device)
        applied = await api.apply(
            PEER, namespace, device, manifest, field_manager="test"
        )
        status: dict[str, Any] = {
            "tunnelAddress": "10.8.0.7",
            "peerName": device,
        }
        await api.patch(
            DEVICE, namespace, device, {"status": status}, subresource="status"
        )
        generation = applied["metadata"]["generation"]
        conditions = [
            condition(name, word, "Said", generation, "by the test")
            for name, word in said.items()
        ]
        status = {
            "conditions": conditions,
            "appliedPublicKey": key if said.get("Applied") == "True" else None,
        }
        await api.patch(
            PEER, namespace, device, {"status": status}, subresource="status"
        )


async def until_it_has(
    key: str, api: KubeApi, namespace: str, device: str
) -> None:
    for _ in range(10_000):
        with suppress(NotFound):
            if (await api.get(DEVICE, namespace, device))["spec"].get(
                "publicKey"
            ) == key:
                return
        await asyncio.sleep(0.02)
    raise AssertionError(f"the Device {device} did not get its key")


async def ask_and_carry(
    caller: Caller, hands: Agent, **fields: Any
) -> tuple[httpx.Response, str]:
    """Ask with a new key that comes onto the hub's interface meanwhile; gives the answer, and the key.

    Where that took longer than an answer may (A7), all is as before but for the key, and another one is tried.
    """
    new = hands.kubectl("get", "devices", "-o", "name") == ""
    for _ in range(10):
        key = a_key()
        carrying = asyncio.create_task(
            carry(hands, "bus05", key, Accepted="True", Applied="True")
        )
        answer = await caller.post(
            PATH, {**ROUTER, **fields, "devicePublicKey": key}
        )
        carrying.cancel()
        with suppress(asyncio.CancelledError, KubeError):
            await carrying
        if (
            answer.status_code != 503
            or answer.json()["code"] not in NOT_CONFIRMED
        ):
            break
        if new:
            hands.kubectl("delete", "devices,peers", "--all")
            await until_forgotten(caller)
    return answer, key


async def until_forgotten(caller: Caller) -> None:
    """Wait until the bridge knows that the Device went."""
    for _ in range(1_000):
        if (await ask(caller)).json()["needPublicKey"]:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the bridge still knows the Device")


async def test_f9_a_router_gets_its_script_then_its_tunnel(
    caller: Caller, hands: Agent
) -> None:
    """Also with the fewest rights; what a person pastes works in a console, and no private key passes."""
    first = await ask(caller)
    assert (
        first.status_code,
        first.json()["ok"],
        first.json()["needPublicKey"],
    ) == (200, True, True)
    assert hands.kubectl("get", "devices", "-o", "name") == "", (
        "without a key nothing is made"
    )
    router = ConsoleRouter()
    router.paste(first.json()["instructions"])
    assert router.failed == []
    (interface,) = router.tables["/interface/wireguard"]
    (dialled,) = router.tables["/interface/wireguard/peers"]
    assert (dialled["public-key"], dialled["endpoint-address"]) == (
        HUB_KEY,
        "192.0.2.1",
    )
    assert interface["public-key"] in router.printed[-1]
    assert "private" not in json.dumps(first.json()["instructions"]).replace(
        "private key", ""
    )

    answer, key = await ask_and_carry(
        caller, hands, allowedIps=["10.8.0.7/32", "192.168.88.0/24"]
    )
    body = answer.json()
    assert (answer.status_code, body["ok"], body["createdPeer"]) == (
        *(200, True),
        {"created": True, "updated": False},
    ), body
    assert body["commands"] == first.json()["instructions"]
    device = object_(hands, "device", "bus05")
    assert (device["spec"]["routerID"], device["spec"]["publicKey"]) == (
        "BUS05",
        key,
    )
    assert device["spec"]["lanNetworks"] == ["192.168.88.0/24"]
    again = await ask_until_confirmed(caller, devicePublicKey=key)
    assert (again.status_code, again.json()["createdPeer"]) == (
        200,
        {"created": False, "updated": False},
    )
    known = await ask(caller)
    assert (known.status_code, known.json()["needPublicKey"]) == (200, False)

    changed, _ = await ask_and_carry(caller, hands)
    assert (changed.status_code, changed.json()["createdPeer"]) == (
        200,
        {"created": False, "updated": True},
    )
    assert object_(hands, "device", "bus05")["spec"]["lanNetworks"] == [
        "192.168.88.0/24"
    ], "not asked about"


async def test_f10_a_tunnel_that_is_not_there_is_said(
    caller: Caller, hands: Agent
) -> None:
    key = a_key()
    pending = await ask(caller, devicePublicKey=key)
    assert (pending.status_code, pending.json()["code"]) == (
        503,
        "wg_peer_pending",
    ), pending.json()
    assert object_(hands, "device", "bus05")["spec"]["publicKey"] == key, (
        "what was asked for stays"
    )
    await carry(hands, "bus05", key, Accepted="False")
    failed = await ask_until_confirmed(caller, devicePublicKey=key)
    assert (failed.status_code, failed.json()["code"]) == (
        502,
        "wg_peer_failed",
    )
    assert "by the test" in failed.json()["error"]


async def test_f8_a_device_of_a_person_is_not_changed(
    caller: Caller, hands: Agent
) -> None:
    hands.make_device(
        "by-hand",
        router_id="BUS05",
        hubRef={"name": "hub"},
        tunnelAddress="10.8.0.7",
    )
    await caller.until_shown(
        'relay_circuit_breaker_state{router_id="BUS05",service="relay-cerebro"}'
    )
    before = object_(hands, "device", "by-hand")
    answer = await ask(caller, devicePublicKey=a_key())
    assert (answer.status_code, answer.json()["code"]) == (
        409,
        "device_not_ours",
    )
    assert "spec.publicKey" in answer.json()["error"]
    mismatch = await ask(caller, tunnelIp="10.8.0.9")
    assert (mismatch.status_code, mismatch.json()["code"]) == (
        409,
        "tunnel_ip_mismatch",
    )
    taken = await ask(caller, deviceId="BUS06")
    assert (taken.status_code, taken.json()["code"]) == (
        409,
        "tunnel_ip_taken",
    )
    assert object_(hands, "device", "by-hand") == before
    assert hands.kubectl("get", "devices", "-o", "name").split() == [
        "device.relay.cerebro.dev/by-hand"
    ]


async def test_bad_requests_name_the_field_and_make_nothing(
    caller: Caller, hands: Agent
) -> None:
    bad = [
        ({"deviceId": ""}, "deviceId"),
        ({"tunnelIp": "10.8.0.300"}, "tunnelIp"),
        ({"tunnelIp": "10.9.0.1"}, "tunnelIp"),
        ({"tunnelIp": "10.8.0.1"}, "tunnelIp"),
        ({"devicePublicKey": "x" * 44}, "devicePublicKey"),
        (
            {"allowedIps": "0.0.0.0/0", "devicePublicKey": a_key()},
            "allowedIps",
        ),
    ]
    for fields, word in bad:
        answer = await ask(caller, **fields)
        assert answer.status_code == 400, (fields, answer.json())
        assert word in answer.json()["error"], answer.json()
    unsigned = await caller.raw(PATH, b"{}", {"x-relay-token": "wrong"})
    assert unsigned.status_code == 401
    assert hands.kubectl("get", "devices", "-o", "name") == ""


@pytest.mark.parametrize(
    "name", ['a" b', "c\\d", "$e", '"; /system/reset-configuration; :put "']
)
async def test_no_id_breaks_out_of_the_script(
    caller: Caller, name: str
) -> None:
    answer = await ask(caller, deviceId=name)
    assert answer.status_code == 200, answer.json()
    router = ConsoleRouter()
    router.paste(answer.json()["instructions"])
    assert router.failed == []
    (interface,) = router.tables["/interface/wireguard"]
    assert interface["comment"] == f"cerebro:main:tunnel {name}"
    assert name in router.printed[-1]


async def test_f9_the_hub_of_new_devices(
    relay: Callable[..., BridgeProcess], hands: Agent
) -> None:
    """The one of the setting, else the only one; one that has no key yet is `vps_config_missing` (F10)."""
    async with Caller(relay()) as caller:
        await caller.until_complete()
        none = await ask(caller)
        assert (none.status_code, none.json()["code"]) == (400, "hub_required")
        make_hub(hands, "one", key=None)
        keyless = await ask(caller)
        assert (keyless.status_code, keyless.json()["code"]) == (
            503,
            "vps_config_missing",
        )
        assert "one" in keyless.json()["error"]
        make_hub(hands, "two")
        several = await ask(caller)
        assert (several.status_code, several.json()["code"]) == (
            400,
            "hub_required",
        )
    async with Caller(relay(CEREBRO_HUB="two")) as caller:
        await caller.until_complete()
        assert (await ask(caller)).status_code == 200
