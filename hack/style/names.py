"""The names that code binds, and how many of them are vague: words that fit
everything and so say nothing.

A binding is an assignment to a name or to an attribute of `self` or `cls`, an
argument, the target of a loop, `with`, `except`, `case`, `:=` or `import ...
as`, and the name of a function or class. `x += 1` binds nothing new.

The variable of a loop whose body is a single line may be vague: the reader
sees all of its uses at once. The body of a comprehension is its element.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from style.source import Breach, Source, within

_WORDS = (
    "one",
    "other",
    "found",
    "said",
    "there",
    "asked",
    "left",
    "again",
    "words",
    "what",
    "ones",
    "others",
)
VAGUE = frozenset(_WORDS) | frozenset(f"_{word}" for word in _WORDS)


@dataclass(frozen=True)
class Binding:
    """A name that is bound at a line. `vague` is false for a vague word in a
    loop of a single line.
    """

    path: str
    line: int
    name: str
    vague: bool


@dataclass(frozen=True)
class Share:
    """How many of the bindings of a folder are vague."""

    bindings: int
    vague: int

    @property
    def percent(self) -> float:
        """The vague bindings in percent of all; 0 if there are none."""
        return 100 * self.vague / self.bindings if self.bindings else 0.0


def bindings(source: Source) -> list[Binding]:
    """Return every binding of a file, in no particular order."""
    nodes = source.nodes
    exempt = {id(name) for node in nodes for name in _short_loop_names(node)}
    augmented = {
        id(node.target) for node in nodes if isinstance(node, ast.AugAssign)
    }
    return [
        Binding(
            source.path,
            line,
            name,
            vague=name in VAGUE and id(node) not in exempt,
        )
        for node in nodes
        if id(node) not in augmented
        for name, line in _bound_by(node)
    ]


def share(bound: Iterable[Binding], folder: str) -> Share:
    """Return the share of vague bindings in a folder and all below it."""
    counts = Counter(
        binding.vague for binding in bound if within(binding.path, folder)
    )
    return Share(bindings=counts.total(), vague=counts[True])


def breaches(
    bound: Iterable[Binding], *, folders: Iterable[str], percent_below: float
) -> list[Breach]:
    """Return a breach for each of the folders whose share is not below the
    bound, with the commonest names.
    """
    known = list(bound)
    broken = []
    for folder in folders:
        result = share(known, folder)
        if result.percent < percent_below:
            continue
        counts = Counter(
            binding.name
            for binding in known
            if binding.vague and within(binding.path, folder)
        )
        common = ", ".join(
            f"{name} {count}" for name, count in counts.most_common(5)
        )
        excess = f"{result.vague} of {result.bindings} names are vague ({result.percent:.2f} %: {common})"
        broken.append(
            Breach(
                folder,
                f"{excess}, the bound is below {percent_below:g} %: name the thing",
            )
        )
    return broken


def _bound_by(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Return each name that a node itself binds, with its line."""
    match node:
        case ast.Name(id=name, ctx=ast.Store()):
            yield name, node.lineno
        case ast.Attribute(
            value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()
        ):
            yield name, node.lineno
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name, node.lineno
        case ast.arg():
            yield node.arg, node.lineno
        case (
            ast.ExceptHandler(name=str(name))
            | ast.MatchAs(name=str(name))
            | ast.MatchStar(name=str(name))
        ):
            yield name, node.lineno
        case ast.MatchMapping(rest=str(name)):
            yield name, node.lineno
        case ast.alias(asname=str(name)):
            yield name, node.lineno


def _short_loop_names(node: ast.AST) -> Iterator[ast.Name]:
    """Return the target names of a loop whose body is a single line; nothing
    for a node that is no such loop.
    """
    targets: list[ast.expr]
    match node:
        case ast.For() | ast.AsyncFor():
            body: list[ast.stmt] | list[ast.expr] = node.body
            targets = [node.target]
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
            body = [node.elt]
            targets = [generator.target for generator in node.generators]
        case ast.DictComp():
            body = [node.key, node.value]
            targets = [generator.target for generator in node.generators]
        case _:
            return

    if body[0].lineno != body[-1].end_lineno:
        return
    for target in targets:
        yield from (
            name for name in ast.walk(target) if isinstance(name, ast.Name)
        )
