"""Writes the status of one Hub when its meaning changed, and remembers what
was written.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from cerebro.agent.context import FIELD_MANAGER, AgentContext
from cerebro.agent.hubs.status import HubFindings, hub_status
from cerebro.agent.hubs.story import HubStory
from cerebro.domain.conditions import same_meaning
from cerebro.kube.status_writer import Write
from cerebro.resources import HUB, Hub

_ROUND_TRIP = 10.0
"""Seconds in which a written status comes back by the watch."""


class HubReporter:
    """The status of one Hub that this node carries, or tries to."""

    def __init__(self, context: AgentContext, node: str) -> None:
        self._context = context
        self._node = node
        self.story = HubStory(context.recorder, node)
        self._written: dict[str, Any] = {}
        self._written_at = 0.0

    def report(self, hub: Hub, findings: HubFindings) -> None:
        """Hand the status to the writer, unless the Store shows it or it is on
        its way.
        """

        status = hub_status(hub, findings, self._node, datetime.now(UTC))
        now = time.monotonic()
        on_its_way = now - self._written_at < _ROUND_TRIP
        if same_meaning(self._written, status) and (
            on_its_way or _shown(hub, status)
        ):
            return

        self._written = status
        self._written_at = now
        self.story.tell(hub, status)
        meta = hub.metadata
        self._context.statuses.put(
            Write(
                HUB, meta.namespace, meta.name, meta.uid, status, FIELD_MANAGER
            )
        )


def _shown(hub: Hub, status: dict[str, Any]) -> bool:
    """Return whether the Store shows the conditions of a status; the operator
    may have written AgentLost.
    """
    written = {
        condition["type"]: (condition["status"], condition["reason"])
        for condition in status["conditions"]
    }

    shown = {
        condition.type: (condition.status, condition.reason)
        for condition in hub.status.conditions
    }

    return all(shown.get(name) == state for name, state in written.items())
