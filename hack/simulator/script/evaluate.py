"""What the expressions of a script are worth, for a row or without.

A method that may take long is a generator, which yields after every step: 0,
or the seconds that the script wants to wait.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TypeVar

from simulator import values as kinds
from simulator.printing import View
from simulator.row import Row
from simulator.script import operators
from simulator.script.console import Column as Cell
from simulator.script.console import Console, argument
from simulator.script.tree import (
    ArrayLiteral,
    Binary,
    Column,
    Command,
    Interpolated,
    Literal,
    Node,
    Substitution,
    Unary,
    Variable,
)
from simulator.script.values import (
    Array,
    ScriptError,
    Value,
    to_str,
    type_name,
)

Result = TypeVar("Result")
Steps = Generator[float, None, Result]


@dataclass
class Scope:
    """The variables of a block; `shared` names the global ones among them."""

    parent: Scope | None = None
    values: dict[str, Value] = field(default_factory=dict)
    shared: set[str] = field(default_factory=set)


@dataclass
class Place:
    """The row that a condition looks at."""

    view: View
    row: Row


class Evaluator:
    """Values, with the rights of a console. `shared` are the global
    variables.
    """

    def __init__(self, console: Console, shared: dict[str, Value]) -> None:
        self.console = console
        self.shared = shared
        self.place: Place | None = None

    @abstractmethod
    def command(self, command: Command, scope: Scope) -> Steps[Value]:
        """Run a command; return what it gives."""

    def variables(self, name: str, scope: Scope) -> dict[str, Value]:
        """Return where a variable is kept."""
        place: Scope | None = scope
        while place is not None:
            if name in place.shared:
                return self.shared
            if name in place.values:
                return place.values
            place = place.parent
        raise ScriptError(f"undefined variable {name}")

    def values(self, command: Command, scope: Scope) -> Steps[list[Value]]:
        """Return the arguments without a name."""
        values = []
        for node in command.values:
            values.append((yield from self.evaluate(node, scope)))
        return values

    def evaluate(self, node: Node, scope: Scope) -> Steps[Value]:
        """Return what a value of the script is worth. Raises ScriptError,
        Trap.
        """
        if isinstance(node, Literal):
            return node.value
        if isinstance(node, Variable):
            return self.variables(node.name, scope)[node.name]
        if isinstance(node, Binary):
            return (yield from self._binary(node, scope))
        if isinstance(node, Substitution):
            return (yield from self._bracket(node, scope))
        if isinstance(node, Interpolated):
            text = ""
            for part in node.parts:
                text += to_str((yield from self.evaluate(part, scope)))
            return text
        if isinstance(node, Column):
            return self._cell(node).value()
        if isinstance(node, Unary):
            return (yield from self._unary(node, scope))
        if isinstance(node, ArrayLiteral):
            return (yield from self._array(node, scope))
        raise ScriptError("syntax error: a block is no value")

    def _bracket(self, node: Substitution, scope: Scope) -> Steps[Value]:
        outer, self.place = self.place, None
        try:
            return (yield from self.command(node.command, scope))
        finally:
            self.place = outer

    def _array(self, node: ArrayLiteral, scope: Scope) -> Steps[Value]:
        result = Array()
        for key, item in node.items:
            value = yield from self.evaluate(item, scope)
            if key is None:
                result.items.append(value)
            else:
                result.named[key] = value
        return result

    def _unary(self, node: Unary, scope: Scope) -> Steps[Value]:
        if node.operator == "!" and isinstance(node.operand, Column):
            return not (yield from self.holds(node.operand, scope))
        value = yield from self.evaluate(node.operand, scope)
        return operators.unary(node.operator, value)

    def _binary(self, node: Binary, scope: Scope) -> Steps[Value]:
        sign = node.operator
        if sign in {"&&", "||"}:
            left = yield from self.holds(node.left, scope)
            if left == (sign == "||"):
                return left
            return (yield from self.holds(node.right, scope))
        if isinstance(node.left, Column) and sign in _CELL_SIGNS:
            return (yield from self._compared(node, node.left, scope))
        first = yield from self.evaluate(node.left, scope)
        second = yield from self.evaluate(node.right, scope)
        return operators.binary(sign, first, second)

    def holds(self, node: Node, scope: Scope) -> Steps[bool]:
        """Return whether a condition holds; a property alone does when it is
        set, or true.
        """
        if isinstance(node, Column):
            cell = self._cell(node)
            return cell.text not in {None, "", "false"}
        return (yield from self.truth(node, scope))

    def truth(self, node: Node, scope: Scope) -> Steps[bool]:
        """Return a condition's worth. Raises ScriptError where it is neither
        true nor false.
        """
        value = yield from self.evaluate(node, scope)
        if not isinstance(value, bool):
            raise ScriptError(f"conditional not boolean: {type_name(value)}")
        return value

    def _cell(self, node: Column) -> Cell:
        if self.place is None:
            raise ScriptError(f"no row has {node.name} here")
        place = self.place
        return self.console.column(place.view, place.row, node.name)

    def _compared(
        self, node: Binary, column: Column, scope: Scope
    ) -> Steps[bool]:
        """Return whether a property compares so to a value: as the property's
        kind compares, whatever the value's type.
        """
        cell = self._cell(column)
        place = self.place
        if isinstance(node.right, Literal):
            text = node.right.text
        else:
            value = yield from self.evaluate(node.right, scope)
            text = argument(value)
        if place is None:
            return False
        if node.operator == "~":
            return operators.matches(cell.text or "", text) is True
        wanted = cell.normal(text, place.view, column.name)
        if node.operator in {"=", "!="}:
            empty = "false" if isinstance(cell.kind, kinds.Bool) else ""
            same = (cell.text or empty) == wanted
            return same if node.operator == "=" else not same
        return _ordered(cell, node.operator, wanted)


_CELL_SIGNS = {"=", "!=", "<", ">", "<=", ">=", "~"}


def _ordered(cell: Cell, sign: str, wanted: str) -> bool:
    if type(cell.kind) is kinds.Kind:
        raise ScriptError("cannot compare if string is less than string")
    if cell.text is None:
        return False
    try:
        left, right = cell.kind.key(cell.text), cell.kind.key(wanted)
    except ValueError:
        return False
    if sign in {"<", "<="}:
        return left < right or (sign == "<=" and left == right)
    return left > right or (sign == ">=" and left == right)
