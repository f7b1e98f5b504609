"""The look at what a router does besides access: how often, and never in the way of somebody who waits (case S9)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.status import DeviceFindings
from cerebro.agent.devices.survey import Survey
from cerebro.resources import Device
from cerebro.routeros.client.command import Command, Reply
from cerebro.routeros.client.errors import DeadlineExceeded
from cerebro.routeros.client.session import RouterSession

LEAK = {
    "/ip/hotspot": [{"interface": "bridge"}],
    "/ipv6/address": [{"interface": "bridge", "address": "2001:db8::1/64"}],
    "/ipv6/nd": [{"interface": "all"}],
}
NOTHING = DeviceFindings()
CONTEXT = cast(AgentContext, SimpleNamespace(installation="main"))


class Session:
    """Answers to prints by path; `slow` never answers, `late` says so itself."""

    def __init__(self) -> None:
        self.looks = 0
        self.slow = self.late = False

    async def run_all(self, commands: list[Command]) -> list[Reply]:
        self.looks += 1
        if self.slow:
            await asyncio.Event().wait()

        if self.late:
            raise DeadlineExceeded("/ip/hotspot/print was not answered")

        return [Reply(LEAK.get(command.path, [])) for command in commands]


async def look(
    survey: Survey, session: Session, *, urgent: bool = False, **spec: Any
) -> list[str]:
    """Let the survey look; return the reasons of its warnings."""
    api = {"credentialsSecretRef": {"name": "s"}}
    device = Device.model_validate(
        {
            "metadata": {"name": "d", "namespace": "ns"},
            "spec": {"hubRef": {"name": "h"}, "api": api, **spec},
        }
    )

    # Somebody comes after the first look at whether somebody waits.
    waits = iter([False])
    taken = await survey.take(
        device,
        cast(RouterSession, session),
        NOTHING,
        lambda: next(waits, urgent),
    )

    return [warning.reason for warning in taken.surveyed]


async def test_once_for_each_connection_and_at_each_resync() -> None:
    survey, first, second = Survey(CONTEXT), Session(), Session()
    assert await look(survey, first) == ["IPv6PastHotspot"]
    await look(survey, first)
    assert first.looks == 1

    await look(survey, second, resyncInterval=timedelta(seconds=1))
    assert second.looks == 1
    await asyncio.sleep(1.01)
    await look(survey, second)
    assert second.looks == 2


async def test_a_look_is_given_up_for_somebody_who_waits() -> None:
    survey, session = Survey(CONTEXT), Session()
    session.slow = True
    assert await look(survey, session, urgent=True) == []

    session.slow = False
    assert await look(survey, session) == ["IPv6PastHotspot"]


async def test_a_router_that_is_slow_is_asked_at_the_next_resync() -> None:
    survey, session = Survey(CONTEXT), Session()
    session.late = True
    assert await look(survey, session) == []
    await look(survey, session)
    assert session.looks == 1
