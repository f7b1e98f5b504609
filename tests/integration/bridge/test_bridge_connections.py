"""Connections that send nothing, or a request in part (case Z6): they are closed, and others are served meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from integration.bridge.agent import Agent
from integration.bridge.caller import Caller
from integration.bridge.process import CERTAIN, TOKEN, BridgeProcess

HEAD = b"POST /relay/revoke HTTP/1.1\r\nHost: bridge\r\n"
STALLED = {
    "nothing": b"",
    "half a head": HEAD,
    "half a body, refused": HEAD + b"Content-Length: 90\r\n\r\n{",
    "half a body": HEAD
    + f"X-Relay-Token: {TOKEN}\r\nContent-Length: 90\r\n\r\n{{".encode(),
    "half a further head": b"GET /health HTTP/1.1\r\nHost: bridge\r\n\r\n"
    + HEAD,
}
"""What a connection sends before it sends no more, or a byte now and then."""


async def test_a_request_that_does_not_come_is_not_waited_for(
    start_bridge: Callable[..., BridgeProcess], agent: Agent
) -> None:
    agent.make_device("router-1", router_id="R1")
    process = start_bridge(CEREBRO_HEAD_TIMEOUT="1", CEREBRO_BODY_TIMEOUT="1")
    async with Caller(process) as caller:
        await caller.until_complete()
        stalled = [
            asyncio.create_task(_until_closed(process.port, first, trickles))
            for first in STALLED.values()
            for trickles in (False, True)
        ]
        assert (await caller.get("/health/live")).status_code == 200
        async with asyncio.timeout(CERTAIN):
            received = await asyncio.gather(*stalled)
        assert (await caller.get("/health/live")).status_code == 200

    by_name = dict(zip(STALLED, received[::2], strict=True))
    assert by_name["nothing"] == by_name["half a head"] == b""
    assert by_name["half a body"].startswith(b"HTTP/1.1 408")
    assert by_name["half a body, refused"].startswith(b"HTTP/1.1 401")
    assert by_name["half a further head"].startswith(b"HTTP/1.1 200")


async def test_those_without_a_request_make_room_for_others(
    start_bridge: Callable[..., BridgeProcess], agent: Agent
) -> None:
    agent.make_device("router-1", router_id="R1")
    process = start_bridge(
        CEREBRO_MAX_CONNECTIONS="16",
        CEREBRO_HEAD_TIMEOUT="60",
        CEREBRO_BODY_TIMEOUT="60",
    )
    async with Caller(process) as caller:
        await caller.until_complete()
        idle = [
            asyncio.create_task(_until_closed(process.port, first, False))
            for first in (b"", HEAD)
            for _ in range(200)
        ]
        async with asyncio.timeout(CERTAIN):
            while sum(not task.done() for task in idle) > 16:
                assert (await caller.get("/health/live")).status_code == 200
                await asyncio.sleep(0.05)
        answer = await caller.revoke(mac="AA:BB:CC:DD:EE:01")
        assert answer.json()["code"] == "router_timeout"
        for task in idle:
            task.cancel()
        await asyncio.gather(*idle, return_exceptions=True)


async def test_e14_a_kept_connection_is_told_which_answer_is_its_last(
    start_bridge: Callable[..., BridgeProcess],
) -> None:
    """So no request is on its way when the bridge closes the connection."""
    process = start_bridge()
    async with Caller(process) as caller:
        await caller.until_complete()

    reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
    ending: asyncio.Task[int] | None = None
    last = False
    async with asyncio.timeout(CERTAIN):
        while not last:
            writer.write(b"GET /health/live HTTP/1.1\r\nHost: bridge\r\n\r\n")
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert head.startswith(b"http/1.1 200")
            last = b"connection: close" in head
            length = head.partition(b"content-length: ")[2].split()[0]
            await reader.readexactly(int(length))
            if ending is None:
                assert not last
                ending = asyncio.create_task(
                    asyncio.to_thread(process.terminate)
                )

        assert ending is not None
        assert await reader.read() == b""
        assert await ending == 0

    writer.close()


async def _until_closed(port: int, first: bytes, trickles: bool) -> bytes:
    """Send these bytes, and then one now and then; return what came until the bridge closed the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(first)

    async def trickle() -> None:
        while trickles and not writer.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.2)

    trickling = asyncio.create_task(trickle())
    try:
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        trickling.cancel()
        writer.close()
