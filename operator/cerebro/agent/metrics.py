"""Metrics of the agent. Definitions, and the few words by which the loops say what they did."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_RECONCILES = Counter("controller_runtime_reconcile_total", "Passes of a loop by controller.", ["controller"])
_RECONCILE_TIME = Histogram(
    "controller_runtime_reconcile_time_seconds",
    "Duration of a pass by controller.",
    ["controller"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120),
)
_GRANT_TIME = Histogram(
    "cerebro_session_grant_seconds",
    "From the creation of a Session until its entries were seen on the router.",
    buckets=(0.05, 0.1, 0.2, 0.5, 1, 2, 4, 10, 30, 60, 300, 3600),
)
router_errors = Counter(
    "cerebro_router_errors_total", "Failed tries to reach or use a router by reason.", ["reason"]
)
devices = Gauge("cerebro_device_loops", "Devices that this agent has a loop for.")
statuses_waiting = Gauge("cerebro_statuses_waiting", "Statuses that wait for the API server.")
contested = Counter(
    "cerebro_contested_rows_total", "Times a client's rows were found to be contested (rule B10)."
)


def reconciled(controller: str, seconds: float) -> None:
    """Count one pass of a loop."""
    _RECONCILES.labels(controller).inc()
    _RECONCILE_TIME.labels(controller).observe(seconds)


def granted(seconds: float) -> None:
    """Count a Session whose entries came on the router that long after its creation."""
    _GRANT_TIME.observe(max(0.0, seconds))
