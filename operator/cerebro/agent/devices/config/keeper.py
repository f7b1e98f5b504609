"""Keeps the configuration of one router as `spec.manageConfig` wants it:
compared at each connection, at each resync, and when what is wanted changes.

What is to be done is decided in `decide`; this file remembers, and has it
done. Nothing that goes wrong here stops access.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.config import warnings
from cerebro.agent.devices.config.decide import (
    CONFIRM_WITHIN,
    HAS_RUN,
    WRITE_WITHIN,
    Situation,
    Todo,
    UndoneChange,
    next_step,
    planned_change,
    undone_change,
)
from cerebro.agent.devices.config.preview import configuration_lines, note
from cerebro.agent.devices.config.repairs import Repairs
from cerebro.agent.devices.config.wanted import wanted_configuration
from cerebro.agent.devices.config.writing import (
    NotArmed,
    Reading,
    arm,
    confirm,
    disarm,
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
    RouterError,
    Trap,
)
from cerebro.routeros.client.session import RouterSession
from cerebro.routeros.configuration.desired import Configuration
from cerebro.routeros.preview import preview

log = logging.getLogger(__name__)

_LOOK_FOR_URGENT = 0.02
"""Seconds between two looks, while the router is at it, whether somebody
waits.
"""

_TRY_EVERY = 2.0
"""Seconds between two logins that are to confirm a change, and between two
looks whether its undo has run.
"""

_LINES = 32
"""The most lines of a change that are kept for its message."""


@dataclass(frozen=True, slots=True)
class _Work:
    """One look at a router."""

    device: Device
    session: RouterSession
    wanted: Configuration
    serial_number: str | None
    urgent: Callable[[], bool]
    is_resync: bool


@dataclass(frozen=True, slots=True)
class _Armed:
    """A change that was made while its undo is armed."""

    at: float
    wanted: Configuration
    lines: tuple[str, ...]
    problem: str = ""
    """Why it is not confirmed yet."""


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
        self._again_at: float | None = None

        self._armed: _Armed | None = None
        self._seen_at: float | None = None
        self._undone: tuple[UndoneChange, float] | None = None
        self._has_read_status = False
        self._repairs = Repairs()

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
            return replace(findings, configuration=None, kept_configuration=())

        if not device.spec.dry_run and not self._may_write(device):
            return findings

        wanted = wanted_configuration(
            device,
            self._context.store,
            self._context.installation,
            findings,
        )
        if isinstance(wanted, str):
            return _missing(device, findings, wanted)

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

        self._read_status(device, now)
        work = _Work(
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

    def _may_write(self, device: Device) -> bool:
        """Return whether the router may be written to."""
        if device.spec.paused != "None":
            return False

        return self._context.still_acts(device, leased=True)

    def _is_time(self, now: float) -> bool:
        """Return whether the next look at a change under way is due."""
        return self._again_at is not None and now >= self._again_at

    def _ask_to_come_again(self, now: float) -> None:
        """Have the loop turn when a change under way is to be looked at."""
        if self._again_at is not None:
            wait = timedelta(seconds=self._again_at - now)
            self._come_again(datetime.now(UTC) + wait)

    def _read_status(self, device: Device, now: float) -> None:
        """Take from the status, once, which change was undone."""
        if self._has_read_status:
            return

        self._has_read_status = True
        recorded = undone_change(device.status.undone_configuration)
        if recorded is not None:
            self._undone = recorded, now

    def _undone_text(self) -> str:
        return "" if self._undone is None else self._undone[0].text()

    # --- one look

    async def _show(
        self, work: _Work, findings: DeviceFindings
    ) -> DeviceFindings | None:
        """Return the findings with what would be changed, in dry run; None if
        it was given up for somebody who waits. Raises RouterError.
        """
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
        self, work: _Work, findings: DeviceFindings
    ) -> DeviceFindings | None:
        """Return the findings after what is due was done; None if it was given
        up for somebody who waits. Raises RouterError.
        """
        try:
            reading = await self._read(work)
            if reading is None:
                return None

            told = (
                (warnings.not_kept(reading),)
                if isinstance(reading, str)
                else await self._repair(work, reading)
            )
        except DeadlineExceeded as error:
            told = (warnings.not_kept(f"{error}"),)
        except Trap as refusal:
            told = (warnings.refused(refusal),)

        return replace(
            findings,
            configuration=None,
            kept_configuration=told,
            undone_configuration=self._undone_text(),
        )

    async def _read(self, work: _Work) -> Reading | str | None:
        """Read the router; return what it did not print, as text, or None if
        that was given up for somebody who waits. Raises RouterError.
        """
        return await unless_urgent(
            read_configuration(work.session, work.wanted),
            work.urgent,
            every=_LOOK_FOR_URGENT,
        )

    async def _repair(
        self, work: _Work, reading: Reading
    ) -> tuple[DeviceWarning, ...]:
        """Do what is due; return what a person should know. Raises
        RouterError.
        """
        now = time.monotonic()
        self._again_at = None
        told = [warnings.not_kept(note) for note in reading.plan.notes]

        # Rows that somebody else keeps changing wait for the resync.
        fight = self._repairs.note(work.wanted, reading.plan, now)
        self._context.metrics.found_contested(fight.news)

        if fight.rows:
            told.append(warnings.contested(fight.rows))

        waits = fight.is_planned and not work.is_resync
        if waits and not self._is_under_way(reading):
            return tuple(told)

        risky = await self._risky(work, reading, now)
        if risky is not None:
            told.append(risky)

        # What was taken out of use by a change is removed once it is
        # confirmed, since its undo puts it back to use.
        if self._is_under_way(reading):
            return tuple(told)

        refusal = await write(
            work.session,
            reading.plan.harmless(),
            lambda: self._may_write(work.device),
            past_refusals=True,
        )
        if refusal is not None:
            told.append(warnings.refused(refusal))

        return tuple(told)

    def _is_under_way(self, reading: Reading) -> bool:
        """Return whether a change was begun, here or by an agent that died."""
        return self._armed is not None or bool(reading.schedulers)

    async def _risky(
        self, work: _Work, reading: Reading, now: float
    ) -> DeviceWarning | None:
        """Do the next step of what may cut the connection; return what a
        person should know. Raises RouterError.
        """
        if not reading.schedulers:
            self._seen_at = None
            self._forget_armed(work)
        elif self._seen_at is None:
            self._seen_at = now

        planned = planned_change(
            work.device, work.wanted, reading.plan, reading.tables
        )
        situation = Situation(
            is_planned=bool(reading.plan.risky()),
            is_armed=bool(reading.schedulers),
            armed_at=None if self._armed is None else self._armed.at,
            seen_at=self._seen_at,
            is_undone_change=self._was_undone(planned, now),
        )

        match next_step(situation, now):
            case Todo.NOTHING:
                self._armed = self._undone = None
            case Todo.CHANGE:
                return await self._change(work, reading)
            case Todo.CONFIRM:
                return await self._confirm(work)
            case Todo.WAIT:
                return self._wait(work, reading, now)
            case Todo.DISARM:
                return await self._disarm(work, reading, planned)
            case Todo.UNDONE:
                return self._note_undone(work, reading, planned, now)
            case Todo.LEAVE:
                return warnings.undone(_lines(reading), "")

        return None

    def _forget_armed(self, work: _Work) -> None:
        """Forget a change after its undo if something else is wanted by now:
        that was never tried.
        """
        if self._armed is not None and self._armed.wanted != work.wanted:
            self._armed = None

    def _was_undone(self, planned: UndoneChange, now: float) -> bool:
        if self._undone is None:
            return False

        change, at = self._undone

        return change.is_same(planned, now - at)

    async def _change(
        self, work: _Work, reading: Reading
    ) -> DeviceWarning | None:
        """Arm the undo, make the change, and have it confirmed.

        Raises RouterError: the connection may be cut by it.
        """
        device, steps = work.device, reading.plan.risky()
        where = f"{device.namespace}/{device.name}"

        try:
            await arm(work.session, steps, self._context.installation)
        except NotArmed as error:
            return warnings.not_armed(error.refusal)

        now = time.monotonic()
        lines = _lines(reading)
        self._armed = _Armed(now, work.wanted, lines)
        self._again_at = now + _TRY_EVERY
        log.info(
            "Device %s: the configuration of its router is being changed: %s",
            where,
            "; ".join(lines),
        )

        last = now + WRITE_WITHIN
        refusal = await write(
            work.session,
            steps,
            lambda: self._may_write(device) and time.monotonic() < last,
        )
        if refusal is not None:
            problem = f"the router refused {refusal}"
            self._armed = replace(self._armed, problem=problem)

            return warnings.unconfirmed(lines, problem)

        return await self._confirm(work)

    async def _confirm(self, work: _Work) -> DeviceWarning | None:
        """Have a fresh login confirm the change, unless somebody waits: the
        next turn goes on with it.
        """
        now = time.monotonic()
        begun = now if self._seen_at is None else self._seen_at
        armed = self._armed or _Armed(begun, work.wanted, ())
        self._again_at = now + _TRY_EVERY

        # About then the undo runs.
        if CONFIRM_WITHIN < now - armed.at <= HAS_RUN:
            return warnings.unconfirmed(armed.lines, armed.problem)

        try:
            problem = await unless_urgent(
                confirm(
                    self._link, work.device, work.serial_number, work.wanted
                ),
                work.urgent,
                every=_LOOK_FOR_URGENT,
            )
        except RouterError as error:
            problem = str(error)

        if problem == "":
            device = work.device
            log.info(
                "Device %s/%s: a fresh login confirmed the configuration",
                device.namespace,
                device.name,
            )
            self._armed = self._seen_at = self._undone = None
            self._again_at = now

            return None

        if self._armed is not None and problem is not None:
            self._armed = replace(self._armed, problem=problem)

        return warnings.unconfirmed(armed.lines, problem or "")

    async def _disarm(
        self, work: _Work, reading: Reading, planned: UndoneChange
    ) -> DeviceWarning | None:
        """Take away an undo that never ran. What we tried ourselves is not
        tried again. Raises RouterError.
        """
        await disarm(work.session, self._context.installation)
        now = time.monotonic()
        self._again_at = now

        if self._armed is None:
            return None

        return self._note_undone(work, reading, planned, now)

    def _wait(
        self, work: _Work, reading: Reading, now: float
    ) -> DeviceWarning:
        """Wait for an undo that is about to run."""
        self._again_at = now + _TRY_EVERY
        armed = self._armed or _Armed(now, work.wanted, _lines(reading))

        return warnings.unconfirmed(armed.lines, armed.problem)

    def _note_undone(
        self,
        work: _Work,
        reading: Reading,
        planned: UndoneChange,
        now: float,
    ) -> DeviceWarning:
        """Remember a change that the router took back."""
        armed = self._armed or _Armed(now, work.wanted, _lines(reading))
        self._armed = None
        self._undone = planned, now

        return warnings.undone(armed.lines, armed.problem)


def _missing(
    device: Device, findings: DeviceFindings, fact: str
) -> DeviceFindings:
    """Return the findings while a fact is missing that a router must know."""
    if device.spec.dry_run:
        return replace(
            findings, configuration=(note(fact),), kept_configuration=()
        )

    told = (warnings.not_kept(fact),)

    return replace(findings, configuration=None, kept_configuration=told)


def _lines(reading: Reading) -> tuple[str, ...]:
    """Return what may cut the connection, as lines of the console."""
    commands = [step.command for step in reading.plan.risky()]
    rows = reading.plan.rows

    return tuple(preview(commands, rows, len(commands), _LINES))
