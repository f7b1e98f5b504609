"""What the bridge must not lose, as Protocols in the bridge's own words;
nothing here says how it is kept.

Each part of the bridge takes the Protocol that it needs; `BridgeStore` has all
of them, also those of `events` and `access`. What all of them name is in `entry`, and can be
imported from here. Three promises hold for every method of every implementation:

* An awaited method is committed when it returns, and had no effect when it raises. It survives the death of the
  process, and also a power failure once `sync` was awaited. A store behind a network cannot keep all of that: if
  the connection breaks before the answer, the method raises and may have had its effect, so each may be called
  once more; and a store may lose what it had, as `docs/stores.md` says of each.
* An awaited method is atomic: two bridges that share a store never both get the same answer where only a single
  caller may (a nonce, a released order).
* Every method raises ApiError 503 `store_unavailable` if the store cannot be reached.

Times are milliseconds since 1970, unless a name says otherwise. Everything
ends: `prune` forgets what is over, and each table has a bound. What a method
costs does not grow with what is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from cerebro.bridge.intents import (
    Authorize,
    Cause,
    Client,
    Hello,
    Intent,
    Revoke,
)
from cerebro.bridge.store.access import AccessStore
from cerebro.bridge.store.entry import DAY as DAY  # noqa: PLC0414
from cerebro.bridge.store.entry import HOUR as HOUR  # noqa: PLC0414
from cerebro.bridge.store.entry import MINUTE as MINUTE  # noqa: PLC0414
from cerebro.bridge.store.entry import Entry as Entry  # noqa: PLC0414
from cerebro.bridge.store.events import EventStore, PaymentStore

MAX_INBOX = 10_000
"""Entries in the inbox; a further one is refused."""

MAX_NONCES = 2_000_000
"""Nonces that are remembered; for a further one those are forgotten whose
request is valid no more, and it is refused if there is none.
"""

MAX_TOKENS = 200_000
"""Places of tokens, one for each router, that are remembered; for a further
one the oldest are forgotten.
"""

MAX_PLACES = 16
"""Routers on which a token is looked for, those with the latest word first."""

MAX_WAITING = 10_000
"""Orders that wait for a hello; a further one is refused."""

REVOKE_MEMORY = DAY
"""How long a revoke is kept (A4)."""

MOVE_MEMORY = HOUR
"""How long a move of a token's Sessions counts (A6)."""

TOKEN_MEMORY = 30 * DAY
"""How long tokens, their Sessions and the placements of orders are kept."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an order was granted last."""

    device: str
    """The name of the Device."""

    name: str
    """The name of the Session."""


@dataclass(frozen=True, slots=True)
class TokenLocation:
    """Where the latest hello of a device token on a router saw its phone."""

    mik_id: str
    """The router's identifier as the portal wrote it."""

    client: Client
    """The phone's addresses on that router."""

    said_at: int
    """When that hello was asked for, by the caller's clock."""


@dataclass(frozen=True, slots=True)
class KeptRevoke:
    """A revoke that later orders must know."""

    order_id: str | None
    """The order that it ends; None if it ends what a client has."""

    client: Client
    """The client, also of a revoke that names an order."""

    cause: Cause
    """When the caller asked for it, and when it came."""

    def concerns(self, client: Client) -> bool:
        """Return whether the revoke ends this client's access: by MAC if both
        have one, else by address.

        A revoke of an order concerns every client: the caller looks it up by
        the order.
        """
        if self.order_id is not None:
            return True

        if self.client.mac and client.mac:
            return self.client.mac == client.mac

        return bool(self.client.ip) and self.client.ip == client.ip


class LeftOver(NamedTuple):
    """Entries of the inbox that nobody has taken out, oldest first."""

    entries: list[Entry]
    """Those that this release can read."""

    unreadable: list[int]
    """The `seq` of each entry that this release cannot read. A newer release
    wrote it; it stays.
    """


@dataclass(frozen=True, slots=True)
class Backlog:
    """How full the inbox is."""

    count: int
    """How many entries are in it, readable or not."""

    oldest: int
    """When the oldest entry was received, 0 if the inbox is empty."""


@dataclass(frozen=True, slots=True)
class Stock:
    """What the store has besides the inbox, for people who watch it."""

    waiting: int
    """Orders that wait for a hello, those included whose time is just over."""

    events: int
    """Events of the backend that are remembered."""


class StoreVersionError(Exception):
    """The store was written by a newer release. The text names the store and
    both versions.
    """


class InboxStore(Protocol):
    """The durable inbox (F1)."""

    async def put(self, intent: Intent, now: int) -> Entry:
        """Put an intent into the inbox, in the lane of its client (F2).

        Raises ApiError 503 `inbox_full` if MAX_INBOX entries are in it.
        """
        ...

    def take_out_soon(self, seq: int) -> None:
        """Remove an entry that was carried out, in a moment and without
        waiting for it.

        A process that dies in that moment has not removed it: the entry is
        carried out twice.
        """
        ...

    async def still_holds(self, seq: int) -> bool:
        """Return whether this bridge may carry an entry out: False if another
        bridge has taken it over.

        Asked before each try, for a bridge that was cut off from its store may
        have been taken for dead.
        """
        ...

    async def left_over(self, before: int) -> LeftOver:
        """Return the entries received at `before` or earlier, of this bridge
        and of those that share its store.

        Where the store knows which bridges live, entries of another that lives
        are not among them, and the others are this bridge's from now on.
        Entries that were to be taken out a moment ago are not among them.
        """
        ...

    async def backlog(self) -> Backlog:
        """Return how many entries are in the inbox, and when the oldest was
        received.
        """
        ...


class NonceStore(Protocol):
    """The nonces of signatures (D5)."""

    @property
    def nonces_since(self) -> int:
        """Since when every nonce is remembered, in milliseconds.

        Of a request that was signed before, nobody can tell whether it was
        used: its nonce may be forgotten.
        """
        ...

    async def use_nonce(
        self, nonce: str, now: int, memory: int, valid_for: int
    ) -> bool:
        """Remember a nonce for `memory` milliseconds; return whether it was
        new.

        A request with it is refused for its time after `valid_for`
        milliseconds: then the nonce may be forgotten. Raises ApiError 503
        `store_unavailable` if MAX_NONCES nonces are remembered and none of
        them may be.
        """
        ...


class TokenStore(Protocol):
    """Device tokens: where their phones are, and which Sessions were made for
    them (A6).
    """

    async def note_hello(self, hello: Hello, now: int) -> Entry | None:
        """Remember where a token is on the router of a hello, unless a hello
        that was asked for later said so before.

        Return the hello as an entry of the inbox if it was remembered, and an
        order waits for the token or a Session was made for it; else None. The
        tokens seen longest ago are forgotten when there are MAX_TOKENS.
        """
        ...

    async def locations_of(self, token: str) -> list[TokenLocation]:
        """Return where hellos of a token saw its phone: for each router what
        was asked for last, the latest of them first, MAX_PLACES at most.
        """
        ...

    async def sessions_of(self, token: str) -> list[str]:
        """Return the names of the Sessions that were made for a token, also
        those noted a moment ago.
        """
        ...

    async def note_move(self, token: str, moved_at: int, limit: int) -> bool:
        """Note that a token's Sessions move at `moved_at`; return whether they
        may.

        They may not if `limit` moves were noted within MOVE_MEMORY before. The
        same `moved_at` is the same move: it gets the same answer, and counts
        once.
        """
        ...


class WaitingStore(Protocol):
    """Orders that wait for the hello of their token (A6)."""

    async def wait_for_hello(
        self,
        order: Authorize,
        locations: Sequence[TokenLocation],
        now: int,
        until: int,
    ) -> bool:
        """Keep an order until its token says hello, or until `until`; return
        whether it is kept.

        It is not kept if the token's locations are no longer `locations`: a
        hello came since they were read.

        Raises ApiError 503 `inbox_full` if MAX_WAITING orders wait.
        """
        ...

    async def waiting_for(self, token: str, now: int) -> list[Authorize]:
        """Return the orders that wait for a token's hello at `now`."""
        ...

    async def release(
        self, orders: Sequence[Authorize], client: Client, now: int
    ) -> list[Entry]:
        """Put orders that waited into the inbox, with the address of their
        phone; return the new entries.

        An order that no longer waits is left out, so each is released once.

        Raises ApiError 503 `inbox_full`: then none is released.
        """
        ...


class OrderStore(Protocol):
    """Where orders were granted (A2), and revokes that later orders must know
    (A4).
    """

    def note_grant_soon(
        self, order: Authorize, placement: Placement, now: int
    ) -> None:
        """Remember where an order was granted and for which token, in a moment
        and without waiting for it.

        The order waits for no hello any more. A process that dies in that
        moment has noted nothing: its entry is still in the inbox, and is
        carried out again.
        """
        ...

    async def placement_of(self, order: Authorize) -> Placement | None:
        """Return where an order of this id and type was granted last; None if
        it never was, or has no id.
        """
        ...

    async def names_of_order(self, order_id: str) -> list[str]:
        """Return the names of the Sessions with which an order was granted
        last, of each type.
        """
        ...

    async def keep_revoke(
        self, revoke: Revoke, client: Client, device: str, now: int
    ) -> None:
        """Keep a revoke on a Device for REVOKE_MEMORY; of equal ones the
        latest time of asking counts, and the latest arrival.
        """
        ...

    async def revokes_of(
        self, order: Authorize, client: Client, device: str
    ) -> list[Cause]:
        """Return the kept revokes that concern an order.

        Those are the revokes of the order itself on any Device, and the
        client's without an order on this Device.
        """
        ...


class HousekeepingStore(Protocol):
    """What keeps the store small, and what is in it safe."""

    @property
    def failed(self) -> str | None:
        """Why the store could not be used the last time, None if it could."""
        ...

    async def sync(self) -> None:
        """Wait until all that was committed survives a power failure."""
        ...

    async def stock(self) -> Stock:
        """Return how much the store has besides the inbox."""
        ...

    async def prune(self, now: int) -> None:
        """Forget nonces, waiting orders, revokes, moves, tokens, placements,
        events, ACKs, payments, records and ended accesses whose time is
        over at `now`.
        """
        ...


class ExecutorStore(
    TokenStore,
    WaitingStore,
    OrderStore,
    PaymentStore,
    HousekeepingStore,
    Protocol,
):
    """What carrying out an order needs."""


class BridgeStore(
    InboxStore, NonceStore, ExecutorStore, EventStore, AccessStore, Protocol
):
    """The whole memory of a bridge. Opened by `open`, and closed by `close`
    after its last use.
    """

    async def open(self) -> None:
        """Make the store ready, and create what is missing in it.

        Raises ApiError 503 if it cannot be used, StoreVersionError if a newer
        release wrote it.
        """
        ...

    async def close(self) -> None:
        """Finish what is waiting, and close the store."""
        ...


def router_key(mik_id: str | None) -> str:
    """Return what a router's identifier is compared by."""
    return (mik_id or "").casefold()


def milliseconds(moment: datetime) -> int:
    """Return a moment as milliseconds since 1970."""
    return round(moment.timestamp() * 1000)
