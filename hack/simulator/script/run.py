"""The interpreter: runs the tree of a script step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from simulator.errors import Trap
from simulator.rights import Rights
from simulator.script.builtins import BUILTINS
from simulator.script.console import Console, references
from simulator.script.evaluate import Scope, Steps
from simulator.script.rows import RowCommands
from simulator.script.tree import Binary, Block, Command
from simulator.script.values import (
    NIL,
    NOTHING,
    Array,
    Nil,
    ScriptError,
    Time,
    Value,
    to_str,
    to_time,
    type_name,
)

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


class Interpreter(RowCommands):
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
        super().__init__(console, shared)
        self.host = host
        self.output: list[str] = []
        self._depth = depth
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
            yield from self.command(command, scope)

    def command(self, command: Command, scope: Scope) -> Steps[Value]:
        """Run a command; return what it gives. Raises ScriptError."""
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
        values = yield from self.values(command, scope)
        return BUILTINS[command.verb].run(values)

    def _first(
        self, command: Command, scope: Scope, default: Value
    ) -> Steps[Value]:
        if not command.values:
            return default
        return (yield from self.evaluate(command.values[0], scope))

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
            place = self.variables(command.names[0], scope)
            place[command.names[0]] = _own(value)
            return NIL
        target = command.values[0]
        if not isinstance(target, Binary) or target.operator != "->":
            raise ScriptError("syntax error")
        array = yield from self.evaluate(target.left, scope)
        key = yield from self.evaluate(target.right, scope)
        value = NOTHING
        if len(command.values) > 1:
            value = yield from self.evaluate(command.values[1], scope)
        if not isinstance(array, Array):
            raise ScriptError(f"cannot set element of {type_name(array)}")
        _put_element(array, key, value)
        return NIL

    def _if(self, command: Command, scope: Scope) -> Steps[Value]:
        truth = yield from self.truth(command.values[0], scope)
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
                numbers[name] = yield from self.evaluate(node, scope)
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
        array = yield from self.evaluate(command.named["in"], scope)
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
        while (yield from self.truth(command.values[0], scope)):
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
            yield from self.truth(named["while"], scope)
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

    def _run(self, command: Command, scope: Scope) -> Steps[Value]:
        values = yield from self.values(command, scope)
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
