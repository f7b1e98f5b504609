"""What a Device's loop does at its router besides access, while nobody waits:
the look around, the technical user, the configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.config.clock_look import ClockLook
from cerebro.agent.devices.config.keeper import ConfigurationKeeper
from cerebro.agent.devices.connection import RouterLink
from cerebro.agent.devices.status import DeviceFindings
from cerebro.agent.devices.survey import Survey
from cerebro.agent.devices.technical.keeper import TechnicalUserKeeper
from cerebro.resources import Device
from cerebro.routeros.client.session import RouterSession


class Upkeep:
    """The things besides access that are kept at one router. Each knows when
    it is due.
    """

    def __init__(
        self,
        context: AgentContext,
        link: RouterLink,
        reconnect: Callable[[], None],
        come_again: Callable[[datetime], None],
    ) -> None:
        """`link` is the loop's connection; `reconnect` has the loop turn soon,
        after its connection was dropped, `come_again` at a moment.
        """
        self._survey = Survey(context)
        self._clock = ClockLook(context)
        self._technical = TechnicalUserKeeper(context, link, reconnect)
        self._configuration = ConfigurationKeeper(
            context, link, come_again, reconnect
        )

    async def take(
        self,
        device: Device,
        session: RouterSession,
        findings: DeviceFindings,
        urgent: Callable[[], bool],
    ) -> DeviceFindings:
        """Return the findings after what is due was done; it is given up when
        `urgent` returns that somebody waits.

        Raises RouterError if the connection is lost.
        """
        upkeep = (
            self._survey,
            self._clock,
            self._technical,
            self._configuration,
        )

        for each in upkeep:
            findings = await each.take(device, session, findings, urgent)

        return findings

    async def clean_up(
        self, device: Device, session: RouterSession, findings: DeviceFindings
    ) -> DeviceFindings:
        """Return the findings after what a Device that goes leaves nobody to
        mend was taken off: all of the configuration but the tunnel.

        Raises RouterError if the connection is lost.
        """
        return await self._configuration.retire(
            device, session, findings, lambda: False
        )
