"""The keeper: a table of wanted interfaces, the socket on which it takes
requests, and the watchdog.

What a request may be is in `requests.py`; how an interface is carried is in
`carrier.py`.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from cerebro.runtime.clock import boottime
from cerebro.runtime.times import BootTime
from cerebro.tunnel import requests
from cerebro.tunnel.carrier import Carried, answers, exists, vanishes
from cerebro.tunnel.requests import (
    LONGEST_LINE,
    Refusal,
    check_deadline,
    foreign,
    not_carried,
    refused,
)

if TYPE_CHECKING:
    from cerebro.runtime.settings import TunnelSettings

SOCKET = "tunnel.sock"
"""Name of the socket in the run folder."""
MOST_INTERFACES = 64
_MOST_CONNECTIONS = 64
_IDLE = 60.0
"""Seconds without a request after which a connection is closed."""
_TICK = 0.5
"""Seconds between two looks at the deadlines."""

log = structlog.get_logger(__name__)


class CannotStart(Exception):
    """Another keeper has the run folder, or it cannot be used; the message
    says what to do.
    """


async def main(settings: TunnelSettings, stop: asyncio.Event) -> None:
    """Carry interfaces until `stop`. Raises CannotStart if another keeper
    runs, or the run folder cannot be used.
    """
    keeper = Keeper(settings.run_folder, settings.wireguard_sockets)
    async with keeper:
        log.info("carrying interfaces", socket=str(keeper.socket))
        await stop.wait()

    log.info("ended")


async def check(settings: TunnelSettings) -> bool:
    """Return whether the keeper answers, which shows that its event loop
    turns.
    """
    try:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_unix_connection(
                str(settings.run_folder / SOCKET)
            )

            writer.write(b'{"list": true}\n')
            answer = json.loads(await reader.readline())
            writer.close()
    except (OSError, ValueError):  # TimeoutError is the first
        return False

    return bool(answer.get("ok"))


class Keeper:
    """The table of interfaces, and the socket; an async context manager."""

    def __init__(self, run_folder: Path, sockets: Path) -> None:
        self.socket = run_folder / SOCKET
        self._sockets = sockets
        """Folder of wireguard-go's sockets."""
        self._carried: dict[str, Carried] = {}
        """By the interface's name."""
        self._ending: dict[str, asyncio.Task[None]] = {}
        """Interfaces that are being dropped, by name."""
        self._connections = 0
        self._lock: int | None = None
        """File descriptor of the lock on the run folder."""
        self._server: asyncio.Server | None = None
        self._watchdog: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Keeper:
        folder = self.socket.parent
        before = os.umask(
            0o077
        )  # only we may read and write what is made here

        try:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            self._lock = _locked(folder / "tunnel.lock")
            self.socket.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(
                self._serve, str(self.socket), limit=LONGEST_LINE
            )
        except OSError as error:
            raise CannotStart(
                f"CEREBRO_RUN_FOLDER: {folder} cannot be used: {error.strerror}"
            ) from None
        finally:
            os.umask(before)

        self._watchdog = asyncio.create_task(self._watch(), name="watchdog")

        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()

        self.socket.unlink(missing_ok=True)

        if self._watchdog is not None:
            self._watchdog.cancel()

        # Interfaces live no longer than this process.
        drops = [self._drop(name) for name in list(self._carried)]
        await asyncio.gather(*self._ending.values(), *drops)

        if self._lock is not None:
            os.close(self._lock)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Serve one connection; one too many is closed at once."""
        self._connections += 1

        try:
            if self._connections <= _MOST_CONNECTIONS:
                await self._converse(reader, writer)
        except (ConnectionError, TimeoutError):
            pass  # the other end is gone, or silent
        finally:
            self._connections -= 1
            writer.close()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer line after line, until the other end closes or sends too long
        a line.
        """
        while True:
            try:
                line = await asyncio.wait_for(reader.readline(), _IDLE)
            except (
                ValueError
            ):  # longer than the limit; what follows it is not a request
                refusal = Refusal(
                    "InvalidRequest",
                    f"a request is at most {LONGEST_LINE} bytes",
                )

                writer.write(requests.encode(refused(refusal)))

                return

            if not line:
                return

            try:
                answer = await self.answer(line)
            except Refusal as refusal:
                answer = refused(refusal)

            writer.write(requests.encode(answer))
            await asyncio.wait_for(writer.drain(), _IDLE)

    async def answer(self, line: bytes) -> dict[str, Any]:
        """Carry out the request of a line, and return the answer. Raises
        Refusal.
        """

        request = requests.parse(line, boottime())
        if "ensure" in request:
            await self._ensure(
                request["ensure"], request["mtu"], request.get("deadline")
            )

            return {"ok": True}

        if "refresh" in request:
            self._refresh(request["refresh"], request["deadline"])
            return {"ok": True}

        if "drop" in request:
            await self._drop_for(request["drop"])
            return {"ok": True}

        return {"ok": True, "interfaces": self._interfaces(boottime())}

    def _interfaces(self, now: BootTime) -> dict[str, dict[str, float | None]]:
        """Return each interface with the seconds until it is dropped; None
        without a watchdog.
        """
        interfaces: dict[str, dict[str, float | None]] = {}
        for carried in self._carried.values():
            remaining = (
                None
                if carried.expires is None
                else round(carried.expires - now, 3)
            )

            interfaces[carried.name] = {"deadline_in": remaining}

        return interfaces

    async def _ensure(
        self, name: str, mtu: int, deadline: BootTime | None
    ) -> None:
        """Carry an interface until `deadline`, and wait until it is there.
        Raises Refusal.
        """

        # The predecessor takes its socket's file with it, and wireguard-go
        # ends when that goes.
        while (ending := self._ending.get(name)) is not None:
            await asyncio.wait((ending,))

        if await self._is_foreign(name):
            if deadline is None and answers(self._sockets / f"{name}.sock"):
                return  # somebody else's wireguard-go; without a watchdog it may stay theirs

            raise foreign(name)

        check_deadline(deadline, boottime())  # all this may have taken seconds

        carried = self._carried.get(name)
        if carried is None:
            if len(self._carried) >= MOST_INTERFACES:
                raise Refusal(
                    "TooManyInterfaces",
                    f"this process carries {MOST_INTERFACES} interfaces at most",
                )

            carried = Carried(name, mtu, self._sockets / f"{name}.sock")
            self._carried[name] = carried
            carried.start()

        carried.mtu = mtu
        carried.expires = deadline
        try:
            await carried.wait_up()
        except Refusal:
            if self._carried.get(name) is carried:
                del self._carried[name]

            raise

    async def _is_foreign(self, name: str) -> bool:
        """Return whether an interface is there that this process did not make,
        and that does not go away.
        """
        return (
            name not in self._carried
            and exists(name)
            and not await vanishes(name)
        )

    def _refresh(self, name: str, deadline: BootTime | None) -> None:
        """Move the deadline of an interface that is carried. Raises Refusal if
        it is not: none is made here.
        """
        if name not in self._carried:
            raise foreign(name) if exists(name) else not_carried(name)

        self._carried[name].expires = deadline

    async def _drop_for(self, name: str) -> None:
        """Drop an interface that a request names. Raises Refusal if it is
        somebody else's.
        """
        if await self._is_foreign(name):
            raise foreign(name)

        await self._drop(name)

    async def _drop(self, name: str) -> None:
        if name not in self._carried:
            return

        await self._end(name)
        log.info("dropped", interface=name)

    def _end(self, name: str) -> asyncio.Task[None]:
        """Begin to end an interface that is carried; return the task that does
        so.
        """
        ending = asyncio.create_task(
            self._carried.pop(name).end(), name=f"end {name}"
        )

        self._ending[name] = ending
        ending.add_done_callback(lambda _: self._ending.pop(name))

        return ending

    async def _watch(self) -> None:
        """Drop interfaces that were not refreshed in time, half a second late
        at most.

        It looks at the clock every half second: asyncio has no timer on a
        clock that counts the sleep of a suspended node.
        """
        while True:
            await asyncio.sleep(_TICK)
            now = boottime()
            late = []
            for name, carried in self._carried.items():
                if carried.expires is not None and carried.expires <= now:
                    late.append(name)
                    log.warning(
                        "not asked for in time, drops it", interface=name
                    )

            if late:
                await asyncio.wait([self._end(name) for name in late])


def _locked(path: Path) -> int:
    """Take the lock that a keeper has for as long as it lives; return its file
    descriptor. Raises CannotStart.
    """
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise CannotStart(
            f"another `cerebro tunnel` has {path.parent}: stop it, or set CEREBRO_RUN_FOLDER"
        ) from None

    return lock
