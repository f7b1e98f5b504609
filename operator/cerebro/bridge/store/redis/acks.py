"""ACKs on Redis that the backend has not taken: the outbox."""

from __future__ import annotations

import json

from cerebro.bridge.store.events import Ack
from cerebro.bridge.store.redis.engine import Engine, Step
from cerebro.bridge.store.redis.event_scripts import ACK_FAILED, ACK_TAKEN


async def due(engine: Engine, now: int, limit: int) -> list[Ack]:
    """Return ACKs that are due, due longest first."""
    (numbers,) = await engine.read(
        ("ZRANGEBYSCORE", "acks", "-inf", now, "LIMIT", 0, limit)
    )
    if not numbers:
        return []

    values, tries = await engine.read(
        ("HMGET", "ack", *numbers), ("HMGET", "ack_tries", *numbers)
    )

    acks: list[Ack] = []
    for number, value, count in zip(numbers, values, tries, strict=True):
        if value is None:
            continue  # taken meanwhile

        event_id, body = json.loads(value)
        acks.append(Ack(int(number), event_id, body, int(count or 0)))

    return acks


async def waiting(engine: Engine) -> int:
    """Return how many ACKs the backend has not taken."""
    (count,) = await engine.read(("ZCARD", "acks"))

    return int(count)


def taken(ack: Ack) -> Step:
    """Return the step that forgets an ACK that the backend took."""
    return Step(ACK_TAKEN, (ack.seq,))


def failed(ack: Ack, due_at: int) -> Step:
    """Return the step that notes that an ACK was sent in vain."""
    return Step(ACK_FAILED, (ack.seq, ack.tries + 1, due_at))
