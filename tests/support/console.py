"""Reads RouterOS console scripts into commands, as MikroTik's scripting manual describes the language.

Written from that manual alone, for tests of what we let people paste: it shares nothing with the code that
writes scripts. What it does not know it refuses, so a script that passes uses known syntax only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_LETTERS = dict(
    zip(
        'nrt_abfv"\\$?',
        (10, 13, 9, 32, 7, 8, 12, 11, 34, 92, 36, 63),
        strict=True,
    )
)
_END_OF_WORD = ' \t\r\n;{}[]()"$'
_OPERATOR = re.compile(r"\|\||!=|[=<>~.,!]")
_VARIABLE = re.compile(r"\$([A-Za-z0-9]+)")
_NAMED = re.compile(r"(\.?[a-z][a-z0-9-]*)=")
_WORD = re.compile(r"[a-z0-9-]+(?=[ \t\r\n;\]}]|$)")
_VERBS = ("add", "set", "remove", "move", "find", "get")


class SyntaxProblemError(Exception):
    """The console would not take this."""


@dataclass(frozen=True)
class Text:
    """A string in quotes, or a bare word."""

    value: str
    quoted: bool = False


@dataclass(frozen=True)
class Variable:
    """`$name`."""

    name: str


@dataclass(frozen=True)
class Expression:
    """What stands in parentheses, as operands and operators (plain str) in their order."""

    parts: tuple[Value | str, ...]


@dataclass(frozen=True)
class Block:
    """Commands in braces."""

    commands: tuple[Command, ...]


@dataclass(frozen=True)
class Command:
    """A command with its arguments in their order; `name` None for those without a name."""

    name: str
    arguments: tuple[tuple[str | None, Value], ...] = field(default=())

    def named(self) -> dict[str, Value]:
        return {
            name: value for name, value in self.arguments if name is not None
        }

    def unnamed(self) -> list[Value]:
        return [value for name, value in self.arguments if name is None]


Value = Text | Variable | Expression | Block | Command


def parse(script: str) -> list[Command]:
    """Read a whole script."""
    reader = _Reader(script)
    commands = reader.commands("")
    assert reader.at == len(script)
    return commands


def walk(commands: list[Command] | tuple[Command, ...]) -> Iterator[Command]:
    """Every command, those inside of others too."""
    for command in commands:
        yield command
        for _, value in command.arguments:
            yield from _inside(value)


def _inside(value: Value | str) -> Iterator[Command]:
    if isinstance(value, Command):
        yield from walk([value])
    elif isinstance(value, Block):
        yield from walk(value.commands)
    elif isinstance(value, Expression):
        for part in value.parts:
            yield from _inside(part)


def texts(value: Value | str) -> Iterator[str]:
    """Every quoted string in a value."""
    if isinstance(value, Text) and value.quoted:
        yield value.value
    elif isinstance(value, Command):
        for _, argument in value.arguments:
            yield from texts(argument)
    elif isinstance(value, Block):
        for command in value.commands:
            yield from texts(command)
    elif isinstance(value, Expression):
        for part in value.parts:
            yield from texts(part)


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.menu = ""

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def blanks(self, also: str = "") -> None:
        while self.peek() and self.peek() in " \t" + also:
            self.at += 1

    def expect(self, character: str) -> None:
        if self.peek() != character:
            raise SyntaxProblemError(
                f"expected {character} at {self.text[self.at : self.at + 30]!r}"
            )
        self.at += 1

    def commands(self, closing: str) -> list[Command]:
        found: list[Command] = []
        while True:
            self.blanks("\r\n;")
            if self.peek() == closing:
                return found
            if self.peek() == "#":
                while self.peek() not in ("", "\n"):
                    self.at += 1
            else:
                found.append(self.command(closing))

    def command(self, closing: str) -> Command:
        if self.peek() == "{":
            return Command("{}", ((None, self.block()),))
        outer, name = self.menu, self.name()
        self.menu = name.rpartition("/")[0]
        command = self.arguments(name, closing)
        self.menu = outer
        return command

    def name(self) -> str:
        """The command with its menu: written with slashes, with blanks (`/ip hotspot`), or left out within brackets,
        where it is that of the command around.
        """
        name = self.bare()
        if name in _VERBS and self.menu:
            return f"{self.menu}/{name}"
        while name[:1] == "/" and name.rpartition("/")[2] not in _VERBS:
            self.blanks()
            match = _WORD.match(self.text, self.at)
            if not match:
                break
            self.at = match.end()
            name += "/" + match[0]
        return name

    def arguments(self, name: str, closing: str) -> Command:
        if not re.fullmatch(r":[a-z]+|(/[a-z0-9-]+)+", name):
            raise SyntaxProblemError(f"no command: {name!r}")
        arguments: list[tuple[str | None, Value]] = []
        while True:
            self.blanks()
            if self.peek() in ("", ";", "\n", "\r") or self.peek() == closing:
                return Command(name, tuple(arguments))
            match = _NAMED.match(self.text, self.at)
            if match:
                self.at = match.end()
            arguments.append((match[1] if match else None, self.value()))

    def value(self) -> Value:
        character = self.peek()
        if character == '"':
            return Text(self.string(), quoted=True)
        if character == "$":
            match = _VARIABLE.match(self.text, self.at)
            if not match:
                raise SyntaxProblemError("a variable without a name")
            self.at = match.end()
            return Variable(match[1])
        if character == "[":
            self.at += 1
            command = self.command("]")
            self.expect("]")
            return command
        if character == "{":
            return self.block()
        if character == "(":
            return self.expression()
        return Text(self.bare())

    def block(self) -> Block:
        self.expect("{")
        commands = self.commands("}")
        self.expect("}")
        return Block(tuple(commands))

    def expression(self) -> Expression:
        self.expect("(")
        parts: list[Value | str] = []
        while True:
            self.blanks("\r\n")
            if self.peek() == ")":
                self.at += 1
                return Expression(tuple(parts))
            match = _OPERATOR.match(self.text, self.at)
            if match:
                self.at = match.end()
                parts.append(match[0])
            else:
                parts.append(self.value())

    def bare(self) -> str:
        begin = self.at
        while self.peek() and self.peek() not in _END_OF_WORD:
            self.at += 1
        if begin == self.at:
            raise SyntaxProblemError(
                f"a word is missing at {self.text[self.at : self.at + 30]!r}"
            )
        return self.text[begin : self.at]

    def string(self) -> str:
        self.expect('"')
        found = bytearray()
        while (character := self.peek()) != '"':
            if not character:
                raise SyntaxProblemError("a string has no end")
            if character == "$":
                raise SyntaxProblemError("a string holds a variable")
            self.at += 1
            if character != "\\":
                found += character.encode()
                continue
            escape = self.text[self.at : self.at + 2]
            if re.fullmatch("[0-9A-F]{2}", escape):
                found.append(int(escape, 16))
                self.at += 2
            elif escape[:1] in _LETTERS and escape:
                found.append(_LETTERS[escape[0]])
                self.at += 1
            else:
                raise SyntaxProblemError(f"no escape: {escape!r}")
        self.at += 1
        return found.decode("utf-8")
