"""What a pass over a router's access led to, and what that means for each
Session. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from cerebro.agent.devices.access.desired import SessionDecision
from cerebro.agent.devices.fitness.refusals import REFUSALS
from cerebro.agent.dry_run import cause
from cerebro.domain.conditions import Obstacle
from cerebro.resources import Device, reasons
from cerebro.routeros.access.marker import client_id
from cerebro.routeros.access.result import AccessPlan
from cerebro.routeros.client.errors import Trap, TrapKind

_CONTESTED = Obstacle(
    "Contested", "somebody else keeps changing the client's rows on the router"
)

_NOT_READ = {
    "/ip/hotspot/host": "HostsNotRead",
    "/ip/hotspot/active": "LoginsNotRead",
    "/ip/hotspot/cookie": "CookiesNotRead",
    "/ip/firewall/connection": "ConnectionsNotRead",
}
"""The reason when a menu cannot be read, by its path."""

_NEVER_ACCEPTED = ("invalid value", "value of ", "input does not match")
"""How RouterOS begins its refusal of an argument that it will never take."""

_CLIENTS_ARGUMENT = re.compile(r"\b(?:mac-address|address)\b(?!-)")
"""What a refusal names if it is about the client; all else is the Device's."""


@dataclass(frozen=True, slots=True)
class UserOutcome:
    """What a pass led to for the hotspot user of one Session: `done` when it
    is as the Session wants it, else why not.
    """

    done: bool
    obstacle: Obstacle | None = None


@dataclass(frozen=True)
class PassResult:
    """What a pass saw and did."""

    judged: list[SessionDecision] = field(default_factory=list)
    plan: AccessPlan = field(default_factory=AccessPlan)
    """The plan that the last read led to."""

    settled: bool = False
    """Whether the last read left nothing to do."""

    interrupted: bool = False
    """Whether something more urgent came in between."""

    collided: bool = False
    """Whether the router has a row that was not read, so that everything must
    be read.
    """

    held_back: int = 0
    """Clients whose rows wait until a person confirms that they may go (rule
    E13).
    """

    look_again_at: float | None = None
    """When clients that lost their Session may go, by the monotonic clock;
    None: none waits for its time.
    """

    refused: dict[str, Obstacle] = field(default_factory=dict)
    """Why the router refused a write for a client, by client id."""

    obstacle: Obstacle | None = None
    """Why a write that is about no client in particular was refused."""

    users: Mapping[str, UserOutcome] = field(default_factory=dict)
    """What became of hotspot users, by the UID of the Session."""

    repaired: set[str] = field(default_factory=set)
    """Client ids whose rows were put right (rule B10)."""


def pass_obstacle(trap: Trap) -> Obstacle:
    """Return what a refused write means for its Session; an argument that the
    router will never take is final.
    """

    if trap.kind is TrapKind.EXISTS:
        return Obstacle(
            "AlreadyExists",
            f"{trap}: a row made by hand is in the way; remove it on the router",
        )

    refusal = REFUSALS.get(trap.kind)

    if refusal is not None:
        return Obstacle(refusal.reason, f"{trap}: {refusal.next_step}")

    is_about_argument = trap.category == 1 or trap.message.startswith(
        _NEVER_ACCEPTED
    )

    # A server, list or type that the router does not know is the Device's to
    # mend: no Session ends for it (case T7).
    is_about_client = _CLIENTS_ARGUMENT.search(trap.message) is not None
    final = (
        trap.kind is TrapKind.OTHER and is_about_argument and is_about_client
    )

    return Obstacle("RefusedByRouter", str(trap), final=final)


def granted_and_ended(result: PassResult) -> tuple[dict[str, bool], set[str]]:
    """Return what the `ContentionTracker` counts by (B10).

    That is, by client id, whether each client that was looked at is granted
    now; and the ids of those whose access ended and who have no other grant.
    """

    granted = {}

    for grant, view in result.plan.grants.items():
        key = view.mac or grant.mac or grant.ip or ""
        granted[client_id(key)] = view.granted

    ended = set()

    for ending in result.plan.endings:
        ended |= {client_id(key) for key in (ending.mac, *ending.ips) if key}

    return granted, ended - granted.keys()


def session_obstacle(
    device: Device,
    result: PassResult,
    decision: SessionDecision,
    *,
    contested: bool,
) -> Obstacle | None:
    """Return what keeps a Session from being as desired on the router after a
    pass; None if nothing does.

    What the router refused for its client counts first. `contested` says that
    its client backs off (B10).
    """

    if device.spec.dry_run:
        return Obstacle(
            reasons.DRY_RUN,
            f"{cause(device)}: nothing is written to the router",
        )

    obstacle = refusal(result, decision) or _not_read(result, decision)

    if (
        obstacle is None
        and device.spec.paused != "None"
        and decision.verdict.live
    ):
        return Obstacle(
            reasons.PAUSED,
            f"spec.paused of the Device is {device.spec.paused}",
        )

    if obstacle is None and not _all_enforced(result, decision):
        obstacle = result.obstacle

    if obstacle is None and decision.grant is not None and contested:
        return _CONTESTED

    user = result.users.get(decision.session.metadata.uid)

    if obstacle is None and user is not None:
        return user.obstacle

    return obstacle


def refusal(result: PassResult, decision: SessionDecision) -> Obstacle | None:
    """Return why the router refused a write for this Session's client; None if
    it did not.

    The client is known by the keys that the Session names, and by those that
    the plan saw on the router.
    """

    grant = decision.grant

    if grant is None:
        return None

    keys = {grant.mac, grant.ip}
    view = result.plan.grants.get(grant)

    if view is not None:
        keys |= {view.mac, *view.ips}

    for key in keys:
        if key and client_id(key) in result.refused:
            return result.refused[client_id(key)]

    return None


def _not_read(
    result: PassResult, decision: SessionDecision
) -> Obstacle | None:
    """Return which menu could not be read that would prove a Session's access
    or end (rule B0); None for none.
    """

    views = [
        result.plan.endings[ending]
        for ending in decision.endings
        if ending in result.plan.endings
    ]

    paths = [view.unread for view in views]

    if decision.grant is not None and decision.grant in result.plan.grants:
        paths.append(result.plan.grants[decision.grant].unread)

    path = next((path for path in paths if path is not None), None)

    if path is None:
        return None

    why = result.plan.unread[path]
    message = f"the router did not print {path}: {why}; what else is due was done, and it is read again"

    return Obstacle(_NOT_READ[path], message)


def _all_enforced(result: PassResult, decision: SessionDecision) -> bool:
    """Return whether all clients that this Session shuts out are out."""
    return all(
        result.plan.endings[ending].enforced for ending in decision.endings
    )
