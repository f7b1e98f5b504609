"""Imports among files and folders: how they are read, floors, circles, and that each broken bound is reported."""

import pytest

from style import floors
from style.floors import Folder, Imports
from style.source import parse

MEND = "move what they share down, or hand it in"


def imports_of(files: dict[str, str]) -> Imports:
    return floors.read_imports(
        [parse(path, text) for path, text in files.items()], ["src", "tools"]
    )


@pytest.mark.parametrize(
    "statement",
    [
        "import p.q.b",
        "import p.q.b as c",
        "from p.q import b",
        "from p.q.b import name",
        "from . import b",
        "from .b import name",
        "from ..q.b import name",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.q.b import Name",
        "def f():\n    import p.q.b",
    ],
)
def test_each_way_to_import_is_read(statement: str) -> None:
    files = {
        "src/p/q/__init__.py": '"""Docstring."""',
        "src/p/q/a.py": statement,
        "src/p/q/b.py": "",
    }
    assert imports_of(files).graph == {
        "src/p/q/a.py": frozenset({"src/p/q/b.py"}),
        "src/p/q/b.py": frozenset(),
    }


def test_a_package_file_counts_only_with_code() -> None:
    user = {"src/p/a.py": "from p import name"}
    assert imports_of(
        {**user, "src/p/__init__.py": '"""Docstring."""'}
    ).graph == {"src/p/a.py": frozenset()}
    with_code = imports_of({**user, "src/p/__init__.py": "name = 1"})
    assert with_code.graph["src/p/a.py"] == {"src/p/__init__.py"}
    relative = imports_of(
        {
            "src/p/__init__.py": "from .a import x\nfrom . import a",
            "src/p/a.py": "",
        }
    )
    assert relative.graph["src/p/__init__.py"] == {"src/p/a.py"}


def test_folders_have_files_subfolders_and_floors() -> None:
    files = {
        "src/p/main.py": "import p.q.b\nimport os",
        "src/p/alone.py": "",
        "src/p/q/a.py": "from p.low import x",
        "src/p/q/b.py": "",
        "src/p/low.py": "",
        "tools/run.py": "import p.main",
    }
    assert floors.folders(imports_of(files).graph) == [
        Folder("src", files=0, subfolders=1, chain=("src/p",)),
        Folder(
            "src/p",
            files=3,
            subfolders=1,
            chain=("src/p/main.py", "src/p/q", "src/p/low.py"),
        ),
        Folder("src/p/q", files=2, subfolders=0, chain=("src/p/q/a.py",)),
        Folder("tools", files=1, subfolders=0, chain=("tools/run.py",)),
    ]


def test_too_many_files_or_floors_are_reported() -> None:
    folder = Folder(
        "p", files=3, subfolders=0, chain=("p/a.py", "p/b.py", "p/c.py")
    )
    assert [
        str(breach)
        for breach in floors.size_breaches([folder], max_files=2, max_floors=2)
    ] == [
        "p: 3 Python files, the bound is 2: give a part of them a folder of its own",
        "p: 3 floors of imports, the bound is 2: shorten a.py -> b.py -> c.py",
    ]
    assert floors.size_breaches([folder], max_files=3, max_floors=3) == []


def test_a_circle_of_type_imports_is_reported_with_its_line() -> None:
    files = {
        "src/p/a.py": "import p.b",
        "src/p/b.py": "if TYPE_CHECKING:\n    import p.c\n    import p.a",
        "src/p/c.py": "import p.b",
        "src/p/d.py": "import p.a",
    }
    ring = "src/p/a.py -> src/p/b.py -> src/p/a.py"
    assert [
        str(breach) for breach in floors.circle_breaches(imports_of(files))
    ] == [
        f"src/p/a.py:1: files import each other, {ring} (and 1 more that reach each other): {MEND}"
    ]


def test_a_circle_of_folders_without_a_circle_of_files_is_reported() -> None:
    files = {
        "src/p/q/a.py": "import p.r.a",
        "src/p/r/a.py": "",
        "src/p/r/b.py": "import p.q.b",
        "src/p/q/b.py": "",
    }
    assert [
        str(breach) for breach in floors.circle_breaches(imports_of(files))
    ] == [
        f"src/p: folders import each other, src/p/q -> src/p/r -> src/p/q: {MEND}"
    ]
    files["src/p/r/b.py"] = ""
    assert floors.circle_breaches(imports_of(files)) == []


def test_a_circle_stands_on_the_chain_with_all_its_nodes() -> None:
    graph = {
        name: frozenset(targets)
        for name, targets in {"a": "b", "b": "cd", "c": "b", "d": ""}.items()
    }
    assert floors.longest_chain(graph) == ("a", "b", "c", "d")
    assert floors.longest_chain({}) == ()
