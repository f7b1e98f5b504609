"""What is told of a Session by an Event: that its client was let in, refused,
or put out, when the status that says so is written. Pure.

A router that cannot be looked at is told of its Device alone: hundreds of
Sessions may wait for it.
"""

from __future__ import annotations

from typing import NamedTuple

from cerebro.agent.devices.access.status import GRANTING
from cerebro.domain.conditions import ConditionState
from cerebro.kube.event_reasons import (
    EXPIRED,
    GRANTED,
    NOT_ENDED,
    NOT_GRANTED,
    REFUSED,
    REVOKED,
    EventReason,
)
from cerebro.resources import Session, SessionStatus, format_time, reasons

_NO_TROUBLE = frozenset(
    {
        GRANTING,
        "Ending",
        "Reopened",
        reasons.NOT_LOOKED_YET,
        reasons.PAUSED,
        reasons.DRY_RUN,
        reasons.CLOCK_SKEW,
    }
)
"""Reasons for which nobody has refused anything."""


class SessionNews(NamedTuple):
    """An Event about a Session, and the values of its sentence."""

    told: EventReason
    values: dict[str, str]


def session_news(
    session: Session, status: SessionStatus, *, looked: bool
) -> SessionNews | None:
    """Return what is told of a Session that gets this status; None: nothing.

    `session` has the status before. `looked`: the router was read.
    """
    old = session.status
    device = {"device": session.spec.device_ref.name}

    if status.phase == "Failed":
        trouble = _trouble_values(status, "Ready")
        is_news = old.phase != "Failed"

        return SessionNews(NOT_GRANTED, device | trouble) if is_news else None

    if status.phase in ("Expired", "Revoked"):
        return _end(session, status, device, looked=looked)

    if status.phase == "Active" and old.phase != "Active":
        return SessionNews(GRANTED, device | {"until": _until(status)})

    if looked and _is_new_trouble(old, status, "Ready"):
        return SessionNews(REFUSED, device | _trouble_values(status, "Ready"))

    return None


def _end(
    session: Session,
    status: SessionStatus,
    device: dict[str, str],
    *,
    looked: bool,
) -> SessionNews | None:
    """Return what is told of a Session whose time is over."""
    old = session.status
    is_off = status.finished_at is not None

    if is_off and old.finished_at is not None:
        return None

    if is_off:
        told = EXPIRED if status.phase == "Expired" else REVOKED
        ready = status.condition("Ready")
        message = ready.message if ready is not None else ""

        return SessionNews(told, device | {"message": message})

    if looked and _is_new_trouble(old, status, "Enforced"):
        trouble = _trouble_values(status, "Enforced")

        return SessionNews(NOT_ENDED, device | trouble)

    return None


def _state(status: SessionStatus, name: str) -> ConditionState | None:
    condition = status.condition(name)

    return ConditionState.of(condition) if condition is not None else None


def _is_new_trouble(
    old: SessionStatus, status: SessionStatus, name: str
) -> bool:
    """Return whether a condition names a trouble that it did not name before."""
    state, before = _state(status, name), _state(old, name)
    if state is None or state.status != "False":
        return False

    if state.reason in _NO_TROUBLE:
        return False

    return before is None or before.reason != state.reason


def _trouble_values(status: SessionStatus, name: str) -> dict[str, str]:
    state = _state(status, name)
    if state is None:
        return {"reason": "Unknown", "message": "nothing is known"}

    return {"reason": state.reason, "message": state.message}


def _until(status: SessionStatus) -> str:
    """Return until when access lasts, in words."""
    if status.expires_at is None:
        return "until it is revoked"

    return f"until {format_time(status.expires_at)}"
