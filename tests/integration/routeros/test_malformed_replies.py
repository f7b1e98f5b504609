"""A router, or whoever answers in its place, sends anything: each command ends with its own reply or a typed error, and
no task and no socket stays behind (case Z5).

Real: sockets on loopback, the session layer. Faked: the router's side, by streams that are made of sound replies and
then spoilt, from a seed. CEREBRO_TEST_LONG=1 makes 100,000 of them, else there are 3,000.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from cerebro.routeros.client.codec import Wire
from cerebro.routeros.client.command import Command, Reply
from cerebro.routeros.client.errors import (
    ConnectionLost,
    DeadlineExceeded,
    Stalled,
    Trap,
)
from cerebro.routeros.client.session import RouterSession
from integration.routeros.conftest import length_prefix, sentence

LONG = os.environ.get("CEREBRO_TEST_LONG") == "1"
STREAMS = 100_000 if LONG else 3_000
SEED = int(os.environ.get("CEREBRO_TEST_SEED", "12"))
COMMANDS = 3
AT_ONCE = 50

Spoil = Callable[[random.Random, bytes], bytes]


# --- streams


def sound(choose: random.Random) -> list[bytes]:
    """Return sentences that answer the commands with tags 1 to 3, mixed; rows
    name the command whose they are.
    """
    queues = []
    for tag in range(1, COMMANDS + 1):
        of_tag = f".tag={tag}"
        rows = [
            sentence("!re", of_tag, f"=owner={tag}", f"=n={number}")
            for number in range(choose.randrange(4))
        ]
        if choose.random() < 0.3:
            trap = ("!trap", "=category=1", "=message=no such item", of_tag)
            rows.append(sentence(*trap))
        if not rows and choose.random() < 0.5:
            rows.append(sentence("!empty", of_tag))

        queues.append([*rows, sentence("!done", of_tag)])

    mixed = []
    while any(queues):
        queue = choose.choice([queue for queue in queues if queue])
        mixed.append(queue.pop(0))

    return mixed


def cut(choose: random.Random, data: bytes) -> bytes:
    """Return the beginning."""
    return data[: choose.randrange(len(data) + 1)]


def flip(choose: random.Random, data: bytes) -> bytes:
    """Return it with some bits turned over."""
    spoilt = bytearray(data)
    for _ in range(choose.randint(1, 4)):
        spoilt[choose.randrange(len(spoilt))] ^= 1 << choose.randrange(8)

    return bytes(spoilt)


def put_in(choose: random.Random, data: bytes) -> bytes:
    """Return it with bytes of any kind somewhere."""
    at = choose.randrange(len(data) + 1)

    return data[:at] + choose.randbytes(choose.randint(1, 40)) + data[at:]


def take_out(choose: random.Random, data: bytes) -> bytes:
    """Return it without some bytes."""
    at = choose.randrange(len(data))

    return data[:at] + data[at + choose.randint(1, 20) :]


def odd_sentence(choose: random.Random, data: bytes) -> bytes:
    """Return it with a sentence in front that is well formed and makes no
    sense, or too much.
    """
    digits = choose.choice(["1", "2", "3", "4", "", "x", "٣", "9" * 5000])
    odd = choose.choice(
        [
            sentence("!re", f".tag={digits}", "=owner=9"),
            sentence("!done"),
            sentence("!done", f".tag={digits}"),
            sentence("!trap", ".tag=1", f"=category={digits}", "=message="),
            sentence("!trap", f".tag={digits}"),
            sentence("!fatal", b"\xff\x00 ended"),
            sentence("!fatal"),
            sentence("!new", ".tag=1"),
            sentence("=a=b", ".tag=1"),
            sentence("!re", ".tag=1", "=", "==", "=x", "=owner=1", "owner"),
            sentence("!re", ".tag=1", b"=owner=1", b"=\xc3\x28=\xf0\x9f"),
            sentence(".tag=1", "!done"),
            b"\0" * choose.randint(1, 2000),
            length_prefix(1 << choose.randrange(8, 32)),
            bytes([choose.randint(0xF0, 0xFF)]) + choose.randbytes(8),
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
        ]
    )

    return odd + data


SPOILS: list[Spoil] = [cut, flip, put_in, take_out, odd_sentence]


def stream(seed: int) -> tuple[bytes, bool]:
    """Return the bytes of a case, and whether they are a sound answer."""
    choose = random.Random(seed)
    sentences = sound(choose)
    kind = choose.randrange(8)
    if kind == 0:
        return b"".join(sentences), True

    if kind == 1:
        choose.shuffle(sentences)
        return b"".join(sentences), False

    if kind == 2:
        return choose.randbytes(choose.randint(1, 300)), False

    data = b"".join(sentences)
    for _ in range(choose.randint(1, 2)):
        data = choose.choice(SPOILS)(choose, data) or b"\0"

    return data, False


def words_of(data: bytes) -> Iterator[bytes]:
    """Yield the words that came whole, by MikroTik's manual of the API."""
    at = 0
    while at < len(data):
        first = data[at]
        size = 1 + sum(first >= limit for limit in (0x80, 0xC0, 0xE0, 0xF0))
        if first >= 0xF8 or at + size > len(data):
            return

        mask = 0xFF >> size if size > 1 else 0x7F
        head = b"" if size == 5 else bytes([first & mask])
        length = int.from_bytes(head + data[at + 1 : at + size], "big")
        at += size
        if at + length > len(data):
            return

        yield data[at : at + length]
        at += length


def told_by(data: bytes) -> dict[str, list[dict[str, str]]]:
    """Return the rows of the commands that a stream answers whole and without
    a trap, by tag.

    This is another reading than that of the session layer; it ends where a
    session has to.
    """
    rows: dict[str, list[dict[str, str]]] = {
        str(tag): [] for tag in range(1, COMMANDS + 1)
    }
    trapped: set[str] = set()
    answered_whole = {}
    words: list[str] = []

    for raw in words_of(data):
        if raw:
            words.append(raw.decode("utf-8", "surrogateescape"))
            continue

        reply, *others = words or [""]
        words = []
        if reply == "!fatal":
            break
        if reply not in ("!re", "!done", "!trap", "!empty"):
            continue

        tags = [word[5:] for word in others if word.startswith(".tag=")]
        tag = tags[-1] if tags else ""
        if tag not in rows:
            break
        if reply == "!re":
            pairs = [
                word[1:].partition("=") for word in others if word[0] == "="
            ]
            rows[tag].append({name: text for name, _, text in pairs})
        elif reply == "!trap":
            trapped.add(tag)
        elif reply == "!done":
            came = rows.pop(tag)
            if tag not in trapped:
                answered_whole[tag] = came

    return answered_whole


# --- a case


async def answered(seed: int) -> list[object]:
    """Run three commands, which the stream of the seed answers before the
    connection ends; return what came of each.
    """
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    wire = Wire(reader, writer)
    wire.logged_in()
    session = RouterSession(wire, silence=5.0)
    runs = [
        asyncio.ensure_future(session.run(Command("/x", "print"), deadline=5))
        for _ in range(COMMANDS)
    ]
    await asyncio.sleep(0)

    choose = random.Random(seed)
    data, _ = stream(seed)
    pieces = choose.randint(1, 3)
    loop = asyncio.get_running_loop()
    theirs.setblocking(False)

    try:
        size = len(data) // pieces + 1
        for start in range(0, len(data), size):
            await loop.sock_sendall(theirs, data[start : start + size])
            await asyncio.sleep(0)

        theirs.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the session has closed already, as it may

    outcomes = await asyncio.gather(*runs, return_exceptions=True)
    await session.close()
    assert session.closed is not None
    assert session.in_flight == 0
    writer.close()
    theirs.close()

    return list(outcomes)


def wrong(seed: int, outcomes: list[object]) -> list[str]:
    """Return what of the outcomes may not be."""
    typed = (Reply, Trap, ConnectionLost, DeadlineExceeded, Stalled)
    bad = [
        f"seed {seed}: {outcome!r}"
        for outcome in outcomes
        if not isinstance(outcome, typed)
    ]

    data, is_sound = stream(seed)
    told = told_by(data)
    for number, outcome in enumerate(outcomes, 1):
        came = told.get(str(number))
        rows = outcome.rows if isinstance(outcome, Reply) else None
        if rows != came:
            bad.append(f"seed {seed}: {rows} for {number}, told was {came}")

    if is_sound and any(
        isinstance(outcome, ConnectionLost) for outcome in outcomes
    ):
        bad.append(f"seed {seed}: a sound answer was not taken")

    return bad


def open_files() -> int:
    """Return how many files and sockets this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_z5_no_stream_hangs_mixes_up_or_leaves_anything() -> None:
    loop = asyncio.get_running_loop()
    complaints: list[str] = []
    loop.set_exception_handler(
        lambda _loop, context: complaints.append(str(context))
    )
    kinds: Counter[str] = Counter()
    bad: list[str] = []
    await answered(SEED)
    gc.collect()
    files, tasks = open_files(), len(asyncio.all_tasks())

    for start in range(SEED, SEED + STREAMS, AT_ONCE):
        seeds = range(start, start + AT_ONCE)
        for seed, outcomes in zip(
            seeds, await asyncio.gather(*map(answered, seeds)), strict=True
        ):
            kinds.update(type(outcome).__name__ for outcome in outcomes)
            bad += wrong(seed, outcomes)

    await asyncio.sleep(0)
    gc.collect()
    print(f"{STREAMS} streams from seed {SEED}: {dict(kinds)}")
    assert bad == []
    assert complaints == []
    assert len(asyncio.all_tasks()) == tasks
    assert open_files() == files
    assert kinds["Reply"] > 0
    assert kinds["Trap"] > 0
    assert kinds["ConnectionLost"] > 0
