"""The text of a Device's status: from findings to conditions and figures.
Pure.

This file neither looks nor remembers; `findings` makes the findings,
`reporter` writes the status.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cerebro.agent.devices.breaker import State
from cerebro.agent.devices.model import (
    DeviceWarning,
    GuardFound,
    RouterClock,
    RouterFacts,
    TechnicalUserFact,
)
from cerebro.agent.dry_run import cause
from cerebro.domain.conditions import (
    ConditionState,
    ConditionStatus,
    Obstacle,
    judgement,
)
from cerebro.domain.mass_removal import until_confirmed
from cerebro.domain.ready_owner import operator_says
from cerebro.resources import Device, reasons
from cerebro.resources.device import DeviceStatus

_EQUAL = "Equal"
_CHANGING = "Changing"
_GUARDED = "Guarded"

MAX_PLAN_LINES = 256
"""Lines that a status takes."""


@dataclass(frozen=True, slots=True)
class DeviceFindings:
    """What the last tries showed of a router; None where nothing is known."""

    facts: RouterFacts = field(default_factory=RouterFacts)

    serial_number: str | None = None
    """The serial number of the Device's router, since the first contact; see
    `identity`.
    """

    answering_serial_number: str | None = None
    """The serial number of the other router that answered at the last try;
    None if the Device's did, or none.
    """

    warnings: tuple[DeviceWarning, ...] = ()
    """What the router says of itself that a person should know."""

    surveyed: tuple[DeviceWarning, ...] = ()
    """What the router does besides access that a person should know; see
    `survey`.
    """

    ipv6_to_shut: tuple[str, ...] | None = None
    """Interfaces with a hotspot on which no rule of a person stops IPv6."""

    technical: tuple[DeviceWarning, ...] = ()
    """Why the technical user is not in use; see `technical`."""

    technical_user: TechnicalUserFact | None = None
    """The technical user that was made; None: as the status has it."""

    reachable: bool | None = None
    """Whether the router answers."""

    authenticated: bool | None = None
    """Whether the router took the credentials."""

    obstacle: Obstacle | None = None
    """Why nothing, or not everything, can be done."""

    settled: bool | None = None
    """Whether the last pass left nothing to do; None: no pass has ended yet.
    """

    held_back: int = 0
    """Clients whose rows stay until a person confirms that they may go (rule
    E13).
    """

    contested: int = 0
    """Clients whose rows somebody else keeps changing (rule B10)."""

    plan: list[str] | None = None
    """In dry run: what would be written, a command a line."""

    configuration: tuple[str, ...] | None = None
    """In dry run with `spec.manageConfig`: what would be changed at the
    router's end of the tunnel, a line each.
    """

    router_clock: RouterClock | None = None
    """The router's clock at the last look; None: not known."""

    schedulers_forbidden: bool = False
    """Whether device-mode of the router forbids schedulers."""

    guard_found: GuardFound | None = None
    """What the last look at the router's configuration says of the guard."""

    guard: ConditionState | None = None
    """Guarded; None for a Device that asks for no guard."""

    kept_configuration: tuple[DeviceWarning, ...] = ()
    """What is not as `spec.manageConfig` wants it, or not confirmed; see
    `config`.
    """

    undone_configuration: str | None = None
    """The change that the router took back, as a digest; None: as the status
    has it; empty: there is none.
    """

    active: int = 0
    """Unfinished Sessions in phase Active."""

    pending: int = 0
    """Unfinished Sessions in phase Pending."""

    circuit: State = "Closed"
    """State of the circuit breaker."""

    open_until: datetime | None = None
    """When an open breaker lets the next try through."""

    last_resync_at: str | None = None
    """The request for a resync that the last full pass answered, as its
    annotation has it.
    """

    cleaned_up: bool = False
    """All rows of ours are off the router of a Device that goes."""

    tunnel: ConditionState | None = None
    """TunnelUp; None for a Device that is reached without a tunnel."""


def device_status(
    device: Device, findings: DeviceFindings, now: datetime
) -> dict[str, Any]:
    """Return the part of a Device's status that the agent owns, in the form of
    the API, for server-side apply.

    Facts that the router has not told since the agent started stay as the
    status has them.
    """

    facts, old = findings.facts, device.status
    status: dict[str, Any] = {
        "identity": facts.identity or old.identity,
        "version": facts.version or old.version,
        "board": facts.board or old.board,
        "serialNumber": findings.serial_number or old.serial_number,
        "answeringSerialNumber": findings.answering_serial_number,
        "sessions": {"active": findings.active, "pending": findings.pending},
        "circuit": {
            "state": findings.circuit,
            "openUntil": _whole_second(findings.open_until),
        },
        "technicalUser": _technical_user(old, findings.technical_user),
        "undoneConfiguration": _undone(old, findings),
        "plan": _plan(findings),
        "lastResyncAt": findings.last_resync_at or old.last_resync_at,
    }

    states = _states(device, findings)
    status |= judgement(
        device.kind, old.conditions, states, device.metadata.generation, now
    )

    stripped: dict[str, Any] = _without_none(status)

    return stripped


def _states(
    device: Device, findings: DeviceFindings
) -> dict[str, ConditionState]:
    """Return the conditions that the agent writes, by type."""
    obstacle = findings.obstacle
    states: dict[str, ConditionState] = {}

    # While the operator reports what is wrong with address, Peer or routerID,
    # Ready is the operator's to take back.
    if not operator_says(device):
        warnings = (
            *findings.technical,
            *findings.kept_configuration,
            *findings.surveyed,
            *findings.warnings,
        )

        states["Ready"] = _with_warnings(_ready(device, findings), warnings)

    states["Reachable"] = _known(
        findings.reachable, "Reachable", "the router answers", obstacle
    )

    states["Authenticated"] = _known(
        findings.authenticated,
        "LoggedIn",
        "the router took the credentials",
        obstacle,
    )

    states["Configured"] = _configured(device, findings)
    if findings.tunnel is not None:
        states["TunnelUp"] = findings.tunnel

    if findings.guard is not None:
        states[_GUARDED] = findings.guard

    return states


def _configured(device: Device, findings: DeviceFindings) -> ConditionState:
    if device.spec.dry_run:
        message = f"{cause(device)}: nothing is written; status.plan says what would change"
        return ConditionState("Unknown", reasons.DRY_RUN, message)

    if findings.settled:
        message = "the marked entries on the router are those of its Sessions"
        return ConditionState("True", _EQUAL, message)

    if findings.obstacle is not None:
        return ConditionState(
            "Unknown", findings.obstacle.reason, findings.obstacle.message
        )

    if findings.settled is None:
        return ConditionState(
            "Unknown", reasons.NOT_LOOKED_YET, "no pass has ended yet"
        )

    return ConditionState(
        "False", _CHANGING, "entries on the router are being changed"
    )


def _ready(device: Device, findings: DeviceFindings) -> ConditionState:
    """Return Ready: first what keeps the router from being looked at, then
    what the look showed.
    """

    if findings.cleaned_up and device.metadata.deletion_timestamp is not None:
        return ConditionState(
            "False",
            reasons.CLEANED_UP,
            "all marked entries are removed from the router",
        )

    obstacle = findings.obstacle
    if obstacle is not None:
        status: ConditionStatus = (
            "Unknown" if findings.reachable is None else "False"
        )

        return ConditionState(status, obstacle.reason, obstacle.message)

    if device.spec.paused != "None":
        message = (
            f"spec.paused is {device.spec.paused}: set it to None to go on"
        )

        return ConditionState("False", reasons.PAUSED, message)

    if findings.settled is None:
        return ConditionState(
            "Unknown",
            reasons.NOT_LOOKED_YET,
            "the router has not been compared yet",
        )

    return _ready_by_entries(device, findings)


def _with_warnings(
    state: ConditionState, warnings: Sequence[DeviceWarning]
) -> ConditionState:
    """Return Ready with the warnings in its message. The first one is its
    reason where all is well otherwise.
    """
    if not warnings:
        return state

    reason = state.reason
    if reason in (_EQUAL, _CHANGING):
        reason = warnings[0].reason

    texts = [f"{warning.reason}: {warning.message}" for warning in warnings]
    message = f"{state.message}. Warning: {'; '.join(texts)}"

    return ConditionState(state.status, reason, message)


def _ready_by_entries(
    device: Device, findings: DeviceFindings
) -> ConditionState:
    """Return Ready of a router that was compared."""
    if findings.held_back:
        message = (
            f"{findings.held_back} clients on the router have no Session any more; their entries stay "
            f"{until_confirmed(findings.held_back)}"
        )

        return ConditionState("False", "MassRemoval", message)

    if findings.contested:
        message = f"rows of {findings.contested} clients were changed by somebody else three times in ten minutes"
        return ConditionState("False", "Contested", message)

    if device.spec.dry_run:
        return _ready_in_dry_run(device, findings)

    if findings.settled:
        return ConditionState("True", _EQUAL, "the router is as wanted")

    return ConditionState("True", _CHANGING, "the router is being changed")


def _ready_in_dry_run(
    device: Device, findings: DeviceFindings
) -> ConditionState:
    """Return Ready of a router that was compared and is not written to."""
    nothing = f"nothing is written, as {cause(device)}"
    if _plan(findings):
        message = f"{nothing}; status.plan says what would change"
        return ConditionState("False", reasons.DRY_RUN, message)

    return ConditionState(
        "True", reasons.DRY_RUN, f"the router is as wanted; {nothing}"
    )


def _known(
    value: bool | None, reason: str, message: str, obstacle: Obstacle | None
) -> ConditionState:
    """Return a condition that is True with this reason and message; if it is
    not, the obstacle is the reason.
    """
    if value:
        return ConditionState("True", reason, message)

    status: ConditionStatus = "Unknown" if value is None else "False"
    if obstacle is None:
        return ConditionState(
            status, reasons.NOT_LOOKED_YET, "nobody has looked yet"
        )

    return ConditionState(status, obstacle.reason, obstacle.message)


def _plan(findings: DeviceFindings) -> list[str] | None:
    """Return what would be written: the tunnel first, then access."""
    if findings.plan is None:
        return None

    lines = [*(findings.configuration or ()), *findings.plan]
    if len(lines) <= MAX_PLAN_LINES:
        return lines

    kept = MAX_PLAN_LINES - 1

    return [*lines[:kept], "# and more commands"]


def _technical_user(
    old: DeviceStatus, fact: TechnicalUserFact | None
) -> dict[str, str | None] | None:
    """Return the technical user as the status has it; None if it is gone."""
    if fact is not None:
        name, version = fact.name, fact.secret_version
    elif old.technical_user is not None:
        name = old.technical_user.name
        version = old.technical_user.secret_version
    else:
        return None

    return None if name is None else {"name": name, "secretVersion": version}


def _undone(old: DeviceStatus, findings: DeviceFindings) -> str | None:
    """Return the change that was undone, as the status has it."""
    undone = findings.undone_configuration

    return old.undone_configuration if undone is None else undone or None


def _whole_second(moment: datetime | None) -> str | None:
    """Return a moment as the API writes it, without fractions of a second."""
    if moment is None:
        return None

    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_none(part)
            for name, part in value.items()
            if part is not None
        }

    return value
