"""The watch over the event loop (rule B0)."""

from __future__ import annotations

import asyncio
import time

from prometheus_client import REGISTRY

from cerebro.runtime.loop_watch import watch_event_loop
from cerebro.runtime.pace import exhaust, gather


def held_longer_than(bound: str) -> float:
    def value(name: str, **labels: str) -> float:
        full = f"cerebro_event_loop_held_seconds_{name}"
        return REGISTRY.get_sample_value(full, labels) or 0.0

    return value("count") - value("bucket", le=bound)


def work(seconds: float) -> float:
    """Hold the event loop."""
    time.sleep(seconds)
    return seconds


async def test_b0_a_hold_of_the_loop_is_seen() -> None:
    before = held_longer_than("0.1")
    watch = asyncio.create_task(watch_event_loop())
    await asyncio.sleep(0.05)
    work(0.2)
    await asyncio.sleep(0.05)
    watch.cancel()
    assert held_longer_than("0.1") == before + 1


async def test_b0_long_work_in_steps_lets_others_run() -> None:
    turns = 0

    async def another() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(another())
    numbers = await gather(map(work, [0.02] * 5))
    assert numbers == [0.02] * 5
    assert turns >= 4
    turns = 0
    await exhaust(range(1000))
    task.cancel()
    assert turns <= 1, "short work gives no turn away"
