"""A bridge killed at every await between a request's arrival and its answer, F1: started again with the same
file, and asked again as clients do, it has carried out the order once, and the router equals the Sessions.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from integration.faults.backend import AUTHORIZE, REVOKE, Backend
from integration.faults.conftest import OpenStack
from integration.faults.injection import Case, Lane, go_through
from integration.faults.stack import LONG, is_settled, until

pytestmark = pytest.mark.asyncio(loop_scope="module")
LANES = 2
EVERY = 1 if LONG else 2
"""Of the awaits; the long form takes each."""
FLOW = "film"
MINUTES = 60


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lanes(open_module_stack: OpenStack) -> AsyncIterator[list[Lane]]:
    found = []
    for _ in range(LANES):
        lane = Lane(await open_module_stack())
        await lane.begin()
        lane.stack.bridge.start()
        found.append(lane)
    yield found


class OrderCase(Case):
    """A request to the bridge, by a backend that insists."""

    killed_role = "bridge"
    kind = "authorize"
    """What is on disk while the request is not carried out. An authorize before it may still be taken out of there."""
    died = False

    def __init__(self, lane: Lane) -> None:
        super().__init__(lane)
        self.phone = self.stack.new_phone()
        self.backend = Backend(self.stack.bridge_port)
        self.order = f"P-{self.name}"
        self.asked = 0.0

    async def start_again(self) -> None:
        """F1: what the file has is carried out also if nobody asks again."""
        if self.stack.bridge.exit_code() is None:
            return
        self.died = True
        kept = _inbox(self.stack.folder / "relay.db", self.kind)
        self.stack.bridge.start()
        if kept:
            self.lane.notes["carried out without being asked again"] += 1
            await until(self.carried_out, self.stack.logs)

    async def carried_out(self) -> bool:
        return any(
            one.spec.order_id == self.order
            for one in await self.stack.sessions(everything=True)
        )

    async def insist(self, path: str, **fields: Any) -> None:
        answer = await self.backend.insist(path, self.start_again, **fields)
        assert answer.status == 200, answer

    async def authorize(self) -> None:
        self.asked = time.time()
        await self.insist(
            AUTHORIZE,
            pedidoId=self.order,
            planoMinutos=MINUTES,
            **self.phone.address,
        )
        assert self.stack.forwarded(self.phone, FLOW), (
            "200 means that the entry is on the router (A7)"
        )

    async def run(self, waits: int) -> bool:
        """As in `Case`, but it is the backend that asks again until all is done."""
        await self.prepare()
        self.died = False
        self.arm(waits)
        await self.act()
        self.died = self.killed.disarm() or self.died
        await self.start_again()
        await self.verify()
        await self.stack.check_equal()
        return self.died

    async def while_dead(self) -> None:
        """The backend goes on asking."""

    async def done(self) -> bool:
        """Nobody asks: the backend's answer says it."""
        return True

    async def verify(self) -> None:
        """One Session for the order, and its time is what it was when the router first had it."""
        found = [
            one
            for one in await self.stack.sessions(everything=True)
            if one.spec.order_id == self.order
        ]
        assert len(found) == 1, found
        self.stack.check_end(self.phone, found[0], self.asked, MINUTES * 60)


class Authorize(OrderCase):
    """An order comes."""

    async def prepare(self) -> None:
        """Nothing is there before."""

    async def act(self) -> None:
        await self.authorize()

    async def verify(self) -> None:
        await super().verify()
        assert self.stack.forwarded(self.phone)


class Revoke(OrderCase):
    """An order is revoked."""

    kind = "revoke"

    async def prepare(self) -> None:
        await self.authorize()

    async def act(self) -> None:
        await self.insist(REVOKE, pedidoId=self.order)

    async def carried_out(self) -> bool:
        found = await self.stack.sessions(everything=True)
        return all(
            one.spec.revoked
            for one in found
            if one.spec.order_id == self.order
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


class RevokeClient(Revoke):
    """All that a phone has by then is revoked."""

    async def act(self) -> None:
        await self.insist(REVOKE, mac=self.phone.mac)


def _inbox(file: Path, kind: str) -> int:
    """Count the orders of a kind on disk that are not carried out."""
    with closing(sqlite3.connect(file)) as db:
        intents = db.execute("SELECT intent FROM inbox").fetchall()
    return sum(json.loads(intent)["kind"] == kind for (intent,) in intents)


@pytest.mark.parametrize("case", [Authorize, Revoke, RevokeClient])
async def test_bridge_killed_at_every_await(
    lanes: list[Lane], case: type[Case]
) -> None:
    found = await go_through(lanes, case, every=EVERY)
    notes = [dict(lane.notes) for lane in lanes]
    print(f"{case.__name__}: killed at awaits up to {found}; {notes}")
    assert found > 3, "the injection does not reach the path"
