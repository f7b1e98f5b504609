"""How events are taken in: once, in steps, and never so many that calls over HTTP find no room (F1)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from cerebro.bridge.backend import consumer as module
from cerebro.bridge.backend.consumer import Consumer
from cerebro.bridge.errors import ApiError
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.requests.events import FeedRules
from cerebro.bridge.store.base import BridgeStore
from cerebro.bridge.store.entry import Entry
from cerebro.runtime.clock import now_ms


class World:
    """A consumer with a store."""

    def __init__(self, store: BridgeStore, *, sends_acks: bool = True) -> None:
        self.store = store
        self.started: list[Entry] = []
        self.metrics = Metrics()
        self.consumer = Consumer(
            store,
            self.metrics,
            rules=FeedRules(),
            payment_within=60_000,
            sends_acks=sends_acks,
            taken=self.started.append,
            ack_due=lambda: None,
        )

    @property
    def orders(self) -> list[Any]:
        return [entry.intent.event_id for entry in self.started]

    async def bodies(self) -> list[str]:
        acks = await self.store.due_acks(2**53, 1000)
        return [ack.body for ack in acks]


@pytest.fixture
def world(store: BridgeStore) -> World:
    return World(store)


def event(
    event_id: Any, kind: str = "RELEASE_REQUESTED", **payload: Any
) -> Any:
    phone = {
        "pedidoId": f"P-{event_id}",
        "mikId": "R1",
        "ip": "10.5.50.10",
        "mac": "AA:BB:CC:DD:EE:01",
    }
    return {
        "eventId": event_id,
        "type": kind,
        "payload": phone | payload,
        "timestamp": now_ms(),
    }


async def test_f1_events_are_taken_once_and_in_their_order(
    world: World,
) -> None:
    names = [f"e-{number}" for number in range(250)]
    feed = [event(name) for name in names]
    await world.consumer.take(feed[:120] * 2)
    await world.consumer.take(feed)
    await world.consumer.take(feed)
    assert world.orders == names
    again = World(world.store)
    await again.consumer.take(feed)
    assert again.orders == [], "the next process knows them too"


async def test_f4_what_comes_to_nothing_has_its_ack_and_nothing_else(
    world: World,
) -> None:
    feed = [event("a", mac=None), event("b", "WHAT"), event("c")]
    for _ in range(3):
        await world.consumer.take(feed)
    assert world.orders == ["c"]
    acks = [json.loads(body) for body in await world.bodies()]
    assert [ack["eventId"] for ack in acks] == ["a", "b"]
    text = world.metrics.text(None)
    assert "relay_events_invalid 1" in text
    assert "relay_events_unknown_type 1" in text


async def test_an_event_without_an_id_is_skipped_and_counted(
    world: World,
) -> None:
    await world.consumer.take([None, 7, {}, event(None), event("c")])
    assert world.orders == ["c"]
    assert await world.bodies() == []
    assert "relay_consumer_invalid_event 4" in world.metrics.text(None)


async def test_without_an_address_for_acks_there_are_none(
    store: BridgeStore,
) -> None:
    silent = World(store, sends_acks=False)
    await silent.consumer.take([event("a", mac=None), event("b")])
    assert await silent.bodies() == []
    assert silent.orders == ["b"]


async def test_events_wait_at_the_backend_while_the_inbox_is_half_full(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_IN_THE_INBOX", 100)
    feed = [event(f"e-{number}") for number in range(250)]
    with pytest.raises(ApiError) as caught:
        await world.consumer.take(feed)
    assert caught.value.code == "inbox_full"
    assert len(world.orders) == 100
    for entry in world.started:
        world.store.conclude_soon(
            entry.intent.event_id or "", None, now_ms(), entry
        )
    await world.store.open_events()
    with pytest.raises(ApiError):
        await world.consumer.take(feed)
    assert world.orders == [f"e-{number}" for number in range(200)]


async def test_taking_many_events_does_not_hold_the_loop(
    world: World,
) -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    other = asyncio.create_task(turn())
    await world.consumer.take([event(f"e-{number}") for number in range(900)])
    other.cancel()
    assert turns >= 9, "others have a turn after each step"
