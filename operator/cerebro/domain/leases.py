"""Names of the Leases by which the processes agree who acts (rule E1). Every
Lease name stands here once.
"""

from __future__ import annotations

OPERATOR_LEASE = "cerebro-operator"
"""Its holder is the one operator that works."""

DIRECT_LEASE = "cerebro-direct"
"""Its holder is the one agent that serves the Devices without a Hub."""

POLLER_LEASE = "cerebro-bridge-poller"
"""Its holder is the one bridge that takes the backend's events and sends ACKs."""

RECORDER_LEASE = "cerebro-bridge-recorder"
"""Its holder is the one bridge that records access."""

NO_LEASE = ""
"""Stands for the Lease of a Hub that no agent ever carried."""

_AGENT_PREFIX = "cerebro-agent-"


def agent_lease(node: str) -> str:
    """Return the name of the Lease that the agent of a node renews while it
    lives (rule E12).
    """
    return f"{_AGENT_PREFIX}{node}"


def node_of_agent_lease(lease: str) -> str:
    """Return the node in the name of an agent's Lease, "" for any other Lease."""
    return (
        lease.removeprefix(_AGENT_PREFIX)
        if lease.startswith(_AGENT_PREFIX)
        else ""
    )


def hub_lease(hub: str) -> str:
    """Return the name of the Lease of a Hub without a node; it lies in the
    Hub's namespace (rule E4).
    """
    return f"cerebro-hub-{hub}"
