"""Open events on their way to an outcome: pending after 30 s, done with the last Session, known after a restart
(F2, F3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from cerebro.bridge.backend import tracker as module
from cerebro.bridge.backend.tracker import Tracker
from cerebro.bridge.errors import unknown_device
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.orders.outcomes import Awaited
from cerebro.bridge.orders.sessions import Target, Written
from cerebro.bridge.store.base import BridgeStore
from cerebro.bridge.store.entry import Entry
from cerebro.bridge.store.events import NewEvent
from cerebro.kube.cache.store import Store as ObjectStore
from cerebro.resources import SESSION, Device, Session
from cerebro.runtime.clock import now_ms
from support.orders import PHONE, device, revoke


class Sessions:
    """Sessions by name: those that are watched, and those that only the API server has."""

    def __init__(self) -> None:
        self.watched: dict[str, Session] = {}
        self.finished: dict[str, Session] = {}
        self.reads = 0

    def complete(self) -> bool:
        return True

    def known(self, name: str) -> Session | None:
        return self.watched.get(name)

    async def read(self, name: str) -> Session | None:
        self.reads += 1
        return self.finished.get(name)

    def device_named(self, _name: str) -> Device | None:
        return device()

    def device(self, _mik_id: str) -> Device | None:
        return device()


class World:
    """A tracker that runs."""

    def __init__(self, store: BridgeStore) -> None:
        self.store, self.sessions = store, Sessions()
        self.objects = ObjectStore()
        self.metrics = Metrics()
        self.tracker = Tracker(
            store,
            self.sessions,  # type: ignore[arg-type]
            self.objects,
            self.metrics,
            sends_acks=True,
            ack_due=lambda: None,
        )

    async def take(self, event_id: str = "e") -> Entry:
        intent = revoke().model_copy(update={"event_id": event_id})
        new = NewEvent(event_id, intent=intent)
        (entry,) = await self.store.take_events([new], now_ms(), 0)
        self.tracker.taken(entry)
        return entry

    def show(self, name: str, *, over: bool) -> None:
        """Let a Session that is to end be there, or have ended and left the watch."""
        body = ended(name) if over else ending(name)
        session = Session.model_validate(body)
        if over:
            self.watched_no_more(name, session)
        else:
            self.sessions.watched[name] = session
        self.objects.deliver(SESSION, "MODIFIED", body)

    def watched_no_more(self, name: str, session: Session) -> None:
        self.sessions.watched.pop(name, None)
        self.sessions.finished[name] = session

    async def acks(self) -> list[str]:
        acks = await self.store.due_acks(2**53, 100)
        return [ack.body for ack in acks]

    async def until_acked(self, count: int = 1) -> list[str]:
        for _ in range(1000):
            bodies = await self.acks()
            if len(bodies) >= count:
                return bodies
            await asyncio.sleep(0.01)
        raise AssertionError("not acknowledged")


def ending(name: str, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "test",
            "uid": name,
            "generation": 2,
            "resourceVersion": "1" if not status else "2",
            "creationTimestamp": "2026-01-02T12:00:00Z",
        },
        "spec": {
            "deviceRef": {"name": "router-1"},
            "client": {"macAddress": PHONE.mac},
            "revoked": True,
        },
        "status": status,
    }


def ended(name: str) -> dict[str, Any]:
    enforced = {
        "type": "Enforced",
        "status": "True",
        "reason": "Removed",
        "message": "",
        "observedGeneration": 2,
        "lastTransitionTime": "2026-01-02T12:00:00Z",
    }
    return ending(
        name,
        phase="Revoked",
        observedGeneration=2,
        finished=True,
        conditions=[enforced],
    )


def written(*names: str) -> Written:
    targets = tuple(Target(name, 2, Awaited.END) for name in names)
    return Written(device(), PHONE, targets)


@pytest.fixture
async def world(store: BridgeStore) -> AsyncIterator[World]:
    made = World(store)
    running = asyncio.create_task(made.tracker.run())
    await asyncio.sleep(0)
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_revoke_of_two_sessions_is_done_when_both_have_ended(
    world: World,
) -> None:
    entry = await world.take()
    for name in ("a", "b"):
        world.show(name, over=False)
    world.tracker.settled(entry, written("a", "b"))
    world.show("a", over=True)
    await asyncio.sleep(0.05)
    assert await world.acks() == []
    world.show("b", over=True)
    assert await world.until_acked() == [
        '{"eventId":"e","ok":true,"payload":{"ok":true}}'
    ]
    assert world.sessions.reads < 10, "nothing is read again and again"
    assert await world.store.open_events() == []


async def test_what_is_refused_has_its_ack_at_once(world: World) -> None:
    world.tracker.settled(await world.take("a"), unknown_device("R9"))
    world.tracker.settled(await world.take("b"), written())
    first, second = await world.until_acked(2)
    assert '"reason":"unknown_router"' in first
    assert '"ok":true' in second
    text = world.metrics.text(None)
    assert "relay_revoke_failed 1\n" in text
    assert "relay_revoke_done 1\n" in text
    assert "relay_action_REVOKE_SESSION_attempt 2\n" in text
    assert (await world.store.backlog()).count == 0


async def test_f3_an_event_is_pending_once_and_then_has_its_outcome(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PENDING_AFTER", 0)
    monkeypatch.setattr(module, "LOOK", 0.01)
    await asyncio.sleep(0.6)
    entry = await world.take()
    (body,) = await world.until_acked()
    assert '"reason":"pending"' in body
    (ack,) = await world.store.due_acks(2**53, 100)
    world.store.ack_taken_soon(ack)
    world.show("a", over=False)
    world.tracker.settled(entry, written("a"))
    await asyncio.sleep(0.1)
    assert await world.acks() == [], "it is not told again"
    world.show("a", over=True)
    (body,) = await world.until_acked()
    assert '"ok":true' in body


async def test_f1_what_a_dead_process_followed_the_next_one_follows(
    store: BridgeStore,
) -> None:
    first = World(store)
    entry = await first.take()
    first.tracker.settled(entry, written("a"))
    second = World(store)
    second.show("a", over=True)
    running = asyncio.create_task(second.tracker.run())
    (body,) = await second.until_acked()
    assert '"ok":true' in body
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
