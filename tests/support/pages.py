"""Commands that a page tells its readers to type: its fenced blocks, and what a hidden comment says of each.

A comment on the line before a block is its mark: `<!-- not run: WHY -->` where no test can run it, and
`<!-- run by: PATH -->` where the test in that file does. All other blocks are run by `tests/e2e/test_docs.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "docs/install.md",
    "docs/first-router.md",
    "docs/connect-a-backend.md",
    "docs/upgrade.md",
    "docs/backup.md",
)
"""Pages whose commands are tested, in the order in which a reader comes to them."""

_HEADING = re.compile(r"#{1,6} (.+)")
_FENCE = re.compile(r"```(\w*)")
_MARK = re.compile(r"<!-- (not run|run by): (.+) -->")


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: str
    section: str
    """The heading that it stands under."""
    line: int
    language: str
    text: str
    mark: str
    """`not run` or `run by`; empty: it has to be run."""
    reason: str
    """Why it is not run, or by which file it is."""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page of the repository, in their order."""
    return list(blocks_in(page, (ROOT / page).read_text()))


def blocks_in(page: str, text: str) -> Iterator[Block]:
    """Return the blocks of a text. A fence that is not closed is an error."""
    section, before = "", ""
    lines = iter(enumerate(text.splitlines(), start=1))
    for number, line in lines:
        if heading := _HEADING.fullmatch(line):
            section = heading[1]

        if fence := _FENCE.fullmatch(line):
            mark = _MARK.fullmatch(before)
            yield Block(
                page=page,
                section=section,
                line=number,
                language=fence[1],
                text=_until_closed(lines, f"{page}:{number}"),
                mark=mark[1] if mark else "",
                reason=mark[2] if mark else "",
            )

        before = line


def _until_closed(lines: Iterator[tuple[int, str]], where: str) -> str:
    inside: list[str] = []
    for _, line in lines:
        if line == "```":
            return "\n".join(inside)

        inside.append(line)

    raise AssertionError(f"{where}: the block is not closed")
