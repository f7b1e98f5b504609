"""Values about a router that its loop, its connection and its status share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

NtpState = Literal["Off", "Synchronized", "Unsynchronized"]
"""Whether a router's NTP client is on, and has the time."""


class DeviceWarning(NamedTuple):
    """What a person should know of a Device, and what does not stop access."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class RouterFacts:
    """What a router says of itself, in printable form; None where it says
    nothing (a CHR has no serial number).

    From `/system/identity`, `/system/resource` and `/system/routerboard`.
    """

    identity: str | None = None
    version: str | None = None
    board: str | None = None
    serial_number: str | None = None


@dataclass(frozen=True, slots=True)
class TechnicalUserFact:
    """The technical user that is on a router; None in both: it was removed."""

    name: str | None

    secret_version: str | None
    """Version of the Secret with whose password a login worked."""


@dataclass(frozen=True, slots=True)
class RouterClock:
    """By how much a router's clock is wrong, and whether it is kept."""

    ahead: int
    """Whole seconds by which it is ahead at least; negative: behind."""

    ntp: NtpState = "Off"

    was_set: bool = True
    """Whether it shows a time that somebody may have set."""

    uptime: int | None = None
    """Seconds since the router started; None if it did not say so."""

    booted: int | None = None
    """When that was by its clock, in Unix seconds."""

    late: int = 0
    """Seconds by which its guard is behind the clock, which jumped ahead."""


class GuardFound(NamedTuple):
    """What a look at a router's configuration says of its guard."""

    trouble: DeviceWarning | None = None
    """Why its rows are not as wanted; None: they are."""
