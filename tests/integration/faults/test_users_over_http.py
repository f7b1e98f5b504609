"""A hotspot user that a backend asks for, from the call to the router and to its end (F8, A7, B1).

Its phone logs in and is let in; it is cut off when the user ends. A router that is away gets the user when it is back.
"""

from __future__ import annotations

from typing import Any

import pytest

from integration.faults.backend import Answer, Backend
from integration.faults.conftest import OpenStack
from integration.faults.stack import Stack, until

ENSURE, REVOKE = "/relay/hotspot/ensure-user", "/relay/hotspot/revoke"
USERS = "/ip/hotspot/user"
BY_HAND = {"name": "boss", "password": "own"}


class Users:
    """A stack whose backend wants hotspot users."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.backend = Backend(stack.bridge_port)

    async def ensure(self, user: str, **fields: Any) -> Answer:
        answer = await self.backend.insist(ENSURE, username=user, **fields)
        assert answer.status == 200, answer
        return answer

    def row(self, user: str) -> dict[str, str] | None:
        """Return the user as the router has it."""
        shown = self.stack.router.show(USERS)
        named = [row for row in shown if row["name"] == user]
        assert len(named) <= 1, named
        return named[0] if named else None

    def writes(self) -> int:
        """Return how many commands changed users of the router."""
        changing = tuple(
            f"{USERS}/{verb}" for verb in ("add", "set", "remove")
        )
        return sum(
            entry["sentence"][0] in changing for entry in self.stack.router.log
        )

    async def until_there(self, user: str) -> None:
        async def is_there() -> bool:
            return self.row(user) is not None

        await until(is_there, self.stack.logs)


@pytest.fixture
async def users(open_stack: OpenStack) -> Users:
    stack = await open_stack()
    stack.start()
    return Users(stack)


async def test_f8_a_user_comes_with_its_call_and_goes_with_its_revoke(
    users: Users,
) -> None:
    stack = users.stack
    made = await users.ensure("guest", password="pw-1")
    assert made.body["created"] is True
    row = users.row("guest")
    assert row is not None
    assert (row["password"], row["profile"]) == ("pw-1", "default")
    assert row["comment"].startswith("cerebro:main:")

    phone = stack.new_phone()
    host = stack.router.hotspot.host(phone.mac, phone.ip)
    assert host is not None
    stack.router.hotspot.log_in(host, "guest", "pw-1")
    assert stack.forwarded(phone)

    written = users.writes()
    again = await users.ensure("guest", password="pw-1")
    assert again.body["created"] is False
    assert users.writes() == written
    assert stack.forwarded(phone)

    stack.router.tables[f"{USERS}/profile"].add({"name": "gold"})
    await users.ensure("guest", password="pw-2", profile="gold")
    row = users.row("guest")
    assert row is not None
    assert (row["password"], row["profile"]) == ("pw-2", "gold")

    ended = await users.backend.insist(REVOKE, username="guest")
    assert ended.status == 200, ended
    assert users.row("guest") is None
    assert not stack.forwarded(phone)

    # The operator shows the finished Session to the agent again.
    back = await users.ensure("guest", password="pw-3")
    assert back.body["created"] is True
    row = users.row("guest")
    assert row is not None
    assert row["password"] == "pw-3"


async def test_f8_a_user_made_by_hand_is_left_alone(users: Users) -> None:
    users.stack.router.tables[USERS].add(BY_HAND)
    answer = await users.backend.insist(
        ENSURE, username="boss", password="another"
    )
    assert (answer.status, answer.body["code"]) == (409, "user_made_by_hand")
    assert "boss" in answer.body["error"]
    row = users.row("boss")
    assert row is not None
    assert row["password"] == "own"


async def test_a7_a_router_that_is_away_gets_its_user_when_it_is_back(
    users: Users,
) -> None:
    await users.ensure("first")
    await users.stack.router.set_faults({"refuse": True, "cut": True})
    answer = await users.backend.post(ENSURE, username="second")
    assert (answer.status, answer.body["pending"]) == (503, True), answer
    assert users.row("second") is None
    await users.stack.router.set_faults({})
    await users.until_there("second")
    again = await users.ensure("second")
    assert again.body["created"] is False
    row = users.row("second")
    assert row is not None
    assert row["password"] == again.body["password"]
