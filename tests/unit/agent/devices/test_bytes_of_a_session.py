"""How much memory the agent's own store holds for a Session: counted, as it does not depend on the machine."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

from cerebro.kube.cache.references import device_of, superseded_by
from cerebro.kube.cache.store import Store
from cerebro.resources import API_GROUP, API_VERSION, SESSION

SESSIONS = 500
KILOBYTES = 12.0
"""What the agent may need for a Session in all."""


def manifest(number: int) -> dict[str, Any]:
    """Return a live Session in the form of the API, with what its maker and the API server write into it."""
    mac, ip = f"AA:00:00:00:{number // 256:02X}:{number % 256:02X}", "10.5.0.1"
    moment = "2026-11-29T09:50:07.378067Z"
    words = "the client's entries are on the router"
    conditions = [
        {
            "type": name,
            "status": "True",
            "reason": "Granted",
            "message": f"{words}"[: len(words)],
            "observedGeneration": 1,
            "lastTransitionTime": f"{moment}",
        }
        for name in ("Enforced", "Ready")
    ]
    managed: list[dict[str, Any]] = [
        {
            "manager": manager,
            "operation": "Update",
            "apiVersion": f"{API_GROUP}/{API_VERSION}",
            "time": moment,
            "fieldsType": "FieldsV1",
            "fieldsV1": {f"f:{name}": {} for name in ("spec", "status")},
        }
        for manager in ("cerebro-bridge", "cerebro-agent")
    ]
    return {
        "apiVersion": f"{API_GROUP}/{API_VERSION}",
        "kind": "Session",
        "metadata": {
            "name": f"router-{number}",
            "namespace": "cerebro",
            "uid": f"4f9a-{number}",
            "resourceVersion": str(number + 1),
            "generation": 1,
            "creationTimestamp": "2026-11-29T09:50:06Z",
            "annotations": {"relay.cerebro.dev/trace-id": f"trace-{number}"},
            "labels": {"relay.cerebro.dev/device": "router"},
            "managedFields": managed,
        },
        "spec": {
            "deviceRef": {"name": "router"},
            "client": {"macAddress": mac, "ipAddress": ip},
            "orderID": f"order-{number}",
            "type": "Paid",
            "revoked": False,
            "requestedAt": moment,
            "grantBefore": "2026-11-30T09:50:07.378067Z",
            "ttlAfterFinished": "24h",
        },
        "status": {
            "phase": "Active",
            "authorizedAt": moment,
            "observedGeneration": 1,
            "applied": {"macAddress": mac, "ipAddress": ip},
            "conditions": conditions,
        },
    }


def held_after(store: Store, sessions: range) -> int:
    """Return the bytes that the store holds more after these Sessions were delivered."""
    gc.collect()
    tracemalloc.start()
    try:
        for number in sessions:
            store.deliver(SESSION, "ADDED", manifest(number))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_the_store_holds_few_bytes_of_a_session() -> None:
    store = Store()
    store.add_index(SESSION, device_of)
    store.add_index(SESSION, superseded_by)
    store.deliver(SESSION, "ADDED", manifest(0))

    each = held_after(store, range(1, SESSIONS + 1)) / SESSIONS / 1024

    assert len(list(store.all(SESSION, "cerebro"))) == SESSIONS + 1
    assert each < KILOBYTES, f"{each:.1f} KB a Session"
