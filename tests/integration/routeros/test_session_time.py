"""B5: the window, deadlines, silence, patience; E14: closing. The router is scripted, the sockets are real.

Times here are short versions of the real ones; none is asserted upon, but for order. Where something must come in
time, the clock stands still until it has come.
"""

from __future__ import annotations

import asyncio
import logging
import logging.config
from typing import TYPE_CHECKING

import pytest

from cerebro.routeros.client.command import Command, Reply
from cerebro.routeros.client.errors import (
    ConnectionLost,
    DeadlineExceeded,
    Stalled,
)
from cerebro.routeros.client.session import WINDOW
from integration.routeros.clock import standing_clock, until

if TYPE_CHECKING:
    from integration.routeros.conftest import Caller, OpenSession

PRINT = Command("/ip/arp", "print")
ADD = Command("/ip/arp", "add", {"comment": "x"})


async def test_b5_at_most_64_commands_are_under_way(
    open_session: OpenSession,
) -> None:
    full = asyncio.Event()
    more: list[str] = []

    async def script(caller: Caller) -> None:
        commands = [await caller.next() for _ in range(WINDOW)]
        full.set()
        try:
            async with asyncio.timeout(0.2):
                more.append((await caller.next())[0])
        except TimeoutError:
            pass
        for command in reversed(commands):
            await caller.echo(*command)
        await caller.serve()

    session, _ = await open_session(script)
    commands = [
        Command("/x", "set", {"n": str(number)}) for number in range(200)
    ]
    running = asyncio.create_task(session.run_all(commands))
    await full.wait()
    assert session.in_flight == WINDOW == 64
    replies = await running
    assert more == []
    assert replies == [Reply([], f"=n={number}") for number in range(200)]


async def test_b5_a_commands_time_starts_when_it_enters_the_window(
    open_session: OpenSession,
) -> None:
    async def script(caller: Caller) -> None:
        commands = [await caller.next() for _ in range(WINDOW)]
        await clock.passes(0.6)
        for command in commands:
            await caller.echo(*command)
        last = await caller.next()
        await clock.passes(0.6)
        await caller.echo(*last)
        await caller.serve()

    session, _ = await open_session(script)
    with standing_clock() as clock:
        replies = await session.run_all([ADD] * (WINDOW + 1), deadline=1.0)
    assert all(isinstance(reply, Reply) for reply in replies)
    assert session.closed is None


async def test_b5_a_write_out_of_time_closes(
    open_session: OpenSession,
) -> None:
    async def script(caller: Caller) -> None:
        await caller.until_closed()

    session, _ = await open_session(script)
    late, other = await asyncio.gather(
        session.run(ADD, deadline=0.1),
        session.run(ADD),
        return_exceptions=True,
    )
    assert isinstance(late, DeadlineExceeded)
    assert late.outcome_unknown
    assert isinstance(other, ConnectionLost)
    assert session.closed


async def test_b5_a_print_out_of_time_is_cancelled_and_the_session_lives(
    open_session: OpenSession,
) -> None:
    async def script(caller: Caller) -> None:
        _, _, victim = await caller.next()
        await caller.say("!re", victim, "=late=1")
        word, words, tag = await caller.next()
        assert word == "/cancel"
        assert words == [f"=tag={victim.removeprefix('.tag=')}"]
        await caller.say("!re", victim, "=late=2")
        await caller.say(
            "!trap", victim, "=category=2", "=message=interrupted"
        )
        await caller.say("!done", tag)
        await caller.say("!done", victim)
        await caller.serve()

    session, _ = await open_session(script)
    with pytest.raises(DeadlineExceeded):
        await session.run(PRINT, deadline=0.1)
    assert (await session.run(Command("/x", "print", {}, ("?a",)))).rows == [
        {"echo": "?a"}
    ]
    assert session.in_flight == 0


async def test_b5_a_print_that_cannot_be_cancelled_closes(
    open_session: OpenSession,
) -> None:
    async def script(caller: Caller) -> None:
        _, _, victim = await caller.next()
        while session.closed is None:
            await caller.say("!re", victim, "=row=1")
            await until(
                lambda: (
                    session.last_byte_at == clock.now
                    or session.closed is not None
                )
            )
            await clock.passes(0.02)

    with standing_clock() as clock:
        session, _ = await open_session(script, timeout=0.4)
        with pytest.raises(DeadlineExceeded):
            await session.run(PRINT, deadline=0.1)
        assert "did not end" in await session.wait_closed()


async def test_b5_silence_closes_with_commands_in_flight_only(
    open_session: OpenSession,
) -> None:
    async def script(caller: Caller) -> None:
        for _ in range(2):
            await caller.echo(*await caller.next())
        await caller.until_closed()

    with standing_clock() as clock:
        session, _ = await open_session(script, timeout=0.3)
        await session.run(ADD)
        await clock.passes(0.5)
        assert session.closed is None
        await session.run(ADD)
        unanswered = asyncio.create_task(session.run(ADD))
        await until(lambda: session.in_flight == 1)
        await clock.passes(0.2)
        assert session.closed is None
        await clock.passes(0.2)
        with pytest.raises(
            ConnectionLost, match=r"no byte for 0\.3 s"
        ) as caught:
            await unanswered
    assert caught.value.outcome_unknown
    assert session.closed


async def test_b5_bytes_of_any_command_break_the_silence(
    open_session: OpenSession,
) -> None:
    async def script(caller: Caller) -> None:
        (_, _, slow), (_, _, chatty) = await caller.next(), await caller.next()
        for _ in range(10):
            await clock.passes(0.1)
            await caller.say("!re", chatty, "=n=1")
            await until(lambda: session.last_byte_at == clock.now)
        await caller.say("!done", chatty)
        await caller.say("!done", slow)
        await caller.serve()

    with standing_clock() as clock:
        session, _ = await open_session(script, timeout=0.5)
        quiet, rows = await session.run_all([ADD, PRINT], return_traps=False)
    assert (len(quiet.rows), len(rows.rows)) == (0, 10)


async def test_b5_a_waiting_client_gives_up_before_the_session_does(
    open_session: OpenSession,
) -> None:
    """The caller hears at once; the late reply is not taken for another's."""
    go = asyncio.Event()

    async def script(caller: Caller) -> None:
        command = await caller.next()
        await go.wait()
        await caller.echo(*command)
        await caller.serve()

    session, _ = await open_session(script)
    with pytest.raises(Stalled) as caught:
        await session.run(ADD, first_byte_within=0.1)
    assert caught.value.outcome_unknown
    assert session.suspect
    assert session.closed is None
    go.set()
    assert (
        await session.run(
            Command("/x", "set", {"n": "2"}), first_byte_within=60
        )
    ).ret == "=n=2"


async def test_b5_patience_lasts_while_bytes_come(
    open_session: OpenSession,
) -> None:
    async def script(caller: Caller) -> None:
        (_, _, busy), write = await caller.next(), await caller.next()
        for _ in range(10):
            await clock.passes(0.1)
            await caller.say("!re", busy, "=n=1")
            await until(lambda: session.last_byte_at == clock.now)
        await caller.echo(*write)
        await caller.say("!done", busy)
        await caller.serve()

    with standing_clock() as clock:
        session, _ = await open_session(script)
        _, reply = await asyncio.gather(
            session.run(PRINT), session.run(ADD, first_byte_within=0.5)
        )
    assert reply.ret == "=comment=x"
    assert not session.suspect


async def test_what_arrived_while_the_process_was_busy_counts(
    open_session: OpenSession,
) -> None:
    """A loop that was held up for longer than the silence must not blame the router."""
    held_up = asyncio.Event()

    async def script(caller: Caller) -> None:
        _, _, tag = await caller.next()

        def hold_up() -> None:
            clock.now += 0.5
            caller.writer.write(
                b"\x05!done" + bytes([len(tag)]) + tag.encode() + b"\0"
            )
            held_up.set()

        asyncio.get_running_loop().call_soon(hold_up)
        await caller.until_closed()

    with standing_clock() as clock:
        session, _ = await open_session(script, timeout=0.3)
        assert await session.run(ADD, first_byte_within=0.2) == Reply([])
    assert held_up.is_set()
    assert not session.suspect


async def test_e14_close_says_quit(open_session: OpenSession) -> None:
    async def script(caller: Caller) -> None:
        await caller.serve()

    session, router = await open_session(script)
    await session.run(ADD)
    await session.close()
    await session.close()
    assert router.callers[0].seen[-1] == ["/quit"]
    assert session.closed == "closed by this side"
    with pytest.raises(ConnectionLost):
        await session.run(ADD)


async def test_e14_close_is_bounded_and_fails_what_is_in_flight(
    open_session: OpenSession,
) -> None:
    async def script(caller: Caller) -> None:
        await caller.until_closed()

    session, _ = await open_session(script)
    running = asyncio.create_task(session.run_all([ADD] * 100))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(60):
        await session.close()
        with pytest.raises(ConnectionLost):
            await running
    assert session.in_flight == 0


async def test_passwords_reach_no_log(
    open_session: OpenSession, caplog: pytest.LogCaptureFixture
) -> None:
    """librouteros logs every word at DEBUG; nothing of it comes out, whatever the logging is set to."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "root": {"level": "DEBUG"},
        }
    )
    logging.getLogger("librouteros").setLevel(logging.DEBUG)
    logging.getLogger().addHandler(caplog.handler)
    caplog.set_level(logging.DEBUG)

    async def script(caller: Caller) -> None:
        await caller.serve()

    session, _ = await open_session(script)
    command = Command("/user", "set", {"password": "other-word"})
    await session.run(command)
    logging.getLogger("librouteros").warning("other-word")
    logging.getLogger("cerebro").warning("heard")
    assert "heard" in caplog.text
    for secret in ("secret-word", "other-word"):
        assert secret not in caplog.text
        assert secret not in repr(command)
