"""What a person is told about the configuration of a router: reasons and next
steps. Pure.
"""

from __future__ import annotations

from cerebro.agent.devices.fitness.refusals import (
    ALLOW_SCHEDULER,
    FORBIDDEN_BY_DEVICE_MODE,
    REFUSALS,
)
from cerebro.agent.devices.model import DeviceWarning
from cerebro.resources.naming import ANNOTATION_RESYNC_AT
from cerebro.routeros.client.errors import Trap, TrapKind

NOT_KEPT = "ConfigurationNotKept"
UNCONFIRMED = "ConfigurationUnconfirmed"
UNDONE = "ConfigurationUndone"
CONTESTED = "Contested"

_SHOWN = 6
"""Lines of a change that a message has."""

_ALLOW_WRITES = (
    "give the group of the user of spec.api.credentialsSecretRef the policies read, write and api, and policy where "
    "the router asks for it"
)
_NOT_WRITTEN = "so nothing was written that may cut the connection, since the router could not take it back by itself"


def not_kept(text: str) -> DeviceWarning:
    """Return the warning that a part of the configuration is not as wanted."""
    return DeviceWarning(NOT_KEPT, f"spec.manageConfig: {text}")


def not_armed(refusal: Trap | None) -> DeviceWarning:
    """Return the warning of a router that takes no scheduler; without a
    refusal it took it and does not run it.
    """
    kind = TrapKind.DEVICE_MODE if refusal is None else refusal.kind
    words = "" if refusal is None else f" ({refusal})"

    if kind is TrapKind.DEVICE_MODE:
        message = f"device-mode forbids schedulers{words}, {_NOT_WRITTEN}: {ALLOW_SCHEDULER}"
        reason = FORBIDDEN_BY_DEVICE_MODE
    elif kind is TrapKind.NOT_PERMITTED:
        message = f"the router refuses the scheduler of an undo{words}, {_NOT_WRITTEN}: {_ALLOW_WRITES}"
        reason = REFUSALS[kind].reason
    else:
        message = f"the router refuses the scheduler of an undo{words}, {_NOT_WRITTEN}"
        reason = NOT_KEPT

    return DeviceWarning(reason, f"spec.manageConfig: {message}")


def clock_may_jump() -> DeviceWarning:
    """Return the warning of a router whose clock NTP has not set yet."""
    return not_kept(
        f"NTP is on and has not set the router's clock, by which an undo runs, {_NOT_WRITTEN}: see "
        "/system/ntp/client/print, or switch NTP off where the clock is right without"
    )


def refused(trap: Trap) -> DeviceWarning:
    """Return the warning of a router that refused a command."""
    known = REFUSALS.get(trap.kind)

    if trap.kind is TrapKind.DEVICE_MODE:
        return DeviceWarning(
            FORBIDDEN_BY_DEVICE_MODE,
            f"spec.manageConfig: {trap}: {ALLOW_SCHEDULER}",
        )

    if known is not None:
        message = f"spec.manageConfig: {trap}: {known.next_step}"
        return DeviceWarning(known.reason, message)

    return not_kept(f"the router refused {trap}")


def unconfirmed(lines: tuple[str, ...], problem: str) -> DeviceWarning:
    """Return the warning while a change waits for its confirmation."""
    message = (
        f"the change is written and no fresh login has confirmed it yet{_because(problem)}; the router takes it back "
        f"by itself within a minute. It is: {_shown(lines)}"
    )

    return DeviceWarning(UNCONFIRMED, f"spec.manageConfig: {message}")


def undone(lines: tuple[str, ...], problem: str) -> DeviceWarning:
    """Return the warning after the router took a change back."""
    message = (
        f"no fresh login came through after the change{_because(problem)}, so the router took it back. It is not "
        "tried again until the spec, the Hub or the router's own rows change, or the annotation "
        f"{ANNOTATION_RESYNC_AT} gets a new value: see which line is wrong here. Undone was: {_shown(lines)}"
    )

    return DeviceWarning(UNDONE, f"spec.manageConfig: {message}")


def contested(keys: frozenset[str]) -> DeviceWarning:
    """Return the warning about rows that somebody else keeps changing (rule
    B10).
    """
    message = (
        f"something else on the router keeps changing rows of ours ({', '.join(sorted(keys)[:_SHOWN])}): stop it. "
        "They are repaired at the resync interval"
    )

    return DeviceWarning(CONTESTED, f"spec.manageConfig: {message}")


def _because(problem: str) -> str:
    return f" ({problem})" if problem else ""


def _shown(lines: tuple[str, ...]) -> str:
    """Return the first lines of a change, and how many more there are."""
    more = len(lines) - _SHOWN
    rest = f"; and {more} more" if more > 0 else ""

    return "; ".join(lines[:_SHOWN]) + rest
