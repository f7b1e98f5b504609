"""One wireguard-go: started, started again when it dies, and gone with this
process.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import signal
import socket
import struct
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from cerebro.runtime.clock import monotonic
from cerebro.runtime.times import BootTime
from cerebro.tunnel.requests import LONGEST_LINE, Refusal, explain

_START_WITHIN = 10.0
"""Seconds in which wireguard-go must have made the interface and its socket.
"""
_VANISH_WITHIN = 2.0
"""Seconds in which the interface of a predecessor that was killed just now
goes away.
"""
_FIRST_PAUSE = 0.2
"""Seconds until wireguard-go is started again; twice as long each time."""
_LONGEST_PAUSE = 10.0
_STABLE_AFTER = 30.0
"""Seconds after which the pause begins anew."""
_MOST_LINES = 100
"""Errors of one wireguard-go that are logged."""
_SIOCSIFMTU = 0x8922
"""ioctl that sets the MTU of an interface, see netdevice(7)."""
_PR_SET_PDEATHSIG = 1
"""prctl that asks for a signal at the parent's death, see prctl(2)."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
"""Signals that this process blocks, see `cli/main.py`."""
_libc = ctypes.CDLL(None)

log = structlog.get_logger(__name__)


class Carried:
    """An interface that is wanted, and the wireguard-go that makes it."""

    def __init__(self, name: str, mtu: int, socket: Path) -> None:
        """`socket` is where wireguard-go listens for the configuration of this
        interface.
        """

        self.name = name
        self.mtu = mtu
        self.expires: BootTime | None = None
        """When it is dropped; None without a watchdog."""
        self._socket = socket
        self._up: asyncio.Future[None] = (
            asyncio.get_running_loop().create_future()
        )

        """Done once the interface was there, or could not be made at the first
        try.
        """

        self._task: asyncio.Task[None] | None = None
        self._last_error = ""
        """What wireguard-go printed last."""

    def start(self) -> None:
        """Start to carry the interface."""
        self._task = asyncio.create_task(
            self._carry(), name=f"carry {self.name}"
        )

    async def wait_up(self) -> None:
        """Return once the interface was there for the first time. Raises
        Refusal if that failed.
        """
        await asyncio.shield(self._up)

    async def end(self) -> None:
        """Kill wireguard-go and wait until it is gone: nothing that it would
        do by itself is needed.
        """
        if self._task is None:
            return

        if not self._up.done():
            self._fail(
                Refusal(
                    "Dropped",
                    f"{self.name} was dropped before it was there; ask again",
                )
            )

        self._task.cancel()

        with suppress(asyncio.CancelledError):
            await self._task

    def _fail(self, refusal: Refusal) -> None:
        self._up.set_exception(refusal)
        self._up.exception()  # nobody may be waiting any more

    async def _carry(self) -> None:
        """Run wireguard-go for as long as the interface is wanted.

        A first start that fails is told to whoever waits, and not repeated.
        """
        pause = _FIRST_PAUSE
        while True:
            started = monotonic()

            try:
                await self._run()
            except Refusal as refusal:
                if not self._up.done():
                    self._fail(refusal)
                    return

                self._last_error = str(refusal)

            ran_long = monotonic() - started > _STABLE_AFTER
            if ran_long:
                pause = _FIRST_PAUSE

            log.error(
                "ended, starts again",
                interface=self.name,
                pause=pause,
                words=self._last_error,
            )

            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _run(self) -> None:
        """Run wireguard-go once, to its end. Raises Refusal if it does not
        come up.
        """
        self._last_error = ""
        process = await self._spawn()
        output = asyncio.create_task(self._read_output(process))
        try:
            await self._come_up(process)
            await process.wait()
        finally:
            # Nothing of it stays: neither the process nor its socket's file.
            with suppress(ProcessLookupError):
                process.kill()

            await process.wait()
            await output

            with suppress(OSError):
                self._socket.unlink()

    async def _spawn(self) -> Process:
        """Start wireguard-go; it dies with this process. Raises Refusal if it
        cannot be started.
        """
        try:
            return await asyncio.create_subprocess_exec(
                "wireguard-go",
                "--foreground",
                self.name,
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=STDOUT,
                limit=LONGEST_LINE,
                start_new_session=True,
                preexec_fn=_bound_to(os.getpid()),
                env=os.environ | {"LOG_LEVEL": "error"},
            )
        except FileNotFoundError:
            raise Refusal(
                "WireGuardNotAvailable",
                "there is no wireguard-go here: install it",
            ) from None
        except OSError as error:
            raise Refusal(
                "WireGuardError",
                f"wireguard-go does not start: {error.strerror}",
            ) from None

    async def _come_up(self, process: Process) -> None:
        """Wait until interface and socket are there, and set the MTU. Raises
        Refusal if that fails.
        """

        until = monotonic() + _START_WITHIN
        while not (exists(self.name) and answers(self._socket)):
            if process.returncode is not None:
                await asyncio.sleep(0.1)  # for what it printed
                raise explain(self.name, self._last_error)

            if monotonic() > until:
                raise Refusal(
                    "WireGuardError",
                    f"wireguard-go did not bring up {self.name} in time",
                )

            await asyncio.sleep(0.02)

        try:
            _set_mtu(self.name, self.mtu)
        except OSError as error:
            message = f"{self.name} takes no MTU {self.mtu}: {error.strerror}"
            raise Refusal("WireGuardError", message) from None

        log.info(
            "carries", interface=self.name, mtu=self.mtu, process=process.pid
        )

        if not self._up.done():
            self._up.set_result(None)

    async def _read_output(self, process: Process) -> None:
        """Keep and log the errors of wireguard-go, up to its end.

        Errors about peers are left out: ten thousand peers may be silent at
        once.
        """
        assert process.stdout is not None
        remaining = _MOST_LINES
        while True:
            try:
                line = (await process.stdout.readline()).decode(
                    errors="replace"
                )
            except ValueError:  # a line longer than the limit
                continue

            if not line:
                return

            is_error = line.startswith("ERROR") and " peer(" not in line
            if not is_error:
                continue

            self._last_error = line.strip()[:500]
            if remaining:
                remaining -= 1
                log.warning(
                    "wireguard-go", interface=self.name, words=self._last_error
                )


def exists(name: str) -> bool:
    """Return whether a link of that name is there, in our network namespace."""
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False

    return True


async def vanishes(name: str) -> bool:
    """Return whether a link goes away within 2 s, as that of a predecessor
    does that was killed just now.
    """
    until = monotonic() + _VANISH_WITHIN
    while exists(name):
        if monotonic() > until:
            return False

        await asyncio.sleep(0.05)

    return True


def answers(path: Path) -> bool:
    """Return whether somebody listens on a Unix socket; nobody listens on a
    file that was left behind.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)

        try:
            probe.connect(str(path))
        except OSError:
            return False

    return True


def _set_mtu(name: str, mtu: int) -> None:
    """Set the MTU of an interface. Raises OSError."""
    request = struct.pack("16si12x", name.encode(), mtu)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFMTU, request)


def _bound_to(parent: int) -> Callable[[], None]:
    """Return what a child does before it becomes wireguard-go: die with us,
    and take signals that we block.

    By the parent the kernel means the thread that forks. That is the event
    loop's, which is there to the end.
    """

    def bind() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

        if os.getppid() != parent:
            os._exit(1)  # the parent died before the kernel was asked

        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    return bind
