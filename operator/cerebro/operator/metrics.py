"""Metrics of the operator, by what a person would alert on. Nothing but their
definitions.

Whether it holds its Lease and whether its store is complete is in
`cerebro.runtime.metrics`.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge

ERRORS = Counter(
    "cerebro_operator_errors_total",
    "Passes that failed and are tried again, by the work they do.",
    ["work"],
)
LAST_PASS = Gauge(
    "cerebro_operator_last_pass_timestamp_seconds",
    "When a pass last succeeded, by the work it does.",
    ["work"],
)
DELETED = Counter(
    "cerebro_operator_finished_deleted_total",
    "Finished objects deleted after their ttl.",
)
REOPENED = Counter(
    "cerebro_operator_sessions_reopened_total",
    "Finished Sessions opened again after a change.",
)
ORPHANS = Gauge(
    "cerebro_operator_orphans",
    "Unfinished objects that have no Device, by kind, at the last search.",
    ["kind"],
)
LOST_AGENTS = Gauge(
    "cerebro_operator_agents_lost",
    "Leases of agents that are too old, missing ones included.",
)
LOST_OBJECTS = Gauge(
    "cerebro_operator_agent_lost_objects",
    "Objects whose agent is lost, by kind.",
    ["kind"],
)
LOST_SESSIONS = Gauge(
    "cerebro_operator_agent_lost_sessions",
    "Unfinished Sessions on a Device whose agent is lost.",
)
TUNNEL_TROUBLES = Gauge(
    "cerebro_operator_devices_without_tunnel",
    "Devices that get no tunnel address or no Peer, by reason.",
    ["reason"],
)
DUPLICATE_ROUTER_IDS = Gauge(
    "cerebro_operator_devices_with_duplicate_router_id",
    "Devices that get no order, as an older one has their routerID.",
)
POOL_FREE = Gauge(
    "cerebro_operator_pool_free_addresses",
    "Addresses of a Hub that nobody holds.",
    ["namespace", "hub"],
)
FINALIZERS_FORCED = Counter(
    "cerebro_operator_finalizers_forced_total",
    "Objects let go without their agent's word, by kind and why.",
    ["kind", "why"],
)
