"""An agent killed at every await of the paths that grant and end access, B1 and A11: started again it makes
the router equal to the Sessions, lets nobody in or cuts nobody off wrongly, and no minute is gained or lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
import pytest_asyncio

from integration.faults.conftest import OpenStack
from integration.faults.injection import Case, Lane, go_through
from integration.faults.stack import LONG, ROUNDING, Phone, is_settled

pytestmark = pytest.mark.asyncio(loop_scope="module")
LANES = 4
EVERY = 1 if LONG else 2
"""Of the awaits; the long form takes each."""
FLOW = "film"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lanes(open_module_stack: OpenStack) -> AsyncIterator[list[Lane]]:
    found = []
    for _ in range(LANES):
        lane = Lane(await open_module_stack())
        await lane.begin()
        found.append(lane)
    yield found


class SessionCase(Case):
    """A path that ends with a Session in a phase."""

    phase = "Active"
    duration = timedelta(hours=1)

    def __init__(self, lane: Lane) -> None:
        super().__init__(lane)
        self.phone: Phone = self.stack.new_phone()
        self.asked = 0.0
        self.told: datetime | None = None
        """The end that the status said when the agent had been killed."""

    async def make(self) -> None:
        self.asked = time.time()
        await self.stack.create(
            self.name,
            self.phone,
            duration=f"{int(self.duration.total_seconds())}s",
        )

    async def make_live(self) -> None:
        """Have the Session live, with a connection of the phone that goes on."""
        await self.make()
        await self.stack.settled(self.name, "Active")
        assert self.stack.forwarded(self.phone, FLOW)

    async def while_dead(self) -> None:
        """Where the router has the entry and the status does not say so yet, stay away for long enough that
        an end counted from the restart would be seen to be wrong.
        """
        session = await self.stack.session(self.name)
        if session.status.authorized_at is None and self.stack.has_row(
            self.phone
        ):
            await asyncio.sleep(3 * ROUNDING)
            session = await self.stack.session(
                self.name
            )  # what it had sent may have come since
        self.told = session.status.expires_at

    async def done(self) -> bool:
        return is_settled(await self.stack.session(self.name), self.phase)

    async def verify(self) -> None:
        """A11: the end is that of the first row that the router had, before and after a kill."""
        session = await self.stack.session(self.name)
        began, end = session.status.authorized_at, session.status.expires_at
        assert began is not None
        assert end is not None
        assert end - began == self.duration
        assert self.told in (None, end)
        self.stack.check_end(
            self.phone, session, self.asked, self.duration.total_seconds()
        )

    def assert_in(self, phone: Phone) -> None:
        assert self.stack.forwarded(phone)

    def assert_out(self, phone: Phone) -> None:
        assert not self.stack.forwarded(phone)
        assert not self.stack.forwarded(phone, FLOW)


class Grant(SessionCase):
    """A Session comes, for a phone whose host row is there and not let in."""

    async def prepare(self) -> None:
        """Nothing is there before."""

    async def act(self) -> None:
        await self.make()

    async def verify(self) -> None:
        await super().verify()
        self.assert_in(self.phone)


class GrantAtStart(Grant):
    """The same, by an agent that starts, so that connecting and the first pass over everything count too."""

    async def prepare(self) -> None:
        self.stack.agent.end()
        await self.make()

    def arm(self, waits: int) -> None:
        self.stack.agent.start(waits=waits)

    async def act(self) -> None:
        """The Session is there already."""


class Expiry(SessionCase):
    """The duration of a Session passes."""

    phase = "Expired"
    duration = timedelta(seconds=3)

    async def prepare(self) -> None:
        """Have a Session live whose time is soon over. Where it was over before that was seen, another one has
        twice the time.
        """
        while not await self.is_live():
            self.name, self.phone = (
                self.lane.next_name(),
                self.stack.new_phone(),
            )
            self.duration *= 2

    async def is_live(self) -> bool:
        await self.make()
        session = await self.stack.settled(self.name, "Active", "Expired")
        end = session.status.expires_at
        assert end is not None
        live = session.status.phase == "Active" and self.stack.forwarded(
            self.phone, FLOW
        )
        assert live or time.time() >= end.timestamp(), (
            "it is not let in, and its time is not over"
        )
        return live

    async def act(self) -> None:
        """The clock does it."""

    async def verify(self) -> None:
        await super().verify()
        self.assert_out(self.phone)


class Revoke(SessionCase):
    """A Session is revoked."""

    phase = "Revoked"

    async def prepare(self) -> None:
        await self.make_live()

    async def act(self) -> None:
        await self.stack.change(self.name, revoked=True)

    async def verify(self) -> None:
        await super().verify()
        self.assert_out(self.phone)


class ChangeOfClient(SessionCase):
    """A Session goes to another phone."""

    async def prepare(self) -> None:
        await self.make_live()
        self.other = self.stack.new_phone()

    async def act(self) -> None:
        await self.stack.change(self.name, client=self.other.spec)

    async def verify(self) -> None:
        await super().verify()
        self.assert_in(self.other)
        self.assert_out(self.phone)


@pytest.mark.parametrize(
    "case", [Grant, GrantAtStart, Expiry, Revoke, ChangeOfClient]
)
async def test_agent_killed_at_every_await(
    lanes: list[Lane], case: type[Case]
) -> None:
    found = await go_through(lanes, case, every=EVERY)
    print(f"{case.__name__}: killed at awaits up to {found}")
    assert found > 5, "the injection does not reach the path"
