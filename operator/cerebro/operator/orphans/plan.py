"""What is said of Sessions and DeviceCommands that have no Device (rules A5, A8 and E12). Pure.

Nothing here is due on a router: without a Device nobody reaches one. Who still has a Device is never judged
here, also when its agent is lost. `operator_orphans` finds them and writes what is decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from cerebro.domain.conditions import ConditionState, wire_states
from cerebro.domain.lifecycle import GrantWindows, reopens
from cerebro.resources import DeviceCommand, Session, find_condition, format_time, reasons

COMMAND_GRACE = timedelta(seconds=2)
"""Too late, for a command, is its timeout and this after its creation (rule C2)."""

_LATEST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class OrphanVerdict:
    """What to write: the status as the API server takes it, and what an Event should say, if anything."""

    status: dict[str, Any]
    event: str | None = None


def judge_session(
    session: Session, *, gone_for_sure: bool, within: GrantWindows, now: datetime
) -> OrphanVerdict | None:
    """Decide what is said of an unfinished Session without a Device; None: nothing new.

    `gone_for_sure` is false at the first look: a Device that is being replaced (deleted and made again) is
    back by the next. A superseding Session is never finished here, it must keep standing in for the other
    one (A10).
    """
    if session.status.finished or session.metadata.deletion_timestamp is not None:
        return None
    if had_device(session):
        return _gone(session, now) if gone_for_sure else None
    ended = _ended_phase(session, now)
    deadline = grant_deadline(session, within, now)
    if session.spec.supersedes is None and ended is not None:
        message = f"never on a router: there is no Device {session.spec.device_ref.name}"
        return OrphanVerdict(_ended(session, ended, {"Ready": ConditionState("True", ended, message)}, now))
    if session.spec.supersedes is None and deadline <= now:
        message = (
            f"not on a router by {format_time(deadline)}: there is no Device {session.spec.device_ref.name} "
            "in this namespace; apply it, then set a later grantBefore"
        )
        return OrphanVerdict(
            _ended(session, "Failed", {"Ready": ConditionState("False", reasons.NEVER_GRANTED, message)}, now)
        )
    message = f"there is no Device {session.spec.device_ref.name} in this namespace; apply it"
    message += f" before {format_time(deadline)}" if deadline < _LATEST else ""
    states = {"Ready": ConditionState("Unknown", reasons.DEVICE_NOT_FOUND, message)}
    new = _status(session, "Pending", states, now)
    reopened_at = _reopened_at(session, now)
    if reopened_at is not None:
        new["reopenedAt"] = format_time(reopened_at)
    return None if _says(session, new) else OrphanVerdict(new)


def had_device(session: Session) -> bool:
    """Tell whether a Session ever had a Device: only agents write anything but our own reasons."""
    status = session.status
    ready = find_condition(status.conditions, "Ready")
    if status.authorized_at is not None or status.applied is not None or status.phase == "Active":
        return True
    return status.phase is not None and (
        ready is None or ready.reason not in (reasons.DEVICE_NOT_FOUND, reasons.NEVER_GRANTED)
    )


def grant_deadline(session: Session, within: GrantWindows, now: datetime) -> datetime:
    """Give the time by which a Session must be on a router (A5): `grantBefore`, else after its creation.

    For one that was opened again it counts from when that was noticed.
    """
    if session.spec.grant_before is not None:
        return session.spec.grant_before
    begin = _reopened_at(session, now) or session.metadata.creation_timestamp or now
    return _later(begin, within.trial if session.spec.type == "Trial" else within.paid)


def _reopened_at(session: Session, now: datetime) -> datetime | None:
    return now if reopens(session) else session.status.reopened_at


def judge_command(command: DeviceCommand, *, gone_for_sure: bool, now: datetime) -> OrphanVerdict | None:
    """Decide what is said of an unfinished DeviceCommand without a Device; None: nothing yet."""
    if command.status.finished or command.metadata.deletion_timestamp is not None:
        return None
    device = command.spec.device_ref.name
    if command.status.phase is not None:
        if not gone_for_sure:
            return None
        outcome = "it may have run" if command.status.started_at is not None else "it was not run"
        reason, message = reasons.DEVICE_GONE, f"the Device {device} was deleted; {outcome}"
    else:
        created = command.metadata.creation_timestamp or now
        if now < _later(created, command.spec.timeout + COMMAND_GRACE):
            return None
        reason, message = reasons.DEVICE_NOT_FOUND, f"not run: there is no Device {device} in this namespace"
    state = ConditionState("False", reason, message)
    states = {"Complete": state, "Ready": state}
    written = wire_states(command.status.conditions, states, command.metadata.generation, now)
    status = {"phase": "Failed", "finished": True, "finishedAt": format_time(now), "conditions": written}
    return OrphanVerdict(status)


def _gone(session: Session, now: datetime) -> OrphanVerdict | None:
    device = session.spec.device_ref.name
    rows = _rows(session)
    left = f"; with deletionPolicy Retain this stays on the router: {rows}" if rows else ""
    message = f"the Device {device} was deleted{left}"
    states = {
        "Ready": ConditionState("False", reasons.DEVICE_GONE, message),
        "Enforced": ConditionState("Unknown", reasons.DEVICE_GONE, message),
    }
    if session.spec.supersedes is not None:
        new = _status(session, session.status.phase or "Pending", states, now)
        return None if _says(session, new) else OrphanVerdict(new)
    phase = _ended_phase(session, now) or "Failed"
    return OrphanVerdict(_ended(session, phase, states, now), event=message)


def _rows(session: Session) -> str:
    """Name the entries on the router that are due to this Session, as far as its status knows them."""
    applied = session.status.applied
    if applied is None:
        return ""
    client = applied.mac_address or applied.ip_address
    parts = [f"ip-binding of {client}"] if client else []
    parts += [f"address-list row of {applied.ip_address}"] if applied.ip_address else []
    return ", ".join(parts)


def _ended_phase(session: Session, now: datetime) -> Literal["Revoked", "Expired"] | None:
    """Give the phase of one that is over by its own terms, also without a router; None: it is not."""
    if session.spec.revoked:
        return "Revoked"
    end = session.spec.expires_at or session.status.expires_at
    if end is None and session.spec.duration is not None and session.status.authorized_at is not None:
        end = _later(session.status.authorized_at, session.spec.duration)
    return "Expired" if end is not None and end <= now else None


def _ended(
    session: Session, phase: str, states: Mapping[str, ConditionState], now: datetime
) -> dict[str, Any]:
    end = {"finished": True, "finishedAt": format_time(now)}
    return _status(session, phase, states, now) | end


def _status(
    session: Session, phase: str, states: Mapping[str, ConditionState], now: datetime
) -> dict[str, Any]:
    generation = session.metadata.generation
    return {
        "phase": phase,
        "observedGeneration": generation,
        "conditions": wire_states(session.status.conditions, states, generation, now),
    }


def _says(session: Session, new: dict[str, Any]) -> bool:
    """Tell whether the status says all of that already; writes come back as events to every watcher."""
    old = session.status.wire()
    conditions = old.get("conditions", [])
    same = all(old.get(key) == new[key] for key in ("phase", "observedGeneration"))
    return same and all(condition in conditions for condition in new["conditions"])


def _later(moment: datetime, span: timedelta) -> datetime:
    try:
        return moment + span
    except OverflowError:
        return _LATEST
