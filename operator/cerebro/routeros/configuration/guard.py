"""The guard's rows on a router: a script, and the scheduler that runs it once
a minute. Pure.

What the script does is in `guard_script`.
"""

from __future__ import annotations

from cerebro.routeros.configuration.desired import Part, WantedRow
from cerebro.routeros.configuration.guard_script import guard_script
from cerebro.routeros.configuration.steps import ConfigurationPlan, Step
from cerebro.routeros.menus.menu import Menu, Row
from cerebro.routeros.menus.system import SCHEDULER, SCRIPT

_INTERVAL = "1m"

_POLICIES = "read,write"
"""The least with which the script runs; whoever makes it has to have them."""


_PURPOSE = ":guard"


def guard_comment(installation: str) -> str:
    """Return the comment of script and scheduler."""
    return f"cerebro:{installation}{_PURPOSE}"


def is_guards(row: Row) -> bool:
    """Return whether a row of the configuration is the guard's."""
    return row.get("comment", "").endswith(_PURPOSE)


def guard_removals(plan: ConfigurationPlan) -> list[Step]:
    """Return the steps of a plan that take rows of the guard off."""
    return [
        step
        for step in plan.leftovers
        if step.row is not None and is_guards(step.row)
    ]


def guard_part(
    installation: str, *, scripted: bool, runs: bool | None
) -> Part:
    """Return the guard as a part of a router's configuration.

    Without `scripted` both rows go. Without `runs` the script is there and
    nothing runs it, so nobody is ended early; None: the scheduler stays as it
    is.
    """
    menus: tuple[Menu, ...] = (SCRIPT, SCHEDULER)
    rows: list[WantedRow] = []

    if scripted:
        rows.append(_script(installation))

        if runs is None:
            menus = (SCRIPT,)

        if runs:
            rows.append(_scheduler(installation))

    return Part(guard_comment(installation), menus, tuple(rows), risky=False)


def _name(installation: str) -> str:
    return f"cerebro-{installation}-guard"


def _script(installation: str) -> WantedRow:
    values = {
        "name": _name(installation),
        "source": guard_script(installation),
        "policy": _POLICIES,
        "comment": guard_comment(installation),
    }

    return WantedRow(SCRIPT, values, key=("name",))


def _scheduler(installation: str) -> WantedRow:
    """It starts with the router: a start by date would wait for a clock that
    jumped back.
    """
    values = {
        "name": _name(installation),
        "on-event": _name(installation),
        "start-time": "startup",
        "interval": _INTERVAL,
        "policy": _POLICIES,
        "comment": guard_comment(installation),
        "disabled": "false",
    }

    return WantedRow(SCHEDULER, values, key=("name",))
