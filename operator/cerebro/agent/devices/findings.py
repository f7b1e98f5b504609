"""What the loop of a Device knows of its router after a try: each function
returns the findings anew. Pure.

The loop keeps the result and hands it to the reporter; nobody changes findings
in place.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from cerebro.agent.devices.access.outcome import PassResult
from cerebro.agent.devices.fitness.encryption import encryption_warnings
from cerebro.agent.devices.fitness.refusals import REFUSALS
from cerebro.agent.devices.fitness.version import (
    VersionNotSupported,
    check_version,
    version_warnings,
)
from cerebro.agent.devices.identity import (
    WrongRouter,
    check_serial_number,
    identity_warnings,
    recorded_serial_number,
)
from cerebro.agent.devices.model import RouterFacts
from cerebro.agent.devices.status import MAX_PLAN_LINES, DeviceFindings
from cerebro.domain.conditions import Obstacle
from cerebro.resources import Device, reasons
from cerebro.resources.naming import ANNOTATION_RESYNC_AT
from cerebro.routeros.access.result import AccessPlan
from cerebro.routeros.client.errors import (
    ConnectionLost,
    DeadlineExceeded,
    LoginRefused,
    RouterError,
    SecretError,
    Stalled,
    Trap,
    TrapKind,
    Unreachable,
)
from cerebro.routeros.preview import preview

_REASONS: dict[type[RouterError], str] = {
    WrongRouter: reasons.WRONG_ROUTER,
    VersionNotSupported: "VersionNotSupported",
    SecretError: "SecretNotUsable",
    LoginRefused: "LoginRefused",
    DeadlineExceeded: "NoAnswer",
    Stalled: "NoAnswer",
    ConnectionLost: "ConnectionLost",
}
_SECRET_REASONS = ("LoginRefused", "SecretNotUsable")
_TRAP_REASONS = {
    TrapKind.NO_COMMAND: reasons.NOT_SUPPORTED,
    **{kind: refusal.reason for kind, refusal in REFUSALS.items()},
}


def reason_of(error: RouterError) -> str:
    """Return the condition reason for an error of a router."""
    if isinstance(error, Unreachable):
        return error.reason

    if isinstance(error, Trap):
        return _TRAP_REASONS.get(error.kind, "RefusedByRouter")

    return _REASONS.get(type(error), "RouterError")


def waits_for_secret(findings: DeviceFindings) -> bool:
    """Return whether another Secret may take away what keeps the router from
    being reached.
    """
    obstacle = findings.obstacle

    return obstacle is not None and obstacle.reason in _SECRET_REASONS


def after_connect(
    findings: DeviceFindings, device: Device, facts: RouterFacts
) -> DeviceFindings:
    """Return the findings while a connection to the right router stands: it
    answers and took the credentials.

    Raises WrongRouter if it is another router (rule B6), VersionNotSupported
    if it is too old.
    """
    check_serial_number(device, facts, findings.serial_number)
    check_version(facts)

    return replace(
        findings,
        reachable=True,
        authenticated=True,
        facts=facts,
        answering_serial_number=None,
        serial_number=recorded_serial_number(
            device, facts, findings.serial_number
        ),
        warnings=(
            *identity_warnings(facts),
            *version_warnings(facts),
            *encryption_warnings(device),
        ),
    )


def without_route(
    findings: DeviceFindings, obstacle: Obstacle
) -> DeviceFindings:
    """Return the findings while nothing leads to the router. Unless somebody
    looked, it may well be reachable.
    """
    reachable = False if obstacle.looked else None

    return replace(
        findings,
        obstacle=obstacle,
        settled=None,
        authenticated=None,
        answering_serial_number=None,
        reachable=reachable,
    )


def after_failure(
    findings: DeviceFindings, error: RouterError, open_until: datetime | None
) -> DeviceFindings:
    """Return the findings after a try that failed; `open_until` is when the
    breaker lets the next one through, if it opened.
    """
    reachable: bool | None = not isinstance(
        error, Unreachable | ConnectionLost | Stalled
    )
    if isinstance(error, SecretError):
        reachable = None  # nobody dialled

    # Of most errors it is not known whether the credentials were taken.
    authenticated: bool | None = None

    if isinstance(error, LoginRefused | WrongRouter | VersionNotSupported):
        authenticated = not isinstance(error, LoginRefused)

    # Which router stands in the Device's place is known while it answers.
    answering = error.serial_number if isinstance(error, WrongRouter) else None

    return replace(
        findings,
        reachable=reachable,
        authenticated=authenticated,
        answering_serial_number=answering,
        settled=None,
        obstacle=Obstacle(reason_of(error), _message(error), looked=False),
        open_until=findings.open_until if open_until is None else open_until,
    )


def after_pass(
    findings: DeviceFindings,
    device: Device,
    outcome: PassResult,
    *,
    full_pass: bool,
    contested: int,
) -> DeviceFindings:
    """Return the findings after a pass; `contested` is the number of clients
    whose rows somebody else changes.
    """

    findings = replace(
        findings, obstacle=outcome.obstacle, contested=contested
    )

    # A pass over some clients that left nothing to do says nothing of the
    # others.
    complete = outcome.settled or device.spec.dry_run
    if full_pass or not complete:
        findings = replace(
            findings, settled=outcome.settled, held_back=outcome.held_back
        )

    if full_pass:
        requested = device.metadata.annotations.get(ANNOTATION_RESYNC_AT)
        findings = replace(findings, last_resync_at=requested)

    if not device.spec.dry_run:
        return replace(findings, plan=None)

    if full_pass:
        return replace(findings, plan=_plan_lines(outcome.plan))

    return findings


def _plan_lines(plan: AccessPlan) -> list[str]:
    """Return what a plan would do, a command a line."""
    return preview(plan.commands(), plan.rows, plan.count(), MAX_PLAN_LINES)


def after_cleanup(
    findings: DeviceFindings, device: Device, outcome: PassResult
) -> DeviceFindings:
    """Return the findings after a pass that was to remove all rows of ours."""
    refused = next(iter(outcome.refused.values()), None)
    plan = _plan_lines(outcome.plan) if device.spec.dry_run else None

    return replace(
        findings,
        plan=plan,
        cleaned_up=outcome.settled,
        settled=outcome.settled,
        obstacle=refused,
    )


def _message(error: RouterError) -> str:
    """Return an error of a router with the next step, where that is known."""
    refusal = REFUSALS.get(error.kind) if isinstance(error, Trap) else None

    return str(error) if refusal is None else f"{error}: {refusal.next_step}"
