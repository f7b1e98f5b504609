"""Keeps the configuration of one router as `spec.manageConfig` wants it:
compared at each connection, at each resync, and when what is wanted changes.

What is to be done is decided in `decide`; this file remembers, and has it
done. Nothing that goes wrong here stops access.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from cerebro.agent.context import AgentContext, may_configure
from cerebro.agent.devices.config import warnings
from cerebro.agent.devices.config.change import (
    LOOK_FOR_URGENT,
    ChangeUnderWay,
    Work,
)
from cerebro.agent.devices.config.guard import guard_found
from cerebro.agent.devices.config.preview import configuration_lines, note
from cerebro.agent.devices.config.repairs import Repairs
from cerebro.agent.devices.config.retirement import Retirement
from cerebro.agent.devices.config.wanted import wanted_configuration
from cerebro.agent.devices.config.writing import (
    Reading,
    read_configuration,
    write,
)
from cerebro.agent.devices.connection import RouterLink
from cerebro.agent.devices.model import DeviceWarning
from cerebro.agent.devices.status import DeviceFindings
from cerebro.agent.devices.urgency import unless_urgent
from cerebro.resources import Device
from cerebro.resources.naming import ANNOTATION_RESYNC_AT
from cerebro.routeros.client.errors import (
    DeadlineExceeded,
    Trap,
)
from cerebro.routeros.client.session import RouterSession
from cerebro.routeros.configuration.guard import guard_removals
from cerebro.routeros.configuration.steps import ConfigurationPlan, Step

log = logging.getLogger(__name__)


class ConfigurationKeeper:
    """When the configuration of one router was looked at last, and the change
    that is under way there.
    """

    def __init__(
        self,
        context: AgentContext,
        link: RouterLink,
        come_again: Callable[[datetime], None],
        reconnect: Callable[[], None],
    ) -> None:
        """`link` is the loop's connection; `come_again` has the loop turn at a
        moment, `reconnect` soon, after its connection was dropped.
        """
        self._context = context
        self._link = link
        self._come_again = come_again
        self._reconnect = reconnect

        self._looked: tuple[object, ...] | None = None
        self._resync_at = 0.0
        self._change = ChangeUnderWay(
            context, link, partial(may_configure, context)
        )
        self._repairs = Repairs()
        self._retirement = Retirement(context)

    async def take(
        self,
        device: Device,
        session: RouterSession,
        findings: DeviceFindings,
        urgent: Callable[[], bool],
    ) -> DeviceFindings:
        """Return the findings after the configuration was made as wanted; as
        they are if nothing is due, or if `urgent` returns that somebody waits.

        Raises RouterError if the connection is lost.
        """
        if not device.spec.manage_config:
            return await self.retire(device, session, findings, urgent)

        if not device.spec.dry_run and not may_configure(
            self._context, device
        ):
            # An undo that runs meanwhile says nothing of its change.
            self._change.forget()
            self._looked = None

            return replace(findings, kept_configuration=())

        context = self._context
        wanted = wanted_configuration(
            device, context.store, context.installation, findings
        )
        requested = device.metadata.annotations.get(ANNOTATION_RESYNC_AT)
        looked = (session, wanted, requested, device.spec.dry_run)
        now = time.monotonic()
        is_resync = now >= self._resync_at
        is_due = looked != self._looked or is_resync or self._is_time(now)

        if not is_due or urgent():
            self._ask_to_come_again(now)
            return findings

        is_shown = device.spec.dry_run
        if self._link.by_daily_login and not is_shown:
            # Rows of the configuration are written with the credentials.
            self._link.drop()
            self._reconnect()

            return findings

        self._change.read_status(device, now)
        work = Work(
            device, session, wanted, findings.serial_number, urgent, is_resync
        )

        doing = self._show if is_shown else self._keep
        done = await doing(work, findings)
        if done is None:
            return findings

        self._looked = looked
        if is_resync:
            interval = device.spec.resync_interval.total_seconds()
            self._resync_at = now + interval

        self._ask_to_come_again(time.monotonic())

        return done

    async def retire(
        self,
        device: Device,
        session: RouterSession,
        findings: DeviceFindings,
        urgent: Callable[[], bool],
    ) -> DeviceFindings:
        """Return the findings without manageConfig. A change that is under way
        is left to its undo. Raises RouterError.
        """
        if self._looked is not None:
            self._retirement.begin_anew()
            findings = replace(findings, kept_configuration=())

        self._looked = None
        self._change.forget()

        return await self._retirement.take(device, session, findings, urgent)

    def _is_time(self, now: float) -> bool:
        """Return whether the next look at a change under way is due."""
        again_at = self._change.again_at

        return again_at is not None and now >= again_at

    def _ask_to_come_again(self, now: float) -> None:
        """Have the loop turn when a change under way is to be looked at."""
        again_at = self._change.again_at
        if again_at is not None:
            wait = timedelta(seconds=again_at - now)
            self._come_again(datetime.now(UTC) + wait)

    # --- one look

    async def _show(
        self, work: Work, findings: DeviceFindings
    ) -> DeviceFindings | None:
        """Return the findings with what would be changed, in dry run; None if
        it was given up for somebody who waits. Raises RouterError.
        """
        self._change.forget()

        try:
            reading = await self._read(work)
        except DeadlineExceeded:
            reading = "the router was too slow"

        if reading is None:
            return None

        return replace(
            findings,
            configuration=(note(reading),)
            if isinstance(reading, str)
            else configuration_lines(reading.plan),
            kept_configuration=(),
        )

    async def _keep(
        self, work: Work, findings: DeviceFindings
    ) -> DeviceFindings | None:
        """Return the findings after what is due was done; None if it was given
        up for somebody who waits. Raises RouterError.
        """
        plan = None
        told: tuple[DeviceWarning, ...]
        self._change.postpone()

        try:
            reading = await self._read(work)
            if reading is None:
                return None

            if isinstance(reading, str):
                told = (warnings.not_kept(reading),)
            else:
                plan = reading.plan
                told = await self._repair(work, reading)
        except DeadlineExceeded as error:
            told = (warnings.not_kept(f"{error}"),)
        except Trap as refusal:
            told = (warnings.refused(refusal),)

        return replace(
            findings,
            configuration=None,
            guard_found=guard_found(plan, told),
            kept_configuration=told,
            undone_configuration=self._change.undone_text(),
        )

    async def _read(self, work: Work) -> Reading | str | None:
        """Read the router; return what it did not print, as text, or None if
        that was given up for somebody who waits. Raises RouterError.
        """
        return await unless_urgent(
            read_configuration(
                work.session, work.wanted, self._context.installation
            ),
            work.urgent,
            every=LOOK_FOR_URGENT,
        )

    async def _repair(
        self, work: Work, reading: Reading
    ) -> tuple[DeviceWarning, ...]:
        """Do what is due; return what a person should know. Raises
        RouterError.
        """
        now, plan = time.monotonic(), reading.plan
        told = await self._take_guard_off(work, plan)
        told += map(warnings.not_kept, plan.notes)

        # Rows that somebody else keeps changing wait for the resync.
        fight = self._repairs.note(work.wanted, plan, now)
        self._context.metrics.found_contested(fight.news)
        self._context.metrics.drifted("configuration", fight.drifted)

        if fight.rows:
            told.append(warnings.contested(fight.rows))

        waits = fight.is_planned and not work.is_resync
        if waits and not self._change.is_under_way(reading):
            return tuple(told)

        told += await self._keep_tunnel(work, reading, now)

        # What was taken out of use by a change is removed once it is
        # confirmed, since its undo puts it back to use.
        if self._change.is_under_way(reading):
            return tuple(told)

        refused = await self._write(work, plan.harmless())

        return tuple(dict.fromkeys([*told, *refused]))

    async def _take_guard_off(
        self, work: Work, plan: ConfigurationPlan
    ) -> list[DeviceWarning]:
        """Take a guard off that is not to run, before anything that waits: it
        would end access early. Return what the router refused; else these
        steps leave the plan. Raises RouterError.
        """
        removals = guard_removals(plan)
        refused = await self._write(work, removals)

        # Nothing was written if the router may not be configured any more.
        if not refused and may_configure(self._context, work.device):
            plan.leftovers = [
                step for step in plan.leftovers if step not in removals
            ]

        return refused

    async def _keep_tunnel(
        self, work: Work, reading: Reading, now: float
    ) -> list[DeviceWarning]:
        """Do the next step of what may cut the connection; a change whose
        tunnel is not known any more is left to its undo. Raises RouterError.
        """
        if work.wanted.tunnel is None:
            self._change.forget()
            return []

        risky = await self._change.go_on(work, reading, now)

        return [] if risky is None else [risky]

    async def _write(
        self, work: Work, steps: Sequence[Step]
    ) -> list[DeviceWarning]:
        """Do steps that cannot cut the connection; return what the router
        refused. Raises RouterError.
        """
        refusal = await write(
            work.session,
            steps,
            lambda: may_configure(self._context, work.device),
            past_refusals=True,
        )

        return [] if refusal is None else [warnings.refused(refusal)]
