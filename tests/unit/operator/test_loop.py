"""The operator's loops and its many calls at once. Steps are made up; waits are as short as the loop allows."""

from __future__ import annotations

import asyncio

import pytest

from cerebro.kube.client.batch import AT_ONCE, each
from cerebro.kube.client.errors import Conflict, Unavailable
from cerebro.operator.loop import Loop
from cerebro.runtime.backoff import Backoff

QUICK = Backoff(first=0.01, ceiling=0.02)


async def run_until(loop: Loop, done: asyncio.Event) -> None:
    """Run a loop until something is so, then let it finish."""
    task = asyncio.create_task(loop.run())
    await done.wait()
    loop.finish()
    await task


async def test_errors_are_waited_out() -> None:
    recovered = asyncio.Event()
    errors: list[Exception] = [Unavailable("down"), ValueError("ours"), TimeoutError()]

    async def step() -> float:
        if errors:
            raise errors.pop()
        recovered.set()
        return 0.0

    await run_until(Loop("test", step, allowed=lambda: True, backoff=QUICK), recovered)
    assert not errors


async def test_e1_woken_before_it_may_act_it_rests_and_begins_no_step() -> None:
    """A wake-up that nobody takes must not keep the event loop from everything else."""
    asked: list[int] = []

    def allowed() -> bool:
        asked.append(1)
        assert len(asked) < 100, "it never rests"
        return False

    async def step() -> float:
        raise AssertionError("a step without the Lease")

    loop = Loop("test", step, allowed=allowed, backoff=QUICK)
    task = asyncio.create_task(loop.run())
    for _ in range(20):
        loop.wake()
        await asyncio.sleep(0)
    loop.finish()
    await task
    assert asked


async def test_e1_a_step_is_broken_off_when_the_lease_is_lost_and_the_loop_goes_on() -> None:
    begun, again = asyncio.Event(), asyncio.Event()

    async def step() -> float:
        if not begun.is_set():
            begun.set()
            await asyncio.Event().wait()
        again.set()
        return 0.0

    loop = Loop("test", step, allowed=lambda: True, backoff=QUICK)
    running = asyncio.create_task(run_until(loop, again))
    await begun.wait()
    loop.interrupt()
    await running


async def test_e14_the_step_in_hand_is_finished() -> None:
    ended: list[int] = []
    go = asyncio.Event()

    async def step() -> float:
        await go.wait()
        ended.append(1)
        return 0.0

    loop = Loop("test", step, allowed=lambda: True, backoff=QUICK)
    task = asyncio.create_task(loop.run())
    await asyncio.sleep(0)
    loop.finish()
    go.set()
    await task
    assert ended == [1]


async def test_one_that_fails_does_not_stop_the_others() -> None:
    done: list[int] = []

    async def call(item: int) -> bool:
        if item == 3:
            raise Conflict("changed")
        done.append(item)
        return True

    with pytest.raises(Conflict):
        await each(range(50), call)
    assert sorted(done) == [item for item in range(50) if item != 3]


async def test_an_api_server_that_is_away_is_not_asked_for_each_item() -> None:
    asked: list[int] = []

    async def call(item: int) -> bool:
        asked.append(item)
        await asyncio.sleep(0)
        raise Unavailable("down")

    with pytest.raises(Unavailable):
        await each(range(1000), call)
    assert len(asked) == AT_ONCE
