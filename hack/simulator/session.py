"""One API connection: login, commands in and out, cancel, quit, and what
faults do to its bytes.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import secrets
from collections import deque
from ipaddress import IPv4Address, IPv4Network
from typing import Protocol, cast

from simulator.codec import Decoder, ProtocolError, encode_sentence, to_bytes
from simulator.commands import Call, CommandRouter
from simulator.dispatch import (
    READ_VERBS,
    Request,
    check_request,
    execute,
    parse_request,
)
from simulator.errors import INTERRUPTED, Fatal, Trap
from simulator.faults import DelayLine, Faults, Processor
from simulator.rights import Rights
from simulator.row import Row

LOGIN_BYTES = 65536
LOGIN_SENTENCES = 100
BACKLOG_SENTENCES = 1024
HELD_BYTES = 1 << 20
NO_WRITES = frozenset({*READ_VERBS, "ping"})
_numbers = itertools.count(1)


class SessionRouter(CommandRouter, Protocol):
    """The part of the router that a session needs."""

    faults: Faults
    processor: Processor
    counters: dict[str, int]

    def admit(self, session: Session, remote: str) -> bool:
        """Take a new connection, unless the service has its number of sessions
        already.
        """

    def logged_in(self, session: Session, user: Row) -> None:
        """Note a login."""

    def leave(self, session: Session) -> None:
        """A connection has ended."""

    def reorder(self, sentences: list[list[bytes]]) -> list[list[bytes]]:
        """Return sentences that came together in the order in which they run."""

    def interleave(self, streams: list[list[bytes]]) -> list[bytes]:
        """Return sentences of several commands mixed, each command's own in
        order.
        """

    def journal(self, session: int, request: Request, outcome: str) -> None:
        """Write a command to the log ring."""


class Session(asyncio.Protocol):
    """A client's connection to one router."""

    def __init__(self, router: SessionRouter) -> None:
        self.router = router
        self.number = next(_numbers)
        self.rights: Rights | None = None
        self.peer = ""
        self.rows: list[tuple[str, Row]] = []
        self.running: list[Call] = []
        self._challenge: bytes | None = None
        self._login_sentences = 0
        self._decoder = Decoder(LOGIN_BYTES, LOGIN_BYTES)
        self._backlog: deque[list[bytes]] = deque()
        self._held = bytearray()
        self._out: list[bytes] = []
        self._streams: list[list[bytes]] = []
        self._flushing = self._writable = False
        self._closing = False
        self._in_line = DelayLine(router.faults, self._arrive, narrow=False)
        self._out_line = DelayLine(router.faults, self._leave, narrow=True)
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: a client is there."""
        self.transport = cast(asyncio.Transport, transport)
        self._writable = True
        host, port = transport.get_extra_info("peername")[:2]
        self.peer = host
        if not self.router.admit(self, f"{host}:{port}"):
            self.transport.abort()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Asyncio: the connection has ended."""
        self._closing = True
        self._stop_all()
        self._in_line.close()
        self._out_line.close()
        self._backlog.clear()
        self._held.clear()
        self.router.leave(self)

    def data_received(self, data: bytes) -> None:
        """Asyncio: bytes of the client."""
        self._in_line.push(data)
        self._throttle()

    def pause_writing(self) -> None:
        """Asyncio: the client does not read; run no further commands of it."""
        self._writable = False

    def resume_writing(self) -> None:
        """Asyncio: the client reads again."""
        self._writable = True
        self._work()

    def wake(self) -> None:
        """Go on after a fault has gone."""
        self._out_line.resume()
        self._in_line.resume()
        if self._held and not self.router.faults.silent:
            held = bytes(self._held)
            self._held.clear()
            self._arrive(held)
        self._throttle()

    def cut(self) -> None:
        """Drop the connection at once, without a word."""
        self._closing = True
        self._stop_all()
        self.transport.abort()

    def _throttle(self) -> None:
        if self._closing:
            return
        waiting = len(self._held) + self._in_line.waiting_bytes
        if waiting > HELD_BYTES or len(self._backlog) > BACKLOG_SENTENCES:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def _arrive(self, data: bytes) -> None:
        if self._closing:
            return
        if self.router.faults.silent:
            self._held += data
            return
        allowed = self._allowed(len(data))
        try:
            sentences = self._decoder.feed(data[:allowed])
        except ProtocolError:
            self._close()
            return
        self._backlog.extend(
            sentences
            if self.rights is None
            else self.router.reorder(sentences)
        )
        self._work()
        if allowed < len(data):
            self.cut()

    def _allowed(self, size: int) -> int:
        """Return how many of the bytes that came are taken before the
        connection is cut; all of them if it is not.
        """
        faults = self.router.faults
        allowed = faults.drop_after_received
        if allowed is None:
            return size
        faults.drop_after_received = (
            allowed - size if size <= allowed else None
        )
        return min(size, allowed)

    def _work(self) -> None:
        while self._backlog and self._writable and not self._closing:
            sentence = self._backlog.popleft()
            self.router.processor.submit(
                lambda sentence=sentence: self._run(sentence)  # type: ignore[misc]
            )
        self._throttle()

    def _run(self, sentence: list[bytes]) -> None:
        if self._closing:
            return
        self.router.settle()
        request = parse_request(sentence)
        try:
            if self.rights is None:
                self._before_login(request)
            else:
                self._command(request)
        except Fatal as fatal:
            self.router.journal(self.number, request, f"fatal: {fatal}")
            self._write(encode_sentence([b"!fatal", to_bytes(str(fatal))]))
            self._close()

    def _call(self, request: Request, path: str = "", verb: str = "") -> Call:
        rights = self.rights or Rights("", frozenset())
        call = Call(
            self.router,
            rights,
            path,
            verb,
            dict(request.attributes),
            list(request.queries),
            request.tag,
            session=self.number,
        )
        call.emit = self._write
        call.finished = lambda: self._finished(call)
        return call

    # --- login

    def _before_login(self, request: Request) -> None:
        self._login_sentences += 1
        if self._login_sentences > LOGIN_SENTENCES:
            raise Fatal("too many commands before login")
        if request.command == "/quit":
            raise Fatal("session terminated on request")
        if request.command != "/login":
            raise Fatal("not logged in")
        call = self._call(request)
        try:
            ret = self._log_in(request)
        except Trap as trap:
            call.trap(trap)
            ret = None
        call.done(ret)
        outcome = (
            "done"
            if self.rights
            else "challenge"
            if ret
            else "trap: login refused"
        )
        self.router.journal(self.number, request, outcome)
        self._write(b"".join(call.out))

    def _log_in(self, request: Request) -> str | None:
        """Log in, or return the challenge of a router before 6.43. Raises
        Trap.
        """
        attributes = request.attributes
        legacy = self.router.options.legacy_login
        name = attributes.get("name", "")
        user = self.router.tables["/user"].find(name)
        password = str(user.hidden.get("password", "")) if user else ""
        if legacy and "response" not in attributes:
            self._challenge = secrets.token_bytes(16)
            return self._challenge.hex()
        if legacy:
            good = self._challenge is not None and attributes[
                "response"
            ] == _response(password, self._challenge)
        else:
            good = attributes.get("password") == password
        if (
            user is None
            or user.id not in self.router.tables["/user"].rows
            or not good
        ):
            raise Trap(
                "cannot log in"
                if legacy
                else "invalid user name or password (6)"
            )
        if user.values["disabled"] == "true" or user.values["name"] != name:
            raise Trap(
                "cannot log in"
                if legacy
                else "invalid user name or password (6)"
            )
        policies = self.router.policies_of(user)
        if "api" not in policies or not _allowed(
            user.values.get("address", ""), self.peer
        ):
            raise Trap("access denied")
        self.rights = Rights(name, policies)
        self._decoder.max_word = self._decoder.max_sentence = (
            self.router.options.max_word
        )
        self.router.logged_in(self, user)
        return None

    # --- commands

    def _command(self, request: Request) -> None:
        if request.command == "/quit":
            raise Fatal("session terminated on request")
        if request.command == "/cancel":
            self._cancel(request)
            return
        if request.command == "/login":
            call = self._call(request)
            call.done()
            self._write(b"".join(call.out))
            return
        self.router.counters["commands"] += 1
        call = self._call(request)
        try:
            call.path, call.verb = check_request(request)
            self.router.counters["writes"] += call.verb not in NO_WRITES
            self._execute(call)
            outcome = "done" if call.stop is None else "running"
        except Trap as trap:
            call.trap(trap)
            call.done()
            outcome = f"trap: {trap.message}"
        delay = self.router.faults.delay_of(call.path, call.verb)
        if delay and call.stop is None:
            self._answer_later(call, b"".join(call.out), delay)
            call.out = []
            outcome = "running"
        if call.stop is not None:
            self.running.append(call)
        self.router.journal(self.number, request, outcome)
        if call.tag is not None and self.router.options.reorder_commands:
            self._streams.append(call.out)
            self._write_soon()
        else:
            self._write(b"".join(call.out))

    def _answer_later(self, call: Call, answer: bytes, delay: float) -> None:
        """Answer a command after `delay` seconds, unless it is cancelled
        before.
        """

        def answer_now() -> None:
            self._finished(call)
            self._write(answer)

        call.stop = (
            asyncio.get_running_loop().call_later(delay, answer_now).cancel
        )

    def _execute(self, call: Call) -> None:
        """Run the command, or what a fault makes of it. Raises Trap."""
        fault = self.router.faults.take_trap(call.path, call.verb)
        if fault is None or fault.after_rows:
            execute(call)
        if fault is not None:
            call.out = call.out[: fault.after_rows]
            raise Trap(fault.message, fault.category)

    def _cancel(self, request: Request) -> None:
        wanted = request.attributes.get("tag")
        victims = [
            c
            for c in self.running
            if wanted is None or c.tag == to_bytes(wanted)
        ]
        for victim in victims:
            self._stop(victim)
            victim.out.clear()
            victim.trap(Trap("interrupted", INTERRUPTED))
            self._write(b"".join(victim.out))
        call = self._call(request)
        call.done()
        self._write(b"".join(call.out))
        self.router.journal(self.number, request, "done")
        for victim in victims:
            self._write(victim.sentence("!done"))

    def _stop(self, call: Call) -> None:
        if call.stop is not None:
            call.stop()
        self._finished(call)

    def _finished(self, call: Call) -> None:
        if call in self.running:
            self.running.remove(call)

    def _stop_all(self) -> None:
        for call in list(self.running):
            self._stop(call)

    # --- bytes out

    def _write(self, data: bytes) -> None:
        if self._closing or not data:
            return
        self._out.append(data)
        self._write_soon()

    def _write_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        data = b"".join([*self._out, *self.router.interleave(self._streams)])
        self._out.clear()
        self._streams.clear()
        if data:
            self._out_line.push(data)

    def _leave(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        faults = self.router.faults
        if faults.drop_after_bytes is not None:
            allowed = faults.drop_after_bytes
            faults.drop_after_bytes = (
                allowed - len(data) if len(data) <= allowed else None
            )
            if len(data) > allowed:
                self.transport.write(data[:allowed])
                self._closing = True
                self._stop_all()
                self.transport.close()
                return
        self.transport.write(data)
        if self._closing and not self._out_line.waiting_bytes:
            self.transport.close()

    def _close(self) -> None:
        """Close behind what was written."""
        if self._closing:
            return
        self._flush()
        self._closing = True
        self._stop_all()
        if not self._out_line.waiting_bytes:
            self.transport.close()


def _response(password: str, challenge: bytes) -> str:
    digest = hashlib.md5(
        b"\x00" + to_bytes(password) + challenge, usedforsecurity=False
    )
    return "00" + digest.hexdigest()


def _allowed(prefixes: str, peer: str) -> bool:
    if not prefixes:
        return True
    return any(
        IPv4Address(peer) in IPv4Network(prefix)
        for prefix in prefixes.split(",")
    )
