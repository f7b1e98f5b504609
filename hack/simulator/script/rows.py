"""The commands of menus, as a script runs them."""

from __future__ import annotations

from simulator.row import Row
from simulator.script.console import argument, references
from simulator.script.evaluate import Evaluator, Place, Scope, Steps
from simulator.script.tree import Command, Literal
from simulator.script.values import (
    NIL,
    Array,
    Id,
    Nil,
    ScriptError,
    Value,
    to_str,
)

ROWS_OF_A_STEP = 32
"""So many rows of a table are looked at in one step."""


class RowCommands(Evaluator):
    """find, print, get, add, set, remove, ... and what single menus have."""

    def _arguments(
        self, command: Command, scope: Scope
    ) -> Steps[dict[str, str]]:
        result = {}
        for name, node in command.named.items():
            if isinstance(node, Literal):
                # As it was written: 007 stays 007.
                result[name] = node.text
            else:
                value = yield from self.evaluate(node, scope)
                result[name] = argument(value)
        return result

    def _plain(self, command: Command, scope: Scope) -> Steps[Value]:
        path = command.path or ""
        arguments = yield from self._arguments(command, scope)
        values = yield from self.values(command, scope)
        if path == "/log" and len(values) == 1:
            arguments["message"] = to_str(values[0])
        elif values:
            arguments["numbers"] = ",".join(references(values[0]))
        ret = self.console.call(path, command.verb, arguments)
        return ret or NIL

    def _targets(
        self, command: Command, scope: Scope, arguments: dict[str, str]
    ) -> Steps[list[str]]:
        values = yield from self.values(command, scope)
        if "numbers" in arguments:
            values.append(arguments.pop("numbers"))
        if not values:
            raise ScriptError("expected item number")
        return references(values[0])

    def _each(self, command: Command, scope: Scope) -> Steps[Value]:
        """Run a command for row after row: what was done stays when one
        fails.
        """
        arguments = yield from self._arguments(command, scope)
        rows = yield from self._targets(command, scope, arguments)
        for row in rows:
            self.console.call(
                command.path or "", command.verb, {".id": row} | arguments
            )
            yield 0.0
        return NIL

    def _change(self, command: Command, scope: Scope) -> Steps[Value]:
        path = command.path or ""
        if not self.console.router.tables[path].menu.singleton:
            return (yield from self._each(command, scope))
        if command.values:
            raise ScriptError("expected end of command")
        arguments = yield from self._arguments(command, scope)
        self.console.call(path, "set", arguments)
        return NIL

    def _add(self, command: Command, scope: Scope) -> Steps[Value]:
        if command.values:
            raise ScriptError("expected end of command")
        arguments = yield from self._arguments(command, scope)
        return Id(self.console.call(command.path or "", "add", arguments))

    def _move(self, command: Command, scope: Scope) -> Steps[Value]:
        arguments = yield from self._arguments(command, scope)
        values = yield from self.values(command, scope)
        if len(values) > 1:
            arguments["destination"] = ",".join(references(values[1]))
        if values:
            arguments["numbers"] = ",".join(references(values[0]))
        self.console.call(command.path or "", "move", arguments)
        return NIL

    def _get(self, command: Command, scope: Scope) -> Steps[Value]:
        path = command.path or ""
        values = yield from self.values(command, scope)
        named = yield from self._arguments(command, scope)
        single = self.console.router.tables[path].menu.singleton
        target: Value = named.get("number", named.get("numbers", NIL))
        if values and not single and isinstance(target, Nil):
            target = values.pop(0)
        name = named.get("value-name", values.pop(0) if values else None)
        if values:
            raise ScriptError("expected end of command")
        self.console.rights.need("read")
        row = self.console.row(path, target)
        return self.console.get(
            path, row, None if name is None else to_str(name)
        )

    def _rows(self, command: Command, scope: Scope) -> Steps[list[Row]]:
        """Return the rows for which the condition holds."""
        view = self.console.view(command.path or "")
        rows = list(view.table.rows.values())
        if command.where is None:
            return rows
        outer, chosen = self.place, []
        try:
            for at, row in enumerate(rows):
                if at % ROWS_OF_A_STEP == 0:
                    yield 0.0
                if row.id not in view.table.rows:
                    continue
                self.place = Place(view, row)
                if (yield from self.holds(command.where, scope)):
                    chosen.append(row)
        finally:
            self.place = outer
        return chosen

    def _find(self, command: Command, scope: Scope) -> Steps[Value]:
        rows = yield from self._rows(command, scope)
        return Array([Id(row.id) for row in rows])

    def _print(self, command: Command, scope: Scope) -> Steps[Value]:
        rows = yield from self._rows(command, scope)
        if "count-only" in command.named:
            return len(rows)
        if "as-value" not in command.named:
            return NIL
        path = command.path or ""
        shown = Array()
        for row in rows:
            shown.items.append(self.console.get(path, row, None))
            yield 0.0
        return shown
