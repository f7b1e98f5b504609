"""Placements of orders and kept revokes on Redis (A2, A4)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from cerebro.bridge.intents import Arrival, Authorize, Cause, Client, Revoke
from cerebro.bridge.store.base import (
    REVOKE_MEMORY,
    KeptRevoke,
    Placement,
)
from cerebro.bridge.store.redis.engine import Command, Engine
from cerebro.bridge.store.redis.rows import fields_of, keep_row
from cerebro.bridge.store.redis.scripts import KEEP_REVOKE

_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)
_NO_ARRIVAL = Arrival(0, 0)
"""In place of an arrival that is not known: every other one is later."""


async def keep_revoke(
    engine: Engine, revoke: Revoke, client: Client, device: str, now: int
) -> None:
    """Keep a revoke for those orders that come after it but were asked for
    before (A4).
    """
    order_id = revoke.order_id
    arrival = revoke.arrival or _NO_ARRIVAL
    groups = [_by_order(order_id)] if order_id else _by_client(device, client)
    await engine.run(
        KEEP_REVOKE,
        json.dumps([device, order_id, client.mac, client.ip]),
        (revoke.requested_at - _EPOCH) // _MICROSECOND,
        arrival.received_at,
        arrival.seq,
        now + REVOKE_MEMORY,
        *groups,
    )


async def revokes_of(
    engine: Engine, order: Authorize, client: Client, device: str
) -> list[Cause]:
    """Return the kept revokes that concern an order."""
    groups = _by_client(device, client)
    if order.order_id:
        groups.append(_by_order(order.order_id))

    if not groups:
        return []

    answers = await engine.read(*(("HGETALL", group) for group in groups))

    # A revoke that names both MAC and address is found by both.
    rows: dict[str, str] = {}
    for answer in answers:
        rows |= fields_of(answer)

    revokes = [_kept_revoke(field, value) for field, value in rows.items()]

    return [revoke.cause for revoke in revokes if revoke.concerns(client)]


def place(
    order: Authorize, placement: Placement, now: int
) -> tuple[Command, ...]:
    """Return the commands that remember where an order was granted; none for
    an order without an id, which nobody looks for.
    """
    if not order.order_id:
        return ()

    return keep_row(
        "placements",
        now,
        f"placement:{order.order_id}",
        order.type,
        json.dumps([placement.device, placement.name]),
    )


async def placement_of(engine: Engine, order: Authorize) -> Placement | None:
    """Return where an order of this id and type was granted last."""
    if not order.order_id:
        return None

    (value,) = await engine.read(
        ("HGET", f"placement:{order.order_id}", order.type)
    )

    return Placement(*json.loads(value)) if value else None


async def names_of_order(engine: Engine, order_id: str) -> list[str]:
    """Return the names under which an order was granted last, of each type."""
    (values,) = await engine.read(("HVALS", f"placement:{order_id}"))

    return [Placement(*json.loads(value)).name for value in values]


def _by_order(order_id: str) -> str:
    return f"revoke:order:{order_id}"


def _by_client(device: str, client: Client) -> list[str]:
    """Return the groups in which a client's revokes without an order are."""
    keys = (("mac", client.mac), ("ip", client.ip))

    return [
        f"revoke:{kind}:{device}:{address}"
        for kind, address in keys
        if address
    ]


def _kept_revoke(field: str, value: str) -> KeptRevoke:
    _, order_id, mac, ip = json.loads(field)
    asked, received_at, seq = (int(number) for number in value.split())
    arrival = Arrival(received_at, seq)
    cause = Cause(
        _EPOCH + asked * _MICROSECOND,
        None if arrival == _NO_ARRIVAL else arrival,
    )

    return KeptRevoke(order_id, Client(mac=mac, ip=ip), cause)
