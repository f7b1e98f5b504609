"""Takes events in: each once, into the inbox before anything is done about it
(F1, F4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Protocol, TypeVar

import structlog

from cerebro.bridge.audit.log import AuditLog
from cerebro.bridge.backend.audit import tell_read, tell_taken
from cerebro.bridge.backend.outcomes import DONE, Outcome, ack_body
from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Authorize
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.requests.events import (
    FeedRules,
    ReadEvent,
    event_id_of,
    read_event,
    utc,
)
from cerebro.bridge.store.base import MAX_INBOX, InboxStore
from cerebro.bridge.store.entry import HOUR, Entry
from cerebro.bridge.store.events import EventStore, NewEvent
from cerebro.runtime.clock import now_ms

AT_ONCE = 100
"""Events of a step of the store: others may write between two steps."""
MAX_IN_THE_INBOX = MAX_INBOX // 2
"""Entries of the inbox above which events wait at the backend: calls over HTTP
have nowhere else to wait.
"""
_REFRESH = HOUR // 2
"""Milliseconds after which an event that polls go on bringing is noted anew as
seen.
"""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class ConsumerStore(InboxStore, EventStore, Protocol):
    """What taking events needs."""


class Consumer:
    """Takes the events of each poll.

    It remembers the last poll only, to spare the store what it knows: a feed
    offers each event until its ACK came.
    """

    def __init__(
        self,
        store: ConsumerStore,
        metrics: Metrics,
        *,
        rules: FeedRules,
        payment_within: int,
        sends_acks: bool,
        taken: Callable[[Entry], None],
        ack_due: Callable[[], None],
        audit: AuditLog | None = None,
    ) -> None:
        """`payment_within` is how long (milliseconds) the order of a payment
        waits for its phone. `taken` is called for each new entry of the inbox.
        """
        self._store = store
        self._metrics = metrics

        self._rules = rules
        self._payment_within = payment_within
        self._sends_acks = sends_acks

        self._taken = taken
        self._ack_due = ack_due
        self._audit = audit or AuditLog(None)
        self._seen: dict[str, int] = {}

        """The events of the last poll, and when each was handed to the store.
        """

    async def take(self, events: Sequence[Any]) -> None:
        """Take those events of a poll that are new; when this returns, all are
        in the store.

        Raises ApiError 503 if the store cannot take them: what was not taken
        is in the next poll.
        """
        now = now_ms()

        # Who is not in this poll is forgotten here: the store remembers it.
        seen: dict[str, int] = {}

        for chunk in _chunks(iter(events), AT_ONCE):
            new = self._read(chunk, now, seen)
            await self._put(new, now)

            for event in new:
                seen[event.event_id] = now

        self._seen = seen

    def _read(
        self, events: Sequence[Any], now: int, seen: dict[str, int]
    ) -> list[ReadEvent]:
        """Return what is to be handed to the store; note in `seen` what need
        not be.
        """
        new: list[ReadEvent] = []
        moment: datetime = utc(now)

        for event in events:
            event_id = event_id_of(event)

            if event_id is None:
                self._metrics.count("consumer.invalid_event")
                log.warning("an event without a usable eventId is skipped")
                continue

            # What the last poll brought too is in the store already.
            handed_at = self._seen.get(event_id)

            if handed_at is not None and handed_at > now - _REFRESH:
                seen[event_id] = handed_at
            elif event_id not in seen:
                new.append(read_event(event_id, event, moment, self._rules))

        return new

    async def _put(self, events: list[ReadEvent], now: int) -> None:
        """Hand events to the store, and start what is new of them.

        Raises ApiError 503: then none of them was taken.
        """
        if not events:
            return

        backlog = await self._store.backlog()

        if backlog.count >= MAX_IN_THE_INBOX:
            raise ApiError(
                503,
                "inbox_full",
                f"{backlog.count} orders wait for the API server",
            )

        rows = [self._row(event) for event in events]
        until = now + self._payment_within
        entries = await self._store.take_events(rows, now, until)

        for entry in entries:
            tell_taken(self._audit, entry)
            self._taken(entry)

        for event in events:
            self._note(event)

        self._ack_due()

    def _row(self, event: ReadEvent) -> NewEvent:
        """Return an event as it goes into the store: one that has its outcome
        already brings its ACK.
        """
        outcome: Outcome | None = None

        if event.refusal is not None:
            outcome = Outcome(event.refusal.reason, event.refusal.error)
        elif event.payment is not None:
            outcome = DONE  # it is recorded, and that is all it asks (A7)

        ack = None

        if outcome is not None and self._sends_acks:
            ack = ack_body(event.event_id, outcome)

        return NewEvent(event.event_id, event.intent, event.payment, ack)

    def _note(self, event: ReadEvent) -> None:
        """Count and log what an event came to when this process first saw it.

        Those with an intent are counted at their outcome.
        """
        refusal = event.refusal
        tell_read(self._audit, event)

        if event.payment is not None:
            self._metrics.count("payment.confirmed")

        if isinstance(event.intent, Authorize) and event.intent.warning:
            self._metrics.trials_shortened.inc()

        if refusal is None:
            return

        is_unknown = refusal.reason == "unknown_type"

        self._metrics.count(
            "events.unknown_type" if is_unknown else "events.invalid"
        )

        log.warning(
            "an event is refused",
            event_id=event.event_id,
            reason=refusal.reason,
            error=refusal.error,
        )


def _chunks(items: Iterator[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of at most `size`."""
    while chunk := list(islice(items, size)):
        yield chunk
