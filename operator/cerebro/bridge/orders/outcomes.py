"""What a Session's status says to somebody who waits: done, not yet, or an error to answer with. Pure (A7,
F10)."""

from __future__ import annotations

import re
from datetime import datetime
from enum import Enum

from cerebro.bridge.errors import ApiError
from cerebro.resources import Condition, Device, Session, find_condition, reasons


class Awaited(Enum):
    """What somebody waits for."""

    GRANT = "grant"
    """The entry is on the router."""
    END = "end"
    """No entry on the router is due to it."""


class WaitResult(Enum):
    """What has come of it."""

    DONE = "done"
    DRY_RUN = "dry run"
    """The Device is in dry run: nothing will be written to it."""


_BLOCKING_REASONS = frozenset(
    {reasons.PAUSED, reasons.WRONG_ROUTER, reasons.INVALID_OBJECT, reasons.CLOCK_SKEW, reasons.DEVICE_GONE}
)
"""Reasons of Ready that do not pass while a client waits; the answer says them at once."""


def judge(session: Session, generation: int, wanted: Awaited) -> WaitResult | None:
    """Say what has come of the given generation; None while nothing has.

    Raises ApiError for what will not come: 409 blocked_by_hand and granted_by_hand, 502 and 503 for the
    router.
    """
    status = session.status
    if (status.observed_generation or 0) < generation:
        return None
    enforced = _current(session, "Enforced", generation)
    ready = _current(session, "Ready", generation)
    ended = status.phase in ("Revoked", "Expired", "Failed")
    if enforced is not None and enforced.status == "True":
        if wanted is Awaited.GRANT and status.phase == "Active":
            return WaitResult.DONE
        if wanted is Awaited.END and ended:
            return WaitResult.DONE
    _raise_by_hand(enforced)
    if any(condition is not None and condition.reason == reasons.DRY_RUN for condition in (enforced, ready)):
        return WaitResult.DRY_RUN
    if wanted is Awaited.GRANT and ended:
        raise _ended(session, ready or enforced)
    if wanted is Awaited.END and status.finished and ended:
        return WaitResult.DONE
    if ready is not None and ready.status != "True" and ready.reason in _BLOCKING_REASONS:
        raise _from_condition(ready)
    return None


def not_in_time(device: Device, session: Session | None) -> ApiError:
    """Explain that the router did not answer in time; the Session stays and goes on being tried."""
    for kind, code in (("Authenticated", "MIKROTIK_AUTH_FAILED"), ("Reachable", "MIKROTIK_UNREACHABLE")):
        found = find_condition(device.status.conditions, kind)
        if found is not None and found.status == "False":
            return _unavailable(code, device, found.message or found.reason)
    ready = find_condition(device.status.conditions, "Ready")
    if ready is not None and ready.status != "True" and ready.message:
        return _unavailable("router_timeout", device, f"{ready.reason}: {ready.message}")
    own = session.status.condition("Ready") if session else None
    if own is not None and own.status != "True" and own.message:
        return _unavailable("router_timeout", device, own.message)
    return _unavailable("router_timeout", device, "no answer in time")


def breaker_open(device: Device, now: datetime) -> ApiError | None:
    """Give the answer for a router that is left alone for a while, None when it is not."""
    circuit = device.status.circuit
    if circuit is None or circuit.state != "Open":
        return None
    if circuit.open_until is not None and circuit.open_until <= now:
        return None
    return _unavailable("router_unavailable", device, "it failed several times and is left alone for a while")


def _current(session: Session, kind: str, generation: int) -> Condition | None:
    """Give a condition that was said of this generation or a later one."""
    found = session.status.condition(kind)
    if found is None or (found.observed_generation is not None and found.observed_generation < generation):
        return None
    return found


def _raise_by_hand(enforced: Condition | None) -> None:
    if enforced is None or enforced.status == "True":
        return
    if enforced.reason == reasons.BLOCKED_BY_HAND:
        raise ApiError(409, "blocked_by_hand", enforced.message or "an entry made by hand blocks this client")
    if enforced.reason == reasons.GRANTED_BY_HAND:
        raise ApiError(
            409, "granted_by_hand", enforced.message or "an entry made by hand lets this client in"
        )


def _ended(session: Session, condition: Condition | None) -> ApiError:
    phase = session.status.phase
    reason = (condition.message or condition.reason) if condition else str(phase)
    if phase == "Revoked":
        return ApiError(409, "revoked", f"the Session was revoked meanwhile: {reason}")
    if phase == "Expired":
        return ApiError(409, "order_expired", f"the time of this order is over: {reason}")
    never = condition is not None and condition.reason == reasons.NEVER_GRANTED
    return ApiError(503 if never else 502, "never_granted" if never else "session_failed", reason)


def _from_condition(condition: Condition) -> ApiError:
    code = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", condition.reason).lower()
    return ApiError(503, code, condition.message or condition.reason, reason=condition.reason)


def _unavailable(code: str, device: Device, why: str) -> ApiError:
    return ApiError(
        503,
        code,
        f"the router {device.router_id} has not confirmed it ({why}); it goes on being tried",
        pending=True,
    )
