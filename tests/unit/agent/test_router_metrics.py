"""The agent's metrics of each router: names, labels, and that they go with the Device. No I/O."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY, generate_latest

from cerebro.agent.router_metrics import RouterMetrics, order_outcome
from cerebro.kube.cache.store import Store
from cerebro.resources import (
    DEVICE,
    Session,
    SessionStatus,
    format_time,
)
from support.metrics import CREATED, NAMESPACE, device_body, session_body

BEGAN = datetime(2026, 1, 2, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def a_session(device: str = "a", **fields: Any) -> Session:
    return Session.model_validate(session_body("s", device, **fields))


def status(phase: str, **fields: Any) -> SessionStatus:
    return SessionStatus.model_validate({"phase": phase, **fields})


def lines(router_id: str) -> list[str]:
    """The lines of a router but for the buckets, sums and creation times."""
    text = generate_latest(REGISTRY).decode()
    return [
        line
        for line in text.splitlines()
        if f'router_id="{router_id}"' in line
        and not any(part in line for part in ("_bucket", "_sum", "_created"))
    ]


def test_what_is_done_on_a_router_is_counted_and_goes_with_its_device() -> (
    None
):
    store = Store()
    metrics = RouterMetrics(store)
    store.deliver(DEVICE, "ADDED", device_body("a", "RM1"))
    observe = metrics.observer(NAMESPACE, "a")
    observe("/ip/hotspot/ip-binding/add", 0.2, True)
    observe("/ip/hotspot/ip-binding/add", 0.2, False)
    observe("/system/script/run", 0.2, True)
    metrics.observer(NAMESPACE, "nobody")("/ping", 0.2, True)
    metrics.session_reported(a_session(), status("Active"), at(3))
    expired = status("Expired", finished=True)
    granted = {"phase": "Active", "authorizedAt": CREATED}
    metrics.session_reported(a_session(status=granted), expired, at(9))
    metrics.session_reported(a_session("nobody"), status("Active"), at(3))
    relay = 'router_id="RM1",service="relay-cerebro"'
    duration = "relay_mikrotik_command_duration_seconds_count"
    binding = f'command="/ip/hotspot/ip-binding/add",{relay}'
    order = 'outcome="granted",router_id="RM1"'
    assert sorted(lines("RM1")) == sorted(
        (
            f'{duration}{{{binding},status="success"}} 1.0',
            f'{duration}{{{binding},status="failure"}} 1.0',
            f'{duration}{{command="other",{relay},status="success"}} 1.0',
            f'relay_sessions_cleaned_total{{result="success",{relay}}} 1.0',
            f"cerebro_order_seconds_count{{{order}}} 1.0",
        )
    )
    # Another routerID is another router; a Device that is gone has none.
    store.deliver(DEVICE, "MODIFIED", device_body("a", "RM2", version=2))
    assert lines("RM1") == []
    observe("/ping", 0.2, True)
    assert len(lines("RM2")) == 1
    store.deliver(DEVICE, "ADDED", device_body("b", "RM2"))
    store.deliver(DEVICE, "DELETED", device_body("a", "RM2", version=3))
    assert len(lines("RM2")) == 1, "b has that id still"
    store.deliver(DEVICE, "DELETED", device_body("b", "RM2", version=2))
    assert lines("RM2") == []
    observe("/ping", 0.2, True)
    assert lines("RM2") == []


ASKED_ANEW = {
    "phase": "Revoked",
    "authorizedAt": format_time(at(5)),
    "observedGeneration": 0,
}


@pytest.mark.parametrize(
    ("before", "spec", "after", "outcome"),
    [
        ({}, {}, "Active", "granted"),
        ({"phase": "Pending"}, {}, "Active", "granted"),
        ({"phase": "Pending"}, {}, "Pending", None),
        ({"phase": "Pending"}, {}, "Failed", "failed"),
        ({"phase": "Pending"}, {}, "Expired", "expired"),
        ({}, {"revoked": True}, "Revoked", "revoked"),
        ({"phase": "Active"}, {}, "Active", None),
        ({"phase": "Active"}, {}, "Expired", None),
        # Paid once more after its end; and the same without a new request.
        (
            ASKED_ANEW,
            {"requestedAt": format_time(at(60))},
            "Active",
            "granted",
        ),
        (ASKED_ANEW, {}, "Active", None),
    ],
)
def test_an_order_has_one_outcome(
    before: dict[str, Any],
    spec: dict[str, Any],
    after: str,
    outcome: str | None,
) -> None:
    session = a_session(status=before, **spec)
    assert order_outcome(session, status(after)) == outcome
