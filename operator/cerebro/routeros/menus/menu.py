"""RouterOS menus as data: path, what identifies an entry, what is compared and
in which normal form.

A further menu is a further description here. This file reads and writes
nothing. Facts about the menus are in MikroTik's manual and command tree; the
normal forms undo the spellings that RouterOS changes on the way (case of a
MAC, `/32`, `yes`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

Row = Mapping[str, str]
Normal = Callable[[str], str]


_REMEMBERED_MACS = 16_384
"""A plan normalises each MAC of a router several times."""


def plain(value: str) -> str:
    """Compare as it stands."""
    return value


def boolean(value: str) -> str:
    """Normalise the words that RouterOS takes for a boolean to the ones that
    it replies.
    """
    return {"yes": "true", "no": "false"}.get(value, value)


@lru_cache(maxsize=_REMEMBERED_MACS)
def mac(value: str) -> str:
    """Normalise a MAC address to upper case with colons; RouterOS takes `-`
    and `.` too.
    """
    digits = value.replace(":", "").replace("-", "").replace(".", "").upper()
    return (
        ":".join(digits[i : i + 2] for i in range(0, len(digits), 2))
        if len(digits) == 12
        else value
    )


def address(value: str) -> str:
    """Normalise an address, a prefix or a range: a host without `/32`, host
    bits of a prefix cleared, `a-a` as `a`.
    """

    first, dash, last = value.partition("-")
    if dash:
        return first if first == last else value

    if "/" not in value and ":" not in value:
        return value  # a single IPv4 address has one spelling, and most rows have one

    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        return value

    return (
        str(network.network_address)
        if network.prefixlen == network.max_prefixlen
        else str(network)
    )


def host_address(value: str) -> str:
    """Normalise an address with its prefix length; the host's bits stay."""
    try:
        return str(ipaddress.ip_interface(value))
    except ValueError:
        return value


def duration(value: str) -> str:
    """Normalise a duration to seconds; words stay as they are."""
    length = seconds(value)

    return value if length is None else str(length)


def listed(normal: Normal) -> Normal:
    """Return the normal form of a list of values whose order says nothing."""

    def normalise(value: str) -> str:
        parts = value.replace(";", ",").split(",")

        return ",".join(sorted(normal(part) for part in parts))

    return normalise


@dataclass(frozen=True)
class Menu:
    """One menu of a router.

    `key` are the properties that identify an entry, `compared` those that are
    kept equal, with their normal forms; `defaults` stand for what a row does
    not say; `removable` are those that an entry may lack without a default,
    and that `!name` takes away; `read` is asked for besides (for
    `.proplist`); `may_be_dynamic` says that the router makes entries of its
    own there, which are never ours.
    """

    path: str
    key: tuple[str, ...]
    compared: Mapping[str, Normal] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    removable: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    may_be_dynamic: bool = False
    ordered: bool = False

    @property
    def proplist(self) -> tuple[str, ...]:
        """The properties to ask for, `.id` first: RouterOS does not add it on
        its own.
        """
        dynamic = ("dynamic",) if self.may_be_dynamic else ()
        return (
            ".id",
            *dict.fromkeys((*self.key, *self.compared, *self.read)),
            *dynamic,
        )

    def normal(self, row: Row, name: str) -> str:
        """Return one property of a row in normal form; an absent one has its
        default, else is empty.
        """
        value = row.get(name)
        if value is None:
            value = self.defaults.get(name, "")

        return self.compared.get(name, plain)(value)

    def identity(self, row: Row) -> tuple[str, ...]:
        """Return the key of a row in normal form."""
        return tuple(self.normal(row, name) for name in self.key)

    def differences(self, wanted: Row, actual: Row) -> dict[str, str]:
        """Return what a `set` has to change so that `actual` reads like
        `wanted`.

        Only what `wanted` names is compared. A value of "" there means: not
        set; it goes out as `!name`, which removes an optional property.
        """
        changes: dict[str, str] = {}
        for name, value in wanted.items():
            if self.normal(actual, name) != self.normal(wanted, name):
                changes[name if value or name == "comment" else f"!{name}"] = (
                    value
                )

        return changes


_DURATION_UNITS = {"w": 7 * 86400, "d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(
    r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?"
)
_CLOCK_TIME = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(\d+):(\d+):(\d+)")


def seconds(value: str) -> int | None:
    """Return a duration as RouterOS writes it (`1w2d`, `4m30s`, `1d00:10:00`)
    in seconds; None for other text.
    """
    match = _DURATION.fullmatch(value) or _CLOCK_TIME.fullmatch(value)
    if not value or match is None:
        return None

    return sum(
        int(count or 0) * unit
        for count, unit in zip(
            match.groups(), _DURATION_UNITS.values(), strict=True
        )
    )


def is_true(row: Row, name: str) -> bool:
    """Tell whether a flag of a row is set; an absent one is not."""
    return row.get(name) in ("true", "yes")


def is_dynamic(row: Row) -> bool:
    """Tell whether a row belongs to a service of the router and can never be
    ours.
    """
    return is_true(row, "dynamic")
