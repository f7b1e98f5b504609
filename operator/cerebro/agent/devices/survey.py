"""A look at what a router does besides access: once for each connection and at
each resync, and only while nobody waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.fitness.ipv6 import ipv6_warnings, shuts_ipv6
from cerebro.agent.devices.fitness.router import (
    fitness_prints,
    fitness_reading,
    fitness_warnings,
    forbids_schedulers,
)
from cerebro.agent.devices.status import DeviceFindings
from cerebro.agent.devices.urgency import unless_urgent
from cerebro.resources import Device
from cerebro.routeros.client.command import Command, Reply
from cerebro.routeros.client.errors import DeadlineExceeded, Trap
from cerebro.routeros.client.session import RouterSession
from cerebro.routeros.configuration.ipv6 import ipv6_comment
from cerebro.routeros.ipv6.leaks import ipv6_leaks, ipv6_to_shut
from cerebro.routeros.ipv6.reading import (
    Ipv6Reading,
    ipv6_prints,
    ipv6_reading,
)

_LOOK_FOR_URGENT = 0.02
"""Seconds between two looks, while the router prints, whether somebody waits.
"""

_AFTER_CHANGE = 5.0
"""Seconds until what a change of the configuration did is looked at."""


class Survey:
    """When one router was looked at last, and what is read then."""

    def __init__(self, context: AgentContext) -> None:
        self._context = context
        self._session: RouterSession | None = None
        self._due_at = 0.0
        self._is_second_look = False

    async def take(
        self,
        device: Device,
        session: RouterSession,
        findings: DeviceFindings,
        urgent: Callable[[], bool],
    ) -> DeviceFindings:
        """Return the findings with what a person should know; as they are if
        no look is due, or if `urgent` returned that somebody waits.

        Raises RouterError if the connection is lost.
        """

        now = time.monotonic()
        is_due = session is not self._session or now >= self._due_at
        if not is_due or urgent():
            return findings

        ipv6, fitness = ipv6_prints(), fitness_prints()

        try:
            replies = await _read(session, [*ipv6, *fitness], urgent)
        except DeadlineExceeded:
            # Nobody needs it now: a slow router is asked at the next resync.
            replies = []

        if replies is None:
            return findings

        self._session = session
        self._due_at = now + device.spec.resync_interval.total_seconds()

        fitness_known = fitness_reading(replies[len(ipv6) :])
        ipv6_known = ipv6_reading(replies[: len(ipv6)])
        leaks = ipv6_leaks(ipv6_known)

        if leaks and shuts_ipv6(device):
            self._look_at_change(now)

        surveyed = (
            *fitness_warnings(device, fitness_known),
            *ipv6_warnings(device, leaks),
        )

        return replace(
            findings,
            surveyed=surveyed,
            ipv6_to_shut=self._to_shut(ipv6_known, findings),
            schedulers_forbidden=findings.schedulers_forbidden
            if fitness_known.device_mode is None
            else forbids_schedulers(fitness_known.device_mode),
        )

    def _to_shut(
        self, reading: Ipv6Reading, findings: DeviceFindings
    ) -> tuple[str, ...] | None:
        """Return where IPv6 is to be shut; as it was known where the router
        did not say it now.
        """
        comment = ipv6_comment(self._context.installation)
        interfaces = ipv6_to_shut(reading, comment)

        return findings.ipv6_to_shut if interfaces is None else interfaces

    def _look_at_change(self, now: float) -> None:
        """Look soon at what the rules of `spec.manageConfig` did, if not just
        now.
        """
        is_second_look = self._is_second_look
        self._is_second_look = not is_second_look

        if not is_second_look:
            self._due_at = min(self._due_at, now + _AFTER_CHANGE)


async def _read(
    session: RouterSession,
    prints: list[Command],
    urgent: Callable[[], bool],
) -> list[Reply | Trap] | None:
    """Return the replies to some prints; None if somebody came to wait.

    Raises RouterError.
    """
    reading = session.run_all(prints)

    return await unless_urgent(reading, urgent, every=_LOOK_FOR_URGENT)
