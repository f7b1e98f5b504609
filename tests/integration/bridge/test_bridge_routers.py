"""Routers over HTTP, row by row of the contract (1.2), and WireGuard for what is inside: rules F8, F9, D0, D2.

The bridge has nothing but the rights of a bridge. Operator and Hub's agent are played, see `carrier`.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from controlplane import apply
from controlplane.server import ControlPlane
from integration.bridge.agent import Agent, condition
from integration.bridge.caller import Caller, eventually
from integration.bridge.carrier import FIGURES_TOKEN, Carrier
from integration.bridge.process import TOKEN, BridgeProcess
from integration.bridge.test_bridge_bootstrap import (
    HUB_KEY,
    OVERLAY,
    a_key,
    make_hub,
    object_,
)
from support.console_router import ConsoleRouter

INTERNAL = {"x-relay-internal-token": "internal-token-0123456789"}
LOGIN = {
    "publicIp": "203.0.113.7",
    "apiUser": "relay",
    "apiPassword": "pa ss",
}
PASSWORD = base64.b64encode(b"pa ss").decode()
NAMESPACE = "test-routers"


@pytest.fixture(scope="module")
def apart(control_plane: ControlPlane) -> Iterator[str]:
    apply.apply_rights(control_plane, NAMESPACE, OVERLAY)
    yield NAMESPACE
    control_plane.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def hands(control_plane: ControlPlane, apart: str) -> Iterator[Agent]:
    """Whoever else writes there; all is gone afterwards."""
    agent = Agent(control_plane, apart)
    yield agent
    agent.kubectl("delete", "devices,peers,hubs,secrets", "--all")


@pytest.fixture
async def carrier(
    control_plane: ControlPlane, hands: Agent
) -> AsyncIterator[Carrier]:
    make_hub(hands)
    async with Carrier(control_plane, hands.namespace) as carrier:
        yield carrier


@pytest.fixture
async def caller(
    control_plane: ControlPlane, carrier: Carrier, tmp_path: Path
) -> AsyncIterator[Caller]:
    kubeconfig = control_plane.account_kubeconfig(
        "cerebro-bridge", carrier.namespace
    )
    environment = {
        "KUBECONFIG": str(kubeconfig),
        "RELAY_INTERNAL_TOKEN": INTERNAL["x-relay-internal-token"],
        "CEREBRO_AGENT_METRICS": carrier.metrics_url,
        "CEREBRO_AGENT_METRICS_TOKEN": FIGURES_TOKEN,
    }
    process = BridgeProcess(tmp_path, environment, carrier.namespace)
    try:
        async with Caller(process) as caller:
            await caller.until_complete()
            yield caller.until_confirmed
    finally:
        process.kill()
        print(process.output())


async def call(
    caller: Caller, method: str, path: str, **fields: Any
) -> httpx.Response:
    """Call signed, until the machine was quick enough."""
    body = json.dumps(fields).encode() if fields else b""
    while True:
        answer = await caller.raw(
            path, body, caller.signed(path, body, method=method), method
        )
        if answer.status_code != 503 or answer.json()["code"] not in (
            "kubernetes_unavailable",
            "wg_peer_pending",
            "removal_pending",
        ):
            return answer


async def inside(
    caller: Caller, method: str, path: str, **fields: Any
) -> httpx.Response:
    """Call an internal endpoint, as its callers do: by token, unsigned."""
    body = json.dumps(fields).encode() if fields else b""
    return await caller.raw(
        f"/internal/wireguard/peers/{path}", body, INTERNAL, method
    )


def secrets(hands: Agent) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        hands.kubectl("get", "secrets", "-o", "json")
    )["items"]
    return found


async def test_d2_a_manager_registers_a_router(
    caller: Caller, hands: Agent
) -> None:
    """Key, credentials, script; a public address is recorded, never dialled."""
    fields = {
        "deviceId": "BUS05",
        "deviceName": "Bus 5",
        "mikrotik": LOGIN,
        "wireguard": {
            "peerPublicKey": a_key(),
            "allowedIps": "192.168.88.0/24",
        },
    }
    answer = await caller.post("/relay/manager/register", fields)
    body = answer.json()
    assert (answer.status_code, body["success"], body["ok"]) == (
        *(200, True),
        True,
    ), body
    assert body["createdPeer"] == {"created": True, "updated": False}
    assert body["tunnelIp"] == "10.8.1.1"
    router = ConsoleRouter()
    router.paste(body["mikrotikScript"].splitlines())
    assert router.failed == []
    (dialled,) = router.tables["/interface/wireguard/peers"]
    assert dialled["public-key"] == HUB_KEY

    device = object_(hands, "device", "bus05")
    (made,) = secrets(hands)
    assert (
        device["spec"]["api"]["credentialsSecretRef"]["name"]
        == (made["metadata"]["name"])
    )
    assert "address" not in device["spec"]["api"]
    assert device["spec"]["lanNetworks"] == ["192.168.88.0/24"]
    notes = device["metadata"]["annotations"]
    assert notes["relay.cerebro.dev/public-address"] == "203.0.113.7"
    assert made["type"] == "relay.cerebro.dev/router"
    assert made["data"]["password"] == PASSWORD
    assert made["metadata"]["annotations"] == {
        "relay.cerebro.dev/device": "bus05",
        "relay.cerebro.dev/address": "10.8.1.1",
    }
    (owner,) = made["metadata"]["ownerReferences"]
    assert owner["uid"] == device["metadata"]["uid"]

    again = await caller.post("/relay/manager/register", fields)
    assert again.json()["createdPeer"] == {"created": False, "updated": False}
    assert [one["metadata"]["uid"] for one in secrets(hands)] == [
        made["metadata"]["uid"]
    ], "nothing changed"
    changed = {**fields, "mikrotik": {**LOGIN, "apiPassword": "another"}}
    await caller.post("/relay/manager/register", changed)
    (made_anew,) = secrets(hands)
    assert made_anew["metadata"]["name"] != made["metadata"]["name"]
    device = object_(hands, "device", "bus05")
    assert (
        device["spec"]["api"]["credentialsSecretRef"]["name"]
        == (made_anew["metadata"]["name"])
    )


@pytest.mark.parametrize("path", ["/relay/routers/routers", "/relay/routers"])
async def test_a_router_is_registered_and_deleted(
    path: str, caller: Caller, carrier: Carrier, hands: Agent
) -> None:
    """Under the old relay's path and the one that was meant; endpoint, keepalive and preshared key reach the Peer."""
    key = a_key()
    fields = {
        "deviceId": "BUS 05",
        "mikrotikPublicKey": key,
        "tunnelIp": "10.8.0.7",
        "mikrotik": {**LOGIN, "apiPort": 8730},
        "endpoint": "[2001:db8::7]:13231",
        "keepalive": 25,
        "presharedKey": a_key(),
    }
    answer = await caller.post(f"{path}/register", fields)
    assert answer.status_code == 200, answer.json()
    assert answer.json() == {
        "ok": True,
        "deviceId": "BUS 05",
        "tunnelIp": "10.8.0.7",
        "allowedIps": "10.8.0.7/32",
    }
    (device,) = json.loads(hands.kubectl("get", "devices", "-o", "json"))[
        "items"
    ]
    name = device["metadata"]["name"]
    assert name.startswith("bus-05-")
    assert device["spec"]["api"]["port"] == 8730
    peer = object_(hands, "peer", name)
    assert peer["spec"]["endpoint"] == "[2001:db8::7]:13231"
    assert peer["spec"]["persistentKeepalive"] == 25
    by_type = {one["type"]: one for one in secrets(hands)}
    preshared = by_type["relay.cerebro.dev/wireguard"]
    assert (
        peer["spec"]["presharedKeySecretRef"]["name"]
        == (preshared["metadata"]["name"])
    )
    assert list(preshared["data"]) == ["presharedKey"]
    assert carrier.keys == {key}

    gone = await call(caller, "DELETE", f"{path}/{quote('BUS 05')}")
    assert (gone.status_code, gone.json()["ok"]) == (200, True), gone.text
    left = hands.kubectl("get", "devices,peers,secrets", "-o", "name")
    assert left == ""
    never = await call(caller, "DELETE", f"{path}/{quote('BUS 05')}")
    assert (never.status_code, never.json()["code"]) == (
        404,
        "device_not_found",
    )


async def test_a_device_is_made_asked_about_and_deleted(
    caller: Caller, hands: Agent
) -> None:
    """Cases 69, 70: `hasPeer` is so, and no status gives a preshared key back."""
    preshared = a_key()
    fields = {
        "publicKey": a_key(),
        "allowedIps": "10.8.0.9/32, 192.168.88.0/24",
        "presharedKey": preshared,
        "meta": {"mikrotik": {"publicIp": "203.0.113.7"}},
    }
    made = await caller.post("/devices", fields)
    assert made.status_code == 200, made.json()
    name = made.json()["deviceId"]
    assert made.json() == {"ok": True, "deviceId": name}
    answer = await call(caller, "GET", f"/devices/{name}/status")
    body = answer.json()
    assert (answer.status_code, body["ok"], body["hasPeer"]) == (
        *(200, True),
        True,
    )
    assert body["mikStatus"]["status"] == "UNKNOWN"
    record = body["device"]
    assert (record["deviceId"], record["publicKey"]) == (
        name,
        fields["publicKey"],
    )
    assert record["tunnelIp"] == "10.8.0.9"
    assert record["allowedIps"] == ["10.8.0.9/32", "192.168.88.0/24"]
    assert record["meta"]["mikrotik"]["publicIp"] == "203.0.113.7"
    assert preshared not in answer.text

    facts = {"identity": "Bus 5", "version": "7.16", "board": "hAP"}
    conditions = [
        condition(kind, "True", "Said", 1, "by the test")
        for kind in ("Reachable", "Authenticated")
    ]
    hands.status("device", name, conditions=conditions, **facts)

    async def online() -> dict[str, Any]:
        told = await call(caller, "GET", f"/devices/{name}/status")
        status: dict[str, Any] = told.json()["mikStatus"]
        return status

    while (told := await online())["status"] == "UNKNOWN":
        pass
    assert told == {"status": "ONLINE", "info": facts}

    assert (await call(caller, "DELETE", f"/devices/{name}")).json() == {
        "ok": True
    }
    for method, path in (
        ("GET", f"/devices/{name}/status"),
        ("POST", f"/devices/{name}/sync"),
        ("DELETE", f"/devices/{name}"),
    ):
        answer = await call(caller, method, path)
        assert (answer.status_code, answer.json()["code"]) == (
            *(404,),
            "device_not_found",
        )


async def test_case_39_a_sync_is_ok_when_the_router_was_compared(
    caller: Caller, hands: Agent
) -> None:
    await caller.post(
        "/devices",
        {"deviceId": "R1", "publicKey": a_key(), "allowedIps": "10.8.0.9/32"},
    )
    path = "/devices/R1/sync"
    late = await call(caller, "POST", path)
    assert (late.status_code, late.json()["code"]) == (503, "router_timeout")

    device = object_(hands, "device", "r1")
    asked = device["metadata"]["annotations"]["relay.cerebro.dev/resync-at"]
    generation = device["metadata"]["generation"]
    refused = condition("Authenticated", "False", "No", generation, "no login")
    hands.status("device", "r1", conditions=[refused], lastResyncAt=asked)

    async def code() -> str:
        told = await call(caller, "POST", path)
        assert told.status_code == 503
        return str(told.json()["code"])

    while (said := await code()) == "router_timeout":
        pass
    assert said == "MIKROTIK_AUTH_FAILED"


async def test_f8_what_a_person_made_is_never_overwritten(
    caller: Caller, hands: Agent
) -> None:
    hands.make_device(
        "by-hand",
        router_id="BUS05",
        hubRef={"name": "hub"},
        tunnelAddress="10.8.0.7",
        publicKey=a_key(),
    )
    await caller.until_shown('relay_circuit_breaker_state{router_id="BUS05",')
    before = object_(hands, "device", "by-hand")["spec"]
    key = a_key()
    manager = {"peerPublicKey": key}
    answers = [
        await caller.post(
            "/devices",
            {
                "deviceId": "BUS05",
                "publicKey": key,
                "allowedIps": "10.8.0.7/32",
            },
        ),
        await caller.post(
            "/relay/manager/register",
            {"deviceId": "BUS05", "mikrotik": LOGIN, "wireguard": manager},
        ),
        await caller.post(
            "/relay/routers/routers/register",
            {
                "deviceId": "BUS05",
                "mikrotikPublicKey": before["publicKey"],
                "tunnelIp": "10.8.0.7",
                "mikrotik": LOGIN,
            },
        ),
        await call(caller, "DELETE", "/devices/BUS05"),
        await call(caller, "DELETE", "/relay/routers/routers/bus05"),
        await inside(
            caller,
            "POST",
            "bind",
            publicKey=key,
            deviceId="BUS05",
            mikrotikIp="10.8.0.7",
        ),
        await inside(caller, "DELETE", quote(before["publicKey"], safe="")),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (
            *(409,),
            "device_not_ours",
        ), answer.text
        assert "by-hand" in answer.json()["error"]
    assert object_(hands, "device", "by-hand")["spec"] == before
    assert secrets(hands) == []


async def bound(caller: Caller, key: str, address: str) -> httpx.Response:
    while True:
        answer = await inside(
            caller,
            "POST",
            "bind",
            publicKey=key,
            deviceId="R1",
            mikrotikIp=address,
        )
        if answer.status_code != 503:
            return answer


async def test_f8_keys_are_bound_listed_and_taken(
    caller: Caller, carrier: Carrier, hands: Agent
) -> None:
    """Case 68: of a rotated key nothing is left."""
    unknown = await bound(caller, a_key(), "203.0.113.7")
    assert (unknown.status_code, unknown.json()["code"]) == (
        404,
        "device_not_found",
    )
    first, second = a_key(), a_key()
    made = await caller.post(
        "/devices",
        {"deviceId": "R1", "publicKey": first, "allowedIps": "10.8.0.9/32"},
    )
    assert made.status_code == 200, made.json()
    listed = (await inside(caller, "GET", "bindings")).json()
    (binding,) = listed["bindings"]
    assert (binding["publicKey"], binding["deviceId"]) == (first, "R1")
    assert binding["mikrotikIp"] == "10.8.0.9", "nobody said another one"

    answer = await bound(caller, second, "203.0.113.7")
    assert answer.status_code == 200, answer.text
    told = answer.json()["binding"]
    assert (told["deviceId"], told["mikrotikIp"]) == ("R1", "203.0.113.7")
    assert isinstance(told["createdAt"], int)
    again = await bound(caller, second, "203.0.113.7")
    assert again.json()["binding"] == told

    def rotated() -> bool:
        return carrier.keys == {second}

    await eventually(rotated)
    labels = f'{{namespace="{NAMESPACE}",hub="hub",peer="r1"}}'
    carrier.page = (
        f"cerebro_peer_last_handshake_seconds{labels} {time.time() - 30}\n"
        f"cerebro_peer_receive_bytes_total{labels} 7.0\n"
        f"cerebro_peer_transmit_bytes_total{labels} 8.0\n"
    )
    status = await inside(caller, "GET", "status")
    assert status.status_code == 200
    (peer,) = status.json()["peers"]
    assert isinstance(status.json()["timestamp"], int)
    assert (peer["publicKey"], peer["status"]) == (second, "NEVER_CONNECTED")
    assert peer["handshakeAge"] >= 30
    assert (peer["rx"], peer["tx"]) == (7, 8)
    assert peer["allowedIps"] == ["10.8.0.9/32"]
    assert peer["device"] == told

    path = quote(second, safe="")
    gone = await inside(caller, "DELETE", path)
    while gone.status_code == 503:
        assert gone.json()["code"] == "wg_peer_pending"
        gone = await inside(caller, "DELETE", path)
    assert (gone.status_code, gone.json()["ok"]) == (200, True), gone.text
    assert "publicKey" not in object_(hands, "device", "r1")["spec"]
    assert hands.kubectl("get", "peers", "-o", "name") == ""
    never = await inside(caller, "DELETE", path)
    assert never.json() == {"ok": True, "removed": False}
    assert (await inside(caller, "GET", "bindings")).json()["bindings"] == []


async def test_what_is_waited_for_is_said(
    caller: Caller, carrier: Carrier, hands: Agent
) -> None:
    """A deletion is ok when the Peer is gone, not before; nor is a key that is not on the interface."""
    fields = {
        "deviceId": "R1",
        "publicKey": a_key(),
        "allowedIps": "10.8.0.9/32",
    }
    assert (await caller.post("/devices", fields)).status_code == 200
    carrier.holds = True
    path = "/devices/R1"
    for _ in range(2):
        answer = await caller.raw(
            path, b"", caller.signed(path, b"", method="DELETE"), "DELETE"
        )
        assert (answer.status_code, answer.json()["code"]) == (
            503,
            "removal_pending",
        )
        assert "the Peer r1" in answer.json()["error"]
    assert hands.kubectl("get", "devices", "-o", "name") == ""
    carrier.holds = False

    def gone() -> bool:
        return hands.kubectl("get", "peers", "-o", "name") == ""

    await eventually(gone)
    carrier.holds = True
    body = json.dumps(fields).encode()
    pending = await caller.raw(
        "/devices", body, caller.signed("/devices", body)
    )
    assert (pending.status_code, pending.json()["code"]) == (
        503,
        "wg_peer_pending",
    )
    carrier.holds = False
    assert (await caller.post("/devices", fields)).status_code == 200


async def test_case_80_no_two_routers_have_one_address_or_key(
    caller: Caller,
) -> None:
    first = {
        "deviceId": "R1",
        "publicKey": a_key(),
        "allowedIps": ["10.8.0.9/32"],
    }
    assert (await caller.post("/devices", first)).status_code == 200
    for fields, code in (
        ({"publicKey": a_key()}, "tunnel_ip_taken"),
        ({"allowedIps": ["10.8.0.10/32"]}, "key_taken"),
        ({"allowedIps": ["10.8.0.11/32"], "publicKey": HUB_KEY}, "key_taken"),
    ):
        answer = await caller.post(
            "/devices", {**first, "deviceId": "R2", **fields}
        )
        assert (answer.status_code, answer.json()["code"]) == (409, code)


async def test_d5_registration_is_signed_and_the_inside_is_inside(
    caller: Caller,
) -> None:
    """Cases 7, 14."""
    token = {"x-relay-token": TOKEN}
    for method, path in (
        ("POST", "/devices"),
        ("DELETE", "/devices/R1"),
        ("GET", "/devices/R1/status"),
        ("POST", "/devices/R1/sync"),
        ("POST", "/relay/manager/register"),
        ("POST", "/relay/routers/routers/register"),
        ("POST", "/relay/routers/register"),
        ("DELETE", "/relay/routers/routers/R1"),
    ):
        answer = await caller.raw(path, b"{}", token, method)
        assert answer.status_code == 401, path
        assert answer.json()["code"].startswith("HMAC_")
    for method, path in (
        ("GET", "status"),
        ("GET", "bindings"),
        ("POST", "bind"),
        ("DELETE", quote(a_key(), safe="")),
    ):
        answer = await caller.raw(
            f"/internal/wireguard/peers/{path}", b"{}", token, method
        )
        assert (answer.status_code, answer.json()["code"]) == (
            *(403,),
            "forbidden",
        )
    bad = await inside(caller, "DELETE", "no-key")
    assert (bad.status_code, bad.json()["code"]) == (400, "invalid_payload")
    missing = await inside(caller, "POST", "bind", deviceId="R1")
    assert (missing.status_code, missing.json()["code"]) == (
        400,
        "invalid_payload",
    )
