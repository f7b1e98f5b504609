"""What a router may say, and what a session makes of it. The router is scripted, the sockets are real."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from cerebro.routeros.client.command import Command, Reply
from cerebro.routeros.client.errors import ConnectionLost, Trap, TrapKind
from cerebro.routeros.client.session import WINDOW

if TYPE_CHECKING:
    from integration.routeros.conftest import Caller, OpenSession

PRINT = Command("/ip/arp", "print")
ADD = Command("/ip/arp", "add", {"comment": "x"})


async def answer(caller: Caller, *sentences: list[str | bytes]) -> None:
    """Answer the next command with these sentences; `TAG` stands for its tag."""
    _, _, tag = await caller.next()
    for words in sentences:
        await caller.say(*(tag if word == "TAG" else word for word in words))


async def test_interleaved_replies_reach_their_commands(
    open_session: OpenSession,
) -> None:
    async def script(caller: Caller) -> None:
        (_, _, first), (_, _, second) = (
            await caller.next(),
            await caller.next(),
        )
        await caller.say("!re", first, "=n=1")
        await caller.say("!re", second, "=n=2")
        await caller.say("!done", second)
        await caller.say(
            "!re", "=n=3", first
        )  # old versions put the tag at the end
        await caller.say("!done", first)
        await caller.serve()

    session, _ = await open_session(script)
    replies = await session.run_all([PRINT, PRINT])
    assert replies == [Reply([{"n": "1"}, {"n": "3"}]), Reply([{"n": "2"}])]


async def test_replies_cut_into_single_bytes(
    open_session: OpenSession,
) -> None:
    async def script(caller: Caller) -> None:
        _, _, tag = await caller.next()
        text = f"=comment={'a=b' * 60}"
        for word in ("!re", tag, text):
            data = word.encode()
            prefix = (
                bytes([len(data)])
                if len(data) < 0x80
                else bytes([0x80, len(data)])
            )
            for byte in prefix + data:
                await caller.raw(bytes([byte]))
                await asyncio.sleep(0)
        await caller.raw(b"\0")
        await caller.say("!done", tag)
        await caller.serve()

    session, _ = await open_session(script)
    assert (await session.run(PRINT)).rows == [{"comment": "a=b" * 60}]


async def test_values_stay_text_and_lose_no_byte(
    open_session: OpenSession,
) -> None:
    """1.11: code pages, NUL and newlines occur; yes, 12 and 007 are text."""

    async def script(caller: Caller) -> None:
        await answer(
            caller,
            [
                "!re",
                "TAG",
                b"=a=Caf\xe9\0\n",
                "=b=Café",
                "=c=yes",
                "=d=007",
                "=e=",
                "=f=x=y",
            ],
            ["!re", "TAG"],
            ["!done", "TAG"],
        )
        await caller.serve()

    session, _ = await open_session(script)
    reply = await session.run(PRINT)
    first = {
        "a": "Caf\udce9\0\n",
        "b": "Café",
        "c": "yes",
        "d": "007",
        "e": "",
        "f": "x=y",
    }
    assert reply.rows == [first, {}]
    echoed = await session.run(
        Command("/x", "set", {"a": "Caf\udce9\0é", "!b": ""})
    )
    assert echoed.ret == "=a=Caf\udce9\0é,=!b="


@pytest.mark.parametrize("length", [0x7F, 0x80, 0x3FFF, 0x4000, 0xFFF00])
async def test_words_of_every_length_class(
    open_session: OpenSession, length: int
) -> None:
    async def script(caller: Caller) -> None:
        await caller.serve()

    session, _ = await open_session(script)
    text = "x" * (length - len("=ret=") - len("=v="))
    assert (
        await session.run(Command("/x", "set", {"v": text}))
    ).ret == f"=v={text}"


async def test_what_is_new_or_empty_is_skipped(
    open_session: OpenSession,
) -> None:
    """1.3: `!empty` and `!done` are no rows; 1.2: unknown reply words and empty sentences mean nothing."""

    async def script(caller: Caller) -> None:
        await caller.raw(b"\0\0")
        await answer(
            caller,
            ["!empty", "TAG"],
            ["!progress", "TAG", "=percent=7"],
            ["!news"],
            ["!done", "TAG"],
        )
        await caller.serve()

    session, _ = await open_session(script)
    assert await session.run(PRINT) == Reply([])
    assert (await session.run(ADD)).ret == "=comment=x"


@pytest.mark.parametrize(
    ("traps", "kind", "category", "text"),
    [
        (
            [["=message=no such item (4)"]],
            TrapKind.GONE,
            None,
            "/ip/arp/add: no such item (4)",
        ),
        (
            [
                ["=category=0", "=message=no such command or directory (x)"],
                ["=message=no such command prefix"],
            ],
            TrapKind.NO_COMMAND,
            0,
            "/ip/arp/add: no such command or directory (x); no such command prefix",
        ),
        (
            [["=message=failure: already have such entry", "=more=1"]],
            TrapKind.EXISTS,
            None,
            None,
        ),
        ([["=message=12"]], TrapKind.OTHER, None, "/ip/arp/add: 12"),
        (
            [["=category=x"]],
            TrapKind.OTHER,
            None,
            "/ip/arp/add: refused without a message",
        ),
        ([["=message=\x1b[2J" + "a" * 999]], TrapKind.OTHER, None, None),
    ],
)
async def test_a_trap_fails_its_command_only(
    open_session: OpenSession,
    traps: list[list[str]],
    kind: TrapKind,
    category: int | None,
    text: str | None,
) -> None:
    async def script(caller: Caller) -> None:
        refused: list[list[str | bytes]] = [
            ["!trap", "TAG", *words] for words in traps
        ]
        await answer(
            caller, ["!re", "TAG", "=n=1"], *refused, ["!done", "TAG"]
        )
        await caller.serve()

    session, _ = await open_session(script)
    with pytest.raises(Trap) as caught:
        await session.run(ADD)
    assert (caught.value.kind, caught.value.category) == (kind, category)
    assert len(caught.value.messages) == len(traps)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400
    assert text is None or str(caught.value) == text
    assert (await session.run(ADD)).ret == "=comment=x"


async def test_run_all_returns_traps_in_their_place(
    open_session: OpenSession,
) -> None:
    async def script(caller: Caller) -> None:
        while True:
            word, words, tag = await caller.next()
            if "=n=1" in words:
                await caller.say("!trap", tag, "=message=no such item")
                await caller.say("!done", tag)
            else:
                await caller.echo(word, words, tag)

    session, _ = await open_session(script)
    commands = [
        Command("/x", "set", {"n": str(number)}) for number in range(3)
    ]
    first, second, third = await session.run_all(commands)
    assert isinstance(second, Trap)
    assert second.kind is TrapKind.GONE
    assert (first, third) == (Reply([], "=n=0"), Reply([], "=n=2"))
    with pytest.raises(Trap):
        await session.run_all(commands, return_traps=False)


BREAKS: dict[str, tuple[bytes | None, str]] = {
    "fatal with a word": (b"\x06!fatal\x04oops\0", "oops"),
    "fatal alone": (b"\x06!fatal\0", "without a reason"),
    "a control byte": (b"\xf8", "controll byte"),
    "an undefined prefix": (b"\xf1\0\0\0\0", "controll byte"),
    "a word beyond the bound": (
        b"\xef\xff\xff\xff",
        "a sentence of more than",
    ),
    "a sentence beyond the bound": (
        b"\x01x" * 5000,
        "a sentence of more than",
    ),
    "an end in a word": (b"\x05!do", "closed the connection"),
    "an end between words": (b"\x05!done", "closed the connection"),
    "an end between sentences": (b"", "closed the connection"),
    "a reply without a tag": (b"\x05!done\0", "belongs to no command"),
    "a reply with a strange tag": (
        b"\x05!done\x0a.tag=strng\0",
        "belongs to no command",
    ),
    "a reset": (None, "closed the connection|reset"),
}


@pytest.mark.parametrize("what", BREAKS)
async def test_everything_but_a_trap_closes(
    open_session: OpenSession, what: str
) -> None:
    """B5: all in flight fail, a write with its outcome unknown, and nothing can be run any more."""
    data, why = BREAKS[what]

    async def script(caller: Caller) -> None:
        await caller.next()
        await caller.next()
        if data is None:
            caller.writer.transport.abort()
        else:
            await caller.raw(data)

    session, _ = await open_session(script)
    results = await asyncio.gather(
        session.run(ADD), session.run(PRINT), return_exceptions=True
    )
    assert [type(result) for result in results] == [
        ConnectionLost,
        ConnectionLost,
    ]
    assert [
        getattr(result, "outcome_unknown", None) for result in results
    ] == [True, False]
    assert re.search(why, session.closed or "")
    assert session.in_flight == 0
    assert await session.wait_closed() == session.closed
    with pytest.raises(ConnectionLost, match="was not sent") as caught:
        await session.run(ADD)
    assert caught.value.outcome_unknown is False


async def test_who_waits_for_the_window_hears_of_the_end(
    open_session: OpenSession,
) -> None:
    async def script(caller: Caller) -> None:
        for _ in range(WINDOW):
            await caller.next()
        await caller.say("!fatal", "oops")

    session, router = await open_session(script)
    results = await asyncio.gather(
        *(session.run(ADD) for _ in range(5 * WINDOW)), return_exceptions=True
    )
    assert {type(result) for result in results} == {ConnectionLost}
    assert [
        getattr(result, "outcome_unknown", None) for result in results
    ].count(True) == WINDOW
    assert len(router.callers[0].seen) == 1 + WINDOW


async def test_a_command_that_cannot_be_written_disturbs_nothing(
    open_session: OpenSession,
) -> None:
    """A lone surrogate stands for no byte."""

    async def script(caller: Caller) -> None:
        await caller.serve()

    session, _ = await open_session(script)
    for _ in range(2 * WINDOW):
        with pytest.raises(ValueError, match="surrogates"):
            await session.run(Command("/x", "set", {"a": "\ud800"}))
    assert session.in_flight == 0
    assert (await session.run(ADD)).ret == "=comment=x"


async def test_an_idle_session_notices_the_end(
    open_session: OpenSession,
) -> None:
    async def script(caller: Caller) -> None:
        await caller.say("!fatal", "router is going down")

    session, _ = await open_session(script)
    assert "going down" in await session.wait_closed()


async def test_back_pressure_never_deadlocks(
    open_session: OpenSession,
) -> None:
    """A router that reads nothing while it writes, and a pipeline larger than every buffer between."""

    async def script(caller: Caller) -> None:
        while True:
            _, _, tag = await caller.next()
            for _ in range(4):
                await caller.say("!re", tag, "=big=" + "y" * 50_000)
            await caller.say("!done", tag)

    session, _ = await open_session(script)
    replies = await session.run_all(
        [Command("/x", "print", {"big": "x" * 50_000})] * 200
    )
    assert [
        len(reply.rows) for reply in replies if isinstance(reply, Reply)
    ] == [4] * 200
