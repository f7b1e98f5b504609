"""A change of a router's configuration that may cut the connection, from the
arming of its undo to its confirmation, or to what is remembered of it after
the undo has run (rule B11).

What is to be done next is decided in `decide`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.config import warnings
from cerebro.agent.devices.config.decide import (
    ARRIVES_WITHIN,
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
from cerebro.agent.devices.config.writing import (
    ClockMayJump,
    NotArmed,
    Reading,
    arm,
    confirm,
    disarm,
    write,
)
from cerebro.agent.devices.connection import RouterLink
from cerebro.agent.devices.model import DeviceWarning
from cerebro.agent.devices.urgency import unless_urgent
from cerebro.resources import Device
from cerebro.routeros.client.errors import RouterError
from cerebro.routeros.client.session import RouterSession
from cerebro.routeros.configuration.desired import Configuration
from cerebro.routeros.preview import preview

log = logging.getLogger(__name__)

LOOK_FOR_URGENT = 0.02
"""Seconds between two looks, while the router is at it, whether somebody
waits.
"""

_TRY_EVERY = 2.0
"""Seconds between two logins that are to confirm a change, and between two
looks whether its undo has run.
"""

_CLOCK_EVERY = 30.0
"""Seconds between two looks whether NTP has set the router's clock."""

_LINES = 32
"""The most lines of a change that are kept for its message."""


@dataclass(frozen=True, slots=True)
class Work:
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


class ChangeUnderWay:
    """The change that one router's loop has under way, and the one that was
    undone last.
    """

    def __init__(
        self,
        context: AgentContext,
        link: RouterLink,
        may_write: Callable[[Device], bool],
    ) -> None:
        self._context = context
        self._link = link
        self._may_write = may_write

        self._armed: _Armed | None = None
        self._seen_at: float | None = None
        self._undone: tuple[UndoneChange, float] | None = None
        self._has_read_status = False
        self.again_at: float | None = None
        """When to go on with it, in monotonic seconds; None: nothing is under
        way.
        """

    def forget(self) -> None:
        """Leave a change that is under way to its undo."""
        self._armed = self._seen_at = self.again_at = None

    def postpone(self) -> None:
        """Go on a little later with what is under way, if anything is."""
        is_idle = self._armed is None and self._seen_at is None
        self.again_at = None if is_idle else time.monotonic() + _TRY_EVERY

    def is_under_way(self, reading: Reading) -> bool:
        """Return whether a change was begun, here or by an agent that died."""
        return self._armed is not None or bool(reading.schedulers)

    def read_status(self, device: Device, now: float) -> None:
        """Take from the status, once, which change was undone."""
        if self._has_read_status:
            return

        self._has_read_status = True
        recorded = undone_change(device.status.undone_configuration)
        if recorded is not None:
            self._undone = recorded, now

    def undone_text(self) -> str:
        """Return the change that was undone last, as a status keeps it; empty
        if there is none.
        """
        return "" if self._undone is None else self._undone[0].text()

    async def go_on(
        self, work: Work, reading: Reading, now: float
    ) -> DeviceWarning | None:
        """Do the next step of what may cut the connection; return what a
        person should know. Raises RouterError.
        """
        self.again_at = None

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

    def _forget_armed(self, work: Work) -> None:
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
        self, work: Work, reading: Reading
    ) -> DeviceWarning | None:
        """Arm the undo, make the change, and have it confirmed.

        Raises RouterError: the connection may be cut by it.
        """
        device, steps = work.device, reading.plan.risky()
        now = time.monotonic()
        work.session.bound_sending(ARRIVES_WITHIN)

        try:
            await arm(work.session, steps, self._context.installation)
        except NotArmed as error:
            work.session.bound_sending(0)
            return warnings.not_armed(error.refusal)
        except ClockMayJump:
            work.session.bound_sending(0)
            self.again_at = now + _CLOCK_EVERY
            return warnings.clock_may_jump()

        lines = _lines(reading)
        self._armed = _Armed(now, work.wanted, lines)
        self.again_at = now + _TRY_EVERY
        log.info(
            "Device %s/%s: the configuration of its router is being changed: %s",
            device.namespace,
            device.name,
            "; ".join(lines),
        )

        last = now + WRITE_WITHIN
        refusal = await write(
            work.session,
            steps,
            lambda: self._may_write(device) and time.monotonic() < last,
        )
        work.session.bound_sending(0)

        if refusal is not None:
            problem = f"the router refused {refusal}"
            self._armed = replace(self._armed, problem=problem)

            return warnings.unconfirmed(lines, problem)

        return await self._confirm(work)

    async def _confirm(self, work: Work) -> DeviceWarning | None:
        """Have a fresh login confirm the change, unless somebody waits: the
        next turn goes on with it.
        """
        now = time.monotonic()
        begun = now if self._seen_at is None else self._seen_at
        armed = self._armed or _Armed(begun, work.wanted, ())
        self.again_at = now + _TRY_EVERY

        # About then the undo runs.
        if CONFIRM_WITHIN < now - armed.at <= HAS_RUN:
            return warnings.unconfirmed(armed.lines, armed.problem)

        try:
            problem = await unless_urgent(
                confirm(
                    self._link,
                    work.device,
                    work.serial_number,
                    work.wanted,
                    self._context.installation,
                ),
                work.urgent,
                every=LOOK_FOR_URGENT,
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
            self.again_at = now

            return None

        if self._armed is not None and problem is not None:
            self._armed = replace(self._armed, problem=problem)

        return warnings.unconfirmed(armed.lines, problem or "")

    async def _disarm(
        self, work: Work, reading: Reading, planned: UndoneChange
    ) -> DeviceWarning | None:
        """Take away an undo that never ran. What we tried ourselves is not
        tried again. Raises RouterError.
        """
        await disarm(work.session, self._context.installation)
        now = time.monotonic()
        self.again_at = now

        if self._armed is None:
            return None

        return self._note_undone(work, reading, planned, now)

    def _wait(self, work: Work, reading: Reading, now: float) -> DeviceWarning:
        """Wait for an undo that is about to run."""
        self.again_at = now + _TRY_EVERY
        armed = self._armed or _Armed(now, work.wanted, _lines(reading))

        return warnings.unconfirmed(armed.lines, armed.problem)

    def _note_undone(
        self,
        work: Work,
        reading: Reading,
        planned: UndoneChange,
        now: float,
    ) -> DeviceWarning:
        """Remember a change that the router took back."""
        armed = self._armed or _Armed(now, work.wanted, _lines(reading))
        self._armed = None
        self._undone = planned, now

        return warnings.undone(armed.lines, armed.problem)


def _lines(reading: Reading) -> tuple[str, ...]:
    """Return what may cut the connection, as lines of the console."""
    commands = [step.command for step in reading.plan.risky()]
    rows = reading.plan.rows

    return tuple(preview(commands, rows, len(commands), _LINES))
