"""The commands of a plan while it is put together: of each row it is decided once whether it stays or goes. Pure."""

from __future__ import annotations

from cerebro.routeros.access.result import SET, UNDO, AccessPlan
from cerebro.routeros.access.tables import IndexedRow
from cerebro.routeros.client.command import Command
from cerebro.routeros.menus.menu import Menu, Row, is_dynamic


class Changes:
    """Adds commands to the stages of a plan. Rows are known by path and id, since each menu counts its own ids."""

    def __init__(self, plan: AccessPlan) -> None:
        self._plan = plan
        self._kept: set[tuple[str, str]] = set()
        self._ended: set[tuple[str, str]] = set()

    def settled(self, row: IndexedRow) -> bool:
        """Return whether it is decided already that a row stays, or that it is in force no longer."""
        return (row.menu.path, row.id) in self._kept or self.ended(row)

    def ended(self, row: IndexedRow) -> bool:
        """Return whether it is decided that a row is in force no longer."""
        return (row.menu.path, row.id) in self._ended

    def keep(self, row: IndexedRow, desired: Row) -> bool:
        """Keep a row that a live client needs, with `desired` as its values.

        Returns whether more than our own marker has to be put right.
        """
        self._kept.add((row.menu.path, row.id))
        differences = row.menu.differences(desired, row.row)
        if differences:
            self.do(SET, row.menu, "set", {".id": row.id, **differences})
        return bool(differences.keys() - {"comment"})

    def drop(self, stage: int, row: IndexedRow) -> None:
        """Remove a row, once."""
        if self._end(row.menu, row.id, dynamic=row.dynamic):
            self.do(stage, row.menu, "remove", {".id": row.id})

    def drop_unindexed(self, stage: int, menu: Menu, row: Row) -> None:
        """Remove a row of a menu that is not indexed row by row, once."""
        if self._end(menu, row[".id"], dynamic=is_dynamic(row)):
            self.do(stage, menu, "remove", {".id": row[".id"]})

    def disable(self, row: IndexedRow) -> None:
        """Let a row count no longer, and leave it as the router's own note that its client is being cut off."""
        if self._end(row.menu, row.id, dynamic=row.dynamic):
            self.do(UNDO, row.menu, "set", {".id": row.id, "disabled": "true"})

    def do(self, stage: int, menu: Menu, verb: str, attributes: dict[str, str]) -> None:
        """Add a command."""
        self._plan.stages[stage].append(Command(menu.path, verb, attributes))

    def _end(self, menu: Menu, row_id: str, *, dynamic: bool) -> bool:
        """Note that a row ends; returns False where it has ended already, or is the router's own."""
        if dynamic or (menu.path, row_id) in self._ended:
            return False
        self._ended.add((menu.path, row_id))
        return True
