"""Two bridges on one Redis, which is started anew under load, and forgets or not what it had."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from controlplane.server import ControlPlane
from integration.bridge.agent import Agent
from integration.bridge.backend import FakeBackend, event
from integration.bridge.caller import Caller, eventually
from integration.bridge.process import CERTAIN, BridgeProcess
from support.redis_server import (
    KEEPS_ALL,
    KEEPS_NOTHING,
    PASSWORD,
    RedisServer,
)

PATH = "/relay/authorize-by-pedido"
Pair = tuple[Caller, Caller]


@pytest.fixture(
    params=[KEEPS_NOTHING, KEEPS_ALL], ids=["keeps-nothing", "keeps-all"]
)
def redis_server(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path, *request.param)
    yield server
    server.stop()


@pytest.fixture
def backend() -> Iterator[FakeBackend]:
    fake = FakeBackend()
    fake.until_up()
    yield fake
    fake.stop()


@pytest.fixture
async def pair(
    redis_server: RedisServer,
    start_bridge: Callable[..., BridgeProcess],
    agent: Agent,
    backend: FakeBackend,
) -> AsyncIterator[Pair]:
    """Two bridges that know the Device `router-1`, and a backend that calls both and has a feed."""
    agent.make_device("router-1", router_id="R1")
    settings = {
        "RELAY_STORE": "redis",
        "REDIS_URL": redis_server.url,
        "CEREBRO_STORE": "/dev/null/no-file",
        **backend.environment,
    }
    async with AsyncExitStack() as stack:
        first, second = [
            await stack.enter_async_context(Caller(start_bridge(**settings)))
            for _ in range(2)
        ]
        await asyncio.gather(first.until_complete(), second.until_complete())
        yield first, second
        for caller in (first, second):
            assert PASSWORD not in caller.process.output()


def body_of(number: int) -> bytes:
    mac = f"AA:BB:CC:DD:{number // 100:02}:{number % 100:02}"
    return f'{{"pedidoId":"P-{number}","mikId":"R1","mac":"{mac}"}}'.encode()


async def send(caller: Caller, number: int) -> httpx.Response:
    body = body_of(number)
    return await caller.raw(PATH, body, caller.signed(PATH, body))


async def until_granted(pair: Pair, number: int, codes: set[str]) -> None:
    """Ask for an order at one bridge and then the other, as a client does, until it is granted."""
    for turn in range(1000):
        answer = await send(pair[(number + turn) % 2], number)
        if answer.status_code == 200:
            return
        assert answer.status_code == 503, answer.text
        codes.add(answer.json()["code"])
        await asyncio.sleep(0.2)
    raise AssertionError(answer.text)


async def until(check: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + CERTAIN
    while not await check():
        assert time.monotonic() < deadline, "it is so in time"
        await asyncio.sleep(0.1)


async def until_ready(pair: Pair, status: int) -> None:
    async def so() -> bool:
        answers = [await caller.get("/health/ready") for caller in pair]
        return {answer.status_code for answer in answers} == {status}

    await until(so)


async def entries(server: RedisServer) -> int:
    """How many entries are in the inbox of all bridges."""
    async with Redis.from_url(server.url) as client:
        return int(await client.zcard("relay:cerebro:inbox"))


async def until_empty(server: RedisServer) -> None:
    async def so() -> bool:
        return await entries(server) == 0

    await until(so)


async def test_redis_that_is_started_anew_under_load_loses_no_order_and_doubles_none(
    pair: Pair, agent: Agent, redis_server: RedisServer
) -> None:
    router = asyncio.create_task(agent.work())
    codes: set[str] = set()
    numbers = itertools.count()
    is_over = False

    async def backend() -> None:
        while not is_over:
            await until_granted(pair, next(numbers), codes)

    backends = [asyncio.create_task(backend()) for _ in range(6)]
    for _ in range(2):
        await asyncio.sleep(1)
        redis_server.stop()
        await until_ready(pair, 503)
        redis_server.start()
        await until_ready(pair, 200)
    is_over = True
    await asyncio.gather(*backends)
    await until_empty(redis_server)
    router.cancel()

    count = next(numbers)
    sessions = agent.sessions()
    granted = {session.spec.order_id for session in sessions}
    assert granted == {f"P-{number}" for number in range(count)}
    assert len(sessions) == len(granted), "one Session for each order"
    assert "store_unavailable" in codes


async def test_d5_no_nonce_is_taken_twice_by_two_bridges_nor_after_redis_was_started_anew(
    pair: Pair, redis_server: RedisServer
) -> None:
    first, second = pair
    body = b'{"pedidoId":"P-1","mikId":"nobody","mac":"AA:BB:CC:DD:EE:01"}'
    signed = [first.signed(PATH, body) for _ in range(10)]
    answers = await asyncio.gather(
        *(
            caller.raw(PATH, body, headers)
            for headers in signed
            for caller in pair
        )
    )
    statuses = [answer.status_code for answer in answers]
    assert sorted(statuses) == [401] * 10 + [404] * 10

    redis_server.restart()
    await until_ready(pair, 200)
    late = [await second.raw(PATH, body, headers) for headers in signed]
    refusals = {answer.json()["code"] for answer in late}
    assert refusals <= {"HMAC_REPLAY", "store_unavailable"}
    assert (
        await second.raw(PATH, body, second.signed(PATH, body))
    ).status_code == 404, "a request that is signed anew is taken"


@pytest.mark.parametrize(
    "redis_server", [KEEPS_ALL], ids=["keeps-all"], indirect=True
)
async def test_f1_a_bridge_carries_out_what_another_had_that_died(
    pair: Pair,
    agent: Agent,
    control_plane: ControlPlane,
    redis_server: RedisServer,
) -> None:
    first, _ = pair
    control_plane.stop_api_server()
    try:
        answers = await asyncio.gather(*(send(first, n) for n in range(5)))
        codes = {answer.json()["code"] for answer in answers}
        assert codes == {"kubernetes_unavailable"}
        assert await entries(redis_server) == 5
        first.process.kill()
    finally:
        control_plane.start_api_server()
    await until_empty(redis_server)
    wanted = {f"P-{number}" for number in range(5)}
    await eventually(
        lambda: {one.spec.order_id for one in agent.sessions()} == wanted
    )


async def test_f4_each_event_has_one_effect_whichever_bridge_is_killed_and_redis_started_anew(
    pair: Pair, agent: Agent, redis_server: RedisServer, backend: FakeBackend
) -> None:
    router = asyncio.create_task(agent.work())
    events = [
        event(
            f"e-{number}",
            mac=f"AA:BB:CC:DD:EE:{number:02}",
            ip=f"10.5.50.{number}",
        )
        for number in range(10, 50)
    ]
    for turn, caller in enumerate((*pair, *pair)):
        backend.offer(*events[10 * turn : 10 * turn + 10])
        await asyncio.sleep(0.5)
        if turn == 1:
            redis_server.restart()
        caller.process.kill()
        await asyncio.sleep(0.5)
        caller.process.restart()
        await caller.until_complete()

    acks = [await backend.until_acked(each["eventId"]) for each in events]
    assert {ack["ok"] for ack in acks} == {True}
    await until_empty(redis_server)
    router.cancel()
    sessions = [session.spec.order_id for session in agent.sessions()]
    wanted = [each["payload"]["pedidoId"] for each in events]
    assert sorted(str(order_id) for order_id in sessions) == wanted
