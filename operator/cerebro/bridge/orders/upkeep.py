"""Keeps the bridge's own Sessions as they should be, from what the watch shows: no request causes this
(A2, A11, B2).

An end that is known is written into the spec, so that a restored backup has it; of an order that was
granted on another router the older Session is revoked once the newer is on its router; a revoke by address ends what
the client has that its router showed there. All follows from the objects alone, so a restart loses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime

import structlog

from cerebro.bridge.orders.outcomes import Awaited
from cerebro.bridge.orders.revoke import end_whoever_is_there
from cerebro.bridge.orders.sessions import Sessions
from cerebro.bridge.orders.writes import Patch, Write, patch_write, revoke_write
from cerebro.domain.by_address import asks_who_is_there
from cerebro.domain.lifecycle import cause_of, is_live
from cerebro.domain.supersession import is_ours, stand_in_for
from cerebro.kube.cache.store import Store
from cerebro.kube.client.errors import AlreadyExists, Conflict, Invalid, KubeError, NotFound, Unavailable
from cerebro.kube.objects import Change
from cerebro.resources import SESSION, Session, format_time
from cerebro.runtime.backoff import Backoff

log = structlog.get_logger(__name__)


def pin_end(session: Session) -> Patch | None:
    """Give the patch that writes a known end into the spec; None when there is nothing to write (A11)."""
    spec, status = session.spec, session.status
    current = (status.observed_generation or 0) >= session.metadata.generation
    if not is_ours(session) or spec.duration is None or status.expires_at is None or not current:
        return None
    return patch_write(session, {"expiresAt": format_time(status.expires_at), "duration": None})


def retire(session: Session, siblings: Collection[Session], now: datetime) -> Write | None:
    """Give the write that revokes a Session whose order was granted later on another Device; else None (A2).

    One that somebody else made is superseded instead (A10).
    """
    if not is_live(session, now) or (not is_ours(session) and stand_in_for(session, siblings) is not None):
        return None
    for other in siblings:
        same_order = (other.spec.order_id, other.spec.type) == (session.spec.order_id, session.spec.type)
        if not same_order or other.spec.device_ref.name == session.spec.device_ref.name or not is_ours(other):
            continue
        newer = _asked(other) > _asked(session)
        if newer and other.status.phase == "Active" and is_live(other, now):
            return revoke_write(session, _asked(other))
    return None


def _asked(session: Session) -> datetime:
    return cause_of(session) or datetime.min.replace(tzinfo=UTC)


class Upkeep:
    """Looks at each Session that changed, and writes what is due."""

    def __init__(self, sessions: Sessions, store: Store) -> None:
        self._sessions = sessions
        self._dirty: dict[str, None] = {}
        self._wake = asyncio.Event()
        store.subscribe(self._changed)
        store.on_complete(lambda _kind, _namespace: self.look_at_all())

    async def run(self) -> None:
        """Work without end; ends by cancellation only."""
        delays = iter(Backoff(first=0.1, ceiling=10.0))
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._dirty:
                if not self._sessions.complete():
                    break  # `look_at_all` comes when all are known again
                name = next(iter(self._dirty))
                del self._dirty[name]
                try:
                    await self._look_at(name)
                except (AlreadyExists, Conflict, NotFound):
                    log.debug("a Session changed meanwhile: its next change brings it back", session=name)
                except Invalid as error:
                    log.error("the API server refused our change", session=name, error=str(error))  # noqa: TRY400
                except KubeError as error:
                    log.warning("upkeep waits for the API server", error=str(error))
                    self._dirty[name] = None
                    await asyncio.sleep(next(delays))
                    continue
                delays = iter(Backoff(first=0.1, ceiling=10.0))

    def look_at_all(self) -> None:
        """Look at every Session: what changed before all were known waits for that."""
        self._dirty.update((session.name, None) for session in self._sessions.all())
        self._wake.set()

    async def _look_at(self, name: str) -> None:
        session = self._sessions.known(name)
        if session is None:
            return
        now = datetime.now(UTC)
        if asks_who_is_there(session):
            await self._end_whoever_is_there(session, now)
            return
        due: Write | None = pin_end(session)
        if due is None and session.spec.order_id:
            due = retire(session, self._sessions.of_order(session.spec.order_id), now)
        if due is not None:
            await self._sessions.write(due, Awaited.END)

    async def _end_whoever_is_there(self, record: Session, now: datetime) -> None:
        """Have a revoke by address end what its router's client has; tried again when one of its Sessions changed."""
        on_device = self._sessions.on_device(record.spec.device_ref.name)
        try:
            for write in end_whoever_is_there(record, on_device, now):
                await self._sessions.write(write, Awaited.END)
        except (AlreadyExists, Conflict) as error:
            raise Unavailable(f"a Session of the client changed meanwhile: {error}") from error

    def _changed(self, change: Change) -> None:
        """Mark what changed, and the other Sessions of its order."""
        if change.kind is not SESSION or change.new is None:
            return
        session = change.new.read(Session)
        if session is None or not is_ours(session):
            return
        if session.spec.duration is not None or (asks_who_is_there(session) and session.placed):
            self._dirty[session.name] = None
        if session.spec.order_id:
            siblings = self._sessions.of_order(session.spec.order_id)
            if len(siblings) > 1:
                self._dirty.update((one.name, None) for one in siblings)
        if self._dirty:
            self._wake.set()
