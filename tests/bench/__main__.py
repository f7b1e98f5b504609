"""`python -m bench`: lists what `make bench` measures, with the name of each bench for `make bench BENCH=NAME`."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

INDENT = " " * 22
WIDTH = 118


def main() -> None:
    """Print each bench with the first sentence of its text."""
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        about = " ".join(text.split("\n\n")[0].split())
        name = path.stem.removeprefix("test_")
        first = f"  {name:20}"
        print(
            textwrap.fill(
                about,
                WIDTH,
                initial_indent=first,
                subsequent_indent=INDENT,
            )
        )


main()
