"""What becomes of the configuration once `spec.manageConfig` is off: the tunnel
is left as it is, since it leads to the router; the rows of all other parts go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cerebro.agent.context import AgentContext, may_configure
from cerebro.agent.devices.config import warnings
from cerebro.agent.devices.config.change import LOOK_FOR_URGENT
from cerebro.agent.devices.config.wanted import retired_configuration
from cerebro.agent.devices.config.writing import read_configuration, write
from cerebro.agent.devices.status import DeviceFindings
from cerebro.agent.devices.urgency import unless_urgent
from cerebro.resources import Device
from cerebro.routeros.client.errors import DeadlineExceeded, Trap
from cerebro.routeros.client.session import RouterSession


class Retirement:
    """Whether the rows of one router were taken off: looked at once for each
    connection.
    """

    def __init__(self, context: AgentContext) -> None:
        self._context = context
        self._done_on: RouterSession | None = None

    def begin_anew(self) -> None:
        """Look again the next time: rows may have been made meanwhile."""
        self._done_on = None

    async def take(
        self,
        device: Device,
        session: RouterSession,
        findings: DeviceFindings,
        urgent: Callable[[], bool],
    ) -> DeviceFindings:
        """Return the findings after the rows were taken off; as they are if
        that was done, or if `urgent` returns that somebody waits.

        Raises RouterError if the connection is lost.
        """
        findings = replace(findings, configuration=None)
        wanted = retired_configuration(self._context.installation)

        is_done = session is self._done_on or not wanted.menus
        if is_done or urgent() or not may_configure(self._context, device):
            return findings

        try:
            reading = await unless_urgent(
                read_configuration(
                    session, wanted, self._context.installation
                ),
                urgent,
                every=LOOK_FOR_URGENT,
            )
            if reading is None:
                return findings

            # A router that does not print them never had any of ours.
            refusal: Trap | None = None
            if not isinstance(reading, str):
                refusal = await write(
                    session,
                    reading.plan.harmless(),
                    lambda: may_configure(self._context, device),
                    past_refusals=True,
                )
        except DeadlineExceeded:
            return findings

        self._done_on = session
        told = () if refusal is None else (warnings.refused(refusal),)

        return replace(findings, kept_configuration=told)
