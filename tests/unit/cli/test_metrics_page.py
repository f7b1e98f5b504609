"""The page of metrics keeps up with the registries, and they with the old relays' names and labels."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from cerebro.cli import metrics_page
from cerebro.cli.metrics_page import Row, main, render, tables

ROOT = Path(__file__).resolve().parents[3]

OLD_LABELS = {
    "relay_authorization_duration_seconds": {"router_id", "status"},
    "relay_authorization_total": {"router_id", "status"},
    "relay_active_sessions": {"router_id"},
    "relay_sessions_cleaned_total": {"router_id", "result"},
    "relay_mikrotik_command_duration_seconds": {
        "router_id",
        "command",
        "status",
    },
    "relay_circuit_breaker_state": {"router_id"},
    "relay_job_duration_seconds": {"job_name", "status"},
    "relay_http_request_duration_seconds": {"method", "route", "status_code"},
    "relay_http_requests_total": {"method", "route", "status_code"},
    "relay_redis_operation_duration_seconds": {"operation", "status"},
}
"""The labelled metrics of the later of the two old relays that have a source today."""

OLD_KEYS = {
    "action": "attempt success fail latency_ms_total",
    "action.AUTHORIZE_BY_PEDIDO": "attempt success fail latency_ms_total",
    "action.RESYNC_DEVICE": "attempt success fail latency_ms_total",
    "action.REVOKE_SESSION": "attempt success fail latency_ms_total",
    "audit": "attempt success fail",
    "events": "invalid rejected_circuit rejected_peer_offline unknown_type error",
    "trial": "granted failed",
    "release": "granted failed",
    "revoke": "done failed",
    "payment": "confirmed",
    "consumer": "http_fetch_ok http_fetch_error http_error http_parse_error missing_hmac hmac_mismatch hmac_error "
    "invalid_event process_error ack_sent ack_error",
    "job": "revoke_success revoke_failed revoke_giveup authorize_success authorize_rescheduled authorize_failed",
    "reconciler": "added add_error removed remove_error extra_peer peer_offline missing_binding desired_no_binding "
    "binding_created binding_error bindings_error status_error",
    "jobs": "total due pending oldest_run_at",
    "processed": "events_total",
    "router.routerID": "action.attempt action.success action.fail latency_ms_total",
    "relay.p0": "authorize_attempt_total authorize_success_total authorize_pending_total authorize_failed_total",
    "relay.router_health_state": "MISCONFIGURED AUTH_FAILED DEGRADED DOWN_TRANSIENT",
    "relay.error_class": "transient_MIKROTIK_TIMEOUT auth_MIKROTIK_AUTH_FAILED setup_router_not_resolved",
}
"""The counters of the earlier one."""


def rows() -> dict[str, Row]:
    return {row.name: row for part in tables().values() for row in part}


def test_the_page_is_what_the_processes_count() -> None:
    assert (ROOT / "docs/metrics.md").read_text("utf-8") == render()


def test_every_metric_of_the_common_registry_is_on_it() -> None:
    tables()
    named = {
        name
        for names in REGISTRY._collector_to_names.values()
        for name in names[:1]
        if not name.startswith(("process_", "python_"))
    }
    page = render()
    assert len(named) > 30
    assert [name for name in named if f"`{name}" not in page] == []


@pytest.mark.parametrize("name", OLD_LABELS)
def test_a_labelled_metric_of_the_old_relay_has_its_labels(name: str) -> None:
    assert set(rows()[name].labels) - {"service"} == OLD_LABELS[name]


def test_each_counter_of_the_old_relay_is_there_or_said_to_be_gone() -> None:
    page = render()
    for group, parts in OLD_KEYS.items():
        for part in parts.split():
            name = f"relay_{group}_{part}".replace(".", "_")
            assert f"`{name}`" in page, name
    assert "`relay_job_lock_skipped_total`" in page


def test_the_check_fails_when_the_page_differs(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = tmp_path / "metrics.md"
    monkeypatch.setattr(metrics_page, "PAGE", page)
    assert main(["--check"]) == 1
    assert "python -m cerebro.cli.metrics_page" in capsys.readouterr().err
    assert main([]) == 0
    assert main(["--check"]) == 0
    page.write_text(page.read_text("utf-8") + "more", "utf-8")
    assert main(["--check"]) == 1
