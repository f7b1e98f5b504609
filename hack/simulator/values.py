"""Kinds of property values: what is accepted on input, the normal form a reply
shows, how two values compare, and the text of a refusal.

Must not know any menu.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    NetmaskValueError,
    ip_network,
)
from typing import Protocol

from simulator.errors import BAD_VALUE, Trap, no_match

Comparable = tuple[float | str, ...]

_DURATION = re.compile(
    r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?(?:(\d+)us)?"
)
_CLOCK = re.compile(
    r"(?:(\d+)w)?(?:(\d+)d)?(\d+):([0-5]?\d)(?::([0-5]?\d(?:\.\d+)?))?"
)
_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")


class Referenced(Protocol):
    """What a reference needs of the table it points into."""

    def id_of(self, name: str) -> str | None:
        """Return the id of the row with this name or id."""
        ...

    def name_of(self, row_id: str) -> str | None:
        """Return the name of the row with this id."""
        ...


Tables = Mapping[str, Referenced]


class Kind:
    """Free text; whatever bytes came in go out again."""

    def parse(self, name: str, text: str, tables: Tables | None = None) -> str:  # noqa: ARG002
        """Return the normal form of an argument; raises Trap with the router's
        text when it is not accepted.

        `name` is the argument's name, for the text; `tables` are needed by
        references alone.
        """
        return self._parse(name, text)

    def key(self, text: str) -> Comparable:
        """Return the sort key of a normal form; raises ValueError for text
        that is none.
        """
        return self._key(text)

    def _parse(self, _name: str, text: str) -> str:
        return text

    def _key(self, text: str) -> Comparable:
        return (text,)


def parse_bool(text: str) -> bool | None:
    """Return the truth of yes/true and no/false, None for anything else."""
    return {"yes": True, "true": True, "no": False, "false": False}.get(text)


class Bool(Kind):
    """yes/no/true/false in, true/false out."""

    def _parse(self, name: str, text: str) -> str:
        value = parse_bool(text)
        if value is None:
            raise no_match(name)
        return "true" if value else "false"


@dataclass(frozen=True)
class Int(Kind):
    """A whole number, or one of the field's own keywords; `suffixes` allows k,
    M and G.
    """

    low: int = 0
    high: int = 2**63 - 1
    suffixes: bool = False
    keywords: tuple[str, ...] = ()

    def _parse(self, name: str, text: str) -> str:
        if text in self.keywords:
            return text
        match = re.fullmatch(r"(-?\d+)([kMG]?)", text)
        if match is None or (match[2] and not self.suffixes):
            raise Trap(f"invalid value for argument {name}", BAD_VALUE)
        value = (
            int(match[1])
            * {"": 1, "k": 1000, "M": 1000**2, "G": 1000**3}[match[2]]
        )
        if not self.low <= value <= self.high:
            raise Trap(
                f"value of {name} out of range ({self.low}..{self.high})",
                BAD_VALUE,
            )
        return str(value)

    def _key(self, text: str) -> Comparable:
        return (int(text),)


@dataclass(frozen=True)
class Enum(Kind):
    """One of a few words."""

    keywords: tuple[str, ...]

    def _parse(self, name: str, text: str) -> str:
        if text not in self.keywords:
            raise no_match(name)
        return text


def parse_duration(text: str) -> float:
    """Return the seconds of `1h30m`, `01:30:00`, `1d01:30:00`, `300ms` or
    plain seconds; raises ValueError.
    """
    if re.fullmatch(r"\d+", text):
        return float(text)
    match = _CLOCK.fullmatch(text)
    if match:
        weeks, days, hours, minutes, seconds = (
            float(part or 0) for part in match.groups()
        )
        return (
            weeks * 604800
            + days * 86400
            + hours * 3600
            + minutes * 60
            + seconds
        )
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise ValueError(f"{text!r} is no duration")
    scale = (604800, 86400, 3600, 60, 1, 1e-3, 1e-6)
    return sum(
        float(part or 0) * unit
        for part, unit in zip(match.groups(), scale, strict=True)
    )


def format_duration(seconds: float) -> str:
    """Return `1w2d3h4m5s` without the parts that are zero; `0s` for zero;
    `300ms` below a second.
    """
    micros = max(0, round(seconds * 1_000_000))
    parts = []
    for unit, size in (
        ("w", 604_800_000_000),
        ("d", 86_400_000_000),
        ("h", 3_600_000_000),
        ("m", 60_000_000),
        ("s", 1_000_000),
        ("ms", 1000),
        ("us", 1),
    ):
        count, micros = divmod(micros, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _clock_form(seconds: float) -> str:
    days, rest = divmod(int(seconds), 86400)
    text = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}d{text}" if days else text


@dataclass(frozen=True)
class Duration(Kind):
    """A time span, or one of the field's own keywords (none, unlimited, ...)."""

    keywords: tuple[str, ...] = ()
    low: float = 0
    high: float = float(35 * 604800 + 3 * 86400 + 13 * 3600 + 13 * 60 + 56)

    def _parse(self, name: str, text: str) -> str:
        if text in self.keywords:
            return text
        try:
            seconds = parse_duration(text)
        except ValueError:
            raise Trap(
                f"invalid value for argument {name}", BAD_VALUE
            ) from None
        if not self.low <= seconds <= self.high:
            limits = f"({_clock_form(self.low)} .. {_clock_form(self.high)})"
            raise Trap(f"value of {name} is out of range {limits}", BAD_VALUE)
        return format_duration(seconds)

    def _key(self, text: str) -> Comparable:
        return (parse_duration(text),)


class Offset(Kind):
    """How far a time zone is from UTC: `+01:00`; a script gets seconds."""

    def seconds(self, text: str) -> int:
        """Return the seconds east of UTC."""
        hours, _, minutes = text[1:].partition(":")
        size = int(hours) * 3600 + int(minutes) * 60
        return -size if text.startswith("-") else size


class Mac(Kind):
    """A MAC address: `:`, `-`, `.` and any case in, upper case with colons
    out.
    """

    def _parse(self, name: str, text: str) -> str:
        digits = re.sub(r"[:.-]", "", text)
        if digits == text or not re.fullmatch(r"[0-9A-Fa-f]{12}", digits):
            raise Trap(
                f"invalid value of {name}, mac address required", BAD_VALUE
            )
        digits = digits.upper()
        return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def address_span(text: str) -> tuple[int, int]:
    """Return the first and last address of `a.b.c.d`, a prefix or a range
    `a-b`; raises ValueError.
    """
    if "/" in text:
        network = IPv4Network(text, strict=False)
        return int(network.network_address), int(network.broadcast_address)
    first, _, last = text.partition("-")
    span = int(IPv4Address(first)), int(IPv4Address(last or first))
    if span[0] > span[1]:
        raise ValueError(f"{text!r} runs backwards")
    return span


def _span_text(first: int, last: int, *, as_prefix: bool) -> str:
    if first == last:
        return str(IPv4Address(first))
    size = last - first + 1
    if as_prefix and size & (size - 1) == 0 and first % size == 0:
        return f"{IPv4Address(first)}/{33 - size.bit_length()}"
    return f"{IPv4Address(first)}-{IPv4Address(last)}"


class Address(Kind):
    """One IPv4 address; one with a port behind it compares by address, then
    port.
    """

    def _parse(self, name: str, text: str) -> str:
        try:
            return str(IPv4Address(text))
        except AddressValueError:
            raise Trap(
                f"invalid value for argument {name}", BAD_VALUE
            ) from None

    def _key(self, text: str) -> Comparable:
        address, _, port = text.partition(":")
        return (int(IPv4Address(address)), int(port or 0))


@dataclass(frozen=True)
class AddressRange(Kind):
    """An address, a prefix or a range.

    `collapse`: a range that is exactly a prefix is shown as that prefix
    (address lists; not ip-bindings). `names`: a DNS name is accepted as well.
    A host never shows /32.
    """

    collapse: bool = True
    names: bool = False

    def _parse(self, name: str, text: str) -> str:
        try:
            first, last = address_span(text)
        except (AddressValueError, NetmaskValueError, ValueError):
            if self.names and _NAME.fullmatch(text):
                return text
            raise Trap(
                f"value of {name} expects range of ip addresses", BAD_VALUE
            ) from None
        return _span_text(first, last, as_prefix=self.collapse or "/" in text)

    def _key(self, text: str) -> Comparable:
        return address_span(text)


@dataclass(frozen=True)
class PrefixList(Kind):
    """Comma list of prefixes; `mask` keeps /32 on hosts, as queues, peers and
    addresses do.
    """

    mask: bool = True
    ipv6: bool = False

    def _parse(self, name: str, text: str) -> str:
        network = ip_network if self.ipv6 else IPv4Network
        try:
            networks = [
                network(part, strict=False) for part in text.split(",") if part
            ]
        except (AddressValueError, NetmaskValueError, ValueError):
            raise Trap(
                f"invalid value for argument {name}", BAD_VALUE
            ) from None
        return ",".join(
            str(n) if self.mask or n.prefixlen < 32 else str(n.network_address)
            for n in networks
        )


@dataclass(frozen=True)
class WordSet(Kind):
    """Comma set of words out of a universe; kept in the order of the universe."""

    universe: tuple[str, ...]

    def _parse(self, name: str, text: str) -> str:
        chosen = [word for word in text.split(",") if word]
        if any(word.removeprefix("!") not in self.universe for word in chosen):
            raise no_match(name)
        return ",".join(word for word in self.universe if word in chosen)


@dataclass(frozen=True)
class Reference(Kind):
    """Name of a row of another menu, checked when set; shows the dead row's id
    once that row is gone.
    """

    path: str
    keywords: tuple[str, ...] = ()

    def parse(self, name: str, text: str, tables: Tables | None = None) -> str:
        """Return the id of the row with this name. Raises Trap when there is
        none.
        """
        if text in self.keywords:
            return text
        if tables is None:
            raise TypeError(f"{name}: a reference needs the tables")
        row_id = tables[self.path].id_of(text)
        if row_id is None:
            raise no_match(name)
        return row_id

    def show(self, stored: str, tables: Tables) -> str:
        """Return the name of the row with this id, or the id once that row is
        gone.
        """
        if stored in self.keywords:
            return stored
        return tables[self.path].name_of(stored) or stored
