"""One simulated router: its tables, its clients, its API listener, its
sessions, its reboots.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections import deque
from dataclasses import asdict
from typing import Any

from simulator import (
    menus,
    menus_addresses,
    menus_ipv6,
    menus_routing,
    menus_scripts,
    menus_system,
)
from simulator.clock import ISO_DATE, OLD_DATE, Clock, Deadlines
from simulator.commands import Call
from simulator.dispatch import Request, execute
from simulator.faults import Faults, Processor
from simulator.hotspot import Hotspot
from simulator.menu import Menu
from simulator.network import Network
from simulator.options import RouterOptions, parse_version
from simulator.printing import View
from simulator.rights import BUILT_IN_GROUPS, POLICIES, ROOT
from simulator.row import Row
from simulator.safe_mode import SafeMode
from simulator.script.library import Scripts
from simulator.session import Session
from simulator.syslog import SysLog
from simulator.table import Event, Table
from simulator.tls import server_context
from simulator.tunnel_way import INTERFACES, TunnelWay, follow_name
from simulator.values import format_duration

LOG_SIZE = 4000
LOG_WORD = 200
SECRET_WORDS = (
    "password",
    "response",
    "private-key",
    "preshared-key",
    "otp-secret",
)

COUNTED = (
    "packets-in",
    "packets-out",
    "bytes-in",
    "bytes-out",
    "rx",
    "tx",
    "handshake",
    "address",
    "port",
)
"""What a row is told by traffic: a reboot loses it."""


class Router:
    """A router; `start` and `stop` need a running event loop."""

    options: RouterOptions
    clock: Clock

    def __init__(self, options: RouterOptions) -> None:
        self.options = options
        self.name = options.name
        self.version = parse_version(options.version)
        self.random = random.Random(options.seed)  # noqa: S311 - repeatable on purpose
        old = self.version < menus_scripts.NEW_DATES
        self.clock = Clock(OLD_DATE if old else ISO_DATE)
        self.deadlines = Deadlines(self.clock)
        self.faults = Faults()
        self.processor = Processor(self.faults)
        self.counters = {"commands": 0, "writes": 0, "logins": 0}
        self.log: deque[dict[str, Any]] = deque(maxlen=LOG_SIZE)
        self.sessions: dict[int, Session] = {}
        self.up = False
        self.port = options.port
        self._log_number = 0
        self._booted = self.clock.now()
        self._server: asyncio.Server | None = None
        self._socket: socket.socket | None = None
        self._tls = server_context(options)
        self._service = "api" if self._tls is None else "api-ssl"
        self._boot: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.absent: set[str] = set()
        self.tables: dict[str, Table] = {}
        self._make_tables()
        self.syslog = SysLog(self.tables["/log"], self.clock)
        self.scripts = Scripts(self, execute)
        self.safe_mode = SafeMode(self)
        self.hotspot = Hotspot(self)
        self.network = Network(self)
        self.way = TunnelWay(self, self._service, self.look_at_way)
        self.tables[INTERFACES].subscribe(self._interface_event)
        self.tables["/user/active"].subscribe(self._active_user_event)

    # --- the tables

    def _make_tables(self) -> None:
        described = (
            *menus_system.MENUS,
            *menus_scripts.MENUS,
            *menus.MENUS,
            *menus_ipv6.MENUS,
            *menus_addresses.MENUS,
            *menus_routing.MENUS,
        )
        present = [
            menu
            for menu in described
            if not (menu.absent and menu.absent(self))
        ]
        self.absent = {menu.path for menu in described} - {
            menu.path for menu in present
        }
        for menu in present:
            self.tables[menu.path] = Table(
                self, menu.for_version(self.version)
            )
        for menu in sorted(
            present, key=lambda menu: menu.path.count("/"), reverse=True
        ):
            self._fill(menu)
        self._make_users()

    def _fill(self, menu: Menu) -> None:
        table = self.tables[menu.path]
        if menu.singleton:
            table.add({})
        for values in menu.initial:
            known = {
                name: text
                for name, text in values.items()
                if name in table.properties
            }
            for prop in table.menu.properties:
                text = known.get(prop.name, prop.default)
                if text is not None:
                    known[prop.name] = prop.kind.parse(
                        prop.name, text, self.tables
                    )
            table.add(known)
        if menu.path == "/system/identity":
            table.set(
                next(iter(table.rows.values())),
                {"name": self.options.identity},
            )

    def _make_users(self) -> None:
        groups = self.tables["/user/group"]
        for name, policies in BUILT_IN_GROUPS.items():
            text = ",".join(
                policy for policy in POLICIES if policy in policies
            )
            groups.add({"name": name}, hidden={"policy": text})
        group = groups.id_of(self.options.group) or ""
        values = {"name": self.options.user, "group": group}
        self.tables["/user"].add(
            values, hidden={"password": self.options.password}
        )
        if self.options.group != "full":
            admin = {"name": "admin", "group": groups.id_of("full") or ""}
            self.tables["/user"].add(
                admin, hidden={"password": self.options.password}
            )

    def policies_of(self, user: Row) -> frozenset[str]:
        """Return the policies of a router user by the group."""
        group = self.tables["/user/group"].rows.get(user.values["group"])
        return (
            frozenset(group.hidden["policy"].split(","))
            if group
            else frozenset()
        )

    def settle(self) -> None:
        """Let happen what the clock has made due."""
        self.deadlines.settle()
        self.safe_mode.settle()
        if self.up:
            self.scripts.settle()
        self.look_at_way()

    def look_at_way(self) -> None:
        """Let connections through, or hold them, as the configuration says by
        now.
        """
        if self.options.hub and self.way.look():
            self.faults.cut_off = not self.way.is_open
            asyncio.get_running_loop().call_soon(self._wake_sessions)

    def _wake_sessions(self) -> None:
        """Hand on what was held, and forget connections that ended meanwhile."""
        for session in list(self.sessions.values()):
            if session.transport.is_closing():
                self.leave(session)
            else:
                session.wake()

    def clock_changed(self) -> None:
        """Look at all that goes by the date anew."""
        self.scripts.scheduler.recompute()

    def shift_clock(self, seconds: float) -> None:
        """Put the date wrong by so many seconds, and more each time."""
        self.clock.shift(seconds)
        self.clock_changed()

    def set_clock(self) -> None:
        """Learn the date, as from an NTP server."""
        self.clock.set_right()
        self.clock_changed()

    def show(self, path: str) -> list[dict[str, str]]:
        """Return the rows of a menu as the API would show them to a full user.
        Raises KeyError.
        """
        self.settle()
        view = View(Call(self, ROOT, path, "print", {}, []))
        return [view.shown(row) for row in self.tables[path].rows.values()]

    def uptime_text(self) -> str:
        """Return the time since the last boot."""
        return format_duration(int(self.clock.now() - self._booted))

    def state(self) -> dict[str, Any]:
        """Return the state that the control port shows."""
        return {
            "name": self.name,
            "up": self.up,
            "api_sessions": len(self.sessions),
            "uptime": self.clock.now() - self._booted if self.up else 0,
            "counters": dict(self.counters),
            "faults": self.faults.shown(),
        }

    def address_book(self) -> dict[str, Any]:
        """Return where the router listens and who may log in."""
        options = asdict(self.options)
        shown = {
            name: options[name]
            for name in (
                "name",
                "address",
                "user",
                "password",
                "version",
                "serial",
            )
        }
        return shown | {"port": self.port, "up": self.up}

    # --- sessions

    def admit(self, session: Session, remote: str) -> bool:
        """Take a new connection, unless the service has its number of sessions
        already.
        """
        service = self.tables["/ip/service"].find(self._service)
        limit = (
            int(service.values.get("max-sessions", "20")) if service else 20
        )
        if not self.up or len(self.sessions) >= limit:
            return False
        if self.way.refusal() is not None:
            return False
        self.sessions[session.number] = session
        if self.version >= (7, 19):
            values = {
                "name": self._service,
                "port": str(self.port),
                "dynamic": "true",
                "connection": "true",
                "proto": "tcp",
                "local": f"{self.options.address}:{self.port}",
                "remote": remote,
            }
            session.rows.append(
                (
                    "/ip/service",
                    self.tables["/ip/service"].add(values, locked=True),
                )
            )
        return True

    def logged_in(self, session: Session, user: Row) -> None:
        """Note a login: counter, /user/active, last-logged-in."""
        self.counters["logins"] += 1
        user.values["last-logged-in"] = self.clock.stamp()
        values = {
            "name": user.values["name"],
            "address": session.peer,
            "via": self._service,
            "group": self.tables["/user/group"].name_of(user.values["group"])
            or "",
            "when": self.clock.stamp(),
        }
        row = self.tables["/user/active"].add(
            values, hidden={"session": session.number}
        )
        session.rows.append(("/user/active", row))

    def leave(self, session: Session) -> None:
        """Forget a connection that has ended. In a black hole nobody hears of
        it: it stays until that is over.
        """
        if self.faults.dead and self.up:
            return
        self.sessions.pop(session.number, None)
        self.safe_mode.lost(session.number)
        for path, row in session.rows:
            self.tables[path].remove(row)
        session.rows.clear()

    def _active_user_event(self, event: Event, row: Row) -> None:
        """Removing a row of /user/active ends its session."""
        session = self.sessions.get(row.hidden["session"])
        if event == "remove" and session is not None:
            session.cut()

    def _interface_event(self, _event: Event, row: Row) -> None:
        """What names an interface follows its new name."""
        before, after = row.hidden.get("called"), row.values["name"]
        row.hidden["called"] = after
        if before not in (None, after):
            follow_name(self.tables.values(), before, after)

    def cut(self) -> None:
        """Drop every connection at once."""
        for session in list(self.sessions.values()):
            session.cut()

    def reorder(self, sentences: list[list[bytes]]) -> list[list[bytes]]:
        """Return sentences that came together in the order in which they run."""
        if not self.options.reorder_commands:
            return sentences
        tagged = [
            i
            for i, sentence in enumerate(sentences)
            if any(word.startswith(b".tag=") for word in sentence)
        ]
        shuffled = self.random.sample(tagged, len(tagged))
        result = list(sentences)
        for place, source in zip(tagged, shuffled, strict=True):
            result[place] = sentences[source]
        return result

    def interleave(self, streams: list[list[bytes]]) -> list[bytes]:
        """Return sentences of several commands mixed, each command's own in
        order.
        """
        turns = [at for at, stream in enumerate(streams) for _ in stream]
        self.random.shuffle(turns)
        waiting = [iter(stream) for stream in streams]
        return [next(waiting[at]) for at in turns]

    def journal(self, session: int, request: Request, outcome: str) -> None:
        """Write a command to the log ring, secrets masked."""
        self._log_number += 1
        sentence = [request.command[:LOG_WORD]]
        for name, value in request.attributes.items():
            sentence.append(
                f"={name}={'*****' if name in SECRET_WORDS else value[:LOG_WORD]}"
            )
        sentence += [query[:LOG_WORD] for query in request.queries]
        if request.tag is not None:
            sentence.append(f".tag={request.tag.decode(errors='replace')}")
        entry = {
            "n": self._log_number,
            "t": self.clock.now() - self._booted,
            "session": session,
        }
        self.log.append(entry | {"sentence": sentence, "outcome": outcome})

    # --- faults, boot, listener

    async def set_faults(self, wanted: dict[str, Any]) -> None:
        """Change the faults; an empty mapping clears all. `cut`, `stall_ms`
        act once. Raises ValueError.
        """
        lasting = {
            name: value
            for name, value in wanted.items()
            if name not in {"cut", "stall_ms"}
        }
        stall = wanted.get("stall_ms", 0)
        if isinstance(stall, bool) or not isinstance(stall, int | float):
            raise ValueError("stall_ms: expects a number")  # noqa: TRY004 - an answer to the control port
        self.faults.change(lasting or ({} if wanted else asdict(Faults())))
        if stall:
            self.processor.stall(stall / 1000)
        if wanted.get("cut"):
            self.cut()
        await self._listen(self.up and not self.faults.refuse)
        self._wake_sessions()

    async def start(self) -> None:
        """Bind the port and boot."""
        self.up = True
        self._booted = self.clock.now()
        self.scripts.boot()
        self._bind()
        if self.options.hub:
            service = self.tables["/ip/service"].find(self._service)
            if service is not None:
                service.values["port"] = str(self.port)
        await self._listen(True)

    async def stop(self) -> None:
        """End for good and give the port back."""
        self.up = False
        self.scripts.forget()
        if self._boot is not None:
            self._boot.cancel()
        self.processor.clear()
        self.cut()
        await self._listen(False)
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def reboot(self, seconds: float) -> None:
        """Go down now, losing what a reboot loses, and come back after
        `seconds`.
        """
        self.up = False
        self.processor.clear()
        self.cut()
        self._close_listener()
        self._bind()
        self._forget()
        loop = asyncio.get_running_loop()
        if self._boot is not None:
            self._boot.cancel()
        self._boot = loop.call_later(
            seconds,
            lambda: self._tasks.add(loop.create_task(self._come_back())),
        )

    async def _come_back(self) -> None:
        self._tasks.clear()
        self._booted = self.clock.now()
        if not self.options.keeps_time:
            self.clock.lose()
        self.scripts.boot()
        self.up = True
        await self._listen(not self.faults.refuse)

    def _forget(self) -> None:
        for session in list(self.sessions.values()):
            self.leave(session)
        self.deadlines.clear()
        self.scripts.forget()
        self.hotspot.forget()
        self.network.forget()
        for table in self.tables.values():
            if table.menu.volatile:
                table.clear()
            else:
                self._forget_rows(table)

    def _forget_rows(self, table: Table) -> None:
        for row in list(table.rows.values()):
            keeps = table.menu.path == "/ip/hotspot/cookie"
            if row.values.get("dynamic") == "true" and not keeps:
                table.remove(row)
            elif keeps:
                row.hidden.pop("watched", None)
                self.deadlines.watch(table, row)
            else:
                for name in COUNTED:
                    row.hidden.pop(name, None)

    def _bind(self) -> None:
        """Hold the port without listening, which refuses connections."""
        # With the protocol named, asyncio sends replies without Nagle's delay.
        held = socket.socket(
            socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
        )
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((self.options.address, self.port))
        held.setblocking(False)
        self.port = held.getsockname()[1]
        self._socket = held

    def _close_listener(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            self._socket = None
        elif self._socket is not None:
            self._socket.close()
            self._socket = None

    async def _listen(self, wanted: bool) -> None:
        if wanted and self._server is None and self._socket is not None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(
                lambda: Session(self),
                sock=self._socket,
                backlog=128,
                ssl=self._tls,
            )
        elif not wanted and self._server is not None:
            self._close_listener()
            self._bind()
