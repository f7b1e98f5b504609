"""The table of Events in docs/operating.md is that of the code."""

from __future__ import annotations

from pathlib import Path

from cerebro.kube.event_limits import PER_KIND, PER_OBJECT
from cerebro.kube.event_reasons import EVENTS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "operating.md").read_text()
EVENTS_PAGE = PAGE.split("\n## Events\n")[1].split("\n## ")[0]


def rows() -> dict[tuple[str, str], set[str]]:
    """Return the types by reason and kind, as the page has them."""
    types: dict[tuple[str, str], set[str]] = {}
    for line in EVENTS_PAGE.splitlines():
        if not line.startswith("| `"):
            continue
        reasons, kinds, of_type, _ = (
            cell.strip() for cell in line.strip("|").split("|", 3)
        )
        for reason in reasons.split(", "):
            for kind in kinds.split(", "):
                known = types.setdefault((reason.strip("`"), kind), set())
                known.update(of_type.split(", "))
    return types


def test_each_event_of_the_code_is_on_the_page_and_no_other() -> None:
    page, code = rows(), set()
    for told in EVENTS:
        for kind in told.kinds:
            code.add((told.reason, kind))
            assert told.type in page.get((told.reason, kind), set()), told
    assert page.keys() == code


def test_the_bounds_are_on_the_page() -> None:
    assert f"{PER_KIND} Normal ones and {PER_KIND} Warnings" in EVENTS_PAGE
    assert f"there are {PER_OBJECT} at\nonce" in EVENTS_PAGE
