"""What becomes of an order: request, known Sessions, Device and time in; one write or an error out. Pure
(A1, A2, A4, A10)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Authorize, Client
from cerebro.bridge.orders.writes import Create, Keep, Write, create_write, moved_client, patch_write
from cerebro.domain.lifecycle import GrantWindows, cause_of, end_of, ended_by_clock, is_live
from cerebro.domain.supersession import is_ours
from cerebro.resources import (
    Device,
    Session,
    format_duration,
    format_time,
    place_of_order,
    session_name,
    supersession_name,
)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known when an order is decided.

    `same` is the object that has the order's name, `holder` one that somebody else made for this order
    here, `stand_in` ours that supersedes the holder, `elsewhere` the order's Session on another Device,
    ended or not. `revoked_at` is the latest revoke of this order or client in the bridge's own memory.
    `windows` says how long a Session may wait for its grant; it becomes `grantBefore`.
    """

    device: Device
    now: datetime
    same: Session | None = None
    holder: Session | None = None
    stand_in: Session | None = None
    elsewhere: Session | None = None
    revoked_at: datetime | None = None
    default_paid: timedelta | None = None
    windows: GrantWindows = field(default_factory=GrantWindows)


def order_name(namespace: str, device: Device, order: Authorize, client: Client) -> str:
    """Name the Session of an order, or of what stands in an order's place (A1)."""
    place = order.order_id or place_of_order(
        session_id=order.session_id, client=client.key, requested_at=order.requested_at
    )
    return session_name(namespace, device.name, order.type, place)


def decide(namespace: str, order: Authorize, client: Client, known: Known) -> Write:
    """Decide about an order for a client that has an address.

    Raises ApiError 409 with code revoked_later, order_expired, trial_used or name_collision.
    """
    if known.revoked_at is not None and order.requested_at <= known.revoked_at:
        raise _revoked_later()
    same, holder = known.same, known.holder
    if same is not None and same.spec.order_id != order.order_id:
        raise ApiError(
            409,
            "name_collision",
            f"the Session {same.name} belongs to another order; it is not used for this one",
        )
    if same is not None and not is_ours(same):
        same, holder = None, same
    mine = same or known.stand_in
    if mine is not None:
        return _again(order, client, mine, known)
    if holder is not None:
        return _beside(namespace, order, client, holder, known)
    name = order_name(namespace, known.device, order, client)
    source = known.elsewhere
    end = _end_from(order, source, known) if source is not None else _new_end(order, known)
    return _create(namespace, name, order, client, known, end=end)


def overtaken(order: Authorize, known: Known) -> Write | None:
    """Give the write that ends the order's Session where a revoke was taken while it was being made; else None.

    Both may be carried out side by side when they name the client differently: then the revoke saw no
    Session, and the order saw no revoke.
    """
    mine, revoked_at = known.same or known.stand_in, known.revoked_at
    if mine is None or revoked_at is None or order.requested_at > revoked_at:
        return None
    cause = cause_of(mine)
    asked_since = cause is not None and cause > revoked_at
    if asked_since or not is_ours(mine) or not is_live(mine, known.now):
        return None
    changes = {"revoked": True, "revokedAt": format_time(revoked_at)}
    return patch_write(mine, changes, trace_id=order.trace_id)


def _again(order: Authorize, client: Client, session: Session, known: Known) -> Write:
    """Decide about an order whose Session of ours exists."""
    spec, now = session.spec, known.now
    changes: dict[str, Any] = {}
    moving_back = known.elsewhere is not None and is_live(known.elsewhere, now)
    revived = spec.revoked or ended_by_clock(session, now)
    if revived:
        source = known.elsewhere if moving_back and known.elsewhere is not None else session
        if spec.revoked and _not_later(order, spec.revoked_at):
            raise _revoked_later()
        changes |= _wire_end(_end_from(order, source, known))
        changes["revoked"] = False
    else:
        changes |= _extension(order, session)
    later = spec.requested_at is None or order.requested_at > spec.requested_at
    if later or revived:
        moved = moved_client(session, client)
        if moved is not None:
            changes["client"] = moved
    if revived or _needs_new_chance(session, now):
        changes["grantBefore"] = format_time(now + known.windows.within(order.type))
    if later:
        changes["requestedAt"] = format_time(order.requested_at)
    if not changes:
        return Keep(session)
    return patch_write(session, changes, trace_id=order.trace_id)


def _beside(namespace: str, order: Authorize, client: Client, holder: Session, known: Known) -> Write:
    """Decide about an order whose Session somebody else made: that one is never changed (A10)."""
    if is_live(holder, known.now) and moved_client(holder, client) is None:
        return Keep(holder)
    if holder.spec.revoked and _not_later(order, holder.spec.revoked_at):
        raise _revoked_later()
    name = supersession_name(namespace, known.device.name, order.type, holder.name)
    end = _end_from(order, holder, known)
    return _create(namespace, name, order, client, known, end=end, supersedes=holder.name)


def _create(
    namespace: str,
    name: str,
    order: Authorize,
    client: Client,
    known: Known,
    *,
    end: dict[str, Any],
    supersedes: str | None = None,
) -> Create:
    if end.get("expires_at") is not None and end["expires_at"] <= known.now:
        raise _expired()
    return create_write(
        namespace,
        name,
        known.device.name,
        client,
        trace_id=order.trace_id,
        supersedes=supersedes,
        type=order.type,
        order_id=order.order_id,
        requested_at=order.requested_at,
        grant_before=known.now + known.windows.within(order.type),
        **end,
    )


def _new_end(order: Authorize, known: Known) -> dict[str, Any]:
    """Give the end of an order that has no Session yet (A5)."""
    if order.expires_at is not None:
        return {"expires_at": order.expires_at}
    duration = order.duration or (known.default_paid if order.type == "Paid" else None)
    return {"duration": duration} if duration is not None else {}


def _end_from(order: Authorize, source: Session, known: Known) -> dict[str, Any]:
    """Give the end with which an order goes on that had this Session: what was left, never more.

    What expired by the clock needs a later instant; a Trial is never opened twice; a record of a revoke
    that came before its order had no end yet.
    """
    stood_for = known.holder.status.authorized_at if known.holder is not None else None
    never_granted = source.status.authorized_at is None and stood_for is None
    over = ended_by_clock(source, known.now)
    if order.type == "Trial" and (over or (source.spec.revoked and not never_granted)):
        raise ApiError(409, "trial_used", "this trial was used: a trial is never opened twice")
    if source.spec.revoked and _not_later(order, source.spec.revoked_at):
        raise _revoked_later()
    end = end_of(source)
    if over:
        if order.expires_at is None or (end is not None and order.expires_at <= end):
            raise _expired()
        return {"expires_at": order.expires_at}
    if end is not None:
        return {"expires_at": end}
    if source.spec.duration is not None:
        return {"duration": source.spec.duration}
    return _new_end(order, known) if never_granted else {}


def _extension(order: Authorize, session: Session) -> dict[str, Any]:
    """Give the later end that a paid order names while its Session lives; a duration never prolongs."""
    end = end_of(session)
    if order.type == "Trial" or order.expires_at is None or end is None or order.expires_at <= end:
        return {}
    if _not_later(order, session.spec.requested_at):
        return {}
    return _wire_end({"expires_at": order.expires_at})


def _needs_new_chance(session: Session, now: datetime) -> bool:
    """Say whether it failed, or would: nobody granted it within its time."""
    late = session.spec.grant_before is not None and session.spec.grant_before <= now
    return session.status.phase == "Failed" or (session.status.authorized_at is None and late)


def _wire_end(end: dict[str, Any]) -> dict[str, Any]:
    if end.get("expires_at") is not None:
        return {"expiresAt": format_time(end["expires_at"]), "duration": None}
    if end.get("duration") is not None:
        return {"expiresAt": None, "duration": format_duration(end["duration"])}
    return {}


def _not_later(order: Authorize, moment: datetime | None) -> bool:
    return moment is not None and order.requested_at <= moment


def _expired() -> ApiError:
    return ApiError(
        409,
        "order_expired",
        "the time of this order is over: send an expiresAt that is later than its recorded end",
    )


def _revoked_later() -> ApiError:
    return ApiError(409, "revoked_later", "this order was revoked after it was asked for: it opens nothing")
