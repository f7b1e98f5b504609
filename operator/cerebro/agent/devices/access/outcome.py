"""What a pass over a router's access led to, and what it means for each Session. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from cerebro.agent.devices.access.desired import SessionDecision
from cerebro.domain.conditions import Obstacle
from cerebro.resources import Device, reasons
from cerebro.routeros.access.marker import client_id
from cerebro.routeros.access.result import AccessPlan
from cerebro.routeros.client.errors import Trap, TrapKind

_DRY_RUN = Obstacle(reasons.DRY_RUN, "spec.dryRun of the Device is true: nothing is written to the router")


_CONTESTED = Obstacle("Contested", "somebody else keeps changing the client's rows on the router")


@dataclass
class PassResult:
    """What a pass found and did.

    `settled` says that the last read left nothing to do, `interrupted` that something more urgent came in
    between, `collided` that the router has a row that was not read, so everything must be.
    """

    judged: list[SessionDecision] = field(default_factory=list)
    plan: AccessPlan = field(default_factory=AccessPlan)
    settled: bool = False
    interrupted: bool = False
    collided: bool = False
    held_back: int = 0  # clients whose rows wait for a person's word (rule E13)
    refused: dict[str, Obstacle] = field(default_factory=dict)  # by client id
    obstacle: Obstacle | None = None  # why a write that is about no client in particular was refused
    repaired: set[str] = field(default_factory=set)  # client ids whose rows were put right (rule B10)


def pass_obstacle(trap: Trap) -> Obstacle:
    """Say what a refused write means for the Session: an argument that the router will never take is final."""
    if trap.kind is TrapKind.EXISTS:
        return Obstacle("AlreadyExists", f"{trap}: a row made by hand is in the way; remove it on the router")
    if trap.kind is TrapKind.NOT_PERMITTED:
        return Obstacle("NotPermitted", f"{trap}: give the user's group the policies read, write and api")
    final = trap.kind is TrapKind.OTHER and (
        trap.category == 1 or trap.message.startswith(("invalid value", "value of ", "input does not match"))
    )
    return Obstacle("RefusedByRouter", str(trap), final=final)


def granted_and_ended(outcome: PassResult) -> tuple[dict[str, bool], set[str]]:
    """Return, by client id, whether each that was looked at is granted now, and whose access ended (B10)."""
    granted = {
        client_id(view.mac or grant.mac or grant.ip or ""): view.granted
        for grant, view in outcome.plan.grants.items()
    }
    ended = {client_id(key) for one in outcome.plan.endings for key in (one.mac, *one.ips) if key}
    return granted, ended - granted.keys()


def session_obstacle(
    device: Device, outcome: PassResult, one: SessionDecision, *, contested: bool
) -> Obstacle | None:
    """Return what keeps a Session from being as wanted on the router after a pass."""
    if device.spec.dry_run:
        return _DRY_RUN
    refused = refusal(outcome, one)
    if refused is None and device.spec.paused != "None" and one.verdict.live:
        return Obstacle(reasons.PAUSED, f"spec.paused of the Device is {device.spec.paused}")
    if refused is None and any(not outcome.plan.endings[one_end].enforced for one_end in one.endings):
        refused = outcome.obstacle
    return refused or (_CONTESTED if one.grant and contested else None)


def refusal(outcome: PassResult, one: SessionDecision) -> Obstacle | None:
    """Return why the router refused a write for this Session's client, if it did."""
    view = outcome.plan.grants.get(one.grant) if one.grant else None
    keys = {view.mac, *view.ips} if view else set()
    if one.grant:
        keys |= {one.grant.mac, one.grant.ip}
    return next(
        (outcome.refused[i] for i in (client_id(key) for key in keys if key) if i in outcome.refused), None
    )
