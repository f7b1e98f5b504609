"""Commands of a script, as trees; refused as a whole where one is unknown."""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass
from typing import Protocol

from simulator.script.builtins import BUILTINS
from simulator.script.expressions import ExpressionReader
from simulator.script.lexer import ScriptSyntaxError
from simulator.script.tree import (
    Block,
    Command,
    Literal,
    Node,
    Substitution,
    Variable,
)

_PATH_WORD = re.compile(r"\.\.|[a-z][a-z0-9-]*")
_ICE = re.compile(r"[a-z][a-z0-9]*")
_NAMED = re.compile(r"(!?)(\.?[a-z][a-z0-9.-]*)=")
_UNSET = re.compile(r"!([a-z][a-z0-9-]*)(?=[\s;\])}]|$)")
_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_FLAG = re.compile(r"(count-only|as-value|detail|without-paging|terse)")
_SOURCES = {"source", "on-event"}
_KEYWORDS = {"and", "or", "in"}

WHERE_VERBS = {"find", "print"}

ALLOWED = {
    "if": ({"do", "else"}, 1),
    "while": ({"do"}, 1),
    "do": ({"on-error", "while"}, 1),
    "error": (set(), 1),
    "return": (set(), 1),
    "put": (set(), 1),
    "delay": (set(), 1),
    "time": (set(), 1),
}
"""Commands of the language itself: the names and the number of their
arguments.
"""


class Menus(Protocol):
    """The menus and commands that a script may name."""

    def is_menu(self, path: str) -> bool:
        """Return whether this is a menu or the way to one."""

    def has_verb(self, path: str, verb: str) -> bool:
        """Return whether the menu has this command."""

    def columns(self, path: str) -> Set[str]:
        """Return the properties that rows of this menu may have."""

    def parameters(self, path: str, verb: str) -> Set[str] | None:
        """Return the named arguments of a command; None for any."""

    def has_builtin(self, name: str) -> bool:
        """Return whether this version has the global command."""


@dataclass(kw_only=True)
class Parser(ExpressionReader):
    """Reads commands. `path` is the menu in which one without a path runs."""

    menus: Menus
    path: str = ""

    def script(self) -> Block:
        """Return the whole script. Raises ScriptSyntaxError."""
        commands = self._commands("")
        if self.at < len(self.text):
            raise self.error("expected end of command")
        return Block(commands)

    def block(self) -> Block:
        """Return the commands in braces."""
        self.need("{")
        self.deeper()
        path = self.path
        self.scopes.append(set())
        commands = self._commands("}")
        self.scopes.pop()
        self.path = path
        self.need("}")
        self.depth -= 1
        return Block(commands)

    def bracket(self) -> Substitution:
        """Return the command in brackets."""
        self.need("[")
        self.deeper()
        outer, self.columns = self.columns, None
        path = self.path
        self.skip_blanks()
        command = self._command()
        self.skip_between_commands()
        self.path, self.columns = path, outer
        if command is None:
            raise self.error("expected command name")
        self.need("]")
        self.depth -= 1
        return Substitution(command)

    def _commands(self, end: str) -> tuple[Command, ...]:
        commands: list[Command] = []
        while True:
            self.skip_between_commands()
            if self.peek() == end or not self.peek():
                return tuple(commands)
            command = self._command()
            if command is not None:
                commands.append(command)
            self.skip_blanks()
            if not self.at_end():
                raise self.error("expected end of command")
            if self.peek() in {"]", ")"} or (
                self.peek() == "}" and end != "}"
            ):
                raise self.error("expected end of command")

    def _command(self) -> Command | None:
        """Return a command; None for one that only goes to a menu."""
        line = self.line
        if self.take(":"):
            return self._global(line)
        if self.peek() == "{":
            return Command(None, "do", line, values=(self.block(),))
        if self.peek() == "[":
            return Command(None, "", line, values=(self.bracket(),))
        return self._menu(line)

    # --- commands of the language

    def _global(self, line: int) -> Command:
        match = self.match(_ICE)
        name = match[0] if match else ""
        if name in {"local", "global", "set"}:
            return self._assignment(name, line)
        if name in {"for", "foreach"}:
            return self._loop(name, line)
        if name == "log":
            return self._log(line)
        if name in ALLOWED:
            return self._ruled(name, line)
        if name not in BUILTINS or not self.menus.has_builtin(name):
            raise self.error(f"bad command name {name}")
        values = self._values()
        low, high = BUILTINS[name].arguments
        if not low <= len(values) <= high:
            raise self.error("syntax error: wrong number of values")
        return Command(None, name, line, values=values)

    def _values(self) -> tuple[Node, ...]:
        values: list[Node] = []
        self.skip_blanks()
        while not self.at_end():
            values.append(self.value())
            self.skip_blanks()
        return tuple(values)

    def _variable_name(self) -> str:
        self.skip_blanks()
        if self.peek() == '"':
            quoted = self.string()
            if isinstance(quoted, Literal) and quoted.text:
                return quoted.text
        match = self.match(_VARIABLE)
        if match is None or match[0] in _KEYWORDS:
            raise self.error("syntax error: expected variable name")
        return match[0]

    def _assignment(self, name: str, line: int) -> Command:
        self.skip_blanks()
        if name == "set" and self.peek() == "(":
            target = self.parenthesis()
            return Command(
                None, "set", line, values=(target, *self._last_value())
            )
        if name == "set" and self.peek() == "$":
            known = self.variable()
            variable = known.name if isinstance(known, Variable) else ""
        else:
            variable = self._variable_name()
        values = self._last_value()
        if name != "set":
            self.scopes[-1].add(variable)
        elif not any(variable in scope for scope in self.scopes):
            raise self.error(f"syntax error: undefined variable {variable}")
        return Command(None, name, line, (variable,), values)

    def _last_value(self) -> tuple[Node, ...]:
        self.skip_blanks()
        if self.starts("do="):
            raise self.error("functions are not in the simulator")
        values = self._values()
        if len(values) > 1:
            raise self.error("expected end of command")
        return values

    def _loop(self, name: str, line: int) -> Command:
        names = [self._variable_name()]
        if name == "foreach" and self.take(","):
            names.append(self._variable_name())
        known = {"in", "do"} if name == "foreach" else set(_FOR)
        self.scopes.append(set(names))
        named = self._named(known)
        self.scopes.pop()
        needed = {"in", "do"} if name == "foreach" else {"from", "to", "do"}
        if not needed <= named.keys():
            raise self.error(f"syntax error: {name} needs more values")
        return Command(None, name, line, tuple(names), named=named)

    def _named(self, known: Set[str]) -> dict[str, Node]:
        named: dict[str, Node] = {}
        self.skip_blanks()
        while not self.at_end():
            match = self.match(_NAMED)
            if match is None or match[2] not in known or match[1]:
                raise self.error("expected end of command")
            if match[2] in {"do", "else", "on-error"}:
                self.skip_blanks()
                named[match[2]] = self.block()
            else:
                named[match[2]] = self.value()
            self.skip_blanks()
        return named

    def _ruled(self, name: str, line: int) -> Command:
        known, count = ALLOWED[name]
        self.skip_blanks()
        values: list[Node] = []
        while len(values) < count and not self.at_end():
            if self.peek() == "{" and name in {"do", "time"}:
                values.append(self.block())
            else:
                values.append(self.value())
            self.skip_blanks()
        named = self._named(known)
        complete = len(values) == count or name == "return"
        if not complete or (name in {"if", "while"} and "do" not in named):
            raise self.error(f"syntax error: {name} needs more values")
        return Command(None, name, line, values=tuple(values), named=named)

    def _log(self, line: int) -> Command:
        self.skip_blanks()
        match = self.match(_ICE)
        topic = match[0] if match else ""
        if not self.menus.has_verb("/log", topic):
            raise self.error(f"bad command name {topic}")
        return self._arguments("/log", topic, line)

    # --- commands of menus

    def _menu(self, line: int) -> Command | None:
        path = "" if self.take("/") else self.path
        while True:
            self.skip_blanks()
            match = self.match(_PATH_WORD)
            if match is None:
                if self.at_end():
                    self.path = path
                    return None
                raise self.error("bad command name")
            word = match[0]
            if word == "..":
                path = path.rpartition("/")[0]
            elif self.menus.is_menu(f"{path}/{word}"):
                path = f"{path}/{word}"
            elif self.menus.has_verb(path, word):
                return self._verb(path, word, line)
            else:
                self.at = match.start()
                raise self.error(f"bad command name {word}")
            self.take("/")

    def _verb(self, path: str, verb: str, line: int) -> Command:
        if self.peek() not in {"", " ", "\t"} and not self.at_end():
            raise self.error("expected end of command")
        outer, self.path = self.path, path
        read = self._where if verb in WHERE_VERBS else self._arguments
        command = read(path, verb, line)
        self.path = outer
        return command

    def _where(self, path: str, verb: str, line: int) -> Command:
        named: dict[str, Node] = {}
        self.skip_blanks()
        while verb == "print" and (flag := self.match(_FLAG)) is not None:
            named[flag[0]] = Literal(True, "yes")
            self.skip_blanks()
        if self.match(re.compile(r"where(?=[\s(])")) is None and (
            verb == "print" and not self.at_end()
        ):
            raise self.error("expected end of command")
        self.skip_blanks()
        if self.at_end():
            return Command(path, verb, line, named=named)
        outer, self.columns = self.columns, self.menus.columns(path)
        condition = self.condition()
        self.columns = outer
        return Command(path, verb, line, named=named, where=condition)

    def _arguments(self, path: str, verb: str, line: int) -> Command:
        known = self.menus.parameters(path, verb)
        values: list[Node] = []
        named: dict[str, Node] = {}
        while True:
            blanks = self.skip_blanks()
            if self.at_end():
                return Command(
                    path, verb, line, values=tuple(values), named=named
                )
            if not blanks and (values or named):
                raise self.error("expected end of command")
            match = self.match(_NAMED) or self.match(_UNSET)
            if match is None:
                values.append(self.value())
                continue
            mark = "!" if len(match.groups()) == 1 else match[1]
            name = match[match.lastindex or 1]
            if known is not None and name not in known:
                raise self.error(f"expected end of command: {name}")
            if len(match.groups()) == 1:
                named[mark + name] = Literal("", "")
            else:
                named[mark + name] = self._argument(name)

    def _argument(self, name: str) -> Node:
        if self.at_end() or self.peek() in {" ", "\t"}:
            return Literal("", "")
        if name in _SOURCES and self.peek() == "{":
            text = self.raw_block()
            return Literal(text, text)
        return self.value()


_FOR = ("from", "to", "step", "do")


def parse(source: str, menus: Menus) -> Block:
    """Return a script as a tree. Raises ScriptSyntaxError."""
    try:
        return Parser(source, menus=menus).script()
    except RecursionError:
        raise ScriptSyntaxError("too deep (line 1 column 1)") from None
