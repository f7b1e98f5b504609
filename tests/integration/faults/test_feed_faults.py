"""Faults between a backend's event and its final ACK, with a bridge on a SQLite file (F1, F3, F4).

After each of them every event has one effect on the router and a final ACK that the backend took, and nothing waits
in the bridge any more. In the ordinary run the API server is away for 8 s and the feed brings 200 events at once, in
the long one 60 s and 5,000.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio

from controlplane.server import ControlPlane
from integration.bridge.backend import FakeBackend
from integration.faults.backend import AUTHORIZE, Backend
from integration.faults.conftest import OpenStack
from integration.faults.feed import NOTHING, Feed, in_file
from integration.faults.small_disk import SmallDisk
from integration.faults.stack import (
    LONG,
    Stack,
    api_server_stopped,
    until,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

AWAY = 60.0 if LONG else 8.0
MANY = 5000 if LONG else 200
MANY_WITHIN = 900.0
"""Seconds that a burst may take: one router, in this process, takes its rows one by one."""


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    mounted = SmallDisk(tmp_path_factory.mktemp("small") / "disk")
    yield mounted
    mounted.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def feed(
    open_module_stack: OpenStack, disk: SmallDisk
) -> AsyncIterator[Feed]:
    """A backend, and a stack whose bridge polls it and keeps its file on the small disk."""
    backend = FakeBackend()
    backend.until_up()
    stack = await open_module_stack(
        CEREBRO_REQUEST_TIMEOUT="2",
        CEREBRO_WATCH_TIMEOUT="5",
        **backend.environment,
    )
    file = disk.folder / "relay.db"
    stack.bridge.environment["CEREBRO_STORE"] = str(file)
    stack.agent.start()
    stack.bridge.start()
    await until(lambda: is_ready(stack), stack.logs)
    yield Feed(stack, backend, in_file(file))
    backend.stop()


async def ready_status(stack: Stack) -> int:
    """Return the status of /health/ready, 0 where nobody listens."""
    url = f"http://127.0.0.1:{stack.bridge_port}/health/ready"
    async with httpx.AsyncClient(timeout=10) as client:
        try:
            return (await client.get(url)).status_code
        except httpx.TransportError:
            return 0


async def is_ready(stack: Stack) -> bool:
    return await ready_status(stack) == 200


async def is_not_ready(stack: Stack) -> bool:
    return await ready_status(stack) == 503


@pytest.mark.parametrize("fault", ["500", "hang", "half", "signature"])
async def test_a_feed_that_is_broken(feed: Feed, fault: str) -> None:
    await feed.break_down(feed=fault)
    await feed.offer()
    await feed.polled()
    assert await feed.waiting() == NOTHING
    await feed.break_down(feed=None)
    await feed.settled(f"feed: {fault}")


@pytest.mark.parametrize("fault", ["500", "hang", "unanswered"])
async def test_an_ack_that_is_not_taken(feed: Feed, fault: str) -> None:
    await feed.break_down(ack=fault, keep=True)
    await feed.has_waiting(acks=len(await feed.offer()))
    await feed.break_down(ack=None)
    await feed.settled(f"ACK: {fault}", repeats=fault == "unanswered")


async def test_f4_the_same_event_a_hundred_times(feed: Feed) -> None:
    await feed.break_down(times=100, keep=True)
    event_ids = await feed.offer()
    await feed.acknowledged(event_ids)
    await feed.polled(5)
    await feed.settled("each event a hundred times in each poll")


async def test_f4_events_for_unknown_routers(feed: Feed) -> None:
    await feed.break_down(keep=True)
    event_ids = await feed.offer_unknown(20)
    await feed.offer()
    await feed.acknowledged(event_ids)
    await feed.polled(5)
    await feed.settled("unknown routers")


async def test_many_events_at_once(feed: Feed) -> None:
    """The load may cost the bridge its Lease, which lasts 2 s here, in the middle of an ACK: that one comes twice."""
    await feed.offer(MANY)
    await feed.settled(
        f"{MANY} events at once", within=MANY_WITHIN, repeats=True
    )


async def test_f1_a_bridge_that_is_killed_in_each_gap(
    feed: Feed, control_plane: ControlPlane
) -> None:
    """Between ACK and its record, effect and ACK, inbox and effect: events are in all three when it is killed."""
    stack = feed.stack
    await feed.break_down(ack="unanswered", keep=True)
    unrecorded = await feed.offer()
    await feed.acknowledged(unrecorded)
    await feed.break_down(ack="500")
    unsent = await feed.offer()
    acks = len(unrecorded) + len(unsent)
    await feed.has_waiting(acks=acks)

    async with api_server_stopped(control_plane):
        unwritten = await feed.offer()
        await feed.has_waiting(inbox=len(unwritten), acks=acks)
        assert stack.bridge.end() == -9
    await feed.break_down(ack=None)
    stack.bridge.start()
    await feed.settled("killed in each gap", repeats=True)


async def test_f1_an_api_server_that_is_away(
    feed: Feed, control_plane: ControlPlane
) -> None:
    async with api_server_stopped(control_plane):
        await feed.has_waiting(inbox=len(await feed.offer()))
        await asyncio.sleep(AWAY)
    await feed.settled(f"API server away for {AWAY:g} s")


async def begin_a_log(stack: Stack) -> None:
    """Start the bridge anew in order: the log beside its file is new then, and needs room with each record."""
    assert stack.bridge.end(signal.SIGTERM) == 0
    stack.bridge.start()
    await until(lambda: is_ready(stack), stack.logs)


async def test_f1_a_full_disk(feed: Feed, disk: SmallDisk) -> None:
    """Nothing is taken, no ACK is sent over and over, and all goes on by itself when there is room."""
    stack = feed.stack
    await begin_a_log(stack)
    await feed.break_down(ack="500")
    await feed.has_waiting(acks=len(await feed.offer()))

    disk.fill()
    await feed.break_down(ack=None)
    await until(lambda: is_not_ready(stack), stack.logs)
    await feed.offer()
    phone = stack.new_phone()
    answer = await Backend(stack.bridge_port).post(
        AUTHORIZE, pedidoId="P-full", **phone.address
    )
    assert (answer.status, answer.body["code"]) == (503, "store_unavailable")
    for _ in range(20):
        assert await is_not_ready(stack)
        await asyncio.sleep(0.1)

    disk.empty()
    await feed.settled("disk full")
    assert await is_ready(stack)


async def test_f1_a_bridge_that_is_killed_while_its_disk_is_full(
    feed: Feed, disk: SmallDisk
) -> None:
    stack = feed.stack
    await begin_a_log(stack)
    await feed.break_down(ack="500")
    await feed.has_waiting(acks=len(await feed.offer()))
    disk.fill()
    await feed.break_down(ack=None)
    await feed.offer()
    await until(lambda: is_not_ready(stack), stack.logs)
    assert stack.bridge.end() == -9
    stack.bridge.start()
    await asyncio.sleep(1)

    disk.empty()
    if stack.bridge.exit_code() is not None:
        assert stack.bridge.said("CEREBRO_STORE"), stack.logs()
        stack.bridge.start()
    await feed.settled("killed while the disk was full", repeats=True)
