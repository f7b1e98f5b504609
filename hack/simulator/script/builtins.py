"""Global commands that only look at values: `:pick`, `:len`, `:tonum`, ..."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from simulator.options import Version
from simulator.script.values import (
    NIL,
    Array,
    Nil,
    ScriptError,
    Value,
    to_array,
    to_bool,
    to_id,
    to_ip,
    to_num,
    to_str,
    to_time,
    type_name,
)


@dataclass(frozen=True)
class Builtin:
    """A global command: how many values it takes, what it makes of them, and
    since which version it is there.
    """

    arguments: tuple[int, int]
    run: Callable[[list[Value]], Value]
    since: Version = ()


def _whole(value: Value, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ScriptError(
            f"invalid value for argument {name}: {type_name(value)}"
        )
    return value


def _length(values: list[Value]) -> Value:
    (value,) = values
    return len(value) if isinstance(value, Array) else len(to_str(value))


def _pick(values: list[Value]) -> Value:
    value, start = values[0], _whole(values[1], "begin")
    end = _whole(values[2], "end") if len(values) > 2 else None
    if start < 0 or (end is not None and end < 0):
        raise ScriptError("invalid value for argument begin or end")
    if isinstance(value, Nil):
        return NIL
    if isinstance(value, Array):
        if end is not None:
            return Array(value.items[start:end])
        return value.items[start] if start < len(value.items) else NIL
    return to_str(value)[start : start + 1 if end is None else end]


def _find(values: list[Value]) -> Value:
    inside, wanted = values[:2]
    start = _whole(values[2], "from") + 1 if len(values) > 2 else 0
    if isinstance(inside, Array):
        places = range(max(start, 0), len(inside.items))
        return next((at for at in places if inside.items[at] == wanted), NIL)
    at = to_str(inside).find(to_str(wanted), max(start, 0))
    return NIL if at < 0 else at


def _typeof(values: list[Value]) -> Value:
    return type_name(values[0])


def _converted(convert: Callable[[Value], Value]) -> Builtin:
    return Builtin((1, 1), lambda values: convert(values[0]))


def _by_the_interpreter(_values: list[Value]) -> Value:
    raise ScriptError("not a value")


BUILTINS: dict[str, Builtin] = {
    "len": Builtin((1, 1), _length),
    "pick": Builtin((2, 3), _pick),
    "find": Builtin((2, 3), _find),
    "typeof": Builtin((1, 1), _typeof),
    "tonum": _converted(to_num),
    "tostr": _converted(to_str),
    "totime": _converted(to_time),
    "toip": _converted(to_ip),
    "tobool": _converted(to_bool),
    "toid": _converted(to_id),
    "toarray": _converted(to_array),
    "nothing": Builtin((0, 0), lambda _values: NIL, (7, 13)),
    "timestamp": Builtin((0, 0), _by_the_interpreter, (7, 12)),
}
"""The versions of `nothing` and `timestamp` are not in the manual: they are
those from which scripts may count on them.
"""
