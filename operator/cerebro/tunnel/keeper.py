"""The keeper: a table of interfaces that are wanted, the socket on which it is asked, and the watchdog."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from cerebro.runtime.clock import boottime
from cerebro.tunnel import requests
from cerebro.tunnel.carrier import Carried, answers, exists, vanishes
from cerebro.tunnel.requests import LONGEST_LINE, Refusal, check_deadline, foreign, not_carried, refused

if TYPE_CHECKING:
    from cerebro.runtime.settings import TunnelSettings

SOCKET = "tunnel.sock"
MOST_INTERFACES = 64
_MOST_CONNECTIONS = 64
_IDLE = 60.0
_TICK = 0.5

log = structlog.get_logger(__name__)


class CannotStart(Exception):
    """Another keeper has the run folder, or it cannot be used; the message says what to do."""


async def main(settings: TunnelSettings, stop: asyncio.Event) -> None:
    """Carry interfaces until `stop`. Raises CannotStart."""
    keeper = Keeper(settings.run_folder, settings.wireguard_sockets)
    async with keeper:
        log.info("carrying interfaces", socket=str(keeper.socket))
        await stop.wait()
    log.info("ended")


async def check(settings: TunnelSettings) -> bool:
    """Tell whether the keeper answers: its loop turns."""
    try:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_unix_connection(str(settings.run_folder / SOCKET))
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
        self._carried: dict[str, Carried] = {}
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._connections = 0
        self._lock: int | None = None
        self._server: asyncio.Server | None = None
        self._watchdog: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Keeper:
        folder = self.socket.parent
        before = os.umask(0o077)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            self._lock = _locked(folder / "tunnel.lock")
            self.socket.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._serve, str(self.socket), limit=LONGEST_LINE)
        except OSError as error:
            raise CannotStart(f"CEREBRO_RUN_FOLDER: {folder} cannot be used: {error.strerror}") from None
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
        await asyncio.gather(*self._ending.values(), *(self._drop(name) for name in list(self._carried)))
        if self._lock is not None:
            os.close(self._lock)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= _MOST_CONNECTIONS:
                await self._converse(reader, writer)
        except (ConnectionError, TimeoutError):
            pass  # who asked is gone, or says nothing any more
        finally:
            self._connections -= 1
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                line = await asyncio.wait_for(reader.readline(), _IDLE)
            except ValueError:  # longer than the limit; what follows it is not a request
                refusal = Refusal("InvalidRequest", f"a request is at most {LONGEST_LINE} bytes")
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
        """Do what a line asks for; raise Refusal."""
        request = requests.parse(line, boottime())
        if "ensure" in request:
            await self._ensure(request["ensure"], request["mtu"], request.get("deadline"))
            return {"ok": True}
        if "refresh" in request:
            self._refresh(request["refresh"], request["deadline"])
            return {"ok": True}
        if "drop" in request:
            await self._drop_for(request["drop"])
            return {"ok": True}
        now = boottime()
        return {
            "ok": True,
            "interfaces": {
                each.name: {"deadline_in": None if each.expires is None else round(each.expires - now, 3)}
                for each in self._carried.values()
            },
        }

    async def _ensure(self, name: str, mtu: int, deadline: float | None) -> None:
        # The predecessor takes its socket's file with it, and wireguard-go ends when that goes.
        while (ending := self._ending.get(name)) is not None:
            await asyncio.wait((ending,))
        if name not in self._carried and exists(name) and not await vanishes(name):
            if deadline is None and answers(self._sockets / f"{name}.sock"):
                return  # somebody else's wireguard-go; without a watchdog it may stay theirs
            raise foreign(name)
        check_deadline(deadline, boottime())  # all this may have taken seconds
        carried = self._carried.get(name)
        if carried is None:
            if len(self._carried) >= MOST_INTERFACES:
                raise Refusal(
                    "TooManyInterfaces", f"this process carries {MOST_INTERFACES} interfaces at most"
                )
            carried = self._carried[name] = Carried(name, mtu, self._sockets / f"{name}.sock")
            carried.start()
        carried.mtu, carried.expires = mtu, deadline
        try:
            await carried.wait_up()
        except Refusal:
            if self._carried.get(name) is carried:
                del self._carried[name]
            raise

    def _refresh(self, name: str, deadline: float | None) -> None:
        """Move the deadline of one that is carried; make none."""
        if name not in self._carried:
            raise foreign(name) if exists(name) else not_carried(name)
        self._carried[name].expires = deadline

    async def _drop_for(self, name: str) -> None:
        if name not in self._carried and exists(name) and not await vanishes(name):
            raise foreign(name)
        await self._drop(name)

    async def _drop(self, name: str) -> None:
        if name in self._carried:
            await self._end(name)
            log.info("dropped", interface=name)

    def _end(self, name: str) -> asyncio.Task[None]:
        """Begin to end one that is carried."""
        ending = asyncio.create_task(self._carried.pop(name).end(), name=f"end {name}")
        self._ending[name] = ending
        ending.add_done_callback(lambda _: self._ending.pop(name))
        return ending

    async def _watch(self) -> None:
        """Drop what nobody asked for in time, half a second late at most.

        It looks again and again, as a clock that counts a suspended node's sleep has no timer of its own here.
        """
        while True:
            await asyncio.sleep(_TICK)
            now = boottime()
            late = [
                name
                for name, each in self._carried.items()
                if each.expires is not None and each.expires <= now
            ]
            for name in late:
                log.warning("not asked for in time, drops it", interface=name)
            if late:
                await asyncio.wait([self._end(name) for name in late])


def _locked(path: Path) -> int:
    """Take the lock that a keeper has for as long as it lives. Raises CannotStart."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise CannotStart(
            f"another `cerebro tunnel` has {path.parent}: stop it, or set CEREBRO_RUN_FOLDER"
        ) from None
    return lock
