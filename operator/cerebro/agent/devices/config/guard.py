"""The guard of a Device: whether it is to run, and what its condition says.
Pure.

What it does on the router is in `guard_script`.
"""

from __future__ import annotations

from cerebro.agent.devices.model import RouterClock
from cerebro.domain.conditions import ConditionState, Obstacle
from cerebro.resources import Device, reasons
from cerebro.routeros.configuration.desired import Part
from cerebro.routeros.configuration.guard import guard_part
from cerebro.routeros.configuration.guard_script import GRACE

CLOCK_AHEAD = "RouterClockAhead"
CLOCK_NOT_SET = "RouterClockNotSet"

_MOST_AHEAD = GRACE - 5
"""Seconds by which a router's clock may be ahead while the guard runs: so
nobody is ended early. The rest is for the inaccuracy of the comparison.
"""

_MUCH_BEHIND = 30
"""Seconds by which a clock is behind that are worth a word."""

_SET_CLOCK = (
    "set the router's clock, best by NTP: /system/ntp/client/set enabled=yes "
    "servers=pool.ntp.org"
)


def wants_guard(device: Device) -> bool:
    """Return whether a Device asks for the guard."""
    return (
        device.spec.access.guard == "Router"
        and device.spec.manage_config
        and device.metadata.deletion_timestamp is None
    )


def wanted_guard(
    device: Device, installation: str, clock: RouterClock | None
) -> Part:
    """Return the guard as a part of the Device's configuration. With a clock
    of which nothing is known its scheduler stays as it is.
    """
    runs = None if clock is None else clock.ahead <= _MOST_AHEAD

    return guard_part(installation, scripted=wants_guard(device), runs=runs)


def guard_state(
    device: Device,
    clock: RouterClock | None,
    *,
    in_place: bool | None,
    obstacle: Obstacle | None,
) -> ConditionState | None:
    """Return what the Device says of its guard; None if it asks for none.

    `in_place`: the router has what the Device wants; None: nobody has looked.
    `obstacle` is why it has not.
    """
    if not wants_guard(device):
        return None

    if device.spec.dry_run:
        message = "nothing is written; status.plan says what would change"
        return ConditionState("Unknown", reasons.DRY_RUN, message)

    if clock is not None and clock.ahead > _MOST_AHEAD:
        message = (
            f"the router's clock is {clock.ahead} s ahead, so the guard does not run there: it would end access early. "
            f"{_SET_CLOCK}"
        )
        return ConditionState("False", CLOCK_AHEAD, message)

    if not in_place:
        return _missing(in_place, obstacle)

    if clock is not None and clock.ntp == "Unsynchronized":
        message = (
            "the guard is on the router and waits until NTP has set the clock: see /system/ntp/client/print, or switch "
            "NTP off where the clock is right without"
        )
        return ConditionState("False", CLOCK_NOT_SET, message)

    if clock is not None and not clock.was_set:
        message = f"the guard is on the router and waits until the clock is set: {_SET_CLOCK}"
        return ConditionState("False", CLOCK_NOT_SET, message)

    return ConditionState("True", "OnRouter", _in_place(clock))


def _missing(
    in_place: bool | None, obstacle: Obstacle | None
) -> ConditionState:
    """Return the condition of a guard that is not on its router."""
    if obstacle is not None:
        return ConditionState("False", obstacle.reason, obstacle.message)

    if in_place is None:
        message = "the router's configuration has not been compared yet"
        return ConditionState("Unknown", reasons.NOT_LOOKED_YET, message)

    message = "the guard is being put on the router"
    return ConditionState("False", "Changing", message)


def _in_place(clock: RouterClock | None) -> str:
    message = "the router ends access on time, also while nobody reaches it"
    if clock is None or clock.ahead > -_MUCH_BEHIND:
        return message

    return (
        f"{message}, but {-clock.ahead} s late: its clock is behind. "
        f"{_SET_CLOCK}"
    )
