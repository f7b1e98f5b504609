"""The interpreter: runs the tree of a script step by step.

Each of its methods that may take long is a generator, which yields after every
step: 0, or the seconds that the script wants to wait.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from simulator import values as kinds
from simulator.errors import Trap
from simulator.printing import View
from simulator.rights import Rights
from simulator.row import Row
from simulator.script import operators
from simulator.script.builtins import BUILTINS
from simulator.script.console import Column as Cell
from simulator.script.console import Console, argument, references
from simulator.script.tree import (
    ArrayLiteral,
    Binary,
    Block,
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
    NIL,
    NOTHING,
    Array,
    Id,
    Nil,
    ScriptError,
    Time,
    Value,
    to_str,
    to_time,
    type_name,
)

Result = TypeVar("Result")
Steps = Generator[float, None, Result]

ROWS_OF_A_STEP = 32
"""So many rows of a table are looked at in one step."""

MAX_NESTED = 8
"""How deep scripts may run scripts here."""


class LocatedError(ScriptError):
    """A script error that names its command and line already."""


class _ReturnSignal(Exception):
    """`:return`."""


class Host(Protocol):
    """What a script needs of the router besides its menus."""

    def seconds(self) -> float:
        """Return the seconds on the router's clock."""

    def timestamp(self) -> float:
        """Return the seconds since 1970, in UTC."""

    def nested(self, name: str, rights: Rights) -> tuple[Block, Rights]:
        """Return the script of that name and the rights that it runs with.
        Raises Trap, ScriptError.
        """


@dataclass
class Scope:
    """The variables of a block; `shared` names the global ones among them."""

    parent: Scope | None = None
    values: dict[str, Value] = field(default_factory=dict)
    shared: set[str] = field(default_factory=set)


@dataclass
class _Place:
    """The row that a condition looks at."""

    view: View
    row: Row


class Interpreter:
    """Runs one script with the rights of its console. `output` is what `:put`
    shows.
    """

    def __init__(
        self,
        console: Console,
        host: Host,
        shared: dict[str, Value],
        depth: int = 0,
    ) -> None:
        self.console = console
        self.host = host
        self.shared = shared
        self.output: list[str] = []
        self._depth = depth
        self._place: _Place | None = None
        self._commands: dict[str, Callable[[Command, Scope], Steps[Value]]] = {
            "": self._substituted,
            "local": self._local,
            "global": self._global,
            "set": self._set,
            "if": self._if,
            "for": self._for,
            "foreach": self._foreach,
            "while": self._while,
            "do": self._do,
            "error": self._error,
            "return": self._return,
            "put": self._put,
            "delay": self._delay,
            "time": self._time,
            "timestamp": self._timestamp,
        }
        self._verbs: dict[str, Callable[[Command, Scope], Steps[Value]]] = {
            "find": self._find,
            "print": self._print,
            "get": self._get,
            "add": self._add,
            "set": self._change,
            "unset": self._each,
            "remove": self._each,
            "enable": self._each,
            "disable": self._each,
            "comment": self._each,
            "move": self._move,
        }

    def script(self, block: Block) -> Steps[None]:
        """Run a whole script. Raises ScriptError."""
        try:
            yield from self._block(block, Scope())
        except _ReturnSignal:
            return

    # --- commands

    def _block(self, block: Block, outer: Scope) -> Steps[None]:
        scope = Scope(outer)
        for command in block.commands:
            yield from self._command(command, scope)

    def _command(self, command: Command, scope: Scope) -> Steps[Value]:
        yield 0.0
        try:
            result = yield from self._handler(command)(command, scope)
        except LocatedError:
            raise
        except (ScriptError, Trap) as error:
            text = error.message if isinstance(error, Trap) else str(error)
            if command.verb == "error" and command.path is None:
                raise LocatedError(text) from None
            raise LocatedError(
                f"{text} ({command.title}; line {command.line})"
            ) from None
        return result

    def _handler(
        self, command: Command
    ) -> Callable[[Command, Scope], Steps[Value]]:
        if command.path is None:
            return self._commands.get(command.verb, self._builtin)
        if command.path == "/system/script" and command.verb == "run":
            return self._run
        if command.path == "/log":
            return self._plain
        return self._verbs.get(command.verb, self._plain)

    def _builtin(self, command: Command, scope: Scope) -> Steps[Value]:
        values = yield from self._values(command, scope)
        return BUILTINS[command.verb].run(values)

    def _values(self, command: Command, scope: Scope) -> Steps[list[Value]]:
        values = []
        for node in command.values:
            values.append((yield from self._evaluate(node, scope)))
        return values

    def _first(
        self, command: Command, scope: Scope, default: Value
    ) -> Steps[Value]:
        if not command.values:
            return default
        return (yield from self._evaluate(command.values[0], scope))

    def _substituted(self, command: Command, scope: Scope) -> Steps[Value]:
        return (yield from self._first(command, scope, NIL))

    def _local(self, command: Command, scope: Scope) -> Steps[Value]:
        value = yield from self._first(command, scope, NOTHING)
        scope.shared.discard(command.names[0])
        scope.values[command.names[0]] = _own(value)
        return NIL

    def _global(self, command: Command, scope: Scope) -> Steps[Value]:
        name = command.names[0]
        scope.shared.add(name)
        if command.values:
            value = yield from self._first(command, scope, NIL)
            self.shared[name] = _own(value)
        else:
            self.shared.setdefault(name, NOTHING)
        return NIL

    def _set(self, command: Command, scope: Scope) -> Steps[Value]:
        if command.names:
            value = yield from self._first(command, scope, NOTHING)
            place = self._variables(command.names[0], scope)
            place[command.names[0]] = _own(value)
            return NIL
        target = command.values[0]
        if not isinstance(target, Binary) or target.operator != "->":
            raise ScriptError("syntax error")
        array = yield from self._evaluate(target.left, scope)
        key = yield from self._evaluate(target.right, scope)
        value = NOTHING
        if len(command.values) > 1:
            value = yield from self._evaluate(command.values[1], scope)
        if not isinstance(array, Array):
            raise ScriptError(f"cannot set element of {type_name(array)}")
        _put_element(array, key, value)
        return NIL

    def _variables(self, name: str, scope: Scope) -> dict[str, Value]:
        """Return where a variable is kept."""
        place: Scope | None = scope
        while place is not None:
            if name in place.shared:
                return self.shared
            if name in place.values:
                return place.values
            place = place.parent
        raise ScriptError(f"undefined variable {name}")

    def _truth(self, node: Node, scope: Scope) -> Steps[bool]:
        value = yield from self._evaluate(node, scope)
        if not isinstance(value, bool):
            raise ScriptError(f"conditional not boolean: {type_name(value)}")
        return value

    def _if(self, command: Command, scope: Scope) -> Steps[Value]:
        truth = yield from self._truth(command.values[0], scope)
        chosen = command.named.get("do" if truth else "else")
        if isinstance(chosen, Block):
            yield from self._block(chosen, scope)
        return NIL

    def _body(self, command: Command, scope: Scope) -> Steps[None]:
        body = command.named["do"]
        if isinstance(body, Block):
            yield from self._block(body, scope)
        yield 0.0

    def _for(self, command: Command, scope: Scope) -> Steps[Value]:
        numbers = {}
        for name in ("from", "to", "step"):
            if name in command.named:
                node = command.named[name]
                numbers[name] = yield from self._evaluate(node, scope)
        first, last = numbers["from"], numbers["to"]
        if not (isinstance(first, int) and isinstance(last, int)):
            raise ScriptError("invalid value for argument from or to")
        step = numbers.get("step", 1 if first <= last else -1)
        if not isinstance(step, int) or step == 0:
            raise ScriptError("invalid value for argument step")
        at = first
        while at <= last if step > 0 else at >= last:
            values: dict[str, Value] = {command.names[0]: at}
            yield from self._body(command, Scope(scope, values))
            at += step
        return NIL

    def _foreach(self, command: Command, scope: Scope) -> Steps[Value]:
        array = yield from self._evaluate(command.named["in"], scope)
        if isinstance(array, Nil):
            return NIL
        if not isinstance(array, Array):
            array = Array([array])
        for key, value in list(array.pairs()):
            pair = (key, value) if len(command.names) == 2 else (value,)
            values = dict(zip(command.names, pair, strict=True))
            yield from self._body(command, Scope(scope, values))
        return NIL

    def _while(self, command: Command, scope: Scope) -> Steps[Value]:
        while (yield from self._truth(command.values[0], scope)):
            yield from self._body(command, scope)
        return NIL

    def _do(self, command: Command, scope: Scope) -> Steps[Value]:
        body, named = command.values[0], command.named
        if not isinstance(body, Block):
            raise ScriptError("syntax error: expected {")
        try:
            yield from self._block(body, scope)
        except ScriptError:
            rescue = named.get("on-error")
            if not isinstance(rescue, Block):
                raise
            yield from self._block(rescue, scope)
        while "while" in named and (
            yield from self._truth(named["while"], scope)
        ):
            yield from self._block(body, scope)
        return NIL

    def _error(self, command: Command, scope: Scope) -> Steps[Value]:
        raise ScriptError(to_str((yield from self._first(command, scope, ""))))

    def _return(self, command: Command, scope: Scope) -> Steps[Value]:
        yield from self._first(command, scope, NIL)
        raise _ReturnSignal

    def _put(self, command: Command, scope: Scope) -> Steps[Value]:
        self.output.append(
            to_str((yield from self._first(command, scope, "")))
        )
        return NIL

    def _delay(self, command: Command, scope: Scope) -> Steps[Value]:
        span = to_time((yield from self._first(command, scope, NIL)))
        if not isinstance(span, Time):
            raise ScriptError("invalid value for argument delay-time")
        yield max(span.micros / 1_000_000, 0.0)
        return NIL

    def _time(self, command: Command, scope: Scope) -> Steps[Value]:
        start = self.host.seconds()
        body = command.values[0]
        if isinstance(body, Block):
            yield from self._block(body, scope)
        return Time.of(self.host.seconds() - start)

    def _timestamp(self, _command: Command, _scope: Scope) -> Steps[Value]:
        yield 0.0
        return Time.of(self.host.timestamp())

    # --- commands of menus

    def _arguments(
        self, command: Command, scope: Scope
    ) -> Steps[dict[str, str]]:
        result = {}
        for name, node in command.named.items():
            if isinstance(node, Literal):
                # As it was written: 007 stays 007.
                result[name] = node.text
            else:
                value = yield from self._evaluate(node, scope)
                result[name] = argument(value)
        return result

    def _plain(self, command: Command, scope: Scope) -> Steps[Value]:
        path = command.path or ""
        arguments = yield from self._arguments(command, scope)
        values = yield from self._values(command, scope)
        if path == "/log" and len(values) == 1:
            arguments["message"] = to_str(values[0])
        elif values:
            arguments["numbers"] = ",".join(references(values[0]))
        ret = self.console.call(path, command.verb, arguments)
        return ret or NIL

    def _targets(
        self, command: Command, scope: Scope, arguments: dict[str, str]
    ) -> Steps[list[str]]:
        values = yield from self._values(command, scope)
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
        values = yield from self._values(command, scope)
        if len(values) > 1:
            arguments["destination"] = ",".join(references(values[1]))
        if values:
            arguments["numbers"] = ",".join(references(values[0]))
        self.console.call(command.path or "", "move", arguments)
        return NIL

    def _get(self, command: Command, scope: Scope) -> Steps[Value]:
        path = command.path or ""
        values = yield from self._values(command, scope)
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
        outer, chosen = self._place, []
        try:
            for at, row in enumerate(rows):
                if at % ROWS_OF_A_STEP == 0:
                    yield 0.0
                if row.id not in view.table.rows:
                    continue
                self._place = _Place(view, row)
                if (yield from self._holds(command.where, scope)):
                    chosen.append(row)
        finally:
            self._place = outer
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
        return Array([self.console.get(path, row, None) for row in rows])

    def _run(self, command: Command, scope: Scope) -> Steps[Value]:
        values = yield from self._values(command, scope)
        named = yield from self._arguments(command, scope)
        target = values[0] if values else named.get("number", "")
        if self._depth >= MAX_NESTED:
            raise ScriptError("scripts run scripts too deep")
        (name,) = references(target) or [""]
        block, rights = self.host.nested(name, self.console.rights)
        inner = Interpreter(
            self.console.as_other(rights),
            self.host,
            self.shared,
            self._depth + 1,
        )
        inner.output = self.output
        yield from inner.script(block)
        return NIL

    # --- values

    def _evaluate(self, node: Node, scope: Scope) -> Steps[Value]:
        if isinstance(node, Literal):
            return node.value
        if isinstance(node, Variable):
            return self._variables(node.name, scope)[node.name]
        if isinstance(node, Binary):
            return (yield from self._binary(node, scope))
        if isinstance(node, Substitution):
            return (yield from self._bracket(node, scope))
        if isinstance(node, Interpolated):
            text = ""
            for part in node.parts:
                text += to_str((yield from self._evaluate(part, scope)))
            return text
        if isinstance(node, Column):
            return self._cell(node).value()
        if isinstance(node, Unary):
            return (yield from self._unary(node, scope))
        if isinstance(node, ArrayLiteral):
            return (yield from self._array(node, scope))
        raise ScriptError("syntax error: a block is no value")

    def _bracket(self, node: Substitution, scope: Scope) -> Steps[Value]:
        outer, self._place = self._place, None
        try:
            return (yield from self._command(node.command, scope))
        finally:
            self._place = outer

    def _array(self, node: ArrayLiteral, scope: Scope) -> Steps[Value]:
        result = Array()
        for key, item in node.items:
            value = yield from self._evaluate(item, scope)
            if key is None:
                result.items.append(value)
            else:
                result.named[key] = value
        return result

    def _unary(self, node: Unary, scope: Scope) -> Steps[Value]:
        if node.operator == "!" and isinstance(node.operand, Column):
            return not (yield from self._holds(node.operand, scope))
        value = yield from self._evaluate(node.operand, scope)
        return operators.unary(node.operator, value)

    def _binary(self, node: Binary, scope: Scope) -> Steps[Value]:
        sign = node.operator
        if sign in {"&&", "||"}:
            left = yield from self._holds(node.left, scope)
            if left == (sign == "||"):
                return left
            return (yield from self._holds(node.right, scope))
        if isinstance(node.left, Column) and sign in _CELL_SIGNS:
            return (yield from self._compared(node, node.left, scope))
        first = yield from self._evaluate(node.left, scope)
        second = yield from self._evaluate(node.right, scope)
        return operators.binary(sign, first, second)

    def _holds(self, node: Node, scope: Scope) -> Steps[bool]:
        """Return whether a condition holds; a property alone does when it is
        set, or true.
        """
        if isinstance(node, Column):
            cell = self._cell(node)
            return cell.text not in {None, "", "false"}
        value = yield from self._evaluate(node, scope)
        if not isinstance(value, bool):
            raise ScriptError(f"conditional not boolean: {type_name(value)}")
        return value

    def _cell(self, node: Column) -> Cell:
        if self._place is None:
            raise ScriptError(f"no row has {node.name} here")
        place = self._place
        return self.console.column(place.view, place.row, node.name)

    def _compared(
        self, node: Binary, column: Column, scope: Scope
    ) -> Steps[bool]:
        """Return whether a property compares so to a value: as the property's
        kind compares, whatever the value's type.
        """
        cell = self._cell(column)
        place = self._place
        if isinstance(node.right, Literal):
            text = node.right.text
        else:
            value = yield from self._evaluate(node.right, scope)
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


def _own(value: Value) -> Value:
    """Return a value that no other variable shares."""
    if isinstance(value, Array):
        return Array(list(value.items), dict(value.named))
    return value


def _put_element(array: Array, key: Value, value: Value) -> None:
    if isinstance(key, int) and not isinstance(key, bool):
        if not 0 <= key <= len(array.items):
            raise ScriptError("no such element")
        array.items[key : key + 1] = [value]
    elif value is NOTHING:
        array.named.pop(to_str(key), None)
    else:
        array.named[to_str(key)] = value
