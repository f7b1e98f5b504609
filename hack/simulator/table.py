"""The rows of one menu: ids, order, uniqueness, subscribers. Works on normal
forms, parsed before.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Literal

from simulator.errors import Trap
from simulator.menu import Menu, MenuRouter, Unique
from simulator.row import Row

Event = Literal["add", "set", "remove"]
Subscriber = Callable[[Event, Row], None]

Saved = tuple[Row, dict[str, str], dict[str, Any]]
"""A row with what it showed, and with what it kept hidden, at a time."""


class Table:
    """One menu of one router. Every change is told to the subscribers at once,
    first come first.
    """

    def __init__(self, router: MenuRouter, menu: Menu) -> None:
        self.router = router
        self.menu = menu
        self.properties = menu.by_name()
        self.rows: dict[str, Row] = {}
        self.subscribers: list[Subscriber] = []
        self._next_id = 1
        self._taken: list[dict[Hashable, str]] = [{} for _ in menu.unique]
        self._by_name: dict[str, str] = {}

    def add(
        self,
        values: Mapping[str, str],
        *,
        hidden: Mapping[str, Any] | None = None,
        before: Row | None = None,
        locked: bool = False,
    ) -> Row:
        """Make a row of normal forms; defaults are filled in. Raises Trap for
        a duplicate.
        """
        filled = {
            p.name: p.default
            for p in self.menu.properties
            if p.default is not None
        }
        filled.update(values)
        self._check(filled, None)
        row = Row(f"*{self._next_id:X}", filled, dict(hidden or {}), locked)
        self._next_id += 1
        filled[".id"] = row.id
        self.rows[row.id] = row
        if before is not None:
            self.move([row], before)
        if self.menu.changed:
            self.menu.changed(self.router, row, set(values) | set(row.hidden))
        self._take(row)
        self._tell("add", row)
        return row

    def set(self, row: Row, changes: Mapping[str, str | None]) -> None:
        """Change or (None) drop properties of a row. Raises Trap for a
        duplicate, having changed nothing.
        """
        visible = {n: v for n, v in changes.items() if not self._is_hidden(n)}
        values = {n: v for n, v in row.values.items() if n not in visible}
        values.update({n: v for n, v in visible.items() if v is not None})
        self._check(values, row)
        self._release(row)
        row.values = values
        self._take(row)
        for name in changes.keys() - visible.keys():
            if changes[name] is None:
                row.hidden.pop(name, None)
            else:
                row.hidden[name] = changes[name]
        if self.menu.changed:
            self.menu.changed(self.router, row, set(changes))
        self._tell("set", row)

    def remove(self, row: Row) -> None:
        """Take a row away; one that is gone already is no error."""
        if self.rows.pop(row.id, None) is None:
            return
        self._release(row)
        self._tell("remove", row)

    def clear(self) -> None:
        """Empty the table without telling anyone, as a reboot does."""
        self.rows.clear()
        self._by_name.clear()
        for taken in self._taken:
            taken.clear()

    def move(self, rows: Sequence[Row], before: Row | None) -> None:
        """Put `rows` as a block, in their given order, before a row or (None)
        at the end of the table.
        """
        ids = {row.id for row in rows}
        order = [row for row in self.rows.values() if row.id not in ids]
        at = order.index(before) if before in order else len(order)
        order[at:at] = rows
        self.rows = {row.id: row for row in order}

    def saved(self) -> list[Saved]:
        """Return the configuration as it is now, for `restore`."""
        return [
            (row, dict(row.values), self._written(row))
            for row in self.rows.values()
            if not row.temporary
        ]

    def restore(self, saved: Sequence[Saved]) -> None:
        """Make the configuration what it was; dynamic rows stay as they are."""
        ids = {row.id for row, _, _ in saved}
        for row in list(self.rows.values()):
            if row.id not in ids and not row.temporary:
                self.remove(row)
        for row, values, written in saved:
            if row.id not in self.rows:
                self._put_back(row, values, written, "add")
            elif (row.values, self._written(row)) != (values, written):
                self._release(row)
                self._put_back(row, values, written, "set")
        self.move(
            [row for row in self.rows.values() if row.id not in ids], None
        )
        self.rows = {row.id: row for row, _, _ in saved} | self.rows

    def _put_back(
        self,
        row: Row,
        values: dict[str, str],
        written: dict[str, Any],
        event: Event,
    ) -> None:
        row.values = dict(values)
        for name in self._written(row).keys() - written.keys():
            del row.hidden[name]
        row.hidden.update(written)
        self.rows[row.id] = row
        self._take(row)
        self._tell(event, row)

    def _written(self, row: Row) -> dict[str, Any]:
        return {n: v for n, v in row.hidden.items() if self._is_hidden(n)}

    def find(self, reference: str) -> Row | None:
        """Return the row with this id or unambiguous name."""
        return self.rows.get(reference) or self.rows.get(
            self._by_name.get(reference, "")
        )

    def id_of(self, name: str) -> str | None:
        """Return the id of the row with this name or id."""
        row = self.find(name)
        return row.id if row else None

    def name_of(self, row_id: str) -> str | None:
        """Return the name of the row with this id."""
        row = self.rows.get(row_id)
        return row.values.get("name") if row else None

    def holder(self, rule: int, key: Hashable) -> Row | None:
        """Return the row that holds a natural key under the menu's unique rule
        number `rule`.
        """
        return self.rows.get(self._taken[rule].get(key, ""))

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Tell `subscriber` of every change from now on; the result ends that."""
        self.subscribers.append(subscriber)
        return lambda: (
            self.subscribers.remove(subscriber)
            if subscriber in self.subscribers
            else None
        )

    def _is_hidden(self, name: str) -> bool:
        prop = self.properties.get(name)
        return prop is not None and prop.kept_hidden

    def _tell(self, event: Event, row: Row) -> None:
        for subscriber in tuple(self.subscribers):
            subscriber(event, row)

    @staticmethod
    def _key(rule: Unique, values: Mapping[str, str]) -> Hashable | None:
        if rule.enabled_only and values.get("disabled") == "true":
            return None
        return rule.key(values)

    def _check(self, values: Mapping[str, str], row: Row | None) -> None:
        for rule, taken in zip(self.menu.unique, self._taken, strict=True):
            holder = taken.get(self._key(rule, values))
            if holder is not None and (row is None or holder != row.id):
                raise Trap(rule.message)

    def _take(self, row: Row) -> None:
        for rule, taken in zip(self.menu.unique, self._taken, strict=True):
            key = self._key(rule, row.values)
            if key is not None:
                taken[key] = row.id
        if "name" in row.values and not row.locked:
            self._by_name[row.values["name"]] = row.id

    def _release(self, row: Row) -> None:
        for rule, taken in zip(self.menu.unique, self._taken, strict=True):
            key = self._key(rule, row.values)
            if taken.get(key) == row.id:
                del taken[key]
        name = row.values.get("name", "")
        if self._by_name.get(name) == row.id:
            del self._by_name[name]
