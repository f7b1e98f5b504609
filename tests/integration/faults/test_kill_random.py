"""Agent, operator and bridge killed at random moments while orders come in: all are carried out, and nobody
is let in or cut off wrongly. The moments follow from a seed, which is printed; CEREBRO_TEST_SEED sets it.
"""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

from integration.faults.backend import AUTHORIZE, RESYNC, REVOKE, Backend
from integration.faults.conftest import OpenStack
from integration.faults.injection import Lane
from integration.faults.stack import LONG, Phone, Stack, until

KILLS = 120 if LONG else 12
CALLERS = 4
FLOW = "film"


class Orders:
    """One caller after the other: orders that stay, are revoked, move to another phone, are opened again."""

    def __init__(self, lane: Lane, stop: asyncio.Event) -> None:
        stack = self.stack = lane.stack
        self.backend, self.stop = Backend(stack.bridge_port), stop
        self.paying = lane.paying  # watched from then on
        self.ended: list[Phone] = []
        self.done = 0

    async def call(self, caller: int) -> None:
        turns = (self.stay, self.revoke, self.move, self.open_again)
        turn = caller
        while not self.stop.is_set():
            await turns[turn % len(turns)](f"P-{caller}-{turn}")
            turn += 1
            self.done += 1

    async def ask(self, path: str, **fields: Any) -> None:
        answer = await self.backend.insist(path, **fields)
        assert answer.status == 200, (path, fields, answer)

    async def authorize(self, order: str) -> Phone:
        phone = self.stack.new_phone()
        await self.ask(
            AUTHORIZE, pedidoId=order, planoMinutos=60, **phone.address
        )
        assert self.stack.forwarded(phone, FLOW), (
            "200 means that the entry is on the router (A7)"
        )
        return phone

    async def stay(self, order: str) -> None:
        self.paying.append(await self.authorize(order))

    async def revoke(self, order: str) -> None:
        phone = await self.authorize(order)
        await self.ask(REVOKE, pedidoId=order)
        self.ended.append(phone)

    async def move(self, order: str) -> None:
        before, phone = await self.authorize(order), self.stack.new_phone()
        await self.ask(RESYNC, pedidoId=order, **phone.address)
        self.paying.append(phone)
        self.ended.append(before)

    async def open_again(self, order: str) -> None:
        """A person's Session, ended and, by the operator, opened again."""
        name, phone = order.lower(), self.stack.new_phone()
        await self.stack.create(name, phone)
        await self.stack.settled(name, "Active")
        await self.stack.change(name, revoked=True)
        await self.stack.settled(name, "Revoked")
        assert not self.stack.forwarded(phone)
        await self.stack.change(name, revoked=False)
        await self.stack.settled(name, "Active")
        self.paying.append(phone)

    async def right(self) -> bool:
        paying = all(self.stack.forwarded(phone) for phone in self.paying)
        cut_off = [
            self.stack.forwarded(phone, flow)
            for phone in self.ended
            for flow in (None, FLOW)
        ]
        return paying and not any(cut_off)


async def kill_now_and_then(stack: Stack, chance: random.Random) -> list[str]:
    """Kill one of the three at a time, and start it again after a moment, as a kubelet would."""
    roles = list(stack.programs) * (KILLS // 3)
    chance.shuffle(roles)
    for role in roles:
        await asyncio.sleep(chance.uniform(0.0, 1.5))
        assert stack.programs[role].end() == -9, stack.programs[role].output()
        await asyncio.sleep(chance.uniform(0.0, 0.3))
        stack.programs[role].start()
    return roles


async def test_random_kills(open_stack: OpenStack) -> None:
    seed = int(
        os.environ.get("CEREBRO_TEST_SEED")
        or random.SystemRandom().randrange(10**6)
    )
    print(f"CEREBRO_TEST_SEED={seed}")
    stack = await open_stack(CEREBRO_ORPHAN_INTERVAL="0.5")
    stack.programs["operator"].start()
    stack.bridge.start()
    lane, stop = Lane(stack), asyncio.Event()
    orders = Orders(lane, stop)
    await lane.begin()
    async with lane.watched():
        async with asyncio.TaskGroup() as tasks:
            for caller in range(CALLERS):
                tasks.create_task(orders.call(caller))
            killed = await kill_now_and_then(stack, random.Random(seed))
            stop.set()
        await until(orders.right, stack.logs)
        await stack.check_equal()
    print(f"{orders.done} orders, killed {killed}")
    assert orders.done >= CALLERS
