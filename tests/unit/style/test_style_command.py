"""The command: bounds out of pyproject.toml, its exit status, and what it prints."""

from pathlib import Path

import pytest

from style.__main__ import main
from style.bounds import Bounds, BoundsError
from style.measures import percentile

TABLE = """\
[tool.cerebro.style]
folders = ["src"]
packages = ["src/p"]
function-lines = 4
function-branches = 1
vague-names-percent = 50
lines-per-statement = 1
folder-files = 1
folder-floors = 1
"""


def tree(root: Path, files: dict[str, str]) -> list[str]:
    (root / "pyproject.toml").write_text(TABLE)
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return ["--root", str(root)]


def test_a_tree_within_its_bounds_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = tree(
        tmp_path, {"src/p/a.py": "def f(x):\n    return 1 if x else 2\n"}
    )
    assert main([*arguments, "--report"]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    rows = [line.split() for line in output.out.splitlines()]
    assert ["branches", "of", "a", "function", "1", "at", "most", "1"] in rows
    assert ["src/p", "1.00", "0", "2", "0.00", "1", "0", "1"] in rows


def test_every_broken_bound_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    function = "def found():\n    x = 1; y = 2\n    z = 3; u = 4\n    return (a\n        or b or c)\n"
    files = {
        "src/p/a.py": f"import p.b\n{function}",
        "src/p/b.py": "import p.a\nfound = left = said = other = words = what = one = 1\n",
    }
    assert main(tree(tmp_path, files)) == 1
    places = [
        line.split(": ", 1) for line in capsys.readouterr().err.splitlines()
    ]
    assert [(place, text.split(",")[0]) for place, text in places] == [
        ("src/p/a.py:2", "function found has 2 branches"),
        ("src/p/a.py:2", "function found has 5 lines"),
        ("src/p", "8 of 12 names are vague (66.67 %: found 2"),
        ("src/p", "0.89 lines a statement"),
        ("src/p", "2 Python files"),
        ("src/p", "2 floors of imports"),
        ("src/p/a.py:1", "files import each other"),
    ]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "[tool.cerebro.style]",
            "[tool.other]",
            "[tool.cerebro.style] is missing",
        ),
        ("folder-files = 1", "", "[tool.cerebro.style]: folder-files missing"),
        (
            "folder-files = 1",
            "folder-files = 1\nfiles = 1",
            "[tool.cerebro.style]: files unknown",
        ),
    ],
)
def test_wrong_bounds_are_named(before: str, after: str, message: str) -> None:
    with pytest.raises(BoundsError) as raised:
        Bounds.from_toml(TABLE.replace(before, after))
    assert str(raised.value) == message


def test_what_cannot_be_read_ends_with_another_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--root", str(tmp_path)]) == 2
    assert main(tree(tmp_path, {"src/p/a.py": "def"})) == 2
    assert "invalid syntax (a.py, line 1)" in capsys.readouterr().err


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert percentile(range(1, 101), 95) == 95
    assert percentile([3, 1, 2], 50) == 2
    assert percentile([1, 2], 100) == 2
    assert percentile([], 95) == 0
