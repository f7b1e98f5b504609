"""Whether a Device's guard is to run, and what its condition says."""

from __future__ import annotations

from typing import Any

import pytest

from cerebro.agent.devices.config.clock import clock_prints, router_clock
from cerebro.agent.devices.config.guard import (
    guard_found,
    guard_state,
    wanted_guard,
)
from cerebro.agent.devices.model import (
    DeviceWarning,
    GuardFound,
    RouterClock,
)
from cerebro.agent.devices.status import DeviceFindings
from cerebro.resources import Device
from cerebro.routeros.client.command import Command, Reply
from cerebro.routeros.client.errors import Trap
from cerebro.routeros.configuration.steps import ConfigurationPlan, Step
from cerebro.routeros.menus.system import SCRIPT

RIGHT, AHEAD, BEHIND = RouterClock(0), RouterClock(90), RouterClock(-90)
WAITING = RouterClock(0, "Unsynchronized")
NEVER_SET = RouterClock(-10_000, was_set=False)
JUMPED = RouterClock(0, late=600)
JUMPED_NTP = RouterClock(0, "Synchronized", late=600)
IN_PLACE = GuardFound()
REFUSED = GuardFound(DeviceWarning("NotPermitted", "give it"))

NOON = 1_796_040_000.0
"""2026-11-30 12:00:00 UTC."""


def device(**spec: Any) -> Device:
    return Device.model_validate(
        {
            "kind": "Device",
            "metadata": {"name": "r1"},
            "spec": {
                "hubRef": {"name": "hub-1"},
                "api": {"credentialsSecretRef": {"name": "router"}},
                "manageConfig": True,
                "access": {"guard": "Router"},
                **spec,
            },
        }
    )


def answers(
    time: str = "12:00:00", offset: str = "+00:00", **ntp: str
) -> list[Reply | Trap]:
    clock = {"date": "2026-11-30", "time": time, "gmt-offset": offset}
    up = {"uptime": "1d2m3s"}
    return [
        Reply([clock]),
        Reply([{"enabled": "false", **ntp}]),
        Reply([up]),
    ]


@pytest.mark.parametrize(
    ("time", "offset", "ahead"),
    [
        ("12:00:00", "+00:00", 0),
        ("09:00:05", "-03:00", 4),
        ("17:30:00", "+05:30", 0),
        ("12:01:00", "+00:00", 59),
        ("11:59:00", "+00:00", -59),
        ("08:00:00", "+00:00", -14_399),
    ],
    ids=["right", "west", "east", "ahead", "behind", "wrong-zone"],
)
def test_by_how_much_a_clock_is_wrong_at_least(
    time: str, offset: str, ahead: int
) -> None:
    clock = router_clock(answers(time, offset), NOON, NOON + 1)

    assert clock is not None
    assert clock.ahead == ahead


@pytest.mark.parametrize(
    ("ntp", "kept"),
    [
        ({}, "Off"),
        ({"enabled": "yes", "status": "synchronized"}, "Synchronized"),
        ({"enabled": "true", "status": "waiting"}, "Unsynchronized"),
        ({"enabled": "true"}, "Unsynchronized"),
    ],
    ids=["off", "synchronized", "waiting", "no-status"],
)
def test_whether_ntp_has_the_time(ntp: dict[str, str], kept: str) -> None:
    clock = router_clock(answers(**ntp), NOON, NOON)

    assert clock is not None
    assert clock.ntp == kept


@pytest.mark.parametrize(
    "replies",
    [
        [],
        [Trap("print", ["no such command"]), *answers()[1:]],
        [Reply([])] * 3,
        [Reply([{"date": "nov/30/2026", "time": "12:00:00"}])] * 3,
        [Reply([{"date": "x", "time": "y", "gmt-offset": "+00:00"}])] * 3,
    ],
    ids=["no-answer", "refused", "empty", "old-form", "no-date"],
)
def test_an_answer_that_cannot_be_read_says_nothing(
    replies: list[Reply | Trap],
) -> None:
    assert router_clock(replies, NOON, NOON) is None


def test_a_slow_answer_says_nothing() -> None:
    assert router_clock(answers(), NOON, NOON + 6) is None


def test_a_router_that_does_not_know_ntp_is_taken_for_one_without() -> None:
    refused = Trap("print", ["no such command prefix"])
    replies = [answers()[0], refused, refused]

    clock = router_clock(replies, NOON, NOON)

    assert clock == RouterClock(0)
    assert len(clock_prints()) == len(replies)


def test_when_a_router_started_by_its_clock() -> None:
    clock = router_clock(answers(), NOON, NOON)

    assert clock is not None
    assert clock.uptime == 86_523
    assert clock.booted == NOON - 86_523


@pytest.mark.parametrize(
    ("clock", "rows"),
    [
        (RouterClock(0), 2),
        (RouterClock(10), 2),
        (RouterClock(11), 1),
        (RouterClock(-86_400), 2),
    ],
    ids=["right", "a-little-ahead", "ahead", "behind"],
)
def test_a_clock_that_is_ahead_has_the_scheduler_taken_off(
    clock: RouterClock, rows: int
) -> None:
    part = wanted_guard(device(), "main", DeviceFindings(router_clock=clock))

    assert len(part.rows) == rows
    assert len(part.menus) == 2


def test_an_unknown_clock_leaves_the_scheduler_as_it_is() -> None:
    part = wanted_guard(device(), "main", DeviceFindings())

    assert [menu.path for menu in part.menus] == ["/system/script"]


@pytest.mark.parametrize(
    "spec",
    [
        {"access": {}},
        {"manageConfig": False},
    ],
    ids=["off", "without-config"],
)
def test_without_the_field_all_rows_go_and_nothing_is_said(
    spec: dict[str, Any],
) -> None:
    found = DeviceFindings(router_clock=RIGHT, guard_found=GuardFound())

    part = wanted_guard(device(**spec), "main", found)

    assert part.rows == ()
    assert len(part.menus) == 2
    assert guard_state(device(**spec), found) is None


def condition(
    clock: RouterClock | None,
    found: GuardFound | None = None,
    forbidden: bool = False,
    **spec: Any,
) -> tuple[str, str]:
    """`Status Reason`, and the message."""
    findings = DeviceFindings(
        router_clock=clock, guard_found=found, schedulers_forbidden=forbidden
    )
    state = guard_state(device(**spec), findings)
    assert state is not None
    return f"{state.status} {state.reason}", state.message


@pytest.mark.parametrize(
    ("clock", "found", "expected", "words"),
    [
        (RIGHT, IN_PLACE, "True OnRouter", "on time"),
        (BEHIND, IN_PLACE, "True OnRouter", "but 90 s late"),
        (AHEAD, IN_PLACE, "False RouterClockAhead", "does not run there"),
        (AHEAD, REFUSED, "False RouterClockAhead", "taken off (give it)"),
        (AHEAD, None, "Unknown NotLookedYet", "not been compared"),
        (WAITING, IN_PLACE, "False RouterClockNotSet", "until NTP"),
        (
            JUMPED,
            IN_PLACE,
            "False RouterClockJumped",
            "10 min late, until the router is restarted",
        ),
        (
            JUMPED_NTP,
            IN_PLACE,
            "False RouterClockJumped",
            "10 min late, until the clock has gone on evenly under NTP",
        ),
        (NEVER_SET, IN_PLACE, "False RouterClockNotSet", "ntp/client/set"),
        (None, IN_PLACE, "Unknown NotLookedYet", "not been compared"),
        (RIGHT, None, "Unknown NotLookedYet", "not been compared"),
        (RIGHT, REFUSED, "False NotPermitted", "give it"),
    ],
)
def test_what_the_condition_says(
    clock: RouterClock | None,
    found: GuardFound | None,
    expected: str,
    words: str,
) -> None:
    state, message = condition(clock, found)

    assert state == expected
    assert words in message


def test_in_dry_run_nothing_is_known_of_the_guard() -> None:
    state, _ = condition(RIGHT, IN_PLACE, dryRun=True)

    assert state == "Unknown DryRun"


def test_where_device_mode_forbids_schedulers_nothing_is_written() -> None:
    found = DeviceFindings(router_clock=RIGHT, schedulers_forbidden=True)

    assert wanted_guard(device(), "main", found).rows == ()
    state, message = condition(RIGHT, IN_PLACE, forbidden=True)
    assert state == "False ForbiddenByDeviceMode"
    assert "scheduler=yes" in message


def test_trouble_with_other_rows_is_not_the_guards() -> None:
    trouble = DeviceWarning("ConfigurationUndone", "the route")
    row = {".id": "*1", "comment": "cerebro:main:tunnel"}
    step = Step(SCRIPT, Command("/ip/route", "set", {".id": "*1"}), True, row)
    other = ConfigurationPlan(steps=[step])
    own = ConfigurationPlan(
        steps=[
            Step(
                SCRIPT,
                Command(SCRIPT.path, "add"),
                False,
                added_as={"comment": "cerebro:main:guard"},
            )
        ]
    )

    assert guard_found(other, [trouble]) == GuardFound()
    assert guard_found(own, [trouble]) == GuardFound(trouble)
    assert guard_found(own, []) == GuardFound()
    assert guard_found(None, [trouble]) == GuardFound(trouble)
