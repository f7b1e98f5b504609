"""Of two Devices with one routerID the younger says so: the bridge gives the orders to the older."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from cerebro.agent.devices.status import DeviceFindings, device_status
from cerebro.agent.predicates import wakes_device
from cerebro.bridge.orders.sessions import Sessions
from cerebro.kube.cache.store import Store
from cerebro.kube.objects import Change
from cerebro.operator.tunnels.router_ids import RouterIDs
from cerebro.resources import DEVICE, Device
from cerebro.resources.reasons import DUPLICATE_ROUTER_ID
from support.peers_server import Server

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DIRECT = {
    "address": "10.8.0.1",
    "allowPlaintext": True,
    "credentialsSecretRef": {"name": "c"},
}


def ready(status: str, reason: str) -> dict[str, str]:
    return {
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": "m",
    }


class Devices:
    """A store with Devices, and what the changes of it concern."""

    def __init__(self) -> None:
        self.store = Store()
        self.ids = RouterIDs(self.store)
        self.concerned: set[str] = set()
        self.version = 0
        self.store.subscribe(self._changed)

    def _changed(self, change: Change) -> None:
        self.concerned |= {name for _, name in self.ids.concerned(change)}

    def put(
        self,
        name: str,
        router_id: str | None = None,
        *,
        born: int = 0,
        namespace: str = "ns",
        **more: Any,
    ) -> None:
        self.version += 1
        meta = {
            "name": name,
            "namespace": namespace,
            "uid": f"{namespace}/{name}",
            "resourceVersion": str(self.version),
            "creationTimestamp": f"2026-01-01T00:00:{born:02d}Z",
        }
        spec = {
            "api": DIRECT,
            **({"routerID": router_id} if router_id else {}),
        }
        self.store.deliver(
            DEVICE, "MODIFIED", {"metadata": meta, "spec": spec, **more}
        )

    def gone(self, name: str) -> None:
        self.version += 1
        meta = {
            "name": name,
            "namespace": "ns",
            "uid": f"ns/{name}",
            "resourceVersion": str(self.version),
        }
        self.store.deliver(DEVICE, "DELETED", {"metadata": meta})

    def names(self, name: str, namespace: str = "ns") -> str | None:
        """The message of a Device's trouble."""
        stored = self.store.get(DEVICE, namespace, name)
        device = stored.read(Device) if stored else None
        assert device is not None
        trouble = self.ids.trouble(device)
        assert trouble is None or trouble.reason == DUPLICATE_ROUTER_ID
        return trouble.message if trouble else None


@pytest.fixture
def devices() -> Devices:
    return Devices()


def test_the_younger_of_two_names_the_older_in_any_case_of_letters(
    devices: Devices,
) -> None:
    devices.put("young", "r1", born=2)
    devices.put("old", "R1", born=1)
    devices.put("other", "R2", born=0)
    assert devices.names("old") is None
    assert devices.names("other") is None
    said = devices.names("young")
    assert said is not None
    assert "Device old " in said
    assert "'R1'" in said
    assert "spec.routerID" in said


def test_it_is_the_one_that_the_bridge_gives_no_order(
    devices: Devices,
) -> None:
    sessions = Sessions(None, devices.store, "ns")  # type: ignore[arg-type]
    for name, router_id, born in (
        ("b", "STRASSE", 3),
        ("a", "Straße", 3),
        ("strasse", None, 4),
    ):
        devices.put(name, router_id, born=born)
    found = sessions.device("strasse")
    assert found is not None
    assert (
        [name for name in ("a", "b", "strasse") if devices.names(name) is None]
        == [found.name]
        == ["a"]
    )


def test_a_name_counts_where_there_is_no_router_id_and_namespaces_are_apart(
    devices: Devices,
) -> None:
    devices.put("r1", born=1)
    devices.put("x", "R1", born=2)
    devices.put("r1", born=3, namespace="another")
    assert devices.names("x") is not None
    assert devices.names("r1", "another") is None


def test_a_change_concerns_those_with_the_identifier_of_before_and_of_now(
    devices: Devices,
) -> None:
    for number in range(100):
        devices.put(f"r{number}")
    devices.put("old", "A", born=1)
    devices.put("young", "a", born=2)
    devices.concerned.clear()
    devices.put("old", "A", born=1, status={"identity": "seen"})
    assert devices.concerned == set(), "a status bears on nobody"
    devices.put("old", "R7", born=1)
    assert devices.concerned == {"young", "r7"}
    assert devices.names("young") is None
    devices.gone("young")
    devices.concerned.clear()
    devices.gone("old")
    assert devices.concerned == {"r7"}


def test_an_agent_leaves_it_standing_and_speaks_again_once_it_is_taken_back(
    devices: Devices,
) -> None:
    changes: list[Change] = []
    devices.store.subscribe(changes.append)
    devices.put("d")
    devices.put(
        "d", status={"conditions": [ready("False", DUPLICATE_ROUTER_ID)]}
    )
    device = changes[-1].new.read(Device) if changes[-1].new else None
    assert device is not None
    status = device_status(
        device,
        DeviceFindings(reachable=True, authenticated=True, settled=True),
        NOW,
    )
    assert {one["type"] for one in status["conditions"]} == {
        "Reachable",
        "Authenticated",
        "Configured",
    }
    devices.put("d", status={"conditions": [ready("Unknown", "NotLookedYet")]})
    devices.put("d", status={"conditions": [ready("True", "Equal")]})
    assert [
        wakes_device(change.old, change.new) for change in changes[1:]
    ] == [False, True, False]


async def test_it_is_said_and_taken_back_also_of_devices_without_a_hub() -> (
    None
):
    server = Server()
    for name, router_id in (("old", "R1"), ("young", "r1")):
        server.put("Device", name, spec={"api": DIRECT, "routerID": router_id})
    await server.settle()
    assert (server.ready("old"), server.ready("young")) == (
        None,
        DUPLICATE_ROUTER_ID,
    )
    assert server.events == [DUPLICATE_ROUTER_ID]
    server.put("Device", "old", spec={"api": DIRECT, "routerID": "R2"})
    await server.settle()
    assert server.ready("young") is None
    server.put("Device", "old", spec={"api": DIRECT, "routerID": "R1"})
    await server.settle()
    assert server.ready("young") == DUPLICATE_ROUTER_ID
    server.gone("Device", "old")
    await server.settle()
    assert server.ready("young") is None
    server.writes.clear()
    server.peers.begin()
    await server.settle()
    assert server.writes == []
