"""What operators do with values.

Values of unlike types are not compared, nor are texts ordered: the manual does
not say what would come of it, and routers answer "cannot compare".
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from simulator.script.patterns import compile_pattern
from simulator.script.values import (
    NIL,
    Array,
    Id,
    Ip,
    Nil,
    Prefix,
    ScriptError,
    Time,
    Value,
    to_str,
    type_name,
)

_NAMES = {
    "=": "equal to",
    "!=": "not equal to",
    "<": "less than",
    ">": "more than",
    "<=": "less or equal than",
    ">=": "more or equal than",
}
_TYPES = {"str": "string", "num": "number"}
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


MAX_LENGTH = 2**20
"""Characters of a text and values of an array that a script may join here."""


def _named(value: Value) -> str:
    name = type_name(value)
    return _TYPES.get(name, name)


def _is_number(value: Value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def binary(sign: str, left: Value, right: Value) -> Value:
    """Return the value of two values with an operator between. Raises
    ScriptError for values that do not go together.
    """
    if sign in _NAMES:
        return compare(sign, left, right)
    handler = _HANDLERS.get(sign)
    result = None if handler is None else handler(left, right)
    if result is None:
        raise ScriptError(f"cannot do {_named(left)} {sign} {_named(right)}")
    if isinstance(result, int) and not isinstance(result, bool):
        return (result + 2**63) % 2**64 - 2**63
    if isinstance(result, str | Array) and len(result) > MAX_LENGTH:
        raise ScriptError(
            f"longer than {MAX_LENGTH}: stopped by the simulator"
        )
    return result


def unary(sign: str, value: Value) -> Value:
    """Return the value of an operator in front of a value. Raises ScriptError
    for a value that it is not for.
    """
    if sign == "!" and isinstance(value, bool):
        return not value
    if sign == "-" and isinstance(value, int) and _is_number(value):
        return -value
    if sign == "-" and isinstance(value, Time):
        return Time(-value.micros)
    if sign == "~" and isinstance(value, Ip):
        return Ip(value.number ^ 0xFFFFFFFF)
    raise ScriptError(f"cannot do {sign} {_named(value)}")


def compare(sign: str, left: Value, right: Value) -> bool:
    """Return whether a comparison holds. Raises ScriptError for values that
    are not compared.
    """
    alike = type_name(left) == type_name(right) or (
        isinstance(left, Nil) and isinstance(right, Nil)
    )
    refusal = ScriptError(
        f"cannot compare if {_named(left)} is {_NAMES[sign]} {_named(right)}"
    )
    if not alike:
        raise refusal
    if sign in {"=", "!="}:
        same = left == right or isinstance(left, Nil)
        return same if sign == "=" else not same
    if not (_is_number(left) or isinstance(left, Time | Ip)):
        raise refusal
    return _ORDER[sign](left, right)


def _plus(left: Value, right: Value) -> Value | None:
    if isinstance(left, Time) and isinstance(right, Time):
        return Time(left.micros + right.micros)
    if isinstance(right, int) and _is_number(right):
        if isinstance(left, Ip):
            return Ip((left.number + right) % 2**32)
        if isinstance(left, int) and _is_number(left):
            return left + right
    return None


def _minus(left: Value, right: Value) -> Value | None:
    if isinstance(left, Time) and isinstance(right, Time):
        return Time(left.micros - right.micros)
    if isinstance(left, Ip) and isinstance(right, Ip):
        return left.number - right.number
    if isinstance(right, int) and _is_number(right):
        return _plus(left, -right)
    return None


def _times(left: Value, right: Value) -> Value | None:
    if not (isinstance(right, int) and _is_number(right)):
        return None
    if isinstance(left, Time):
        return Time(left.micros * right)
    if isinstance(left, int) and _is_number(left):
        return left * right
    return None


def _divided(left: Value, right: Value) -> Value | None:
    if not (isinstance(right, int) and _is_number(right)):
        return None
    if right == 0:
        raise ScriptError("division by zero")
    if isinstance(left, Time):
        return Time(_quotient(left.micros, right))
    if isinstance(left, int) and _is_number(left):
        return _quotient(left, right)
    return None


def _quotient(left: int, right: int) -> int:
    size = abs(left) // abs(right)
    return size if (left < 0) == (right < 0) else -size


def _rest(left: Value, right: Value) -> Value | None:
    quotient = _divided(left, right)
    if not isinstance(quotient, int) or not isinstance(left, int):
        return None
    return left - quotient * right if isinstance(right, int) else None


def _bits(work: Callable[[int, int], int]) -> Handler:
    def run(left: Value, right: Value) -> Value | None:
        if isinstance(left, Ip) and isinstance(right, Ip):
            return Ip(work(left.number, right.number) % 2**32)
        if isinstance(left, Ip) and isinstance(right, int):
            return Ip(work(left.number, right) % 2**32)
        if isinstance(left, int) and isinstance(right, int):
            both = _is_number(left) and _is_number(right)
            return work(left, right) if both else None
        return None

    return run


def _joined(left: Value, right: Value) -> Value | None:
    if isinstance(left, Array) or isinstance(right, Array):
        return None
    return to_str(left) + to_str(right)


def _listed(left: Value, right: Value) -> Value:
    result = Array()
    for value in (left, right):
        if isinstance(value, Array):
            result.items += value.items
            result.named |= value.named
        else:
            result.items.append(value)
    return result


def _element(left: Value, key: Value) -> Value | None:
    if isinstance(left, Nil):
        return NIL
    if not isinstance(left, Array):
        return None
    if isinstance(key, int) and _is_number(key):
        return left.items[key] if 0 <= key < len(left.items) else NIL
    return left.named.get(to_str(key), NIL)


def _inside(left: Value, right: Value) -> Value | None:
    if not isinstance(right, Prefix):
        return None
    first, last = (int(right.network[0]), int(right.network[-1]))
    if isinstance(left, Ip):
        return first <= left.number <= last
    if isinstance(left, Prefix):
        return left.network.subnet_of(right.network)
    return None


def matches(left: Value, right: Value) -> Value | None:
    """Return whether a text matches an expression; None for what is no text."""
    if not isinstance(right, str) or isinstance(left, Array | bool):
        return None
    text = to_str(left)
    if isinstance(left, Nil | str | int | Ip | Id | Time | Prefix):
        return compile_pattern(right).search(text) is not None
    return None


Handler = Callable[[Value, Value], Value | None]

_HANDLERS: dict[str, Handler] = {
    "+": _plus,
    "-": _minus,
    "*": _times,
    "/": _divided,
    "%": _rest,
    ".": _joined,
    ",": _listed,
    "->": _element,
    "in": _inside,
    "~": matches,
    "&": _bits(operator.and_),
    "|": _bits(operator.or_),
    "^": _bits(operator.xor),
    "<<": _bits(
        lambda left, right: left << min(right, 64) if right >= 0 else 0
    ),
    ">>": _bits(lambda left, right: left >> right if right >= 0 else 0),
}
