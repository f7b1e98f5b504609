"""Without `manageConfig` the rows of further parts go from the router, once, and the tunnel stays."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.config import wanted
from cerebro.agent.devices.config.keeper import ConfigurationKeeper
from cerebro.agent.devices.connection import RouterLink
from cerebro.agent.devices.status import DeviceFindings
from cerebro.resources import Device
from cerebro.routeros.client.command import Command, Reply
from cerebro.routeros.client.errors import Trap
from cerebro.routeros.client.session import RouterSession
from cerebro.routeros.configuration.desired import Part
from cerebro.routeros.menus.system import SCRIPT

OURS = {".id": "*1", "name": "a", "comment": "cerebro:main:guard"}
MINE = {".id": "*2", "name": "b", "comment": "mine"}


class Router:
    """Prints two scripts; `refuses` is its word on a write."""

    def __init__(self, refuses: Trap | None = None) -> None:
        self.refuses = refuses
        self.prints: list[str] = []
        self.written: list[tuple[str, str]] = []

    async def run_all(self, commands: Sequence[Command]) -> list[Reply]:
        self.prints += [command.path for command in commands]
        rows = {SCRIPT.path: [OURS, MINE]}
        return [Reply(rows.get(command.path, [])) for command in commands]

    async def run(self, command: Command) -> Reply:
        if self.refuses is not None:
            raise self.refuses
        self.written.append((command.word, command.attributes[".id"]))
        return Reply([])


@pytest.fixture
def keeper(monkeypatch: pytest.MonkeyPatch) -> ConfigurationKeeper:
    """An installation that has a further part."""

    def part(installation: str) -> Part:
        return Part(f"cerebro:{installation}:guard", (SCRIPT,), (), False)

    monkeypatch.setattr(wanted, "_RETIRED", (part,))
    context = SimpleNamespace(
        installation="main", still_acts=lambda _device, leased: leased
    )
    return ConfigurationKeeper(
        cast(AgentContext, context),
        cast(RouterLink, SimpleNamespace(by_daily_login=False)),
        lambda _moment: None,
        lambda: None,
    )


async def take(
    keeper: ConfigurationKeeper, router: Router, **spec: Any
) -> list[str]:
    """Have the keeper look; return the reasons of its warnings."""
    api = {"credentialsSecretRef": {"name": "s"}}
    device = Device.model_validate(
        {
            "metadata": {"name": "d", "namespace": "ns"},
            "spec": {"hubRef": {"name": "h"}, "api": api, **spec},
        }
    )
    findings = await keeper.take(
        device,
        cast(RouterSession, router),
        DeviceFindings(),
        lambda: False,
    )
    return [warning.reason for warning in findings.kept_configuration]


async def test_ours_go_once_a_connection_and_others_stay(
    keeper: ConfigurationKeeper,
) -> None:
    router = Router()
    assert await take(keeper, router) == []
    assert router.written == [("/system/script/remove", "*1")]
    await take(keeper, router)
    assert len(router.prints) == 2

    again = Router()
    await take(keeper, again)
    assert again.written == router.written


@pytest.mark.parametrize("spec", [{"paused": "Changes"}, {"dryRun": True}])
async def test_not_where_nothing_is_to_be_written(
    keeper: ConfigurationKeeper, spec: dict[str, Any]
) -> None:
    router = Router()
    assert await take(keeper, router, **spec) == []
    assert router.written == []


async def test_a_refusal_is_said(keeper: ConfigurationKeeper) -> None:
    refusal = Trap("/system/script/remove", ("not enough permissions (9)",))
    assert await take(keeper, Router(refusal)) == ["NotPermitted"]
