"""What keeps the technical user (rule B7), with a router, a link and a store of a few lines each."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from cerebro.agent.devices.model import TechnicalUserFact
from cerebro.agent.devices.status import DeviceFindings
from cerebro.agent.devices.technical.keeper import TechnicalUserKeeper
from cerebro.kube.client.secrets import Secret
from cerebro.resources import Device, Hub
from cerebro.routeros.client.command import Command, Reply
from cerebro.routeros.client.errors import LoginRefused, Trap

NAME = "relay-tech"


class Router:
    """A router's groups and users; also any connection to it."""

    def __init__(self) -> None:
        self.tables: dict[str, list[dict[str, str]]] = {
            "/user/group": [],
            "/user": [],
        }
        self.passwords: dict[str, str] = {}
        self.writes: list[str] = []
        self.login = 0
        self.slow = False
        self.forbids = False

    async def run_all(self, commands: list[Command], **_: Any) -> list[Reply]:
        if self.slow:
            await asyncio.sleep(60)

        return [
            Reply([dict(row) for row in self.tables.get(command.path, [])])
            for command in commands
        ]

    async def run(self, command: Command) -> Reply:
        if self.forbids:
            raise Trap(command.word, ["not enough permissions (9)"], None)

        self.writes.append(command.word)
        values = dict(command.attributes)
        row_id = values.pop(".id", "*1")
        password = values.pop("password", None)
        rows = self.tables[command.path]
        if command.verb == "remove":
            rows.clear()
        elif command.verb == "set":
            rows[0].update(values)
        else:
            rows.append({".id": row_id, **values})

        if password is not None:
            self.passwords[rows[0]["name"]] = password

        return Reply([])

    async def close(self) -> None:
        pass


class World:
    """A keeper, the router, and what the keeper's surroundings answer."""

    def __init__(self) -> None:
        self.router = Router()
        self.password = "first"
        self.version = "1"
        self.hub: Any = Hub.model_validate(
            {
                "metadata": {"name": "h", "namespace": "ns"},
                "spec": {"addresses": ["10.8.0.1/16", "fd00::1/64"]},
            }
        )
        self.leased = True
        self.credentials_refused = False
        self.by_daily_login = False
        self.daily: Any = None
        self.dropped = 0
        self.dialled: list[str] = []
        context = SimpleNamespace(
            api=self,
            installation="main",
            store=SimpleNamespace(
                get=lambda *_: SimpleNamespace(read=lambda _: self.hub)
            ),
            still_acts=lambda _device, *, leased: self.leased is leased,
        )
        self.keeper = TechnicalUserKeeper(
            context,  # type: ignore[arg-type]
            self,  # type: ignore[arg-type]
            lambda: None,
        )
        self.findings = DeviceFindings()

    async def get_secret(self, namespace: str, name: str) -> Secret:
        data = {"password": self.password.encode()}
        kind = "relay.cerebro.dev/router"
        return Secret(namespace, name, "u", kind, {}, data, self.version)

    async def dial(
        self, _device: Device, attempts: list[tuple[str, str]] | None = None
    ) -> Router:
        """Stand for the link: None are the credentials."""
        self.dialled.append("credentials" if attempts is None else NAME)
        if attempts is None and self.credentials_refused:
            raise LoginRefused("cannot log in", wrong_password=True)

        if attempts is not None:
            ((user, password),) = attempts
            if self.router.passwords.get(user) != password:
                raise LoginRefused("cannot log in", wrong_password=True)

        return self.router

    def drop(self) -> None:
        """Stand for the link: the next connection is by the daily login."""
        self.dropped += 1
        self.by_daily_login = True

    async def take(self, *, urgent: bool = False) -> str | None:
        """Let the keeper look; return the reason of its warning."""
        session: Any = self.router
        self.findings = await self.keeper.take(
            self.device, session, self.findings, lambda: urgent
        )
        warnings = self.findings.technical
        return warnings[0].reason if warnings else None

    device = Device.model_validate(
        {
            "metadata": {"name": "d", "namespace": "ns", "uid": "u"},
            "spec": {
                "hubRef": {"name": "h"},
                "api": {"credentialsSecretRef": {"name": "router"}},
                "technicalUser": {"passwordSecretRef": {"name": "tech"}},
            },
            "status": {"tunnelAddress": "10.8.0.7"},
        }
    )

    def again(self) -> None:
        """Have the next look be due."""
        self.keeper._looked = None


@pytest.fixture
def world() -> World:
    return World()


async def test_b7_it_is_made_proven_and_then_used(world: World) -> None:
    """Behind a Hub it may log in from the Hub's addresses only."""
    assert await world.take() is None
    (user,) = world.router.tables["/user"]
    assert user["address"] == "10.8.0.1,fd00::1"
    assert world.dialled == [NAME]
    assert world.dropped == 1
    assert world.findings.technical_user == TechnicalUserFact(NAME, "1")

    # In use and as wanted it costs no connection and no write.
    world.again()
    world.dialled.clear()
    world.router.writes.clear()
    assert await world.take() is None
    assert (world.dialled, world.router.writes) == ([], [])


async def test_b7_a_changed_secret_is_set_with_the_credentials(
    world: World,
) -> None:
    """The connection of the loop stays."""
    await world.take()
    world.again()
    world.password, world.version = "second", "2"
    world.dialled.clear()
    assert await world.take() is None
    assert world.dialled == ["credentials", NAME]
    assert world.router.passwords == {NAME: "second"}
    assert world.dropped == 1
    assert world.findings.technical_user == TechnicalUserFact(NAME, "2")


async def test_b7_a_wrong_password_is_set_anew(world: World) -> None:
    """An agent that starts cannot know which one the router has."""
    await world.take()
    world.again()
    world.by_daily_login = False
    world.router.passwords[NAME] = "by somebody"
    assert await world.take() is None
    assert world.router.passwords == {NAME: "first"}


async def test_b7_refused_credentials_do_not_end_daily_work(
    world: World,
) -> None:
    await world.take()
    world.again()
    world.password, world.version = "second", "2"
    world.credentials_refused = True
    assert await world.take() == "TechnicalUserNotKept"
    assert world.daily.refusal is None
    assert world.findings.technical_user == TechnicalUserFact(NAME, "1")


async def test_b7_a_missing_policy_is_told_with_what_to_do(
    world: World,
) -> None:
    world.router.forbids = True
    assert await world.take() == "TechnicalUserNotKept"
    assert "policy `policy`" in world.findings.technical[0].message
    assert world.dropped == 0


@pytest.mark.parametrize("missing", ["hub", "lease"])
async def test_e1_nothing_is_written_before_all_is_known(
    world: World, missing: str
) -> None:
    if missing == "hub":
        world.hub = None
    else:
        world.leased = False

    assert await world.take() is None
    assert world.router.writes == []


async def test_b5_whoever_waits_goes_first(world: World) -> None:
    """Also while a slow router is at it; the look is made up for."""
    assert await world.take(urgent=True) is None
    answers = iter([False, True])
    world.router.slow = True
    session: Any = world.router
    await world.keeper.take(
        world.device, session, world.findings, lambda: next(answers)
    )
    assert world.router.writes == []

    world.router.slow = False
    await world.take()
    assert world.dropped == 1
