"""Reads the requests of `/relay/hotspot/*`: orders and revokes of clients that
name a session of their own instead of an order. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Authorize, Revoke
from cerebro.bridge.requests import orders
from cerebro.bridge.requests.fields import Fields, read_client, text


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
