"""The status of a Session: verdict and what the router shows, as phase and conditions. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cerebro.domain.by_address import asks_who_is_there
from cerebro.domain.conditions import ConditionState, ConditionStatus, Obstacle, with_conditions
from cerebro.domain.lifecycle import Verdict, reopens
from cerebro.resources import AppliedClient, Session, SessionStatus, reasons
from cerebro.routeros.access.result import EndingView, GrantView


def live_status(
    session: Session, verdict: Verdict, view: GrantView | None, obstacle: Obstacle | None, now: datetime
) -> SessionStatus:
    """Return the status of a live Session; `view` is None when the router could not be read."""
    old = session.status
    granted = view is not None and view.granted
    if obstacle is not None and obstacle.final and not granted:
        return _failed(session, obstacle, now)
    authorized_at = verdict.authorized_at or (now if granted else None)
    end = verdict.end
    if end is None and session.spec.duration is not None and authorized_at is not None:
        end = authorized_at + session.spec.duration
    phase = "Active" if granted or old.phase == "Active" else "Pending"
    applied = old.applied
    if view is not None:
        applied = _applied(session, view) if granted else applied
    said = _live_condition(session, verdict, view, obstacle, granted=granted)
    status = old.model_copy(
        update={
            "phase": phase,
            "authorized_at": authorized_at,
            "reopened_at": now if reopens(session) else old.reopened_at,
            "expires_at": end,
            "finished_at": None,
            "finished": None if old.finished is None else False,
            "applied": applied,
            "observed_generation": session.metadata.generation,
        }
    )
    return with_conditions(status, session, said, said, now)


def _applied(session: Session, view: GrantView) -> AppliedClient:
    asked = session.spec.client
    return AppliedClient(
        mac_address=view.mac,
        ip_address=view.ips[0] if view.ips else None,
        pinned_for=None if asked.mac_address else asked.ip_address,
    )


def _live_condition(
    session: Session, verdict: Verdict, view: GrantView | None, obstacle: Obstacle | None, *, granted: bool
) -> ConditionState:
    if granted:
        return ConditionState("True", "Granted", "the client's entries are on the router")
    if view is not None and view.blocked_by_hand:
        fix = f"{view.blocked_by_hand}: remove or change that row to let the client in"
        return ConditionState("False", reasons.BLOCKED_BY_HAND, fix)
    if obstacle is not None:
        truth: ConditionStatus = (
            "False" if obstacle.looked or session.status.authorized_at is None else "Unknown"
        )
        return ConditionState(truth, obstacle.reason, obstacle.message)
    if verdict.hold:
        return ConditionState("False", verdict.reason, verdict.message)
    old = session.status
    if reopens(session) or (old.phase == "Pending" and old.reopened_at is not None):
        return ConditionState("False", "Reopened", "changed after its end; access is being granted again")
    return ConditionState("False", "Granting", "the client's entries are being put on the router")


def ended_status(
    session: Session, verdict: Verdict, view: EndingView | None, obstacle: Obstacle | None, now: datetime
) -> SessionStatus:
    """Return the status of an ended Session; it is finished once a read showed that nothing is left of it
    (rule B1).
    """
    old = session.status
    enforced = view is not None and view.enforced and view.granted_by_hand is None
    superseding = session.spec.supersedes is not None
    status = old.model_copy(
        update={
            "phase": verdict.phase,
            "authorized_at": verdict.authorized_at,
            "expires_at": verdict.end or old.expires_at,
            "finished_at": (old.finished_at or now) if enforced else None,
            # A superseding Session goes on being watched: what it says holds also when the superseded one is
            # made again.
            "finished": True if enforced and not superseding else None if old.finished is None else False,
            "applied": None if enforced else _ended_client(session, view),
            "observed_generation": session.metadata.generation,
        }
    )
    if enforced:
        ended = ConditionState("True", verdict.reason, verdict.message)
        return with_conditions(status, session, ended, ended, now)
    ending = ConditionState("False", verdict.reason, verdict.message)
    return with_conditions(status, session, _ending_condition(view, obstacle), ending, now)


def _ended_client(session: Session, view: EndingView | None) -> AppliedClient | None:
    """Return who is still on the router; for one that is ended by its address, whom the first look showed there, also
    if it was nobody: who gets the address after that is not meant.
    """
    if view is None or view.too_early or not asks_who_is_there(session):
        return session.status.applied
    ip = session.spec.client.ip_address
    return AppliedClient(mac_address=view.mac, ip_address=ip, pinned_for=ip)


def _ending_condition(view: EndingView | None, obstacle: Obstacle | None) -> ConditionState:
    if view is not None and view.granted_by_hand:
        return ConditionState(
            "False", reasons.GRANTED_BY_HAND, f"{view.granted_by_hand}: remove that row to cut the client off"
        )
    if obstacle is not None:
        return ConditionState("False" if obstacle.looked else "Unknown", obstacle.reason, obstacle.message)
    return ConditionState("False", "Ending", "the client's entries are being removed from the router")


def _failed(session: Session, obstacle: Obstacle, now: datetime) -> SessionStatus:
    status = session.status.model_copy(
        update={"phase": "Failed", "observed_generation": session.metadata.generation, "finished_at": None}
    )
    said: ConditionState = ConditionState("False", obstacle.reason, obstacle.message)
    return with_conditions(status, session, said, said, now)


def status_patch(old: SessionStatus, new: SessionStatus) -> dict[str, Any]:
    """Return the merge patch that turns one status into the other; empty when nothing a reader would care
    about changed.
    """
    before = old.model_dump(mode="json", by_alias=True, exclude_none=True)
    after = new.model_dump(mode="json", by_alias=True, exclude_none=True)
    patch: dict[str, Any] = {name: value for name, value in after.items() if before.get(name) != value}
    if new.applied is not None and "applied" in patch:
        # A merge patch leaves what it does not name: of another client nothing may stay.
        patch["applied"] = new.applied.model_dump(mode="json", by_alias=True)
    patch |= {name: None for name in before if name not in after}
    return patch
