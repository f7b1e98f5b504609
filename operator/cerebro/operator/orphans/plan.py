"""What the operator writes on Sessions and DeviceCommands that have no Device
(rules A5, A8 and E12). Pure.

Nothing here is due on a router: without a Device nobody reaches one. What
still has a Device is never judged here, also if its agent is lost.
`controller` finds the orphans and writes what is decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cerebro.domain.commands import latest_start
from cerebro.domain.conditions import ConditionState, judgement, shown_abnormal
from cerebro.domain.lifecycle import (
    LATEST,
    GrantWindows,
    grant_deadline,
    reopens,
    session_facts,
)
from cerebro.resources import (
    DeviceCommand,
    Session,
    find_condition,
    format_time,
    reasons,
)

_OPERATOR_ONLY = (reasons.DEVICE_NOT_FOUND, reasons.NEVER_GRANTED)
"""Reasons of Ready that this module writes on Sessions that never had a
Device.
"""


@dataclass(frozen=True)
class OrphanVerdict:
    """What to write on an object."""

    status: dict[str, Any]
    """The status as the API server takes it."""
    event: str | None = None
    """Text of an Event, if the object is worth one."""


def judge_session(
    session: Session,
    *,
    gone_for_sure: bool,
    within: GrantWindows,
    now: datetime,
) -> OrphanVerdict | None:
    """Return what is written on an unfinished Session without a Device; None:
    nothing new.

    `gone_for_sure` is false at the first look: a Device that is being replaced
    (deleted and made anew) is back by the next. A superseding Session is never
    finished here: it must keep standing in place of the other one (A10).
    """

    if (
        session.status.finished
        or session.metadata.deletion_timestamp is not None
    ):
        return None

    if had_device(session):
        return _gone(session, now) if gone_for_sure else None

    deadline = grant_deadline(session, within, now)
    if session.spec.supersedes is None:
        ended = _ended_without_device(session, deadline, now)
        if ended is not None:
            return ended

    return _waiting(session, deadline, now)


def had_device(session: Session) -> bool:
    """Return whether a Session ever had a Device, by its status: only agents
    write anything but our own reasons.
    """

    status = session.status
    if (
        status.authorized_at is not None
        or status.applied is not None
        or status.phase == "Active"
    ):
        return True

    if status.phase is None:
        return False

    ready = find_condition(status.conditions, "Ready")

    return ready is None or ready.reason not in _OPERATOR_ONLY


def judge_command(
    command: DeviceCommand, *, gone_for_sure: bool, now: datetime
) -> OrphanVerdict | None:
    """Return what is written on an unfinished DeviceCommand without a Device;
    None: nothing yet.

    `gone_for_sure` is as in `judge_session`.
    """

    if (
        command.status.finished
        or command.metadata.deletion_timestamp is not None
    ):
        return None

    device = command.spec.device_ref.name
    was_taken_up = command.status.phase is not None
    if was_taken_up:
        if not gone_for_sure:
            return None

        outcome = (
            "it may have run"
            if command.status.started_at is not None
            else "it was not run"
        )

        state = ConditionState(
            "False",
            reasons.DEVICE_GONE,
            f"the Device {device} was deleted; {outcome}",
        )
    else:
        if now < latest_start(command, now):
            return None

        message = f"not run: there is no Device {device} in this namespace"
        state = ConditionState("False", reasons.DEVICE_NOT_FOUND, message)

    states = {"Complete": state, "Ready": state}
    judged = judgement(
        command.kind,
        command.status.conditions,
        states,
        command.metadata.generation,
        now,
    )

    status = {
        "phase": "Failed",
        "finished": True,
        "finishedAt": format_time(now),
        **judged,
    }

    return OrphanVerdict(status)


def _ended_without_device(
    session: Session, deadline: datetime | None, now: datetime
) -> OrphanVerdict | None:
    """Return the end of a Session that never had a Device: by its own terms,
    or because its time ran out.
    """

    device = session.spec.device_ref.name

    ended_as = session_facts(session, now).ended_as
    if ended_as is not None:
        message = f"never on a router: there is no Device {device}"
        states = {"Ready": ConditionState("True", ended_as, message)}

        return OrphanVerdict(_finished_status(session, ended_as, states, now))

    if deadline is not None and deadline <= now:
        message = (
            f"not on a router by {format_time(deadline)}: there is no Device {device} in this namespace; apply it, "
            "then set a later grantBefore"
        )

        states = {
            "Ready": ConditionState("False", reasons.NEVER_GRANTED, message)
        }

        return OrphanVerdict(_finished_status(session, "Failed", states, now))

    return None


def _waiting(
    session: Session, deadline: datetime | None, now: datetime
) -> OrphanVerdict | None:
    """Return the status of a Session that waits for its Device; None if the
    Session has it already.

    It also notes when a re-opening was noticed: from then an agent counts the
    time for the grant too (A5).
    """

    message = f"there is no Device {session.spec.device_ref.name} in this namespace; apply it"
    if deadline is not None and deadline < LATEST:
        message += f" before {format_time(deadline)}"

    states = {
        "Ready": ConditionState("Unknown", reasons.DEVICE_NOT_FOUND, message)
    }

    status = _status(session, "Pending", states, now)
    reopened_at = now if reopens(session) else session.status.reopened_at
    if reopened_at is not None:
        status["reopenedAt"] = format_time(reopened_at)

    return None if _has_already(session, status) else OrphanVerdict(status)


def _gone(session: Session, now: datetime) -> OrphanVerdict | None:
    """Return the status of a Session whose Device was deleted; None if a
    superseding one has it already.

    It finishes, and the Event names the rows that `deletionPolicy: Retain`
    leaves on the router. A superseding Session goes on: what it stands for may
    be made anew.
    """

    message = f"the Device {session.spec.device_ref.name} was deleted"
    rows = _rows(session)
    if rows:
        message += (
            f"; with deletionPolicy Retain this stays on the router: {rows}"
        )

    states = {
        "Ready": ConditionState("False", reasons.DEVICE_GONE, message),
        "Enforced": ConditionState("Unknown", reasons.DEVICE_GONE, message),
    }

    if session.spec.supersedes is not None:
        status = _status(
            session, session.status.phase or "Pending", states, now
        )

        return None if _has_already(session, status) else OrphanVerdict(status)

    phase = session_facts(session, now).ended_as or "Failed"

    return OrphanVerdict(
        _finished_status(session, phase, states, now), event=message
    )


def _rows(session: Session) -> str:
    """Name the entries on the router that are due to a Session, as far as its
    status knows them.
    """

    applied = session.status.applied
    if applied is None:
        return ""

    client = applied.mac_address or applied.ip_address
    rows = []
    if client:
        rows.append(f"ip-binding of {client}")

    if applied.ip_address:
        rows.append(f"address-list row of {applied.ip_address}")

    return ", ".join(rows)


def _finished_status(
    session: Session,
    phase: str,
    states: Mapping[str, ConditionState],
    now: datetime,
) -> dict[str, Any]:
    status = _status(session, phase, states, now)
    return {**status, "finished": True, "finishedAt": format_time(now)}


def _status(
    session: Session,
    phase: str,
    states: Mapping[str, ConditionState],
    now: datetime,
) -> dict[str, Any]:
    generation = session.metadata.generation
    return {
        "phase": phase,
        **judgement(
            session.kind, session.status.conditions, states, generation, now
        ),
    }


def _has_already(session: Session, status: dict[str, Any]) -> bool:
    """Return whether a Session has all of this status: each write comes back
    as an event to every watcher.
    """
    known = session.status.wire()
    for name in ("phase", "observedGeneration"):
        if known.get(name) != status[name]:
            return False

    conditions = known.get("conditions", [])
    written = {condition["type"] for condition in status["conditions"]}
    if not shown_abnormal(session.status).keys() <= written:
        return False

    return all(condition in conditions for condition in status["conditions"])
