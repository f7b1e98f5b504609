"""The recorder over the real store: what it does when somebody was first, and when something cannot be read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, cast

import pytest

from cerebro.bridge.errors import ApiError
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.orders.sessions import Sessions
from cerebro.bridge.records.places import PlaceError
from cerebro.bridge.records.recorder import Recorder
from cerebro.bridge.records.writer import RecordWriter
from cerebro.bridge.store.base import BridgeStore
from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.objects import Listing
from cerebro.resources import SESSION, Session

RECORDS_WAITING = 'relay_records_waiting{service="relay-cerebro"} 1.0'
RECORDS_WRITTEN = 'relay_records_written_total{service="relay-cerebro"} 1.0'
PLACED = "2026-01-02T03:04:05Z"


def body(name: str, version: int, phase: str = "Active") -> dict[str, Any]:
    over = phase != "Active"
    return {
        "metadata": {
            "name": name,
            "namespace": "n",
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
            "generation": 1,
        },
        "spec": {
            "deviceRef": {"name": "router-1"},
            "client": {"macAddress": "AA:BB:CC:DD:EE:01"},
        },
        "status": {
            "phase": phase,
            "observedGeneration": 1,
            "authorizedAt": PLACED,
            "finished": over,
            "finishedAt": PLACED if over else None,
            "conditions": [
                {"type": "Enforced", "status": "True", "reason": "Granted"}
            ],
        },
    }


class World:
    """A watched store, and what the API server has besides it."""

    def __init__(self, store: BridgeStore) -> None:
        self.kept = store
        self.objects = Store()
        self.finished: dict[str, dict[str, Any] | ApiError] = {}
        self.reads: list[str] = []
        self.namespace = "n"
        self.objects.reconcile_listing(SESSION, "n", Listing({}, 1), 0)

    def recorder(self) -> Recorder:
        return Recorder(
            self.kept, cast(Sessions, self), self.objects, lambda: None
        )

    # What the recorder asks of `Sessions` and `KubeApi`.

    def complete(self) -> bool:
        return self.objects.complete(SESSION, "n")

    def device_named(self, name: str) -> None:
        return None

    async def read(self, name: str) -> Session | None:
        self.reads.append(name)
        answer = self.finished.get(name)
        if isinstance(answer, ApiError):
            raise answer
        return None if answer is None else Session.model_validate(answer)

    async def list_objects(
        self, *_: Any, **__: Any
    ) -> AsyncIterator[dict[str, Any]]:
        for each in self.finished.values():
            if not isinstance(each, ApiError):
                yield each

    async def until(self, *texts: str) -> None:
        """Let recorders run until these records are there: kind and Session."""

        async def there() -> bool:
            return await self.told() == sorted(texts)

        await eventually(there)

    async def told(self) -> list[str]:
        records = [
            json.loads(record.body)
            for record in await self.kept.waiting_records(1000)
        ]
        return sorted(f"{each['kind']} {each['session']}" for each in records)


async def eventually(check: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(60):
        while not await check():  # noqa: ASYNC110 - nobody sets an event
            await asyncio.sleep(0.005)


@pytest.fixture
def world(store: BridgeStore) -> World:
    return World(store)


class Running:
    """Recorders that run until the end of the block."""

    def __init__(self, world: World, count: int = 1) -> None:
        self._tasks = [
            asyncio.create_task(world.recorder().run(cast(KubeApi, world)))
            for _ in range(count)
        ]

    async def __aenter__(self) -> Running:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def test_two_that_follow_at_once_record_each_access_once(
    world: World,
) -> None:
    async with Running(world, 2):
        for name in "abc":
            world.objects.deliver(SESSION, "ADDED", body(name, 2))
        await world.until("grant a", "grant b", "grant c")
        world.finished["a"] = body("a", 3, "Expired")
        world.objects.deliver(SESSION, "DELETED", body("a", 3))
        await world.until("end a", "grant a", "grant b", "grant c")
        await asyncio.sleep(0.05)
        assert len(await world.told()) == 4


async def test_a_session_that_cannot_be_read_holds_up_no_other(
    world: World,
) -> None:
    async with Running(world):
        world.objects.deliver(SESSION, "ADDED", body("a", 2))
        world.objects.deliver(SESSION, "ADDED", body("b", 2))
        await world.until("grant a", "grant b")
        world.finished["a"] = ApiError(503, "invalid_object", "unreadable")
        world.finished["b"] = body("b", 3, "Revoked")
        world.objects.deliver(SESSION, "DELETED", body("a", 3))
        world.objects.deliver(SESSION, "DELETED", body("b", 3))
        await world.until("end b", "grant a", "grant b")


async def test_what_the_api_server_does_not_say_now_is_asked_again(
    world: World,
) -> None:
    async with Running(world):
        world.objects.deliver(SESSION, "ADDED", body("a", 2))
        await world.until("grant a")
        world.finished["a"] = ApiError(503, "kubernetes_unavailable", "away")
        world.objects.deliver(SESSION, "DELETED", body("a", 3))

        async def asked_again() -> bool:
            return len(world.reads) > 1

        await eventually(asked_again)
        del world.finished["a"]
        await world.until("end a", "grant a")


async def test_a_sweep_finds_what_ended_while_nobody_looked(
    world: World,
) -> None:
    world.finished["a"] = body("a", 2, "Expired")
    world.finished["b"] = {"metadata": {}, "status": {"finishedAt": "no time"}}
    for _ in range(2):
        async with Running(world):
            await world.until("end a", "grant a")
            await eventually(world.kept.swept_at)
    assert len(await world.told()) == 2


async def test_records_stay_until_they_are_written(world: World) -> None:
    class Place:
        broken = True

        def __init__(self) -> None:
            self.records: list[str] = []

        async def write(self, records: list[str]) -> None:
            if self.broken:
                raise PlaceError("away")
            self.records += records

        async def forget(self) -> None:
            raise PlaceError("away")

    place, metrics = Place(), Metrics()
    writer = RecordWriter(world.kept, metrics)
    task = asyncio.create_task(writer.run(cast(Any, place)))
    async with Running(world):
        world.objects.deliver(SESSION, "ADDED", body("a", 2))
        await world.until("grant a")
    writer.wake()

    async def shown() -> bool:
        return RECORDS_WAITING in metrics.text(None)

    await eventually(shown)
    assert await world.told() == ["grant a"]
    place.broken = False

    async def counted() -> bool:
        return RECORDS_WRITTEN in metrics.text(None)

    await eventually(counted)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert len(place.records) == 1
    assert await world.told() == []
