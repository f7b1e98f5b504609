"""The schedule of one router and its standing, with times as arguments. What the loop makes of them: the table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cerebro.agent.devices.breaker import Breaker
from cerebro.agent.devices.schedule import Look, Schedule, Standing, standing
from cerebro.domain.conditions import ConditionState
from cerebro.resources import Device

WALL = datetime(2026, 6, 1, tzinfo=UTC)
ONLINE = ConditionState("True", "Online", "")


def device(**spec: Any) -> Device:
    api = {
        "allowPlaintext": True,
        "credentialsSecretRef": {"name": "c"},
        **spec.pop("api", {}),
    }
    meta = {
        "name": "d",
        "namespace": "ns",
        "uid": "d",
        "resourceVersion": "1",
        "generation": 1,
    }
    return Device.model_validate(
        {"metadata": meta, "spec": {"api": api, **spec}}
    )


def where(subject: Device, **given: Any) -> Standing:
    """Return the standing of a router to which nothing is in the way but what is given."""
    usual = {
        "cleaned_up": False,
        "may_look": True,
        "tunnel": ONLINE,
        "breaker": Breaker(),
        "now": 100.0,
    }
    return standing(subject, **{"client_waits": False, **usual, **given})


def failed(threshold: int) -> Breaker:
    breaker = Breaker(threshold=threshold)
    breaker.failed(100.0)
    return breaker


@pytest.mark.parametrize(
    ("subject", "given", "expected"),
    [
        (device(), {}, Standing.READY),
        (device(paused="Changes"), {}, Standing.READY),
        (device(paused="All"), {}, Standing.NOT_OURS),
        (device(), {"may_look": False}, Standing.NOT_OURS),
        (device(), {"cleaned_up": True}, Standing.NOT_OURS),
        (device(hubRef={"name": "h"}), {}, Standing.NO_ROUTE),
        (device(hubRef={"name": "h"}), {"may_look": False}, Standing.NOT_OURS),
        (
            device(hubRef={"name": "h"}),
            {"breaker": failed(1)},
            Standing.NO_ROUTE,
        ),
        (device(), {"breaker": failed(1)}, Standing.BACKING_OFF),
        (device(), {"breaker": failed(1), "now": 160.0}, Standing.READY),
        (device(), {"breaker": failed(9)}, Standing.BACKING_OFF),
        (
            device(),
            {"breaker": failed(9), "client_waits": True},
            Standing.READY,
        ),
        (
            device(),
            {"breaker": failed(1), "client_waits": True},
            Standing.BACKING_OFF,
        ),
    ],
)
def test_where_a_router_stands(
    subject: Device, given: dict[str, Any], expected: Standing
) -> None:
    assert where(subject, **given) is expected


def settled() -> Schedule:
    """Return a schedule after a full pass at second 0 that left nothing to do; the resync comes at 60."""
    schedule = Schedule()
    assert (
        schedule.next_look(0.0, fresh=True, present=False, gone=False)
        is Look.EVERYTHING
    )
    schedule.completed(
        Look.EVERYTHING,
        0.0,
        settled=True,
        interrupted=False,
        collided=False,
        resync_interval=60.0,
    )
    return schedule


def look(schedule: Schedule, now: float = 1.0, **given: bool) -> Look:
    return schedule.next_look(
        now, **{"fresh": False, "present": False, "gone": False, **given}
    )


def test_how_widely_a_pass_looks() -> None:
    assert look(settled()) is Look.NOTHING
    assert look(settled(), present=True) is Look.CLIENTS
    assert look(settled(), gone=True) is Look.EVERYTHING
    assert look(settled(), fresh=True, present=True) is Look.EVERYTHING
    assert look(settled(), now=60.0) is Look.EVERYTHING


def test_clients_go_ahead_of_a_full_pass_that_stays_due() -> None:
    schedule = settled()
    schedule.request_full_pass()
    for second in range(60):
        now = 1.0 + second
        assert look(schedule, now=now, present=True) is Look.CLIENTS
    assert not schedule.may_overtake(61.0)
    assert look(schedule, now=61.0, present=True) is Look.EVERYTHING, (
        "it is not put off for ever"
    )


def test_a_full_pass_that_gave_way_is_due_again_after_who_waited() -> None:
    schedule = settled()
    schedule.request_full_pass()
    assert look(schedule) is Look.EVERYTHING
    schedule.session_changed("new", 2.0)
    schedule.gave_way({"taken": 1.0}, 2.0)
    assert schedule.next_turn(2.0, WALL, heartbeat=30.0) == 0.0
    assert schedule.take_changed() == {"taken": 1.0, "new": 2.0}
    assert look(schedule, now=2.0, present=True) is Look.CLIENTS
    assert look(schedule, now=2.0) is Look.EVERYTHING


def test_one_reset_for_all_that_keeps_a_router_from_being_reached() -> None:
    schedule = settled()
    schedule.session_changed("s", 1.0)
    schedule.also_at(WALL)
    schedule.at_once = True
    schedule.suspend(retry_at=5.0, full_pass=True)
    assert (schedule.changed, schedule.clock_at) == ({}, None)
    assert schedule.next_turn(1.0, WALL, heartbeat=30.0) == 4.0
    assert look(schedule) is Look.EVERYTHING


@pytest.mark.parametrize(
    ("change", "wait"),
    [
        ({}, 30.0),
        ({"resync_at": 10.0}, 9.0),
        ({"retry_at": 40.0, "resync_at": 10.0}, 30.0),
        ({"retry_at": 3.0}, 2.0),
        ({"retry_at": 0.5}, 0.0),
        ({"clock_at": WALL + timedelta(seconds=7)}, 7.0),
        ({"clock_at": WALL - timedelta(seconds=7)}, 0.0),
        ({"at_once": True, "retry_at": 40.0}, 0.0),
        ({"removals_at": 4.0}, 3.0),
        ({"removals_at": 4.0, "retry_at": 20.0}, 3.0),
        ({"removals_at": 4.0, "retry_at": 2.0}, 1.0),
    ],
)
def test_when_the_next_turn_is_due(
    change: dict[str, Any], wait: float
) -> None:
    schedule = settled()
    for name, value in change.items():
        setattr(schedule, name, value)
    assert schedule.next_turn(1.0, WALL, heartbeat=30.0) == wait


def test_e13_a_deleted_session_makes_a_full_pass_due_when_its_client_may_go() -> (
    None
):
    schedule = settled()
    schedule.session_changed("s", 1.0)
    assert schedule.session_deleted("s", 4.0) is True
    assert schedule.changed == {}
    assert schedule.session_deleted("t", 4.5) is False
    assert look(schedule, now=3.9) is Look.NOTHING
    assert look(schedule, now=4.0, present=True) is Look.CLIENTS
    assert look(schedule, now=4.1) is Look.EVERYTHING
    assert look(schedule, now=4.2) is Look.NOTHING


def test_e13_a_router_that_is_not_reached_has_no_look_for_removals() -> None:
    schedule = settled()
    schedule.session_deleted("s", 4.0)
    schedule.failed(50.0)
    assert schedule.next_turn(5.0, WALL, heartbeat=30.0) == 30.0
    assert look(schedule, now=50.0) is Look.EVERYTHING


def test_passes_that_leave_something_come_later_each_time() -> None:
    schedule, waits = settled(), []
    for _ in range(7):
        schedule.completed(
            Look.EVERYTHING,
            0.0,
            settled=False,
            interrupted=False,
            collided=False,
            resync_interval=60.0,
        )
        waits.append(schedule.retry_at)
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_a_connection_that_broke_is_replaced_at_once_the_first_time() -> None:
    breaker = Breaker(threshold=5)
    breaker.connection_broke(100.0)
    assert breaker.next_try == 100.0
    breaker.connection_broke(100.0)
    assert breaker.next_try > 100.0
