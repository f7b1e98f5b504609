"""Reads requests about a phone. Pure."""

from __future__ import annotations

from datetime import datetime

from cerebro.bridge.errors import invalid
from cerebro.bridge.intents import Hello
from cerebro.bridge.requests.fields import (
    Fields,
    mik_id,
    printable,
    read_client,
    read_token,
)

_MAX_USER_AGENT = 512


def hello(
    fields: Fields, requested_at: datetime, trace_id: str, new_token: str
) -> Hello:
    """Read the body of a hello; `new_token` is for a phone that came without a
    token.

    Raises ApiError 400 that names the field.
    """

    client = read_client(fields)
    if client.ip is None:
        raise invalid("ip required")

    if client.mac is None:
        raise invalid("mac required")

    router = mik_id(fields)
    if router is None:
        raise invalid("mikId required")

    sent_agent = fields.get("userAgent")
    user_agent = (
        printable(sent_agent)[:_MAX_USER_AGENT]
        if isinstance(sent_agent, str)
        else None
    )

    return Hello(
        mik_id=router,
        token=read_token(fields) or new_token,
        client=client,
        requested_at=requested_at,
        trace_id=trace_id,
        user_agent=user_agent,
    )
