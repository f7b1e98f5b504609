"""Follows open events from what was written for them to their final outcome
(F2, F3).

It looks only at the Sessions that changed, and at each event only when its
Session did. What it knows is in the store too, so the next process, or the
bridge that takes the Lease over, goes on where this one stood.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import structlog

from cerebro.bridge.audit.log import AuditLog
from cerebro.bridge.backend.audit import tell_outcome
from cerebro.bridge.backend.counting import count_outcome
from cerebro.bridge.backend.outcomes import (
    DONE,
    Awaits,
    Outcome,
    ack_body,
    awaits_of,
    event_type,
    failed,
    outcome_of,
    pending,
    read_awaits,
)
from cerebro.bridge.errors import ApiError
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.orders.outcomes import breaker_open, not_in_time
from cerebro.bridge.orders.sessions import Sessions, Written
from cerebro.bridge.store.entry import Entry
from cerebro.bridge.store.events import EventStore, OpenEvent
from cerebro.kube.cache.store import Store
from cerebro.kube.client.errors import KubeError
from cerebro.kube.objects import Change
from cerebro.resources import SESSION, Device
from cerebro.runtime.backoff import Backoff
from cerebro.runtime.clock import now_ms

PENDING_AFTER = 30_000
"""Milliseconds without an outcome after which the backend is told so (F3)."""
RELOAD = 15.0
"""Seconds between two looks at what a bridge that shares the store left open.
"""
LOOK = 0.5
"""Seconds between two looks at what has no outcome in time."""
_AT_ONCE = 100
"""Sessions that are looked at before others may use the event loop."""

log = structlog.get_logger(__name__)


class Tracker:
    """The open events of the backend, and what each waits for."""

    def __init__(
        self,
        store: EventStore,
        sessions: Sessions,
        objects: Store,
        metrics: Metrics,
        *,
        sends_acks: bool,
        ack_due: Callable[[], None],
        audit: AuditLog | None = None,
    ) -> None:
        """`ack_due` is called when an ACK was put into the outbox.

        Without `sends_acks` outcomes are noted, and nobody is told.
        """
        self._store = store
        self._sessions = sessions
        self._metrics = metrics
        self._sends_acks = sends_acks
        self._ack_due = ack_due
        self._audit = audit or AuditLog(None)

        # The bridge without the Lease follows nothing.
        self._running = False

        # Events by their ids: all open ones, what those that were written wait
        # for, and those that nobody was told of, with the time when they were
        # taken. The oldest come first.
        self._open: dict[str, OpenEvent] = {}
        self._awaits: dict[str, Awaits] = {}
        self._untold: dict[str, int] = {}

        # What a reload may still have read as open.
        self._concluded: set[str] = set()

        # Events by the names of the Sessions that they wait for, and the names
        # of those Sessions that changed.
        self._events_of: dict[str, set[str]] = {}
        self._dirty: dict[str, None] = {}

        self._wake = asyncio.Event()
        objects.subscribe(self._changed)
        objects.on_complete(lambda _kind, _namespace: self._look_at_all())

    def taken(self, entry: Entry) -> None:
        """Note an event that was just put into the inbox.

        From now on it is counted how long it has no outcome.
        """
        event_id = entry.intent.event_id

        if event_id is not None and event_id not in self._open:
            self._add(OpenEvent(event_id, entry.received_at, False, ""))

    def settled(self, entry: Entry, result: Written | Exception) -> None:
        """Note what was written for an event, or why nothing was: the hook of
        the inbox.

        The store takes the entry out in the same step, so there is no moment
        at which neither inbox nor event knows what is still to be done.

        Raises ApiError if the store cannot note it: the entry stays in the
        inbox, and is carried out again.
        """
        event_id = entry.intent.event_id or ""

        # It was refused, or failed for good.
        if isinstance(result, Exception):
            outcome = failed(result)

            self._conclude(event_id, event_type(entry), outcome, entry)

            return

        # There was nothing to write, so there is nothing to wait for.
        if not result.targets:
            self._conclude(event_id, event_type(entry), DONE, entry)
            return

        # The rest is the router's.
        awaits = awaits_of(entry, result)
        self._store.note_written_soon(entry, awaits.text())

        known = self._open.get(event_id)
        told = known is not None and known.told

        self._add(
            OpenEvent(event_id, entry.received_at, told, awaits.text()), awaits
        )

    async def run(self) -> None:
        """Follow events until cancelled.

        Run it while the Lease is held: two that follow the same event would
        both count it.
        """
        self._running = True

        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._reload())
                tasks.create_task(self._look())
                tasks.create_task(self._tell_pending())
        finally:
            # Whoever has the Lease next reads it all from the store.
            self._running = False
            self._open.clear()
            self._awaits.clear()
            self._events_of.clear()
            self._untold.clear()
            self._dirty.clear()
            self._metrics.events_open.set(0)

    async def _reload(self) -> None:
        """Learn of events that another process took, or this one before its
        start.

        One that was concluded while the store was read is not taken up again.
        """
        while True:
            self._concluded.clear()

            try:
                events = await self._store.open_events()
            except ApiError as error:
                log.warning("open events have to wait", error=str(error))
                events = []

            for number, event in enumerate(events):
                if event.event_id not in self._concluded:
                    self._add(event)

                if number % _AT_ONCE == 0:
                    await asyncio.sleep(0)

            await asyncio.sleep(RELOAD)

    async def _look(self) -> None:
        """Look at each Session that changed, as long as all are known (E7)."""
        delays = iter(Backoff(first=0.1, ceiling=5.0))
        looked = 0

        while True:
            await self._wake.wait()
            self._wake.clear()

            while self._dirty and self._sessions.complete():
                name = next(iter(self._dirty))
                del self._dirty[name]

                try:
                    await self._look_at(name)
                except (KubeError, ApiError) as error:
                    # It goes behind the others, which may be in the watch.
                    log.warning("an event waits", reason=str(error))
                    self._dirty[name] = None
                    await asyncio.sleep(next(delays))
                    continue

                delays = iter(Backoff(first=0.1, ceiling=5.0))
                looked += 1

                if looked % _AT_ONCE == 0:
                    await asyncio.sleep(0)

    async def _look_at(self, name: str) -> None:
        """Conclude those events of a Session that have their outcome now.

        Raises KubeError and ApiError: the Session is looked at again later.
        """
        if name not in self._events_of:
            return

        for event_id in list(self._events_of[name]):
            awaits = self._awaits.get(event_id)

            if awaits is None:
                continue

            outcome = await self._outcome(awaits)

            # It may have been concluded while a Session was read.
            if outcome is not None and event_id in self._awaits:
                self._conclude(event_id, awaits.type, outcome, None)

    async def _outcome(self, awaits: Awaits) -> Outcome | None:
        """Return the outcome of an event; it is done once all of its Sessions
        are, and failed once all have an outcome and one of them failed.

        A revoke may end several Sessions. Raises KubeError and ApiError.
        """
        outcome: Outcome | None = None

        for awaited in awaits.sessions:
            # What the watch does not show is finished, or deleted.
            session = self._sessions.known(awaited.name)

            if session is None:
                session = await self._sessions.read(awaited.name)

            single = outcome_of(session, awaited, awaits.client)

            if single is None:
                return None

            # A failure counts for all.
            if outcome is None or not single.ok:
                outcome = single

        return outcome

    async def _tell_pending(self) -> None:
        """Say of each event that has no outcome in time that it is pending,
        once.

        This includes those that the inbox still has: the API server may be
        away for longer.
        """
        while True:
            await asyncio.sleep(LOOK)
            self._metrics.events_open.set(len(self._open))

            # Those taken first are first.
            due = now_ms() - PENDING_AFTER
            late: list[str] = []

            for event_id, taken_at in self._untold.items():
                if taken_at > due or len(late) >= _AT_ONCE:
                    break

                late.append(event_id)

            for event_id in late:
                self._say_pending(event_id)

    def _say_pending(self, event_id: str) -> None:
        """Say that an event is pending; if that cannot be noted now, it is
        tried at the next look.
        """
        outcome = pending(self._why(self._awaits.get(event_id)))
        ack = self._ack(event_id, outcome)

        with suppress(ApiError):
            self._store.tell_pending_soon(event_id, ack, now_ms())
            del self._untold[event_id]

            log.info(
                "an event is pending", event_id=event_id, why=outcome.error
            )

            self._ack_due()

    def _why(self, awaits: Awaits | None) -> str:
        """Return why an event has no outcome yet, for people.

        It is the text that a caller over HTTP would be answered with.
        """
        if awaits is None:
            return (
                "the API server, or the database of the order check, does not answer; "
                "the event is kept and carried out when it does"
            )

        device = self._sessions.device_named(awaits.device)

        if device is None:
            return f"there is no Device {awaits.device} any more"

        session = self._sessions.known(awaits.sessions[0].name)

        why = breaker_open(device, datetime.now(UTC)) or not_in_time(
            device, session
        )

        return why.text

    def _conclude(
        self,
        event_id: str,
        kind: str,
        outcome: Outcome,
        entry: Entry | None,
    ) -> None:
        """Note the final outcome of an event, and let its ACK be sent.

        Raises ApiError if the store cannot note it: the event stays open.
        """
        # First the store: what cannot be noted stays open.
        ack = self._ack(event_id, outcome)
        self._store.conclude_soon(event_id, ack, now_ms(), entry)
        self._concluded.add(event_id)
        self._tell(event_id, kind, outcome, entry)
        self._drop(event_id)

        log.info(
            "an event has its outcome",
            event_id=event_id,
            type=kind,
            ok=outcome.ok,
            reason=outcome.reason,
            error=outcome.error,
        )

        self._ack_due()

    def _router_of(self, event_id: str, entry: Entry | None) -> str | None:
        """Return the routerID that an event is about, None if no Device has
        it.
        """
        awaits = self._awaits.get(event_id)
        device: Device | None = None

        if awaits is not None:
            device = self._sessions.device_named(awaits.device)
        elif entry is not None and entry.intent.mik_id is not None:
            device = self._sessions.device(entry.intent.mik_id)

        return device.router_id if device is not None else None

    def _tell(
        self, event_id: str, kind: str, outcome: Outcome, entry: Entry | None
    ) -> None:
        """Tell the audit log and the metrics the outcome of an event, before
        it is dropped.
        """
        known = self._open.get(event_id)
        taken_at = known.taken_at if known is not None else None
        if entry is not None:
            taken_at = entry.received_at

        duration = None if taken_at is None else now_ms() - taken_at
        tell_outcome(
            self._audit,
            event_id,
            kind,
            outcome,
            entry=entry,
            awaits=self._awaits.get(event_id),
            duration=duration,
        )

        count_outcome(
            self._metrics,
            kind,
            outcome,
            router_id=self._router_of(event_id, entry),
            took_ms=duration or 0,
        )

    def _ack(self, event_id: str, outcome: Outcome) -> str | None:
        """Return the ACK of an outcome, None if nobody takes ACKs.

        It is made here and not when it is sent, so that it says the same
        however often it is sent.
        """
        return ack_body(event_id, outcome) if self._sends_acks else None

    def _add(self, event: OpenEvent, awaits: Awaits | None = None) -> None:
        """Follow an event, as long as this bridge is the one that does.

        An event that is known already comes again with what was written for
        it.
        """
        if not self._running:
            return

        # A reload brings again what is followed already.
        known = self._open.get(event.event_id)

        if known is not None and known.awaits == event.awaits:
            return

        self._open[event.event_id] = event

        if known is None and not event.told:
            self._untold[event.event_id] = event.taken_at

        # It waits for the router; or it is in the inbox, and comes here once
        # it is carried out.
        awaits = awaits or read_awaits(event.awaits)

        if awaits is None:
            return

        self._awaits[event.event_id] = awaits

        for awaited in awaits.sessions:
            self._events_of.setdefault(awaited.name, set()).add(event.event_id)
            self._dirty[awaited.name] = None

        self._wake.set()

    def _drop(self, event_id: str) -> None:
        """Follow an event no more."""
        self._open.pop(event_id, None)
        self._untold.pop(event_id, None)
        awaits = self._awaits.pop(event_id, None)

        if awaits is None:
            return

        for awaited in awaits.sessions:
            events = self._events_of.get(awaited.name, set())
            events.discard(event_id)

            if not events:
                self._events_of.pop(awaited.name, None)

    def _changed(self, change: Change) -> None:
        """Mark a Session that changed, if an event waits for it.

        Called for each change of the watch: it must cost next to nothing.
        """
        if change.kind is SESSION and change.name in self._events_of:
            self._dirty[change.name] = None
            self._wake.set()

    def _look_at_all(self) -> None:
        """Mark all Sessions that events wait for: what changed before all were
        known waits for that.
        """
        self._dirty.update(dict.fromkeys(self._events_of))
        self._wake.set()
