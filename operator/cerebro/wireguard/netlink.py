"""What pyroute2 needs for thousands of messages: packed messages, and batches with an answer for each.

pyroute2 builds and reads a message attribute by attribute, with an object for each, and hands each packet through
queues of an event loop: some 0.2 ms for a route, 0.5 ms for a peer. That is fine for a link and too slow for 10,000
peers, so such messages are packed and unpacked by whoever needs them (`links`, `kernel`) and go over the library's
socket directly: the kernel answers while it is asked, so there is nothing to wait for. Sockets, families and errors
stay the library's.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import select
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct
from typing import Any, Generic, TypeVar

from pyroute2.netlink import NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, nlmsgerr
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nlsocket import AsyncNetlinkSocket

from cerebro.wireguard.backend import NotPermitted, WireGuardError

Answer = TypeVar("Answer")
Socket = TypeVar("Socket", bound=AsyncNetlinkSocket)

DEADLINE = 30.0
"""Seconds for one call; the kernel answers while it is asked, so this ends only what is broken."""

# Each message of a batch is answered by one small packet, and all of them wait in the socket's receive buffer.
BATCH = 64

NLM_F_DUMP_INTR = 0x10

# The kernel fills packets of a dump up to 32 KiB for a reader that takes as much.
_PACKET_BYTES = 1 << 16

_numbers = itertools.count(1)
"""Of requests; the library's own are never under way at the same time on a socket."""

_ANSWERED = NLM_F_REQUEST | NLM_F_ACK

_NAMESPACE = Path("/proc/thread-self/ns/net")
_HEADER = Struct("=IHHII")
_ERROR = Struct("=i")
_ATTRIBUTE = Struct("=HH")


@dataclass(frozen=True, slots=True)
class Request:
    """A message to the kernel, of a netlink type, with its payload packed."""

    kind: int
    flags: int
    payload: bytes = field(repr=False)

    def packed(self, number: int) -> bytes:
        """Return it as it is sent, with its sequence number."""
        length = _HEADER.size + len(self.payload)
        return _HEADER.pack(length, self.kind, self.flags | _ANSWERED, number, 0) + self.payload


def attribute(kind: int, value: bytes) -> bytes:
    """Return a netlink attribute, padded to four bytes; raise ValueError above 65,531 bytes of value."""
    length = len(value) + 4
    if length > 0xFFFF:
        raise ValueError(f"an attribute of {length} bytes does not fit into a netlink message")
    return _ATTRIBUTE.pack(length, kind) + value + b"\0" * (-length & 3)


class ThreadSocket(threading.local, Generic[Socket]):
    """A socket and its event loop, which every thread opens for itself and keeps: to open both takes ten times
    as long as to change a peer over them. A thread that went to another network namespace opens them anew.
    """

    def __init__(self, opening: Callable[[], AbstractAsyncContextManager[Socket]]) -> None:
        self._opening = opening
        self._kept: tuple[int, asyncio.Runner, AbstractAsyncContextManager[Socket], Socket] | None = None

    def run(self, call: Callable[[Socket], Coroutine[Any, Any, Answer]]) -> Answer:
        """Run a call of the library over the socket, in whatever thread this is; raise WireGuardError."""
        with self._in_words():
            runner, socket = self._get()
            return runner.run(_in_time(call(socket)))

    def ask(self, call: Callable[[Socket], Answer]) -> Answer:
        """Have packed messages sent over the socket: no event loop is needed for them. Raises as `run`."""
        with self._in_words():
            return call(self._get()[1])

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            self.close()
            raise WireGuardError(f"the kernel gave no answer within {DEADLINE:.0f} s") from error
        except NetlinkError as error:
            raise in_words(error) from error
        except OSError as error:
            self.close()
            raise WireGuardError(f"netlink: {error.strerror or error}") from error

    def close(self) -> None:
        """Let go of what this thread has open; the next call opens it anew."""
        kept, self._kept = self._kept, None
        if kept is not None:
            _, runner, manager, _ = kept
            with runner, suppress(OSError):
                runner.run(_exit(manager))

    def _get(self) -> tuple[asyncio.Runner, Socket]:
        namespace = _NAMESPACE.stat().st_ino
        if self._kept is None or self._kept[0] != namespace:
            self.close()
            runner, manager = asyncio.Runner(), self._opening()
            try:
                socket = runner.run(_in_time(_enter(manager)))
            except BaseException:
                runner.close()
                raise
            self._kept = namespace, runner, manager, socket
        return self._kept[1], self._kept[3]


async def _in_time(call: Coroutine[Any, Any, Answer]) -> Answer:
    async with asyncio.timeout(DEADLINE):
        return await call


async def _enter(manager: AbstractAsyncContextManager[Socket]) -> Socket:
    return await manager.__aenter__()


async def _exit(manager: AbstractAsyncContextManager[Any]) -> None:
    await manager.__aexit__(None, None, None)


def in_words(error: NetlinkError) -> WireGuardError:
    """Return the error that says what to do about a refusal of the kernel."""
    if error.code in (errno.EPERM, errno.EACCES):
        return NotPermitted(
            "this process may not change network interfaces: give the container the capability NET_ADMIN"
        )
    return WireGuardError(f"the kernel refused: {reason(error)}")


def reason(error: NetlinkError) -> str:
    """Return the kernel's own words for a refusal, with the error's name."""
    return f"{error.args[1]} ({errno.errorcode.get(error.code, error.code)})"


def send(socket: AsyncNetlinkSocket, requests: Sequence[Request]) -> list[NetlinkError | None]:
    """Send requests in their order, many in one go; return what became of each. One refusal stops no other."""
    outcomes: list[NetlinkError | None] = []
    for start in range(0, len(requests), BATCH):
        numbered = {next(_numbers): request for request in requests[start : start + BATCH]}
        found: dict[int, NetlinkError | None] = {}
        socket.socket.send(b"".join([request.packed(number) for number, request in numbered.items()]))
        while len(found) < len(numbered):
            for kind, _, number, data, offset, _ in _packet(socket):
                if kind == NLMSG_ERROR and number in numbered:
                    found[number] = _refusal(data, offset)
        outcomes += [found[number] for number in numbered]
    return outcomes


def dump(socket: AsyncNetlinkSocket, kind: int, payload: bytes) -> list[bytes]:
    """Ask for all objects of a kind; return the payloads of the answers. Raises NetlinkError.

    The kernel marks a dump during which something changed; such a one is asked for again.
    """
    for _ in range(5):
        answers, whole = _dump(socket, Request(kind, NLM_F_DUMP, payload))
        if whole:
            return answers
    raise WireGuardError(
        "the kernel's list changed while it was read, five times; the next pass reads it again"
    )


def _dump(socket: AsyncNetlinkSocket, request: Request) -> tuple[list[bytes], bool]:
    asked, whole = next(_numbers), True
    answers: list[bytes] = []
    socket.socket.send(request.packed(asked))
    while True:
        for kind, flags, number, data, offset, end in _packet(socket):
            if number != asked:
                continue
            whole = whole and not flags & NLM_F_DUMP_INTR
            if kind == NLMSG_DONE:
                return answers, whole
            if kind == NLMSG_ERROR:
                refusal = _refusal(data, offset)
                assert refusal is not None, "a dump is never acknowledged"
                raise refusal
            answers.append(data[offset + _HEADER.size : end])


def _packet(socket: AsyncNetlinkSocket) -> Iterator[tuple[int, int, int, bytes, int, int]]:
    """Yield type, flags and number of each message in one packet, with the packet, its start and its end there."""
    ready = select.poll()  # select() knows no descriptor above 1023, and an agent has one for each router
    ready.register(socket.socket, select.POLLIN)
    if not ready.poll(DEADLINE * 1000):
        raise TimeoutError
    data = socket.socket.recv(_PACKET_BYTES)
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, flags, number, _ = _HEADER.unpack_from(data, offset)
        yield kind, flags, number, data, offset, offset + length
        offset += max(length + 3 & ~3, _HEADER.size)


def _refusal(data: bytes, offset: int) -> NetlinkError | None:
    if _ERROR.unpack_from(data, offset + _HEADER.size)[0] == 0:
        return None
    message = nlmsgerr(data, offset=offset)
    message.decode()
    return NetlinkError(abs(message["error"]), message.get("msg"))
