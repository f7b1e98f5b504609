"""The commands of a plan while it is put together: of each row it is decided once whether it stays or goes. Pure."""

from __future__ import annotations

from cerebro.routeros.access.result import SET, UNDO, AccessPlan
from cerebro.routeros.client.command import Command
from cerebro.routeros.menus.menu import Menu, Row, is_dynamic


class Changes:
    """Adds commands to the stages of a plan. Rows are known by path and id, since each menu counts its own ids."""

    def __init__(self, plan: AccessPlan) -> None:
        self._plan = plan
        self._kept: set[tuple[str, str]] = set()
        self._ended: set[tuple[str, str]] = set()

    def settled(self, menu: Menu, row: Row) -> bool:
        """Tell whether it is decided already that a row stays, or that it is in force no longer."""
        return (menu.path, row[".id"]) in self._kept or self.ended(menu, row)

    def ended(self, menu: Menu, row: Row) -> bool:
        """Tell whether it is decided that a row is in force no longer."""
        return (menu.path, row[".id"]) in self._ended

    def keep(self, menu: Menu, row: Row, wanted: Row) -> bool:
        """Keep a row that a live client needs, with `wanted` as its values; gives whether more than our own
        marker has to be put right.
        """
        self._kept.add((menu.path, row[".id"]))
        changes = menu.differences(wanted, row)
        if changes:
            self.do(SET, menu, "set", {".id": row[".id"], **changes})
        return bool(changes.keys() - {"comment"})

    def drop(self, stage: int, menu: Menu, row: Row) -> None:
        """Remove a row, once."""
        if self._end(menu, row):
            self.do(stage, menu, "remove", {".id": row[".id"]})

    def disable(self, menu: Menu, row: Row) -> None:
        """Let a row count no longer, and leave it as the router's own note that its client is being cut off."""
        if self._end(menu, row):
            self.do(UNDO, menu, "set", {".id": row[".id"], "disabled": "true"})

    def do(self, stage: int, menu: Menu, verb: str, attributes: dict[str, str]) -> None:
        """Add a command."""
        self._plan.stages[stage].append(Command(menu.path, verb, attributes))

    def _end(self, menu: Menu, row: Row) -> bool:
        if is_dynamic(row) or self.ended(menu, row):
            return False
        self._ended.add((menu.path, row[".id"]))
        return True
