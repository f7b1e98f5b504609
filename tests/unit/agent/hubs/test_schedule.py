"""What is due for a Hub after each event, in each state. Times are numbers of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from cerebro.agent.hubs.schedule import HubSchedule, wait

NOW = 1000.0
INTERVAL = 300.0


def fresh() -> HubSchedule:
    """A loop that has just begun."""
    return HubSchedule()


def at_rest() -> HubSchedule:
    """The last pass had nothing in its way; it was a resync 100 s ago, and took 0.2 s."""
    return HubSchedule(resync_at=NOW + 200, answered="first", took=0.2)


def failed_once() -> HubSchedule:
    return HubSchedule(
        resync_at=NOW + 200,
        answered="first",
        failures=1,
        failing_since=NOW - 0.5,
        took=0.2,
    )


def failing_long() -> HubSchedule:
    return HubSchedule(
        resync_at=NOW + 200,
        answered="first",
        failures=8,
        failing_since=NOW - 200,
        took=3.0,
    )


STATES = [fresh, at_rest, failed_once, failing_long]

EVENTS: dict[str, Callable[[HubSchedule], object]] = {
    "nothing": lambda _: None,
    "a resync": lambda schedule: schedule.resynced("second", NOW, INTERVAL),
    "a failure": lambda schedule: schedule.failed(NOW),
    "a success": lambda schedule: schedule.succeeded(),
    "a long pass": lambda schedule: schedule.ended(40.0),
}


class Due(NamedTuple):
    """What is due after an event in a state."""

    resync: tuple[bool, bool, bool]
    """Without a request, with the first request and with the second."""
    lasts: bool
    retry: float
    """Seconds until the try after one more failure."""
    next_pass: float
    rest: float


DUE: list[tuple[Callable[[], HubSchedule], str, Due]] = [
    (fresh, "nothing", Due((True, True, True), False, 2.0, 0.05, 0.0)),
    (fresh, "a resync", Due((True, True, False), False, 2.0, 5.0, 0.0)),
    (fresh, "a failure", Due((True, True, True), False, 4.0, 0.05, 0.0)),
    (fresh, "a success", Due((True, True, True), False, 2.0, 0.05, 0.0)),
    (fresh, "a long pass", Due((True, True, True), False, 2.0, 0.05, 2.0)),
    (at_rest, "nothing", Due((True, False, True), False, 2.0, 10.0, 0.2)),
    (at_rest, "a resync", Due((True, True, False), False, 2.0, 10.0, 0.2)),
    (at_rest, "a failure", Due((True, False, True), False, 4.0, 10.0, 0.2)),
    (at_rest, "a success", Due((True, False, True), False, 2.0, 10.0, 0.2)),
    (at_rest, "a long pass", Due((True, False, True), False, 2.0, 200.0, 2.0)),
    (failed_once, "nothing", Due((True, False, True), False, 4.0, 10.0, 0.2)),
    (failed_once, "a resync", Due((True, True, False), False, 4.0, 10.0, 0.2)),
    (
        failed_once,
        "a failure",
        Due((True, False, True), False, 8.0, 10.0, 0.2),
    ),
    (
        failed_once,
        "a success",
        Due((True, False, True), False, 2.0, 10.0, 0.2),
    ),
    (
        failed_once,
        "a long pass",
        Due((True, False, True), False, 4.0, 200.0, 2.0),
    ),
    (
        failing_long,
        "nothing",
        Due((True, False, True), True, 30.0, 150.0, 2.0),
    ),
    (
        failing_long,
        "a resync",
        Due((True, True, False), True, 30.0, 150.0, 2.0),
    ),
    (
        failing_long,
        "a failure",
        Due((True, False, True), True, 30.0, 150.0, 2.0),
    ),
    (
        failing_long,
        "a success",
        Due((True, False, True), False, 2.0, 150.0, 2.0),
    ),
    (
        failing_long,
        "a long pass",
        Due((True, False, True), True, 30.0, 200.0, 2.0),
    ),
]


def test_the_table_has_each_state_with_each_event_once() -> None:
    assert [(state, event) for state, event, _ in DUE] == [
        (state, event) for state in STATES for event in EVENTS
    ]


@pytest.mark.parametrize(
    ("state", "event", "due"),
    DUE,
    ids=[f"{state.__name__}-{event}" for state, event, _ in DUE],
)
def test_what_is_due(
    state: Callable[[], HubSchedule], event: str, due: Due
) -> None:
    schedule = state()
    EVENTS[event](schedule)
    assert (
        tuple(
            schedule.resync_due(request, NOW)
            for request in (None, "first", "second")
        )
        == due.resync
    )
    assert schedule.failure_lasts(NOW) is due.lasts
    assert schedule.next_pass(NOW, unfinished=False) == due.next_pass
    assert schedule.next_pass(NOW, unfinished=True) == 1.0
    assert schedule.rest() == due.rest
    assert schedule.failed(NOW) == due.retry


def test_a_resync_is_due_once_its_time_has_come_without_a_request() -> None:
    schedule = fresh()
    schedule.resynced(None, NOW, INTERVAL)
    due = [
        schedule.resync_due(None, NOW + seconds)
        for seconds in (0.0, 299.9, 300.0)
    ]
    assert due == [False, False, True]


def test_retries_become_rarer_up_to_half_a_minute_and_begin_anew_after_a_success() -> (
    None
):
    schedule = fresh()
    assert [schedule.failed(NOW + number) for number in range(7)] == [
        2,
        4,
        8,
        16,
        30,
        30,
        30,
    ]
    schedule.succeeded()
    assert schedule.failed(NOW + 10) == 2


@pytest.mark.parametrize(
    ("seconds", "lasts"),
    [(0.0, False), (0.9, False), (1.0, True), (60.0, True)],
)
def test_a_failure_lasts_from_a_second_after_the_first_in_a_row(
    seconds: float, lasts: bool
) -> None:
    schedule = fresh()
    schedule.failed(NOW)
    schedule.failed(NOW + seconds)
    assert schedule.failure_lasts(NOW + seconds) is lasts


@pytest.mark.parametrize(
    ("removals_at", "unfinished", "seconds"),
    [
        (NOW + 3.0, False, 3.0),
        (NOW + 3.0, True, 1.0),
        (NOW + 0.5, True, 0.5),
        (NOW - 1.0, False, 0.05),
        (NOW + 100.0, False, 10.0),
    ],
)
def test_e13_a_pass_comes_when_keys_of_deleted_peers_may_go(
    removals_at: float, unfinished: bool, seconds: float
) -> None:
    delay = at_rest().next_pass(
        NOW, unfinished=unfinished, removals_at=removals_at
    )
    assert delay == seconds


@pytest.mark.parametrize(
    ("delay", "waited"), [(0.0, 0.05), (-5.0, 0.05), (7.0, 7.0), (100.0, 30.0)]
)
def test_a_loop_is_seen_to_turn_and_never_spins(
    delay: float, waited: float
) -> None:
    assert wait(delay, heartbeat=30.0) == waited
