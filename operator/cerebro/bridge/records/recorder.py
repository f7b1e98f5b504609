"""Follows Sessions to what is to be recorded of their access.

It looks only at the Sessions that changed, whoever made them, and keeps what
it decided in the store in the same step as the records: so a process that is
killed, or two of them, record nothing twice. What went while nobody looked is
found by what the store knows, and by a sweep over the finished Sessions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from pydantic import ValidationError

from cerebro.bridge.errors import ApiError
from cerebro.bridge.orders.sessions import Sessions
from cerebro.bridge.records.access import (
    NOTHING,
    AccessState,
    Followed,
    follow,
    follow_deleted,
)
from cerebro.bridge.store.access import AccessChange, AccessStore
from cerebro.bridge.store.entry import DAY
from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import KubeError
from cerebro.kube.objects import Change
from cerebro.resources import FINISHED, SESSION, Session
from cerebro.runtime.backoff import Backoff
from cerebro.runtime.clock import now_ms

SWEEP_EVERY = 3600.0
"""Seconds between two sweeps over the finished Sessions."""
SWEEP_BACK = DAY
"""Milliseconds before the last sweep whose ends the next one looks at once
more: a status may be written long after its time.
"""
_AT_ONCE = 100
"""Sessions that are looked at before others may use the event loop."""

log = structlog.get_logger(__name__)


class _UnreadableError(Exception):
    """A Session cannot be read here: what it says is not known."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What the store has of a Session."""

    text: str
    """The text there, as it is: a newer release may say more in it."""

    state: AccessState


_UNKNOWN = _Known("", NOTHING)


class Recorder:
    """Turns changes of Sessions into records in the store."""

    def __init__(
        self,
        store: AccessStore,
        sessions: Sessions,
        objects: Store,
        recorded: Callable[[], None],
    ) -> None:
        """`recorded` is called when records were put into the store."""
        self._store = store
        self._sessions = sessions
        self._objects = objects
        self._recorded = recorded

        # Only who holds the Lease follows.
        self._running = False

        # By the UIDs of Sessions: the states of those whose clients have
        # access, as the store has them, and the names of those that changed.
        self._open: dict[str, str] = {}
        self._dirty: dict[str, str] = {}

        self._wake = asyncio.Event()
        objects.subscribe(self._changed)
        objects.on_complete(lambda _kind, _namespace: self._wake.set())

    async def run(self, api: KubeApi) -> None:
        """Follow Sessions until cancelled. Run it while the Lease is held."""
        self._running = True

        try:
            await self._begin()

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._look())
                tasks.create_task(self._sweep_from_time_to_time(api))
        finally:
            # Whoever has the Lease next reads it all from the store.
            self._running = False
            self._open.clear()
            self._dirty.clear()

    async def _begin(self) -> None:
        """Mark all that may have changed since somebody looked: the Sessions
        there are, and those that the store knows to give access.
        """
        for delay in Backoff(first=0.5, ceiling=15.0):
            try:
                states = await self._store.open_accesses()
            except ApiError as error:
                log.warning("records have to wait", error=str(error))
                await asyncio.sleep(delay)
            else:
                break

        for number, (uid, text) in enumerate(states.items()):
            self._open[uid] = text
            access = _read_known(text).state.access
            if access is not None:
                self._dirty[uid] = access.session

            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

        for stored in list(
            self._objects.all(SESSION, self._sessions.namespace)
        ):
            self._dirty[stored.uid] = stored.name

        self._wake.set()

    async def _look(self) -> None:
        """Look at each Session that changed, as long as all are known (E7)."""
        delays = iter(Backoff(first=0.1, ceiling=15.0))
        trouble: str | None = None

        while True:
            await self._wake.wait()
            self._wake.clear()

            while self._dirty and self._sessions.complete():
                batch = self._take_some()

                try:
                    await self._look_at(batch)
                except (KubeError, ApiError) as error:
                    if str(error) != trouble:
                        trouble = str(error)
                        log.warning("records have to wait", error=trouble)

                    # What changed since has its newer name already.
                    self._dirty = {**batch, **self._dirty}
                    await asyncio.sleep(next(delays))
                    continue

                trouble = None
                delays = iter(Backoff(first=0.1, ceiling=15.0))
                await asyncio.sleep(0)

    def _take_some(self) -> dict[str, str]:
        batch: dict[str, str] = {}
        while self._dirty and len(batch) < _AT_ONCE:
            uid = next(iter(self._dirty))
            batch[uid] = self._dirty.pop(uid)

        return batch

    async def _look_at(self, batch: dict[str, str]) -> None:
        """Record what has become of these Sessions, by UID and name.

        Raises KubeError and ApiError: they are looked at again later.
        """
        current: dict[str, Session | None] = {}
        for uid, name in batch.items():
            with suppress(_UnreadableError):
                current[uid] = await self._current(uid, name)

        await self._record(current)

    async def _current(self, uid: str, name: str) -> Session | None:
        """Return a Session as it is now, also if it has left the watch, for it
        is finished; None if it was deleted.

        Raises KubeError, ApiError, and _UnreadableError.
        """
        namespace = self._sessions.namespace
        stored = self._objects.by_uid(SESSION, namespace, uid)
        if stored is not None:
            session = stored.read(Session)
            if session is None:
                raise _UnreadableError

            return session

        try:
            session = await self._sessions.read(name)
        except ApiError as error:
            if error.code != "invalid_object":
                raise

            log.warning("a Session is not recorded", reason=error.text)
            raise _UnreadableError from None

        if session is None or session.metadata.uid != uid:
            return None

        return session

    async def _record(self, current: dict[str, Session | None]) -> None:
        """Keep what follows from the Sessions as they are now. Raises
        ApiError.
        """
        before = await self._known(current)
        now = datetime.now(UTC)
        decided = {
            uid: self._follow(before[uid].state, session, now)
            for uid, session in current.items()
        }

        changes = [
            _change(uid, before[uid], followed)
            for uid, followed in decided.items()
            if followed.state != before[uid].state
        ]
        if not changes:
            return

        taken = await self._store.keep_accesses(changes, now_ms())
        for change, is_taken in zip(changes, taken, strict=True):
            if is_taken:
                state = decided[change.uid].state
                self._remember(change.uid, _Known(change.after, state))
            else:
                await self._reload(change.uid, current[change.uid])

        if any(change.records for change in changes):
            self._recorded()

    async def _known(self, uids: Iterable[str]) -> dict[str, _Known]:
        """Return what was recorded of Sessions; of those without access the
        store knows.
        """
        closed = [uid for uid in uids if uid not in self._open]
        texts = await self._store.accesses_of(closed) if closed else {}
        texts |= {uid: self._open[uid] for uid in uids if uid in self._open}

        return {
            uid: _read_known(texts[uid]) if uid in texts else _UNKNOWN
            for uid in uids
        }

    def _follow(
        self, state: AccessState, session: Session | None, now: datetime
    ) -> Followed:
        if session is None:
            return follow_deleted(state, now)

        name = session.spec.device_ref.name
        device = self._sessions.device_named(name)
        router = device.router_id if device is not None else name

        return follow(state, session, router, now)

    def _remember(self, uid: str, known: _Known) -> None:
        if known.state.access is not None:
            self._open[uid] = known.text
        else:
            self._open.pop(uid, None)

    async def _reload(self, uid: str, session: Session | None) -> None:
        """Take what another bridge recorded of a Session meanwhile, and look
        at it once more.
        """
        texts = await self._store.accesses_of([uid])
        known = _read_known(texts[uid]) if uid in texts else _UNKNOWN
        self._remember(uid, known)

        access = known.state.access
        if session is not None:
            self._dirty[uid] = session.name
        elif access is not None:
            self._dirty[uid] = access.session

        self._wake.set()

    async def _sweep_from_time_to_time(self, api: KubeApi) -> None:
        """Look at the finished Sessions from time to time: some may have had
        access while no bridge looked.
        """
        delays = iter(Backoff(first=1.0, ceiling=60.0))

        while True:
            try:
                await self._sweep(api)
            except (KubeError, ApiError) as error:
                log.warning(
                    "the sweep over finished Sessions has to wait",
                    error=str(error),
                )
                await asyncio.sleep(next(delays))
            else:
                delays = iter(Backoff(first=1.0, ceiling=60.0))
                await asyncio.sleep(SWEEP_EVERY)

    async def _sweep(self, api: KubeApi) -> None:
        """Record what has become of the Sessions that ended since the last
        sweep. Raises KubeError and ApiError.
        """
        began = now_ms()
        since = await self._store.swept_at() - SWEEP_BACK
        batch: dict[str, Session | None] = {}
        number = 0

        async for body in api.list_objects(
            SESSION, self._sessions.namespace, field_selector=FINISHED
        ):
            number += 1
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

            session = _finished_since(body, since)
            if session is not None:
                batch[session.metadata.uid] = session

            if len(batch) >= _AT_ONCE:
                await self._record(batch)
                batch = {}

        await self._record(batch)
        await self._store.note_sweep(began, since - SWEEP_BACK)

    def _changed(self, change: Change) -> None:
        """Mark a Session that changed.

        Called for each change of the watch: it must cost next to nothing.
        """
        if change.kind is not SESSION or not self._running:
            return

        for stored in _of(change):
            self._dirty[stored] = change.name

        self._wake.set()


def _of(change: Change) -> Iterator[str]:
    """Yield the UIDs of a change: two, if a name has another object now."""
    for stored in (change.old, change.new):
        if stored is not None:
            yield stored.uid


def _change(uid: str, before: _Known, followed: Followed) -> AccessChange:
    state = followed.state

    return AccessChange(
        uid,
        before.text,
        state.text(),
        is_open=state.access is not None,
        records=tuple(record.text() for record in followed.records),
    )


def _finished_since(body: dict[str, Any], since: int) -> Session | None:
    """Return a finished Session whose end was enforced at `since` or later;
    None for another one, and for one that our models cannot read.
    """
    finished_at = (body.get("status") or {}).get("finishedAt")
    try:
        moment = datetime.fromisoformat(finished_at or "")
        if moment.timestamp() * 1000 < since:
            return None

        return Session.model_validate(body)
    except (ValueError, ValidationError):
        return None


def _read_known(text: str) -> _Known:
    """Return what this or a former release kept; nothing is known of what a
    newer one kept.
    """
    try:
        return _Known(text, AccessState.model_validate_json(text))
    except ValidationError:
        return _Known(text, NOTHING)
