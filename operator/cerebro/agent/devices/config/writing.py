"""What is done at a router about its configuration: reading it, arming the
undo, writing, and the fresh login that confirms.

This file decides nothing about what is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from cerebro.agent.devices.config.clock import ntp_print, ntp_state
from cerebro.agent.devices.config.reading import (
    configuration_prints,
    tables_of,
)
from cerebro.agent.devices.connection import RouterLink, read_facts
from cerebro.agent.devices.identity import check_serial_number
from cerebro.resources import Device
from cerebro.routeros.client.command import Command
from cerebro.routeros.client.errors import Trap, TrapKind
from cerebro.routeros.client.session import RouterSession
from cerebro.routeros.configuration.desired import Configuration
from cerebro.routeros.configuration.earlier import Tables
from cerebro.routeros.configuration.plan import configuration_plan
from cerebro.routeros.configuration.steps import ConfigurationPlan, Step
from cerebro.routeros.configuration.undo import (
    clock_print,
    is_armed,
    undo_print,
    undo_schedulers,
)
from cerebro.routeros.menus.menu import Row
from cerebro.routeros.menus.system import SCHEDULER


@dataclass(frozen=True, slots=True)
class Reading:
    """What a router has: the rows that the plan needs, the plan by them, and
    the schedulers of an undo.
    """

    tables: Tables
    plan: ConfigurationPlan
    schedulers: Sequence[Row]


class NotArmed(Exception):
    """The router takes no undo, or does not run it. `refusal` is its own word
    on it, if it refused the scheduler.
    """

    def __init__(self, refusal: Trap | None) -> None:
        super().__init__(str(refusal or "the scheduler does not run"))
        self.refusal = refusal


class ClockMayJump(Exception):
    """NTP is about to set the router's clock, by which the undo runs."""


async def read_configuration(
    session: RouterSession, configuration: Configuration, installation: str
) -> Reading | str:
    """Read a router and plan; return what it did not print, as text, if it
    did not. Raises RouterError if the connection is lost.
    """
    prints = configuration_prints(configuration)
    *replies, undo = await session.run_all([*prints, undo_print(installation)])

    tables = tables_of(configuration, replies)
    if isinstance(tables, str):
        return tables

    # Who may not read schedulers may not write one either.
    schedulers = [] if isinstance(undo, Trap) else undo.rows
    plan = configuration_plan(configuration, tables)

    return Reading(tables, plan, schedulers)


async def arm(
    session: RouterSession, steps: Sequence[Step], installation: str
) -> None:
    """Put the undo of some steps on the router, and see it there.

    Raises NotArmed if it is not armed then, ClockMayJump if it could run too
    late, RouterError if the connection is lost.
    """
    (ntp,) = await session.run_all([ntp_print()])
    if ntp_state(ntp) == "Unsynchronized":
        raise ClockMayJump

    try:
        clock = await session.run(clock_print())
        row = clock.rows[0] if clock.rows else {}
        commands = undo_schedulers(steps, installation, row)

        for command in commands:
            await session.run(command)

        schedulers = await session.run(undo_print(installation))
    except Trap as refusal:
        with suppress(Trap):
            await disarm(session, installation)

        raise NotArmed(refusal) from None

    if not is_armed(commands, schedulers.rows):
        await disarm(session, installation)
        raise NotArmed(None)


async def disarm(session: RouterSession, installation: str) -> bool:
    """Take the undo away; return whether all of it was still there, so that it
    has not run. Raises RouterError if the connection is lost.
    """
    was_there = True
    schedulers = await session.run(undo_print(installation))

    for row in schedulers.rows:
        target = {".id": row[".id"]}

        try:
            await session.run(Command(SCHEDULER.path, "remove", target))
        except Trap as trap:
            if trap.kind is not TrapKind.GONE:
                raise

            was_there = False

    return was_there and bool(schedulers.rows)


async def write(
    session: RouterSession,
    steps: Sequence[Step],
    may_write: Callable[[], bool],
    *,
    past_refusals: bool = False,
) -> Trap | None:
    """Do steps one after the other; return the first refusal, after which
    nothing more is done unless `past_refusals`.

    Raises RouterError if the connection is lost.
    """
    first: Trap | None = None

    for step in steps:
        if not may_write():
            break

        try:
            await session.run(step.command)
        except Trap as refusal:
            first = first or refusal

            if not past_refusals:
                break

    return first


async def confirm(
    link: RouterLink,
    device: Device,
    serial_number: str | None,
    configuration: Configuration,
    installation: str,
) -> str:
    """Log in afresh, read all back, and take the undo away; return why that
    was not done, empty if it was.

    `serial_number` is that of the Device's router, as far as is known. Raises
    RouterError if no login comes through.
    """
    session = await link.dial(device)

    try:
        facts = await read_facts(session)
        check_serial_number(device, facts, serial_number)

        reading = await read_configuration(
            session, configuration, installation
        )
        if isinstance(reading, str):
            return reading

        if reading.plan.risky():
            return "the rows do not read as written"

        was_there = await disarm(session, installation)

        return "" if was_there else "the undo was not there any more"
    finally:
        await session.close()
