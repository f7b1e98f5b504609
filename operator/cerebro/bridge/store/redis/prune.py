"""Forgets what is over, in all tables but the inbox, whose entries are taken
out when they are carried out.
"""

from __future__ import annotations

from cerebro.bridge.store.access import ENDED_MEMORY, RECORD_MEMORY
from cerebro.bridge.store.base import MOVE_MEMORY, TOKEN_MEMORY
from cerebro.bridge.store.events import EVENT_MEMORY
from cerebro.bridge.store.redis.access_scripts import (
    FORGET_ACCESSES,
    FORGET_RECORDS,
)
from cerebro.bridge.store.redis.engine import Engine
from cerebro.bridge.store.redis.event_scripts import FORGET_ACKS, FORGET_EVENTS
from cerebro.bridge.store.redis.scripts import FORGET, FORGET_NONCES

AT_ONCE = 1000
"""Rows that a step forgets at most, so that no request waits long for it."""


async def prune(engine: Engine, now: int) -> None:
    """Forget what is over at `now`, in steps between which others go on."""
    for script, arguments in (
        (FORGET_NONCES, (now, AT_ONCE)),
        (FORGET_EVENTS, (now - EVENT_MEMORY, AT_ONCE, now)),
        (FORGET_ACKS, (now - EVENT_MEMORY, AT_ONCE)),
        (FORGET_RECORDS, (now - RECORD_MEMORY, AT_ONCE)),
        (FORGET_ACCESSES, (now - ENDED_MEMORY, AT_ONCE)),
    ):
        forgotten = AT_ONCE
        while forgotten >= AT_ONCE:
            forgotten = await engine.run(script, *arguments)

    for index, before in (
        ("waiting", now),
        ("payments", now),
        ("revokes", now),
        ("moves", now - MOVE_MEMORY),
        ("places", now - TOKEN_MEMORY),
        ("links", now - TOKEN_MEMORY),
        ("placements", now - TOKEN_MEMORY),
    ):
        forgotten = AT_ONCE
        while forgotten >= AT_ONCE:
            forgotten = await engine.run(FORGET, index, before, AT_ONCE)
