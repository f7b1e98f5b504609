"""A real Redis for the bridge's store, with and without persistence of its own."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator

import pytest

from cerebro.bridge.store.base import BridgeStore
from cerebro.bridge.store.redis.store import RedisStore
from support.redis_server import KEEPS_ALL, KEEPS_NOTHING, RedisServer
from support.stores import StoreFactory


@pytest.fixture(
    scope="module",
    params=[KEEPS_NOTHING, KEEPS_ALL],
    ids=["keeps-nothing", "keeps-all"],
)
def redis_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"), *request.param)
    yield server
    server.stop()


@pytest.fixture
def make_store(redis_server: RedisServer) -> StoreFactory:
    namespace = f"test-{secrets.token_hex(4)}"
    return lambda: RedisStore(redis_server.address, namespace)


@pytest.fixture
async def store(make_store: StoreFactory) -> AsyncIterator[BridgeStore]:
    opened = make_store()
    await opened.open()
    yield opened
    await opened.close()
