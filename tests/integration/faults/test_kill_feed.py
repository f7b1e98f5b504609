"""A bridge killed at the awaits between an event of the backend's feed and its ACK, F1 and F3: started again with
the same file, it has carried the event out once, the router equals the Sessions, and the backend took the ACK.

Nobody asks again but the feed, which offers the event until its ACK came.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing

import pytest
import pytest_asyncio

from integration.bridge.backend import FakeBackend, event
from integration.faults.conftest import OpenStack
from integration.faults.injection import Case, Lane, go_through
from integration.faults.stack import LONG, is_settled

pytestmark = pytest.mark.asyncio(loop_scope="module")
LANES = 2
FLOW = "film"
MINUTES = 60
EVERY = 1 if LONG else 7


class FedLane(Lane):
    """A stack whose bridge polls a backend of its own."""

    backend: FakeBackend


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lanes(open_module_stack: OpenStack) -> AsyncIterator[list[FedLane]]:
    made = []
    for _ in range(LANES):
        backend = FakeBackend()
        backend.until_up()
        stack = await open_module_stack(**backend.environment)
        lane = FedLane(stack)
        lane.backend = backend
        made.append(lane)
        await lane.begin()
        stack.bridge.start()
    yield made
    for lane in made:
        lane.backend.stop()


class EventCase(Case):
    """An event of the feed."""

    killed_role = "bridge"

    def __init__(self, lane: Lane) -> None:
        super().__init__(lane)
        assert isinstance(lane, FedLane)
        self.backend = lane.backend
        self.phone = self.stack.new_phone()
        self.order = f"order-{self.name}"
        self.last = self.name
        self.asked = 0.0

    async def release(self) -> None:
        self.asked = time.time()
        self.backend.offer(
            event(
                self.name,
                pedidoId=self.order,
                planoMinutos=MINUTES,
                ip=self.phone.ip,
                mac=self.phone.mac,
            )
        )

    async def while_dead(self) -> None:
        """The feed goes on offering it."""

    async def done(self) -> bool:
        """The backend took the final ACK, and nothing waits in the bridge."""
        took = any(ack["ok"] for ack in self.backend.acks(self.last))
        return took and self._waiting() == 0

    async def verify(self) -> None:
        """One Session, whose time is what it was when the router first had it; and ACKs that say the same."""
        sessions = [
            one
            for one in await self.stack.sessions(everything=True)
            if one.spec.order_id == self.order
        ]
        assert len(sessions) == 1, sessions
        self.stack.check_end(self.phone, sessions[0], self.asked, MINUTES * 60)
        told = {json.dumps(ack) for ack in self.backend.acks(self.last)}
        assert len(told) == 1, told

    def _waiting(self) -> int:
        """Count what is in the inbox and the outbox, and events without an outcome."""
        with closing(sqlite3.connect(self.stack.folder / "relay.db")) as db:
            (count,) = db.execute(
                "SELECT (SELECT count(*) FROM inbox) + (SELECT count(*) FROM acks)"
                " + (SELECT count(*) FROM events WHERE awaits IS NOT NULL)"
            ).fetchone()
        return int(count)


class Release(EventCase):
    """An order comes by the feed."""

    async def prepare(self) -> None:
        """Nothing is there before."""

    async def act(self) -> None:
        await self.release()

    async def verify(self) -> None:
        await super().verify()
        assert self.stack.forwarded(self.phone)


class Revoke(EventCase):
    """What a phone has is revoked by the feed."""

    async def prepare(self) -> None:
        await self.release()
        await self.backend.until(
            lambda: bool(self.backend.acks(self.name)), "it is released"
        )
        assert self.stack.forwarded(self.phone, FLOW)

    async def act(self) -> None:
        self.last = f"{self.name}-revoke"
        self.backend.offer(
            event(
                self.last,
                "REVOKE_REQUESTED",
                pedidoId=None,
                ip=self.phone.ip,
                mac=self.phone.mac,
            )
        )

    async def verify(self) -> None:
        await super().verify()
        (session,) = [
            one
            for one in await self.stack.sessions(everything=True)
            if one.spec.order_id == self.order
        ]
        assert is_settled(session, "Revoked")
        assert not self.stack.forwarded(self.phone)
        assert not self.stack.forwarded(self.phone, FLOW)


@pytest.mark.parametrize("case", [Release, Revoke])
async def test_f1_a_bridge_killed_between_an_event_and_its_ack(
    lanes: list[FedLane], case: type[Case]
) -> None:
    reached = await go_through(lanes, case, every=EVERY)
    print(f"{case.__name__}: killed at awaits up to {reached}")
    assert reached > EVERY, "the injection does not reach the path"
