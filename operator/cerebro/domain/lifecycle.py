"""The life of a Session: when it ends, whether it is live, until when it may
be granted. Pure.

The one place that decides this. `session_facts` answers it from the object and
the clock alone; bridge and operator read that. `judge` also takes what the
router shows, as only the agent can: `Session, clock, marker on the router ->
verdict`.

Rules A1 (re-opening), A5 (ends), A9 (clock), A11 (a marker on the router wins
over a duration not yet started).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from cerebro.resources import Session, reasons
from cerebro.resources.naming import came_over_http
from cerebro.resources.session import SessionType

LATEST = datetime.max.replace(tzinfo=UTC)
"""The last instant that a datetime can hold: what lies beyond it counts as
never reached.
"""

# The marker is in whole seconds, rounded up.
_ROUNDING = timedelta(seconds=2)

_ENDED_PHASES = ("Expired", "Revoked", "Failed")


@dataclass(frozen=True, slots=True)
class GrantWindows:
    """How long after its creation or re-opening a Session without
    `grantBefore` may still be granted (rule A5).
    """

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
class SessionFacts:
    """What follows from a Session and the clock, without a look at its router."""

    ours: bool
    """Whether the bridge made it; it changes no other one (rule A10)."""
    cause: datetime | None
    """When the backend asked for it; of one that a person made, when it was
    made.
    """
    current: bool
    """Whether its status was made from the spec that it has now."""
    finished: bool
    """Whether its end is enforced on the router, for the spec that it has now.
    """
    reopened: bool
    """Whether it was changed after its end was recorded, so that it is judged
    anew.
    """
    ends_at: datetime | None
    """When it ends by the clock; None: never, or not known before it is
    granted.
    """
    ended_as: Literal["Revoked", "Expired"] | None
    """How it ended by its own terms, also without a router; None: it did not.
    """
    ended_by_clock: bool
    """Whether its time is over, revoked or not."""
    live: bool
    """Whether it wants access now."""


def session_facts(session: Session, now: datetime) -> SessionFacts:
    """Return what holds of a Session at `now` (aware).

    A Session in whose place another one stands is taken as it is: see
    `supersession`.
    """

    spec, phase = session.spec, session.status.phase
    ends_at = recorded_end(session)
    reopened = reopens(session)

    # An Expired phase without an end tells of another Session's end that this
    # one had (see `recorded_end`).
    passed = ends_at is not None and ends_at <= now
    ended_by_clock = passed or (
        phase == "Expired" and ends_at is None and not spec.revoked
    )

    # What was over by the clock when it was revoked stays Expired.
    ended_as: Literal["Revoked", "Expired"] | None = None
    if spec.revoked and not (phase == "Expired" and passed):
        ended_as = "Revoked"
    elif ended_by_clock:
        ended_as = "Expired"

    failed = phase == "Failed" and not reopened

    return SessionFacts(
        ours=is_ours(session),
        cause=cause_of(session),
        current=is_current(session),
        finished=is_finished(session),
        reopened=reopened,
        ends_at=ends_at,
        ended_as=ended_as,
        ended_by_clock=ended_by_clock,
        live=ended_as is None and not failed,
    )


def is_ours(session: Session) -> bool:
    """Return whether the bridge made a Session; what others made it never
    changes (rule A10).
    """
    return came_over_http(session)


def cause_of(session: Session) -> datetime | None:
    """Return when the backend asked for a Session; of one that a person made,
    when it was made.
    """
    return session.spec.requested_at or session.metadata.creation_timestamp


def is_current(session: Session) -> bool:
    """Return whether the status of a Session was made from the spec that it
    has now.

    `metadata.generation` counts the changes of the spec;
    `status.observedGeneration` is the one that the writer of the status saw. A
    Session without a status is not current.
    """
    return session.status.observed_generation >= session.metadata.generation


def is_finished(session: Session) -> bool:
    """Return whether the end of a Session is enforced on the router, for the
    spec that it has now.
    """
    return session.status.finished is True and is_current(session)


def reopens(session: Session) -> bool:
    """Return whether a Session was changed after its end was recorded, so that
    it is judged anew (rule A1).

    That may give it access: `revoked` taken back, a later end, or a new chance
    for one that failed.
    """
    return session.status.phase in _ENDED_PHASES and not is_current(session)


def recorded_end(session: Session) -> datetime | None:
    """Return when a Session ends by the clock, as far as spec and status tell;
    None: never, or not known yet.

    `status.expiresAt` counts before a duration, and where the spec names no
    end at all. For the agent also records there the end that a superseding
    Session gives (rule A10), of which this spec knows nothing.
    """
    spec, recorded = session.spec, session.status.expires_at
    if spec.expires_at is not None:
        return spec.expires_at

    if spec.duration is None:
        # Until the agent has seen that an end was taken out of the spec, its
        # old record means nothing.
        return recorded if is_current(session) else None

    return recorded or _end_by_spec(session)


def grant_deadline(
    session: Session, windows: GrantWindows, now: datetime
) -> datetime | None:
    """Return until when a Session may be granted for the first time (rule A5);
    None: without a limit.

    It is `spec.grantBefore`, else the window of its type after its creation;
    for one that was opened again, after that was noticed. `now` is when a
    change that no status has noted yet is noticed.
    """
    if session.spec.grant_before is not None:
        return session.spec.grant_before

    reopened_at = now if reopens(session) else session.status.reopened_at
    started = reopened_at or session.metadata.creation_timestamp

    return (
        None
        if started is None
        else later(started, windows.within(session.spec.type))
    )


def later(moment: datetime, span: timedelta) -> datetime:
    """Return the time that is so much later; LATEST where no datetime can hold
    it.
    """
    try:
        return moment + span
    except OverflowError:
        return LATEST


def _end_by_spec(session: Session) -> datetime | None:
    """Return the end that the spec gives; None: never, or the duration of a
    Session that was not granted yet.
    """
    spec, authorized_at = session.spec, session.status.authorized_at
    if spec.expires_at is not None:
        return spec.expires_at

    if spec.duration is None or authorized_at is None:
        return None

    return later(authorized_at, spec.duration)


@dataclass(frozen=True, slots=True)
class RouterObservation:
    """What is known from outside the object: the time, and what the router
    shows.
    """

    now: datetime
    marked: bool = False
    """Whether the router could be read."""
    marked_until: int | None = 0
    """End in the marker of the client's rows, in Unix seconds; 0: no such row,
    None: for ever.
    """
    own_marker: bool = True
    """Whether no other Session explains that marker."""
    clock_trusted: bool = True
    """Whether our clock is near enough to the API server's (rule A9)."""

    @property
    def has_rows(self) -> bool:
        """Whether the router has marked rows of the client."""
        return self.marked and self.marked_until != 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a Session should be now."""

    phase: Literal["Expired", "Revoked", "Failed"] | None
    """How it ended; None: it is live, and whether Pending or Active is for the
    router to say.
    """
    end: datetime | None
    """When it ends; None: until revoked, or not known before the grant."""
    authorized_at: datetime | None
    """When access was first on the router."""
    reason: str = ""
    message: str = ""
    starts_now: bool = False
    """Whether its duration begins with the grant."""
    hold: bool = False
    """Whether nothing new may be written for it although it is live; `reason`
    says why.
    """
    wake_at: datetime | None = None
    """When the clock changes this verdict."""

    @property
    def live(self) -> bool:
        """Whether access is wanted."""
        return self.phase is None


def judge(
    session: Session, seen: RouterObservation, windows: GrantWindows
) -> Verdict:
    """Return what a Session should be, from its spec, its recorded status, the
    clock and the router's marker.

    `session` is the Session as it counts, with client and end of one that
    stands in its place (rule A10).
    """

    authorized_at, end, starts_now = _end(session, seen)
    was_expired = session.status.phase == "Expired"
    passed = end is not None and end <= seen.now

    # Its end by its own terms. A clock that is not trusted ends nothing that
    # was not ended before (rule A9).
    if session.spec.revoked and not (was_expired and passed):
        return Verdict(
            "Revoked", end, authorized_at, "Revoked", "spec.revoked is true"
        )

    if passed and (seen.clock_trusted or was_expired):
        return Verdict(
            "Expired",
            end,
            authorized_at,
            "Expired",
            f"its time was over at {_utc_text(end)}",
        )

    # It failed before, or fails now.
    if session.status.phase == "Failed" and not reopens(session):
        return _still_failed(session, authorized_at)

    deadline = (
        grant_deadline(session, windows, seen.now)
        if authorized_at is None
        else None
    )
    if deadline is not None and _is_too_late(deadline, seen):
        message = f"it was not on the router by {_utc_text(deadline)}"
        return Verdict("Failed", None, None, reasons.NEVER_GRANTED, message)

    # It is live.
    if not seen.clock_trusted and authorized_at is None:
        message = "the agent's clock is too far from the API server's: nothing new is granted until it is right"
        return Verdict(
            None,
            end,
            authorized_at,
            reasons.CLOCK_SKEW,
            message,
            starts_now,
            hold=True,
        )

    return Verdict(
        None,
        end,
        authorized_at,
        starts_now=starts_now,
        wake_at=_first(end, deadline),
    )


def _end(
    session: Session, seen: RouterObservation
) -> tuple[datetime | None, datetime | None, bool]:
    """Return (authorizedAt, end, whether a duration would start with the
    grant).

    Unlike `recorded_end` this goes by the spec alone: `status.expiresAt` is
    what an earlier pass made of it, and a superseding Session may have changed
    since.
    """

    spec, status = session.spec, session.status
    end = _end_by_spec(session)
    if spec.expires_at is not None or spec.duration is None:
        return status.authorized_at, end, False

    if end is not None:
        if status.phase == "Expired" and status.expires_at is not None:
            end = min(
                end, status.expires_at
            )  # a duration re-opens nothing that expired (rule A1)

        return status.authorized_at, end, False

    adopted = _adopted(session, seen, spec.duration)
    if adopted is not None:
        return adopted - spec.duration, adopted, False

    return None, None, True


def _adopted(
    session: Session, seen: RouterObservation, duration: timedelta
) -> datetime | None:
    """Return the end that the router's marker promises, if it is this
    Session's; else None.

    An agent may have died between router and status. With `requestedAt` the
    marker must have been started after that. Without it (Git, a restore) a
    marker counts if its end is still to come and not later than a fresh start
    would give, so that no minute is gained or lost (rule A11).
    """

    if not seen.marked or not seen.marked_until or not seen.own_marker:
        return None

    if seen.marked_until > (seen.now + duration + _ROUNDING).timestamp():
        return None  # not ours, and perhaps no time that a datetime can hold

    until = datetime.fromtimestamp(seen.marked_until, UTC)
    began = until - duration
    cause = cause_of(session)
    if cause is not None and began >= cause - _ROUNDING:
        return until

    if session.spec.requested_at is None and until > seen.now:
        return until

    return None


def _still_failed(session: Session, authorized_at: datetime | None) -> Verdict:
    """Return the verdict on a Session that failed and was not changed since:
    with the reason that it has.
    """
    ready = session.status.condition("Ready")
    if ready is None:
        return Verdict(
            "Failed", None, authorized_at, reasons.NEVER_GRANTED, ""
        )

    return Verdict(
        "Failed",
        None,
        authorized_at,
        ready.reason or reasons.NEVER_GRANTED,
        ready.message,
    )


def _is_too_late(deadline: datetime, seen: RouterObservation) -> bool:
    """Return whether a Session that was never granted has failed; rows on the
    router show that it was granted.
    """
    return deadline <= seen.now and seen.clock_trusted and not seen.has_rows


def _first(*times: datetime | None) -> datetime | None:
    return min((time for time in times if time is not None), default=None)


def _utc_text(time: datetime | None) -> str:
    return "" if time is None else time.strftime("%Y-%m-%dT%H:%M:%SZ")
