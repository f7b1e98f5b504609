"""What a router is asked for over HTTP: bridge, agent and router, as each client sends it and reads it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio

from integration.faults.backend import AUTHORIZE, Answer, Backend
from integration.faults.conftest import OpenStack
from integration.faults.stack import DEVICE, TOKEN, Phone, Stack, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
INTERNAL = "internal-token-0123456789"
NOT_YET = frozenset(
    {
        "router_timeout",
        "kubernetes_unavailable",
        "starting",
        "MIKROTIK_TIMEOUT",
    }
)
"""What a busy machine may answer: the 4 s were over (C2)."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(open_module_stack: OpenStack) -> AsyncIterator[Stack]:
    opened = await open_module_stack(
        device={"commands": "All", "publicKey": KEY},
        RELAY_ALLOW_UNSIGNED="/hotspot/active,/relay/ping",
        RELAY_INTERNAL_TOKEN=INTERNAL,
    )
    opened.bridge.start()
    opened.agent.start()
    await until_asked(opened, "/relay/arp-print")
    yield opened


async def until_answered(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Call until the machine was quick enough; return that answer."""

    async def once() -> Answer | None:
        answer = await call()
        is_late = answer.body.get("code") in NOT_YET
        return None if answer.status == 0 or is_late else answer

    return await until(once, "an answer in time")


async def until_asked(stack: Stack, path: str, **fields: Any) -> Answer:
    """Call as the backend does, until the machine was quick enough."""
    backend = Backend(stack.bridge_port)
    return await until_answered(lambda: backend.post(path, **fields))


async def until_sent(
    stack: Stack, method: str, path: str, headers: dict[str, str], **body: Any
) -> Answer:
    """Call without a signature, until the machine was quick enough."""
    url = f"http://127.0.0.1:{stack.bridge_port}{path}"

    async def call() -> Answer:
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.request(
                method,
                url,
                headers=headers,
                content=json.dumps(body) if body else None,
            )
        return Answer(answer.status_code, answer.json())

    return await until_answered(call)


def commands(stack: Stack) -> list[dict[str, Any]]:
    """Return all DeviceCommands."""
    text = stack.kubectl("get", "devicecommands", "-o", "json")
    items: list[dict[str, Any]] = json.loads(text)["items"]
    return items


def with_arp(stack: Stack) -> Phone:
    """Return a phone that is in the router's ARP table."""
    phone = stack.new_phone()
    stack.router.tables["/ip/arp"].add(
        {
            "address": phone.ip,
            "mac-address": phone.mac,
            "interface": "ether1",
        }
    )
    return phone


async def test_sentences_of_each_client(stack: Stack) -> None:
    """exec-by-device, exec2 and exec read `ok`, `result`, `data`, `error`; C4: the host is a Device's address."""
    phone = with_arp(stack)
    by_device = await until_asked(
        stack,
        "/relay/exec-by-device",
        sentences=[f"/ip arp print where address={phone.ip}", "", 7],
    )
    assert by_device.status == 200, by_device
    assert by_device.body["result"]["results"][0]["ok"]
    assert by_device.body["data"][0]["mac-address"] == phone.mac
    assert by_device.body["error"] is None

    words = ["/ip/arp/print", f"?address={phone.ip}"]
    exec2 = await until_asked(stack, "/relay/exec2", sentences=words)
    assert exec2.body["data"] == by_device.body["data"]

    here = {"user": "nobody", "pass": "wrong", "mikId": None}
    line = f"/ip/arp/print ?address={phone.ip}"
    by_host = await until_asked(
        stack, "/relay/exec", host="127.0.0.1", command=line, **here
    )
    assert by_host.body["data"] == by_device.body["data"]

    elsewhere = await until_asked(
        stack, "/relay/exec", host="192.0.2.9", command=line, **here
    )
    assert elsewhere.status == 404, elsewhere


async def test_f10_what_is_not_the_api_is_400_and_a_refusal_is_no_success(
    stack: Stack,
) -> None:
    script = await until_asked(
        stack, "/relay/exec-by-device", sentences=["/ip arp remove [find]"]
    )
    assert script.status == 400
    assert script.body["code"] == "unsupported_syntax"

    listen = await until_asked(
        stack, "/relay/exec-by-device", sentences=["/ip/arp/listen"]
    )
    assert (listen.status, listen.body["code"]) == (403, "command_denied")

    refused = await until_asked(
        stack,
        "/relay/exec-by-device",
        sentences=["/ip/hotspot/ip-binding/add mac-address=none"],
    )
    assert (refused.status, refused.body["code"]) == (502, "EXEC_ERROR")
    assert refused.body["results"][0]["error"]


async def test_tools_and_the_hotspot(stack: Stack) -> None:
    phone = with_arp(stack)
    lookup = await until_asked(stack, "/relay/arp/lookup", ip=phone.ip)
    assert lookup.status == 200, lookup
    macs = (
        lookup.body["mac"],
        lookup.body["data"]["mac"],
        lookup.body["entry"]["macAddress"],
    )
    assert macs == (phone.mac,) * 3

    ping = await until_asked(stack, "/relay/ping", target=phone.ip, count=2)
    assert (ping.status, ping.body["sent"]) == (200, 2), ping

    bearer = {"authorization": f"Bearer {TOKEN}"}
    alive = await until_sent(stack, "GET", "/relay/ping", bearer)
    assert (alive.status, alive.body["mikId"]) == (200, "R1"), alive

    let_in = await Backend(stack.bridge_port).insist(
        AUTHORIZE, pedidoId="P-active", planoMinutos=60, **phone.address
    )
    assert let_in.status == 200, let_in

    async def bypassed() -> bool:
        return stack.forwarded(phone)

    await until(bypassed, stack.logs)
    active = await until_sent(stack, "GET", "/hotspot/active", bearer)
    (client,) = active.body["active"]
    assert (client["mac"], client["id"][:6]) == (phone.mac, "host:*")

    kicked = await until_asked(
        stack, "/hotspot/kick", mikId=None, id=client["id"]
    )
    assert (kicked.status, kicked.body["kicked"]) == (200, 1), kicked

    assert stack.forwarded(phone)
    nobody = await until_asked(stack, "/session/kick", sessionId="s-0")
    assert (nobody.status, nobody.body["code"]) == (404, "session_not_found")

    order = await until_asked(
        stack,
        "/relay/exec-by-pedido",
        mikId=None,
        pedidoId="P-active",
        command="/system identity print",
    )
    assert order.body["data"][0]["name"]


async def test_the_phone_of_a_callers_session_is_sent_away(
    stack: Stack,
) -> None:
    phone = stack.new_phone()
    let_in = await Backend(stack.bridge_port).insist(
        "/relay/hotspot/authorize",
        sessionId="s-1",
        tempo=3_600_000,
        ip=phone.ip,
        mac=phone.mac,
    )
    assert let_in.status == 200, let_in

    async def bypassed() -> bool:
        return stack.forwarded(phone)

    await until(bypassed, stack.logs)
    kicked = await until_asked(stack, "/session/kick", sessionId="s-1")
    assert (kicked.status, kicked.body["kicked"]) == (200, 1), kicked
    assert kicked.body["notFound"] is False
    (removed,) = kicked.body["result"]["results"]
    assert removed["data"][0]["mac-address"] == phone.mac
    assert stack.forwarded(phone)


async def test_a_probe_tries_credentials_and_leaves_no_secret(
    stack: Stack,
) -> None:
    async def probe(password: str) -> Answer:
        return await until_sent(
            stack,
            "POST",
            "/internal/mikrotik/probe",
            {"x-relay-internal-token": INTERNAL},
            publicKey=KEY,
            username="relay",
            password=password,
        )

    right = await probe("secret-1")
    assert right.status == 200, right
    assert right.body["deviceId"] == "R1"
    assert right.body["identity"]
    assert right.body["version"]

    wrong = await probe("secret-2")
    assert (wrong.status, wrong.body["code"]) == (502, "auth_failed"), wrong

    async def gone() -> bool:
        names = stack.kubectl("get", "secrets", "-o", "name").split()
        return names == [f"secret/{DEVICE}"]

    await until(gone, "the Secrets of the probes are gone")


async def test_c2_a_router_that_hangs_is_504_to_a_reader_and_unknown_to_a_writer(
    stack: Stack,
) -> None:
    backend = Backend(stack.bridge_port)
    await until_asked(stack, "/relay/arp-print")
    stack.router.faults.hang = True

    reader = await backend.post("/relay/arp-print")
    writer = await backend.post(
        "/relay/exec-by-device",
        sentences=["/system/identity/set name=perhaps"],
    )
    stack.router.faults.hang = False

    # A connection that was idle is asked first whether it lives: then nothing ran.
    assert reader.status in (503, 504), reader
    assert writer.body["code"] in (
        "exec_outcome_unknown",
        "MIKROTIK_UNREACHABLE",
        "router_timeout",
        "router_circuit_open",
    ), writer
    assert (writer.status == 500) == (
        writer.body["code"] == "exec_outcome_unknown"
    )


async def test_c2_without_an_agent_nothing_runs_and_nothing_is_left(
    stack: Stack,
) -> None:
    """503 is said only after the command was deleted before it began."""
    stack.agent.end()
    answer = await Backend(stack.bridge_port).post(
        "/relay/exec-by-device",
        sentences=["/system/identity/set name=never"],
    )
    if answer.body["code"] == "router_timeout":
        pending = [
            item
            for item in commands(stack)
            if not (item.get("status") or {}).get("finished")
        ]
        assert pending == []
    assert answer.status in (409, 503), answer

    stack.agent.start()
    await until_asked(stack, "/relay/arp-print")
    identity = stack.router.show("/system/identity")[0]["name"]
    assert identity != "never"
