"""What is told of a Device by Events."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from cerebro.agent.devices.story import DeviceStory
from cerebro.resources import Device
from support.events import Events

WAY = "Reachable True Reachable the router answers"
EQUAL = "Ready True Equal the router is as wanted"
GONE = "Reachable False ConnectTimeout no answer within 5 s"
NOT_KNOWN = "Reachable Unknown NotLookedYet nobody has looked yet"
NOT_EQUAL = "Ready False ConnectTimeout no answer within 5 s"
HELD = "Ready False MassRemoval 12 clients stay until confirmed"
PAUSED = "Ready False Paused spec.paused is All"
REFUSED = "Ready False LoginRefused cannot log in"


def conditions(*lines: str) -> list[dict[str, Any]]:
    made = []
    for line in lines:
        name, status, reason, message = line.split(maxsplit=3)
        made.append(
            {
                "type": name,
                "status": status,
                "reason": reason,
                "message": message,
                "lastTransitionTime": "2026-05-01T00:00:00Z",
            }
        )
    return made


def a_device(*lines: str) -> Device:
    meta = {"name": "d", "namespace": "ns", "uid": "d"}
    api = {"address": "10.8.0.1", "credentialsSecretRef": {"name": "c"}}
    status = {"conditions": conditions(*lines)}
    return Device.model_validate(
        {"metadata": meta, "spec": {"api": api}, "status": status}
    )


def told(before: tuple[str, ...], *statuses: tuple[str, ...]) -> list[str]:
    """Return the Events while these statuses are written one after the other; the object has what was written last."""
    events = Events()
    story = DeviceStory(events.as_recorder())
    for has, lines in pairwise((before, *statuses)):
        status = {
            "identity": "shop",
            "version": "7.16",
            "conditions": conditions(*lines),
        }
        story.tell(a_device(*has), status)
    return events.posted


def test_a_router_that_comes_and_goes_is_told_once_each() -> None:
    well, lost = (WAY, EQUAL), (GONE, NOT_EQUAL)
    assert told((), well, well, lost, lost, well) == [
        "Device/d: Online: the router answers: shop, RouterOS 7.16",
        "Device/d: Offline: ConnectTimeout: no answer within 5 s",
        "Device/d: Online: the router answers: shop, RouterOS 7.16",
    ]


def test_a_restart_of_the_agent_tells_nothing() -> None:
    nothing_yet = (NOT_KNOWN, "Ready Unknown NotLookedYet not yet")
    assert told((WAY, EQUAL), nothing_yet, (WAY, EQUAL)) == []
    assert told((GONE, NOT_EQUAL), nothing_yet, (GONE, NOT_EQUAL)) == []


def test_what_a_person_must_mend_is_told_with_its_reason_and_its_end() -> None:
    assert told((WAY, EQUAL), (WAY, HELD), (WAY, HELD), (WAY, EQUAL)) == [
        "Device/d: MassRemoval: 12 clients stay until confirmed",
        "Device/d: Recovered: MassRemoval is over: the router is as wanted",
    ]
    assert told((), (WAY, REFUSED)) == [
        "Device/d: Online: the router answers: shop, RouterOS 7.16",
        "Device/d: LoginRefused: cannot log in",
    ]


@pytest.mark.parametrize("ready", [PAUSED, "Ready True DryRun nothing"])
def test_what_a_person_asked_for_is_no_trouble(ready: str) -> None:
    assert told((WAY, EQUAL), (WAY, ready), (WAY, EQUAL)) == []


def test_ready_is_not_told_while_the_operator_writes_it() -> None:
    assert told((WAY, EQUAL), (WAY,)) == []
