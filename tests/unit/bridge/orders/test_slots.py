"""A slot that is given back while something slow is waited for."""

from __future__ import annotations

import asyncio

from cerebro.bridge.orders.slots import MAX_SIDE_BY_SIDE, Slots


async def test_who_waits_for_something_slow_has_no_slot() -> None:
    slots, answer = Slots(), asyncio.Event()
    at_work = 0
    most_at_work = 0

    async def work() -> None:
        nonlocal at_work, most_at_work
        async with slots.taken():
            async with slots.given_back():
                await answer.wait()
            at_work += 1
            most_at_work = max(at_work, most_at_work)
            await asyncio.sleep(0)
            at_work -= 1

    waiting = [
        asyncio.create_task(work()) for _ in range(3 * MAX_SIDE_BY_SIDE)
    ]
    await asyncio.sleep(0)
    async with slots.taken():
        assert not any(task.done() for task in waiting)
    answer.set()
    await asyncio.gather(*waiting)
    assert 1 < most_at_work <= MAX_SIDE_BY_SIDE


async def test_who_is_ended_while_it_waits_leaves_no_slot_behind() -> None:
    slots = Slots()

    async def work() -> None:
        async with slots.taken(), slots.given_back():
            await asyncio.Event().wait()

    waiting = [asyncio.create_task(work()) for _ in range(MAX_SIDE_BY_SIDE)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await asyncio.gather(*(slots._free.acquire() for _ in waiting))
    assert slots._free.locked()
