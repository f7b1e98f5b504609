"""A bare client for the binary API, written for these tests alone: it shows every word as it came."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Self

DEADLINE = 60.0


def word(raw: bytes) -> bytes:
    """One word with its prefix."""
    for limit, flag, size in (
        (0x80, 0, 1),
        (0x4000, 0x8000, 2),
        (0x200000, 0xC00000, 3),
    ):
        if len(raw) < limit:
            return (len(raw) | flag).to_bytes(size, "big") + raw
    return (len(raw) | 0xE0000000).to_bytes(4, "big") + raw


def sentence(*words: str | bytes) -> bytes:
    """A whole sentence."""
    parts = [word(w.encode() if isinstance(w, str) else w) for w in words]
    return b"".join(parts) + b"\x00"


@dataclass
class Answer:
    """What came for one command: rows, traps as (category, message), `=ret=`, whether `!empty` came."""

    rows: list[dict[str, str]]
    traps: list[tuple[str | None, str]]
    ret: str | None = None
    empty: bool = False


class Wire:
    """One connection. `read` gives a sentence as words, None at the end of the stream."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port: int) -> Self:
        return cls(
            *await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
        )

    async def close(self) -> None:
        self.writer.close()

    def send(self, *words: str | bytes) -> None:
        self.writer.write(sentence(*words))

    async def read(self) -> list[bytes] | None:
        words: list[bytes] = []
        while True:
            raw = await asyncio.wait_for(self._word(), DEADLINE)
            if raw is None:
                return None
            if not raw:
                return words
            words.append(raw)

    async def _word(self) -> bytes | None:
        try:
            first = (await self.reader.readexactly(1))[0]
            extra = (
                0
                if first < 0x80
                else 1
                if first < 0xC0
                else 2
                if first < 0xE0
                else 3
            )
            length = first & (0x7F, 0x3F, 0x1F, 0x0F)[extra]
            for byte in await self.reader.readexactly(extra):
                length = length << 8 | byte
            return await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def texts(self) -> list[str]:
        """The next sentence as text; an ended stream is ["closed"]."""
        words = await self.read()
        return (
            ["closed"]
            if words is None
            else [w.decode(errors="surrogateescape") for w in words]
        )

    async def ask(self, *words: str | bytes) -> Answer:
        """Send a command without a tag and take in its whole answer."""
        self.send(*words)
        answer = Answer([], [])
        while True:
            kind, *rest = await self.texts()
            values = dict(
                w[1:].split("=", 1) for w in rest if w.startswith("=")
            )
            if kind == "!re":
                answer.rows.append(values)
            elif kind == "!trap":
                answer.traps.append(
                    (values.get("category"), values["message"])
                )
            elif kind == "!empty":
                answer.empty = True
            elif kind == "!done":
                answer.ret = values.get("ret")
                return answer
            else:
                raise AssertionError(f"{kind} {rest}")

    async def login(
        self, user: str = "cerebro", password: str = "secret"
    ) -> Self:
        answer = await self.ask(
            "/login", f"=name={user}", f"=password={password}"
        )
        assert answer == Answer([], [])
        return self
