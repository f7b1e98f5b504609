"""The status of a Device: what the loop found, as conditions and figures. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cerebro.agent.devices.breaker import State
from cerebro.agent.devices.model import RouterFacts
from cerebro.domain.conditions import ConditionState, ConditionStatus, Obstacle, wire_states
from cerebro.domain.mass_removal import until_confirmed
from cerebro.domain.ready_owner import operator_says
from cerebro.resources import Device, reasons


@dataclass(frozen=True, slots=True)
class DeviceFindings:
    """What the last tries brought. `settled` None: no pass has ended yet."""

    facts: RouterFacts = field(default_factory=RouterFacts)
    reachable: bool | None = None
    authenticated: bool | None = None
    obstacle: Obstacle | None = None  # why nothing, or not everything, can be done
    settled: bool | None = None
    held_back: int = 0
    contested: int = 0
    plan: list[str] | None = None
    active: int = 0
    pending: int = 0
    circuit: State = "Closed"
    open_until: datetime | None = None
    last_resync_at: str | None = None
    cleaned_up: bool = False
    """All rows of ours are off the router of a Device that goes."""
    tunnel: ConditionState | None = None
    """TunnelUp; None for a Device that is reached without one."""


def device_status(device: Device, found: DeviceFindings, now: datetime) -> dict[str, Any]:
    """Return the part of a Device's status that the agent owns, for server-side apply."""
    facts, old = found.facts, device.status
    status: dict[str, Any] = {
        "identity": facts.identity or old.identity,
        "version": facts.version or old.version,
        "board": facts.board or old.board,
        "serialNumber": facts.serial_number or old.serial_number,
        "sessions": {"active": found.active, "pending": found.pending},
        "circuit": {"state": found.circuit, "openUntil": _whole_second(found.open_until)},
        "plan": found.plan,
        "lastResyncAt": found.last_resync_at or old.last_resync_at,
    }
    said = dict(
        zip(("Ready", "Reachable", "Authenticated", "Configured"), _truths(device, found), strict=True)
    )
    if found.tunnel is not None:
        said["TunnelUp"] = found.tunnel
    if operator_says(device):
        # There the operator says what is wrong with address, Peer or routerID; it takes that back itself.
        del said["Ready"]
    status["conditions"] = wire_states(old.conditions, said, device.metadata.generation, now)
    stripped: dict[str, Any] = _without_none(status)
    return stripped


def _truths(device: Device, found: DeviceFindings) -> list[ConditionState]:
    why = found.obstacle
    ready = _ready(device, found)
    reachable = _two(found.reachable, "Reachable", "the router answers", why)
    authenticated = _two(found.authenticated, "LoggedIn", "the router took the credentials", why)
    if device.spec.dry_run:
        configured: ConditionState = ConditionState(
            "Unknown",
            reasons.DRY_RUN,
            "nothing is written; status.plan says what would change",
        )
    elif found.settled:
        configured = ConditionState(
            "True", "Equal", "the marked entries on the router are those of its Sessions"
        )
    elif why is not None:
        configured = ConditionState("Unknown", why.reason, why.message)
    elif found.settled is None:
        configured = ConditionState("Unknown", reasons.NOT_LOOKED_YET, "no pass has ended yet")
    else:
        configured = ConditionState("False", "Changing", "entries on the router are being changed")
    return [ready, reachable, authenticated, configured]


def _ready(device: Device, found: DeviceFindings) -> ConditionState:
    if found.cleaned_up and device.metadata.deletion_timestamp is not None:
        return ConditionState("False", reasons.CLEANED_UP, "all marked entries are removed from the router")
    if found.obstacle is not None:
        truth: ConditionStatus = "False" if found.reachable is not None else "Unknown"
        return ConditionState(truth, found.obstacle.reason, found.obstacle.message)
    if device.spec.paused != "None":
        return ConditionState(
            "False", reasons.PAUSED, f"spec.paused is {device.spec.paused}: set it to None to go on"
        )
    if found.settled is None:
        return ConditionState("Unknown", reasons.NOT_LOOKED_YET, "the router has not been compared yet")
    return _ready_of_entries(device, found)


def _ready_of_entries(device: Device, found: DeviceFindings) -> ConditionState:
    if found.held_back:
        message = (
            f"{found.held_back} clients on the router have no Session any more; their entries stay "
            f"{until_confirmed(found.held_back)}"
        )
        return ConditionState("False", "MassRemoval", message)
    if found.contested:
        message = (
            f"rows of {found.contested} clients were changed by somebody else three times in ten minutes"
        )
        return ConditionState("False", "Contested", message)
    if device.spec.dry_run:
        return ConditionState("True", reasons.DRY_RUN, "the router can be read; nothing is written")
    if found.settled:
        return ConditionState("True", "Equal", "the router is as wanted")
    return ConditionState("True", "Changing", "the router is being changed")


def _two(value: bool | None, reason: str, message: str, why: Obstacle | None) -> ConditionState:
    if value:
        return ConditionState("True", reason, message)
    truth: ConditionStatus = "Unknown" if value is None else "False"
    return ConditionState(
        truth, why.reason if why else reasons.NOT_LOOKED_YET, why.message if why else "nobody has looked yet"
    )


def _whole_second(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_none(part) for name, part in value.items() if part is not None}
    return value
