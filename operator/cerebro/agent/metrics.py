"""Metrics of the agent: their definitions, and the calls by which its loops
count what they did.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from prometheus_client import Counter, Gauge, Histogram

from cerebro.agent.reconciler_metrics import RECONCILER

_RECONCILES = Counter(
    "controller_runtime_reconcile_total",
    "Passes of a loop by controller.",
    ["controller"],
)
_RECONCILE_TIME = Histogram(
    "controller_runtime_reconcile_time_seconds",
    "Duration of a pass by controller.",
    ["controller"],
    buckets=(
        0.005,
        0.01,
        0.025,
        0.05,
        0.1,
        0.25,
        0.5,
        1,
        2,
        4,
        8,
        15,
        30,
        60,
        120,
    ),
)
_GRANT_TIME = Histogram(
    "cerebro_session_grant_seconds",
    "From the creation of a Session until its entries were seen on the router.",
    buckets=(0.05, 0.1, 0.2, 0.5, 1, 2, 4, 10, 30, 60, 300, 3600),
)
_ROUTER_ERRORS = Counter(
    "cerebro_router_errors_total",
    "Failed tries to reach or use a router by reason.",
    ["reason"],
)
_DEVICES = Gauge(
    "cerebro_device_loops", "Devices that this agent has a loop for."
)
_STATUSES_WAITING = Gauge(
    "cerebro_statuses_waiting", "Statuses that wait for the API server."
)
_CONTESTED = Counter(
    "cerebro_contested_rows_total",
    "Times a client's rows were found to be contested (rule B10).",
)
_DRIFT = Counter(
    "cerebro_drift_total",
    "What had been as wanted on a router and was not any more; it is put right at once, unless it is contested.",
    ["part"],
)
_Part = Literal["access", "configuration"]
_DRIFT_OF = {part: _DRIFT.labels(part) for part in get_args(_Part)}
"""Both are shown from the start, so that the first one counts too."""


class AgentMetrics:
    """Counts what the loops of an agent did. The numbers are the process's,
    whichever object counts.
    """

    def reconciled(self, controller: str, seconds: float) -> None:
        """Count one pass of a loop, which took `seconds`; `controller` is
        `hub` or `device`.
        """
        _RECONCILES.labels(controller).inc()
        _RECONCILE_TIME.labels(controller).observe(seconds)

    def granted(self, seconds: float) -> None:
        """Count a Session whose entries came on the router `seconds` after its
        creation.
        """
        _GRANT_TIME.observe(max(0.0, seconds))

    def peers_changed(self, changes: Mapping[str, int]) -> None:
        """Count changes of peers on an interface: `added`, `add_error`,
        `removed`, `remove_error`.
        """
        RECONCILER.add(changes)

    def router_failed(self, reason: str) -> None:
        """Count a failed try to reach or use a router; `reason` is that of the
        condition.
        """
        _ROUTER_ERRORS.labels(reason).inc()

    def found_contested(self, clients: int) -> None:
        """Count clients whose rows were found to be contested (rule B10)."""
        _CONTESTED.inc(clients)

    def drifted(self, part: _Part, number: int) -> None:
        """Count clients whose access, or rows of the configuration, somebody
        else has changed on a router.
        """
        _DRIFT_OF[part].inc(number)

    def show_loops(self, devices: int) -> None:
        """Show the number of Devices that have a loop."""
        _DEVICES.set(devices)

    def show_statuses_waiting(self, statuses: int) -> None:
        """Show the number of statuses that wait for the API server."""
        _STATUSES_WAITING.set(statuses)
