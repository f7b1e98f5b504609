"""The pages for readers who type what stands there: each command is run by a test or says why not, and names agree.

The files of the repository are read as they are. The commands themselves are run in `tests/e2e/test_docs.py`.
"""

from __future__ import annotations

import re

import pytest

from support.pages import PAGES, ROOT, blocks, blocks_in

LANGUAGES = {"sh", "routeros", "yaml", "json"}
EXAMPLES = sorted((ROOT / "docs" / "examples").iterdir())
NAMED = (*PAGES, "README.md", "docs/operating.md")


def test_a_block_has_its_section_its_mark_and_its_text() -> None:
    text = "# Page\n\n## Part\n\n<!-- not run: no k3s -->\n```sh\na\nb\n```\n\n```yaml\nc: 1\n```\n"

    first, second = blocks_in("page.md", text)

    assert (first.section, first.language, first.text) == (
        "Part",
        "sh",
        "a\nb",
    )
    assert (first.mark, first.reason) == ("not run", "no k3s")
    assert (second.mark, second.language, str(second)) == (
        "",
        "yaml",
        "page.md:11",
    )


def test_a_block_that_is_not_closed_is_an_error() -> None:
    with pytest.raises(AssertionError, match=r"page\.md:1"):
        list(blocks_in("page.md", "```sh\na\n"))


@pytest.mark.parametrize("page", PAGES)
def test_each_block_is_run_or_says_why_not(page: str) -> None:
    listed = blocks(page)

    assert any(block.language == "sh" for block in listed)
    for block in listed:
        assert block.language in LANGUAGES, f"{block} has no language"
        if block.mark == "run by":
            assert (ROOT / block.reason).is_file(), block


def test_each_program_of_the_examples_is_on_a_page() -> None:
    typed = " ".join(block.text for page in PAGES for block in blocks(page))

    for example in EXAMPLES:
        if example.suffix in {".py", ".sh"}:
            assert f"docs/examples/{example.name}" in typed


def test_pages_and_examples_name_the_same_hub_and_router() -> None:
    texts = [(ROOT / page).read_text() for page in NAMED]
    texts += [example.read_text() for example in EXAMPLES]
    text = "\n".join(texts)

    assert set(re.findall(r"\brouter-\d+\b", text)) == {"router-1"}
    assert set(re.findall(r"hubRef:\n +name: (.+)", text)) == {"main"}
    assert set(re.findall(r"\bhub[-/][\w-]*\d\b", text)) == set()
