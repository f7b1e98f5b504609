"""Reports the status of a Device, and remembers what was reported so that a
status is written once.

What is reported comes as findings; this file judges nothing but whether a
write is due.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cerebro.agent.context import FIELD_MANAGER, AgentContext
from cerebro.agent.devices.breaker import Breaker
from cerebro.agent.devices.config.guard import guard_state
from cerebro.agent.devices.identity import renaming
from cerebro.agent.devices.model import DeviceWarning
from cerebro.agent.devices.status import DeviceFindings, device_status
from cerebro.agent.devices.story import DeviceStory
from cerebro.domain.conditions import same_meaning
from cerebro.kube.event_reasons import of_condition
from cerebro.kube.status_writer import Write
from cerebro.resources import DEVICE, Device

log = logging.getLogger(__name__)

_ROUND_TRIP = 5.0
"""Seconds in which a write comes back by the watch; later it counts as lost.
"""

_FIGURES_EVERY = 5.0
"""Seconds between writes that differ in figures only."""


class DeviceReporter:
    """Writes the status of one Device when its meaning has changed."""

    def __init__(self, context: AgentContext) -> None:
        self._context = context
        self._story = DeviceStory(context.recorder)
        self._written: dict[str, Any] | None = None
        self._written_at = 0.0
        self._warnings: list[DeviceWarning] = []
        self._identity: str | None = None
        """The router's name at the last report."""

    def report(
        self,
        device: Device,
        findings: DeviceFindings,
        breaker: Breaker,
    ) -> datetime | None:
        """Write the status if it is news. Return when to report again: figures
        were held back, or a write may be lost; None if not before something
        changes.
        """

        if not self._context.may_write(device):
            return None

        self._warn(device, findings)

        now = time.monotonic()
        status = device_status(
            device,
            self._with_figures(device, findings, breaker),
            datetime.now(UTC),
        )

        # A write that did not come back within its time is written again,
        # although it is no news to us.
        differs = self._ready_differs(device)
        age = now - self._written_at
        lost = differs and age >= _ROUND_TRIP

        if not lost and self._written is not None:
            if same_meaning(self._written, status):
                return _in_seconds(_ROUND_TRIP) if differs else None

            figures_only = same_meaning(
                _without_figures(self._written), _without_figures(status)
            )
            if figures_only and age < _FIGURES_EVERY:
                return _in_seconds(_FIGURES_EVERY)

        self._written, self._written_at = status, now
        meta = device.metadata
        write = Write(
            DEVICE, meta.namespace, meta.name, meta.uid, status, FIELD_MANAGER
        )

        self._context.statuses.put(write)
        self._story.tell(device, status)

        return None

    def _warn(self, device: Device, findings: DeviceFindings) -> None:
        """Post an Event for each warning that was not there at the last
        report.
        """

        warnings = [
            *findings.warnings,
            *findings.surveyed,
            *findings.technical,
            *findings.kept_configuration,
        ]
        news = [
            warning for warning in warnings if warning not in self._warnings
        ]

        self._warnings = warnings

        name = self._identity or device.status.identity
        renamed = renaming(name, findings.facts)
        self._identity = findings.facts.identity or name
        if renamed is not None:
            news.append(DeviceWarning("IdentityChanged", renamed))

        for reason, message in news:
            log.warning(
                "Device %s/%s: %s", device.namespace, device.name, message
            )

            told = of_condition(reason, DEVICE.kind, "Connect")
            self._context.recorder.post(device, told, message=message)

    def _with_figures(
        self,
        device: Device,
        findings: DeviceFindings,
        breaker: Breaker,
    ) -> DeviceFindings:
        """Return the findings with what is read at the time of the report."""
        circuit = breaker.state(time.monotonic())
        tunnel = (
            None
            if self._context.is_direct(device)
            else self._context.tunnels.tunnel_up(device)
        )

        return replace(
            findings,
            circuit=circuit,
            open_until=findings.open_until if circuit == "Open" else None,
            tunnel=tunnel,
            guard=guard_state(device, findings),
        )

    def _ready_differs(self, device: Device) -> bool:
        """Return whether the Device's Ready is not what was written: the write
        is on its way or lost, or the operator wrote meanwhile, or took that
        back.
        """

        if self._written is None:
            return False

        conditions = self._written["conditions"]
        ours = next(
            (
                condition
                for condition in conditions
                if condition["type"] == "Ready"
            ),
            None,
        )
        if ours is None:
            return False

        ready = device.status.condition("Ready")

        return ready is None or (ready.status, ready.reason) != (
            ours["status"],
            ours["reason"],
        )


def _in_seconds(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def _without_figures(status: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in status.items() if name != "sessions"
    }
