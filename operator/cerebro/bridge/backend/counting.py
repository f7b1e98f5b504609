"""Counts what became of events, under the names of the old relay."""

from __future__ import annotations

from cerebro.bridge.backend.outcomes import Outcome
from cerebro.bridge.metrics import AUTHORIZE, REVOKE, Metrics
from cerebro.bridge.requests.events import KINDS


def count_outcome(
    metrics: Metrics,
    kind: str,
    outcome: Outcome,
    *,
    router_id: str | None,
    took_ms: int,
) -> None:
    """Count an outcome as that of an event of this kind, and as an action,
    unless the event was refused before it.

    `router_id` is that of a Device, None if none has it; `took_ms` is from
    when the event was taken.
    """
    counter = KINDS[kind]
    granted = "done" if counter == "revoke" else "granted"
    metrics.count(f"{counter}.{granted if outcome.ok else 'failed'}")

    if outcome.reason == "peer_offline":
        metrics.count("events.rejected_peer_offline")
        return

    if outcome.reason == "internal_error":
        metrics.count("events.error")

    if counter == "revoke":
        metrics.action(REVOKE, outcome.ok, took_ms, router_id)
        return

    metrics.action(AUTHORIZE, outcome.ok, took_ms, router_id)
    metrics.authorized(router_id, outcome.ok, took_ms / 1000)
