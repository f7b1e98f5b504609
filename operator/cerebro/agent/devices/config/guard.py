"""The guard of a Device: whether it is to run, and what its condition says.
Pure.

What it does on the router is in `guard_script`.
"""

from __future__ import annotations

from collections.abc import Sequence

from cerebro.agent.devices.fitness.refusals import (
    ALLOW_SCHEDULER,
    FORBIDDEN_BY_DEVICE_MODE,
)
from cerebro.agent.devices.model import (
    DeviceWarning,
    GuardFound,
    RouterClock,
)
from cerebro.agent.devices.status import DeviceFindings
from cerebro.domain.conditions import ConditionState
from cerebro.resources import Device, reasons
from cerebro.routeros.configuration.desired import Part
from cerebro.routeros.configuration.guard import guard_part, is_guards
from cerebro.routeros.configuration.guard_script import GRACE
from cerebro.routeros.configuration.steps import ConfigurationPlan

CLOCK_AHEAD = "RouterClockAhead"
CLOCK_JUMPED = "RouterClockJumped"
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
    device: Device, installation: str, findings: DeviceFindings
) -> Part:
    """Return the guard as a part of the Device's configuration. With a clock
    of which nothing is known its scheduler stays as it is.
    """
    clock = findings.router_clock
    scripted = wants_guard(device) and not findings.schedulers_forbidden
    runs = None if clock is None else clock.ahead <= _MOST_AHEAD

    return guard_part(installation, scripted=scripted, runs=runs)


def retired_guard(installation: str) -> Part:
    """Return the guard without its rows."""
    return guard_part(installation, scripted=False, runs=None)


def guard_found(
    plan: ConfigurationPlan | None, told: Sequence[DeviceWarning]
) -> GuardFound:
    """Return what a look says of the guard: the plan by it, None if the
    router was not read, and what a person was told after the plan was carried
    out.
    """
    trouble = next(iter(told), None)
    is_planned = plan is None or any(
        is_guards(step.row or step.added_as)
        for step in (*plan.steps, *plan.leftovers)
    )

    return GuardFound(trouble if is_planned else None)


def guard_state(
    device: Device, findings: DeviceFindings
) -> ConditionState | None:
    """Return what the Device says of its guard; None if it asks for none."""
    if not wants_guard(device):
        return None

    if device.spec.dry_run:
        message = "nothing is written; status.plan says what would change"
        return ConditionState("Unknown", reasons.DRY_RUN, message)

    clock, look = findings.router_clock, findings.guard_found

    if findings.schedulers_forbidden:
        message = (
            f"device-mode of the router forbids schedulers: {ALLOW_SCHEDULER}"
        )
        return ConditionState("False", FORBIDDEN_BY_DEVICE_MODE, message)

    if look is None or clock is None:
        message = (
            "the router's clock and configuration have not been compared yet"
        )
        return ConditionState("Unknown", reasons.NOT_LOOKED_YET, message)

    if clock.ahead > _MOST_AHEAD:
        return ConditionState("False", CLOCK_AHEAD, _ahead(clock, look))

    if look.trouble is not None:
        return ConditionState(
            "False", look.trouble.reason, look.trouble.message
        )

    return _by_clock(clock)


def _ahead(clock: RouterClock, look: GuardFound) -> str:
    """Return what to say of a clock with which the guard must not run."""
    if look.trouble is None:
        effect = "so the guard does not run there: it would end access early"
    else:
        effect = (
            "and the guard there may end access early, since it could not be "
            f"taken off ({look.trouble.message})"
        )

    return (
        f"the router's clock is {clock.ahead} s ahead, {effect}. {_SET_CLOCK}"
    )


def _by_clock(clock: RouterClock) -> ConditionState:
    """Return the condition of a guard that is on its router."""
    if clock.ntp == "Unsynchronized":
        message = (
            "the guard is on the router and waits until NTP has set the clock: see /system/ntp/client/print, or switch "
            "NTP off where the clock is right without"
        )
        return ConditionState("False", CLOCK_NOT_SET, message)

    if not clock.was_set:
        message = f"the guard is on the router and waits until the clock is set: {_SET_CLOCK}"
        return ConditionState("False", CLOCK_NOT_SET, message)

    if clock.late > _MUCH_BEHIND:
        return ConditionState("False", CLOCK_JUMPED, _jumped(clock))

    return ConditionState("True", "OnRouter", _in_place(clock))


def _jumped(clock: RouterClock) -> str:
    """Return what to say of a clock that jumped ahead."""
    until = (
        "until the clock has gone on evenly under NTP for an hour"
        if clock.ntp == "Synchronized"
        else f"until the router is restarted. {_SET_CLOCK}"
    )

    late = max(1, round((clock.late - min(clock.ahead, 0)) / 60))

    return f"the router's clock jumped ahead, so its guard goes by the uptime and ends access {late} min late, {until}"


def _in_place(clock: RouterClock) -> str:
    message = "the router ends access on time, also while nobody reaches it"
    if clock.ahead > -_MUCH_BEHIND:
        return message

    return (
        f"{message}, but {-clock.ahead} s late: its clock is behind. "
        f"{_SET_CLOCK}"
    )
