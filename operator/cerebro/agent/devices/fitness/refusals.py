"""What a person has to do where a router refuses a write for the sake of its
own state: reasons and next steps. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

from cerebro.routeros.client.errors import TrapKind

FORBIDDEN_BY_DEVICE_MODE = "ForbiddenByDeviceMode"
DISK_FULL = "DiskFull"
LICENSE_LIMIT = "LicenseLimit"

ALLOW_HOTSPOT = (
    "run /system/device-mode/update hotspot=yes on the router, and within a few minutes press its button or cut its "
    "power, as it says"
)
ALLOW_SCHEDULER = (
    "run /system/device-mode/update scheduler=yes on the router, and within a few minutes press its button or cut "
    "its power, as it says"
)
FREE_DISK = (
    "remove files and packages that nobody needs (/file/print), and reboot"
)
BETTER_LICENSE = "give the router a licence of level 4 or higher"


class Refusal(NamedTuple):
    """A refusal that a person has to mend: reason of the condition, next
    step.
    """

    reason: str
    next_step: str


REFUSALS = {
    TrapKind.NOT_PERMITTED: Refusal(
        "NotPermitted",
        "give the user's group the policies read, write and api",
    ),
    TrapKind.DEVICE_MODE: Refusal(FORBIDDEN_BY_DEVICE_MODE, ALLOW_HOTSPOT),
    TrapKind.DISK_FULL: Refusal(DISK_FULL, FREE_DISK),
    TrapKind.LICENSE: Refusal(LICENSE_LIMIT, BETTER_LICENSE),
}
"""Refusals that are about the router and never about a client, by the kind of
the trap.
"""
