"""What the loop of a Hub says of it, and what it remembers of having said it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from cerebro.agent.context import FIELD_MANAGER, AgentContext
from cerebro.agent.hubs.status import HubFindings, hub_status
from cerebro.domain.conditions import same_meaning
from cerebro.kube.status_writer import Write
from cerebro.resources import HUB, Hub

_WROTE = 10.0  # seconds in which a status comes back by the watch


class HubReporter:
    """The status of one Hub that this node carries, or tries to."""

    def __init__(self, context: AgentContext, node: str) -> None:
        self._context, self._node = context, node
        self._written: tuple[dict[str, Any], float] | None = None

    def report(self, hub: Hub, found: HubFindings) -> None:
        """Have it written unless the Store shows it or it is on its way."""
        status = hub_status(hub, found, self._node, datetime.now(UTC))
        now = time.monotonic()
        written, at = self._written or ({}, 0.0)
        if same_meaning(written, status) and (now - at < _WROTE or _shown(hub, status)):
            return
        self._written = (status, now)
        meta = hub.metadata
        self._context.statuses.put(Write(HUB, meta.namespace, meta.name, meta.uid, status, FIELD_MANAGER))


def _shown(hub: Hub, status: dict[str, Any]) -> bool:
    """Tell whether the Store shows the conditions that were written; the operator may have said AgentLost."""
    said = {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}
    there = {one.type: (one.status, one.reason) for one in hub.status.conditions}
    return all(there.get(name) == words for name, words in said.items())
