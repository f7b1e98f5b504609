"""Orders on Redis that wait for the hello of their token (A6)."""

from __future__ import annotations

import json
from collections.abc import Sequence

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Authorize, Client
from cerebro.bridge.store.base import (
    MAX_INBOX,
    MAX_WAITING,
    Entry,
    TokenLocation,
)
from cerebro.bridge.store.redis.engine import Command, Engine
from cerebro.bridge.store.redis.inbox import Inbox, inbox_full
from cerebro.bridge.store.redis.rows import fields_of, forget_row
from cerebro.bridge.store.redis.scripts import RELEASE, WAIT
from cerebro.bridge.store.redis.values import (
    entry_value,
    order_key,
    place_value,
    read_intent,
    waiting_value,
)


async def wait_for_hello(
    engine: Engine,
    order: Authorize,
    locations: Sequence[TokenLocation],
    now: int,
    until: int,
) -> bool:
    """Keep an order until its token says hello; return False if it said so
    since `locations` were read.

    Raises ApiError 503 `inbox_full`.
    """
    expires_at = max(now, until)
    answer = await engine.run(
        WAIT,
        order.token or "",
        order_key(order),
        waiting_value(order, expires_at),
        expires_at,
        MAX_WAITING,
        *(place_value(location) for location in locations),
    )
    if answer == -1:
        raise ApiError(
            503, "inbox_full", "too many orders wait for their device's hello"
        )

    return bool(answer)


async def waiting_for(engine: Engine, token: str, now: int) -> list[Authorize]:
    """Return the orders that wait for a token's hello."""
    (flat,) = await engine.read(("HGETALL", f"waiting:{token}"))

    orders: list[Authorize] = []
    for _, value in sorted(fields_of(flat).items()):
        expires_at, text = json.loads(value)
        intent = read_intent(text)
        if expires_at > now and isinstance(intent, Authorize):
            orders.append(intent)

    return orders


async def release(
    engine: Engine,
    inbox: Inbox,
    owner: str,
    orders: Sequence[Authorize],
    *,
    client: Client,
    now: int,
    located: TokenLocation | None,
) -> list[Entry]:
    """Put orders that waited for their phone into the inbox, with its address;
    each only once.

    Raises ApiError 503 `inbox_full`: then none is released.
    """
    change = {"client": client, "client_first": True}
    found_orders = [order.model_copy(update=change) for order in orders]
    values = [entry_value(order, located, now) for order in found_orders]
    arguments = [
        text
        for order, value in zip(found_orders, values, strict=True)
        for text in (order.token or "", order_key(order), value)
    ]

    numbers = await engine.run(RELEASE, owner, MAX_INBOX, *arguments)
    if numbers is None:
        raise inbox_full()

    return [
        inbox.taken(number, value, order)
        for number, value, order in zip(
            numbers, values, found_orders, strict=True
        )
        if number != "0"
    ]


def stop_waiting(order: Authorize) -> tuple[Command, ...]:
    """Return the commands that forget that an order waits."""
    return forget_row("waiting", f"waiting:{order.token}", order_key(order))
