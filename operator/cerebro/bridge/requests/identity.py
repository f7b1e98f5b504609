"""Reads the requests about a customer's identity, the `sid` of a portal. Pure.

To the bridge a sid is a device token: what a hello brings for it counts here,
and what a refresh brings counts there (A6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Client
from cerebro.bridge.requests.fields import (
    MAX_TEXT,
    MAX_TOKEN,
    Fields,
    mik_id,
    read_client,
    text,
)


@dataclass(frozen=True, slots=True)
class Refresh:
    """A portal sees a customer, and asks for the access that was paid."""

    sid: str

    client: Client
    """The phone, as far as the request says."""

    routers: tuple[str, ...]
    """The router's identifiers in the request, the better first."""

    requested_at: datetime

    trace_id: str


def refresh(fields: Fields, requested_at: datetime, trace_id: str) -> Refresh:
    """Read a refresh.

    Raises ApiError 400 that names the field.
    """
    named = (text(fields, "routerHint"), mik_id(fields))

    return Refresh(
        sid=sid_of(fields),
        client=read_client(fields),
        routers=tuple(router for router in named if router is not None),
        requested_at=requested_at,
        trace_id=trace_id,
    )


def sid_of(fields: Mapping[str, object], *names: str) -> str:
    """Return the customer's identity, from the first of these fields that has
    it: `sid` unless others are named.

    Raises ApiError 400 `missing_sid`.
    """
    values = [
        text(fields, name, limit=MAX_TOKEN if name == "sid" else MAX_TEXT)
        for name in names or ("sid",)
    ]

    for sid in values:
        if sid is not None:
            return sid

    raise ApiError(
        400, "missing_sid", "sid required: the portal's name for the customer"
    )
