"""The fault proxy: it streams what it does not break. A real API server behind it, aiohttp before it."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from controlplane.proxy import FaultProxy, Request
from controlplane.server import ControlPlane

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
async def proxy(bare_control_plane: ControlPlane) -> AsyncIterator[FaultProxy]:
    made = bare_control_plane.credentials
    async with FaultProxy(
        bare_control_plane.url,
        upstream_ca=made.ca,
        certificate=(made.certificate, made.key),
    ) as running:
        yield running


@pytest.fixture
async def client(
    bare_control_plane: ControlPlane, proxy: FaultProxy
) -> AsyncIterator[aiohttp.ClientSession]:
    made = bare_control_plane.credentials
    trust = aiohttp.TCPConnector(
        ssl=ssl.create_default_context(cafile=str(made.ca))
    )
    headers = {"Authorization": f"Bearer {made.admin_token}"}
    async with aiohttp.ClientSession(
        proxy.url, connector=trust, headers=headers
    ) as session:
        yield session


async def status(client: aiohttp.ClientSession, path: str = CONFIGMAPS) -> int:
    async with client.get(path) as answer:
        await answer.read()
        return answer.status


async def create(client: aiohttp.ClientSession, name: str) -> None:
    async with client.post(
        CONFIGMAPS, json={"metadata": {"name": name}}
    ) as answer:
        assert answer.status == 201, await answer.text()


async def next_event(watch: aiohttp.ClientResponse) -> dict[str, Any]:
    async with asyncio.timeout(60):
        event: dict[str, Any] = json.loads(await watch.content.readline())
        return event


async def test_a_spell_of_refusals_then_everything_passes(
    proxy: FaultProxy, client: aiohttp.ClientSession
) -> None:
    assert await status(client) == 200
    fault = proxy.answer(401)
    assert await status(client) == 401
    fault.end()
    assert await status(client) == 200
    proxy.answer(429, times=2, retry_after=1)
    assert [await status(client) for _ in range(3)] == [429, 429, 200]
    before = time.monotonic()
    fault = proxy.answer(403, seconds=600)
    assert await status(client) == 403
    assert fault.until is not None
    assert before + 600 <= fault.until <= time.monotonic() + 600
    fault.until = before  # as if that time had passed
    assert await status(client) == 200
    proxy.answer(500, matching=lambda request: request.resource == "secrets")
    assert await status(client) == 200
    assert await status(client, "/api/v1/namespaces/default/secrets") == 500
    proxy.clear()
    assert await status(client, "/api/v1/namespaces/default/secrets") == 200


async def test_lists_are_delayed_and_reads_are_not(
    proxy: FaultProxy, client: aiohttp.ClientSession
) -> None:
    fault = proxy.delay(1.0, matching=lambda request: request.list)
    started = time.monotonic()
    assert await status(client, f"{CONFIGMAPS}/nothing") == 404
    assert fault.hits == 0
    assert await status(client) == 200
    assert fault.hits == 1
    assert time.monotonic() - started >= 1.0


async def test_a_watch_streams_and_is_cut(
    proxy: FaultProxy, client: aiohttp.ClientSession
) -> None:
    async with client.get(CONFIGMAPS, params={"watch": "1"}) as watch:
        await create(client, "seen-through-the-proxy")
        names = set()
        while "seen-through-the-proxy" not in names:
            names.add((await next_event(watch))["object"]["metadata"]["name"])
        assert proxy.cut_watches() == 1
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await watch.read()
    assert await status(client) == 200


async def test_nobody_listens_until_connections_are_taken_again(
    proxy: FaultProxy, client: aiohttp.ClientSession
) -> None:
    assert await status(client) == 200
    await proxy.refuse()
    with pytest.raises(aiohttp.ClientConnectorError):
        await status(client)
    await proxy.accept()
    assert await status(client) == 200


async def test_requests_are_remembered_in_kubernetes_words(
    proxy: FaultProxy, client: aiohttp.ClientSession
) -> None:
    await status(client)
    seen: Request = proxy.requests[-1]
    assert (
        seen.method,
        seen.resource,
        seen.name,
        seen.list,
        seen.watch,
        seen.write,
    ) == (
        *("GET", "configmaps", "", True),
        *(False, False),
    )
