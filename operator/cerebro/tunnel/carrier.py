"""One wireguard-go: started, started again when it dies, and gone with this process."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import signal
import socket
import struct
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from cerebro.tunnel.requests import LONGEST_LINE, Refusal, explain

_START_WITHIN = 10.0
_VANISH_WITHIN = 2.0
_FIRST_PAUSE, _LONGEST_PAUSE, _STABLE_AFTER = 0.2, 10.0, 30.0
_MOST_LINES = 100
_SIOCSIFMTU = 0x8922
_PR_SET_PDEATHSIG = 1
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_libc = ctypes.CDLL(None)

log = structlog.get_logger(__name__)


class Carried:
    """An interface that is wanted. `socket`: where its wireguard-go listens."""

    def __init__(self, name: str, mtu: int, socket: Path) -> None:
        self.name, self.mtu = name, mtu
        self.expires: float | None = None
        """When it is dropped, by the keeper's clock; None without a watchdog."""
        self._socket = socket
        self._up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None
        self._words = ""

    def start(self) -> None:
        """Begin to carry it."""
        self._task = asyncio.create_task(self._carry(), name=f"carry {self.name}")

    async def wait_up(self) -> None:
        """Wait until it is there for the first time; raise Refusal when that fails."""
        await asyncio.shield(self._up)

    async def end(self) -> None:
        """Kill wireguard-go and wait until it is gone: nothing that it would do by itself is needed."""
        if self._task is None:
            return
        if not self._up.done():
            self._fail(Refusal("Dropped", f"{self.name} was dropped before it was there; ask again"))
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    def _fail(self, refusal: Refusal) -> None:
        self._up.set_exception(refusal)
        self._up.exception()  # nobody may be waiting any more

    async def _carry(self) -> None:
        """Run wireguard-go for as long as this is wanted; a first start that fails is told and not repeated."""
        pause = _FIRST_PAUSE
        while True:
            started = time.monotonic()
            try:
                await self._run()
            except Refusal as refusal:
                if not self._up.done():
                    return self._fail(refusal)
                self._words = str(refusal)
            if time.monotonic() - started > _STABLE_AFTER:
                pause = _FIRST_PAUSE
            log.error("ended, starts again", interface=self.name, pause=pause, words=self._words)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _run(self) -> None:
        """Run wireguard-go once, to its end. Raises Refusal when it does not come up."""
        self._words = ""
        try:
            process = await asyncio.create_subprocess_exec(
                "wireguard-go", "--foreground", self.name,
                stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, limit=LONGEST_LINE, start_new_session=True,
                preexec_fn=_bound_to(os.getpid()), env=os.environ | {"LOG_LEVEL": "error"},
            )  # fmt: skip
        except FileNotFoundError:
            raise Refusal("WireGuardNotAvailable", "there is no wireguard-go here: install it") from None
        except OSError as error:
            raise Refusal("WireGuardError", f"wireguard-go does not start: {error.strerror}") from None
        output = asyncio.create_task(self._read_output(process))
        try:
            await self._come_up(process)
            await process.wait()
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            await output
            with suppress(OSError):
                self._socket.unlink()

    async def _come_up(self, process: Process) -> None:
        until = time.monotonic() + _START_WITHIN
        while not (exists(self.name) and answers(self._socket)):
            if process.returncode is not None:
                await asyncio.sleep(0.1)  # for what it printed
                raise explain(self.name, self._words)
            if time.monotonic() > until:
                raise Refusal("WireGuardError", f"wireguard-go did not bring up {self.name} in time")
            await asyncio.sleep(0.02)
        try:
            _set_mtu(self.name, self.mtu)
        except OSError as error:
            words = f"{self.name} takes no MTU {self.mtu}: {error.strerror}"
            raise Refusal("WireGuardError", words) from None
        log.info("carries", interface=self.name, mtu=self.mtu, process=process.pid)
        if not self._up.done():
            self._up.set_result(None)

    async def _read_output(self, process: Process) -> None:
        """Keep and log its errors, but not those about peers, of which ten thousand may be silent at once."""
        assert process.stdout is not None
        lines_left = _MOST_LINES
        while True:
            try:
                line = (await process.stdout.readline()).decode(errors="replace")
            except ValueError:  # a line longer than the limit
                continue
            if not line:
                return
            if line.startswith("ERROR") and " peer(" not in line:
                self._words = line.strip()[:500]
                if lines_left:
                    lines_left -= 1
                    log.warning("wireguard-go", interface=self.name, words=self._words)


def exists(name: str) -> bool:
    """Tell whether a link of that name is there, in our network namespace."""
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


async def vanishes(name: str) -> bool:
    """Tell whether a link that is there goes away soon, as a predecessor's does that was killed just now."""
    until = time.monotonic() + _VANISH_WITHIN
    while exists(name):
        if time.monotonic() > until:
            return False
        await asyncio.sleep(0.05)
    return True


def answers(path: Path) -> bool:
    """Tell whether somebody listens on a Unix socket; a file that was left behind is nobody."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _set_mtu(name: str, mtu: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFMTU, struct.pack("16si12x", name.encode(), mtu))


def _bound_to(parent: int) -> Callable[[], None]:
    """Return what a child does before it becomes wireguard-go: die with us, and take signals that we block.

    The kernel means the thread that forks; that is the event loop's, which is there to the end.
    """

    def bind() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    return bind
