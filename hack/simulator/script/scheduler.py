"""When schedulers run: on the router's clock, by its date.

What was missed is not made up for: when the clock jumps over several turns, a
scheduler runs once. One without an interval whose start has passed, also while
the router was down or did not know the date, never runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

from simulator.clock import Clock
from simulator.row import Row
from simulator.table import Event, Table
from simulator.values import parse_duration

AFTER_BOOT = 3.0
"""Seconds from the boot to what starts at `startup`."""


class SchedulerRouter(Protocol):
    """The part of the router that the scheduler needs."""

    clock: Clock

    @property
    def tables(self) -> dict[str, Table]:
        """The tables by the paths of their menus."""


def start_of(values: Mapping[str, str], clock: Clock) -> datetime:
    """Return the date and time at which a scheduler begins. Raises
    ValueError.
    """
    day = datetime.strptime(values["start-date"], clock.date_format).replace(
        tzinfo=clock.zone
    )
    return day + timedelta(seconds=parse_duration(values["start-time"]))


class Scheduler:
    """Knows when each row of `/system/scheduler` is due."""

    def __init__(self, router: SchedulerRouter) -> None:
        self._clock = router.clock
        self._table = router.tables["/system/scheduler"]
        self._booted = self._clock.now()
        self._due: dict[str, float] = {}
        self._earliest = math.inf
        self._table.subscribe(self._told)

    def boot(self) -> None:
        """Begin anew, as behind a boot: counters go, `startup` comes."""
        self._booted = self._clock.now()
        for row in self._table.rows.values():
            row.values["run-count"] = "0"
        self.recompute()

    def recompute(self) -> None:
        """Look at the clock anew, which was set."""
        for row in self._table.rows.values():
            self._plan(row)

    def take_due(self) -> list[Row]:
        """Return the rows that are due, in the table's order, and plan their
        next runs.
        """
        now = self._clock.now()
        if now < self._earliest:
            return []
        due = [
            row
            for row in self._table.rows.values()
            if self._due.get(row.id, math.inf) <= now
        ]
        for row in due:
            count = int(row.values.get("run-count", "0"))
            row.values["run-count"] = str(count + 1)
            self._plan(row)
        return due

    def _told(self, event: Event, row: Row) -> None:
        if event == "remove":
            self._note(row.id, None)
        else:
            self._plan(row)

    def _plan(self, row: Row) -> None:
        self._note(row.id, self._next(row))

    def _note(self, row_id: str, due: float | None) -> None:
        if due is None:
            self._due.pop(row_id, None)
        else:
            self._due[row_id] = due
        self._earliest = min(self._due.values(), default=math.inf)

    def _next(self, row: Row) -> float | None:
        """Return when the row runs next, in seconds of the clock; None for
        never.
        """
        values = row.values
        if values.get("disabled") == "true":
            return None
        now = self._clock.now()
        interval = parse_duration(values["interval"])
        if values["start-time"] == "startup":
            start = self._booted + AFTER_BOOT
            if interval:
                # The manual: with an interval it does not run at startup.
                start += interval
        else:
            ahead = start_of(values, self._clock) - self._clock.utc()
            start = now + ahead.total_seconds()
        if start > now:
            return start
        if not interval:
            return None
        turns = math.floor((now - start) / interval) + 1
        return start + turns * interval

    def next_text(self, row: Row) -> str | None:
        """Return `next-run`; None for never."""
        due = self._due.get(row.id)
        if due is None:
            return None
        return self._clock.stamp(due - self._clock.now())
