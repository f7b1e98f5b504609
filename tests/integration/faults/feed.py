"""Events of a backend's feed for a stack, and what must have come of each once all faults are gone."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from redis.asyncio import Redis

from integration.bridge.backend import Ack, FakeBackend, event
from integration.faults.stack import CERTAIN, LONG, Phone, Stack


class Waiting(NamedTuple):
    """What a store holds that is not over."""

    inbox: int
    events: int
    """Events without an outcome, also those in the inbox."""
    acks: int


CountWaiting = Callable[[], Awaitable[Waiting]]
NOTHING = Waiting(0, 0, 0)

WITHIN = 60.0 if LONG else CERTAIN
"""Seconds after the last fault for which the outcome is waited for. Where little else runs they are those of the
contract; beside other tests a busy machine may take longer.
"""
MINUTES = 60


class Feed:
    """The events that a test offers to one stack's bridges. Begin anew after each fault with `settled`."""

    def __init__(
        self, stack: Stack, backend: FakeBackend, waiting: CountWaiting
    ) -> None:
        self.stack, self.backend, self.waiting = stack, backend, waiting
        self._granted: dict[str, Phone] = {}
        self._refused: set[str] = set()
        self._number = 0

        self._added: Counter[str] = Counter()
        bindings = stack.router.tables["/ip/hotspot/ip-binding"]
        bindings.subscribe(self._row_changed)

    async def offer(self, count: int = 3) -> list[str]:
        """Put that many releases into the feed at once, each of a phone of its own; return their ids."""
        events = []

        for _ in range(count):
            phone, name = self.stack.new_phone(), self._next_name()
            self._granted[name] = phone
            events.append(
                event(name, planoMinutos=MINUTES, ip=phone.ip, mac=phone.mac)
            )

        return await self._put(events)

    async def offer_unknown(self, count: int) -> list[str]:
        """Put releases for routers that nobody knows into the feed; return their ids."""
        events = [
            event(self._next_name(), mikId=f"R-unknown-{number}")
            for number in range(count)
        ]
        ids = await self._put(events)
        self._refused.update(ids)

        return ids

    async def break_down(self, **faults: Any) -> None:
        """Let faults of the backend be there, or be over: None."""
        await asyncio.to_thread(lambda: self.backend.break_down(**faults))

    async def polled(self, times: int = 2) -> None:
        """Wait until the backend was polled that many times from now on."""
        before = await asyncio.to_thread(self.backend.polls)
        await self.backend.until(
            lambda: self.backend.polls() >= before + times, "it is polled"
        )

    async def acknowledged(self, event_ids: list[str]) -> None:
        """Wait until the backend took a final ACK of each of these events."""
        await self._until(
            lambda: self._unacknowledged(event_ids), CERTAIN, "final ACKs"
        )

    async def has_waiting(self, *, inbox: int = 0, acks: int = 0) -> None:
        """Wait until the store has so many orders to be written, and ACKs to be sent, and no event between them."""
        wanted = Waiting(inbox, inbox, acks)

        async def difference() -> str:
            waiting = await self.waiting()
            return "" if waiting == wanted else f"{waiting}, not {wanted}"

        await self._until(difference, CERTAIN, "what is waiting")

    async def settled(
        self, fault: str, *, within: float = WITHIN, repeats: bool = False
    ) -> None:
        """Wait until nothing is waiting any more; then every event has one effect and its final ACK.

        With `repeats` an ACK may have come more than once, always with the same text: whoever sent it was killed, or
        not told that it was taken.
        """
        began, count = (
            time.monotonic(),
            len(self._granted) + len(self._refused),
        )
        await self._until(self._unsettled, within, fault)
        print(
            f"{fault}: {count} events have their final ACK,"
            f" {time.monotonic() - began:.1f} s after the last fault"
        )

        await self._check_effects()
        self._check_acks(await self._acks(), repeats=repeats)
        await self.stack.check_equal()

        await asyncio.to_thread(self.backend.forget)
        self._granted.clear()
        self._refused.clear()

    def _next_name(self) -> str:
        self._number += 1
        return f"event-{self._number}"

    async def _put(self, events: list[dict[str, Any]]) -> list[str]:
        await asyncio.to_thread(self.backend.offer, *events)
        return [each["eventId"] for each in events]

    async def _until(
        self,
        difference: Callable[[], Awaitable[str]],
        within: float,
        what: str,
    ) -> None:
        """Wait until there is no difference any more."""
        deadline = time.monotonic() + within

        while text := await difference():
            assert time.monotonic() < deadline, (
                f"{what}: {text}\n{self.stack.logs()}"
            )
            await asyncio.sleep(0.2)

    async def _unsettled(self) -> str:
        waiting = await self.waiting()
        if waiting != NOTHING:
            return f"the store has {waiting}"

        return await self._unacknowledged([*self._granted, *self._refused])

    async def _unacknowledged(self, event_ids: list[str]) -> str:
        acks = await self._acks()
        without = [name for name in event_ids if not acks[name]]

        return f"no final ACK of {without[:5]}" if without else ""

    async def _acks(self) -> dict[str, list[Ack]]:
        """Return the final ACKs that the backend took, by event."""
        acks: dict[str, list[Ack]] = defaultdict(list)

        for ack in await asyncio.to_thread(self.backend.all_acks):
            if ack["payload"].get("reason") != "pending":
                acks[ack["eventId"]].append(ack)

        return acks

    async def _check_effects(self) -> None:
        """Each order has one Session, and its row came to the router once."""
        sessions = await self.stack.sessions(everything=True)
        of_order = Counter(one.spec.order_id for one in sessions)

        for name, phone in self._granted.items():
            assert of_order[f"order-{name}"] == 1, name
            assert self._added[phone.mac] == 1, name
            assert self.stack.forwarded(phone), name

        for name in self._refused:
            assert of_order[f"order-{name}"] == 0, name

    def _check_acks(
        self, acks: dict[str, list[Ack]], *, repeats: bool
    ) -> None:
        """What was granted is told as done, all else with its reason."""
        for name in (*self._granted, *self._refused):
            first, *more = acks[name]
            assert repeats or not more, acks[name]
            assert all(ack == first for ack in more), acks[name]

            if name in self._granted:
                assert first["ok"], first
            else:
                assert not first["ok"], first
                assert first["payload"]["reason"] == "unknown_router"

    def _row_changed(self, what: str, row: Any) -> None:
        if what == "add":
            self._added[str(row.values.get("mac-address"))] += 1


def in_file(path: Path) -> CountWaiting:
    """Count in the file of one bridge."""

    async def waiting() -> Waiting:
        with closing(sqlite3.connect(path)) as db:
            counts = db.execute(
                "SELECT (SELECT count(*) FROM inbox),"
                " (SELECT count(*) FROM events WHERE awaits IS NOT NULL),"
                " (SELECT count(*) FROM acks)"
            ).fetchone()
        return Waiting(*counts)

    return waiting


def in_redis(url: str) -> CountWaiting:
    """Count in the Redis of all bridges."""

    async def waiting() -> Waiting:
        async with Redis.from_url(url) as client:
            counts = [
                int(await client.zcard(f"relay:cerebro:{name}"))
                for name in ("inbox", "open", "acks")
            ]
        return Waiting(*counts)

    return waiting
