"""Carries out intents from the inbox: gathers what is known, has it decided, writes, and notes what was done.

The decisions are in `decide.py`, `revoke.py` and `move.py`. Everything here may happen twice: a process can die
between any two lines, and its successor begins the entry anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import get_args

import structlog

from cerebro.bridge.errors import ApiError, invalid, unknown_device
from cerebro.bridge.intents import Authorize, Client, Hello, Intent, Revoke
from cerebro.bridge.orders.decide import Known, decide, order_name, overtaken
from cerebro.bridge.orders.move import changes_mac, decide_move
from cerebro.bridge.orders.outcomes import Awaited
from cerebro.bridge.orders.revoke import decide_revoke
from cerebro.bridge.orders.sessions import Sessions, Target
from cerebro.bridge.orders.writes import Write
from cerebro.bridge.store.base import Entry, ExecutorStore, Placement, TokenLocation
from cerebro.domain.lifecycle import GrantWindows, cause_of, is_live
from cerebro.domain.supersession import is_ours, stand_in_for
from cerebro.kube.client.errors import AlreadyExists, Conflict, KubeError, Unavailable
from cerebro.kube.client.errors import Invalid as RefusedByServer
from cerebro.resources import Device, Session, session_name
from cerebro.resources.session import SessionType
from cerebro.runtime.clock import now_ms

MAX_DECISIONS = 6
"""Times that one entry is decided anew because somebody else wrote in between; then it waits its turn
again."""
MAX_MOVES_AN_HOUR = 3
"""Times that the Sessions of a device token may move to another MAC within an hour (A6)."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Written:
    """What was written for an intent: who waits for the router waits for the targets."""

    device: Device
    client: Client
    targets: tuple[Target, ...]


class OrderExecutor:
    """Carries out entries of the inbox; raises KubeError for what should be tried again, ApiError for a
    final no."""

    def __init__(
        self,
        sessions: Sessions,
        store: ExecutorStore,
        *,
        complete: Callable[[], Awaitable[None]],
        enqueue: Callable[[Entry], None],
        windows: GrantWindows,
        default_paid: timedelta | None = None,
    ) -> None:
        self._sessions = sessions
        self._store = store
        self._complete = complete
        self._enqueue = enqueue
        self._windows = windows
        self._default_paid = default_paid

    async def carry_out(self, entry: Entry) -> Written:
        """Carry out one entry, as soon as all Devices and Sessions are known (E7)."""
        await self._complete()
        intent = entry.intent
        try:
            if isinstance(intent, Authorize):
                return await self._authorize(entry, intent)
            if isinstance(intent, Revoke):
                return await self._revoke(intent)
            return await self._hello(entry, intent)
        except RefusedByServer as error:
            raise invalid(f"the API server refused the Session: {error}") from None

    async def _authorize(self, entry: Entry, order: Authorize) -> Written:
        seen = await self._seen(order)
        device = self._device(order, seen)
        client = self._client(order, seen, device)
        if not client:
            if await self._wait_for_hello(entry, order, seen):
                raise _device_unknown()
            return await self._authorize(entry, order)
        known = await self._known(order, client, device)
        for _ in range(MAX_DECISIONS):
            late = overtaken(order, known)
            write = late or decide(self._sessions.namespace, order, client, known)
            try:
                target = await self._sessions.write(write, Awaited.GRANT)
            except (AlreadyExists, Conflict):
                known = await self._read_again(order, client, known, write)
                continue
            revoked_at = await self._revoked_at(order, client, device)
            if late is not None or (revoked_at is not None and order.requested_at <= revoked_at):
                known = await self._read_again(order, client, replace(known, revoked_at=revoked_at), write)
                continue
            self._store.note_grant_soon(order, Placement(device.name, target.name), now_ms())
            return Written(device, client, (target,))
        raise Unavailable("the Session is changed by others again and again")

    async def _known(self, order: Authorize, client: Client, device: Device) -> Known:
        """Gather what an order is decided by."""

        revoked_at = await self._revoked_at(order, client, device)
        placement = await self._store.placement_of(order)
        now = datetime.now(UTC)
        sessions = self._sessions
        same = sessions.known(order_name(sessions.namespace, device, order, client))
        known = Known(
            device,
            now,
            same=same,
            revoked_at=revoked_at,
            default_paid=self._default_paid,
            windows=self._windows,
        )
        if order.order_id is None:
            return known
        siblings = [one for one in sessions.of_order(order.order_id) if one.spec.type == order.type]
        here = [one for one in siblings if one.spec.device_ref.name == device.name]
        holder = next((one for one in here if not is_ours(one)), None)
        others = [one for one in siblings if one.spec.device_ref.name != device.name]
        elsewhere = next((one for one in others if is_live(one, now)), others[0] if others else None)
        if elsewhere is None and placement is not None and placement.device != device.name:
            elsewhere = await sessions.read(placement.name)
        stand_in = stand_in_for(holder, here) if holder else None
        return replace(known, holder=holder, stand_in=stand_in, elsewhere=elsewhere)

    async def _revoked_at(self, order: Authorize, client: Client, device: Device) -> datetime | None:
        return await self._store.revoked_at(order, client, device.name)

    async def _read_again(self, order: Authorize, client: Client, known: Known, write: Write) -> Known:
        """Read the object that was in the way, or written, so that the next decision knows it as it is."""
        found = await self._sessions.read(write.name)
        now = datetime.now(UTC)
        if write.name == order_name(self._sessions.namespace, known.device, order, client):
            return replace(known, same=found, now=now)
        return replace(known, stand_in=found, now=now)

    async def _revoke(self, revoke: Revoke) -> Written:
        seen = await self._seen(revoke)
        device = self._device(revoke, seen)
        linked = await self._linked(revoke.token) if revoke.token and not revoke.client else {}
        client = revoke.client or self._whose(seen, device, linked.values())
        if not client and revoke.order_id is None:
            raise _nobody_known()
        await self._store.keep_revoke(revoke, client, device.name, now_ms())
        sessions = self._sessions
        in_the_way: dict[str, Session] = {}
        for _ in range(MAX_DECISIONS):
            of_order = sessions.of_order(revoke.order_id) if revoke.order_id else []
            found = {one.name: one for one in (*sessions.on_device(device.name), *of_order)} | in_the_way
            if revoke.order_id and not any(one.spec.order_id == revoke.order_id for one in found.values()):
                found |= await self._finished_of_order(revoke.order_id, device)
            writes = decide_revoke(
                sessions.namespace,
                revoke,
                device,
                found.values(),
                client=client,
                now=datetime.now(UTC),
                linked=linked,
            )
            try:
                targets = [await sessions.write(write, Awaited.END) for write in writes]
            except (AlreadyExists, Conflict) as error:
                in_the_way = await self._refresh(writes, error)
                continue
            there = (found[write.name].spec.device_ref.name for write in writes if write.name in found)
            where = sessions.device_named(next(there, device.name))
            return Written(where or device, client, tuple(targets))
        raise Unavailable("the Sessions are changed by others again and again")

    async def _linked(self, token: str) -> dict[str, Session]:
        """Give the unfinished Sessions that were made for a token, or ours that stand in their places."""
        names = await self._store.sessions_of(token)
        return {one.name: one for name in names if (one := self._what_counts(name)) is not None}

    def _whose(self, seen: TokenLocation | None, device: Device, linked: Iterable[Session]) -> Client:
        """Settle which phone a token is on this router: what its last hello here said, else its latest Session's."""
        if (client := self._seen_here(seen, device)) is not None:
            return client
        here = [one for one in linked if one.spec.device_ref.name == device.name]
        latest = max(
            here, key=lambda one: (cause_of(one) or datetime.min.replace(tzinfo=UTC), one.name), default=None
        )
        return Client.of(latest) if latest is not None else Client()

    async def _finished_of_order(self, order_id: str, device: Device) -> dict[str, Session]:
        """Look for an order's Sessions that have left the watch; their names are known."""
        namespace = self._sessions.namespace
        names = {session_name(namespace, device.name, kind, order_id) for kind in get_args(SessionType)}
        names |= set(await self._store.names_of_order(order_id))
        found = [await self._sessions.read(name) for name in sorted(names)]
        return {one.name: one for one in found if one is not None and one.spec.order_id == order_id}

    async def _refresh(self, writes: list[Write], error: KubeError) -> dict[str, Session]:
        """Read what the writes were about, so that the next decision does not meet the same conflict.

        Gives what is there, also what is finished and therefore not watched.
        """
        log.debug("deciding again", reason=str(error))
        found = [await self._sessions.read(write.name) for write in writes]
        return {one.name: one for one in found if one is not None}

    async def _hello(self, entry: Entry, hello: Hello) -> Written:
        """Grant what waited for this phone, and move its live Sessions to the new address (A6)."""
        device = self._sessions.device(hello.mik_id or "")
        if device is None:
            raise unknown_device(hello.mik_id or "")
        token = hello.token or ""
        orders = await self._store.waiting_for(token, now_ms())
        here = [order for order in orders if self._is_for(order, device)]
        for waiting in await self._store.release(here, hello.client, now_ms()):
            self._enqueue(waiting)
        names = await self._store.sessions_of(token)
        may_move: bool | None = None
        for _ in range(MAX_DECISIONS):
            found = [one for name in names if (one := self._what_counts(name)) is not None]
            now = datetime.now(UTC)
            writes = decide_move(self._sessions.namespace, hello, device, found, now)
            if may_move is None and not changes_mac(hello, device, found, now):
                may_move = True
            if writes and may_move is None:
                may_move = await self._store.note_move(token, entry.received_at, MAX_MOVES_AN_HOUR)
            if may_move is False:
                log.warning("a device token moved three times within the hour", device=device.name)
            if not writes or not may_move:
                return Written(device, hello.client, ())
            try:
                targets = [await self._sessions.write(write, Awaited.GRANT) for write in writes]
            except (AlreadyExists, Conflict) as error:
                await self._refresh(writes, error)
                continue
            return Written(device, hello.client, tuple(targets))
        raise Unavailable("the Sessions are changed by others again and again")

    def _is_for(self, order: Authorize, device: Device) -> bool:
        """Say whether an order that waits for its phone may be granted on this router."""
        if order.mik_id is None:
            return True
        named = self._sessions.device(order.mik_id)
        return named is not None and named.name == device.name

    def _what_counts(self, name: str) -> Session | None:
        """Give a Session, or ours that stands in its place (A10)."""
        session = self._sessions.known(name)
        if session is None or is_ours(session):
            return session
        return stand_in_for(session, self._sessions.on_device(session.spec.device_ref.name)) or session

    async def _wait_for_hello(self, entry: Entry, order: Authorize, seen: TokenLocation | None) -> bool:
        """Keep an order until its phone says hello; False when it said so just now."""
        until = entry.received_at + int(self._windows.within(order.type).total_seconds() * 1000)
        kept = await self._store.wait_for_hello(order, seen, entry.received_at, until)
        await self._store.sync()
        return kept

    async def _seen(self, intent: Intent) -> TokenLocation | None:
        if not intent.token:
            return None
        return await self._store.location_of(intent.token)

    def _device(self, intent: Intent, seen: TokenLocation | None) -> Device:
        """Find the router that a request means: the one named, else that of the order's live Session, else that
        of the hello, else the only one (F8)."""
        sessions = self._sessions
        if intent.mik_id is not None:
            device = sessions.device(intent.mik_id)
            if device is None:
                raise unknown_device(intent.mik_id)
            return device
        order_id = None if isinstance(intent, Hello) else intent.order_id
        now = datetime.now(UTC)
        siblings = sessions.of_order(order_id) if order_id else []
        live = [one for one in siblings if is_live(one, now)]
        candidates = [sessions.device_named(one.spec.device_ref.name) for one in live]
        candidates += [sessions.device(seen.mik_id)] if seen is not None else []
        candidates += [sessions.device_named(one.spec.device_ref.name) for one in siblings]
        if (found := next((one for one in candidates if one is not None), None)) is not None:
            return found
        every = sessions.devices()
        if len(every) == 1:
            return every[0]
        raise ApiError(400, "mikId_required", "mikId required: nothing else says which router is meant")

    def _client(self, order: Authorize, seen: TokenLocation | None, device: Device) -> Client:
        """Settle where the phone is: what a hello said on this very router, else what the request says
        (A6)."""
        here = self._seen_here(seen, device)
        return order.client if here is None or (order.client_first and order.client) else here

    def _seen_here(self, seen: TokenLocation | None, device: Device) -> Client | None:
        """Give what a token's last hello said, if that was on this very router: others have the same addresses."""
        where = self._sessions.device(seen.mik_id) if seen is not None else None
        return seen.client if seen is not None and where is not None and where.name == device.name else None


def _nobody_known() -> ApiError:
    return ApiError(
        409, "device_unknown", "no address is known for this device token here: send ip or mac, or pedidoId"
    )


def _device_unknown() -> ApiError:
    return ApiError(
        409,
        "device_unknown",
        "no address is known for this device token: send ipAtual and macAtual, or /relay/device/hello; "
        "the order is kept and granted at that hello",
    )
