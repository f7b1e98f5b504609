"""`python -m style [--report] [--root FOLDER]`: check the bounds of
`[tool.cerebro.style]` in pyproject.toml.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path

from style import measures
from style.bounds import Bounds, BoundsError
from style.source import read_sources

_DESCRIPTION = """\
Check what no linter counts: the branches and lines of each function, vague names, lines for each statement, the files
and floors of imports of each folder, and circles of imports. The bounds stand in pyproject.toml, [tool.cerebro.style].
Exit status: 0 if all bounds hold, 1 if one is broken, 2 if the bounds or a file cannot be read."""


def main(arguments: list[str] | None = None) -> int:
    """Print the table and the broken bounds; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m style",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="print the full tables, by folder and by function",
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=Path(),
        help="the repository's root (default: here)",
    )
    options = parser.parse_args(arguments)

    try:
        bounds = Bounds.from_toml(
            (options.root / "pyproject.toml").read_text("utf-8")
        )
        sources = read_sources(options.root, bounds.folders)
    except (
        OSError,
        SyntaxError,
        UnicodeDecodeError,
        BoundsError,
        tomllib.TOMLDecodeError,
    ) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2

    measured = measures.measure(sources, bounds)
    if options.report:
        print(measures.report(measured, bounds), end="\n\n")
    print(measures.summary(measured, bounds))

    broken = measures.breaches(measured, bounds)
    for breach in broken:
        print(breach, file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
