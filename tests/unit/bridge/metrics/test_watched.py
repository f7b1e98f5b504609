"""What is counted of Devices and Sessions as they change. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cerebro.bridge.metrics import WatchedObjects
from cerebro.bridge.metrics.watched import WaitingOrders
from cerebro.kube.cache.store import Store
from cerebro.resources import DEVICE, SESSION, format_time
from support.metrics import NAMESPACE, device_body, session_body

ACTIVE = {"phase": "Active", "observedGeneration": 1}


class World:
    """A store with the Devices a (R1) and b (R2)."""

    def __init__(self, waiting: WaitingOrders = lambda _before: ()) -> None:
        self.store = Store()
        self.objects = WatchedObjects(self.store, NAMESPACE, waiting)
        self.version = 1
        for name, router_id in (("a", "R1"), ("b", "R2")):
            self.store.deliver(DEVICE, "ADDED", device_body(name, router_id))

    def session(self, name: str, device: str = "a", **fields: Any) -> None:
        self.version += 1
        body = session_body(name, device, version=self.version, **fields)
        self.store.deliver(SESSION, "MODIFIED", body)

    def gone(self, name: str, device: str = "a") -> None:
        self.version += 1
        body = session_body(name, device, version=self.version)
        self.store.deliver(SESSION, "DELETED", body)

    def values(self, name: str, label: str = "router_id") -> dict[str, float]:
        """A gauge's values by router; of one without labels under an empty text."""
        (family,) = (
            each for each in self.objects.collect() if each.name == name
        )
        return {
            sample.labels.get(label, ""): sample.value
            for sample in family.samples
        }


def ago(**span: float) -> str:
    return format_time(datetime.now(UTC) - timedelta(**span))


def test_every_device_has_a_line_under_its_router_id() -> None:
    world = World()
    world.session("one", status=ACTIVE)
    world.session("two", status=ACTIVE)
    world.session("three", "b")
    world.session("lost", "no-such-device", status=ACTIVE)
    assert world.values("relay_active_sessions") == {"R1": 2, "R2": 0}
    world.session("two", status={"phase": "Expired"})
    world.gone("one")
    assert world.values("relay_active_sessions") == {"R1": 0, "R2": 0}


def test_each_phase_tells_how_many_sessions_are_in_it() -> None:
    world = World()
    world.session("one", status=ACTIVE)
    world.session("two")
    world.session("three", "b", status={"phase": "Pending"})
    none = dict.fromkeys(("Expired", "Revoked", "Failed"), 0)
    first = {"New": 1, "Pending": 1, "Active": 1}
    assert world.values("relay_sessions", "phase") == {**none, **first}
    world.session("two", status=ACTIVE)
    world.gone("one")
    then = {"New": 0, "Pending": 1, "Active": 1}
    assert world.values("relay_sessions", "phase") == {**none, **then}


@pytest.mark.parametrize(
    ("reachable", "authenticated", "value"),
    [("True", "True", 1), ("True", "False", 0), ("False", "True", 0)],
)
def test_a_router_is_online_that_answered_and_took_the_login(
    reachable: str, authenticated: str, value: int
) -> None:
    world = World()
    states = {"Reachable": reachable, "Authenticated": authenticated}
    conditions = [
        {"type": name, "status": state, "reason": "Told"}
        for name, state in states.items()
    ]
    body = device_body("a", "R1", version=2, conditions=conditions)
    world.store.deliver(DEVICE, "MODIFIED", body)
    online = world.values("relay_router_online")
    assert online == {"R1": value, "R2": 0}, "R2 was never spoken to"


@pytest.mark.parametrize(
    ("state", "value"), [("Open", 1), ("HalfOpen", 1), ("Closed", 0)]
)
def test_the_breaker_is_1_until_it_closed_as_in_the_old_relay(
    state: str, value: int
) -> None:
    world = World()
    body = device_body("a", "R1", version=2, circuit={"state": state})
    world.store.deliver(DEVICE, "MODIFIED", body)
    circuits = world.values("relay_circuit_breaker_state")
    assert circuits == {"R1": value, "R2": 0}


def test_two_devices_with_one_router_id_are_one_line() -> None:
    world = World()
    world.store.deliver(DEVICE, "ADDED", device_body("c", "R1"))
    world.session("one", "a", status=ACTIVE)
    world.session("two", "c", status=ACTIVE)
    assert world.values("relay_active_sessions") == {"R1": 2, "R2": 0}


def test_paid_orders_that_wait_for_over_60_s_are_shown_until_they_have_access() -> (
    None
):
    def unwritten(before: datetime) -> Iterable[str | None]:
        assert before <= datetime.now(UTC) - timedelta(seconds=60)
        return ["r2", "nobody", None]

    world = World(unwritten)
    world.session("old", requestedAt=ago(seconds=90))
    world.session("new", requestedAt=ago(seconds=10))
    world.session("trial", type="Trial", requestedAt=ago(seconds=90))
    world.session("revoked", revoked=True, requestedAt=ago(seconds=90))
    waiting = "relay_paid_orders_waiting"
    assert world.values(waiting) == {"R1": 1, "R2": 1, "unknown": 2}
    world.session("old", requestedAt=ago(seconds=90), status=ACTIVE)
    assert world.values(waiting)["R1"] == 0
    world.session("new", requestedAt=ago(seconds=90))
    assert world.values(waiting)["R1"] == 1
    failed = {"phase": "Failed", "observedGeneration": 1}
    world.session("new", requestedAt=ago(seconds=90), status=failed)
    assert world.values(waiting)["R1"] == 0
    # A customer who paid once more waits again.
    failed = {"phase": "Failed", "observedGeneration": 0}
    world.session("new", requestedAt=ago(seconds=90), status=failed)
    assert world.values(waiting)["R1"] == 1
    world.gone("new")
    assert world.values(waiting)["R1"] == 0


def test_clients_with_more_than_three_trials_of_today_are_shown() -> None:
    world = World()
    today, before = ago(seconds=0), ago(days=2)
    trial = {"type": "Trial"}
    for number in range(3):
        world.session(f"trial-{number}", created=today, **trial)
        world.session(f"old-{number}", created=before, **trial)
        world.session(f"paid-{number}", created=today)
    shown = "relay_clients_with_many_trials"
    assert world.values(shown) == {"R1": 0, "R2": 0}
    # The same trial again is none more, and one on another router neither.
    world.session("trial-0", created=today, status=ACTIVE, **trial)
    world.session("elsewhere", "b", created=today, **trial)
    assert world.values(shown) == {"R1": 0, "R2": 0}
    world.session("trial-3", created=today, **trial)
    world.session("trial-4", created=today, **trial)
    assert world.values(shown) == {"R1": 1, "R2": 0}
    world.gone("trial-4")
    assert world.values(shown) == {"R1": 1, "R2": 0}


def test_objects_of_other_namespaces_do_not_count() -> None:
    world = World()
    body = session_body("one", "a", status=ACTIVE)
    body["metadata"]["namespace"] = "other"
    world.store.deliver(SESSION, "ADDED", body)
    assert world.values("relay_active_sessions") == {"R1": 0, "R2": 0}
