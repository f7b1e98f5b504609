"""What is to be done about the configuration of a router: from what was read
there, and what is remembered, to the next step. Pure; times come in.

A change that may cut the connection is made while an undo is armed on the
router (rule B11). The undo is taken away once a fresh login has worked and read the rows
as wanted; else it runs, and that change is not tried again until the spec or
the router changes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import Enum

from cerebro.resources import Device
from cerebro.resources.naming import ANNOTATION_RESYNC_AT
from cerebro.routeros.configuration.desired import Configuration
from cerebro.routeros.configuration.earlier import Tables
from cerebro.routeros.configuration.steps import ConfigurationPlan
from cerebro.routeros.configuration.undo import UNDO_AFTER
from cerebro.routeros.menus.menu import is_dynamic

CONFIRM_WITHIN = UNDO_AFTER - 5
"""Seconds from the arming in which a login is tried: later it might meet the
undo.
"""

WRITE_WITHIN = UNDO_AFTER - 15
"""Seconds from the arming in which the change is written: a step that hung for
that long is the last one, for what is written after the undo stays.
"""

ARRIVES_WITHIN = 10.0
"""Seconds in which a step reaches the router, or never does: less than there
are between the last step and the undo, whatever becomes of this process.
"""

HAS_RUN = UNDO_AFTER + 15
"""Seconds from the arming after which the undo ran, or never runs."""

_TRY_AGAIN_AFTER = 600.0
"""Seconds after which other rows of the router, which may change by
themselves, let an undone change be tried again.
"""

_PLACES = ("=place-before=", "=destination=")
"""Words of a command that name the row before which another one is put."""


class Todo(Enum):
    """The next step."""

    NOTHING = "nothing"
    """Nothing that may cut the connection is to be changed."""

    CHANGE = "change"
    """Arm the undo, and make the change."""

    CONFIRM = "confirm"
    """The rows are as wanted: log in afresh and take the undo away."""

    WAIT = "wait"
    """A change was begun and is not whole: the undo is about to run."""

    UNDONE = "undone"
    """The undo has run."""

    LEAVE = "leave"
    """The change was undone before, and nothing is different now."""

    DISARM = "disarm"
    """The undo ought to have run and did not: take it away, begin anew."""


@dataclass(frozen=True, slots=True)
class Situation:
    """Where a change of the configuration stands."""

    is_planned: bool
    """Something that may cut the connection is to be changed."""

    is_armed: bool
    """An undo is on the router."""

    armed_at: float | None = None
    """When this loop armed one that it has not seen to be over."""

    seen_at: float | None = None
    """When this loop first saw one that it did not arm: an agent died."""

    is_undone_change: bool = False
    """What is planned was undone before (see `UndoneChange`)."""


def next_step(situation: Situation, now: float) -> Todo:
    """Return what is to be done at `now`, in monotonic seconds as the times of
    the situation.
    """
    if situation.is_armed:
        if not situation.is_planned:
            return Todo.CONFIRM

        since = situation.armed_at
        since = situation.seen_at if since is None else since
        has_run = since is not None and now - since > HAS_RUN

        return Todo.DISARM if has_run else Todo.WAIT

    if not situation.is_planned:
        return Todo.NOTHING

    if situation.armed_at is not None:
        return Todo.UNDONE

    return Todo.LEAVE if situation.is_undone_change else Todo.CHANGE


@dataclass(frozen=True, slots=True)
class UndoneChange:
    """A change that the router took back: what was to be changed, and all the
    rows as they read afterwards, both as digests.
    """

    change: str
    rows: str

    def text(self) -> str:
        """Return it as a status keeps it."""
        return f"{self.change}:{self.rows}"

    def is_same(self, now: UndoneChange, age: float) -> bool:
        """Return whether what is planned `now` is that change, `age` seconds
        later.
        """
        if self.change != now.change:
            return False

        return self.rows == now.rows or age < _TRY_AGAIN_AFTER


def undone_change(text: str | None) -> UndoneChange | None:
    """Return a change as a status keeps it; None if that has none."""
    change, colon, rows = (text or "").partition(":")

    return UndoneChange(change, rows) if colon else None


def planned_change(
    device: Device,
    configuration: Configuration,
    plan: ConfigurationPlan,
    tables: Tables,
) -> UndoneChange:
    """Return a planned change in the form in which it is remembered.

    A request for a resync is part of it: so a person has it tried again. Which
    row is first in a chain is not: a script on the router may change that all
    the time.
    """
    requested = device.metadata.annotations.get(ANNOTATION_RESYNC_AT, "")
    commands = [
        [word for word in step.command.words() if not word.startswith(_PLACES)]
        for step in plan.risky()
    ]

    rows = {
        menu.path: [
            [menu.normal(row, name) for name in menu.compared]
            for row in tables.get(menu.path, ())
            if not is_dynamic(row)
        ]
        for menu in configuration.menus
    }

    return UndoneChange(_digest([requested, commands]), _digest(rows))


def _digest(value: object) -> str:
    text = json.dumps(value, ensure_ascii=True)

    return hashlib.sha256(text.encode()).hexdigest()[:16]
