"""What is done next about a router's configuration: confirmed, waited for, undone, left."""

from __future__ import annotations

import pytest

from cerebro.agent.devices.config.decide import (
    CONFIRM_WITHIN,
    HAS_RUN,
    WRITE_WITHIN,
    Situation,
    Todo,
    UndoneChange,
    next_step,
    planned_change,
    undone_change,
)
from cerebro.agent.devices.config.repairs import Repairs
from cerebro.agent.devices.status import DeviceFindings, device_status
from cerebro.resources import Device
from cerebro.resources.naming import ANNOTATION_RESYNC_AT
from cerebro.routeros.configuration.desired import Configuration
from cerebro.routeros.configuration.plan import configuration_plan
from cerebro.routeros.configuration.steps import ConfigurationPlan
from cerebro.routeros.configuration.undo import UNDO_AFTER
from support.console_router import ConsoleRouter
from support.virtual_time import EPOCH
from unit.routeros.test_configuration import (
    FILTER,
    by_hand,
    paste,
    tables,
    tunnel,
)


@pytest.mark.parametrize(
    ("situation", "todo"),
    [
        (Situation(False, False), Todo.NOTHING),
        (Situation(False, False, armed_at=0), Todo.NOTHING),
        (Situation(True, False), Todo.CHANGE),
        (Situation(True, False, is_undone_change=True), Todo.LEAVE),
        (Situation(True, False, armed_at=0), Todo.UNDONE),
        (Situation(False, True), Todo.CONFIRM),
        (Situation(False, True, armed_at=0), Todo.CONFIRM),
        (Situation(True, True, armed_at=0), Todo.WAIT),
        (Situation(True, True, seen_at=0), Todo.WAIT),
        (Situation(True, True, armed_at=0 - HAS_RUN), Todo.DISARM),
        (Situation(True, True, seen_at=0 - HAS_RUN), Todo.DISARM),
    ],
)
def test_the_next_step(situation: Situation, todo: Todo) -> None:
    assert next_step(situation, 0.5) is todo


def test_all_is_over_before_the_undo_runs() -> None:
    assert WRITE_WITHIN < CONFIRM_WITHIN < UNDO_AFTER < HAS_RUN
    assert UNDO_AFTER < 60


def device(**annotations: str) -> Device:
    meta = {"name": "d", "namespace": "ns", "annotations": annotations}
    spec = {
        "hubRef": {"name": "h"},
        "api": {"credentialsSecretRef": {"name": "s"}},
    }
    return Device.model_validate({"metadata": meta, "spec": spec})


def change(
    router: ConsoleRouter, port: int = 1, of: Device | None = None
) -> UndoneChange:
    wanted = Configuration(
        tunnel(
            api={"credentialsSecretRef": {"name": "s"}, "port": 8000 + port}
        )
    )
    found = tables(router)
    plan = configuration_plan(wanted, found)
    return planned_change(of or device(), wanted, plan, found)


def test_an_undone_change_is_tried_again_when_the_spec_or_a_person_says_so() -> (
    None
):
    router = by_hand()
    undone = change(router)
    assert undone.is_same(change(by_hand()), 1)
    assert not undone.is_same(change(router, port=2), 1)
    asked = device(**{ANNOTATION_RESYNC_AT: "now"})
    assert not undone.is_same(change(router, of=asked), 1)


def test_other_rows_of_the_router_count_after_ten_minutes() -> None:
    """A router's own script that switches a rule each minute makes no flapping."""
    router = by_hand()
    undone = change(router)
    router.put(FILTER, chain="input", action="accept", comment="mine")
    assert undone.change == change(router).change
    assert undone.is_same(change(router), 599)
    assert not undone.is_same(change(router), 601)

    # Nor does one that puts a rule before all others.
    router.tables[FILTER].insert(0, router.tables[FILTER].pop())
    assert undone.is_same(change(router), 599)
    router.tables[FILTER].pop(0)
    assert undone.is_same(change(router), 601)


def test_an_undone_change_is_kept_in_the_status() -> None:
    undone = change(by_hand())
    assert undone_change(undone.text()) == undone
    assert undone_change(None) is None

    def status(findings: DeviceFindings, of: Device) -> object:
        return device_status(of, findings, EPOCH).get("undoneConfiguration")

    noted = DeviceFindings(undone_configuration="a:b")
    assert status(noted, device()) == "a:b"
    later = device()
    later.status.undone_configuration = "a:b"
    assert status(DeviceFindings(), later) == "a:b"
    assert status(DeviceFindings(undone_configuration=""), later) is None


def looks(router: ConsoleRouter) -> tuple[Configuration, ConfigurationPlan]:
    wanted = Configuration(tunnel())
    return wanted, configuration_plan(wanted, tables(router))


def test_b10_a_row_that_is_repaired_three_times_in_ten_minutes_is_contested() -> (
    None
):
    router = by_hand()
    repairs = Repairs()
    assert repairs.note(*looks(router), now=0).rows == frozenset()

    for at in (100, 200, 300):
        paste(router, tunnel())
        fight = repairs.note(*looks(router), now=at)
        assert not fight.is_planned
        router.tables["/ip/route"].clear()
        fight = repairs.note(*looks(router), now=at + 1)
        assert fight.drifted == 1

    assert fight.news == 1
    assert fight.is_planned
    (name,) = fight.rows
    assert name.startswith("/ip/route ")

    # The same look again is no further repair; ten minutes later it is over.
    fight = repairs.note(*looks(router), now=400)
    assert (fight.news, fight.drifted) == (0, 0)
    assert not repairs.note(*looks(router), now=800).rows
