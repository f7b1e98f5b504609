"""Carries out intents from the inbox: gathers what is known, decides, writes,
and notes what was done.

The decisions are in `decide.py`, `revoke.py` and `move.py`. Everything here
may happen twice: a process can die between any two lines, and its successor
begins the entry anew. Nothing here waits for a router.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args

from cerebro.bridge.audit.log import AuditLog
from cerebro.bridge.errors import ApiError, invalid
from cerebro.bridge.intents import (
    Authorize,
    Cause,
    Client,
    EnsureUser,
    Intent,
    Revoke,
)
from cerebro.bridge.order_check.check import OrderCheck
from cerebro.bridge.orders.causes import latest_after
from cerebro.bridge.orders.decide import (
    Known,
    decide,
    is_open,
    order_name,
    overtaken,
)
from cerebro.bridge.orders.hellos import Hellos
from cerebro.bridge.orders.offline import refuse_offline, refuse_rejecting
from cerebro.bridge.orders.outcomes import Awaited
from cerebro.bridge.orders.resolve import Resolver
from cerebro.bridge.orders.revoke import decide_revoke
from cerebro.bridge.orders.sessions import MAX_DECISIONS, Sessions, Written
from cerebro.bridge.orders.trials import TrialLimit
from cerebro.bridge.orders.users.executor import UserExecutor
from cerebro.bridge.orders.writes import Write
from cerebro.bridge.store.base import (
    Entry,
    ExecutorStore,
    Placement,
    TokenLocation,
)
from cerebro.domain.lifecycle import GrantWindows, is_ours, session_facts
from cerebro.domain.supersession import stand_in_for
from cerebro.kube.client.errors import (
    AlreadyExists,
    Conflict,
    Unavailable,
)
from cerebro.kube.client.errors import Invalid as RefusedByServer
from cerebro.resources import Device, Session, session_name
from cerebro.resources.session import SessionType
from cerebro.runtime.clock import now_ms


class OrderExecutor:
    """Carries out entries of the inbox.

    Raises KubeError for what is to be tried anew, and ApiError for a final
    refusal.
    """

    def __init__(
        self,
        sessions: Sessions,
        store: ExecutorStore,
        *,
        complete: Callable[[], Awaitable[None]],
        enqueue: Callable[[Entry], None],
        windows: GrantWindows,
        users: UserExecutor,
        trials: TrialLimit,
        default_paid: timedelta | None = None,
        audit: AuditLog | None = None,
        check: OrderCheck | None = None,
    ) -> None:
        self._sessions = sessions
        self._store = store
        self._resolver = Resolver(sessions, store)
        self._hellos = Hellos(
            sessions,
            store,
            self._resolver,
            enqueue,
            audit or AuditLog(None),
        )
        self._users = users
        self._trials = trials
        self._complete = complete
        self._windows = windows
        self._default_paid = default_paid
        self._check = check

    async def carry_out(self, entry: Entry) -> Written:
        """Carry out an entry as soon as all Devices and Sessions are known
        (E7), and return what was written.
        """
        await self._complete()
        intent = entry.intent.model_copy(update={"arrival": entry.arrival})
        if intent.peer_public_key is not None:
            self._refuse_offline(intent)

        try:
            if isinstance(intent, Authorize):
                return await self._authorize(entry, intent)

            if isinstance(intent, Revoke):
                return await self._revoke(intent)

            if isinstance(intent, EnsureUser):
                return await self._users.carry_out(intent)

            return await self._hellos.carry_out(entry, intent)
        except RefusedByServer as error:
            raise invalid(
                f"the API server refused the Session: {error}"
            ) from None

    async def _authorize(self, entry: Entry, order: Authorize) -> Written:
        """Write the Session of an order, and note where it is granted.

        An order whose phone nobody knows waits for its hello: ApiError 409
        `device_unknown` (A6).
        """

        locations = await self._resolver.locations(order)
        device = self._resolver.device(order, locations)
        client = self._resolver.client(order, locations, device)

        # Whom nobody knows the database may know.
        asked_for = order
        is_checked = not self._concerns(order)
        if not client and not is_checked:
            order = await self._checked(order, device, client)
            client, is_checked = order.client, True

        client = client or await self._client_that_paid(order)
        if not client:
            if await self._wait_for_hello(entry, asked_for, locations):
                raise _device_unknown()

            return await self._authorize(
                entry, asked_for
            )  # its hello came just now

        known = await self._known(order, client, device)
        if known.same is None or known.same.status.phase != "Active":
            peer = self._sessions.peer_of(device)
            refuse_rejecting(device, peer, known.now)

        for _ in range(MAX_DECISIONS):
            if _has_ended(order, known):
                return Written(device, client, ())

            # Nothing is opened unchecked, also if what was open ended since.
            if not is_checked and not is_open(order, known):
                order = await self._checked(order, device, client)
                is_checked = True
                known = await self._known(order, client, device)

            revoking = overtaken(order, known)
            write = revoking or await self._decided(order, client, known)
            try:
                target = await self._sessions.write(write, Awaited.GRANT)
            except (AlreadyExists, Conflict):
                known = await self._read_anew(order, client, known, write)
                continue

            # A revoke may have been taken since `known` was gathered.
            revokes = await self._revokes_of(order, client, device)
            was_revoked = latest_after(order.cause, revokes) is not None
            if revoking is not None or was_revoked:
                known = await self._read_anew(
                    order, client, replace(known, revokes=revokes), write
                )

                continue

            self._store.note_grant_soon(
                order, Placement(device.name, target.name), now_ms()
            )

            return Written(device, client, (target,))

        raise Unavailable("the Session is changed by others again and again")

    async def _decided(
        self, order: Authorize, client: Client, known: Known
    ) -> Write:
        """Return the write for an order. Raises ApiError 409 as `decide` does,
        and `trial_limit`; KubeError.
        """
        await self._trials.admit(order, client, known)

        return decide(self._sessions.namespace, order, client, known)

    async def _client_that_paid(self, order: Authorize) -> Client:
        """Return the phone that the pending payment of an order's token names;
        empty if there is none, or it names none.
        """
        if not order.token:
            return Client()

        payment = await self._store.payment_of(order.token, now_ms())

        return payment.order.client if payment is not None else Client()

    def _concerns(self, order: Authorize) -> bool:
        return self._check is not None and self._check.concerns(order)

    async def _checked(
        self, order: Authorize, device: Device, client: Client
    ) -> Authorize:
        """Return an order with what the order check adds to it. Raises
        ApiError.
        """
        assert self._check is not None

        return await self._check.checked(order, device.router_id, client)

    def _refuse_offline(self, intent: Intent) -> None:
        """Raise ApiError 409 `peer_offline` for an event that names its
        router's Peer, while that is offline (F5).
        """
        device = self._sessions.device(intent.mik_id or "")
        peer = self._sessions.peer_of(device) if device else None
        refuse_offline(intent, device, peer, datetime.now(UTC))

    async def _known(
        self, order: Authorize, client: Client, device: Device
    ) -> Known:
        """Return what an order is decided by."""
        revokes = await self._revokes_of(order, client, device)
        placement = await self._store.placement_of(order)
        now = datetime.now(UTC)
        sessions = self._sessions
        same = sessions.known(
            order_name(sessions.namespace, device, order, client)
        )

        known = Known(
            device,
            now,
            same=same,
            revokes=revokes,
            default_paid=self._default_paid,
            windows=self._windows,
        )
        if order.order_id is None:
            return known

        # The order's Sessions on this Device: that of somebody else, and ours
        # that stands in its place.
        siblings = [
            one
            for one in sessions.of_order(order.order_id)
            if one.spec.type == order.type
        ]

        here = [
            one for one in siblings if one.spec.device_ref.name == device.name
        ]

        holder = next((one for one in here if not is_ours(one)), None)
        stand_in = stand_in_for(holder, here) if holder else None

        # Its Session on another Device: a live one first. A finished one is
        # known by its name only.
        elsewhere = _live_first(
            (
                one
                for one in siblings
                if one.spec.device_ref.name != device.name
            ),
            now,
        )
        if (
            elsewhere is None
            and placement is not None
            and placement.device != device.name
        ):
            elsewhere = await sessions.read(placement.name)

        return replace(
            known, holder=holder, stand_in=stand_in, elsewhere=elsewhere
        )

    async def _revokes_of(
        self, order: Authorize, client: Client, device: Device
    ) -> tuple[Cause, ...]:
        """Return the revokes of this order or client that are kept."""
        return tuple(await self._store.revokes_of(order, client, device.name))

    async def _read_anew(
        self, order: Authorize, client: Client, known: Known, write: Write
    ) -> Known:
        """Return what is known, with the object that was in the way, or
        written, as it is now.

        By its name that object is the order's own Session, else the one that
        stands in place of somebody else's.
        """
        session = await self._sessions.read(write.name)
        now = datetime.now(UTC)
        if write.name == order_name(
            self._sessions.namespace, known.device, order, client
        ):
            return replace(known, same=session, now=now)

        return replace(known, stand_in=session, now=now)

    async def _revoke(self, revoke: Revoke) -> Written:
        """End the Sessions that a revoke is about, and keep it for orders that
        come late (A4).

        Raises ApiError 409 `device_unknown` if neither client nor order is
        known.
        """

        locations = await self._resolver.locations(revoke)
        device = self._resolver.device(revoke, locations)

        # Whom it means: the client that it names, else the phone of its token.
        linked: dict[str, Session] = {}
        if revoke.token and not revoke.client:
            linked = await self._linked(revoke.token)

        client = revoke.client or self._resolver.client_of_token(
            locations, device, linked.values()
        )
        if not client and revoke.order_id is None:
            raise _nobody_known()

        # Kept first, so that an order that is decided meanwhile meets it (A4).
        await self._store.keep_revoke(revoke, client, device.name, now_ms())

        sessions = self._sessions
        conflicting: dict[str, Session] = {}
        for _ in range(MAX_DECISIONS):
            known = await self._known_to_revoke(
                revoke, client, device, linked, conflicting
            )
            now = datetime.now(UTC)
            writes = decide_revoke(
                sessions.namespace,
                revoke,
                device,
                known.values(),
                client=client,
                now=now,
                linked=linked,
                asked_again=sessions.asked_again,
            )
            try:
                targets = [
                    await sessions.write(write, Awaited.END)
                    for write in writes
                ]
            except (AlreadyExists, Conflict) as error:
                conflicting = await sessions.read_written(writes, error)
                continue

            # The Device to wait for is that of the first Session that ends.
            devices = (
                known[write.name].spec.device_ref.name
                for write in writes
                if write.name in known
            )

            ending_on = sessions.device_named(next(devices, device.name))

            return Written(ending_on or device, client, tuple(targets))

        raise Unavailable("the Sessions are changed by others again and again")

    async def _known_to_revoke(
        self,
        revoke: Revoke,
        client: Client,
        device: Device,
        linked: Iterable[str],
        conflicting: dict[str, Session],
    ) -> dict[str, Session]:
        """Return the Sessions that a revoke is decided by, by name.

        They are the unfinished ones of the order, else of the client and of
        its token (`linked`), with what stands in their places; those that were
        just read; and, if none of them is of the order, its finished ones.
        """

        sessions, order_id = self._sessions, revoke.order_id
        if order_id:
            meant = sessions.with_stand_ins(sessions.of_order(order_id))
        else:
            of_token = (sessions.known(name) for name in linked)
            meant = sessions.of_client(client, device.name)
            meant += sessions.with_stand_ins(one for one in of_token if one)

        known = {one.name: one for one in meant}
        known |= conflicting
        if order_id and not any(
            one.spec.order_id == order_id for one in known.values()
        ):
            known |= await self._finished_of_order(order_id, device)

        return known

    async def _linked(self, token: str) -> dict[str, Session]:
        """Return the unfinished Sessions that were made for a token, or ours
        that stand in their places, by name.
        """
        names = await self._store.sessions_of(token)
        return {
            session.name: session for session in self._sessions.counting(names)
        }

    async def _finished_of_order(
        self, order_id: str, device: Device
    ) -> dict[str, Session]:
        """Read an order's Sessions that have left the watch, by their known
        names; return them by name.
        """

        namespace = self._sessions.namespace
        names = {
            session_name(namespace, device.name, kind, order_id)
            for kind in get_args(SessionType)
        }

        names |= set(await self._store.names_of_order(order_id))
        sessions = [await self._sessions.read(name) for name in sorted(names)]

        return {
            one.name: one
            for one in sessions
            if one is not None and one.spec.order_id == order_id
        }

    async def _wait_for_hello(
        self,
        entry: Entry,
        order: Authorize,
        locations: Sequence[TokenLocation],
    ) -> bool:
        """Keep an order until its phone says hello; return False if that hello
        came just now.
        """
        until = entry.received_at + int(
            self._windows.within(order.type).total_seconds() * 1000
        )

        kept = await self._store.wait_for_hello(
            order, locations, entry.received_at, until
        )

        await self._store.sync()

        return kept


def _has_ended(order: Authorize, known: Known) -> bool:
    """Return whether what was open when an order came is not any more."""
    return order.was_open and not is_open(order, known)


def _live_first(sessions: Iterable[Session], now: datetime) -> Session | None:
    """Return the first live Session, else the first one; None if there is
    none.
    """
    known = list(sessions)
    live = [session for session in known if session_facts(session, now).live]

    return next(iter(live or known), None)


def _nobody_known() -> ApiError:
    return ApiError(
        409,
        "device_unknown",
        "no address is known for this device token here: send ip or mac, or pedidoId",
    )


def _device_unknown() -> ApiError:
    return ApiError(
        409,
        "device_unknown",
        "no address is known for this device token: send ipAtual and macAtual, or /relay/device/hello; "
        "the order is kept and granted at that hello",
    )
