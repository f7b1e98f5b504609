"""What the bridge must not lose of the backend's events: which were taken, what
each still waits for, and the ACKs that it is owed.

A part of `base`, whose promises hold here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cerebro.bridge.intents import Intent, Payment
from cerebro.bridge.store.entry import DAY, Entry

MAX_EVENTS = 1_000_000
"""Events of the backend that are remembered; for a further one those are
forgotten that a poll brought longest ago and that have their outcome.
"""

EVENT_MEMORY = 30 * DAY
"""How long an event is remembered after a poll last brought it (F4), an ACK
that the backend does not take is kept, and a payment that names no end. An
event without a final outcome is remembered however old it is.
"""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event of the backend as it is taken: with the intent, the payment or
    the ACK that it comes to.
    """

    event_id: str
    """The backend's own name for it, at most 256 characters."""

    intent: Intent | None = None
    """What goes into the inbox; the event is open until `conclude_soon`."""

    payment: Payment | None = None
    """What is kept until its phone says hello."""

    ack: str | None = None
    """The body of the final ACK of an event that has its outcome already."""


@dataclass(frozen=True, slots=True)
class OpenEvent:
    """An event that has no final outcome yet."""

    event_id: str

    taken_at: int
    """When it was put into the inbox."""

    told: bool
    """Whether an ACK said already that it is pending (F3)."""

    awaits: str
    """What its outcome depends on, as `note_written_soon` was given it; empty
    while it is in the inbox.
    """


@dataclass(frozen=True, slots=True)
class Ack:
    """An ACK that the backend has not taken yet."""

    seq: int
    """Its number; a later ACK has a higher one."""

    event_id: str

    body: str
    """The JSON to send."""

    tries: int
    """How often it was sent in vain."""


class PaymentStore(Protocol):
    """Payments whose clients have no access yet (A6)."""

    async def payment_of(self, sid: str, now: int) -> Payment | None:
        """Return the payment that was confirmed last for a client and is not
        over at `now`; None if there is none.
        """
        ...


class EventStore(PaymentStore, Protocol):
    """Events of the backend, each taken once, and the ACKs that it is owed
    (F1, F3, F4).
    """

    async def take_events(
        self, events: Sequence[NewEvent], now: int, until: int
    ) -> list[Entry]:
        """Take those events that were never taken, in their order; return the
        new entries of the inbox.

        The same event may be among them several times, and is taken once. All
        of one is atomic: it is remembered, and its intent is in the inbox,
        its payment is kept, or its ACK is due. The order of a payment goes
        into the inbox if a hello of its `sid` was noted, else it waits for
        that hello until `until`. An event that is known is only noted as seen
        at `now`. Raises ApiError 503 `inbox_full`: then none was taken.
        """
        ...

    def note_written_soon(self, entry: Entry, awaits: str) -> None:
        """Take an entry out of the inbox whose event waits for the router, and
        keep with the event what it waits for; in a moment, as `take_out_soon`.
        """
        ...

    def tell_pending_soon(
        self, event_id: str, ack: str | None, now: int
    ) -> None:
        """Let an ACK be due, once, that says that an open event is pending; in
        a moment.
        """
        ...

    def conclude_soon(
        self, event_id: str, ack: str | None, now: int, entry: Entry | None
    ) -> None:
        """Note the final outcome of an open event: take its entry out of the
        inbox, and let its ACK be due instead of an earlier one; in a moment.

        Of several outcomes the first counts. Without an `ack` nothing is sent.
        """
        ...

    async def open_events(self) -> list[OpenEvent]:
        """Return the events without a final outcome, those taken first first,
        also those noted a moment ago.
        """
        ...

    async def due_acks(self, now: int, limit: int) -> list[Ack]:
        """Return ACKs that are due at `now`, due longest first, `limit` at
        most, also those noted a moment ago.
        """
        ...

    async def acks_waiting(self) -> int:
        """Return how many ACKs the backend has not taken, due or not."""
        ...

    def ack_taken_soon(self, ack: Ack) -> None:
        """Forget an ACK that the backend took, in a moment; one that came in
        its place stays.
        """
        ...

    def ack_failed_soon(self, ack: Ack, due_at: int) -> None:
        """Note in a moment that an ACK was sent in vain, and is due anew at
        `due_at`.
        """
        ...
