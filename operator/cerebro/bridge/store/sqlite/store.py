"""The bridge's store in one SQLite file: each method is one transaction of the
engine, or a part of one.

What a method promises is said in `cerebro.bridge.store.base`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

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
    TokenLocation,
)
from cerebro.bridge.store.events import Ack, NewEvent, OpenEvent
from cerebro.bridge.store.sqlite import (
    access,
    acks,
    inbox,
    orders,
    tokens,
    waiting,
)
from cerebro.bridge.store.sqlite import events as event_rows
from cerebro.bridge.store.sqlite.engine import Engine
from cerebro.bridge.store.sqlite.nonces import NonceBatches
from cerebro.bridge.store.sqlite.prune import AT_ONCE, prune
from cerebro.bridge.store.sqlite.schema import rows_of


class SqliteStore(BridgeStore):
    """A file with all that the bridge must not lose; two bridges on a node may
    share it (E15).
    """

    def __init__(self, path: Path) -> None:
        self.engine = Engine(path)
        self._nonces = NonceBatches(self.engine)

    async def open(self) -> None:
        """Create or open the file."""
        await self.engine.open()

    async def close(self) -> None:
        """Finish what is waiting, and close the file."""
        await self.engine.close()

    @property
    def failed(self) -> str | None:
        """Why the last transaction failed, None if it did not."""
        return self.engine.failed

    async def sync(self) -> None:
        """Wait until the log of the file is on the disk."""
        await self.engine.sync()

    async def stock(self) -> Stock:
        """Return how much the store has besides the inbox."""
        waiting_orders = partial(rows_of, table="waiting")
        events = partial(rows_of, table="events")

        return Stock(
            self.engine.read(waiting_orders), self.engine.read(events)
        )

    async def prune(self, now: int) -> None:
        """Forget what is over, a part in each transaction: what waits between
        them goes first.
        """
        while await self.engine.run(partial(prune, now=now)):
            pass

    async def put(self, intent: Intent, now: int) -> Entry:
        """Put an intent into the inbox."""
        return await self.engine.run(
            partial(inbox.put, intent=intent, now=now)
        )

    def take_out_soon(self, seq: int) -> None:
        """Remove an entry from the inbox with the next transaction."""
        self.engine.post(partial(inbox.take_out, seq=seq))

    async def still_holds(self, seq: int) -> bool:  # noqa: ARG002 - all entries alike
        """Return True: bridges that share a file may both carry an entry out,
        which changes nothing.
        """
        return True

    async def left_over(self, before: int) -> LeftOver:
        """Return the entries received at `before` or earlier; those posted for
        removal are gone.
        """
        return await self.engine.run(partial(inbox.left_over, before=before))

    async def backlog(self) -> Backlog:
        """Return how full the inbox is."""
        return self.engine.read(inbox.backlog)

    @property
    def nonces_since(self) -> int:
        """Since ever: a file forgets nothing."""
        return 0

    async def use_nonce(
        self, nonce: str, now: int, memory: int, valid_for: int
    ) -> bool:
        """Remember a nonce, together with those of other requests; return
        whether it was new.
        """
        return await self._nonces.use(nonce, now, memory, valid_for)

    async def note_hello(self, hello: Hello, now: int) -> Entry | None:
        """Remember where a token is; return an entry if there may be something
        to do about it.
        """
        return await self.engine.run(
            partial(_note_hello, hello=hello, now=now)
        )

    async def locations_of(self, token: str) -> list[TokenLocation]:
        """Return where a token was seen, the latest word first."""
        return self.engine.read(partial(tokens.locations_of, token=token))

    async def sessions_of(self, token: str) -> list[str]:
        """Return the names of a token's Sessions; it waits for the writer, so
        those posted are in it.
        """
        return await self.engine.run(partial(tokens.sessions_of, token=token))

    async def note_move(self, token: str, moved_at: int, limit: int) -> bool:
        """Note a move of a token's Sessions; return whether they may move."""
        return await self.engine.run(
            partial(
                tokens.note_move, token=token, moved_at=moved_at, limit=limit
            )
        )

    async def wait_for_hello(
        self,
        order: Authorize,
        locations: Sequence[TokenLocation],
        now: int,
        until: int,
    ) -> bool:
        """Keep an order until its token says hello; return whether it is kept."""
        return await self.engine.run(
            partial(
                waiting.wait_for_hello,
                order=order,
                locations=locations,
                now=now,
                until=until,
            )
        )

    async def waiting_for(self, token: str, now: int) -> list[Authorize]:
        """Return the orders that wait for a token's hello."""
        return self.engine.read(
            partial(waiting.waiting_for, token=token, now=now)
        )

    async def release(
        self, orders: Sequence[Authorize], client: Client, now: int
    ) -> list[Entry]:
        """Put orders that waited into the inbox."""
        return await self.engine.run(
            partial(waiting.release, orders=orders, client=client, now=now)
        )

    def note_grant_soon(
        self, order: Authorize, placement: Placement, now: int
    ) -> None:
        """Remember a grant with the next transaction."""
        self.engine.post(
            partial(_note_grant, order=order, placement=placement, now=now)
        )

    async def placement_of(self, order: Authorize) -> Placement | None:
        """Return where an order was granted last."""
        return self.engine.read(partial(orders.placement_of, order=order))

    async def names_of_order(self, order_id: str) -> list[str]:
        """Return the names of an order's Sessions."""
        return self.engine.read(
            partial(orders.names_of_order, order_id=order_id)
        )

    async def keep_revoke(
        self, revoke: Revoke, client: Client, device: str, now: int
    ) -> None:
        """Keep a revoke."""
        await self.engine.run(
            partial(
                orders.keep_revoke,
                revoke=revoke,
                client=client,
                device=device,
                now=now,
            )
        )

    async def revokes_of(
        self, order: Authorize, client: Client, device: str
    ) -> list[Cause]:
        """Return the kept revokes that concern an order."""
        return self.engine.read(
            partial(
                orders.revokes_of, order=order, client=client, device=device
            )
        )

    async def take_events(
        self, events: Sequence[NewEvent], now: int, until: int
    ) -> list[Entry]:
        """Take the events that are new; return the new entries of the inbox."""
        return await self.engine.run(
            partial(event_rows.take, events=events, now=now, until=until)
        )

    def note_written_soon(self, entry: Entry, awaits: str) -> None:
        """Keep what an event waits for, with the next transaction."""
        self.engine.post(
            partial(event_rows.note_written, entry=entry, awaits=awaits)
        )

    def tell_pending_soon(
        self, event_id: str, ack: str | None, now: int
    ) -> None:
        """Say once of an open event that it is pending, with the next
        transaction.
        """
        self.engine.post(
            partial(
                event_rows.tell_pending, event_id=event_id, ack=ack, now=now
            )
        )

    def conclude_soon(
        self, event_id: str, ack: str | None, now: int, entry: Entry | None
    ) -> None:
        """Note the final outcome of an event with the next transaction."""
        self.engine.post(
            partial(
                event_rows.conclude,
                event_id=event_id,
                ack=ack,
                now=now,
                entry=entry,
            )
        )

    async def open_events(self) -> list[OpenEvent]:
        """Return the events without a final outcome; it waits for the writer,
        so those posted are in it.
        """
        return await self.engine.run(event_rows.open_events)

    async def due_acks(self, now: int, limit: int) -> list[Ack]:
        """Return ACKs that are due; it waits for the writer, so those posted
        are in it.
        """
        return await self.engine.run(partial(acks.due, now=now, limit=limit))

    async def acks_waiting(self) -> int:
        """Return how many ACKs the backend has not taken."""
        return self.engine.read(partial(rows_of, table="acks"))

    def ack_taken_soon(self, ack: Ack) -> None:
        """Forget an ACK with the next transaction."""
        self.engine.post(partial(acks.taken, seq=ack.seq))

    def ack_failed_soon(self, ack: Ack, due_at: int) -> None:
        """Note with the next transaction when an ACK is due anew."""
        self.engine.post(partial(acks.failed, seq=ack.seq, due_at=due_at))

    async def payment_of(self, sid: str, now: int) -> Payment | None:
        """Return the payment of a client that is not over."""
        return self.engine.read(
            partial(event_rows.payment_of, sid=sid, now=now)
        )

    async def keep_accesses(
        self, changes: Sequence[AccessChange], now: int
    ) -> list[bool]:
        """Take changes of accesses, each with its records."""
        return await self.engine.run(
            partial(access.keep, changes=changes, now=now)
        )

    async def accesses_of(self, uids: Collection[str]) -> dict[str, str]:
        """Return the states of Sessions by UID."""
        return self.engine.read(partial(access.states_of, uids=uids))

    async def open_accesses(self) -> dict[str, str]:
        """Return the states of all Sessions whose client has access."""
        return self.engine.read(access.open_states)

    async def waiting_records(self, limit: int) -> list[WaitingRecord]:
        """Return the oldest records that are not written."""
        return self.engine.read(partial(access.waiting, limit=limit))

    async def records_written(self, seqs: Sequence[int]) -> None:
        """Forget records that were written."""
        await self.engine.run(partial(access.written, seqs=seqs))

    async def records_waiting(self) -> int:
        """Return how many records are not written."""
        return self.engine.read(partial(rows_of, table="records"))

    async def swept_at(self) -> int:
        """Return when the last sweep began."""
        return self.engine.read(access.swept_at)

    async def note_sweep(self, at: int, ended_before: int) -> None:
        """Note a sweep, and forget what ended long before it, a part in each
        transaction.
        """
        await self.engine.run(partial(access.note_sweep, at=at))
        forgotten = AT_ONCE
        while forgotten >= AT_ONCE:
            forgotten = await self.engine.run(
                partial(
                    access.forget_ended, before=ended_before, limit=AT_ONCE
                )
            )


def _note_hello(
    db: sqlite3.Connection, hello: Hello, now: int
) -> Entry | None:
    """Remember a hello, and put it into the inbox if an order or a Session may
    be concerned (A6).
    """
    token = hello.token or ""
    if not tokens.note_location(db, hello, now):
        return None

    if waiting.is_awaited(db, token) or tokens.has_session(db, token):
        return inbox.put(db, hello, now)

    return None


def _note_grant(
    db: sqlite3.Connection, order: Authorize, placement: Placement, now: int
) -> None:
    """Remember where an order was granted, and for which token."""
    orders.place(db, order, placement, now)

    if order.token:
        waiting.stop_waiting(db, order)
        tokens.link(db, order.token, placement.name, now)
