"""A look at what a router does besides access: once for each connection and at
each resync, and only while nobody waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.fitness.router import (
    fitness_prints,
    fitness_reading,
    fitness_warnings,
)
from cerebro.agent.devices.model import DeviceWarning
from cerebro.agent.devices.status import DeviceFindings
from cerebro.agent.devices.urgency import unless_urgent
from cerebro.resources import Device
from cerebro.routeros.client.command import Command, Reply
from cerebro.routeros.client.errors import DeadlineExceeded, Trap
from cerebro.routeros.client.session import RouterSession
from cerebro.routeros.ipv6.leaks import ipv6_leaks
from cerebro.routeros.ipv6.reading import ipv6_prints, ipv6_reading

_LOOK_FOR_URGENT = 0.02
"""Seconds between two looks, while the router prints, whether somebody waits.
"""


class Survey:
    """When one router was looked at last, and what is read then."""

    def __init__(self, context: AgentContext) -> None:
        self._context = context
        self._session: RouterSession | None = None
        self._due_at = 0.0

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

        reading = fitness_reading(replies[len(ipv6) :])

        return replace(
            findings,
            surveyed=(
                *fitness_warnings(device, reading),
                *ipv6_warnings(replies[: len(ipv6)]),
            ),
        )


def ipv6_warnings(
    replies: list[Reply | Trap],
) -> tuple[DeviceWarning, ...]:
    """Return a warning if IPv6 leads past the hotspot, by the replies to
    `ipv6_prints`.
    """

    leaks = ipv6_leaks(ipv6_reading(replies))
    if not leaks:
        return ()

    rules = "; ".join(
        f"/ipv6/firewall/filter/add chain=forward in-interface={interface} action=drop"
        for interface in leaks
    )

    message = (
        f"clients behind the hotspot on {', '.join(leaks)} get IPv6 addresses, and the hotspot is for IPv4 only: "
        f"they are online without access. Shut it on the router: {rules}"
    )

    return (DeviceWarning("IPv6PastHotspot", message),)


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
