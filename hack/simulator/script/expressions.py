"""Values and expressions of a script, as trees.

Where operators of several kinds stand side by side and the manual gives no
order, parentheses are demanded.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Set
from dataclasses import dataclass, field

from simulator.script.lexer import Reader
from simulator.script.tree import (
    ArrayLiteral,
    Binary,
    Block,
    Column,
    Interpolated,
    Literal,
    Node,
    Substitution,
    Unary,
    Variable,
)
from simulator.script.values import literal

_NAME = re.compile(r"[A-Za-z0-9]+")
_PLAIN = re.compile(r'[^"\\$]+')
_WORD = re.compile(r"[^\s;\[\](){}\"$=&|!<>~,]+")
_ARGUMENT = re.compile(r"[^\s;\[\](){}\"$]+")
_CONSTANT = re.compile(
    r"\d+\.\d+\.\d+\.\d+(?:/\d+)?"
    r"|(?:\d+[wd])*\d+:\d+(?::\d+)?"
    r"|(?:\d+(?:ms|us|[wdhms]))+(?![A-Za-z])"
    r"|0x[0-9A-Fa-f]+|\d+(?!/\d)"
    r"|\*[0-9A-Fa-f]+"
    r"|(?:true|false)(?![A-Za-z0-9-])"
)
_LOGIC = re.compile(r"&&|\|\||(?:and|or)(?=[\s(\"$])")
_COMPARE = re.compile(r"!=|<=|>=|=|<(?!<)|>(?!>)|~|in(?=[\s($])")
_COMBINE = re.compile(r"<<|>>|\+|-(?!>)|\.|,|&(?!&)|\|(?!\|)|\^")
_PRODUCT = re.compile(r"[*/%]")
_UNARY = re.compile(r"!(?!=)|-|~")
_KEY = re.compile(r"([A-Za-z][A-Za-z0-9-]*)=")
_SAME = {"and": "&&", "or": "||"}
_CLASSES = {"+": "+", "-": "+", ".": ".", ",": ","}


@dataclass
class ExpressionReader(Reader):
    """Reads values. `scopes` are the declared variables, innermost last;
    `columns` the properties that `where` may name.
    """

    scopes: list[set[str]] = field(default_factory=lambda: [set()])
    columns: Set[str] | None = None

    @abstractmethod
    def bracket(self) -> Substitution:
        """Return the command in brackets."""

    @abstractmethod
    def block(self) -> Block:
        """Return the commands in braces."""

    # --- values

    def value(self) -> Node:
        """Return one argument of a command."""
        node = self._closed()
        if node is not None:
            return node
        word = self.match(_ARGUMENT)
        if word is None:
            raise self.error("syntax error")
        return Literal(literal(word[0]), word[0])

    def _closed(self) -> Node | None:
        """Return a value that shows its own end; None for a word."""
        char = self.peek()
        if char == '"':
            return self.string()
        if char == "$":
            return self.variable()
        if char == "[":
            return self.bracket()
        if char == "(":
            return self.parenthesis()
        if char == "{":
            return self.array()
        return None

    def variable(self) -> Node:
        """Return `$name`. Raises ScriptSyntaxError for one that was not
        declared.
        """
        self.need("$")
        if self.peek() == '"':
            quoted = self.string()
            name = quoted.text if isinstance(quoted, Literal) else ""
        else:
            match = self.match(_NAME)
            name = match[0] if match else ""
        if not name:
            raise self.error("syntax error: expected variable name")
        if self.columns is not None and name in self.columns:
            # The manual: a variable named as a property is the property.
            return Column(name)
        if not any(name in scope for scope in self.scopes):
            raise self.error(f"syntax error: undefined variable {name}")
        return Variable(name)

    def string(self) -> Literal | Interpolated:
        """Return a string in quotes."""
        self.need('"')
        parts: list[Node] = []
        text = ""
        while not self.take('"'):
            plain = self.match(_PLAIN)
            if plain is not None:
                text += plain[0]
            elif self.peek() == "\\":
                text += self.escape()
            elif self.peek() == "$":
                parts += [Literal(text, text), self._inserted()]
                text = ""
            else:
                raise self.error('expected "')
        if not parts:
            return Literal(text, text)
        return Interpolated((*parts, Literal(text, text)))

    def _inserted(self) -> Node:
        if self.starts("$("):
            self.at += 1
            return self.parenthesis()
        if self.starts("$["):
            self.at += 1
            return self.bracket()
        return self.variable()

    def array(self) -> ArrayLiteral:
        """Return `{...}` with values."""
        self.need("{")
        self.deeper()
        items: list[tuple[str | None, Node]] = []
        self.skip_between_commands()
        while not self.take("}"):
            items.append(self._item())
            self.skip_blanks()
            if self.peek() not in {"}", ";"}:
                raise self.error("expected ; or }")
            self.skip_between_commands()
        self.depth -= 1
        return ArrayLiteral(tuple(items))

    def _item(self) -> tuple[str | None, Node]:
        key = self.match(_KEY)
        if key is not None:
            return key[1], self.value()
        node = self.value()
        if isinstance(node, Literal) and self.take("="):
            return node.text, self.value()
        return None, node

    # --- expressions

    def parenthesis(self) -> Node:
        """Return the expression in parentheses."""
        self.need("(")
        self.deeper()
        node = self.expression()
        self.skip_blanks()
        self.need(")")
        self.depth -= 1
        return node

    def expression(self) -> Node:
        """Return an expression up to what cannot belong to it."""
        node = self._comparison()
        first: str | None = None
        while (operator := self._operator(_LOGIC)) is not None:
            operator = _SAME.get(operator, operator)
            if first not in {None, operator}:
                raise self.error("syntax error: && beside || needs ()")
            first = operator
            node = Binary(operator, node, self._comparison())
        return node

    def condition(self) -> Node:
        """Return what stands behind `find` or `where`: expressions side by
        side, which must all hold.
        """
        node = self.expression()
        self.skip_blanks()
        while not self.at_end():
            node = Binary("&&", node, self.expression())
            self.skip_blanks()
        return node

    def _operator(self, pattern: re.Pattern[str]) -> str | None:
        start = self.at
        self.skip_blanks()
        match = self.match(pattern)
        if match is None:
            self.at = start
            return None
        return match[0]

    def _comparison(self) -> Node:
        left = self._combination()
        operator = self._operator(_COMPARE)
        if operator is None:
            return left
        return Binary(
            operator, left, self._combination(right=isinstance(left, Column))
        )

    def _combination(self, *, right: bool = False) -> Node:
        node = self._product(right=right)
        if right and isinstance(node, Literal):
            return node
        first: str | None = None
        while (operator := self._operator(_COMBINE)) is not None:
            kind = _CLASSES.get(operator, operator)
            if first not in {None, kind}:
                raise self.error(f"syntax error: {operator} needs ()")
            first = kind
            node = Binary(operator, node, self._product())
        return node

    def _product(self, *, right: bool = False) -> Node:
        node = self._signed(right=right)
        while (operator := self._operator(_PRODUCT)) is not None:
            node = Binary(operator, node, self._signed())
        return node

    def _signed(self, *, right: bool = False) -> Node:
        self.skip_blanks()
        operator = self.match(_UNARY)
        if operator is not None:
            self.deeper()
            node: Node = Unary(operator[0], self._signed())
            self.depth -= 1
            return node
        node = self._operand(right=right)
        while self._operator(_ARROW) is not None:
            self.skip_blanks()
            node = Binary("->", node, self._operand())
        return node

    def _operand(self, *, right: bool = False) -> Node:
        closed = self._closed()
        if closed is not None:
            return closed
        if right:
            word = self.match(_WORD)
            if word is not None:
                return Literal(literal(word[0]), word[0])
        constant = self.match(_CONSTANT)
        if constant is not None:
            return Literal(literal(constant[0]), constant[0])
        word = self.match(_WORD) if self.columns is not None else None
        if word is None:
            raise self.error("syntax error")
        if word[0] not in (self.columns or ()):
            raise self.error(f"syntax error: no property {word[0]}")
        return Column(word[0])


_ARROW = re.compile(r"->")
