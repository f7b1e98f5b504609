"""Decides what becomes of a call that wants a hotspot user (F8). Pure.

The user is a Session with `hotspotUser`; what stands in an order's place are
Device and user. A user that is there as wanted stays as it is; one that is
over is opened anew, with the end that this call names.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import CLOCK_WINDOW, Client, EnsureUser
from cerebro.bridge.orders.causes import (
    latest_after,
    noted_request,
    request_of,
    revoke_of,
)
from cerebro.bridge.orders.decide import (
    End,
    Known,
    expired,
    extension,
    name_collision,
    needs_new_chance,
    not_later,
    revoked_later,
    wire_end,
)
from cerebro.bridge.orders.writes import (
    Create,
    Keep,
    Write,
    create_write,
    patch_write,
)
from cerebro.bridge.secrets.names import have_same_content
from cerebro.domain.lifecycle import is_ours, session_facts
from cerebro.resources import (
    Device,
    Reference,
    Session,
    format_time,
    session_name,
)
from cerebro.resources.session import HotspotUser

_WITHOUT_END = {"expiresAt": None, "duration": None}


def name_of(namespace: str, device: Device, order_id: str) -> str:
    """Return the name of the Session of a hotspot user on a Device."""
    return session_name(namespace, device.name, "Paid", order_id)


def decide_user(namespace: str, wish: EnsureUser, known: Known) -> Write:
    """Return the write for a call that wants a hotspot user.

    Of `known`, `same` is the Session of that name, and `holder` one that
    somebody else made for the same user. Raises ApiError 409 with code
    user_not_ours, name_collision, revoked_later or order_expired.
    """
    if latest_after(wish.cause, known.revokes) is not None:
        raise revoked_later()

    if known.holder is not None:
        raise _not_ours(known.holder)

    same = known.same
    if same is None:
        return _create(namespace, wish, known)

    if not is_ours(same):
        raise _not_ours(same)

    if same.spec.order_id != wish.order_id:
        raise name_collision(same)

    return _renew(wish, same, known)


def uses_secret(write: Write, wish: EnsureUser) -> bool:
    """Return whether a Session names the Secret of a call, after a write that
    was decided for the call.
    """
    if isinstance(write, Keep):
        return secret_of(write.session) == wish.secret

    user = write.body["spec"].get("hotspotUser") or {}
    reference = user.get("passwordSecretRef") or {}

    return bool(reference.get("name") == wish.secret)


def secret_of(session: Session) -> str | None:
    """Return the name of the Secret with the password of a Session's user;
    None without one.
    """
    user = session.spec.hotspot_user
    if user is None or user.password_secret_ref is None:
        return None

    return user.password_secret_ref.name


def _create(namespace: str, wish: EnsureUser, known: Known) -> Create:
    _refuse_past(wish, known)

    return create_write(
        namespace,
        name_of(namespace, known.device, wish.order_id),
        known.device.name,
        Client(),
        trace_id=wish.trace_id,
        annotations=noted_request(wish.cause),
        type="Paid",
        order_id=wish.order_id,
        hotspot_user=_user(wish, wish.secret),
        requested_at=wish.requested_at,
        grant_before=known.now + known.windows.within("Paid"),
        **_end(wish, known),
    )


def _renew(wish: EnsureUser, session: Session, known: Known) -> Write:
    """Decide about a user that has a Session of ours: open it again, prolong
    it, change the user, or keep it.
    """
    spec, order = session.spec, wish.as_order
    request = request_of(session)

    # What was asked for before its last change says nothing about it.
    if spec.requested_at is not None and not_later(order, request):
        return Keep(session)

    _refuse_past(wish, known)
    facts = session_facts(session, known.now)
    changes: dict[str, Any] = {}
    if spec.revoked or facts.ended_by_clock:
        if spec.revoked and not_later(order, revoke_of(session)):
            raise revoked_later()

        changes |= _new_end(wish, known) | {"revoked": False}
    else:
        changes |= extension(order, session, facts)

    if not facts.live or needs_new_chance(session, known.now):
        deadline = known.now + known.windows.within("Paid")
        changes["grantBefore"] = format_time(deadline)

    user = _changed_user(wish, session, is_live=facts.live)
    if user is not None:
        changes["hotspotUser"] = user

    if not changes and not _is_long_after(
        wish.requested_at, spec.requested_at
    ):
        return Keep(session)

    changes["requestedAt"] = format_time(wish.requested_at)

    return patch_write(
        session,
        changes,
        trace_id=wish.trace_id,
        annotations=noted_request(wish.cause),
    )


def _is_long_after(asked_at: datetime, noted_at: datetime | None) -> bool:
    """Return whether it has to be noted that a user was asked for once more:
    within the clocks' window a revoke goes by its arrival (A4).
    """
    return noted_at is None or asked_at - noted_at > CLOCK_WINDOW


def _changed_user(
    wish: EnsureUser, session: Session, *, is_live: bool
) -> dict[str, Any] | None:
    """Return the patch that makes the user of a Session as it is wanted, under
    wire names; None if it is so.

    The Secret of a Session that is over may be gone.
    """
    user, secret = session.spec.hotspot_user, secret_of(session)
    is_kept = (
        is_live
        and secret is not None
        and have_same_content(secret, wish.secret)
    )
    if user is not None and is_kept and user.profile == wish.profile:
        return None

    wanted = secret if is_kept else wish.secret

    return {
        "name": wish.user,
        "profile": wish.profile,
        "passwordSecretRef": {"name": wanted},
    }


def _user(wish: EnsureUser, secret: str) -> HotspotUser:
    return HotspotUser(
        name=wish.user,
        profile=wish.profile,
        password_secret_ref=Reference(name=secret),
    )


def _refuse_past(wish: EnsureUser, known: Known) -> None:
    """Raise ApiError 409 `order_expired` for an end that has passed."""
    if wish.expires_at is not None and wish.expires_at <= known.now:
        raise expired()


def _end(wish: EnsureUser, known: Known) -> End:
    """Return the end that a call names, else the default one (A5)."""
    if wish.expires_at is not None:
        return {"expires_at": wish.expires_at}

    duration = wish.duration or known.default_paid

    return {} if duration is None else {"duration": duration}


def _new_end(wish: EnsureUser, known: Known) -> dict[str, Any]:
    """Return the end of a user that is opened anew, as a merge patch: a
    duration begins now, for the Session's own began with its first grant.
    """
    end = _end(wish, known)
    if "duration" in end:
        end = {"expires_at": known.now + end["duration"]}

    return wire_end(end) or dict(_WITHOUT_END)


def _not_ours(session: Session) -> ApiError:
    return ApiError(
        409,
        "user_not_ours",
        f"the Session {session.name}, which was not made over HTTP, has this user: change it there, or send "
        "another username",
    )
