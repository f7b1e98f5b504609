"""Events of kopf's streams are taken in the order of their object."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from cerebro.kube.cache.kopf_streams import _InOrder


class Taker:
    """Takes events; those of kind DELETED wait until they are let go."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.let_go = asyncio.Event()

    def take(self, plural: str, event: Any) -> Awaitable[None] | None:
        if event["type"] == "DELETED":
            return self._wait(event)
        if event["type"] == "BROKEN":
            raise ValueError(event)
        self.taken.append(_text(event))
        return None

    async def _wait(self, event: Any) -> None:
        await self.let_go.wait()
        self.taken.append(_text(event))


def _text(event: Any) -> str:
    return f"{event['type']} {event['object']['metadata']['uid']}"


def an_event(kind: str, uid: str) -> dict[str, Any]:
    meta = {"uid": uid, "name": uid, "namespace": "ns"}
    return {"type": kind, "object": {"metadata": meta}}


async def test_an_event_waits_only_behind_those_of_its_object() -> None:
    taker = Taker()
    events = _InOrder("sessions", taker.take)
    for kind, uid in (
        ("ADDED", "a"),
        ("DELETED", "a"),
        ("ADDED", "a"),
        ("MODIFIED", "b"),
    ):
        events.put(an_event(kind, uid))
    await asyncio.sleep(0)
    assert taker.taken == ["ADDED a", "MODIFIED b"]

    taker.let_go.set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert taker.taken[2:] == ["DELETED a", "ADDED a"]
    assert not events._waiting


async def test_an_event_that_cannot_be_taken_is_logged_and_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    taker = Taker()
    events = _InOrder("sessions", taker.take)
    events.put(an_event("BROKEN", "a"))
    events.put(an_event("ADDED", "a"))
    assert taker.taken == ["ADDED a"]
    assert "sessions ns/a could not be taken" in caplog.text
