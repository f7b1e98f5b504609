"""The values of scripts: their types, what bare words mean, conversions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from simulator.values import parse_duration

MICROSECONDS = 1_000_000

_NUMBER = re.compile(r"-?(?:0x[0-9A-Fa-f]+|\d+)")
_SPAN = re.compile(r"(?:\d+(?:ms|us|[wdhms]))+|(?:\d+[wd])*\d+:\d+(?::\d+)?")
_ID = re.compile(r"\*[0-9A-Fa-f]+")
_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}


class ScriptError(Exception):
    """A script stops here; what it did before stays done."""


@dataclass(frozen=True)
class Nil:
    """No value: `nothing` of a variable that got none, `nil` of a command
    without a result.
    """

    kind: str = "nil"


NIL = Nil()
NOTHING = Nil("nothing")


@dataclass(frozen=True, order=True)
class Time:
    """A time span in microseconds."""

    micros: int

    @classmethod
    def of(cls, seconds: float) -> Time:
        """Return a span of seconds."""
        return cls(round(seconds * MICROSECONDS))


@dataclass(frozen=True, order=True)
class Ip:
    """An IPv4 address as a number."""

    number: int


@dataclass(frozen=True)
class Prefix:
    """An IPv4 prefix, `10.0.0.0/8`."""

    network: IPv4Network


@dataclass(frozen=True)
class Id:
    """The internal number of a row, `*1F`."""

    text: str


@dataclass
class Array:
    """Values by position, then values by name."""

    items: list[Value] = field(default_factory=list)
    named: dict[str, Value] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.items) + len(self.named)

    def pairs(self) -> Iterator[tuple[Value, Value]]:
        """Return keys with values: positions first, then names in their
        order.
        """
        yield from enumerate(self.items)
        for name in sorted(self.named):
            yield name, self.named[name]


Value = str | int | bool | Nil | Time | Ip | Prefix | Id | Array


def type_name(value: Value) -> str:
    """Return what `:typeof` says."""
    if isinstance(value, Nil):
        return value.kind
    names: tuple[tuple[type, str], ...] = (
        (bool, "bool"),
        (int, "num"),
        (str, "str"),
        (Time, "time"),
        (Ip, "ip"),
        (Prefix, "ip-prefix"),
        (Id, "id"),
    )
    return next((n for kind, n in names if isinstance(value, kind)), "array")


def literal(word: str) -> Value:
    """Return the value of a bare word: a number, a truth, a time, an address,
    an id, else text.
    """
    if word in {"true", "false"}:
        return word == "true"
    if _NUMBER.fullmatch(word):
        return int(word, 0 if "x" in word else 10)
    if _ID.fullmatch(word):
        return Id(word)
    if _SPAN.fullmatch(word):
        return to_time(word)
    address = to_ip(word)
    if isinstance(address, Ip):
        return address
    return _prefix(word)


def _prefix(word: str) -> Value:
    if not re.fullmatch(r"[\d.]+/\d+", word):
        return word
    try:
        return Prefix(IPv4Network(word, strict=False))
    except ValueError:
        return word


def _time_text(span: Time) -> str:
    sign = "-" if span.micros < 0 else ""
    seconds, micros = divmod(abs(span.micros), MICROSECONDS)
    days, rest = divmod(seconds, 86400)
    weeks, days = divmod(days, 7)
    text = f"{sign}{weeks}w" if weeks else sign
    text += f"{days}d" if days else ""
    text += f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    fraction = f".{micros:06}".rstrip("0")
    return text + fraction if micros else text


def to_str(value: Value) -> str:
    """Return a value as text: arrays with `;` between, no value as nothing."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Nil):
        return ""
    if isinstance(value, Time):
        return _time_text(value)
    if isinstance(value, Ip):
        return str(IPv4Address(value.number))
    if isinstance(value, Prefix):
        return str(value.network)
    if isinstance(value, Id):
        return value.text
    if isinstance(value, Array):
        parts = [to_str(item) for item in value.items]
        parts += [f"{n}={to_str(value.named[n])}" for n in sorted(value.named)]
        return ";".join(parts)
    return str(value)


def to_num(value: Value) -> Value:
    """Return a value as a number; no value when it is none. A time counts
    seconds.
    """
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, Time):
        return value.micros // MICROSECONDS
    if isinstance(value, Ip):
        return value.number
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value, 0 if "x" in value else 10)
    return NIL


def to_time(value: Value) -> Value:
    """Return a value as a time span; no value when it is none. A number counts
    seconds; a date is no span.
    """
    if isinstance(value, Time):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Time.of(value)
    try:
        return (
            Time.of(parse_duration(value)) if isinstance(value, str) else NIL
        )
    except ValueError:
        return NIL


def to_ip(value: Value) -> Value:
    """Return a value as an address; no value when it is none."""
    if isinstance(value, Ip):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Ip(value) if 0 <= value < 2**32 else NIL
    try:
        return Ip(int(IPv4Address(value))) if isinstance(value, str) else NIL
    except AddressValueError:
        return NIL


def to_bool(value: Value) -> Value:
    """Return a value as a truth; no value when it is none."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value != 0
    return _BOOLEANS.get(value, NIL) if isinstance(value, str) else NIL


def to_id(value: Value) -> Value:
    """Return a value as the internal number of a row; no value when it is
    none.
    """
    if isinstance(value, Id):
        return value
    matches = isinstance(value, str) and _ID.fullmatch(value)
    return Id(str(value)) if matches else NIL


def to_array(value: Value) -> Array:
    """Return a value as an array; a text is split at its commas."""
    if isinstance(value, Array):
        return value
    if isinstance(value, Nil):
        return Array()
    if isinstance(value, str):
        return Array([literal(part) for part in value.split(",")])
    return Array([value])
