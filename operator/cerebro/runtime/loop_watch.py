"""How long the event loop is held by work that lets nothing else run. Nothing
may hold it for more than 50 ms (rule B0).
"""

from __future__ import annotations

import asyncio
from collections import deque

from cerebro.runtime import metrics
from cerebro.runtime.clock import monotonic

_PERIOD = 0.02
"""Seconds between two looks: a hold is seen if it is longer than that."""
_LOOKS_A_SECOND = 50
_SECONDS_SHOWN = 60


async def watch_event_loop() -> None:
    """Show without end how long the loop was held: as a histogram, and the
    worst of the last minute.

    A hold counts from the instant at which a look was due, so that one of
    50 ms is seen as 30 to 50 ms. The looks cost about 0.1 % of a core.
    """
    worst: deque[float] = deque(maxlen=_SECONDS_SHOWN)

    while True:
        held = 0.0

        for _ in range(_LOOKS_A_SECOND):
            due = monotonic() + _PERIOD
            await asyncio.sleep(_PERIOD)
            late = max(0.0, monotonic() - due)

            metrics.EVENT_LOOP_HELD.observe(late)
            held = max(held, late)

        worst.append(held)
        metrics.EVENT_LOOP_LAG.set(max(worst))
