"""What pyroute2 needs for thousands of messages: packed messages, and batches with an answer for each.

pyroute2 builds and reads a message attribute by attribute, with an object for each: some 0.2 ms for a route,
0.5 ms for a peer. That is fine for a link and too slow for 10,000 peers, so such messages are packed and
unpacked by whoever needs them (`links`, `kernel`), through the library's own extension points: a message class
with its own `encode` and `decode`. Sockets, sequence numbers, requests and errors stay the library's.
"""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from struct import Struct
from typing import Any, Generic, TypeVar

from pyroute2.netlink import NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, nlmsg
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nlsocket import AsyncNetlinkSocket, NetlinkRequest

from cerebro.wireguard.backend import NotPermitted, WireGuardError

Answer = TypeVar("Answer")
Socket = TypeVar("Socket", bound=AsyncNetlinkSocket)

DEADLINE = 30.0
"""Seconds for one call; the kernel answers while it is asked, so this ends only what is broken."""

# Each message of a batch is answered by one small packet, and all of them wait in the socket's receive buffer.
BATCH = 64

NLM_F_DUMP_INTR = 0x10

_NAMESPACE = Path("/proc/thread-self/ns/net")
_HEADER = Struct("=IHHII")
_ATTRIBUTE = Struct("=HH")


class Packed(nlmsg):  # type: ignore[misc] # the library has no types
    """A message whose payload is bytes already, and is left as bytes when it is read."""

    def __init__(self, data: Any = None, offset: int = 0, **options: Any) -> None:
        super().__init__(data, offset, **options)
        self.payload = b""

    @classmethod
    def of(cls, kind: int, flags: int, payload: bytes) -> Packed:
        """Return a request of netlink type `kind`."""
        message = cls()
        message["header"].update(type=kind, flags=NLM_F_REQUEST | flags)
        message.payload = payload
        return message

    def encode(self) -> None:
        """Put the header before the payload."""
        header = self["header"]
        length = _HEADER.size + len(self.payload)
        self.data = bytearray(
            _HEADER.pack(length, header["type"], header["flags"], header["sequence_number"], header["pid"])
        )
        self.data += self.payload

    def decode(self) -> None:
        """Read the header, and keep the rest as it came."""
        length, kind, flags, number, pid = _HEADER.unpack_from(self.data, self.offset)
        self["header"] = {
            "length": length, "type": kind, "flags": flags, "sequence_number": number, "pid": pid
        }  # fmt: skip
        self.payload = bytes(self.data[self.offset + _HEADER.size : self.offset + length])
        self.length = length
        self.decoded = True


def attribute(kind: int, value: bytes) -> bytes:
    """Return a netlink attribute, padded to four bytes; raise ValueError above 65,531 bytes of value."""
    length = len(value) + 4
    if length > 0xFFFF:
        raise ValueError(f"an attribute of {length} bytes does not fit into a netlink message")
    return _ATTRIBUTE.pack(length, kind) + value + b"\0" * (-length & 3)


class Line(threading.local, Generic[Socket]):
    """A socket and its event loop, which every thread opens for itself and keeps: to open both takes ten times
    as long as to change a peer over them. A thread that went to another network namespace opens them anew.
    """

    def __init__(self, opening: Callable[[], AbstractAsyncContextManager[Socket]]) -> None:
        self._opening = opening
        self._kept: tuple[int, asyncio.Runner, AbstractAsyncContextManager[Socket], Socket] | None = None

    def run(self, call: Callable[[Socket], Coroutine[Any, Any, Answer]]) -> Answer:
        """Run a call over the socket, in whatever thread this is; raise WireGuardError."""
        try:
            runner, socket = self._get()
            return runner.run(_in_time(call(socket)))
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


async def send(
    socket: AsyncNetlinkSocket, messages: Sequence[Packed], *, beside: bool = False
) -> list[NetlinkError | None]:
    """Send messages in their order, many in one go; return what became of each. One refusal stops no other.

    The kernel does its work while they are sent. `beside`: that goes on in another thread meanwhile.
    """
    outcomes: list[NetlinkError | None] = []
    for start in range(0, len(messages), BATCH):
        requests = []
        for message in messages[start : start + BATCH]:
            message["header"]["flags"] |= NLM_F_ACK
            requests.append(request := NetlinkRequest(socket, message))
            await request.prepare()
        data = b"".join(request.msg.data for request in requests)
        if beside:
            # The library gives each thread a socket of its own; this is that of ours.
            await asyncio.get_running_loop().run_in_executor(None, socket.socket.send, data)
        else:
            socket.send(data)
        outcomes.extend([await _outcome(request) for request in requests])
    return outcomes


async def _outcome(request: NetlinkRequest) -> NetlinkError | None:
    try:
        async for _ in request.response():
            pass
    except NetlinkError as error:
        return error
    return None


async def dump(socket: AsyncNetlinkSocket, kind: int, payload: bytes) -> list[bytes]:
    """Ask for all objects of a kind; return the payloads of the answers.

    The kernel marks a dump during which something changed; such a one is asked for again.
    """
    for _ in range(5):
        request = NetlinkRequest(socket, Packed.of(kind, NLM_F_DUMP, payload))
        await request.send()
        answers = [answer async for answer in request.response()]
        if not any(answer["header"]["flags"] & NLM_F_DUMP_INTR for answer in answers):
            return [answer.payload for answer in answers]
    raise WireGuardError(
        "the kernel's list changed while it was read, five times; the next pass reads it again"
    )
