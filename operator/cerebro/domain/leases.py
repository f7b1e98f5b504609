"""Names of the Leases by which processes agree who acts."""

from __future__ import annotations

DIRECT_LEASE = "cerebro-direct"


def agent_lease(node: str) -> str:
    """Return the name of the Lease by which an agent says that it lives (rule E12)."""
    return f"cerebro-agent-{node}"


def hub_lease(hub: str) -> str:
    """Return the name of the Lease of a Hub without a node, in the Hub's namespace."""
    return f"cerebro-hub-{hub}"


AGENT_LEASE_PREFIX = "cerebro-agent-"


NO_LEASE = ""
