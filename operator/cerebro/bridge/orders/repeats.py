"""Orders that are asked for once more while their access is on the router:
callers do so whenever they are not sure.

Such an order changes nothing for anybody, so it is answered at once. That it
was asked for is noted a moment later: it goes the way of every order then,
through the inbox, once for all calls of that moment. A process that dies within
that moment has answered, and noted nothing.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import structlog

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Arrival, Authorize, Client, lane_of
from cerebro.bridge.orders.decide import Known, decide, order_name
from cerebro.bridge.orders.outcomes import Awaited, WaitResult, judge
from cerebro.bridge.orders.resolve import Resolver
from cerebro.bridge.orders.sessions import Sessions, Target, Written
from cerebro.bridge.orders.writes import Create, Patch
from cerebro.bridge.store.base import ExecutorStore
from cerebro.domain.lifecycle import GrantWindows
from cerebro.resources import Device, Session
from cerebro.runtime.clock import monotonic, now_ms

AFTER = 1.0
"""Seconds from an order's answer until it goes into the inbox."""
PAUSE = 15.0
"""Seconds between two times that the same order goes there: each is a write to
the API server.
"""
MAX_NOTES = 10_000
"""Orders that wait for that; a further one takes the long way at once."""
_AT_ONCE = 64
"""Orders that go into the inbox side by side."""

Key = tuple[str, str | None]

log = structlog.get_logger(__name__)


class Repeats:
    """Answers orders that are open already, and has them noted."""

    def __init__(
        self,
        sessions: Sessions,
        store: ExecutorStore,
        *,
        is_free: Callable[[Authorize, str], bool],
        submit: Callable[[Authorize], Awaitable[object]],
        windows: GrantWindows,
        default_paid: timedelta | None = None,
    ) -> None:
        """`is_free` tells whether nothing else is in hand in the lane of an
        order: what came before it counts first (F2). `submit` puts an order
        into the inbox.
        """
        self._is_free = is_free
        self._submit = submit
        self._sessions = sessions
        self._store = store
        self._resolver = Resolver(sessions, store)
        self._windows = windows
        self._default_paid = default_paid

        # The latest one for each Session and device token.
        self._notes: dict[Key, Authorize] = {}
        self._wake = asyncio.Event()
        self._numbers = itertools.count()

        # When each went into the inbox, in seconds of the monotonic clock, as
        # long as that is less than PAUSE ago.
        self._handed_in: dict[Key, float] = {}

    async def open_already(self, order: Authorize) -> Written | None:
        """Return the Session of an order that has nothing to wait for, and
        have the order noted; None if it has to take the long way, which also
        tells what is wrong with it.
        """
        arrival = Arrival(now_ms(), next(self._numbers))
        order = order.model_copy(update={"was_open": True, "arrival": arrival})
        try:
            written = await self._open_already(order)
        except ApiError:
            return None

        if written is None or not self._note(order, written.targets[0].name):
            return None

        return written

    async def run(self) -> None:
        """Hand in what is to be noted, until cancelled."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(AFTER)

            try:
                await self._hand_in(self._due(monotonic()))
            except ApiError as error:
                log.warning("noting orders has to wait", error=str(error))

            if not self._notes:
                self._wake.clear()

    async def flush(self) -> None:
        """Hand in all that is to be noted.

        Raises ApiError if the store cannot take it: it stays here.
        """
        await self._hand_in(list(self._notes))

    def _due(self, now: float) -> list[Key]:
        """Return what did not go into the inbox a moment ago."""
        self._handed_in = {
            key: at for key, at in self._handed_in.items() if now - at < PAUSE
        }

        return [key for key in self._notes if key not in self._handed_in]

    async def _hand_in(self, keys: list[Key]) -> None:
        for first in range(0, len(keys), _AT_ONCE):
            part = {
                key: self._notes[key] for key in keys[first : first + _AT_ONCE]
            }
            await asyncio.gather(*map(self._submit, part.values()))

            for key, order in part.items():
                self._handed_in[key] = monotonic()

                # What was asked for since is noted later.
                if self._notes.get(key) is order:
                    del self._notes[key]

    async def _open_already(self, order: Authorize) -> Written | None:
        """Raise ApiError for a router that nobody knows."""
        sessions = self._sessions
        if not sessions.complete():
            return None

        locations = await self._resolver.locations(order)
        lane = lane_of(order, locations[0].client if locations else None)
        if not self._is_free(order, lane):
            return None

        device = self._resolver.device(order, locations)
        client = self._resolver.client(order, locations, device)
        session = self._session_of(order, client, device)
        if session is None:
            return None

        revokes = await self._store.revokes_of(order, client, device.name)
        generation = sessions.generation_for_router(session)
        if revokes or not self._is_kept(order, client, device, session):
            return None

        result = judge(session, generation, Awaited.GRANT)
        if result is not WaitResult.DONE:
            return None

        target = Target(session.name, generation, Awaited.GRANT)

        return Written(device, client, (target,))

    def _session_of(
        self, order: Authorize, client: Client, device: Device
    ) -> Session | None:
        """Return the Session that an order has, None if the order has others
        besides it, or its client is not known.
        """
        if not client:
            return None

        sessions = self._sessions
        if order.order_id and len(sessions.of_order(order.order_id)) > 1:
            return None

        name = order_name(sessions.namespace, device, order, client)

        return sessions.known(name)

    def _is_kept(
        self,
        order: Authorize,
        client: Client,
        device: Device,
        session: Session,
    ) -> bool:
        """Return whether an order changes nothing at its Session but when it
        was asked for.

        Raises ApiError for an order that is refused.
        """
        known = Known(
            device,
            datetime.now(UTC),
            same=session,
            default_paid=self._default_paid,
            windows=self._windows,
        )
        write = decide(self._sessions.namespace, order, client, known)
        if isinstance(write, Create):
            return False

        return not isinstance(write, Patch) or write.noted_at is not None

    def _note(self, order: Authorize, name: str) -> bool:
        """Remember that an order is to be noted; return False if there are too
        many of them.
        """
        key: Key = (name, order.token)
        if len(self._notes) >= MAX_NOTES and key not in self._notes:
            return False

        self._notes[key] = order
        self._sessions.asked_again[name] = order.cause
        self._wake.set()

        return True
