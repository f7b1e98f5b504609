"""The design pages keep up with the code: each rule that is named has a page entry, and no link leads nowhere.

The files of the repository are read as they are; nothing is faked. The finders are tested on small texts first, so
that a check which finds nothing cannot pass for that reason.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[3]
RULES_PAGE = ROOT / "docs" / "design" / "rules.md"
GLOSSARY_PAGE = ROOT / "docs" / "design" / "glossary.md"
PACKAGE = ROOT / "operator" / "cerebro"

_CODE_FOLDERS = ("operator", "hack", "tests", "deploy")
_CODE_SUFFIXES = frozenset({"", ".py", ".sh", ".toml", ".yaml", ".yml"})
_PAGE_FOLDERS = ("docs", "deploy", "hack", "operator", "tests", ".github")
_THESE_TESTS = Path(__file__).parent

_NUMBER = r"[A-G](?:0|[1-9][0-9]?)"
# A rule number stands alone in a text. Hex digits, MAC addresses, keys in base64, character classes, percent
# encodings and versions touch further characters, or stand in a row of bytes, or are all that is quoted.
_NAMED = re.compile(
    rf"""
    (?<![\w.:/\\%\#$&=+-])      # no part of a longer word, address or encoding
    (?<!\b[0-9A-F]{{2}}[ ])     # no byte after another byte
    (?!(?<=["']){_NUMBER}["'])  # not all that a string has
    ({_NUMBER})
    (?![\w/\\%&=+-])
    (?![.:][0-9A-Fa-f])         # no first byte of a MAC address, no version
    (?![ ][0-9A-F]{{2}}\b)      # no byte before another byte
    """,
    re.VERBOSE,
)
_IN_TEST_NAME = re.compile(r"\btest_((?:[a-g](?:0|[1-9][0-9]?)_)+)")
_RULE_HEADING = re.compile(rf"^### ({_NUMBER}) (?=\S)", re.MULTILINE)

_PLACES = re.compile(
    r"^Kept in: (.+?)\.$|^\*\*[^()]+\*\*: .*?\(([^()]+)\)$",
    re.MULTILINE | re.DOTALL,
)
_FENCED = re.compile(
    r"^ {0,3}(```+|~~~+).*?^ {0,3}\1[`~]*[ \t]*$", re.MULTILINE | re.DOTALL
)
_INLINE_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_INLINE_LINK = re.compile(
    r"\]\(\s*<?([^)\s>]+)>?(?:\s+[\"'][^\"')]*[\"'])?\s*\)"
)
_LINK_DEFINITION = re.compile(
    r"^ {0,3}\[[^\]]+\]:[ \t]*<?([^\s>]+)", re.MULTILINE
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)


# --- finders


def rules_named(text: str) -> set[str]:
    """Return the rule numbers that a text names: `(rule E7)`, `A10: ...`, `test_e7_...`."""
    in_names = (
        number
        for names in _IN_TEST_NAME.findall(text)
        for number in names.upper().split("_")
    )
    return {*_NAMED.findall(text), *filter(None, in_names)}


def rule_sections(page: str) -> dict[str, str]:
    """Return title and text of each rule, by number. Raises AssertionError where a number has two headings."""
    starts = list(_RULE_HEADING.finditer(page))
    ends = [*(start.start() for start in starts[1:]), len(page)]
    sections: dict[str, str] = {}
    for start, end in zip(starts, ends, strict=True):
        number = start[1]
        assert number not in sections, f"{number} has two headings"
        text, _, _ = page[start.end() : end].partition("\n## ")
        sections[number] = text
    return sections


def places_of(page: str) -> list[str]:
    """Return the paths that end the entries of a design page: `Kept in: ...` of a rule, in parentheses of a word."""
    ends = (
        entry
        for paragraph in page.split("\n\n")
        for entry in _PLACES.findall(paragraph.strip())
    )
    return [
        place
        for end in ends
        for place in re.findall(r"`([^`]+)`", "".join(end))
    ]


def missing_places(page: str, *roots: Path) -> list[str]:
    """Return the paths and patterns of a design page that mean no file or folder below any of the roots."""
    return [
        place
        for place in places_of(page)
        if not any(list(root.glob(place)) for root in roots)
    ]


def links_of(page: str) -> list[str]:
    """Return the targets of the links and images of a Markdown page that are no URL; code is left out."""
    prose = _INLINE_CODE.sub("", _FENCED.sub("", page))
    targets = [*_INLINE_LINK.findall(prose), *_LINK_DEFINITION.findall(prose)]
    return [target for target in targets if not _SCHEME.match(target)]


def anchors_of(page: str) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a Markdown page."""
    anchors: set[str] = set()
    seen: Counter[str] = Counter()
    for heading in _HEADING.findall(_FENCED.sub("", page)):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return anchors


def leads_somewhere(target: str, page: Path, root: Path) -> bool:
    """Return whether the file of a link exists and, where that is a Markdown page, the heading that it names."""
    path, _, anchor = unquote(target).partition("#")
    base = root if path.startswith("/") else page.parent
    file = base / path.lstrip("/") if path else page
    if not file.exists():
        return False
    if not anchor or file.suffix != ".md":
        return True
    return anchor in anchors_of(file.read_text(encoding="utf-8"))


def broken_links(page: Path, root: Path) -> list[str]:
    """Return the links of a page that lead nowhere."""
    targets = links_of(page.read_text(encoding="utf-8"))
    return [
        target for target in targets if not leads_somewhere(target, page, root)
    ]


# --- the repository


def code_files() -> Iterator[Path]:
    """Yield the files in which a rule may be named."""
    for folder in _CODE_FOLDERS:
        for file in sorted((ROOT / folder).rglob("*")):
            hidden = any(
                part.startswith((".", "__pycache__"))
                for part in file.relative_to(ROOT).parts
            )
            if file.suffix in _CODE_SUFFIXES and file.is_file() and not hidden:
                yield file


def rules_in_code() -> dict[str, str]:
    """Return where each rule is named first, by number; the samples of these tests do not count."""
    places: dict[str, str] = {}
    for file in code_files():
        if file.is_relative_to(_THESE_TESTS):
            continue
        for number in rules_named(
            file.read_text(encoding="utf-8", errors="ignore")
        ):
            places.setdefault(number, str(file.relative_to(ROOT)))
    return places


def pages() -> list[Path]:
    """Return the Markdown files of the repository."""
    deeper = (
        file
        for folder in _PAGE_FOLDERS
        for file in (ROOT / folder).rglob("*.md")
    )
    return sorted([*ROOT.glob("*.md"), *deeper])


# --- the finders, on small texts


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("the store is complete (E7)", {"E7"}),
        ("until then nothing goes (rule E7).", {"E7"}),
        ("(rules E1, E12, E14)", {"E1", "E12", "E14"}),
        ("(E4, E9)", {"E4", "E9"}),
        ("Decides (version 1.2 and later; rules F8, F9). Pure.", {"F8", "F9"}),
        ("by rules B0 and B5", {"B0", "B5"}),
        ("Rules E5 to E8 hold", {"E5", "E8"}),
        ('"""A10: the newest counts."""', {"A10"}),
        ('"""E11', {"E11"}),
        ("seen lately (rule\n    B10)", {"B10"}),
        ('assert ends, "A1: with the original end"', {"A1"}),
        ("def test_e7_nothing_goes() -> None:", {"E7"}),
        ("async def test_e1_e14_one_holder() -> None:", {"E1", "E14"}),
    ],
)
def test_a_rule_is_found_however_it_is_named(
    text: str, numbers: set[str]
) -> None:
    assert rules_named(text) == numbers


@pytest.mark.parametrize(
    "text",
    [
        "AA:BB:CC:DD:E7:01 and B1:22:33:44:55:66 and 00:00:00:00:00:A1",
        "AA-BB-CC-DD-E7-01 and B1-22-33-44-55-66",
        'bytes.fromhex("E7 B5 00") and "00 E7"',
        "0xE7, \\xE7, %E7%B5, #E7B5, &#E7;",
        'bytes.fromhex("E7"), {"B4"}',
        "[A-F0-9]{2}, [0-9A-F1]",
        "RouterOS 7.1.E4, v7.E4, E4.1, RB4011, 7.10rc4, CCR2004-16G, E60iUGS",
        "key B4+9cGE7/xE7= and E7/2 and /E7",
        "noqa: E501, S105, D105; SHA256, IPv4, C3PO, H1, A100, E07",
        "def test_b2b_orders() -> None: ...",
        "test_hub_e4 and test_e7",
    ],
)
def test_what_only_looks_like_a_rule_is_not_found(text: str) -> None:
    assert rules_named(text) == set()


def test_the_sections_of_rules_end_where_the_next_one_begins() -> None:
    page = "# Rules\n\n## A\n\n### A1 Names\n\nText.\n\n### A2 Places\n\nMore.\n\n## B\n\nOf B.\n\n### B1\n"
    assert rule_sections(page) == {
        "A1": "Names\n\nText.\n\n",
        "A2": "Places\n\nMore.\n",
    }
    with pytest.raises(AssertionError, match="A1"):
        rule_sections("### A1 Names\n\n### A1 Names\n")


def test_a_place_that_does_not_exist_is_seen(tmp_path: Path) -> None:
    (tmp_path / "agent" / "hubs").mkdir(parents=True)
    (tmp_path / "agent" / "hubs" / "loop.py").touch()
    page = (
        "### E7 A store\n\nA `word`.\n\nWhy: a `reason`.\n\nKept in: `agent/hubs/loop.py`, `agent/`,\n`gone.py`.\n\n"
        "**Hub**: an object (see `kubectl`) with\nan interface. (`agent/*/loop.py`,\n`lost.py`)\n"
    )
    assert places_of(page) == [
        "agent/hubs/loop.py",
        "agent/",
        "gone.py",
        "agent/*/loop.py",
        "lost.py",
    ]
    assert missing_places(page, tmp_path) == ["gone.py", "lost.py"]


def test_links_are_found_in_every_form_and_code_has_none() -> None:
    page = (
        'See [one](a.md), ![picture](b.png "title"), [![badge](c.svg)](d.md#e), [spaced](<f.md>),\n'
        "[here](#below), [out](https://example.org/a.md), [mail](mailto:a@example.org).\n\n"
        "[later]: g.md\n\n`[code](h.md)` and ``[more `code`](i.md)``\n\n```\n[fenced](j.md)\n```\n"
    )
    assert links_of(page) == [
        "a.md",
        "b.png",
        "c.svg",
        "d.md#e",
        "f.md",
        "#below",
        "g.md",
    ]


def test_headings_have_the_anchors_that_github_gives_them() -> None:
    page = "# Cérebro: *design*\n\n## `E7` A store, complete\n\n## Twice\n\n## Twice\n\n```\n# no heading\n```\n"
    assert anchors_of(page) == {
        "cérebro-design",
        "e7-a-store-complete",
        "twice",
        "twice-1",
    }


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "other.md").write_text("# Here\n", encoding="utf-8")
    page = tmp_path / "docs" / "page.md"
    good = (
        "[a](other.md) [b](other.md#here) [c](#top) [d](.) [e](/docs/other.md)"
    )
    bad = "[f](gone.md) [g](other.md#gone) [h](#gone) [i](../other.md)"
    page.write_text(f"# Top\n\n{good}\n\n{bad}\n", encoding="utf-8")
    assert broken_links(page, tmp_path) == [
        "gone.md",
        "other.md#gone",
        "#gone",
        "../other.md",
    ]


# --- the pages


def test_every_rule_that_code_or_a_test_names_is_explained() -> None:
    explained = rule_sections(RULES_PAGE.read_text(encoding="utf-8"))
    missing = {
        number: place
        for number, place in rules_in_code().items()
        if number not in explained
    }
    assert not missing, f"no heading in {RULES_PAGE.name}, named in: {missing}"


def test_every_rule_that_is_explained_is_named_in_code_or_a_test() -> None:
    explained = rule_sections(RULES_PAGE.read_text(encoding="utf-8"))
    assert len(explained) > 40
    dead = sorted(explained.keys() - rules_in_code().keys())
    assert not dead, (
        "take the rule out of the page, or name it where it is kept"
    )


def test_every_rule_says_what_why_and_where() -> None:
    sections = rule_sections(RULES_PAGE.read_text(encoding="utf-8"))
    for number, text in sections.items():
        _, *paragraphs = text.strip().split("\n\n")
        assert len(paragraphs) == 3, (
            f"{number}: the rule, then why, then where it is kept"
        )
        rule, why, kept = paragraphs
        assert not rule.startswith(("Why: ", "Kept in: ")), number
        assert why.startswith("Why: "), number
        assert kept.startswith("Kept in: `"), number


def test_every_place_that_a_page_names_exists() -> None:
    for page in (RULES_PAGE, GLOSSARY_PAGE):
        text = page.read_text(encoding="utf-8")
        assert len(places_of(text)) > 60
        assert not missing_places(text, PACKAGE, ROOT), page.name


def test_the_glossary_is_in_the_order_of_the_alphabet() -> None:
    words = re.findall(
        r"^\*\*(.+?)\*\*",
        GLOSSARY_PAGE.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert len(words) > 30
    assert words == sorted(words, key=str.casefold)


def test_every_link_of_the_pages_leads_somewhere() -> None:
    assert {page.name for page in pages()} >= {
        "README.md",
        "CONTRIBUTING.md",
        "rules.md",
    }
    broken = {
        str(page.relative_to(ROOT)): links
        for page in pages()
        if (links := broken_links(page, ROOT))
    }
    assert not broken
