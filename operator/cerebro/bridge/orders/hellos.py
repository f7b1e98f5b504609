"""Carries out hellos: grants what waited for the phone, and lets its Sessions
follow it (A6). What a hello changes is decided in `move.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import structlog

from cerebro.bridge.audit.log import FAIL, SUCCESS, AuditLog
from cerebro.bridge.audit.redaction import token_mark
from cerebro.bridge.intents import Authorize, Hello
from cerebro.bridge.orders.move import changes_mac, decide_move
from cerebro.bridge.orders.outcomes import Awaited
from cerebro.bridge.orders.resolve import Resolver
from cerebro.bridge.orders.sessions import MAX_DECISIONS, Sessions, Written
from cerebro.bridge.store.base import Entry, ExecutorStore, milliseconds
from cerebro.kube.client.errors import AlreadyExists, Conflict, Unavailable
from cerebro.resources import Device
from cerebro.runtime.clock import now_ms

MAX_MOVES_AN_HOUR = 3
"""How often the Sessions of a device token may move to another MAC within an
hour (A6).
"""

log = structlog.get_logger(__name__)


class Hellos:
    """Carries out the entries of the inbox that are hellos. Raises what
    `OrderExecutor` raises.
    """

    def __init__(
        self,
        sessions: Sessions,
        store: ExecutorStore,
        resolver: Resolver,
        enqueue: Callable[[Entry], None],
        audit: AuditLog,
    ) -> None:
        self._audit = audit
        self._sessions = sessions
        self._store = store
        self._resolver = resolver
        self._enqueue = enqueue

    async def carry_out(self, entry: Entry, hello: Hello) -> Written:
        """Grant what waited for this phone, and move its live Sessions to the
        new address (A6).
        """
        device = self._sessions.device_to_use(hello.mik_id or "")
        if await self._is_outdated(hello, device):
            return Written(device, hello.client, ())

        await self._enqueue_waiting(hello, device)

        return await self._move(entry, hello, device)

    async def _is_outdated(self, hello: Hello, device: Device) -> bool:
        """Return whether a later hello said where the token is on this router:
        that one counts, also one that another bridge took (E15).
        """
        locations = await self._resolver.locations(hello)
        place = self._resolver.place_on(device, locations)
        said_at = milliseconds(hello.requested_at)

        return place is not None and place.said_at > said_at

    async def _enqueue_waiting(self, hello: Hello, device: Device) -> None:
        """Put the orders that waited for this phone into the inbox, as if they
        had just come.
        """
        orders = await self._store.waiting_for(hello.token or "", now_ms())
        here = [order for order in orders if self._is_for(order, device)]
        for entry in await self._store.release(here, hello.client, now_ms()):
            self._enqueue(entry)

    async def _move(
        self, entry: Entry, hello: Hello, device: Device
    ) -> Written:
        """Let the live Sessions of a phone follow it.

        If that changes the MAC of one of them it counts as a move, of which
        there are three an hour at most. Whether this hello may move them is
        settled once: what was written on the first try would look like no
        change later.
        """

        token = hello.token or ""
        names = await self._store.sessions_of(token)
        may_move: bool | None = None
        for _ in range(MAX_DECISIONS):
            sessions = self._sessions.counting(names)
            now = datetime.now(UTC)
            writes = decide_move(
                self._sessions.namespace, hello, device, sessions, now
            )

            if may_move is None and not changes_mac(
                hello, device, sessions, now
            ):
                may_move = True

            if writes and may_move is None:
                may_move = await self._store.note_move(
                    token, entry.received_at, MAX_MOVES_AN_HOUR
                )

            if may_move is False:
                log.warning(
                    "a device token moved three times within the hour",
                    device=device.name,
                    trace_id=hello.trace_id,
                )

                self._tell(
                    FAIL,
                    hello,
                    device,
                    code="too_many_moves",
                    error="the token moved three times within the hour",
                )

            if not writes or not may_move:
                return Written(device, hello.client, ())

            try:
                targets = [
                    await self._sessions.write(write, Awaited.GRANT)
                    for write in writes
                ]
            except (AlreadyExists, Conflict) as error:
                await self._sessions.read_written(writes, error)
                continue

            names_moved = [target.name for target in targets]
            self._tell(SUCCESS, hello, device, sessions=names_moved)

            return Written(device, hello.client, tuple(targets))

        raise Unavailable("the Sessions are changed by others again and again")

    def _tell(
        self, kind: str, hello: Hello, device: Device, **details: Any
    ) -> None:
        """Tell the audit log what a hello came to that moves a Session."""
        self._audit.tell(
            kind,
            "MOVE_SESSION",
            source="hello",
            trace_id=hello.trace_id,
            client=hello.client,
            router=device.router_id,
            deviceToken=token_mark(hello.token or ""),
            **details,
        )

    def _is_for(self, order: Authorize, device: Device) -> bool:
        """Return whether an order that waits for its phone may be granted on
        this router.
        """
        if order.mik_id is None:
            return True

        named = self._sessions.device(order.mik_id)

        return named is not None and named.name == device.name
