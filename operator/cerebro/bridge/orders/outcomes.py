"""What the status of a Session means for somebody who waits for it: done, not
yet, or an error (A7, F10). Pure.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import Enum

from cerebro.bridge.errors import ApiError
from cerebro.resources import (
    Condition,
    Device,
    Session,
    find_condition,
    reasons,
)


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
    {
        reasons.PAUSED,
        reasons.WRONG_ROUTER,
        reasons.INVALID_OBJECT,
        reasons.CLOCK_SKEW,
        reasons.DEVICE_GONE,
    }
)
"""Reasons of Ready that do not pass while a client waits; the answer names
them at once.
"""

_ENDED_PHASES = ("Revoked", "Expired", "Failed")

_ROUTER_CODES = {
    "Authenticated": "MIKROTIK_AUTH_FAILED",
    "Reachable": "MIKROTIK_UNREACHABLE",
}
"""Error codes of a router that did not answer, by the condition of the Device
that is False; the first one counts.
"""


def judge(
    session: Session, generation: int, wanted: Awaited
) -> WaitResult | None:
    """Return what has come of the given generation of a Session; None while
    nothing has.

    A status or condition of an older generation says nothing about it. The end
    of a Session that never had a Device is done once it is finished: no router
    will tell.

    Raises ApiError for what will not come: 409 blocked_by_hand and
    granted_by_hand, 502 and 503 for the router.
    """

    if session.status.observed_generation < generation:
        return None

    enforced = _current(session, "Enforced", generation)
    ready = _current(session, "Ready", generation)

    if _is_enforced(session, enforced, wanted):
        return WaitResult.DONE

    _raise_by_hand(enforced, wanted)

    if _is_dry_run(enforced) or _is_dry_run(ready):
        return WaitResult.DRY_RUN

    if session.status.phase in _ENDED_PHASES:
        if wanted is Awaited.GRANT:
            raise _ended(session, ready or enforced)

        if session.status.finished:
            return WaitResult.DONE

    _raise_blocked(ready)

    return None


def not_in_time(device: Device, session: Session | None) -> ApiError:
    """Return the error for a router that did not answer in time; the Session
    stays and goes on being tried.

    It names the best cause that is known: the Device's login or reachability,
    its Ready, that of the Session.
    """

    for name, code in _ROUTER_CODES.items():
        condition = find_condition(device.status.conditions, name)

        if condition is not None and condition.status == "False":
            return _unavailable(
                code, device, condition.message or condition.reason
            )

    ready = find_condition(device.status.conditions, "Ready")

    if ready is not None and ready.status != "True" and ready.message:
        return _unavailable(
            "router_timeout", device, f"{ready.reason}: {ready.message}"
        )

    session_ready = session.status.condition("Ready") if session else None

    if (
        session_ready is not None
        and session_ready.status != "True"
        and session_ready.message
    ):
        return _unavailable("router_timeout", device, session_ready.message)

    return _unavailable("router_timeout", device, "no answer in time")


def breaker_open(device: Device, now: datetime) -> ApiError | None:
    """Return the error for a router that its agent leaves alone for a while;
    None if it does not.

    `now` is aware. A breaker whose time is over counts as closed, although the
    agent has not tried yet.
    """
    circuit = device.status.circuit

    if circuit is None or circuit.state != "Open":
        return None

    if circuit.open_until is not None and circuit.open_until <= now:
        return None

    wait = circuit.open_until - now if circuit.open_until else None

    return _unavailable(
        "router_unavailable",
        device,
        "it failed several times and is left alone for a while",
        retry_after=wait.total_seconds() if wait else None,
    )


def _current(session: Session, name: str, generation: int) -> Condition | None:
    """Return a condition if it was observed of this generation or a later one;
    else None.
    """

    condition = session.status.condition(name)

    if condition is None:
        return None

    observed = condition.observed_generation
    is_older = observed is not None and observed < generation

    return None if is_older else condition


def _is_enforced(
    session: Session, enforced: Condition | None, wanted: Awaited
) -> bool:
    """Return whether the router has what is waited for."""
    if enforced is None or enforced.status != "True":
        return False

    if wanted is Awaited.GRANT:
        return session.status.phase == "Active"

    return session.status.phase in _ENDED_PHASES


def _is_dry_run(condition: Condition | None) -> bool:
    return condition is not None and condition.reason == reasons.DRY_RUN


def _raise_by_hand(enforced: Condition | None, wanted: Awaited) -> None:
    """Raise ApiError 409 if an entry that a person made is in the way."""
    if enforced is None or enforced.status == "True":
        return

    if enforced.reason == reasons.BLOCKED_BY_HAND:
        message = (
            enforced.message or "an entry made by hand blocks this client"
        )

        raise ApiError(409, "blocked_by_hand", message)

    is_named = enforced.reason == reasons.USER_MADE_BY_HAND
    if is_named and wanted is Awaited.GRANT:
        message = (
            enforced.message
            or "a user made by hand on the router has this name"
        )

        raise ApiError(409, "user_made_by_hand", message)

    if enforced.reason == reasons.GRANTED_BY_HAND:
        message = (
            enforced.message or "an entry made by hand lets this client in"
        )

        raise ApiError(409, "granted_by_hand", message)


def _raise_blocked(ready: Condition | None) -> None:
    """Raise ApiError 503 for a reason that does not pass while somebody waits;
    its code is the reason's text.
    """
    if (
        ready is None
        or ready.status == "True"
        or ready.reason not in _BLOCKING_REASONS
    ):
        return

    code = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", ready.reason).lower()

    raise ApiError(
        503, code, ready.message or ready.reason, reason=ready.reason
    )


def _ended(session: Session, condition: Condition | None) -> ApiError:
    """Return the error for somebody who waits for the grant of a Session that
    has ended.
    """

    phase = session.status.phase

    reason = (
        (condition.message or condition.reason) if condition else str(phase)
    )

    if phase == "Revoked":
        return ApiError(
            409, "revoked", f"the Session was revoked meanwhile: {reason}"
        )

    if phase == "Expired":
        return ApiError(
            409, "order_expired", f"the time of this order is over: {reason}"
        )

    if condition is not None and condition.reason == reasons.NEVER_GRANTED:
        return ApiError(503, "never_granted", reason)

    return ApiError(502, "session_failed", reason)


def _unavailable(
    code: str, device: Device, why: str, *, retry_after: float | None = None
) -> ApiError:
    return ApiError(
        503,
        code,
        f"the router {device.router_id} has not confirmed it ({why}); it goes on being tried",
        retry_after=retry_after,
        pending=True,
    )
