"""A page of the docs that is generated from the code: it is written, or checked
against the code.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path


def write_or_check(
    page: Path,
    render: Callable[[], str],
    *,
    command: str,
    arguments: list[str] | None,
) -> int:
    """Write the page, or with --check say that it is not up to date; return
    the exit status, 1 when it is not.

    `render` returns the page; `command` is what writes it anew.
    """
    parser = argparse.ArgumentParser(
        prog=command, description=f"Write {page.name} from the code."
    )

    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; fail when the page differs",
    )

    options = parser.parse_args(arguments)
    text = render()

    if not options.check:
        page.write_text(text, "utf-8")
        return 0

    if page.exists() and page.read_text("utf-8") == text:
        return 0

    sys.stderr.write(f"{page} is not what the code has; run: {command}\n")

    return 1
