"""All measures of a source tree, the bounds that it breaks, and both as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from style import branches, density, floors, names
from style.bounds import Bounds
from style.source import Breach, Source, within

_ALTERNATIVES = (12, 14, 15, 16, 18, 20)


@dataclass(frozen=True)
class Measures:
    """What was measured, by file or by function."""

    functions: list[branches.Function]
    bindings: list[names.Binding]
    densities: list[tuple[str, density.Density]]
    imports: floors.Imports
    folders: list[floors.Folder]


def measure(sources: Sequence[Source], bounds: Bounds) -> Measures:
    """Return all measures of these files."""
    imports = floors.read_imports(sources, bounds.folders)
    return Measures(
        functions=[
            function
            for source in sources
            for function in branches.measure(source)
        ],
        bindings=[
            binding for source in sources for binding in names.bindings(source)
        ],
        densities=[
            (source.path, density.measure(source)) for source in sources
        ],
        imports=imports,
        folders=floors.folders(imports.graph),
    )


def breaches(measures: Measures, bounds: Bounds) -> list[Breach]:
    """Return every broken bound."""
    packages = bounds.packages
    return [
        *branches.breaches(
            measures.functions,
            max_lines=bounds.function_lines,
            max_branches=bounds.function_branches,
        ),
        *names.breaches(
            measures.bindings,
            folders=packages,
            percent_below=bounds.vague_names_percent,
        ),
        *density.breaches(
            measures.densities,
            folders=packages,
            at_least=bounds.lines_per_statement,
        ),
        *floors.size_breaches(
            _of_packages(measures, bounds),
            max_files=bounds.folder_files,
            max_floors=bounds.folder_floors,
        ),
        *floors.circle_breaches(measures.imports),
    ]


def summary(measures: Measures, bounds: Bounds) -> str:
    """Return a table of a line for each measure: the worst value, and the
    bound.
    """
    longest = max(
        (function.lines for function in measures.functions), default=0
    )
    densest = max(
        (function.branches for function in measures.functions), default=0
    )
    inside = _of_packages(measures, bounds)
    most_files = max((folder.files for folder in inside), default=0)
    most_floors = max((folder.floors for folder in inside), default=0)
    circles = floors.circle_breaches(measures.imports)

    rows = [
        (
            "lines of a function",
            str(longest),
            f"at most {bounds.function_lines}",
        ),
        (
            "branches of a function",
            str(densest),
            f"at most {bounds.function_branches}",
        ),
    ]
    for package in bounds.packages:
        vague = names.share(measures.bindings, package)
        room = density.total(measures.densities, package)
        least = (
            f"at least {bounds.lines_per_statement:g}"
            if bounds.lines_per_statement
            else "no bound"
        )
        rows += [
            (
                f"vague names, {package}",
                f"{vague.percent:.2f} %",
                f"below {bounds.vague_names_percent:g} %",
            ),
            (
                f"lines a statement, {package}",
                f"{room.lines_per_statement:.2f}",
                least,
            ),
        ]
    rows += [
        (
            "files of a folder",
            str(most_files),
            f"at most {bounds.folder_files}",
        ),
        (
            "floors of a folder",
            str(most_floors),
            f"at most {bounds.folder_floors}",
        ),
        ("circles of imports", str(len(circles)), "none"),
    ]
    return _table([("measure", "worst", "bound"), *rows])


def report(measures: Measures, bounds: Bounds) -> str:
    """Return the tables of functions, of folders and of vague names."""
    parts = (
        "Functions by their branches\n" + _distribution(measures.functions),
        f"Functions of more than {min(_ALTERNATIVES)} branches, or more than {bounds.function_lines} lines\n"
        + _large_functions(measures.functions, bounds),
        "Folders, each with all below it; files, subfolders and floors are its own\n"
        + _folder_table(measures),
        "Vague names by file\n" + _vague_table(measures.bindings),
    )
    return "\n\n".join(parts)


def percentile(values: Iterable[int], percent: int) -> int:
    """Return the smallest of the values that at least so many percent of them
    do not exceed; 0 without values.
    """
    ordered = sorted(values)
    if not ordered:
        return 0
    return ordered[-(-len(ordered) * percent // 100) - 1]


def _of_packages(measures: Measures, bounds: Bounds) -> list[floors.Folder]:
    return [
        folder
        for folder in measures.folders
        if any(within(folder.path, each) for each in bounds.packages)
    ]


def _distribution(functions: list[branches.Function]) -> str:
    counts = [function.branches for function in functions]
    lines = [function.lines for function in functions]
    rows = [("of all functions", "branches", "lines")]
    rows += [
        (
            f"{percent} %",
            str(percentile(counts, percent)),
            str(percentile(lines, percent)),
        )
        for percent in (50, 90, 95, 99, 100)
    ]
    above = [
        (
            f"above {bound} branches",
            str(sum(count > bound for count in counts)),
            "",
        )
        for bound in _ALTERNATIVES
    ]
    return _table([*rows, *above])


def _large_functions(
    functions: list[branches.Function], bounds: Bounds
) -> str:
    large = [
        function
        for function in functions
        if function.branches > min(_ALTERNATIVES)
        or function.lines > bounds.function_lines
    ]
    large.sort(
        key=lambda function: (-function.branches, function.path, function.line)
    )
    rows = [("function", "branches", "lines")]
    rows += [
        (
            f"{function.path}:{function.line} {function.name}",
            str(function.branches),
            str(function.lines),
        )
        for function in large
    ]
    return _table(rows)


def _folder_table(measures: Measures) -> str:
    rows = [
        (
            "folder",
            "lines/statement",
            "vague",
            "bindings",
            "vague %",
            "files",
            "subfolders",
            "floors",
        )
    ]
    for folder in measures.folders:
        room = density.total(measures.densities, folder.path)
        vague = names.share(measures.bindings, folder.path)
        rows.append(
            (
                folder.path,
                f"{room.lines_per_statement:.2f}",
                *(
                    str(vague.vague),
                    str(vague.bindings),
                    f"{vague.percent:.2f}",
                ),
                *(
                    str(folder.files),
                    str(folder.subfolders),
                    str(folder.floors),
                ),
            )
        )
    return _table(rows)


def _vague_table(bindings: list[names.Binding]) -> str:
    by_file: dict[str, Counter[str]] = {}
    for binding in bindings:
        if binding.vague:
            by_file.setdefault(binding.path, Counter())[binding.name] += 1
    rows = [("file", "vague", "names")]
    for path, counts in sorted(
        by_file.items(), key=lambda item: (-item[1].total(), item[0])
    ):
        rows.append(
            (
                path,
                str(counts.total()),
                ", ".join(f"{name} {n}" for name, n in counts.most_common()),
            )
        )
    return _table(rows)


def _table(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(_lines(rows))


def _lines(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Return each row as a line, its columns as wide as their widest cell."""
    widths = [
        max(len(cell) for cell in column) for column in zip(*rows, strict=True)
    ]
    for row in rows:
        cells = (
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        )
        yield "  ".join(cells).rstrip()
