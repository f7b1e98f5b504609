"""What a connection may cost that sends nothing, or a request in part: how long
it is waited for, and how many there may be.

uvicorn bounds the size of a head (16 KiB) and the time that a connection is
idle between two requests. It waits for ever for a first byte, for the rest of a
head and for the rest of a body, and with `limit_concurrency` it refuses the
requests of those that have a connection, not those that hold one. So this
protocol adds the three bounds that are missing.

And at the end uvicorn closes what is idle, with a request that is on its way
or not. So each connection is told before that its answer is the last one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import h11
import structlog
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from cerebro.runtime.loop import wait_for_wake

MAX_HEAD = 16 * 1024
"""Bytes of a request line and its headers; more of them are 400."""
IDLE_FOR = 30
"""Seconds that a connection is kept after an answer."""
LET_GO_WITHIN = 1.0
"""Seconds that a kept connection has at the end for one more request, to be
told with the answer that it is the last. Who calls less often than that loses
little by a new connection.
"""

_ANSWER = "http.response.start"
_LAST = (b"connection", b"close")

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Connections:
    """The bounds of a server's connections, and those that may be closed for
    others.
    """

    head_timeout: float
    """Seconds from the connection, or from the first byte of a further
    request, to the end of the head.
    """

    body_timeout: float
    """Seconds from the end of the head to the end of the body."""

    limit: int
    """How many may be open. For a further one that goes which is longest
    without a request, first of those that never had one; if each has one in
    hand, the further one is closed.
    """

    unused: dict[BoundedProtocol, None] = field(default_factory=dict)
    """Those that never had a request, the oldest first."""

    kept: dict[BoundedProtocol, None] = field(default_factory=dict)
    """Those that wait for a further request, the longest so first."""

    ending: bool = False
    """Whether each further answer is the last of its connection."""

    none_kept: asyncio.Event = field(default_factory=asyncio.Event)
    """Set at the end, when no connection waits for a further request."""

    async def let_go(self) -> None:
        """Have the clients close their kept connections, and wait until they
        did, but not long.
        """
        self.ending = True
        if self.kept:
            await wait_for_wake(self.none_kept, LET_GO_WITHIN)

    def surplus(self) -> BoundedProtocol | None:
        """Return the one that goes for a further one, None if each has a
        request.
        """
        waiting = self.unused or self.kept
        return next(iter(waiting), None)

    def forget(self, connection: BoundedProtocol) -> None:
        """Take note that a connection has a request, or is closed."""
        self.unused.pop(connection, None)
        self.kept.pop(connection, None)
        if self.ending and not self.kept:
            self.none_kept.set()


class BoundedProtocol(H11Protocol):
    """A connection that is closed when a request does not come in time.

    The time does not begin anew with each byte. An answer that came before the
    end of the body changes nothing: the rest of the body has its time too.
    """

    def __init__(
        self, *arguments: Any, bounds: Connections, **named: Any
    ) -> None:
        super().__init__(*arguments, **named)
        self._bounds = bounds
        self._awaited: str | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, if need be in place of one without a request."""
        super().connection_made(transport)

        bounds = self._bounds
        if len(self.connections) > bounds.limit:
            surplus = bounds.surplus() or self
            surplus.drop("there are too many connections")

        if not transport.is_closing():
            bounds.unused[self] = None
            self._await_bytes("head")

    def data_received(self, data: bytes) -> None:
        """Read on, and wait for what the request still lacks."""
        super().data_received(data)

        state = self.conn.their_state
        if state is h11.IDLE:
            self._await_bytes("head")
        elif state is h11.SEND_BODY:
            self._await_bytes("body")
        else:
            self._await_bytes(None)

        if state is not h11.IDLE:
            self._bounds.forget(self)

    def on_response_complete(self) -> None:
        """End a request: from now on the connection may go for another."""
        super().on_response_complete()

        if self.conn.their_state is not h11.IDLE:
            return

        self._bounds.kept[self] = None

        # The beginning of a further request may have come with this one.
        received, _ = self.conn.trailing_data
        if received:
            self._await_bytes("head")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._await_bytes(None)
        self._bounds.forget(self)
        super().connection_lost(exc)

    def drop(self, why: str) -> None:
        """Close the connection at once, without an answer."""
        log.debug("a connection is closed", reason=why)
        self._await_bytes(None)
        self._bounds.forget(self)
        self.connections.discard(self)
        self.transport.abort()

    def _await_bytes(self, part: str | None) -> None:
        """Give a part of a request its time; the time of the part that is
        awaited already goes on.
        """
        if part == self._awaited:
            return

        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

        self._awaited = part
        if part is not None:
            bounds = self._bounds
            seconds = (
                bounds.head_timeout if part == "head" else bounds.body_timeout
            )

            reason = f"the {part} did not come within {seconds:g} s"
            self._timer = self.loop.call_later(seconds, self.drop, reason)


def last_answers(app: ASGIApp, connections: Connections) -> ASGIApp:
    """Return the application with answers that say when they are the last of
    their connection.
    """

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        async def tell(message: Message) -> None:
            if connections.ending and message["type"] == _ANSWER:
                headers = [*message.get("headers", ()), _LAST]
                message = {**message, "headers": headers}

            await send(message)

        await app(scope, receive, tell)

    return answering


def config(
    app: Any,
    connections: Connections,
    *,
    host: str,
    port: int,
    drain: float,
) -> uvicorn.Config:
    """Return how uvicorn serves an application within these bounds; `drain`
    seconds is what requests in hand get at the end.
    """
    protocol = partial(BoundedProtocol, bounds=connections)
    return uvicorn.Config(
        last_answers(app, connections),
        host=host,
        port=port,
        http=cast("type[asyncio.Protocol]", protocol),
        ws="none",
        access_log=False,
        log_config=None,
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=MAX_HEAD,
        timeout_keep_alive=IDLE_FOR,
        timeout_graceful_shutdown=int(drain) or 1,
        backlog=2048,
    )
