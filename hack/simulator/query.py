"""Query words of `print`: compiled once per command, then asked for every
row.

Each word pushes the test of a row or works on the stack; a row is returned
when no test that is left at the end is `false`. Must not know menus:
properties are read through a getter, typed by their kinds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from simulator.errors import BAD_VALUE, Trap
from simulator.values import Kind, Reference, Tables

Get = Callable[[str], str | None]
Test = Callable[[Get], bool]

_OPERATION = re.compile(r"\d+|[^\d]")
_TEXT = Kind()


def compile_query(
    query: Sequence[str], kinds: Mapping[str, Kind], tables: Tables
) -> Test | None:
    """Turn query words (with their leading `?`) into one test of a row; None
    when there are none.

    Raises Trap for stack operations that do not exist.
    """
    if not query:
        return None
    stack: list[Test] = []
    for word in query:
        if word.startswith("?#"):
            stack = operate(stack, _operations(word[2:]))
        else:
            stack.append(_test(word[1:], kinds, tables))
    if len(stack) == 1:
        return stack[0]
    return lambda get: all(test(get) for test in stack)


def single_equality(
    query: Sequence[str], kinds: Mapping[str, Kind], tables: Tables
) -> tuple[str, str] | None:
    """Return the name and normal form when the query is one `?name=x`: the
    common look-up, which can be made fast.
    """
    if (
        len(query) != 1
        or query[0][1:2] in {"-", "<", ">", "#"}
        or "=" not in query[0][2:]
    ):
        return None
    name, _, text = query[0][1:].removeprefix("=").partition("=")
    return name, _normal_form(kinds.get(name, _TEXT), name, text, tables)


def queried_names(query: Sequence[str]) -> set[str]:
    """Return the names of the properties that query words look at."""
    bodies = [
        word[1:].lstrip("-<>=") for word in query if not word.startswith("?#")
    ]
    return {body.partition("=")[0] for body in bodies}


def _operations(text: str) -> list[str]:
    tokens = _OPERATION.findall(text)
    if not re.fullmatch(r"[\d!&|.]*", text):
        raise Trap(f"invalid query word ?#{text}", BAD_VALUE)
    return tokens


def operate(before: Sequence[Test], tokens: Sequence[str]) -> list[Test]:
    """Apply the operations of one `?#` word; the stack lies on endless `true`,
    its last item is the top.

    A number followed by another operation copies the value at that index (0 is
    the top), a number at the end replaces the whole stack by it, `.` copies
    the top unless it follows a number.
    """
    stack = list(before)

    def pop() -> Test:
        return stack.pop() if stack else _always

    def at(index: int) -> Test:
        return stack[-1 - index] if index < len(stack) else _always

    previous_number = False
    for position, token in enumerate(tokens):
        if token.isdigit():
            value = at(int(token))
            if position == len(tokens) - 1:
                stack = [value]
            else:
                stack.append(value)
        elif token == "!":  # noqa: S105 - a stack operation, no secret
            stack.append(_negated(pop()))
        elif token == "&":  # noqa: S105
            stack.append(_both(pop(), pop()))
        elif token == "|":  # noqa: S105
            stack.append(_either(pop(), pop()))
        elif not previous_number:
            stack.append(at(0))
        previous_number = token.isdigit()
    return stack


def _always(_get: Get) -> bool:
    return True


def _negated(test: Test) -> Test:
    return lambda get: not test(get)


def _both(top: Test, below: Test) -> Test:
    return lambda get: below(get) and top(get)


def _either(top: Test, below: Test) -> Test:
    return lambda get: below(get) or top(get)


def _test(body: str, kinds: Mapping[str, Kind], tables: Tables) -> Test:
    if body.startswith("-"):
        absent = body[1:]
        return lambda get: get(absent) is None
    relation = body[:1]
    if relation in {"<", ">", "="}:
        body = body[1:]
    else:
        relation = "="
        if "=" not in body:
            return lambda get: get(body) is not None
    name, _, text = body.partition("=")
    kind = kinds.get(name, _TEXT)
    wanted = _normal_form(kind, name, text, tables)
    if relation == "=":
        return lambda get: get(name) == wanted
    return lambda get: _compare(kind, get(name), wanted, relation)


def _normal_form(kind: Kind, name: str, text: str, tables: Tables) -> str:
    try:
        stored = kind.parse(name, text, tables)
        return (
            kind.show(stored, tables)
            if isinstance(kind, Reference)
            else stored
        )
    except Trap:
        return text


def _compare(
    kind: Kind, actual: str | None, wanted: str, relation: str
) -> bool:
    if actual is None:
        return False
    if wanted == "":
        return relation == ">" and actual != ""
    try:
        actual_key, wanted_key = kind.key(actual), kind.key(wanted)
    except ValueError:
        actual_key, wanted_key = (actual,), (wanted,)
    return (
        actual_key < wanted_key if relation == "<" else actual_key > wanted_key
    )
