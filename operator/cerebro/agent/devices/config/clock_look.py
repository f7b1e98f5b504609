"""A look at the clock of one router, for its guard: once for each connection
and at each resync, and only while nobody waits (rule B13).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.config.clock import clock_prints, router_clock
from cerebro.agent.devices.config.guard import wants_guard
from cerebro.agent.devices.config.jump import Boot, next_boot
from cerebro.agent.devices.status import DeviceFindings
from cerebro.agent.devices.urgency import unless_urgent
from cerebro.resources import Device
from cerebro.routeros.client.errors import DeadlineExceeded
from cerebro.routeros.client.session import RouterSession

_LOOK_FOR_URGENT = 0.02
"""Seconds between two looks, while the router prints, whether somebody waits.
"""


class ClockLook:
    """When the clock of one router was looked at last."""

    def __init__(self, context: AgentContext) -> None:
        self._context = context
        self._session: RouterSession | None = None
        self._due_at = 0.0
        self._boot: Boot | None = None

    async def take(
        self,
        device: Device,
        session: RouterSession,
        findings: DeviceFindings,
        urgent: Callable[[], bool],
    ) -> DeviceFindings:
        """Return the findings with the router's clock; as they are if no look
        is due, if `urgent` returns that somebody waits, or if the answer says
        nothing.

        Raises RouterError if the connection is lost.
        """
        if not wants_guard(device):
            self._session = self._boot = None
            return findings

        # A clock that is not trusted itself says nothing of another one.
        now = time.monotonic()
        is_due = session is not self._session or now >= self._due_at
        if not is_due or urgent() or not self._context.clock_trusted():
            return findings

        asked_at = time.time()

        try:
            replies = await unless_urgent(
                session.run_all(clock_prints()),
                urgent,
                every=_LOOK_FOR_URGENT,
            )
        except DeadlineExceeded:
            replies = []

        if replies is None:
            return findings

        self._session = session
        self._due_at = now + device.spec.resync_interval.total_seconds()
        clock = router_clock(replies, asked_at, time.time())
        if clock is None:
            return findings

        self._boot = next_boot(self._boot, clock, now)
        if self._boot is not None:
            clock = replace(clock, late=self._boot.late)

        return replace(findings, router_clock=clock)
