"""What the loop of a Device says of the Device, and what it remembers of having said it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cerebro.agent.context import FIELD_MANAGER, AgentContext
from cerebro.agent.devices.breaker import Breaker
from cerebro.agent.devices.status import DeviceFindings, device_status
from cerebro.domain.conditions import same_meaning
from cerebro.kube.status_writer import Write
from cerebro.resources import DEVICE, Device

_ROUND_TRIP = 5.0
_FIGURES_EVERY = 5.0  # seconds between writes that differ in figures only


class DeviceReporter:
    """The status of one Device; `found` is what the loop has to say."""

    def __init__(self, context: AgentContext) -> None:
        self._context = context
        self.found = DeviceFindings()
        self._written: dict[str, Any] | None = None
        self._written_at = 0.0

    def report(self, device: Device, phases: Sequence[str | None], breaker: Breaker) -> datetime | None:
        """Write the status when its meaning changed; returns when to come again, with figures held back or to see
        whether it is there.

        `phases` are those of the Device's unfinished Sessions.
        """
        found, now = self.found, time.monotonic()
        found.active, found.pending = phases.count("Active"), phases.count("Pending")
        found.circuit = breaker.state(now)
        found.tunnel = None if self._context.is_direct(device) else self._context.tunnels.tunnel_up(device)
        found.open_until = found.open_until if found.circuit == "Open" else None
        if not self._context.may_write(device):
            return None
        status = device_status(device, found, datetime.now(UTC))
        otherwise = self._says_otherwise(device)
        lost = otherwise and now - self._written_at >= _ROUND_TRIP
        if self._written is not None and same_meaning(self._written, status) and not lost:
            return datetime.now(UTC) + timedelta(seconds=_ROUND_TRIP) if otherwise else None
        figures_only = self._written is not None and same_meaning(
            _without_figures(self._written), _without_figures(status)
        )
        figures_only = figures_only and not lost
        if figures_only and now - self._written_at < _FIGURES_EVERY:
            return datetime.now(UTC) + timedelta(seconds=_FIGURES_EVERY)
        self._written, self._written_at = status, now
        meta = device.metadata
        self._context.statuses.put(Write(DEVICE, meta.namespace, meta.name, meta.uid, status, FIELD_MANAGER))
        return None

    def _says_otherwise(self, device: Device) -> bool:
        """Tell whether what was written of Ready is not there: the operator spoke meanwhile, or took it back.

        A write has some seconds to come back by the watch before it counts as lost.
        """
        if self._written is None:
            return False
        ours = next((one for one in self._written["conditions"] if one["type"] == "Ready"), None)
        there = device.status.condition("Ready")
        return ours is not None and (
            there is None or (there.status, there.reason) != (ours["status"], ours["reason"])
        )


def _without_figures(status: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in status.items() if name != "sessions"}
