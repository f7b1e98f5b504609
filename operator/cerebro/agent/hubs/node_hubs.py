"""The Hubs of one node, and which of them is in the way of another."""

from __future__ import annotations

from cerebro.agent.context import AgentContext
from cerebro.agent.hubs.conflict import conflict
from cerebro.domain.conditions import Obstacle
from cerebro.resources import HUB, Hub


class NodeHubs:
    """Reads them out of the Store, anew at each call."""

    def __init__(self, context: AgentContext, node: str) -> None:
        self._context = context
        self._node = node

    def all(self) -> list[Hub]:
        """Return the Hubs that are this node's by their spec, by their status,
        or because this agent owns them.
        """
        hubs = self._context.store.models(HUB, Hub)

        return [hub for hub in hubs if self._is_here(hub)]

    def conflict(self, hub: Hub) -> Obstacle | None:
        """Return what another Hub of the node has that this one wants; None if
        nothing is in the way.
        """
        hubs = self.all()
        carries = self._context.tunnels.carries
        carried = {
            other.metadata.uid
            for other in hubs
            if carries(other.namespace, other.name)
        }

        return conflict(hub, hubs, carried)

    def _is_here(self, hub: Hub) -> bool:
        if self._node in (hub.spec.node_name, hub.status.node_name):
            return True

        return self._context.tunnels.owns(hub.namespace, hub.name)
