"""The length of each function in lines, and the number of its branches.

A branch is a place where the reader must think of two ways: an `if` or `elif`,
a `for`, a `while`, an `except`, a `case`, each operand of `and` and `or` after
the first, a conditional expression, and each `for` and `if` of a
comprehension. An `assert` is none: it says what always holds. ruff counts
neither comprehensions nor conditional expressions, so that a function of 24
branches passes its bound of 12.

The length counts lines of code from `def` on. The docstring, blank lines and
comments do not count: a bound that counts them is met by leaving them out,
which makes a function shorter and harder to read.

A nested function counts for itself, not for the function around it. A lambda
belongs to the function around it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from style.source import Breach, Source, docstring_of

_ONE_BRANCH = (
    *(ast.If, ast.For, ast.AsyncFor, ast.While),
    *(ast.ExceptHandler, ast.match_case, ast.IfExp),
)
_NESTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

Definition = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Function:
    """The measures of a function; `name` has the names of the classes and
    functions around it before dots.
    """

    path: str
    line: int
    name: str
    lines: int
    branches: int


def measure(source: Source) -> list[Function]:
    """Return the measures of every function of a file, in the order of the
    file.
    """
    strings = _lines_in_strings(source.nodes)
    return [
        Function(
            path=source.path,
            line=definition.lineno,
            name=name,
            lines=_count_lines(definition, source.lines, strings),
            branches=_count_branches(definition),
        )
        for name, definition in _definitions(source.tree, "")
    ]


def breaches(
    functions: Iterable[Function], *, max_lines: int, max_branches: int
) -> list[Breach]:
    """Return a breach for each function that is too long, and for each that
    has too many branches.
    """
    broken = []
    for function in functions:
        place = f"{function.path}:{function.line}"
        if function.branches > max_branches:
            excess = f"function {function.name} has {function.branches} branches, the bound is {max_branches}"
            broken.append(
                Breach(
                    place,
                    f"{excess}: split a decision out, or name an intermediate",
                )
            )
        if function.lines > max_lines:
            excess = f"function {function.name} has {function.lines} lines, the bound is {max_lines}"
            broken.append(
                Breach(
                    place, f"{excess}: move a step into a function of its own"
                )
            )
    return broken


def _definitions(
    node: ast.AST, prefix: str
) -> Iterator[tuple[str, Definition]]:
    """Return each function below a node, with its name after the prefix."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _NESTED):
            yield from _definitions(child, prefix)
            continue
        name = f"{prefix}{child.name}"
        if not isinstance(child, ast.ClassDef):
            yield name, child
        yield from _definitions(child, f"{name}.")


def _own_nodes(definition: Definition) -> Iterator[ast.AST]:
    """Return the nodes of a function's body. A nested function or class is
    returned, but nothing inside it.
    """
    nodes: list[ast.AST] = list(definition.body)
    while nodes:
        node = nodes.pop()
        yield node
        if not isinstance(node, _NESTED):
            nodes.extend(ast.iter_child_nodes(node))


def _count_branches(definition: Definition) -> int:
    return sum(_branches_of(node) for node in _own_nodes(definition))


def _branches_of(node: ast.AST) -> int:
    if isinstance(node, _ONE_BRANCH):
        return 1
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    return 0


def _count_lines(
    definition: Definition, lines: tuple[str, ...], strings: set[int]
) -> int:
    """Return the number of a function's lines of code; `strings` are the lines
    inside multi-line strings.
    """
    skipped: set[int] = set()
    docstring = docstring_of(definition)
    if docstring is not None:
        skipped |= _line_numbers(docstring)
    for node in _own_nodes(definition):
        if isinstance(node, _NESTED):
            skipped |= _line_numbers(node)

    counted = _line_numbers(definition) - skipped
    return sum(
        number in strings or _is_code(lines[number - 1]) for number in counted
    )


def _is_code(line: str) -> bool:
    stripped = line.strip()
    return bool(stripped) and not stripped.startswith("#")


def _line_numbers(node: ast.stmt | ast.expr) -> set[int]:
    """Return the numbers of all lines of a node, without those of its
    decorators.
    """
    return set(range(node.lineno, (node.end_lineno or node.lineno) + 1))


def _lines_in_strings(nodes: Iterable[ast.AST]) -> set[int]:
    """Return the numbers of the lines of multi-line strings: blank lines and
    `#` mean nothing special there.
    """
    numbers: set[int] = set()
    for node in nodes:
        if (
            isinstance(node, ast.Constant | ast.JoinedStr)
            and node.lineno != node.end_lineno
        ):
            numbers |= _line_numbers(node)
    return numbers
