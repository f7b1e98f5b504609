"""The bridge's store on a Redis that several bridges share.

What a method promises is said in `cerebro.bridge.store.base`, and what is left
of it when Redis loses data in `docs/stores.md`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from contextlib import suppress

import structlog

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import (
    Authorize,
    Cause,
    Client,
    Hello,
    Intent,
    Payment,
    Revoke,
)
from cerebro.bridge.store.access import AccessChange, WaitingRecord
from cerebro.bridge.store.base import (
    Backlog,
    BridgeStore,
    Entry,
    LeftOver,
    Placement,
    Stock,
    StoreVersionError,
    TokenLocation,
)
from cerebro.bridge.store.events import Ack, NewEvent, OpenEvent
from cerebro.bridge.store.redis import (
    access,
    acks,
    nonces,
    orders,
    prune,
    tokens,
    waiting,
)
from cerebro.bridge.store.redis import events as event_rows
from cerebro.bridge.store.redis.claims import Claims
from cerebro.bridge.store.redis.engine import Engine, Observe
from cerebro.bridge.store.redis.inbox import Inbox
from cerebro.bridge.store.redis.places import latest_location, locations_of
from cerebro.bridge.store.redis.scripts import TELL
from cerebro.bridge.store_settings import RedisAddress
from cerebro.runtime.backoff import Backoff

VERSION = 1
"""The version of the names and values that this release reads and writes."""

OPEN_WITHIN = 30.0
"""Seconds that Redis has to answer for the first time."""

log = structlog.get_logger(__name__)


class RedisStore(BridgeStore):
    """All that bridges of one namespace must not lose, in one Redis."""

    def __init__(
        self,
        address: RedisAddress,
        namespace: str,
        observe: Observe | None = None,
    ) -> None:
        """`observe` is called with each call to Redis, see `engine`."""
        self.engine = Engine(address, namespace, observe)
        self.claims = Claims(self.engine)
        self._inbox = Inbox(self.engine, self.claims)
        self._namespace = namespace

    async def open(self) -> None:
        """Connect, and give signs of life from now on. A Redis that starts at
        the same time gets OPEN_WITHIN seconds.
        """
        await self.engine.open()

        try:
            await self._until_it_answers()
            await self._check_version()
            await self._warn()
            await self.claims.start()
        except BaseException:
            await self.engine.close()
            raise

    async def close(self) -> None:
        """Leave what is not finished to other bridges, and disconnect."""
        with suppress(ApiError):
            await self.claims.stop()

        await self.engine.close()

    @property
    def failed(self) -> str | None:
        """Why the last call failed, None if it did not."""
        return self.engine.failed

    @property
    def nonces_since(self) -> int:
        """Since when Redis has not been started anew."""
        return self.engine.since

    async def sync(self) -> None:
        """Hand in what was posted: when it is on a disk is Redis' own
        setting.
        """
        await self.engine.flush()

    async def stock(self) -> Stock:
        """Return how much the store has besides the inbox."""
        waiting_orders, events = await self.engine.read(
            ("ZCARD", "waiting"), ("ZCARD", "events")
        )

        return Stock(int(waiting_orders), int(events))

    async def prune(self, now: int) -> None:
        """Forget what is over."""
        await prune.prune(self.engine, now)

    async def put(self, intent: Intent, now: int) -> Entry:
        """Put an intent into the inbox."""
        located = await latest_location(self.engine, intent.token)

        return await self._inbox.put(intent, located, now)

    def take_out_soon(self, seq: int) -> None:
        """Remove an entry from the inbox in a moment."""
        self.claims.finish(str(seq))

    async def still_holds(self, seq: int) -> bool:
        """Return whether no other bridge has taken an entry over."""
        return await self.claims.holds(str(seq))

    async def left_over(self, before: int) -> LeftOver:
        """Return this bridge's entries, and those of bridges that are gone."""
        return await self._inbox.left_over(before)

    async def backlog(self) -> Backlog:
        """Return how full the inbox is."""
        return await self._inbox.backlog()

    async def use_nonce(
        self, nonce: str, now: int, memory: int, valid_for: int
    ) -> bool:
        """Remember a nonce; return whether it was new."""
        return await nonces.use_nonce(
            self.engine, nonce, now, memory, valid_for
        )

    async def note_hello(self, hello: Hello, now: int) -> Entry | None:
        """Remember where a token is; return an entry if there may be something
        to do about it.
        """
        return await tokens.note_hello(
            self.engine, self._inbox, self.claims.owner, hello, now
        )

    async def locations_of(self, token: str) -> list[TokenLocation]:
        """Return where a token was seen, the latest word first."""
        return await locations_of(self.engine, token)

    async def sessions_of(self, token: str) -> list[str]:
        """Return the names of a token's Sessions."""
        return await tokens.sessions_of(self.engine, token)

    async def note_move(self, token: str, moved_at: int, limit: int) -> bool:
        """Note a move of a token's Sessions; return whether they may move."""
        return await tokens.note_move(self.engine, token, moved_at, limit)

    async def wait_for_hello(
        self,
        order: Authorize,
        locations: Sequence[TokenLocation],
        now: int,
        until: int,
    ) -> bool:
        """Keep an order until its token says hello; return whether it is kept."""
        return await waiting.wait_for_hello(
            self.engine, order, locations, now, until
        )

    async def waiting_for(self, token: str, now: int) -> list[Authorize]:
        """Return the orders that wait for a token's hello."""
        return await waiting.waiting_for(self.engine, token, now)

    async def release(
        self, orders: Sequence[Authorize], client: Client, now: int
    ) -> list[Entry]:
        """Put orders that waited into the inbox."""
        if not orders:
            return []

        return await waiting.release(
            self.engine,
            self._inbox,
            self.claims.owner,
            orders,
            client=client,
            now=now,
            located=await latest_location(self.engine, orders[0].token),
        )

    def note_grant_soon(
        self, order: Authorize, placement: Placement, now: int
    ) -> None:
        """Remember a grant in a moment."""
        commands = orders.place(order, placement, now)
        if order.token:
            commands += waiting.stop_waiting(order)
            commands += tokens.link(order.token, placement.name, now)

        self.engine.post(*commands)

    async def placement_of(self, order: Authorize) -> Placement | None:
        """Return where an order was granted last."""
        return await orders.placement_of(self.engine, order)

    async def names_of_order(self, order_id: str) -> list[str]:
        """Return the names of an order's Sessions."""
        return await orders.names_of_order(self.engine, order_id)

    async def keep_revoke(
        self, revoke: Revoke, client: Client, device: str, now: int
    ) -> None:
        """Keep a revoke."""
        await orders.keep_revoke(self.engine, revoke, client, device, now)

    async def revokes_of(
        self, order: Authorize, client: Client, device: str
    ) -> list[Cause]:
        """Return the kept revokes that concern an order."""
        return await orders.revokes_of(self.engine, order, client, device)

    async def take_events(
        self, events: Sequence[NewEvent], now: int, until: int
    ) -> list[Entry]:
        """Take the events that are new; return the new entries of the inbox."""
        return await event_rows.take(
            self.engine,
            self._inbox,
            self.claims.owner,
            events,
            now=now,
            until=until,
        )

    def note_written_soon(self, entry: Entry, awaits: str) -> None:
        """Keep in a moment what an event waits for."""
        event_id = entry.intent.event_id or ""
        self.claims.finish(
            str(entry.seq), event_rows.note_written(event_id, awaits)
        )

    def tell_pending_soon(
        self, event_id: str, ack: str | None, now: int
    ) -> None:
        """Say once of an open event that it is pending, in a moment."""
        self.engine.post(event_rows.tell_pending(event_id, ack, now))

    def conclude_soon(
        self, event_id: str, ack: str | None, now: int, entry: Entry | None
    ) -> None:
        """Note the final outcome of an event in a moment."""
        step = event_rows.conclude(event_id, ack, now)
        if entry is None:
            self.engine.post(step)
        else:
            self.claims.finish(str(entry.seq), step)

    async def open_events(self) -> list[OpenEvent]:
        """Return the events without a final outcome."""
        return await event_rows.open_events(self.engine)

    async def due_acks(self, now: int, limit: int) -> list[Ack]:
        """Return ACKs that are due."""
        return await acks.due(self.engine, now, limit)

    async def acks_waiting(self) -> int:
        """Return how many ACKs the backend has not taken."""
        return await acks.waiting(self.engine)

    def ack_taken_soon(self, ack: Ack) -> None:
        """Forget an ACK in a moment."""
        self.engine.post(acks.taken(ack))

    def ack_failed_soon(self, ack: Ack, due_at: int) -> None:
        """Note in a moment when an ACK is due anew."""
        self.engine.post(acks.failed(ack, due_at))

    async def payment_of(self, sid: str, now: int) -> Payment | None:
        """Return the payment of a client that is not over."""
        return await event_rows.payment_of(self.engine, sid, now)

    async def keep_accesses(
        self, changes: Sequence[AccessChange], now: int
    ) -> list[bool]:
        """Take changes of accesses, each with its records."""
        return await access.keep(self.engine, changes, now)

    async def accesses_of(self, uids: Collection[str]) -> dict[str, str]:
        """Return the states of Sessions by UID."""
        return await access.states_of(self.engine, uids)

    async def open_accesses(self) -> dict[str, str]:
        """Return the states of all Sessions whose client has access."""
        return await access.open_states(self.engine)

    async def waiting_records(self, limit: int) -> list[WaitingRecord]:
        """Return the oldest records that are not written."""
        return await access.waiting(self.engine, limit)

    async def records_written(self, seqs: Sequence[int]) -> None:
        """Forget records that were written."""
        await access.written(self.engine, seqs)

    async def records_waiting(self) -> int:
        """Return how many records are not written."""
        return await access.count(self.engine)

    async def swept_at(self) -> int:
        """Return when the last sweep began."""
        return await access.swept_at(self.engine)

    async def note_sweep(self, at: int, ended_before: int) -> None:
        """Note a sweep, and forget what ended long before it."""
        await access.note_sweep(self.engine, at, ended_before)

    async def _until_it_answers(self) -> None:
        deadline = time.monotonic() + OPEN_WITHIN
        for delay in Backoff(first=0.2, ceiling=2.0):
            try:
                await self.engine.read(("GET", "version"))
            except ApiError:
                if self.engine.refused or time.monotonic() > deadline:
                    raise
            else:
                return

            await asyncio.sleep(delay)

    async def _check_version(self) -> None:
        """Write the version into an empty Redis.

        Raises StoreVersionError if a newer release wrote what is there.
        """
        _, text = await self.engine.write(
            ("SET", "version", VERSION, "NX"), ("GET", "version")
        )
        if int(text) > VERSION:
            raise StoreVersionError(
                f"the store {self.engine.address} has version {text} under {self._namespace!r}, and this "
                f"release reads versions up to {VERSION}: start the release that wrote it, or choose "
                "another RELAY_NAMESPACE"
            )

    async def _warn(self) -> None:
        """Warn of a Redis that forgets by its own settings."""
        told = await self._told()
        if told.get("aof_enabled") == "0":
            log.warning(
                "Redis keeps no append-only file: orders on their way are lost if it and the bridge end at once"
            )

        policy = told.get("maxmemory_policy", "")
        if policy.startswith("allkeys"):
            log.warning(
                "Redis forgets what we keep when its memory is full: set maxmemory-policy to noeviction",
                policy=policy,
            )

    async def _told(self) -> dict[str, str]:
        """Return what Redis tells of itself; nothing if it may not."""
        try:
            text = str(await self.engine.run(TELL))
        except ApiError:
            return {}

        lines = [line.partition(":") for line in text.splitlines()]

        return {name: value for name, _, value in lines}
