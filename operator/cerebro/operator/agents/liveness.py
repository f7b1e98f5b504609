"""Which agents are lost, and what the objects that they owned report then
(rule E12). Pure.

The Leases of an agent show whether it lives. Their age is counted on our own
monotonic clock, from the last change that we saw: no other clock matters. An
outage of the API server does not count, as nobody can renew during it.

`controller` reads the Leases and writes what is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from cerebro.domain.conditions import ConditionState, shows
from cerebro.domain.leases import DIRECT_LEASE, NO_LEASE, agent_lease
from cerebro.domain.ready_owner import Owned
from cerebro.resources import Hub, find_condition
from cerebro.resources.reasons import AGENT_LOST


class Life(Enum):
    """What is known of an agent."""

    ALIVE = "alive"

    LOST = "lost"

    UNDECIDED = "undecided"
    """Watched for too short a time: what was written before stays."""


@dataclass
class _Observation:
    """What was seen of one Lease."""

    version: str | None
    """Its resourceVersion; None if it does not exist."""

    since: float
    """When this version was seen first, in monotonic seconds."""

    renewed: bool = False
    """Whether the Lease changed since it is watched."""


@dataclass
class LeaseAges:
    """The age of each Lease that is watched."""

    limit: float
    """Seconds without a change after which the agent of a Lease is lost."""

    _observed: dict[str, _Observation] = field(default_factory=dict)
    """By name of the Lease."""

    def look(self, versions: dict[str, str | None], now: float) -> None:
        """Record the Leases as they are now; others are forgotten.

        `versions` holds the resourceVersion of each watched Lease by its name,
        None for a Lease that does not exist.
        """
        observed: dict[str, _Observation] = {}
        for name, version in versions.items():
            before = self._observed.get(name)
            if before is None:
                observed[name] = _Observation(version, now)
            elif before.version != version:
                observed[name] = _Observation(
                    version, now, renewed=version is not None
                )
            else:
                observed[name] = before

        self._observed = observed

    def begin_anew(self, now: float) -> None:
        """Count all ages from now on: the API server is reached again after an
        outage.
        """
        self._observed = {
            name: _Observation(observation.version, now)
            for name, observation in self._observed.items()
        }

    def life(self, lease: str, now: float) -> Life:
        """Return what is known of the agent of a Lease."""
        observation = self._observed.get(lease)
        if observation is None:
            return Life.UNDECIDED

        if now - observation.since >= self.limit:
            return Life.LOST

        return Life.ALIVE if observation.renewed else Life.UNDECIDED


def lease_of(item: Owned, hubs: dict[tuple[str, str], Hub]) -> str | None:
    """Return the name of the Lease of the agent that owns an object; None if
    no agent is meant to own it.

    Devices without a Hub belong to the holder of `cerebro-direct`: without a
    holder nobody serves them, whichever agents live. An object with a Hub
    belongs to the agent of the node that carries the Hub. If that Hub does not
    exist, the Hub is missing and not an agent. `hubs` are the Hubs by
    namespace and name.
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


def lost_state(item: Owned, holder: str | None) -> ConditionState:
    """Return condition Ready of an object whose agent is lost. `holder` is the
    last holder of the Lease, if known.
    """
    message = _lost_message(item, holder)

    return ConditionState("Unknown", AGENT_LOST, message)


def _lost_message(item: Owned, holder: str | None) -> str:
    if holder:
        return f"the agent {holder} is silent: nothing is granted, ended or repaired here until it is back"

    ready = find_condition(item.status.conditions, "Ready")
    if ready is None:
        return "no agent has ever taken this up: is the agent's DaemonSet running on a node that may carry it?"

    if ready.reason == AGENT_LOST:
        return ready.message  # it may name the agent that is lost

    return "no agent carries this now: nothing is granted, ended or repaired here until one does"


def is_news(item: Owned, state: ConditionState) -> bool:
    """Return whether an object's Ready differs from the state; each write is
    an event to every watcher.
    """
    generation = item.metadata.generation

    return not shows(item.kind, item.status, {"Ready": state}, generation)
