"""A caller may be killed at any await: the session is in step afterwards. The router is scripted.

Every answer is checked against its own command, so that one reply in the wrong place fails the test.
"""

from __future__ import annotations

import asyncio
import random
import types
from collections.abc import Coroutine, Generator
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cerebro.routeros.client.command import Command, Reply
from cerebro.routeros.client.connection import connect
from cerebro.routeros.client.errors import Stalled
from cerebro.routeros.client.session import WINDOW, RouterSession

if TYPE_CHECKING:
    from integration.routeros.conftest import (
        Caller,
        OpenSession,
        ScriptedRouter,
        Serve,
    )

numbers = count()


async def serve_shuffled(caller: Caller, seed: int) -> None:
    """Answer correctly, but in any order, after moments of nothing, and obey `/cancel`."""
    choose = random.Random(seed)
    arrived: asyncio.Queue[tuple[str, list[str], str] | None] = asyncio.Queue()

    async def receive() -> None:
        try:
            while True:
                arrived.put_nowait(await caller.next())
        except (EOFError, ConnectionError):
            arrived.put_nowait(None)

    receiving = asyncio.create_task(receive())
    waiting: dict[str, tuple[str, list[str], str]] = {}
    try:
        while True:
            if waiting and arrived.empty():
                await asyncio.sleep(choose.choice([0, 0, 0, 0.001]))
            if waiting and arrived.empty():
                await caller.echo(*waiting.pop(choose.choice(sorted(waiting))))
                continue
            if (command := await arrived.get()) is None:
                return
            if command[0] == "/cancel":
                await cancel(caller, waiting, command, choose)
            else:
                waiting[command[2]] = command
    finally:
        receiving.cancel()


async def cancel(
    caller: Caller,
    waiting: dict[str, Any],
    command: tuple[str, list[str], str],
    choose: random.Random,
) -> None:
    _, words, own = command
    victim = ".tag=" + words[0].removeprefix("=tag=")
    ends = [own]
    if waiting.pop(victim, None):
        await caller.say(
            "!trap", victim, "=category=2", "=message=interrupted"
        )
        ends.append(victim)
    choose.shuffle(ends)
    for end in ends:
        await caller.say("!done", end)


def command_and_reply() -> tuple[Command, Reply]:
    """A command that no other equals, a write or a print, and its only right answer."""
    number = next(numbers)
    if number % 2:
        return Command("/x", "print", {"n": str(number)}), Reply(
            [{"echo": f"=n={number}"}]
        )
    return Command("/x", "set", {"n": str(number)}), Reply([], f"=n={number}")


async def one(session: RouterSession) -> None:
    command, reply = command_and_reply()
    assert await session.run(command) == reply


async def many(session: RouterSession, size: int = WINDOW + 10) -> None:
    commands, replies = zip(
        *(command_and_reply() for _ in range(size)), strict=True
    )
    assert await session.run_all(commands) == list(replies)


async def assert_in_step(session: RouterSession) -> None:
    """Right answers, and the whole window to be had again."""
    assert session.closed is None
    for _ in range(1000):
        if not session.in_flight:
            break
        await asyncio.sleep(0.005)
    probe = asyncio.create_task(many(session, WINDOW + 10))
    await asyncio.sleep(0)
    assert session.in_flight == WINDOW
    await probe
    await one(session)
    assert session.in_flight == 0
    assert session.closed is None


@types.coroutine
def killed_at(
    work: Coroutine[Any, Any, None], last: int
) -> Generator[Any, None, bool]:
    """Run `work` up to its await number `last` and kill it there; False when it ended before."""
    for number in count():
        try:
            waits_for = work.send(None)
        except StopIteration:
            return False
        if number == last:
            if waits_for is not None:
                waits_for.cancel()  # as a task does, before it throws
            with pytest.raises(asyncio.CancelledError):
                work.throw(asyncio.CancelledError())
            return True
        yield waits_for
    return False


@pytest.mark.parametrize("work", [one, many])
async def test_killed_at_every_await(
    open_session: OpenSession, work: Any
) -> None:
    async def script(caller: Caller) -> None:
        await serve_shuffled(caller, 1)

    session, _ = await open_session(script)
    kills = 0
    for last in range(1000):
        if not await killed_at(work(session), last):
            break
        kills += 1
        await assert_in_step(session)
    assert 1 <= kills < 1000


@pytest.mark.parametrize("work", [one, many])
async def test_cancelled_after_every_turn_of_the_loop(
    open_session: OpenSession, work: Any
) -> None:
    """Also between the arrival of a reply and the turn in which the caller would have run on."""

    async def script(caller: Caller) -> None:
        await serve_shuffled(caller, 2)

    session, _ = await open_session(script)
    cancelled = 0
    for turns in range(60):
        task = asyncio.create_task(work(session))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        result: BaseException | None = (
            await asyncio.gather(task, return_exceptions=True)
        )[0]
        assert result is None or isinstance(result, asyncio.CancelledError)
        cancelled += result is not None
        await assert_in_step(session)
    assert cancelled > 3


@pytest.mark.parametrize("turns", range(12))
async def test_close_may_be_cancelled(
    open_session: OpenSession, turns: int
) -> None:
    """However `close` ends, the session is closed."""

    async def script(caller: Caller) -> None:
        await caller.until_closed()

    session, _ = await open_session(script)
    closing = asyncio.create_task(session.close())
    for _ in range(turns):
        await asyncio.sleep(0)
    closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)
    if turns:
        assert session.closed


@pytest.mark.parametrize("turns", range(25))
async def test_connect_may_be_cancelled(serve: Serve, turns: int) -> None:
    """The router sees the end of whatever connection there was."""
    ended = asyncio.Event()

    async def script(caller: Caller) -> None:
        await caller.until_closed()
        ended.set()

    router = await serve(script)
    connecting = asyncio.create_task(
        connect("127.0.0.1", router.port, [("user", "pass")])
    )
    for _ in range(turns):
        await asyncio.sleep(0)
    connecting.cancel()
    [result] = await asyncio.gather(connecting, return_exceptions=True)
    assert isinstance(result, asyncio.CancelledError)
    await asyncio.sleep(0.01)
    if router.callers:
        async with asyncio.timeout(60):
            await ended.wait()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["one", "many", "impatient"]),
        st.integers(0, 40),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1 << 16), steps=STEPS)
def test_any_mixture_of_callers_and_cancellations_stays_in_step(
    scripted_router: type[ScriptedRouter],
    seed: int,
    steps: list[tuple[str, int, bool]],
) -> None:
    asyncio.run(mixture(scripted_router, seed, steps))


async def mixture(
    router_type: type[ScriptedRouter],
    seed: int,
    steps: list[tuple[str, int, bool]],
) -> None:
    async def script(caller: Caller) -> None:
        await caller.let_in()
        await serve_shuffled(caller, seed)

    async def impatient(session: RouterSession) -> None:
        command, reply = command_and_reply()
        try:
            assert (
                await session.run(command, first_byte_within=0.0005) == reply
            )
        except Stalled:
            assert session.suspect

    works = {"one": one, "many": many, "impatient": impatient}
    router = router_type(script)
    await router.start()
    try:
        async with await connect(
            "127.0.0.1", router.port, [("user", "pass")]
        ) as session:
            tasks = []
            for name, turns, cancelled in steps:
                tasks.append(asyncio.create_task(works[name](session)))
                for _ in range(turns):
                    await asyncio.sleep(0)
                if cancelled:
                    tasks[turns % len(tasks)].cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                assert result is None or isinstance(
                    result, asyncio.CancelledError
                ), result
            await assert_in_step(session)
        assert router.failures == []
    finally:
        await router.stop()
