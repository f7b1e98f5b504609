"""The status of a Hub: what its loop found on the node, as conditions and figures. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cerebro.domain.conditions import ConditionState, ConditionStatus, Obstacle, wire_states
from cerebro.domain.mass_removal import CONFIRM_REMOVAL, until_confirmed
from cerebro.resources import Hub, reasons
from cerebro.wireguard.backend import (
    ForeignInterface,
    Implementation,
    IsolationNotAvailable,
    NotAvailable,
    WireGuardError,
)

CLEANED_UP: ConditionState = ConditionState(
    "False",
    reasons.CLEANED_UP,
    "the interface and what belongs to it are removed from the node",
)
_PLAN_LINES = 20


@dataclass(slots=True)
class HubFindings:
    """What the last pass brought."""

    implementation: Implementation | None = None
    public_key: str | None = None
    up: bool | None = None
    """Whether the interface is there and up; None: nobody could look."""
    obstacle: Obstacle | None = None
    """Why nothing, or not everything, can be done."""
    desired: int | None = None
    applied: int | None = None
    online: int | None = None
    unknown: int | None = None
    waiting: int = 0
    """Peers whose key waits until it is noted in their status (rule E8)."""
    refused: tuple[str, ...] = ()
    """Names of Peers that could not be applied."""
    held_back: int = 0
    """Peers on the interface that wait for a person's word to go (rule E13)."""
    frozen: int = 0
    """Peers that our model cannot read (rule B9)."""
    warnings: tuple[Obstacle, ...] = ()
    """What is wrong without being in the way: a Secret that differs, an address that was refused."""
    plan: list[str] | None = None
    """In dry run: what would change, in words."""
    cleaned_up: bool = False
    last_resync_at: str | None = None


def failed_pass(error: Exception) -> HubFindings:
    """Return what a pass found that ended in an error: no interface of ours, or nothing."""
    absent = isinstance(error, NotAvailable | ForeignInterface) and not isinstance(
        error, IsolationNotAvailable
    )
    return HubFindings(up=False if absent else None, obstacle=_in_the_way(error))


def _in_the_way(error: Exception) -> Obstacle:
    if isinstance(error, WireGuardError):
        return Obstacle(error.reason, str(error))
    if isinstance(error, TimeoutError):
        return Obstacle("NoAnswer", str(error) or "the node's network did not answer in time")
    message = (  # not the error's own words, which may hold anything
        f"an error of ours, {type(error).__name__}, ended the comparison: the agent's log says where. It is tried "
        "again; please report it"
    )
    return Obstacle("InternalError", message)


def peers_out_of_sight(found: HubFindings) -> ConditionState:
    """Return condition Applied of all Peers of a Hub that something keeps from being carried."""
    assert found.obstacle is not None
    truth: ConditionStatus = "Unknown" if found.up is None else "False"
    return ConditionState(truth, found.obstacle.reason, f"the Hub: {found.obstacle.message}")


def hub_status(hub: Hub, found: HubFindings, node: str, now: datetime) -> dict[str, Any]:
    """Return the status of a Hub that this node carries, for server-side apply."""
    old = hub.status
    peers = {
        "desired": found.desired,
        "applied": found.applied,
        "online": found.online,
        "unknown": found.unknown,
    }
    status: dict[str, Any] = {
        "publicKey": found.public_key or old.public_key,
        "nodeName": node,
        "implementation": found.implementation or old.implementation,
        "peers": {name: value for name, value in peers.items() if value is not None} or None,
        "lastResyncAt": found.last_resync_at or old.last_resync_at,
    }
    states = {"Ready": _ready(hub, found), "InterfaceUp": _up(hub, found)}
    status["conditions"] = wire_states(old.conditions, states, hub.metadata.generation, now)
    return {name: value for name, value in status.items() if value is not None}


def _up(hub: Hub, found: HubFindings) -> ConditionState:
    name = hub.spec.interface
    if found.cleaned_up:
        return CLEANED_UP
    if found.up:
        return ConditionState("True", "Up", f"{name} is up")
    if found.obstacle is not None:
        return ConditionState(
            "Unknown" if found.up is None else "False", found.obstacle.reason, found.obstacle.message
        )
    if found.up is None:
        return ConditionState("Unknown", reasons.NOT_LOOKED_YET, "nobody has looked yet")
    if found.plan is not None:
        return ConditionState("False", reasons.DRY_RUN, f"{name} is not up; nothing is written in dry run")
    return ConditionState("False", "Down", f"{name} is not up")


def _ready(hub: Hub, found: HubFindings) -> ConditionState:
    if found.cleaned_up:
        return CLEANED_UP
    if found.obstacle is not None:
        return ConditionState("False", found.obstacle.reason, found.obstacle.message)
    if hub.spec.paused != "None":
        return ConditionState(
            "False", reasons.PAUSED, f"spec.paused is {hub.spec.paused}: set it to None to go on"
        )
    if found.up is None:
        return ConditionState("Unknown", reasons.NOT_LOOKED_YET, "the interface has not been compared yet")
    return _ready_of_interface(hub, found)


def _ready_of_interface(hub: Hub, found: HubFindings) -> ConditionState:
    interface = hub.spec.interface
    if found.held_back:
        message = (
            f"{found.held_back} peers on {interface} are asked for by no Peer any more; they stay "
            f"{until_confirmed(found.held_back)}"
        )
        return ConditionState("False", "MassRemoval", message)
    if found.plan is not None:
        return _dry_run(found.plan)
    if found.warnings:
        return ConditionState(
            "False", found.warnings[0].reason, "; ".join(one.message for one in found.warnings)
        )
    if not found.up:
        return ConditionState("False", "Down", f"{interface} is not up")
    words = "; ".join([_state(found), *_notes(hub, found)])
    return ConditionState("True", "Changing" if found.waiting else "Equal", words)


def _state(found: HubFindings) -> str:
    if found.waiting:
        return f"{found.waiting} Peers wait until their key is noted in their status"
    return "the interface is as wanted"


def _notes(hub: Hub, found: HubFindings) -> list[str]:
    notes = []
    if found.unknown:
        notes.append(
            f"{found.unknown} peers on {hub.spec.interface} are asked for by no Peer and are kept: make Peers "
            "for them, or set spec.unknownPeers to Remove"
        )
    if found.refused:
        some = ", ".join(found.refused[:5])
        notes.append(f"{len(found.refused)} Peers could not be applied, their conditions say why: {some}")
    if found.frozen:
        notes.append(f"{found.frozen} Peers cannot be read and stay as they are")
    return notes


def _dry_run(plan: list[str]) -> ConditionState:
    if not plan:
        return ConditionState(
            "True", reasons.DRY_RUN, "the interface is as wanted; nothing is written in dry run"
        )
    more = len(plan) - _PLAN_LINES
    lines = [*plan[:_PLAN_LINES], *([f"and {more} more"] if more > 0 else [])]
    return ConditionState("False", reasons.DRY_RUN, "nothing is written; would change: " + "; ".join(lines))


def confirmed_removals(hub: Hub) -> int:
    """Return how many peers a person lets a mass removal end (rule E13)."""
    value = hub.metadata.annotations.get(CONFIRM_REMOVAL, "")
    return int(value) if value.isdecimal() and len(value) < 9 else 0
