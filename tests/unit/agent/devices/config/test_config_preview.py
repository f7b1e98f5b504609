"""What `spec.manageConfig` would change is shown in dry run, and nothing is written."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.config.keeper import ConfigurationKeeper
from cerebro.agent.devices.connection import RouterLink
from cerebro.agent.devices.status import DeviceFindings, device_status
from cerebro.resources import Device, Hub
from cerebro.routeros.client.command import Command, Reply
from cerebro.routeros.client.errors import DeadlineExceeded, Trap
from cerebro.routeros.client.session import RouterSession

HUB = Hub.model_validate(
    {
        "kind": "Hub",
        "metadata": {"name": "h", "namespace": "ns"},
        "spec": {
            "nodeName": "n",
            "addresses": ["10.8.0.1/16"],
            "endpoint": "192.0.2.1:51820",
        },
        "status": {"publicKey": "h" * 42 + "A="},
    }
)
ROWS = {
    "/ip/service": [
        {".id": "*1", "name": "api", "port": "8728", "disabled": "false"}
    ]
}
ACCESS = "/ip hotspot ip-binding remove [find where .id=*1]"


class Router:
    """Prints what it has, and takes no write; `answer` is what it says instead."""

    def __init__(self, answer: Trap | Exception | None = None) -> None:
        self.answer = answer
        self.prints: list[str] = []

    async def run_all(self, commands: list[Command]) -> list[Reply | Trap]:
        assert {command.verb for command in commands} == {"print"}
        self.prints += [command.path for command in commands]
        if isinstance(self.answer, Trap):
            return [self.answer for _ in commands]
        if self.answer is not None:
            raise self.answer
        return [Reply(ROWS.get(command.path, [])) for command in commands]


def device(**spec: Any) -> Device:
    return Device.model_validate(
        {
            "metadata": {"name": "d", "namespace": "ns"},
            "spec": {
                "hubRef": {"name": "h"},
                "tunnelAddress": "10.8.0.7",
                "api": {"credentialsSecretRef": {"name": "s"}},
                "dryRun": True,
                "manageConfig": True,
                **spec,
            },
        }
    )


async def plan_of(
    device: Device, router: Router, hub: Hub | None = HUB
) -> list[str]:
    """The plan in the status after a look, where a pass had one command to run."""
    stored = SimpleNamespace(read=lambda _kind: hub) if hub else None
    store = SimpleNamespace(get=lambda *_key: stored)
    context = SimpleNamespace(
        store=store,
        installation="main",
        still_acts=lambda _device, leased: not leased,
    )
    keeper = ConfigurationKeeper(
        cast(AgentContext, context),
        cast(RouterLink, SimpleNamespace(by_daily_login=False)),
        lambda _moment: None,
        lambda: None,
    )
    findings = await keeper.take(
        device,
        cast(RouterSession, router),
        DeviceFindings(plan=[ACCESS]),
        lambda: False,
    )
    status = device_status(device, findings, datetime.now(UTC))
    return list(status["plan"])


async def test_f6_the_tunnel_stands_before_access() -> None:
    router = Router()
    lines = await plan_of(device(), router)
    assert lines[0].startswith(
        "/interface wireguard add name=cerebro-main mtu="
    )
    assert lines[-2] == (
        "/ip service set [find where .id=*1 name=api] address=10.8.0.1/32"
    )
    assert lines[-1] == ACCESS
    assert len(lines) == 6
    assert len(router.prints) == 9


@pytest.mark.parametrize("spec", [{"manageConfig": False}, {"dryRun": False}])
async def test_without_both_settings_nothing_is_read_of_it(
    spec: dict[str, bool],
) -> None:
    router = Router()
    assert await plan_of(device(**spec), router) == [ACCESS]
    assert router.prints == []


async def test_a_hub_that_is_not_there_is_said() -> None:
    lines = await plan_of(device(), Router(), hub=None)
    assert lines == [
        "# manageConfig: the Hub h does not exist, or cannot be read",
        ACCESS,
    ]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            Trap("no such command", ("no such command",)),
            "did not print /interface/wireguard",
        ),
        (DeadlineExceeded("late"), "the router was too slow"),
    ],
)
async def test_a_router_that_does_not_print_is_said(
    answer: Trap | Exception, text: str
) -> None:
    lines = await plan_of(device(), Router(answer))
    assert len(lines) == 2
    assert text in lines[0]


def test_a_plan_fits_into_a_status() -> None:
    findings = DeviceFindings(
        plan=[ACCESS] * 256, configuration=("/ip address add",)
    )
    plan = device_status(device(), findings, datetime.now(UTC))["plan"]
    assert len(plan) == 256
    assert plan[0] == "/ip address add"
    assert plan[-1] == "# and more commands"
