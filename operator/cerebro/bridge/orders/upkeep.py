"""Keeps the bridge's own Sessions as they should be, from what the watch shows
(A2, A11, B2).

No request causes this:

* An end that is known is written into the spec, so that a restored backup has it.
* Of an order that was granted on another router the older Session is revoked once the newer is on its router.
* A revoke by address ends what the client has that its router showed there.

All follows from the objects alone, so a restart loses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime

import structlog

from cerebro.bridge.intents import Cause, Client
from cerebro.bridge.orders.causes import request_of
from cerebro.bridge.orders.outcomes import Awaited
from cerebro.bridge.orders.revoke import end_whoever_is_there
from cerebro.bridge.orders.sessions import Sessions
from cerebro.bridge.orders.writes import (
    Patch,
    Write,
    patch_write,
    revoke_write,
)
from cerebro.domain.by_address import asks_who_is_there
from cerebro.domain.lifecycle import (
    is_current,
    is_ours,
    session_facts,
)
from cerebro.domain.supersession import stand_in_for
from cerebro.kube.cache.store import Store
from cerebro.kube.client.errors import (
    AlreadyExists,
    Conflict,
    Invalid,
    KubeError,
    NotFound,
    Unavailable,
)
from cerebro.kube.objects import Change
from cerebro.resources import SESSION, Session, format_time
from cerebro.runtime.backoff import Backoff

log = structlog.get_logger(__name__)

_NEVER_REQUESTED = Cause(datetime.min.replace(tzinfo=UTC))


def pin_end(session: Session) -> Patch | None:
    """Return the patch that writes a known end into the spec; None if nothing
    is to be written (A11).

    Only of a Session of ours with a duration, and only if the end was recorded
    for the spec that it has now.
    """
    ends_at = session.status.expires_at

    if not is_ours(session) or session.spec.duration is None:
        return None

    if ends_at is None or not is_current(session):
        return None

    return patch_write(
        session, {"expiresAt": format_time(ends_at), "duration": None}
    )


def retire(
    session: Session, siblings: Collection[Session], now: datetime
) -> Write | None:
    """Return the write that revokes a Session whose order was granted later on
    another Device; else None (A2).

    `siblings` are the unfinished Sessions of the order. One that somebody else
    made is superseded instead, once (A10).
    """

    facts = session_facts(session, now)
    if not facts.live:
        return None

    if not facts.ours and stand_in_for(session, siblings) is not None:
        return None

    for sibling in siblings:
        if _replaces(sibling, session, now):
            return revoke_write(session, _request_of(sibling))

    return None


def _replaces(sibling: Session, session: Session, now: datetime) -> bool:
    """Return whether one of ours has the same order, requested later, on the
    router of another Device.
    """

    facts = session_facts(sibling, now)
    same_order = (
        sibling.spec.order_id == session.spec.order_id
        and sibling.spec.type == session.spec.type
    )

    same_device = sibling.spec.device_ref.name == session.spec.device_ref.name
    if not facts.ours or not same_order or same_device:
        return False

    is_newer = _request_of(session).precedes(_request_of(sibling))

    return is_newer and sibling.status.phase == "Active" and facts.live


def _request_of(session: Session) -> Cause:
    return request_of(session) or _NEVER_REQUESTED


class Upkeep:
    """Looks at each Session that changed, and writes what is due.

    It works on names, one after the other: what changes meanwhile is looked at
    once more.
    """

    def __init__(self, sessions: Sessions, store: Store) -> None:
        self._sessions = sessions
        self._dirty: dict[
            str, None
        ] = {}  # names, in the order of their changes

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
                    log.debug(
                        "a Session changed meanwhile: its next change brings it back",
                        session=name,
                    )
                except Invalid as error:
                    log.error(  # noqa: TRY400 - the text says it
                        "the API server refused our change",
                        session=name,
                        error=str(error),
                    )
                except KubeError as error:
                    log.warning(
                        "upkeep waits for the API server", error=str(error)
                    )

                    self._dirty[name] = None
                    await asyncio.sleep(next(delays))
                    continue

                delays = iter(Backoff(first=0.1, ceiling=10.0))

    def look_at_all(self) -> None:
        """Look at every Session: what changed before all were known waits for
        that.
        """
        self._dirty.update(
            (session.name, None) for session in self._sessions.all()
        )

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
            siblings = self._sessions.of_order(session.spec.order_id)
            due = retire(session, siblings, now)

        if due is not None:
            await self._sessions.write(due, Awaited.END)

    async def _end_whoever_is_there(
        self, record: Session, now: datetime
    ) -> None:
        """End what the client has that a revoke by address met; a conflict
        with another writer is tried anew.
        """
        device = record.spec.device_ref.name
        client = Client.of(record)
        of_client = self._sessions.of_client(client, device)
        try:
            for write in end_whoever_is_there(record, of_client, now):
                await self._sessions.write(write, Awaited.END)
        except (AlreadyExists, Conflict) as error:
            raise Unavailable(
                f"a Session of the client changed meanwhile: {error}"
            ) from error

    def _changed(self, change: Change) -> None:
        """Mark the Session that changed, and the other Sessions of its order."""
        if change.kind is not SESSION or change.new is None:
            return

        session = change.new.read(Session)
        if session is None or not is_ours(session):
            return

        end_may_be_known = session.spec.duration is not None
        client_may_be_known = (
            asks_who_is_there(session) and session.placed is not None
        )
        if end_may_be_known or client_may_be_known:
            self._dirty[session.name] = None

        if session.spec.order_id:
            siblings = self._sessions.of_order(session.spec.order_id)
            if len(siblings) > 1:
                self._dirty.update(
                    (sibling.name, None) for sibling in siblings
                )

        if self._dirty:
            self._wake.set()
