"""What is kept on Redis, as text: pure, and equal for equal things."""

from __future__ import annotations

import json

from cerebro.bridge.intents import (
    Authorize,
    Client,
    Intent,
    dump,
    lane_of,
    load,
)
from cerebro.bridge.store.base import TokenLocation


def entry_value(
    intent: Intent, located: TokenLocation | None, now: int
) -> str:
    """Return the text of an entry: when it came, its lane, and the intent."""
    lane = lane_of(intent, located.client if located else None)

    return json.dumps([now, lane, dump(intent)], ensure_ascii=False)


def read_intent(text: str) -> Intent | None:
    """Return a stored intent, None if this release cannot read it."""
    try:
        return load(text)
    except ValueError:
        return None


def place_value(place: TokenLocation) -> str:
    """Return the text of a token's place; equal places have equal texts."""
    client = place.client

    return json.dumps(
        [place.mik_id, client.mac, client.ip, place.said_at],
        ensure_ascii=False,
    )


def location(value: str) -> TokenLocation:
    """Return the place that `place_value` wrote."""
    mik_id, mac, ip, said_at = json.loads(value)

    return TokenLocation(mik_id, Client(mac=mac, ip=ip), said_at)


def waiting_value(order: Authorize, expires_at: int) -> str:
    """Return the text of an order that waits until `expires_at`."""
    return json.dumps([expires_at, dump(order)], ensure_ascii=False)


def order_key(order: Authorize) -> str:
    """Return the name of an order among those that wait for its token."""
    return f"{order.type}:{order.order_id or ''}"


def ack_value(event_id: str, body: str | None) -> str:
    """Return the text of an ACK; an empty one if there is none."""
    if body is None:
        return ""

    return json.dumps([event_id, body], ensure_ascii=False)
