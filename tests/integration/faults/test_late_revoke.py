"""A4: trial, then paid, then a late revoke of the trial, in every order of arrival and with the router away in
between: the paying client stays in, and nothing is left of the trial.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from integration.faults.backend import AUTHORIZE, REVOKE, Answer, Backend
from integration.faults.conftest import OpenStack
from integration.faults.injection import Lane
from integration.faults.stack import Phone, Stack, until

pytestmark = pytest.mark.asyncio(loop_scope="module")
TRIAL, PAID, LATE_REVOKE = range(3)
FINAL = {200, 409, 503}
"""What may be said: done, revoked before it came (A4), or not on the router yet (A7)."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lane(open_module_stack: OpenStack) -> AsyncIterator[Lane]:
    settings = {
        "RELAY_ANSWER_TIMEOUT_MS": "1000",
        "RELAY_TS_SKEW_MS": "600000",
    }
    lane = Lane(await open_module_stack(**settings))
    lane.stack.bridge.start()
    await lane.begin()
    yield lane


@dataclass
class Story:
    """One phone, and the order in which its three requests arrive. Each was signed when it was meant."""

    phone: Phone
    arrival: tuple[int, ...]
    by_order: bool
    signed: dict[int, float]
    answers: list[tuple[int, Answer]] = field(default_factory=list)

    @property
    def trial(self) -> str:
        return f"trial:{self.phone.number}"

    @property
    def paid(self) -> str:
        return f"P-{self.phone.number}"

    def request(self, what: int) -> tuple[str, dict[str, Any]]:
        if what == TRIAL:
            return AUTHORIZE, {
                "pedidoId": self.trial,
                "trialMinutes": 5,
                **self.phone.address,
            }
        if what == PAID:
            return AUTHORIZE, {
                "pedidoId": self.paid,
                "planoMinutos": 60,
                **self.phone.address,
            }
        return REVOKE, {"pedidoId": self.trial} if self.by_order else {
            "mac": self.phone.mac
        }

    async def arrive(
        self, backend: Backend, turn: int, paying: list[Phone]
    ) -> None:
        what = self.arrival[turn]
        path, fields = self.request(what)
        answer = await backend.post(path, at=self.signed[what], **fields)
        self.answers.append((what, answer))
        assert answer.status in FINAL, self
        if (what, answer.status) == (PAID, 200):
            paying.append(self.phone)


def stories(stack: Stack) -> list[Story]:
    """All orders of arrival, for a revoke that names the trial and for one that means what the phone had."""
    now = time.time()
    # A revoke without an order means what was asked for before it, so it is older than the paid order.
    # They are farther apart than the clocks of two callers may be, so that the arrival says nothing.
    signed = {
        True: {TRIAL: now - 450, PAID: now - 300, LATE_REVOKE: now - 150}
    }
    signed[False] = {TRIAL: now - 450, LATE_REVOKE: now - 300, PAID: now - 150}
    return [
        Story(stack.new_phone(), arrival, by_order, signed[by_order])
        for arrival in itertools.permutations((TRIAL, PAID, LATE_REVOKE))
        for by_order in (True, False)
    ]


async def play(lane: Lane, away: tuple[bool, ...]) -> list[Story]:
    """Have the requests of all stories arrive, with the router away at some of the three turns."""
    stack, backend = lane.stack, Backend(lane.stack.bridge_port)
    told = stories(stack)
    for turn, is_away in enumerate(away):
        await stack.router.set_faults(
            {"refuse": True, "cut": True} if is_away else {}
        )
        async with asyncio.TaskGroup() as tasks:
            for story in told:
                tasks.create_task(story.arrive(backend, turn, lane.paying))
    await stack.router.set_faults({})
    return told


async def as_it_should_be(stack: Stack, told: list[Story]) -> str:
    """Say what is not yet right; nothing when all is."""
    found = {
        one.spec.order_id: one for one in await stack.sessions(everything=True)
    }
    for story in told:
        paid, trial = found.get(story.paid), found.get(story.trial)
        if (
            paid is None
            or paid.status.phase != "Active"
            or not stack.forwarded(story.phone)
        ):
            return (
                f"the paying phone is not in: {story} {paid and paid.status}"
            )
        if trial is not None and not trial.status.finished:
            return f"the trial is not over: {story} {trial.status}"
    return ""


@pytest.mark.parametrize(
    "away", list(itertools.product((False, True), repeat=3)), ids=str
)
async def test_a4_late_revoke_in_every_order_of_arrival(
    lane: Lane, away: tuple[bool, ...]
) -> None:
    stack = lane.stack
    async with lane.watched():
        told = await play(lane, away)
        seen = [""]

        async def right() -> bool:
            seen[0] = await as_it_should_be(stack, told)
            return not seen[0]

        await until(right, lambda: f"{seen[0]}\n{stack.logs()}")
        await stack.check_equal()
