"""Case Z5: what a router, or whoever answers in its place, can make us hold. The stream is fed by hand; no socket."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from librouteros.exceptions import ProtocolError
from librouteros.protocol import encode_sentence

from cerebro.routeros.client.codec import Wire
from cerebro.routeros.client.command import Command
from cerebro.routeros.client.errors import ConnectionLost
from cerebro.routeros.client.session import RouterSession

PRINT = Command("/ip/arp", "print")


class Stream:
    """Both ends of a connection without a socket: what is fed is read, what is written is kept."""

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader()
        self.written = b""
        self.aborted = False
        transport = SimpleNamespace(
            abort=self._abort, is_closing=lambda: self.aborted
        )
        writer = SimpleNamespace(
            write=self._write,
            transport=transport,
            get_extra_info=lambda _name: None,
        )
        self.wire = Wire(self.reader, cast(Any, writer))

    def _write(self, data: bytes) -> None:
        self.written += data

    def _abort(self) -> None:
        self.aborted = True
        self.reader.feed_eof()

    def feed(self, *words: str) -> None:
        self.reader.feed_data(encode_sentence(*words, encoding="latin-1"))


async def test_z5_a_word_that_claims_more_than_a_mebibyte_is_refused_before_its_bytes_come() -> (
    None
):
    stream = Stream()
    stream.wire.logged_in()
    stream.reader.feed_data(b"\xef\xff\xff\xff")
    with pytest.raises(
        ProtocolError, match="a sentence of more than 1048576 bytes"
    ):
        await stream.wire.read_sentence()


async def test_z5_many_words_count_together() -> None:
    stream = Stream()
    stream.wire.logged_in()
    stream.feed(
        "!re", *(f"=name{number}={'x' * 1000}" for number in range(1100))
    )
    with pytest.raises(ProtocolError, match="a sentence of more than"):
        await stream.wire.read_sentence()


async def test_z5_before_the_login_64_kib_are_read_in_all_and_not_more() -> (
    None
):
    stream = Stream()
    for _ in range(70):
        stream.feed("!re", "=a=" + "x" * 1000)
    for _ in range(64):
        await stream.wire.read_sentence()
    with pytest.raises(
        ProtocolError,
        match="more than 65536 bytes before the login was accepted",
    ):
        await stream.wire.read_sentence()


async def test_z5_after_the_login_the_same_bytes_are_read() -> None:
    stream = Stream()
    stream.wire.logged_in()
    for _ in range(70):
        stream.feed("!re", "=a=" + "x" * 1000)
    sentences = [await stream.wire.read_sentence() for _ in range(70)]
    assert [len(words[1]) for words in sentences] == [1003] * 70


@pytest.mark.parametrize(
    ("row", "count"),
    [
        ((), 300),
        (("=a=",), 300),
        (tuple(f"=name{number}=" for number in range(40)), 30),
    ],
    ids=["rows without attributes", "attributes without values", "many names"],
)
async def test_z5_rows_count_by_what_they_take_here(
    row: tuple[str, ...], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cerebro.routeros.client.session._MAX_REPLY", 64 << 10)
    stream = Stream()
    session = RouterSession(stream.wire)
    stream.wire.logged_in()
    running = asyncio.create_task(session.run(PRINT))
    await asyncio.sleep(0)
    for _ in range(count):
        stream.feed("!re", *row, ".tag=1")
    with pytest.raises(
        ConnectionLost, match="the reply to /ip/arp/print is larger than"
    ):
        await running
    assert stream.aborted


async def test_z5_rows_are_counted_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cerebro.routeros.client.session._MAX_ROWS", 10)
    stream = Stream()
    session = RouterSession(stream.wire)
    running = asyncio.create_task(session.run(PRINT))
    await asyncio.sleep(0)
    for _ in range(11):
        stream.feed("!re", ".tag=1")
    with pytest.raises(ConnectionLost, match="larger than 10 rows"):
        await running


async def test_the_end_of_each_command_that_somebody_waits_for_is_told() -> (
    None
):
    stream, ends = Stream(), list[tuple[str, bool]]()

    def observe(word: str, seconds: float, ok: bool) -> None:
        assert seconds >= 0
        ends.append((word, ok))

    session = RouterSession(stream.wire, observe=observe)
    commands = [PRINT, Command("/ip/arp", "add"), PRINT]
    tasks = [asyncio.create_task(session.run(each)) for each in commands]
    await asyncio.sleep(0)
    stream.feed("!done", ".tag=1")
    stream.feed("!trap", "=message=failure", ".tag=2")
    stream.feed("!done", ".tag=2")
    await asyncio.wait(tasks[:2])
    tasks[2].cancel()
    await asyncio.sleep(0)
    stream.feed("!done", ".tag=3")
    await session.close()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert ends == [("/ip/arp/print", True), ("/ip/arp/add", False)]
