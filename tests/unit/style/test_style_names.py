"""Vague names: which bindings count, which loops are exempt, and that a share above the bound is reported."""

import pytest

from style import names
from style.names import Share
from style.source import parse


def vague_names(text: str) -> list[str]:
    return sorted(
        binding.name
        for binding in names.bindings(parse("a/b.py", text))
        if binding.vague
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("found = 1", ["found"]),
        ("found: int = 1", ["found"]),
        ("one, (other, *left) = a", ["left", "one", "other"]),
        ("found += 1", []),
        ("print(found)", []),
        ("foundation = 1", []),
        ("_said = others = _ones = 1", ["_ones", "_said", "others"]),
        (
            "def asked(one, *words, found=1, **what): pass",
            ["asked", "found", "one", "what", "words"],
        ),
        ("lambda one: one", ["one"]),
        ("class again:\n  there: int", ["again", "there"]),
        ("self.found = cls.said = 1", ["found", "said"]),
        ("self.found += 1\na.found = 1", []),
        ("with a as one: pass", ["one"]),
        ("try: pass\nexcept OSError as found: pass", ["found"]),
        ("(found := 1)", ["found"]),
        (
            "import a as there\nfrom b import what, c as left",
            ["left", "there"],
        ),
        (
            "match a:\n  case [one, *other]: pass\n  case {'x': 1, **left}: pass",
            ["left", "one", "other"],
        ),
    ],
)
def test_each_kind_of_binding_counts(text: str, expected: list[str]) -> None:
    assert vague_names(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("for one in a:\n  print(one)", []),
        ("for one, other in a: print(one)", []),
        ("for one in a:\n  print(one)\n  print(a)", ["one"]),
        ("for one in a:\n  print(\n    one)", ["one"]),
        ("for one in a:\n  found = one", ["found"]),
        ("[one for one in a]", []),
        ("{one: other for one in a for other in one}", []),
        ("any(\n  one\n  for one in a\n)", []),
        ("[\n  f(\n    one)\n  for one in a]", ["one"]),
        (
            "{\n  one: 1,\n}\n{one:\n  other for one, other in a}",
            ["one", "other"],
        ),
    ],
)
def test_the_variable_of_a_short_loop_is_exempt(
    text: str, expected: list[str]
) -> None:
    assert vague_names(text) == expected


def test_the_share_is_of_all_bindings_of_a_folder() -> None:
    sources = [
        parse("a/x.py", "found = 1\nb = c = d = 2"),
        parse("ab/x.py", "found = 1"),
    ]
    bound = [
        binding for source in sources for binding in names.bindings(source)
    ]
    assert names.share(bound, "a") == Share(bindings=4, vague=1)
    assert names.share(bound, "a").percent == 25
    assert names.share(bound, "c").percent == 0


def test_a_share_that_is_not_below_the_bound_is_reported() -> None:
    bound = names.bindings(parse("a/x.py", "found = 1\nb = c = d = 2"))
    broken = names.breaches(bound, folders=["a", "b"], percent_below=25)
    assert [str(breach) for breach in broken] == [
        "a: 1 of 4 names are vague (25.00 %: found 1), the bound is below 25 %: name the thing"
    ]
    assert names.breaches(bound, folders=["a"], percent_below=25.1) == []
