"""The bridge's metrics as they are rendered: the old relay's names, labels and bounds. No I/O."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cerebro.bridge.metrics import (
    AUTHORIZE,
    REVOKE,
    Metrics,
    StoreFigures,
    WatchedObjects,
)
from cerebro.kube.cache.store import Store
from cerebro.resources import DEVICE
from support.metrics import NAMESPACE, device_body

FIGURES = StoreFigures(due=2, pending=3, oldest=1_767_355_200_000, events=7)


def lines(metrics: Metrics, beginning: str) -> list[str]:
    return [
        line
        for line in metrics.text(FIGURES).splitlines()
        if line.startswith(beginning)
    ]


def test_an_action_is_counted_under_all_of_its_old_names() -> None:
    metrics = Metrics()
    metrics.action(AUTHORIZE, True, 120.4, "R1")
    metrics.action(REVOKE, False, 30, None)
    metrics.authorized("R1", True, 0.12)
    metrics.authorized(None, True, 0.12)
    text = metrics.text(FIGURES)
    for line in (
        "relay_action_attempt 2",
        "relay_action_success 1",
        "relay_action_fail 1",
        "relay_action_latency_ms_total 150",
        "relay_action_AUTHORIZE_BY_PEDIDO_attempt 1",
        "relay_action_AUTHORIZE_BY_PEDIDO_success 1",
        "relay_action_AUTHORIZE_BY_PEDIDO_fail 0",
        "relay_action_AUTHORIZE_BY_PEDIDO_latency_ms_total 120",
        "relay_action_REVOKE_SESSION_fail 1",
        "relay_action_RESYNC_DEVICE_attempt 0",
        "relay_audit_attempt 2",
        "relay_audit_success 1",
        "relay_audit_fail 1",
    ):
        assert f"\n{line}\n" in text
    assert lines(metrics, "relay_router_") == [
        "relay_router_R1_action_attempt 1",
        "relay_router_R1_action_fail 0",
        "relay_router_R1_action_success 1",
        "relay_router_R1_latency_ms_total 120",
    ]
    labels = '{router_id="R1",service="relay-cerebro",status="success"}'
    assert f"\nrelay_authorization_total{labels} 1.0\n" in text
    assert f"\nrelay_authorization_duration_seconds_count{labels} 1.0" in text


def test_keys_become_names_as_the_old_relay_wrote_them() -> None:
    metrics = Metrics()
    metrics.count("consumer.ack_sent")
    metrics.count("relay.p0_authorize_attempt_total")
    metrics.identity_error("router_timeout", is_down=False)
    metrics.identity_error("router_unavailable", is_down=True)
    metrics.identity_error("MIKROTIK_AUTH_FAILED", is_down=False)
    metrics.identity_error("no_pending_payment", is_down=False)
    text = metrics.text(FIGURES)
    for line in (
        "relay_consumer_ack_sent 1",
        "relay_relay_p0_authorize_attempt_total 1",
        "relay_relay_error_class_transient_MIKROTIK_TIMEOUT 1",
        "relay_relay_error_class_transient_MIKROTIK_UNREACHABLE 1",
        "relay_relay_error_class_auth_MIKROTIK_AUTH_FAILED 1",
        "relay_relay_router_health_state_DEGRADED 1",
        "relay_relay_router_health_state_DOWN_TRANSIENT 1",
        "relay_relay_router_health_state_AUTH_FAILED 1",
        "relay_relay_router_health_state_MISCONFIGURED 0",
    ):
        assert f"\n{line}\n" in text
    with pytest.raises(KeyError):
        metrics.count("consumer.made_up")


def test_what_the_store_has_is_shown_and_missing_while_it_is_away() -> None:
    metrics = Metrics()
    assert lines(metrics, "relay_jobs_") == [
        "relay_jobs_total 5",
        "relay_jobs_due 2",
        "relay_jobs_pending 3",
        "relay_jobs_oldest_run_at 1767355200000",
    ]
    assert lines(metrics, "relay_processed_events_total") == [
        "relay_processed_events_total 7"
    ]
    assert 'relay_store_up{service="relay-cerebro"} 1.0' in metrics.text(
        FIGURES
    )
    away = metrics.text(None)
    assert 'relay_store_up{service="relay-cerebro"} 0.0' in away
    assert "relay_jobs_" not in away
    assert "relay_processed_events_total" not in away
    assert "relay_action_attempt 0" in away


def test_a_router_goes_with_its_device() -> None:
    metrics, store = Metrics(), Store()
    metrics.watch(WatchedObjects(store, NAMESPACE))
    for name, router_id in (("a", "R1"), ("b", "R2"), ("c", "R2")):
        store.deliver(DEVICE, "ADDED", device_body(name, router_id))
        metrics.action(AUTHORIZE, True, 1, router_id)
        metrics.authorized(router_id, True, 0.1)
    store.deliver(DEVICE, "DELETED", device_body("a", "R1", version=2))
    store.deliver(DEVICE, "DELETED", device_body("b", "R2", version=2))
    text = metrics.text(FIGURES)
    assert "R1" not in text
    assert "relay_router_R2_action_attempt 2" in text, "c has that id still"
    store.deliver(DEVICE, "MODIFIED", device_body("c", "R3", version=2))
    assert "R2" not in metrics.text(FIGURES)
    metrics.authorized("R2", True, 0.1)
    count = 'relay_authorization_total{router_id="R2",service="relay-cerebro",status="success"} 1.0'
    assert count in metrics.text(FIGURES), "it begins anew"


def test_two_routers_with_one_name_in_the_end_are_one_line() -> None:
    metrics = Metrics()
    metrics.action(AUTHORIZE, True, 1, "loja-1")
    metrics.action(AUTHORIZE, False, 2, "loja_1")
    assert lines(metrics, "relay_router_loja") == [
        "relay_router_loja_1_action_attempt 2",
        "relay_router_loja_1_action_fail 1",
        "relay_router_loja_1_action_success 1",
        "relay_router_loja_1_latency_ms_total 3",
    ]


def test_recurring_work_and_calls_to_redis_are_measured() -> None:
    metrics = Metrics()
    with metrics.job("prune"):
        pass
    with pytest.raises(OSError, match="away"), metrics.job("poll"):
        raise OSError("away")
    metrics.store_called("run", 0.002, True)
    metrics.store_called("read", 2.0, False)
    text = metrics.text(FIGURES)
    for name, labels in (
        ("job", 'job_name="prune",service="relay-cerebro",status="success"'),
        ("job", 'job_name="poll",service="relay-cerebro",status="failure"'),
        (
            "redis_operation",
            'operation="run",service="relay-cerebro",status="success"',
        ),
        (
            "redis_operation",
            'operation="read",service="relay-cerebro",status="failure"',
        ),
    ):
        count = f"relay_{name}_duration_seconds_count{{{labels}}} 1.0"
        assert count in text


async def test_the_page_is_prometheus_text_without_a_line_that_comes_twice() -> (
    None
):
    metrics = Metrics()
    for number in range(300):
        metrics.action(AUTHORIZE, True, 1, f"R{number}")
        metrics.authorized(f"R{number}", True, 0.1)
    metrics.requests.labels("GET", "/metrics", "200").inc()
    page = await metrics.page(FIGURES)
    samples = [
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    ]
    assert len(samples) == len(set(samples)) > 3000
    assert not any(name.endswith("_created") for name, _ in samples)
    assert metrics.text(FIGURES)[-500:] == page[-500:]
    names = {name for name, _ in samples}
    assert "process_cpu_seconds_total" in names, "as every process has it"
