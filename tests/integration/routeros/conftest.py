"""The session against two counterparts: a router scripted byte by byte here, and the simulator.

Real: sockets on loopback, TLS of OpenSSL with throw-away certificates, librouteros' codec, the simulator as a
program of its own. Faked: what the scripted router says, written with a codec of this file's own.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from ssl import SSLContext

import pytest

from cerebro.routeros.client.connection import connect
from cerebro.routeros.client.session import RouterSession

HACK = Path(__file__).parents[3] / "hack"


def length_prefix(length: int) -> bytes:
    """As in MikroTik's manual of the API."""
    for size, limit, mark in (
        (1, 0x80, 0),
        (2, 0x4000, 0x8000),
        (3, 0x200000, 0xC00000),
        (4, 1 << 28, 0xE0 << 24),
    ):
        if length < limit:
            return (length | mark).to_bytes(size, "big")
    return b"\xf0" + length.to_bytes(4, "big")


def sentence(*words: str | bytes) -> bytes:
    """The bytes of one sentence."""
    parts = [
        word.encode("utf-8", "surrogateescape")
        if isinstance(word, str)
        else word
        for word in words
    ]
    return b"".join(length_prefix(len(part)) + part for part in parts) + b"\0"


class Caller:
    """One accepted connection, seen from the router."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.seen: list[list[str]] = []

    async def _word(self) -> str:
        first = (await self.reader.readexactly(1))[0]
        more = next(
            extra
            for extra, limit in enumerate((0x80, 0xC0, 0xE0, 0xF0, 0xF8))
            if first < limit
        )
        rest = await self.reader.readexactly(more)
        top = 0 if more == 4 else first & (0x7F >> more)
        length = int.from_bytes(bytes([top]) + rest, "big")
        return (await self.reader.readexactly(length)).decode(
            "utf-8", "surrogateescape"
        )

    async def next(self) -> tuple[str, list[str], str]:
        """The next command: its word, its other words, and `.tag=…` (empty without one)."""
        words: list[str] = []
        while (word := await self._word()) or not words:
            if word:
                words.append(word)
        self.seen.append(words)
        tag = next((word for word in words if word.startswith(".tag=")), "")
        return words[0], [word for word in words[1:] if word != tag], tag

    async def say(self, *words: str | bytes) -> None:
        """Send one sentence; empty words are left out."""
        await self.raw(sentence(*(word for word in words if word)))

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def let_in(self) -> None:
        """Accept whatever login comes."""
        word, _, _ = await self.next()
        assert word == "/login"
        await self.say("!done")

    async def serve(self) -> None:
        """Echo for ever: a print gives one row of its query words, anything else returns its attributes."""
        while True:
            await self.echo(*await self.next())

    async def echo(self, word: str, words: list[str], tag: str) -> None:
        if word == "/quit":
            await self.say("!fatal", "session terminated on request")
            raise EOFError
        if word.endswith("/print"):
            await self.say("!re", tag, f"=echo={','.join(words)}")
            await self.say("!done", tag)
        else:
            await self.say("!done", tag, f"=ret={','.join(words)}")

    async def until_closed(self) -> None:
        """Read and answer nothing until the other side closes or resets."""
        with suppress(ConnectionResetError):
            while await self.reader.read(1 << 16):
                pass


Script = Callable[[Caller], Awaitable[None]]


@dataclass
class ScriptedRouter:
    """Listens on loopback; each connection runs `script`, and is closed when that ends."""

    script: Script
    tls: SSLContext | None = None
    port: int = 0
    callers: list[Caller] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    server: asyncio.Server | None = None

    async def start(self) -> None:
        self.server = await asyncio.start_server(
            self._accept, "127.0.0.1", 0, ssl=self.tls, limit=1 << 16
        )
        self.port = self.server.sockets[0].getsockname()[1]

    async def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        caller = Caller(reader, writer)
        self.callers.append(caller)
        try:
            with suppress(EOFError, ConnectionError):
                await self.script(caller)
        except Exception as error:
            self.failures.append(error)
        finally:
            writer.close()

    async def stop(self) -> None:
        assert self.server is not None
        self.server.close()
        for caller in self.callers:
            caller.writer.transport.abort()


@pytest.fixture(scope="session")
def scripted_router() -> type[ScriptedRouter]:
    """The class, for tests that run event loops of their own."""
    return ScriptedRouter


Serve = Callable[..., Awaitable[ScriptedRouter]]
OpenSession = Callable[..., Awaitable[tuple[RouterSession, ScriptedRouter]]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a scripted router; a script that failed fails the test."""
    routers: list[ScriptedRouter] = []

    async def start(
        script: Script, tls: SSLContext | None = None
    ) -> ScriptedRouter:
        router = ScriptedRouter(script, tls)
        await router.start()
        routers.append(router)
        return router

    yield start
    for router in routers:
        await router.stop()
    assert [failure for router in routers for failure in router.failures] == []


@pytest.fixture
async def open_session(serve: Serve) -> AsyncIterator[OpenSession]:
    """A session with a router that accepts the login and then follows the script."""
    sessions: list[RouterSession] = []

    async def start(
        script: Script,
        timeout: float = 60.0,  # noqa: ASYNC109 - a bound of the test
    ) -> tuple[RouterSession, ScriptedRouter]:
        async def after_login(caller: Caller) -> None:
            await caller.let_in()
            await script(caller)

        router = await serve(after_login)
        session = await connect(
            "127.0.0.1",
            router.port,
            [("user", "secret-word")],
            timeout=timeout,
        )
        sessions.append(session)
        return session, router

    yield start
    for session in sessions:
        await session.close()


@dataclass(frozen=True)
class SimulatedRouter:
    """Where the simulator listens."""

    port: int
    control: str
    name: str = "r1"
    credentials: tuple[tuple[str, str], ...] = (("cerebro", "pass-of-r1"),)


@pytest.fixture(scope="session")
def simulated_router(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SimulatedRouter]:
    """A router of the simulator, which runs as a program of its own."""
    ports = tmp_path_factory.mktemp("simulator") / "ports.json"
    options = [
        "--control",
        "127.0.0.1:0",
        "--routers",
        "1",
        "--base-port",
        "0",
        "--password",
        "pass-of-r1",
    ]
    command = [
        sys.executable,
        "-m",
        "simulator",
        *options,
        "--port-file",
        str(ports),
    ]
    with subprocess.Popen(command, cwd=HACK) as process:
        try:
            for _ in range(1200):
                if ports.exists() or process.poll() is not None:
                    break
                time.sleep(0.1)
            listening = json.loads(ports.read_text())
            yield SimulatedRouter(
                listening["routers"][0]["port"], listening["control"]
            )
        finally:
            process.terminate()
            process.wait(60)
