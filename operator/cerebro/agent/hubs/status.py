"""The status of a Hub: what its loop found on the node, as conditions and
figures. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cerebro.domain.conditions import (
    ConditionState,
    ConditionStatus,
    Obstacle,
    judgement,
)
from cerebro.domain.mass_removal import CONFIRM_REMOVAL, until_confirmed
from cerebro.resources import Hub, reasons
from cerebro.wireguard.backend import (
    ForeignInterface,
    Implementation,
    IsolationNotAvailable,
    NotAvailable,
    WireGuardError,
)
from cerebro.wireguard.plan import InterfacePlan

CLEANED_UP: ConditionState = ConditionState(
    "False",
    reasons.CLEANED_UP,
    "the interface and what belongs to it are removed from the node",
)

_PLAN_LINES = 20
"""Lines of a dry run that a message has room for."""

_DRY_RUN = "CEREBRO_DRY_RUN or CEREBRO_WIREGUARD_DRY_RUN of the agent is true"

_REFUSED_NAMES = 5
"""Names of refused Peers that a message has room for."""


@dataclass(slots=True)
class HubFindings:
    """What the last pass brought."""

    implementation: Implementation | None = None
    """Which one carries the interface; None: none does, or nobody could look.
    """

    public_key: str | None = None

    up: bool | None = None
    """Whether the interface exists and is up; None: nobody could look."""

    obstacle: Obstacle | None = None
    """Why nothing, or not everything, can be done."""

    desired: int | None = None
    """Accepted Peers; this and the next three are None where nobody could
    count.
    """

    applied: int | None = None
    """Accepted Peers that are on the interface."""

    online: int | None = None
    """Applied Peers with a recent handshake."""

    unknown: int | None = None
    """Peers on the interface that belong to no Peer object."""

    waiting: int = 0
    """Peers whose key waits until it is noted in their status (rule E8)."""

    refused: tuple[str, ...] = ()
    """Names of Peers that could not be applied."""

    held_back: int = 0
    """Peers on the interface that wait for a person's word to go (rule E13).
    """

    frozen: int = 0
    """Peers that our model cannot read (rule B9)."""

    warnings: tuple[Obstacle, ...] = ()
    """What is wrong without being in the way: a Secret that differs, an
    address that was refused.
    """

    plan: list[str] | None = None
    """In dry run: what would change, in words."""

    cleaned_up: bool = False
    """Whether the interface was removed because the Hub is being deleted."""

    last_resync_at: str | None = None
    """The request for a resync that was answered last."""


def failed_pass(error: Exception) -> HubFindings:
    """Return the findings of a pass that failed: no interface of ours, or
    nothing is known.
    """
    absent = isinstance(error, NotAvailable | ForeignInterface)
    if isinstance(error, IsolationNotAvailable):
        absent = False  # nftables is missing, not the interface

    return HubFindings(
        up=False if absent else None, obstacle=_obstacle_of(error)
    )


def _obstacle_of(error: Exception) -> Obstacle:
    if isinstance(error, WireGuardError):
        return Obstacle(error.reason, str(error))

    if isinstance(error, TimeoutError):
        return Obstacle(
            "NoAnswer",
            str(error) or "the node's network did not answer in time",
        )

    # Not the error's own words, which may hold anything.
    message = (
        f"an error of ours, {type(error).__name__}, ended the comparison: the agent's log says where. It is tried "
        "again; please report it"
    )

    return Obstacle("InternalError", message)


def note_link(
    findings: HubFindings,
    plan: InterfacePlan,
    refusals: Mapping[str, str],
    *,
    up: bool,
) -> Mapping[str, str]:
    """Note how the link is after a plan was carried out; return why there is
    no route, by network: its Peer reports that.

    `refusals` say by address or network what of the link was refused, and why.
    `up`: whether the link is up now if anything of it was changed.
    """
    if plan.link:
        findings.up = up

    unrouted: dict[str, str] = {}
    refused: dict[str, str] = {}
    for text, why in refusals.items():
        part = unrouted if text in plan.link.add_routes else refused
        part[text] = why

    # A refused address, and one that somebody else added, are the Hub's to
    # report.
    findings.warnings += tuple(
        Obstacle("AddressRefused", f"{text}: {why}")
        for text, why in sorted(refused.items())
    )

    findings.warnings += tuple(
        _foreign(address, plan.name)
        for address in sorted(plan.foreign_addresses)
    )

    return unrouted


def _foreign(address: str, interface: str) -> Obstacle:
    message = (
        f"{interface} has the address {address}, which is not in spec.addresses: write it there, or remove it "
        f"with `ip address del {address} dev {interface}`"
    )

    return Obstacle("ForeignAddress", message)


def peers_out_of_sight(findings: HubFindings) -> ConditionState:
    """Return condition Applied of all Peers of a Hub that something keeps from
    being carried.
    """
    assert findings.obstacle is not None
    status: ConditionStatus = "Unknown" if findings.up is None else "False"

    return ConditionState(
        status,
        findings.obstacle.reason,
        f"the Hub: {findings.obstacle.message}",
    )


def hub_status(
    hub: Hub, findings: HubFindings, node: str, now: datetime
) -> dict[str, Any]:
    """Return the status of a Hub that this node carries, for server-side
    apply.

    What the pass did not find out stays as it is, but for the figures: those
    are left out.
    """

    before = hub.status
    figures = {
        "desired": findings.desired,
        "applied": findings.applied,
        "online": findings.online,
        "unknown": findings.unknown,
    }

    known_figures = {
        name: figure for name, figure in figures.items() if figure is not None
    }

    status: dict[str, Any] = {
        "publicKey": findings.public_key or before.public_key,
        "nodeName": node,
        "implementation": findings.implementation or before.implementation,
        "peers": known_figures or None,
        "lastResyncAt": findings.last_resync_at or before.last_resync_at,
    }

    states = {
        "Ready": _ready(hub, findings),
        "InterfaceUp": _interface_up(hub, findings),
    }

    status |= judgement(
        hub.kind, before.conditions, states, hub.metadata.generation, now
    )

    return {name: value for name, value in status.items() if value is not None}


def _interface_up(hub: Hub, findings: HubFindings) -> ConditionState:
    interface = hub.spec.interface
    obstacle = findings.obstacle

    if findings.cleaned_up:
        return CLEANED_UP

    if findings.up:
        return ConditionState("True", "Up", f"{interface} is up")

    if obstacle is not None:
        status: ConditionStatus = "Unknown" if findings.up is None else "False"
        return ConditionState(status, obstacle.reason, obstacle.message)

    if findings.up is None:
        return ConditionState(
            "Unknown", reasons.NOT_LOOKED_YET, "nobody has looked yet"
        )

    if findings.plan is not None:
        message = f"{interface} is not up; {_DRY_RUN}: nothing is written"
        return ConditionState("False", reasons.DRY_RUN, message)

    return ConditionState("False", "Down", f"{interface} is not up")


def _ready(hub: Hub, findings: HubFindings) -> ConditionState:
    if findings.cleaned_up:
        return CLEANED_UP

    if findings.obstacle is not None:
        return ConditionState(
            "False", findings.obstacle.reason, findings.obstacle.message
        )

    if hub.spec.paused != "None":
        message = f"spec.paused is {hub.spec.paused}: set it to None to go on"
        return ConditionState("False", reasons.PAUSED, message)

    if findings.up is None:
        return ConditionState(
            "Unknown",
            reasons.NOT_LOOKED_YET,
            "the interface has not been compared yet",
        )

    return _ready_of_interface(hub, findings)


def _ready_of_interface(hub: Hub, findings: HubFindings) -> ConditionState:
    """Return condition Ready of a Hub whose interface was compared, and
    nothing was in the way.
    """

    interface = hub.spec.interface
    if findings.held_back:
        message = (
            f"{findings.held_back} peers on {interface} are asked for by no Peer any more; they stay "
            f"{until_confirmed(findings.held_back)}"
        )

        return ConditionState("False", "MassRemoval", message)

    if findings.plan is not None:
        return _dry_run(findings.plan)

    if findings.warnings:
        message = "; ".join(warning.message for warning in findings.warnings)
        return ConditionState("False", findings.warnings[0].reason, message)

    if not findings.up:
        return ConditionState("False", "Down", f"{interface} is not up")

    reason = "Changing" if findings.waiting else "Equal"
    message = "; ".join([_progress(findings), *_notes(hub, findings)])

    return ConditionState("True", reason, message)


def _progress(findings: HubFindings) -> str:
    if findings.waiting:
        return f"{findings.waiting} Peers wait until their key is noted in their status"

    return "the interface is as wanted"


def _notes(hub: Hub, findings: HubFindings) -> list[str]:
    """Return what a person may want to know of an interface that is as
    desired.
    """

    notes = []
    if findings.unknown:
        notes.append(
            f"{findings.unknown} peers on {hub.spec.interface} are asked for by no Peer and are kept: make Peers "
            "for them, or set spec.unknownPeers to Remove"
        )

    if findings.refused:
        count = len(findings.refused)
        names = ", ".join(findings.refused[:_REFUSED_NAMES])
        notes.append(
            f"{count} Peers could not be applied, their conditions say why: {names}"
        )

    if findings.frozen:
        notes.append(
            f"{findings.frozen} Peers cannot be read and stay as they are"
        )

    return notes


def _dry_run(plan: list[str]) -> ConditionState:
    if not plan:
        message = f"the interface is as wanted; {_DRY_RUN}: nothing is written"
        return ConditionState("True", reasons.DRY_RUN, message)

    lines = plan[:_PLAN_LINES]
    more = len(plan) - _PLAN_LINES
    if more > 0:
        lines = [*lines, f"and {more} more"]

    return ConditionState(
        "False",
        reasons.DRY_RUN,
        f"{_DRY_RUN}: nothing is written; would change: {'; '.join(lines)}",
    )


def confirmed_removals(hub: Hub) -> int:
    """Return how many peers a person lets a mass removal end, by the Hub's
    annotation (rule E13).
    """
    value = hub.metadata.annotations.get(CONFIRM_REMOVAL, "")
    if not value.isdecimal() or len(value) >= 9:
        return 0

    return int(value)
