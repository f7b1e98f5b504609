"""Lines for each statement: what counts, and that too few are reported."""

import pytest

from style import density
from style.density import Density
from style.source import parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Density(lines=0, statements=0)),
        (
            '"""Docstring."""\n\n# comment\nimport a\n',
            Density(lines=4, statements=2),
        ),
        (
            "if a:\n    b = [\n        1,\n    ]\nelse:\n    pass\n",
            Density(lines=6, statements=3),
        ),
        ("a = 1; b = 2\n", Density(lines=1, statements=2)),
    ],
)
def test_all_lines_and_all_statements_count(
    text: str, expected: Density
) -> None:
    assert density.measure(parse("a.py", text)) == expected


def test_a_folder_that_is_too_dense_is_reported() -> None:
    measured = [
        ("a/x.py", Density(lines=4, statements=2)),
        ("a/b/x.py", Density(lines=2, statements=2)),
    ]
    assert density.total(measured, "a") == Density(lines=6, statements=4)
    assert [
        str(breach)
        for breach in density.breaches(
            measured, folders=["a", "c"], at_least=1.6
        )
    ] == [
        "a: 1.50 lines a statement, the least is 1.6: one decision a line, a blank line between steps"
    ]
    assert density.breaches(measured, folders=["a"], at_least=1.5) == []
