"""Which rows of the configuration somebody else keeps changing (rule B10).
Pure; times come in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from cerebro.agent.devices.often import SPAN, Times, note_event, often
from cerebro.routeros.configuration.desired import Configuration
from cerebro.routeros.configuration.steps import ConfigurationPlan, Step


class Fight(NamedTuple):
    """The rows that are contested; whether one of them is to be repaired
    again; how many are contested for the first time; how many somebody
    else had changed.
    """

    rows: frozenset[str]
    is_planned: bool
    news: int
    drifted: int


class Repairs:
    """Counts repairs of rows that had been as wanted."""

    def __init__(self) -> None:
        self._equal_as: Configuration | None = None
        """With what the router was equal at the last look."""

        self._times: Times = {}

    def note(
        self, wanted: Configuration, plan: ConfigurationPlan, now: float
    ) -> Fight:
        """Take in a plan, made at `now` in monotonic seconds; return what is
        contested then.
        """
        steps = [*plan.steps, *plan.leftovers]
        before = often(self._times, now)
        drifted = 0

        if not steps:
            self._equal_as = wanted
        elif self._equal_as == wanted:
            self._equal_as = None
            drifted = self._count(steps, now)

        rows = often(self._times, now)
        planned = {_name(step) for step in steps}

        news = len(rows - before)

        return Fight(rows, not rows.isdisjoint(planned), news, drifted)

    def _count(self, steps: Iterable[Step], now: float) -> int:
        """Count a repair of each row, and forget those of long ago; return
        how many rows are repaired.
        """
        names = {_name(step) for step in steps}

        for name in names:
            note_event(self._times, name, now)

        self._times = {
            name: times
            for name, times in self._times.items()
            if now - times[-1] < SPAN
        }

        return len(names)


def _name(step: Step) -> str:
    """Return a text that is the same each time the same row is repaired."""
    if step.row is not None:
        return f"{step.menu.path} {step.row['.id']}"

    said = " ".join(f"{name}={text}" for name, text in step.added_as.items())

    return f"{step.menu.path} {said}"
