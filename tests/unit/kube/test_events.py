"""What an Event of ours looks like, and how few there are: the API server takes names as DNS has them, and 1024 bytes
of note; a burst of work is told in few Events.
"""

import asyncio
import re
from collections import Counter
from typing import Any, cast

import pytest

from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import Unavailable
from cerebro.kube.event_limits import PER_KIND, PER_OBJECT
from cerebro.kube.event_reasons import (
    EVENTS,
    GRANTED,
    NOT_GRANTED,
    ONLINE,
    REFUSED,
    EventReason,
    of_condition,
)
from cerebro.kube.events import Recorder
from cerebro.resources import Session
from support.manifests import session

NAME = re.compile(
    "[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
)
CONTESTED = of_condition("Contested", "Session", "Repair")


class Server:
    """Keeps the Events."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.away = False
        self.at_once = 0

    async def create_event(self, _: str, manifest: dict[str, Any]) -> None:
        self.at_once += 1
        assert self.at_once == 1, "one request at a time"
        await asyncio.sleep(0)
        self.at_once -= 1
        if self.away:
            raise Unavailable("post Event: no answer")
        self.events.append(manifest)


class Times:
    """A recorder, its server and its clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(
            "cerebro.runtime.clock.time.monotonic", lambda: self.now
        )
        self.server = Server()
        self.recorder = Recorder(
            cast(KubeApi, self.server), component="agent", instance="n"
        )

    def tell(
        self, name: str = "s", told: EventReason = GRANTED, until: str = "x"
    ) -> None:
        about = Session.model_validate(session(name, f"u-{name}", 1))
        values = {"reason": "R", "message": until, "router": "r"}
        self.recorder.post(about, told, device="d", until=until, **values)

    async def posted(self) -> list[dict[str, Any]]:
        while self.recorder._task is not None:
            await self.recorder._task
            if not self.recorder._waiting:
                break
        return self.server.events


async def post(name: str, message: str) -> dict[str, Any]:
    server = Server()
    recorder = Recorder(
        cast(KubeApi, server), component="agent", instance="n" * 300
    )
    about = Session.model_validate(session(name, "u", 1))
    recorder.post(about, CONTESTED, message=message)
    for _ in range(5):
        await asyncio.sleep(0)
    (event,) = server.events
    return event


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "x" * 253,
        "x" * 199 + "-" + "y" * 53,
        "x" * 199 + "." + "y" * 53,
        "x" * 190 + "-" * 20 + "y",
    ],
)
async def test_the_name_is_valid_for_any_name_of_an_object(name: str) -> None:
    event = await post(name, "m")
    assert len(event["metadata"]["name"]) <= 253
    assert NAME.fullmatch(event["metadata"]["name"])
    assert event["regarding"]["name"] == name


@pytest.mark.parametrize(
    "message", ["ç" * 2000, "📶" * 2000, "Caf\udce9" * 400, "short"]
)
async def test_the_note_is_cut_to_what_the_server_takes(message: str) -> None:
    event = await post("a", message)
    assert 0 < len(event["note"].encode("utf-8")) <= 1024
    assert len(event["reportingInstance"]) <= 128


@pytest.mark.parametrize(
    "told", EVENTS, ids=lambda told: f"{told.reason}-{told.kinds[0]}"
)
def test_each_reason_is_in_the_manner_of_kubernetes(told: EventReason) -> None:
    assert re.fullmatch("[A-Z][A-Za-z]{2,63}", told.reason)
    assert re.fullmatch("[A-Z][a-z]+", told.action)
    assert told.kinds
    assert told.sentence


async def test_a_thousand_sessions_at_once_are_told_in_few_events(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each costs the API server two writes already. Over 20 s, the time that a thousand take, at most a burst and one
    a second are added.
    """
    times = Times(monkeypatch)
    for number in range(1000):
        times.tell(f"s{number}")
        times.now += 0.02
        await asyncio.sleep(0)
    events = await times.posted()
    assert PER_KIND <= len(events) <= PER_KIND + 20


async def test_troubles_are_told_while_much_goes_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = Times(monkeypatch)
    for number in range(200):
        times.tell(f"s{number}")
    times.tell("s0", REFUSED)
    events = await times.posted()
    assert Counter(event["reason"] for event in events) == {
        "Granted": PER_KIND,
        "Refused": 1,
    }


async def test_an_object_that_changes_all_the_time_is_told_of_rarely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = Times(monkeypatch)
    for number in range(600):
        times.tell(until=str(number))
        times.now += 1
        await asyncio.sleep(0)
    assert len(await times.posted()) == PER_OBJECT + 9


async def test_what_happens_again_is_counted_into_the_next_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = Times(monkeypatch)
    for _ in range(8):
        times.tell()
        times.now += 100
    first, second = await times.posted()
    assert "series" not in first
    assert second["series"]["count"] == 6
    assert second["eventTime"] <= second["series"]["lastObservedTime"]


async def test_an_api_server_that_is_away_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = Times(monkeypatch)
    times.server.away = True
    for number in range(500):
        for told in (GRANTED, NOT_GRANTED):
            times.tell(f"s{number}", told)
        times.now += 1
    assert len(times.recorder._waiting) == 100, "a bound"
    assert await times.posted() == []
    times.server.away = False
    times.tell("r", ONLINE)
    assert [event["reason"] for event in await times.posted()] == ["Online"]
