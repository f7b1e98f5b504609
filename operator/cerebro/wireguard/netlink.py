"""What pyroute2 needs for thousands of messages: packed messages, and batches
with an answer for each.

pyroute2 builds and reads a message attribute by attribute, with an object for
each, and hands each packet through queues of an event loop: some 0.2 ms for a
route, 0.5 ms for a peer. That is fine for a link and too slow for 10,000
peers, so such messages are packed and unpacked by whoever needs them (`links`,
`kernel`) and go over the library's socket directly: the kernel answers while
it is asked, so there is nothing to wait for. Sockets, families and errors stay
the library's.
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

from pyroute2.netlink import (
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    nlmsgerr,
)
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nlsocket import AsyncNetlinkSocket

from cerebro.wireguard.backend import NotPermitted, WireGuardError

Answer = TypeVar("Answer")
Socket = TypeVar("Socket", bound=AsyncNetlinkSocket)

DEADLINE = 30.0
"""Seconds for one call; the kernel answers while it is asked, so this ends
only what is broken.
"""

# Each message of a batch is answered by one small packet, and all of them wait
# in the socket's receive buffer.
BATCH = 64

NLM_F_DUMP_INTR = 0x10
"""Of linux/netlink.h: the kernel's list changed while it was dumped."""

_DUMP_TRIES = 5

# The kernel fills packets of a dump up to 32 KiB for a reader that takes as
# much.
_PACKET_BYTES = 1 << 16

_numbers = itertools.count(1)
"""Of requests; the library's own are never under way at the same time on a
socket.
"""

_ANSWERED = NLM_F_REQUEST | NLM_F_ACK

_NAMESPACE = Path("/proc/thread-self/ns/net")
_HEADER = Struct("=IHHII")
_ERROR = Struct("=i")
_ATTRIBUTE = Struct("=HH")


@dataclass(frozen=True, slots=True)
class Request:
    """A message to the kernel, of a netlink type, with its payload packed."""

    kind: int
    """The netlink type: of an object's kind, or of a generic family."""

    flags: int
    """Besides those of every request."""

    payload: bytes = field(repr=False)
    """May hold keys."""

    def packed(self, number: int) -> bytes:
        """Return the message as it is sent, with its sequence number."""
        length = _HEADER.size + len(self.payload)

        return (
            _HEADER.pack(length, self.kind, self.flags | _ANSWERED, number, 0)
            + self.payload
        )


def attribute(kind: int, value: bytes) -> bytes:
    """Return a netlink attribute, padded to four bytes; raise ValueError above
    65,531 bytes of value.
    """
    length = len(value) + 4
    if length > 0xFFFF:
        raise ValueError(
            f"an attribute of {length} bytes does not fit into a netlink message"
        )

    return _ATTRIBUTE.pack(length, kind) + value + b"\0" * (-length & 3)


@dataclass(frozen=True, slots=True)
class _Open(Generic[Socket]):
    """What a thread has open."""

    namespace: int
    """The network namespace that the socket is in, by its inode."""

    runner: asyncio.Runner

    manager: AbstractAsyncContextManager[Socket]
    """What opened the socket, and closes it."""

    socket: Socket


class ThreadSocket(threading.local, Generic[Socket]):
    """A socket and its event loop, which every thread opens for itself and
    keeps.

    To open both takes ten times as long as to change a peer over them. A
    thread that went to another network namespace opens them anew.
    """

    def __init__(
        self, opening: Callable[[], AbstractAsyncContextManager[Socket]]
    ) -> None:
        self._opening = opening
        self._open: _Open[Socket] | None = None

    def run(
        self, call: Callable[[Socket], Coroutine[Any, Any, Answer]]
    ) -> Answer:
        """Run a call of the library over this thread's socket. Raises
        WireGuardError.
        """
        with self._errors_in_words():
            current = self._current()
            return current.runner.run(_in_time(call(current.socket)))

    def ask(self, call: Callable[[Socket], Answer]) -> Answer:
        """Call a function that sends packed messages over this thread's
        socket: they need no event loop.

        Raises as `run`.
        """
        with self._errors_in_words():
            return call(self._current().socket)

    @contextmanager
    def _errors_in_words(self) -> Iterator[None]:
        """Raise WireGuardError for what goes wrong; close a socket whose state
        nobody knows any more.
        """
        try:
            yield
        except TimeoutError as error:
            self.close()
            raise WireGuardError(
                f"the kernel gave no answer within {DEADLINE:.0f} s"
            ) from error
        except NetlinkError as error:
            raise in_words(error) from error
        except OSError as error:
            self.close()
            raise WireGuardError(
                f"netlink: {error.strerror or error}"
            ) from error

    def close(self) -> None:
        """Close what this thread has open; the next call opens it anew."""
        current, self._open = self._open, None
        if current is None:
            return

        with current.runner, suppress(OSError):
            current.runner.run(_exit(current.manager))

    def _current(self) -> _Open[Socket]:
        """Return what this thread has open in the namespace that it is in now."""
        namespace = _NAMESPACE.stat().st_ino
        if self._open is not None and self._open.namespace == namespace:
            return self._open

        self.close()
        runner = asyncio.Runner()
        manager = self._opening()
        try:
            socket = runner.run(_in_time(_enter(manager)))
        except BaseException:
            runner.close()
            raise

        self._open = _Open(namespace, runner, manager, socket)

        return self._open


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


def send(
    socket: AsyncNetlinkSocket, requests: Sequence[Request]
) -> list[NetlinkError | None]:
    """Send requests in their order, many in one go; return what became of
    each, None for success.

    One that is refused stops no other. Raises TimeoutError, OSError.
    """
    outcomes: list[NetlinkError | None] = []
    for start in range(0, len(requests), BATCH):
        outcomes += _send_batch(socket, requests[start : start + BATCH])

    return outcomes


def _send_batch(
    socket: AsyncNetlinkSocket, requests: Sequence[Request]
) -> list[NetlinkError | None]:
    numbered = {next(_numbers): request for request in requests}
    socket.socket.send(
        b"".join(
            [request.packed(number) for number, request in numbered.items()]
        )
    )

    outcomes: dict[int, NetlinkError | None] = {}
    while len(outcomes) < len(numbered):
        for kind, _, number, data, offset, _ in _packet(socket):
            if kind == NLMSG_ERROR and number in numbered:
                outcomes[number] = _refusal(data, offset)

    return [outcomes[number] for number in numbered]


def dump(socket: AsyncNetlinkSocket, kind: int, payload: bytes) -> list[bytes]:
    """Request all objects of a kind; return the payloads of the answers.

    The kernel marks a dump during which something changed; such a dump is
    requested anew. Raises NetlinkError, WireGuardError if the list never holds
    still, TimeoutError, OSError.
    """
    for _ in range(_DUMP_TRIES):
        answers, whole = _dump(socket, Request(kind, NLM_F_DUMP, payload))
        if whole:
            return answers

    raise WireGuardError(
        "the kernel's list changed while it was read, five times; the next pass reads it again"
    )


def _dump(
    socket: AsyncNetlinkSocket, request: Request
) -> tuple[list[bytes], bool]:
    """Return the payloads of the answers, and whether nothing changed
    meanwhile.
    """

    own_number = next(_numbers)
    whole = True
    answers: list[bytes] = []
    socket.socket.send(request.packed(own_number))

    while True:
        for kind, flags, number, data, offset, end in _packet(socket):
            if number != own_number:
                continue

            if flags & NLM_F_DUMP_INTR:
                whole = False

            if kind == NLMSG_DONE:
                return answers, whole

            if kind == NLMSG_ERROR:
                refusal = _refusal(data, offset)
                assert refusal is not None, "a dump is never acknowledged"

                raise refusal

            answers.append(data[offset + _HEADER.size : end])


def _packet(
    socket: AsyncNetlinkSocket,
) -> Iterator[tuple[int, int, int, bytes, int, int]]:
    """Yield type, flags and number of each message in one packet, then the
    packet, and start and end in it.
    """

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
    """Return the error in an answer to a request; None if the answer says that
    the request was done.
    """
    if _ERROR.unpack_from(data, offset + _HEADER.size)[0] == 0:
        return None

    message = nlmsgerr(data, offset=offset)
    message.decode()

    return NetlinkError(abs(message["error"]), message.get("msg"))
