"""A parsed Python file and a broken bound, on which all checks work. Only
`read_sources` touches the disk.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """A Python file: its path from the repository's root, with `/`, and its
    text as lines and as a tree.

    `nodes` are all nodes of the tree: each check goes through them, and
    walking a tree is the slowest part.
    """

    path: str
    lines: tuple[str, ...]
    tree: ast.Module
    nodes: tuple[ast.AST, ...]


@dataclass(frozen=True)
class Breach:
    """A bound that the code at `place` (`path:line`, or a folder) breaks, and
    how to mend it.
    """

    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


def parse(path: str, text: str) -> Source:
    """Return the parsed file; raises SyntaxError."""
    tree = ast.parse(text, filename=path)
    return Source(
        path=path,
        lines=tuple(text.splitlines()),
        tree=tree,
        nodes=tuple(ast.walk(tree)),
    )


def read_sources(root: Path, folders: Iterable[str]) -> list[Source]:
    """Return every Python file below these folders of `root`, by path; raises
    OSError and SyntaxError.
    """
    paths = sorted(
        path for folder in folders for path in (root / folder).rglob("*.py")
    )
    return [
        parse(path.relative_to(root).as_posix(), path.read_text("utf-8"))
        for path in paths
    ]


def within(path: str, folder: str) -> bool:
    """Return whether the path is that folder or lies below it."""
    return path == folder or path.startswith(f"{folder}/")


def docstring_of(node: ast.AST) -> ast.Expr | None:
    """Return the statement that is the docstring of a module, class or
    function, or None.
    """
    if not isinstance(
        node,
        ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef,
    ):
        return None
    first = node.body[0] if node.body else None
    if not isinstance(first, ast.Expr) or not isinstance(
        first.value, ast.Constant
    ):
        return None
    return first if isinstance(first.value.value, str) else None
