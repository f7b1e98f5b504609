"""Metrics that every process has. Definitions only: imports nothing of ours;
who does the work sets them.

Where client-go or controller-runtime has a name for a thing it is used, so
that known dashboards and alerts carry over. What only one process has is
defined beside its work. No label takes a value that grows with the number of
objects, and none takes a secret.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

REST_REQUESTS = Counter(
    "rest_client_requests_total",
    "Requests to the API server by HTTP status (`<error>` without an answer) and method.",
    ["code", "method"],
)
KUBERNETES_EVENTS = Counter(
    "cerebro_kubernetes_events_total",
    "Kubernetes Events by what became of them: posted, repeated, limited, queue_full, failed.",
    ["result"],
)
REST_DURATION = Histogram(
    "rest_client_request_duration_seconds",
    "Duration of requests to the API server by method, body included.",
    ["verb"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60),
)
CLOCK_SKEW = Gauge(
    "cerebro_clock_skew_seconds",
    "Our clock minus the API server's, at its last answer (rule A9).",
)
STORE_OBJECTS = Gauge(
    "cerebro_store_objects", "Objects in the store by kind.", ["kind"]
)
STORE_INVALID = Gauge(
    "cerebro_store_invalid_objects",
    "Objects in the store that our models cannot read (rule B9).",
    ["kind"],
)
STORE_COMPLETE = Gauge(
    "cerebro_store_complete",
    "1 while the store is known to hold all the API server has (rule E7).",
    ["kind", "namespace"],
)
STORE_DROPPED = Counter(
    "cerebro_store_dropped_total",
    "Objects whose deletion only the comparison showed (rule E7).",
    ["kind"],
)
DELETIONS_HELD = Counter(
    "cerebro_deletions_held_total",
    "Deletions not believed, because the CRD or namespace was going (rule E13).",
    ["kind"],
)
WATCHER_RESTARTS = Counter(
    "cerebro_watcher_restarts_total", "Times kopf ended and was started again."
)
WATCHER_RELISTS = Counter(
    "cerebro_watcher_relists_total",
    "Lists that a watcher handed over.",
    ["kind"],
)
LEASE_HELD = Gauge(
    "cerebro_lease_held",
    "1 while this process holds the Lease, 0 while it waits for it.",
    ["name"],
)
EVENT_LOOP_HELD = Histogram(
    "cerebro_event_loop_held_seconds",
    "How long work held the event loop while a look at it was due, fifty looks a second.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
EVENT_LOOP_LAG = Gauge(
    "cerebro_event_loop_lag_seconds",
    "How late the event loop came to a task, worst of the last minute.",
)
