"""What a Session should be now: live until when, or ended and why. Pure: `session, clock, marker on the
router -> verdict`.

Rules A1 (re-opening), A5 (ends), A9 (clock), A11 (a marker on the router wins over a duration not yet
started).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from cerebro.resources import Session, reasons
from cerebro.resources.session import SessionType

# The marker is in whole seconds, rounded up.
_ROUNDING = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class GrantWindows:
    """How long after its creation or re-opening a Session without `grantBefore` may still be granted (rule A5)."""

    trial: timedelta = timedelta(minutes=15)
    paid: timedelta = timedelta(hours=24)

    @classmethod
    def of_seconds(cls, *, trial: float, paid: float) -> GrantWindows:
        """Return the windows that the settings of a process name, in seconds."""
        return cls(timedelta(seconds=trial), timedelta(seconds=paid))

    def within(self, session_type: SessionType) -> timedelta:
        """Return the window of a type of Session."""
        return self.trial if session_type == "Trial" else self.paid


@dataclass(frozen=True, slots=True)
class RouterObservation:
    """What is known from outside the object: the time, and what the router says.

    `marked_until` is the end in the marker of the client's rows (0: no such row, None: for ever), and
    `marked` tells whether the router could be read at all. `own_marker` says that no other Session explains
    that marker. `clock_trusted` is rule A9.
    """

    now: datetime
    marked: bool = False
    marked_until: int | None = 0
    own_marker: bool = True
    clock_trusted: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """`phase` None means: live (Pending or Active is for the router to say); `end` is when it ends, None:
    until revoked.

    `starts_now` is true for a duration that begins with the grant; `hold` for a live one that nothing new may
    be written for, with the reason. `wake_at` is when the verdict changes by the clock.
    """

    phase: Literal["Expired", "Revoked", "Failed"] | None
    end: datetime | None
    authorized_at: datetime | None
    reason: str = ""
    message: str = ""
    starts_now: bool = False
    hold: bool = False
    wake_at: datetime | None = None

    @property
    def live(self) -> bool:
        """Tell whether access is wanted."""
        return self.phase is None


def judge(session: Session, seen: RouterObservation, windows: GrantWindows) -> Verdict:
    """Say what the Session should be, from its spec, what its status recorded, the clock and the router's
    marker.
    """
    authorized_at, end, starts_now = _end(session, seen)
    recorded = session.status.phase
    passed = end is not None and end <= seen.now
    if session.spec.revoked and not (recorded == "Expired" and passed):
        return Verdict("Revoked", end, authorized_at, "Revoked", "spec.revoked is true")
    if passed and (seen.clock_trusted or recorded == "Expired"):
        return Verdict("Expired", end, authorized_at, "Expired", f"its time was over at {_say(end)}")
    failed = _failed(session, seen, windows, authorized_at)
    if failed is not None:
        return failed
    granted_before = authorized_at is not None
    if not seen.clock_trusted and not granted_before:
        reason = (
            "the agent's clock is too far from the API server's: nothing new is granted until it is right"
        )
        return Verdict(None, end, authorized_at, reasons.CLOCK_SKEW, reason, starts_now, hold=True)
    deadline = None if granted_before else grant_deadline(session, windows)
    return Verdict(None, end, authorized_at, starts_now=starts_now, wake_at=_first(end, deadline))


def _end(session: Session, seen: RouterObservation) -> tuple[datetime | None, datetime | None, bool]:
    """Return (authorizedAt, end, whether a duration would start with the grant)."""
    spec, status = session.spec, session.status
    if spec.expires_at is not None:
        return status.authorized_at, spec.expires_at, False
    if spec.duration is None:
        return status.authorized_at, None, False
    if status.authorized_at is not None:
        end = status.authorized_at + spec.duration
        if status.phase == "Expired" and status.expires_at is not None:
            end = min(end, status.expires_at)  # a duration re-opens nothing that expired (rule A1)
        return status.authorized_at, end, False
    adopted = _adopted(session, seen, spec.duration)
    if adopted is not None:
        return adopted - spec.duration, adopted, False
    return None, None, True


def _adopted(session: Session, seen: RouterObservation, duration: timedelta) -> datetime | None:
    """Return the end that the marker promises, if it is this Session's: an agent may have died between router
    and status.

    With `requestedAt` the marker must have been started after that; without (Git, a restore) an end that is
    still to come and not later than a fresh start would give is believed, so that no minute is gained or
    lost.
    """
    if not seen.marked or not seen.marked_until or not seen.own_marker:
        return None
    if seen.marked_until > (seen.now + duration + _ROUNDING).timestamp():
        return None  # not ours, and perhaps no time that a datetime can hold
    until = datetime.fromtimestamp(seen.marked_until, UTC)
    began = until - duration
    cause = session.spec.requested_at or session.metadata.creation_timestamp
    if cause is not None and began >= cause - _ROUNDING:
        return until
    return until if session.spec.requested_at is None and until > seen.now else None


def grant_deadline(session: Session, windows: GrantWindows) -> datetime | None:
    """Return until when the Session may be granted for the first time; None when it was never created."""
    if session.spec.grant_before is not None:
        return session.spec.grant_before
    within = windows.within(session.spec.type)
    started = session.status.reopened_at or session.metadata.creation_timestamp
    return None if started is None else started + within


def reopens(session: Session) -> bool:
    """Tell whether a Session whose end was recorded has been changed since, so that it is judged anew."""
    status = session.status
    ended = status.phase in ("Expired", "Revoked", "Failed")
    return ended and (status.observed_generation or 0) < session.metadata.generation


def _failed(
    session: Session, seen: RouterObservation, windows: GrantWindows, authorized_at: datetime | None
) -> Verdict | None:
    status = session.status
    again = reopens(session)
    if status.phase == "Failed" and not again:
        ready = status.condition("Ready")
        reason = ready.reason if ready is not None and ready.reason else reasons.NEVER_GRANTED
        message = ready.message if ready is not None else ""
        return Verdict("Failed", None, authorized_at, reason, message)
    fresh = again and session.spec.grant_before is None
    deadline = grant_deadline(session, windows)
    there = seen.marked and seen.marked_until != 0
    if authorized_at is not None or fresh or there or deadline is None or deadline > seen.now:
        return None
    if not seen.clock_trusted:
        return None
    return Verdict(
        "Failed", None, None, reasons.NEVER_GRANTED, f"it was not on the router by {_say(deadline)}"
    )


def _first(*times: datetime | None) -> datetime | None:
    return min((time for time in times if time is not None), default=None)


def _say(time: datetime | None) -> str:
    return "" if time is None else time.strftime("%Y-%m-%dT%H:%M:%SZ")


def end_of(session: Session) -> datetime | None:
    """When it ends by the clock; None when never, or not known before it is granted."""
    spec, status = session.spec, session.status
    if spec.expires_at is not None:
        return spec.expires_at
    if spec.duration is None:
        return None
    if status.expires_at is not None:
        return status.expires_at
    return status.authorized_at + spec.duration if status.authorized_at else None


def ended_by_clock(session: Session, now: datetime) -> bool:
    """Say whether its time is over."""
    end = end_of(session)
    return (end is not None and end <= now) or (
        session.status.phase == "Expired" and not session.spec.revoked and end is None
    )


def is_live(session: Session, now: datetime) -> bool:
    """Say whether it wants access now."""
    return not session.spec.revoked and not ended_by_clock(session, now) and session.status.phase != "Failed"


def is_finished(session: Session) -> bool:
    """Say whether its end is enforced, for the generation that it has now."""
    status = session.status
    return bool(status.finished) and (status.observed_generation or 0) >= session.metadata.generation


def cause_of(session: Session) -> datetime | None:
    """When the backend asked for it; for what a person made, when it was made."""
    return session.spec.requested_at or session.metadata.creation_timestamp


def is_over(session: Session) -> bool:
    """Tell whether a Session is finished for the spec that it has now; its end is on the router."""
    status = session.status
    return status.finished is True and (status.observed_generation or 0) >= session.metadata.generation
