"""A router that is away and comes back, as a billing backend and an operator see it (A7, F10).

Its orders are 503 in time, then at once while its breaker is open; nobody has to call again for what was asked; and
the router beside it notices nothing.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass

import httpx
import pytest

from cerebro.resources import DEVICE as DEVICE_KIND
from cerebro.resources import Device
from integration.faults.backend import AUTHORIZE, Answer, Backend, signed
from integration.faults.conftest import OpenStack
from integration.faults.stack import (
    CERTAIN,
    DEVICE,
    LONG,
    TOKEN,
    Phone,
    Stack,
    until,
)
from simulator.router import Router

BREAKER = {"failureThreshold": 3, "recoveryTime": "5s"}
BESIDE = "router-2"
IN_TIME = 4.5
"""Seconds in which the answer is there; asserted where nothing else keeps the machine busy."""
OPEN, CLOSED = 1, 0
"""The states of a breaker as the metrics show them."""


@dataclass
class Two:
    """A stack with a router that goes away, and one beside it."""

    stack: Stack
    beside: Router
    backend: Backend

    async def order_beside(self, name: str) -> None:
        """Order on the router beside, and have it granted."""
        phone = self.stack.new_phone()
        self.beside.network.move_in(phone.mac, phone.ip)
        answer = await self.backend.insist(
            AUTHORIZE, pedidoId=name, mikId="R2", **phone.address
        )
        assert answer.status == 200, answer
        assert self.beside.network.packet(phone.mac).forwarded

    async def breaker(self, device: str) -> str | None:
        """Return what the Device's status says of its breaker."""
        body = await self.stack.api.get(
            DEVICE_KIND, self.stack.namespace, device
        )
        circuit = Device.model_validate(body).status.circuit
        return circuit.state if circuit is not None else None

    async def until_breaker(self, device: str, state: str) -> None:
        async def so() -> bool:
            return await self.breaker(device) == state

        await until(so, lambda: f"{device} {state}\n{self.stack.logs()}")

    async def until_metric(self, router_id: str, value: float) -> None:
        """Wait until the bridge's metrics show that. They may be asked for 60 times a minute."""
        url = f"http://127.0.0.1:{self.stack.bridge_port}/metrics"
        line = (
            f'relay_circuit_breaker_state{{router_id="{router_id}",'
            f'service="relay-cerebro"}} {value:.1f}'
        )
        deadline = time.monotonic() + CERTAIN

        async with httpx.AsyncClient(timeout=60) as client:
            while True:
                answer = await client.get(
                    url, headers={"x-relay-token": TOKEN}
                )
                if line in answer.text:
                    return
                assert time.monotonic() < deadline, answer.text
                await asyncio.sleep(1.5)


@pytest.fixture
async def two(open_stack: OpenStack) -> Two:
    stack = await open_stack(device={"circuitBreaker": BREAKER})
    beside = await stack.simulator.add_router(
        BESIDE, user="relay", password="secret-1"
    )
    await stack.make_device(BESIDE, beside, routerID="R2")
    stack.start()
    return Two(stack, beside, Backend(stack.bridge_port))


async def test_a7_a_router_that_is_away_and_comes_back(two: Two) -> None:
    stack = two.stack
    before = stack.new_phone()
    answer = await two.backend.insist(
        AUTHORIZE, pedidoId="P-before", **before.address
    )
    assert answer.status == 200, answer
    await two.order_beside("P-beside-1")
    phones = {f"P-{number}": stack.new_phone() for number in range(4)}

    await stack.router.set_faults({"refuse": True, "cut": True})
    await check_refused(two, phones)

    await two.until_breaker(DEVICE, "Open")
    await two.until_metric("R1", OPEN)
    phones["P-open"] = stack.new_phone()
    await check_refused_at_once(two, "P-open", phones["P-open"])
    assert await two.breaker(BESIDE) == "Closed"
    await two.until_metric("R2", CLOSED)
    await two.order_beside("P-beside-2")
    assert not any(stack.forwarded(phone) for phone in phones.values())

    await stack.router.set_faults({})

    async def all_let_in() -> bool:
        return all(stack.forwarded(phone) for phone in phones.values())

    await until(all_let_in, stack.logs)
    await two.until_breaker(DEVICE, "Closed")
    await two.until_metric("R1", CLOSED)
    assert stack.forwarded(before)
    of_order = Counter(
        one.spec.order_id for one in await stack.sessions(everything=True)
    )
    assert [of_order[order] for order in phones] == [1] * len(phones)


async def check_refused(two: Two, phones: dict[str, Phone]) -> None:
    """Each order is 503 in time, and says why and that it is kept."""
    url = f"http://127.0.0.1:{two.stack.bridge_port}"

    async def timed(
        client: httpx.AsyncClient, order: str, phone: Phone
    ) -> tuple[Answer, float]:
        fields = {"mikId": "R1", "pedidoId": order, **phone.address}
        body = json.dumps(fields).encode()
        headers = signed(AUTHORIZE, body, time.time())
        began = time.monotonic()
        answer = await client.post(AUTHORIZE, content=body, headers=headers)
        seconds = time.monotonic() - began
        return Answer(answer.status_code, answer.json()), seconds

    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        answers = await asyncio.gather(
            *(timed(client, *item) for item in phones.items())
        )

    for answer, seconds in answers:
        assert answer.status == 503, answer
        assert answer.body["ok"] is False, answer
        assert answer.body["code"], answer
        assert answer.body["error"], answer
        assert answer.body["pending"] is True, answer
        print(f"503 {answer.body['code']} after {seconds:.2f} s")
        assert seconds < IN_TIME or not LONG


async def check_refused_at_once(two: Two, order: str, phone: Phone) -> None:
    """An order is refused for the breaker: asked again where it was just half open."""

    async def for_the_breaker() -> bool:
        answer = await two.backend.post(
            AUTHORIZE, pedidoId=order, **phone.address
        )
        assert (answer.status, answer.body["ok"]) == (503, False), answer
        return bool(answer.body["code"] == "router_unavailable")

    await until(for_the_breaker, two.stack.logs)
