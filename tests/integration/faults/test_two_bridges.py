"""Two bridges on one Redis under calls and events, while bridges, Redis and the API server go and come (E15, D5).

Every event has one effect and its final ACK, no order is lost or doubled, and no nonce is taken twice. In the
ordinary run the load lasts 20 s, in the long one three minutes, with Redis syncing always and each second.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import httpx
import pytest

from controlplane.processes import free_port
from controlplane.server import ControlPlane
from integration.bridge.backend import FakeBackend
from integration.faults.backend import AUTHORIZE, Backend, signed
from integration.faults.conftest import OpenStack
from integration.faults.feed import Feed, in_redis
from integration.faults.killing import Program
from integration.faults.stack import (
    LONG,
    Phone,
    Stack,
    api_server_stopped,
    until,
)
from support.redis_server import KEEPS_ALL, RedisServer

KILL_EVERY = 5.0
KILLS = 36 if LONG else 4
CALLERS = 4
EVERY_SECOND = (
    "--save",
    "",
    "--appendonly",
    "yes",
    "--appendfsync",
    "everysec",
)
SYNC = {"always": KEEPS_ALL, "everysec": EVERY_SECOND}
NOBODY = b'{"pedidoId":"P-1","mikId":"nobody","mac":"AA:BB:CC:DD:EE:01"}'
"""The body of a request that is taken, its nonce with it, and then is 404."""


@pytest.fixture(params=list(SYNC) if LONG else ["always"])
def redis_server(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path, *SYNC[request.param])
    yield server
    server.stop()


@pytest.fixture
async def feed(
    open_stack: OpenStack, redis_server: RedisServer
) -> AsyncIterator[Feed]:
    """A backend, and a stack with two bridges that share the Redis."""
    backend = FakeBackend()
    backend.until_up()
    stack = await open_stack(
        RELAY_STORE="redis",
        REDIS_URL=redis_server.url,
        CEREBRO_REQUEST_TIMEOUT="2",
        CEREBRO_WATCH_TIMEOUT="5",
        **backend.environment,
    )
    twin = stack.bridge.environment | {"PORT": str(free_port())}
    stack.programs["bridge-2"] = Program(
        "bridge", twin, stack.folder / "bridge-2.log"
    )
    stack.agent.start()
    for bridge in bridges(stack):
        bridge.start()
    yield Feed(stack, backend, in_redis(redis_server.url))
    backend.stop()


def bridges(stack: Stack) -> tuple[Program, Program]:
    return stack.bridge, stack.programs["bridge-2"]


def ports(stack: Stack) -> tuple[int, int]:
    first, second = bridges(stack)
    return int(first.environment["PORT"]), int(second.environment["PORT"])


async def serves(bridge: Program) -> bool:
    """Whether a bridge knows all objects; one that did not start without its Redis is started once more."""
    if bridge.exit_code() is not None:
        assert bridge.said("REDIS_URL: "), bridge.output()
        bridge.start()

    url = f"http://127.0.0.1:{bridge.environment['PORT']}/health"
    async with httpx.AsyncClient(timeout=10) as client:
        with suppress(httpx.TransportError):
            answer = await client.get(url)
            return bool(answer.json()["status"] == "ok")
    return False


class Load:
    """Calls and events, until `stop` is set; all that was begun is brought to its end."""

    def __init__(self, feed: Feed) -> None:
        self.feed, self.stack = feed, feed.stack
        self.backends = [Backend(port) for port in ports(feed.stack)]
        self.stop = asyncio.Event()
        self.orders: dict[str, Phone] = {}
        self.events = 0
        self.answers: Counter[str] = Counter()
        self.nonces: list[dict[str, str]] = []
        self._numbers = itertools.count()

    async def call(self) -> None:
        """Ask for one order after the other, each at one bridge and then the other until it is granted."""
        while not self.stop.is_set():
            number = next(self._numbers)
            order, phone = f"P-{number}", self.stack.new_phone()
            self.orders[order] = phone

            async def granted(
                order: str = order, phone: Phone = phone, number: int = number
            ) -> bool:
                asked = self.backends[(number + self.answers.total()) % 2]
                answer = await asked.post(
                    AUTHORIZE, pedidoId=order, planoMinutos=60, **phone.address
                )
                self.answers[str(answer.body.get("code", answer.status))] += 1
                assert answer.status in (0, 200, 503), answer
                return answer.status == 200

            await until(granted, f"{order} is granted")

    async def offer(self) -> None:
        """Put some events into the feed each half second."""
        while not self.stop.is_set():
            self.events += len(await self.feed.offer(5))
            await asyncio.sleep(0.5)

    async def repeat(self) -> None:
        """Send the same signed request to both bridges twice at once, and then no more: no two may take it."""
        while not self.stop.is_set():
            headers = signed(AUTHORIZE, NOBODY, time.time())
            taken = await self.times_taken([headers, headers])
            assert taken <= 1, headers
            self.nonces += [headers] * taken
            await asyncio.sleep(0.1)

    async def times_taken(self, requests: list[dict[str, str]]) -> int:
        """Send each of these requests to both bridges; return how often one was taken."""
        async with httpx.AsyncClient(timeout=60) as client:

            async def send(port: int, headers: dict[str, str]) -> bool:
                url = f"http://127.0.0.1:{port}{AUTHORIZE}"
                with suppress(httpx.TransportError):
                    answer = await client.post(
                        url, content=NOBODY, headers=headers
                    )
                    assert answer.status_code in (401, 404, 503), answer.text
                    return answer.status_code == 404
                return False

            sent = [
                send(port, headers)
                for headers in requests
                for port in ports(self.stack)
            ]
            return sum(await asyncio.gather(*sent))


async def kill_in_each_gap(
    feed: Feed, plane: ControlPlane, redis_server: RedisServer
) -> None:
    """Kill all while events are between ACK and its record, effect and ACK, inbox and effect; Redis too."""
    await feed.break_down(ack="unanswered")
    unrecorded = await feed.offer()
    await feed.acknowledged(unrecorded)
    await feed.break_down(ack="500")
    acks = len(unrecorded) + len(await feed.offer())
    await feed.has_waiting(acks=acks)

    async with api_server_stopped(plane):
        unwritten = await feed.offer()
        await feed.has_waiting(inbox=len(unwritten), acks=acks)
        for bridge in bridges(feed.stack):
            assert bridge.end() == -9
        await asyncio.to_thread(redis_server.restart)

    await feed.break_down(ack=None)
    for bridge in bridges(feed.stack):
        bridge.start()


async def break_things(
    stack: Stack, plane: ControlPlane, redis_server: RedisServer
) -> None:
    """Kill a bridge each five seconds, and in between Redis, the API server, and Redis.

    The next one waits until the one before serves: a busy machine would have none that does.
    """
    faults = {
        KILLS // 4: "Redis",
        KILLS // 2: "API server",
        KILLS * 3 // 4: "Redis",
    }

    for number in range(KILLS):
        began = time.monotonic()
        victim = bridges(stack)[number % 2]
        assert victim.end() == -9, victim.output()
        await asyncio.sleep(0.3)
        victim.start()

        await asyncio.sleep(1.5)
        fault = faults.get(number)
        if fault == "Redis":
            await asyncio.to_thread(redis_server.restart)
        elif fault == "API server":
            async with api_server_stopped(plane):
                await asyncio.sleep(1)

        await until(partial(serves, victim), stack.logs)
        spent = time.monotonic() - began
        await asyncio.sleep(max(0.0, KILL_EVERY - spent))


async def test_two_bridges_that_are_killed_with_redis_and_the_api_server(
    feed: Feed, control_plane: ControlPlane, redis_server: RedisServer
) -> None:
    stack, load = feed.stack, Load(feed)
    await kill_in_each_gap(feed, control_plane, redis_server)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(CALLERS):
            tasks.create_task(load.call())
        tasks.create_task(load.offer())
        tasks.create_task(load.repeat())
        await break_things(stack, control_plane, redis_server)
        load.stop.set()

    await feed.settled(f"{KILLS} kills under load", repeats=True)
    assert await load.times_taken(load.nonces[-100:]) == 0, "no second time"
    await check_orders(stack, load)
    print(
        f"{load.events} events, {len(load.orders)} orders,"
        f" {len(load.nonces)} nonces taken once; answers {dict(load.answers)}"
    )
    assert load.nonces


async def check_orders(stack: Stack, load: Load) -> None:
    """Each order that was asked for has one Session, and its phone is let in."""
    sessions = await stack.sessions(everything=True)
    of_order = Counter(one.spec.order_id for one in sessions)

    for order, phone in load.orders.items():
        assert of_order[order] == 1, order
        assert stack.forwarded(phone), order
