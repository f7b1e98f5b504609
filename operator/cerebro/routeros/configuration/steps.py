"""The plan of a router's configuration as values: its steps, what each changes
and whether it is risky. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cerebro.routeros.client.command import Command
from cerebro.routeros.menus.menu import Menu, Row, is_true


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a plan, with what is needed to take it back.

    `row` is the row that the command names, as it reads before it; None if it
    adds one. `added_as` are the properties by which an added row is known
    afterwards. `row_behind` is the id of the row that stands behind a moved
    one before that; None if it is the last.
    """

    menu: Menu
    command: Command
    risky: bool
    row: Row | None = None
    added_as: Row = field(default_factory=dict)
    row_behind: str | None = None


@dataclass(slots=True)
class ConfigurationPlan:
    """What makes a router's configuration as wanted: `steps` in their order,
    then `leftovers`, which remove rows of ours that nothing needs.

    `rows` are the rows that commands name, by path and id; `notes` say what a
    person has to do.
    """

    steps: list[Step] = field(default_factory=list)
    leftovers: list[Step] = field(default_factory=list)
    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def commands(self) -> list[Command]:
        """All commands, in the order in which a person pastes them."""
        return [step.command for step in (*self.steps, *self.leftovers)]

    def name(self, menu: Menu, row: Row) -> str:
        """Note what a row says that a command names, and return its id."""
        row_id = row[".id"]
        self.rows.setdefault((menu.path, row_id), row)

        return row_id

    def harmless(self) -> list[Step]:
        """Return the steps that cannot cut the connection to the router.

        To remove a row that is disabled is one of them: it does nothing.
        """
        return [
            *(step for step in self.steps if not step.risky),
            *(step for step in self.leftovers if not _does_something(step)),
        ]

    def risky(self) -> list[Step]:
        """Return the steps that may cut the connection to the router.

        A row that is to go is only disabled by them: the next plan removes
        it, once the router is known to answer without it.
        """
        return [
            *(step for step in self.steps if step.risky),
            *(
                _disabling(step)
                for step in self.leftovers
                if _does_something(step)
            ),
        ]


def _does_something(removal: Step) -> bool:
    """Return whether the connection may hang on a row that is to go."""
    return removal.risky and not is_true(removal.row or {}, "disabled")


def _disabling(removal: Step) -> Step:
    """Return the step that takes a row out of use and keeps it."""
    row_id = removal.command.attributes[".id"]
    attributes = {".id": row_id, "disabled": "true"}

    return Step(
        menu=removal.menu,
        command=Command(removal.menu.path, "set", attributes),
        risky=True,
        row=removal.row,
    )
