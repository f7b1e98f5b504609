"""Loops, and many calls at once. Steps are made up; waits are as short as a loop allows."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from cerebro.kube.client.batch import AT_ONCE, each
from cerebro.kube.client.errors import Conflict, KubeError, Unavailable
from cerebro.runtime import loop as loops
from cerebro.runtime.backoff import Backoff
from cerebro.runtime.loop import Loop, LoopTable

QUICK = Backoff(first=0.01, ceiling=0.02)


async def run_until(loop: Loop, done: asyncio.Event) -> None:
    """Run a loop until something is so, then let it finish."""
    task = asyncio.create_task(loop.run())
    await done.wait()
    loop.finish()
    await task


async def test_errors_are_waited_out() -> None:
    recovered = asyncio.Event()
    errors: list[Exception] = [
        Unavailable("down"),
        ValueError("ours"),
        TimeoutError(),
    ]

    counts = {"passed": 0, "failed": 0}

    def count(name: str) -> None:
        counts[name] += 1

    async def step() -> float:
        if errors:
            raise errors.pop()
        recovered.set()
        return 0.0

    loop = Loop(
        "test",
        step,
        allowed=lambda: True,
        backoff=QUICK,
        expected=(KubeError,),
        passed=lambda: count("passed"),
        failed=lambda: count("failed"),
    )
    await run_until(loop, recovered)
    assert counts == {"passed": 1, "failed": 3}


async def test_e1_woken_before_it_may_act_it_rests_and_begins_no_step() -> (
    None
):
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


async def test_e1_a_step_is_broken_off_when_the_lease_is_lost_and_the_loop_goes_on() -> (
    None
):
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


class FailsOnce:
    """The loop of an object: fails at first, then runs until the object goes."""

    def __init__(self, gone: asyncio.Event) -> None:
        self.gone = gone
        self.runs = 0

    async def run(self) -> None:
        self.runs += 1
        assert structlog.contextvars.get_contextvars() == {
            "device": "ns/thing"
        }, "of the object, and not of who woke the loop"
        if self.runs == 1:
            raise ValueError("ours")
        await self.gone.wait()


async def test_after_an_error_of_ours_a_loop_begins_anew_and_ends_with_its_object(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loops, "_BEGIN_ANEW_AFTER", 0.0)
    gone, exists = asyncio.Event(), [True]
    failures: list[str] = []
    ended: list[loops.Key] = []
    table: LoopTable[FailsOnce] = LoopTable(
        "Thing",
        logged_as="device",
        failed=lambda: failures.append("one"),
        ended=ended.append,
    )
    assert table.ensure("ns", "thing") is None, "loops run from `start` on"
    structlog.contextvars.bind_contextvars(hub="ns/hub")
    async with asyncio.TaskGroup() as tasks:
        table.start(
            tasks,
            lambda *_: FailsOnce(gone) if exists else None,
            stopping=lambda: False,
        )
        loop = table.ensure("ns", "thing")
        assert loop is not None
        assert table.ensure("ns", "thing") is loop
        while loop.runs < 2:  # noqa: ASYNC110 - nobody sets an event
            await asyncio.sleep(0)
        exists.clear()
        gone.set()
    assert (failures, ended, len(table)) == (["one"], [("ns", "thing")], 0)
