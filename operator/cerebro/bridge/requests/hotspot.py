"""Reads the requests of `/relay/hotspot/*`: orders and revokes of clients that
name a session of their own instead of an order, and hotspot users. Pure.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cerebro.bridge.errors import ApiError, invalid
from cerebro.bridge.intents import Authorize, Revoke
from cerebro.bridge.requests import orders
from cerebro.bridge.requests.fields import (
    Fields,
    mik_id,
    read_client,
    read_moment,
    read_token,
    text,
)

MAX_USER_TEXT = 64
"""Characters of a hotspot user's name, password or profile."""
USER_TEXT = r"[A-Za-z0-9._:@-]+"
"""What they are made of."""

_DIGITS_OF_TOKEN = 16


@dataclass(frozen=True, slots=True)
class UserRequest:
    """A hotspot user as a caller wants it."""

    mik_id: str | None
    """The router as the caller wrote it; None if the bridge has to find it."""

    token: str | None
    """The portal's device token."""

    user: str
    """The user's name."""

    profile: str | None
    password: str | None = field(repr=False)
    """The password; None if the bridge makes it."""

    expires_at: datetime | None
    duration: timedelta | None
    requested_at: datetime
    trace_id: str


def authorize(
    fields: Fields,
    requested_at: datetime,
    trace_id: str,
    *,
    trial_minutes: float,
) -> Authorize:
    """Read an order: `pedidoId`, else the caller's `sessionId` in its place.

    Raises ApiError 400 that names the field, `missing_sessionId` without
    either.
    """
    order = orders.authorize(
        fields, requested_at, trace_id, trial_minutes=trial_minutes
    )
    if order.order_id is not None:
        return order

    if order.session_id is None:
        raise ApiError(
            400,
            "missing_sessionId",
            "sessionId required, or pedidoId: the access is known by it",
        )

    place = orders.session_order(order.session_id)

    return order.model_copy(update={"order_id": place})


def ensure_user(
    fields: Fields, requested_at: datetime, trace_id: str
) -> UserRequest:
    """Read which hotspot user a caller wants: `username`, else that of the
    device token.

    Raises ApiError 400 that names the field.
    """
    token = read_token(fields)
    user = user_name(fields) or (user_of_token(token) if token else None)
    if user is None:
        raise invalid("username required, or token: the user is known by it")

    expires_at = read_moment(fields, "expiresAt")
    duration = None
    if expires_at is None:
        duration = orders.order_length(fields, "Paid")

    return UserRequest(
        mik_id=mik_id(fields),
        token=token,
        user=user,
        profile=_user_text(fields, "profile"),
        password=_user_text(fields, "password"),
        expires_at=expires_at,
        duration=duration,
        requested_at=requested_at,
        trace_id=trace_id,
    )


def user_name(fields: Fields) -> str | None:
    """Return the name of a hotspot user, None if none is named.

    Raises ApiError 400.
    """
    return _user_text(fields, "username")


def user_of_token(token: str) -> str:
    """Return the name of the user of a device token: `u-` and the first 16 hex
    of its SHA-256. Who knows the token may ask for access, so the router does
    not show it.
    """
    digest = hashlib.sha256(token.encode("utf-8", "surrogatepass"))

    return f"u-{digest.hexdigest()[:_DIGITS_OF_TOKEN]}"


def _user_text(fields: Fields, name: str) -> str | None:
    """Return a text that a user is made of, as it was sent: a password is not
    trimmed.
    """
    value = fields.get(name)
    if value is None or value == "":
        return None

    if not isinstance(value, str):
        raise invalid(f"{name} must be string")

    if len(value) > MAX_USER_TEXT:
        raise invalid(f"{name} must have at most {MAX_USER_TEXT} characters")

    if re.fullmatch(USER_TEXT, value) is None:
        raise invalid(
            f"{name} may have the letters A to Z and a to z, digits, and . _ : @ -"
        )

    return value


def names_user_alone(fields: Fields) -> bool:
    """Return whether a revoke names its hotspot user, and nothing that says
    more.
    """
    stronger = ("pedidoId", "orderCode", "sessionId")
    is_named = any(
        text(fields, name, limit=orders.MAX_ID) for name in stronger
    )

    return not is_named and user_name(fields) is not None


def revoke(
    fields: Fields,
    requested_at: datetime,
    trace_id: str,
    *,
    is_known: Callable[[str], bool],
) -> Revoke:
    """Read a revoke: of `pedidoId`, else of the caller's `sessionId` if access
    was given under it, else of the client.

    `is_known` returns whether access was given for an order. A dashboard sends
    the id of its own record as `sessionId`, under which it never asked for
    access: then address and MAC count.

    Raises ApiError 400 that names the field.
    """
    session_id = text(fields, "sessionId", limit=orders.MAX_ID)
    if session_id is None or text(fields, "pedidoId", limit=orders.MAX_ID):
        return orders.revoke(fields, requested_at, trace_id)

    place = orders.session_order(session_id)
    if read_client(fields) and not is_known(place):
        return orders.revoke(fields, requested_at, trace_id)

    return orders.revoke({**fields, "pedidoId": place}, requested_at, trace_id)
