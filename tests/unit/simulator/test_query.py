"""Query words over plain mappings; kinds are given by hand."""

import pytest

from simulator.errors import Trap
from simulator.query import (
    Test,
    compile_query,
    operate,
    single_equality,
)
from simulator.values import Address, Bool, Duration, Int, Kind, Mac

KINDS: dict[str, Kind] = {
    "n": Int(),
    "disabled": Bool(),
    "time": Duration(),
    "mac-address": Mac(),
    "address": Address(),
}
ROW = {
    "n": "10",
    "disabled": "false",
    "time": "1h30m",
    "mac-address": "AA:BB:CC:00:00:01",
    "address": "10.0.0.9",
    "comment": "x",
}


def selects(*words: str) -> bool:
    test = compile_query(words, KINDS, {})
    assert test is not None
    return test(ROW.get)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["?comment"], True),
        (["?server"], False),
        (["?-server"], True),
        (["?-comment"], False),
        (["?comment=x"], True),
        (["?=comment=x"], True),
        (["?comment=X"], False),
        (["?>comment="], True),
        (["?<n=11"], True),
        (["?<n=10"], False),
        (["?>n=9"], True),
        (["?>n=10"], False),
        (["?>n=9", "?<n=11", "?comment=y"], False),
        (["?>address=10.0.0.10"], False),
        (["?<address=10.0.0.10"], True),
        (["?>time=01:29:59"], True),
        (["?time=90m"], True),
        (["?mac-address=aa-bb-cc-00-00-01"], True),
    ],
)
def test_tests_of_single_words(words: list[str], wanted: bool) -> None:
    """Point 16: Has, lacks, equal in both forms, less, greater, typed; several are AND-ed."""
    assert selects(*words) is wanted


@pytest.mark.parametrize("text", ["no", "false"])
def test_a_boolean_is_asked_in_either_spelling(text: str) -> None:
    """Point 17."""
    assert selects(f"?disabled={text}")
    assert not selects(f"?disabled={'yes' if text == 'no' else 'true'}")


def test_an_absent_property_never_matches() -> None:
    """Point 18."""
    assert not selects("?server=all")
    assert not selects("?>server=0")
    assert not selects("?<server=0")
    assert not selects("?server=")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["?comment=x", "?#!"], False),
        (["?comment=y", "?#!"], True),
        (["?comment=y", "?comment=x", "?#|"], True),
        (["?comment=y", "?n=11", "?#|"], False),
        (["?comment=x", "?n=11", "?#&"], False),
        (["?comment=x", "?n=11", "?#|!"], False),
        (["?n=1", "?n=2", "?n=10", "?#||"], True),
        (["?n=1", "?n=10", "?#0"], True),
        (["?n=10", "?n=1", "?#0"], False),
        (["?n=10", "?n=1", "?#1"], True),
        (["?n=10", "?#.&"], True),
    ],
)
def test_operations_on_the_stack(words: list[str], wanted: bool) -> None:
    """Point 16."""
    assert selects(*words) is wanted


def test_the_stack_lies_on_endless_true() -> None:
    """Point 16."""
    assert operated([], ["!"]) == [False]
    assert operated([False], ["&"]) == [False]
    assert operated([False], ["7"]) == [True]
    assert operated([True, False], ["1", ".", "|"]) == [True, True]
    assert operated([True, False], ["."]) == [True, False, False]


def operated(values: list[bool], tokens: list[str]) -> list[bool]:
    """Return the values of the stack after operations on these values."""
    stack = operate([constant(value) for value in values], tokens)
    return [test(ROW.get) for test in stack]


def constant(value: bool) -> Test:
    return lambda _get: value


def test_an_unknown_operation_is_refused() -> None:
    with pytest.raises(Trap):
        compile_query(["?#x"], KINDS, {})


def test_the_common_lookup_is_recognised() -> None:
    assert single_equality(["?=mac-address=aa:bb:cc:00:00:01"], KINDS, {}) == (
        "mac-address",
        "AA:BB:CC:00:00:01",
    )
    for other in (["?-n"], ["?n"], ["?>n=1"], ["?n=1", "?n=2"], ["?#!"], []):
        assert single_equality(other, KINDS, {}) is None
