"""What a script is made of, once it is parsed."""

from __future__ import annotations

from dataclasses import dataclass, field

from simulator.script.values import Value


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that stands in the script; `text` is how it was written."""

    value: Value
    text: str


@dataclass(frozen=True, slots=True)
class Interpolated:
    """A string in quotes with values inside."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """`$name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Column:
    """A property of the row that `where` looks at."""

    name: str


@dataclass(frozen=True, slots=True)
class Unary:
    """An operator in front of a value."""

    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator between two values."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class ArrayLiteral:
    """`{1;2}` or `{a=1;b=2}`."""

    items: tuple[tuple[str | None, Node], ...]


@dataclass(frozen=True, slots=True)
class Substitution:
    """`[command]`."""

    command: Command


@dataclass(frozen=True, slots=True)
class Block:
    """Commands in braces, with variables of their own."""

    commands: tuple[Command, ...]


Node = (
    Literal
    | Interpolated
    | Variable
    | Column
    | Unary
    | Binary
    | ArrayLiteral
    | Substitution
    | Block
)


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a script.

    path: the menu, None for a global command (`:put`). names: of the variables
    that it declares or sets. values: its arguments without a name. named:
    those with one. where: the condition of find and print.
    """

    path: str | None
    verb: str
    line: int
    names: tuple[str, ...] = ()
    values: tuple[Node, ...] = ()
    named: dict[str, Node] = field(default_factory=dict)
    where: Node | None = None

    @property
    def title(self) -> str:
        """How errors name the command."""
        if self.path is None:
            return f":{self.verb}"
        return f"{self.path}/{self.verb}"
