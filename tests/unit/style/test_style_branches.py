"""Branches and lines of functions: what counts, and that a breach of each bound is reported."""

import pytest

from style import branches
from style.branches import Function
from style.source import parse


def measured(text: str) -> dict[str, Function]:
    return {
        function.name: function
        for function in branches.measure(parse("a.py", text))
    }


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return 1", 0),
        ("if a: pass", 1),
        ("if a: pass\n  elif b: pass\n  else: pass", 2),
        ("for x in a: pass", 1),
        ("async for x in a: pass", 1),
        ("while a: pass", 1),
        (
            "try: pass\n  except OSError: pass\n  except ValueError: pass\n  finally: pass",
            2,
        ),
        ("match a:\n    case 1: pass\n    case _: pass", 2),
        ("return a and b and c", 2),
        ("return a or b and c", 2),
        ("return a if b else c", 1),
        ("return [x for x in a]", 1),
        ("return {x: y for x in a if x for y in x if y if not y}", 5),
        ("return any(x for x in a)", 1),
        ("return sorted(a, key=lambda x: x or 0)", 1),
        ("assert a", 0),
        ("with a: pass", 0),
    ],
)
def test_each_kind_of_branch_counts(body: str, expected: int) -> None:
    assert (
        measured(f"async def f(a, b, c):\n  {body}\n")["f"].branches
        == expected
    )


def test_a_nested_function_counts_for_itself() -> None:
    text = """\
class Outer:
    def method(self):
        if self:
            pass

        def inner(x):
            return [y for y in x if y]

        class Local:
            def deep(self):
                while self:
                    pass

        return inner
"""
    functions = measured(text)
    assert {
        name: function.branches for name, function in functions.items()
    } == {
        "Outer.method": 1,
        "Outer.method.inner": 2,
        "Outer.method.Local.deep": 1,
    }
    assert {name: function.lines for name, function in functions.items()} == {
        "Outer.method": 4,
        "Outer.method.inner": 2,
        "Outer.method.Local.deep": 3,
    }


def test_only_lines_of_code_count() -> None:
    text = '''\
@decorated
def f(
    a,
):
    """Docstring
    of two lines."""

    # A comment.
    b = 1  # a comment behind code
    return """text

# in a string"""
'''
    function = measured(text)["f"]
    assert (function.line, function.lines) == (2, 7)


def test_a_broken_bound_is_reported_with_its_place() -> None:
    function = Function(path="a.py", line=7, name="A.f", lines=61, branches=16)
    assert [
        str(breach)
        for breach in branches.breaches(
            [function], max_lines=60, max_branches=15
        )
    ] == [
        "a.py:7: function A.f has 16 branches, the bound is 15: split a decision out, or name an intermediate",
        "a.py:7: function A.f has 61 lines, the bound is 60: move a step into a function of its own",
    ]
    assert branches.breaches([function], max_lines=61, max_branches=16) == []
