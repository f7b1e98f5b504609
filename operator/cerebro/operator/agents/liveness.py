"""Which agents are lost, and what is said of the objects that they owned (rule E12). Pure.

An agent's life is seen in its Leases. Their age is counted on our own monotonic clock from the last change
that we saw, so no clock but ours matters; an outage of the API server, during which nobody can renew, does
not count. `operator_agents` reads the Leases and writes what is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from cerebro.domain.conditions import ConditionState, make_condition
from cerebro.domain.leases import DIRECT_LEASE, NO_LEASE, agent_lease
from cerebro.domain.ready_owner import Owned
from cerebro.resources import Condition, Hub, find_condition
from cerebro.resources.reasons import AGENT_LOST


class Life(Enum):
    """What is known of an agent."""

    ALIVE = "alive"
    LOST = "lost"
    UNDECIDED = "undecided"
    """Seen for too short a time to say either; what was said before stays."""


@dataclass
class _Seen:
    version: str | None
    since: float
    moved: bool = False


@dataclass
class LeaseAges:
    """The age of each Lease that we look at; as large as their number."""

    limit: float
    """Seconds without a change after which its agent is lost."""
    _seen: dict[str, _Seen] = field(default_factory=dict)

    def look(self, versions: dict[str, str | None], now: float) -> None:
        """Look at all Leases of interest: name to resourceVersion, None for one that does not exist."""
        seen: dict[str, _Seen] = {}
        for name, version in versions.items():
            before = self._seen.get(name)
            if before is None:
                seen[name] = _Seen(version, now)
            elif before.version != version:
                seen[name] = _Seen(version, now, moved=version is not None)
            else:
                seen[name] = before
        self._seen = seen

    def begin_anew(self, now: float) -> None:
        """Count all ages from now: the API server has been reached again."""
        self._seen = {name: _Seen(seen.version, now) for name, seen in self._seen.items()}

    def life(self, lease: str, now: float) -> Life:
        """Judge the agent behind a Lease."""
        seen = self._seen.get(lease)
        if seen is None:
            return Life.UNDECIDED
        if now - seen.since >= self.limit:
            return Life.LOST
        return Life.ALIVE if seen.moved else Life.UNDECIDED


def lease_of(item: Owned, hubs: dict[tuple[str, str], Hub]) -> str | None:
    """Name the Lease that shows the life of the agent that owns an object; None: no agent is meant to.

    Devices without a Hub belong to whoever holds `cerebro-direct`: without a holder nobody serves them,
    whichever agents are alive. What has a Hub belongs to the agent of the node that carries it; without the
    Hub it is the Hub that is missing and not an agent.
    """
    hub: Hub | None
    if isinstance(item, Hub):
        hub = item
    elif item.spec.hub_ref is None:
        return DIRECT_LEASE
    else:
        hub = hubs.get((item.namespace, item.spec.hub_ref.name))
    if hub is None:
        return None
    node = hub.status.node_name or hub.spec.node_name
    return agent_lease(node) if node else NO_LEASE


def lost_condition(item: Owned, holder: str | None) -> Condition:
    """Give Ready of an object whose agent is lost; `holder` is who had the Lease last, if known."""
    known = find_condition(item.status.conditions, "Ready")
    if holder:
        message = f"the agent {holder} is silent: nothing is granted, ended or repaired here until it is back"
    else:
        message = (
            "no agent has ever taken this up: is the agent's DaemonSet running on a node that may carry it?"
        )
        if known is not None and known.reason != AGENT_LOST:
            message = "no agent carries this now: nothing is granted, ended or repaired here until one does"
        elif known is not None:
            message = known.message
    state = ConditionState("Unknown", AGENT_LOST, message)
    return make_condition("Ready", state, item.metadata.generation, limit=None)


def must_say(item: Owned, condition: Condition) -> bool:
    """Tell whether the condition is news; each write comes back as an event to every watcher."""
    ready = find_condition(item.status.conditions, "Ready")
    if ready is None:
        return True
    old = (ready.status, ready.reason, ready.message, ready.observed_generation)
    return old != (condition.status, condition.reason, condition.message, condition.observed_generation)
