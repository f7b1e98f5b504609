"""The status of a Session, from its verdict and what the router shows: phase
and conditions. Pure.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cerebro.domain.by_address import asks_who_is_there
from cerebro.domain.conditions import (
    ConditionState,
    ConditionStatus,
    Obstacle,
    with_conditions,
)
from cerebro.domain.lifecycle import Verdict, reopens
from cerebro.resources import AppliedClient, Session, SessionStatus, reasons
from cerebro.routeros.access.result import EndingView, GrantView

GRANTING = "Granting"
"""The reason while nothing keeps a Session from being granted."""

_SIGHTING = frozenset({"clientSeen", "addressHeldBy"})
"""Fields of a status that are written only together with others."""


def live_status(
    session: Session,
    verdict: Verdict,
    view: GrantView | None,
    obstacle: Obstacle | None,
    now: datetime,
) -> SessionStatus:
    """Return the status of a live Session; `view` is None if the router could
    not be read.
    """

    old = session.status
    granted = view is not None and view.granted
    let_in = granted or old.phase == "Active"
    if obstacle is not None and obstacle.final and not let_in:
        return _failed(session, obstacle, now)

    # A duration begins with the grant.
    authorized_at = verdict.authorized_at
    if authorized_at is None and granted:
        authorized_at = now

    end = _end(session, verdict, authorized_at)

    # What was granted stays Active while the router cannot be read.
    phase = "Active" if granted or old.phase == "Active" else "Pending"
    applied = (
        _applied(session, view)
        if view is not None and view.granted
        else old.applied
    )

    status = old.model_copy(
        update={
            **_sighting(view),
            "phase": phase,
            "authorized_at": authorized_at,
            "reopened_at": now if reopens(session) else old.reopened_at,
            "expires_at": end,
            "finished_at": None,
            "finished": None if old.finished is None else False,
            "applied": applied,
        }
    )

    state = _live_state(session, verdict, view, obstacle)

    return with_conditions(status, session, state, state, now)


def _end(
    session: Session, verdict: Verdict, authorized_at: datetime | None
) -> datetime | None:
    """Return when access ends, as far as that is known by now; None: never, or
    a duration that has not begun.
    """
    duration = session.spec.duration
    if verdict.end is None and duration and authorized_at is not None:
        return authorized_at + duration

    return verdict.end


def _sighting(view: GrantView | None) -> dict[str, Any]:
    """Return what changes of whether the router shows the client (A13):
    nothing before the access is on the router, or while hosts are unread.
    """
    if view is None or not view.granted or view.seen is None:
        return {}

    return {"client_seen": view.seen, "address_held_by": view.holder}


def _applied(session: Session, view: GrantView) -> AppliedClient | None:
    """Return the client that is on the router, and for which address of the
    spec it was pinned (B2); None where there is only a hotspot user.
    """
    if view.mac is None and not view.ips:
        return None

    client = session.spec.client
    return AppliedClient(
        mac_address=view.mac,
        ip_address=view.ips[0] if view.ips else None,
        pinned_for=None if client.mac_address else client.ip_address,
    )


def _live_state(
    session: Session,
    verdict: Verdict,
    view: GrantView | None,
    obstacle: Obstacle | None,
) -> ConditionState:
    """Return the state of Enforced and Ready of a live Session."""
    old = session.status

    if view is not None and view.granted:
        return _granted_state(session)

    if view is not None and view.blocked_by_hand:
        message = f"{view.blocked_by_hand}: remove or change that row to let the client in"
        return ConditionState("False", reasons.BLOCKED_BY_HAND, message)

    if obstacle is not None:
        # What was granted may still be on a router that nobody could look at.
        may_be_granted = not obstacle.looked and old.authorized_at is not None
        status: ConditionStatus = "Unknown" if may_be_granted else "False"
        return ConditionState(status, obstacle.reason, obstacle.message)

    if verdict.hold:
        return ConditionState("False", verdict.reason, verdict.message)

    was_reopened = old.phase == "Pending" and old.reopened_at is not None
    if reopens(session) or was_reopened:
        return ConditionState(
            "False",
            "Reopened",
            "changed after its end; access is being granted again",
        )

    return ConditionState(
        "False", GRANTING, "the client's entries are being put on the router"
    )


def _granted_state(session: Session) -> ConditionState:
    """Return the state of a Session that is granted."""
    message = "the client's entries are on the router"
    user, client = session.spec.hotspot_user, session.spec.client

    if user is not None and (client.mac_address or client.ip_address):
        message = f"the client's entries and hotspot user {user.name} are on the router"
    elif user is not None:
        message = f"hotspot user {user.name} is on the router"

    return ConditionState("True", "Granted", message)


def ended_status(
    session: Session,
    verdict: Verdict,
    view: EndingView | None,
    obstacle: Obstacle | None,
    now: datetime,
) -> SessionStatus:
    """Return the status of an ended Session; it is finished once a read showed
    that nothing of it remains (B1).

    `view` is None if the router could not be read.
    """

    old = session.status
    enforced = (
        view is not None and view.enforced and view.granted_by_hand is None
    )

    # A superseding Session goes on being watched: it counts also when the
    # superseded one is made anew.
    finished: bool | None = None
    if enforced and session.spec.supersedes is None:
        finished = True
    elif old.finished is not None:
        finished = False

    status = old.model_copy(
        update={
            "phase": verdict.phase,
            "authorized_at": verdict.authorized_at,
            "expires_at": verdict.end or old.expires_at,
            "finished_at": (old.finished_at or now) if enforced else None,
            "finished": finished,
            "applied": None if enforced else _client_until_end(session, view),
            "client_seen": None,
            "address_held_by": None,
        }
    )
    if enforced:
        state = ConditionState("True", verdict.reason, verdict.message)
        return with_conditions(status, session, state, state, now)

    ready = ConditionState("False", verdict.reason, verdict.message)

    return with_conditions(
        status, session, _ending_state(view, obstacle), ready, now
    )


def _client_until_end(
    session: Session, view: EndingView | None
) -> AppliedClient | None:
    """Return the client that is on the router until the end is enforced.

    For a revoke by address that is the client which the first look showed
    there, also if it was nobody: who gets the address after that is not meant
    (B2).
    """
    if view is None or view.too_early or not asks_who_is_there(session):
        return session.status.applied

    ip = session.spec.client.ip_address

    return AppliedClient(mac_address=view.mac, ip_address=ip, pinned_for=ip)


def _ending_state(
    view: EndingView | None, obstacle: Obstacle | None
) -> ConditionState:
    """Return the state of Enforced of a Session whose end is not enforced yet."""
    if view is not None and view.granted_by_hand:
        message = (
            f"{view.granted_by_hand}: remove that row to cut the client off"
        )

        return ConditionState("False", reasons.GRANTED_BY_HAND, message)

    if obstacle is not None:
        status: ConditionStatus = "False" if obstacle.looked else "Unknown"
        return ConditionState(status, obstacle.reason, obstacle.message)

    return ConditionState(
        "False",
        "Ending",
        "the client's entries are being removed from the router",
    )


def _failed(
    session: Session, obstacle: Obstacle, now: datetime
) -> SessionStatus:
    status = session.status.model_copy(
        update={
            "phase": "Failed",
            "finished_at": None,
        }
    )

    state = ConditionState("False", obstacle.reason, obstacle.message)
    return with_conditions(status, session, state, state, now)


def status_patch(old: SessionStatus, new: SessionStatus) -> dict[str, Any]:
    """Return the merge patch that turns one status into the other; empty if
    they are equal.

    Whether the router shows the client goes with what else there is to write:
    phones come and go, and that alone is worth no write.
    """

    before = old.model_dump(mode="json", by_alias=True, exclude_none=True)
    after = new.model_dump(mode="json", by_alias=True, exclude_none=True)
    patch: dict[str, Any] = {
        name: value
        for name, value in after.items()
        if before.get(name) != value
    }

    removed = [name for name in before if name not in after]

    if new.applied is not None and "applied" in patch:
        # A merge patch keeps what it does not name: of another client nothing
        # may stay.
        patch["applied"] = new.applied.model_dump(mode="json", by_alias=True)

    patch |= dict.fromkeys(removed)

    return {} if patch.keys() <= _SIGHTING else patch
