"""Decides what becomes of an order: one write, or an error (A1, A2, A4, A10).
Pure.

Request, known Sessions, Device and time come in. Nothing is read or written
here, and no clock is asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Authorize, Cause, Client
from cerebro.bridge.orders.causes import (
    latest_after,
    noted_request,
    noted_revoke,
    request_of,
    revoke_of,
)
from cerebro.bridge.orders.writes import (
    Create,
    Keep,
    Write,
    create_write,
    moved_client,
    patch_write,
)
from cerebro.domain.lifecycle import (
    GrantWindows,
    SessionFacts,
    is_ours,
    session_facts,
)
from cerebro.resources import (
    Device,
    Session,
    format_duration,
    format_time,
    place_of_order,
    session_name,
    supersession_name,
)

End = dict[str, Any]
"""The end of a Session as fields of SessionSpec: `expires_at`, `duration`, or
neither (until revoked).
"""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known when an order is decided."""

    device: Device
    now: datetime
    same: Session | None = None
    """The object that has the order's name."""
    holder: Session | None = None
    """The Session that somebody else made for this order on this Device."""
    stand_in: Session | None = None
    """Our Session that supersedes the holder."""
    elsewhere: Session | None = None
    """The order's Session on another Device, ended or not."""
    revokes: tuple[Cause, ...] = ()
    """The revokes of this order or client in the bridge's own memory."""
    default_paid: timedelta | None = None
    """Duration of a Paid order that names no end; None: until revoked."""
    windows: GrantWindows = field(default_factory=GrantWindows)
    """How long a Session may wait for its grant; it becomes `grantBefore`."""


def order_name(
    namespace: str, device: Device, order: Authorize, client: Client
) -> str:
    """Return the name of the Session of an order, or of what stands in an
    order's place (A1).
    """
    place = order.order_id or place_of_order(
        session_id=order.session_id,
        client=client.key,
        requested_at=order.requested_at,
    )

    return session_name(namespace, device.name, order.type, place)


def decide(
    namespace: str, order: Authorize, client: Client, known: Known
) -> Write:
    """Return the write for an order whose client has an address.

    Raises ApiError 409 with code revoked_later, order_expired, trial_used or
    name_collision.
    """

    if latest_after(order.cause, known.revokes) is not None:
        raise revoked_later()

    # An object of the order's name may be ours, somebody else's, or of another
    # order.
    same, holder = known.same, known.holder
    if same is not None and same.spec.order_id != order.order_id:
        raise name_collision(same)

    if same is not None and not is_ours(same):
        same, holder = None, same

    ours = same or known.stand_in
    if ours is not None:
        return _renew(order, client, ours, known)

    if holder is not None:
        return _supersede(namespace, order, client, holder, known)

    name = order_name(namespace, known.device, order, client)
    source = known.elsewhere
    end = (
        _new_end(order, known)
        if source is None
        else _end_from(order, source, known)
    )

    return _create(namespace, name, order, client, known, end=end)


def is_open(order: Authorize, known: Known) -> bool:
    """Return whether an order has a live Session on this Device already, and
    asks for no more time: nothing is opened that was not open before.
    """
    session = known.stand_in or known.holder or known.same
    if session is None or session.spec.order_id != order.order_id:
        return False

    facts = session_facts(session, known.now)
    if not facts.live or needs_new_chance(session, known.now):
        return False

    return not extension(order, session, facts)


def overtaken(order: Authorize, known: Known) -> Write | None:
    """Return the write that ends the order's Session if a revoke was taken
    while it was being made; else None.

    Both may be carried out side by side if they name the client differently:
    then the revoke saw no Session, and the order saw no revoke.
    """

    ours = known.same or known.stand_in
    revoke = latest_after(order.cause, known.revokes)
    if ours is None or revoke is None:
        return None

    facts, request = session_facts(ours, known.now), request_of(ours)
    requested_since = request is not None and revoke.precedes(request)
    if requested_since or not facts.ours or not facts.live:
        return None

    return patch_write(
        ours,
        {"revoked": True, "revokedAt": format_time(revoke.asked_at)},
        trace_id=order.trace_id,
        annotations=noted_revoke(revoke),
    )


def _renew(
    order: Authorize, client: Client, session: Session, known: Known
) -> Write:
    """Decide about an order that has a Session of ours: open it again, prolong
    it, move it, or keep it.
    """

    spec, facts = session.spec, session_facts(session, known.now)
    changes: dict[str, Any] = {}

    # Its end: anew where it is over, else prolonged at most.
    revived = spec.revoked or facts.ended_by_clock
    if revived:
        if spec.revoked and not_later(order, revoke_of(session)):
            raise revoked_later()

        source = _source_of_end(session, known)
        changes |= wire_end(_end_from(order, source, known))
        changes["revoked"] = False
    else:
        changes |= extension(order, session, facts)

    # Its client: that of the latest request.
    is_latest = spec.requested_at is None or not not_later(
        order, request_of(session)
    )
    if is_latest or revived:
        moved = moved_client(session, client)
        if moved is not None:
            changes["client"] = moved

    if revived or needs_new_chance(session, known.now):
        changes["grantBefore"] = format_time(
            known.now + known.windows.within(order.type)
        )

    if is_latest:
        changes["requestedAt"] = format_time(order.requested_at)

    if not changes:
        return Keep(session)

    return patch_write(
        session,
        changes,
        trace_id=order.trace_id,
        annotations=noted_request(order.cause) if is_latest else None,
    )


def _source_of_end(session: Session, known: Known) -> Session:
    """Return the Session whose rest of time an order takes over: the live one
    elsewhere, for it moves back (A2).
    """
    elsewhere = known.elsewhere
    if elsewhere is not None and session_facts(elsewhere, known.now).live:
        return elsewhere

    return session


def _supersede(
    namespace: str,
    order: Authorize,
    client: Client,
    holder: Session,
    known: Known,
) -> Write:
    """Decide about an order whose Session somebody else made: that one is
    never changed (A10).
    """

    is_live = session_facts(holder, known.now).live
    if is_live and moved_client(holder, client) is None:
        return Keep(holder)

    if holder.spec.revoked and not_later(order, revoke_of(holder)):
        raise revoked_later()

    name = supersession_name(
        namespace, known.device.name, order.type, holder.name
    )

    end = _end_from(order, holder, known)

    return _create(
        namespace, name, order, client, known, end=end, supersedes=holder.name
    )


def _create(
    namespace: str,
    name: str,
    order: Authorize,
    client: Client,
    known: Known,
    *,
    end: End,
    supersedes: str | None = None,
) -> Create:
    expires_at = end.get("expires_at")
    if expires_at is not None and expires_at <= known.now:
        raise expired()

    return create_write(
        namespace,
        name,
        known.device.name,
        client,
        trace_id=order.trace_id,
        annotations=noted_request(order.cause),
        supersedes=supersedes,
        type=order.type,
        order_id=order.order_id,
        requested_at=order.requested_at,
        grant_before=known.now + known.windows.within(order.type),
        **end,
    )


def _new_end(order: Authorize, known: Known) -> End:
    """Return the end of an order that has no Session yet (A5)."""
    if order.expires_at is not None:
        return {"expires_at": order.expires_at}

    duration = order.duration
    if duration is None and order.type == "Paid":
        duration = known.default_paid

    return {"duration": duration} if duration is not None else {}


def _end_from(order: Authorize, source: Session, known: Known) -> End:
    """Return the end with which an order goes on that had this Session: what
    is left of it, never more.

    What expired by the clock needs a later instant. A Trial is never opened
    twice. A record of a revoke that came before its order had no end yet.
    """

    facts = session_facts(source, known.now)
    never_granted = _was_never_granted(source, known)

    used_up = source.spec.revoked and not never_granted
    if order.type == "Trial" and (facts.ended_by_clock or used_up):
        raise _trial_used()

    if source.spec.revoked and not_later(order, revoke_of(source)):
        raise revoked_later()

    if facts.ended_by_clock:
        return _later_end(order, facts.ends_at)

    if facts.ends_at is not None:
        return {"expires_at": facts.ends_at}

    if source.spec.duration is not None:
        return {"duration": source.spec.duration}

    return _new_end(order, known) if never_granted else {}


def _was_never_granted(source: Session, known: Known) -> bool:
    """Return whether neither a Session nor the one that it supersedes was ever
    on a router.
    """
    if source.status.authorized_at is not None:
        return False

    return known.holder is None or known.holder.status.authorized_at is None


def _later_end(order: Authorize, ended_at: datetime | None) -> End:
    """Return the end that an order names for a Session whose time is over; it
    must be later than that one's.
    """
    if order.expires_at is None:
        raise expired()

    if ended_at is not None and order.expires_at <= ended_at:
        raise expired()

    return {"expires_at": order.expires_at}


def extension(
    order: Authorize, session: Session, facts: SessionFacts
) -> dict[str, Any]:
    """Return the later end that a Paid order names while its Session lives; a
    duration never prolongs.
    """
    if order.type == "Trial" or order.expires_at is None:
        return {}

    if facts.ends_at is None or order.expires_at <= facts.ends_at:
        return {}

    is_requested = session.spec.requested_at is not None
    if is_requested and not_later(order, request_of(session)):
        return {}

    return wire_end({"expires_at": order.expires_at})


def needs_new_chance(session: Session, now: datetime) -> bool:
    """Return whether a Session failed, or would: nobody granted it within its
    time.
    """
    if session.status.phase == "Failed":
        return True

    deadline = session.spec.grant_before
    is_late = deadline is not None and deadline <= now

    return is_late and session.status.authorized_at is None


def wire_end(end: End) -> dict[str, Any]:
    """Return an end under wire names, as a merge patch that also takes the
    former end away.
    """
    expires_at, duration = end.get("expires_at"), end.get("duration")
    if expires_at is not None:
        return {"expiresAt": format_time(expires_at), "duration": None}

    if duration is not None:
        return {"expiresAt": None, "duration": format_duration(duration)}

    return {}


def not_later(order: Authorize, cause: Cause | None) -> bool:
    """Return whether an order came before a cause, or is that cause (False
    without one).
    """
    return cause is not None and not cause.precedes(order.cause)


def expired() -> ApiError:
    """Return the error for an order whose time is over."""
    return ApiError(
        409,
        "order_expired",
        "the time of this order is over: send an expiresAt that is later than its recorded end",
    )


def revoked_later() -> ApiError:
    """Return the error for an order that a later revoke has ended (A4)."""
    return ApiError(
        409,
        "revoked_later",
        "this order was revoked after it was asked for: it opens nothing",
    )


def _trial_used() -> ApiError:
    return ApiError(
        409, "trial_used", "this trial was used: a trial is never opened twice"
    )


def name_collision(session: Session) -> ApiError:
    """Return the error for a name that another order's Session has (A1)."""
    return ApiError(
        409,
        "name_collision",
        f"the Session {session.name} belongs to another order; it is not used for this one",
    )
