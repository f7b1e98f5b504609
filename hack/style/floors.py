"""The files of each folder, the floors of imports among them, and circles of
imports.

The units of a folder are its files and its subfolders. A unit stands one floor
above the highest unit of the same folder that it imports; the floors of a
folder are the longest such chain. Imports under `if TYPE_CHECKING` and inside
functions count like the others: a reader follows them all the same.

An `__init__.py` counts only if it holds code besides a docstring. An import of
a package whose `__init__.py` does not count is no import of a file.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from style.source import Breach, Source, docstring_of, within

Graph = Mapping[str, frozenset[str]]
_INIT = "__init__.py"


@dataclass(frozen=True)
class Folder:
    """What a folder itself holds, and the longest chain of imports among its
    files and subfolders, from the top.
    """

    path: str
    files: int
    subfolders: int
    chain: tuple[str, ...]

    @property
    def floors(self) -> int:
        """The number of floors that the longest chain goes down through."""
        return len(self.chain)


@dataclass(frozen=True)
class Circle:
    """A shortest circle of imports, without its first node repeated, among
    nodes that all reach each other.
    """

    ring: tuple[str, ...]
    members: frozenset[str]

    def __str__(self) -> str:
        ring = " -> ".join((*self.ring, self.ring[0]))
        rest = len(self.members) - len(self.ring)
        return (
            f"{ring} (and {rest} more that reach each other)" if rest else ring
        )


@dataclass(frozen=True)
class Imports:
    """The imports among files: path -> paths that it imports, and the line of
    the first import for each pair.
    """

    graph: Graph
    lines: Mapping[tuple[str, str], int]


def read_imports(sources: Iterable[Source], roots: Iterable[str]) -> Imports:
    """Return the imports among these files; `roots` are the folders that
    module names start from.
    """
    counted = [source for source in sources if _counts(source)]
    modules = _modules((source.path for source in counted), roots)
    names = {path: name for name, path in modules.items()}

    lines: dict[tuple[str, str], int] = {}
    for source in counted:
        for candidates, line in _imported(source, names.get(source.path, "")):
            target = next(
                (modules[name] for name in candidates if name in modules), None
            )
            if target is not None and target != source.path:
                lines.setdefault((source.path, target), line)
    return Imports(
        graph=_graph((source.path for source in counted), lines), lines=lines
    )


def folders(graph: Graph) -> list[Folder]:
    """Return the measures of every folder that holds a file or a folder with
    files, by path.
    """
    paths = sorted(
        {str(parent) for path in graph for parent in _parents(path)}
    )
    return [_folder(graph, path) for path in paths]


def unit_graph(graph: Graph, folder: str) -> Graph:
    """Return the imports among the files and subfolders of a folder."""
    inside = [path for path in graph if within(path, folder)]
    pairs = {
        (_unit(path, folder), _unit(target, folder))
        for path in inside
        for target in graph[path]
        if within(target, folder)
    }
    units = {_unit(path, folder) for path in inside}
    return _graph(units, {pair for pair in pairs if pair[0] != pair[1]})


def circles(graph: Graph) -> list[Circle]:
    """Return a circle for each group of nodes that reach each other, by the
    first member.
    """
    groups = [group for group in _groups(graph) if len(group) > 1]
    return [Circle(_shortest_ring(graph, group), group) for group in groups]


def longest_chain(graph: Graph) -> tuple[str, ...]:
    """Return the longest chain of imports, from the top; all nodes of a circle
    stand on it, one below the other.
    """
    groups = _groups(graph)
    group_of = {node: group for group in groups for node in group}
    chains: dict[frozenset[str], tuple[str, ...]] = {}

    def chain_from(group: frozenset[str]) -> tuple[str, ...]:
        if group not in chains:
            below = {
                group_of[target] for node in group for target in graph[node]
            } - {group}
            lower = max(
                (chain_from(each) for each in sorted(below, key=min)),
                key=len,
                default=(),
            )
            chains[group] = (*sorted(group), *lower)
        return chains[group]

    return max((chain_from(group) for group in groups), key=len, default=())


def size_breaches(
    measured: Iterable[Folder], *, max_files: int, max_floors: int
) -> list[Breach]:
    """Return a breach for each folder with too many files, and for each with
    too many floors.
    """
    broken = []
    for folder in measured:
        if folder.files > max_files:
            excess = f"{folder.files} Python files, the bound is {max_files}"
            broken.append(
                Breach(
                    folder.path,
                    f"{excess}: give a part of them a folder of its own",
                )
            )
        if folder.floors > max_floors:
            chain = " -> ".join(
                unit.removeprefix(f"{folder.path}/") for unit in folder.chain
            )
            excess = (
                f"{folder.floors} floors of imports, the bound is {max_floors}"
            )
            broken.append(Breach(folder.path, f"{excess}: shorten {chain}"))
    return broken


def circle_breaches(imports: Imports) -> list[Breach]:
    """Return a breach for each circle among files, and for each among the
    units of a folder.
    """
    broken = []
    for circle in circles(imports.graph):
        line = imports.lines[circle.ring[0], circle.ring[1]]
        broken.append(
            Breach(f"{circle.ring[0]}:{line}", _circle_text("files", circle))
        )

    for folder in folders(imports.graph):
        for circle in circles(unit_graph(imports.graph, folder.path)):
            # A circle that has files only was named above.
            if not circle.members <= imports.graph.keys():
                broken.append(
                    Breach(folder.path, _circle_text("folders", circle))
                )
    return broken


def _circle_text(kind: str, circle: Circle) -> str:
    return f"{kind} import each other, {circle}: move what they share down, or hand it in"


def _folder(graph: Graph, path: str) -> Folder:
    units = unit_graph(graph, path)
    files = sum(unit in graph for unit in units)
    return Folder(
        path=path,
        files=files,
        subfolders=len(units) - files,
        chain=longest_chain(units),
    )


def _unit(path: str, folder: str) -> str:
    """Return the file or subfolder of a folder that holds this path."""
    first = path.removeprefix(f"{folder}/").split("/", 1)[0]
    return f"{folder}/{first}"


def _parents(path: str) -> list[PurePosixPath]:
    """Return the folders around a path, without the repository's root."""
    return list(PurePosixPath(path).parents)[:-1]


def _counts(source: Source) -> bool:
    """Return whether a file is more than an `__init__.py` with at most a
    docstring.
    """
    if PurePosixPath(source.path).name != _INIT:
        return True
    return any(
        statement is not docstring_of(source.tree)
        for statement in source.tree.body
    )


def _modules(paths: Iterable[str], roots: Iterable[str]) -> dict[str, str]:
    """Return the dotted name of each file below a root -> its path."""
    bases = list(roots)
    modules = {}
    for path in paths:
        for root in bases:
            if within(path, root):
                modules[_module(PurePosixPath(path).relative_to(root))] = path
    return modules


def _module(path: PurePosixPath) -> str:
    parts = (
        path.parent.parts if path.name == _INIT else path.with_suffix("").parts
    )
    return ".".join(parts)


def _imported(source: Source, module: str) -> Iterator[tuple[list[str], int]]:
    """Return for each imported name the modules that it may mean, the
    likeliest first, and the line.
    """
    is_package = PurePosixPath(source.path).name == _INIT
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in source.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield [alias.name], node.lineno
        elif isinstance(node, ast.ImportFrom):
            # One dot means the package itself, each further dot the package
            # around it.
            start = (
                package[: len(package) - node.level + 1] if node.level else []
            )
            base = ".".join([*start, *([node.module] if node.module else [])])
            for alias in node.names:
                yield [f"{base}.{alias.name}", base], node.lineno


def _graph(nodes: Iterable[str], pairs: Iterable[tuple[str, str]]) -> Graph:
    targets = defaultdict(set)
    for node, target in pairs:
        targets[node].add(target)
    return {node: frozenset(targets[node]) for node in sorted(nodes)}


def _reached(graph: Graph, start: str) -> set[str]:
    """Return the nodes that a chain of imports from `start` ends at; `start`
    itself only if it is on a circle.
    """
    reached: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        node = waiting.pop()
        if node not in reached:
            reached.add(node)
            waiting.extend(graph[node])
    return reached


def _groups(graph: Graph) -> list[frozenset[str]]:
    """Return the nodes in groups: nodes that reach each other are together,
    every other node is alone.
    """
    reached = {node: _reached(graph, node) for node in graph}
    groups = {
        frozenset(
            {node} | {target for target in targets if node in reached[target]}
        )
        for node, targets in reached.items()
    }
    return sorted(groups, key=min)


def _shortest_ring(graph: Graph, group: frozenset[str]) -> tuple[str, ...]:
    """Return the shortest circle in a group of nodes that reach each other."""
    return min((_ring(graph, node) for node in sorted(group)), key=len)


def _ring(graph: Graph, start: str) -> tuple[str, ...]:
    """Return a shortest circle through a node that is on a circle."""
    chains: list[tuple[str, ...]] = [(start,)]
    seen: set[str] = set()
    while True:
        longer: list[tuple[str, ...]] = []
        for chain in chains:
            for target in sorted(graph[chain[-1]]):
                if target == start:
                    return chain
                if target not in seen:
                    seen.add(target)
                    longer.append((*chain, target))
        chains = longer
