"""Takes a customer's identity to its access (A6), and tells how that is.

To the bridge a portal's `sid` is a device token: the orders that wait for its
phone, and the Sessions that were made for it, are those of the customer. So a
refresh is a hello, after which what was paid is granted.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from cerebro.bridge.errors import ApiError, starting
from cerebro.bridge.identities.answers import (
    AuthorizedAnswer,
    IdentityStatusAnswer,
    RetryAnswer,
    ScheduledAnswer,
)
from cerebro.bridge.identities.router_state import router_state
from cerebro.bridge.identities.status import (
    Identity,
    customer_status,
    router_status,
)
from cerebro.bridge.intents import Authorize, Client, Hello
from cerebro.bridge.orders.outcomes import Awaited, breaker_open
from cerebro.bridge.orders.service import OrderService
from cerebro.bridge.orders.sessions import Target, Written
from cerebro.bridge.requests.identity import Refresh
from cerebro.domain.lifecycle import session_facts
from cerebro.resources import Device, Session
from cerebro.runtime.clock import now_ms

RETRY_IN_MS = 2_000
"""After how long a portal may look again, where nothing says more."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class IdentityService:
    """What the endpoints of identities call. All times `arrived` are of the
    event loop's clock.
    """

    orders: OrderService

    async def refresh(
        self, refresh: Refresh, arrived: float
    ) -> AuthorizedAnswer | ScheduledAnswer:
        """Note where a customer is, and grant what was paid; return the answer.

        Raises ApiError: 404 `no_pending_payment`, 400 `router_not_resolved`
        and `missing_ip_or_mac`, and what an order raises but for a router that
        did not answer in time.
        """
        try:
            return await self._refresh(refresh, arrived)
        except ApiError as error:
            metrics = self.orders.metrics
            metrics.identity_error(error.code, is_down=False)
            raise

    async def _refresh(
        self, refresh: Refresh, arrived: float
    ) -> AuthorizedAnswer | ScheduledAnswer:
        self._must_know_all()
        sid = refresh.sid
        identity = await self._identity(sid)
        device = self._device(refresh, identity)
        client = self._client(refresh, identity, device)
        if device is not None and client:
            hello = Hello(
                mik_id=device.router_id,
                token=sid,
                client=client,
                requested_at=refresh.requested_at,
                trace_id=refresh.trace_id,
            )

            await self._say_hello(hello, arrived)

        if not identity.waiting and not identity.live:
            raise ApiError(
                404,
                "no_pending_payment",
                "no payment waits for this customer, and none gives access now",
            )

        if device is None:
            raise ApiError(
                400,
                "router_not_resolved",
                "no Device is meant: send routerHint or identity with its routerID",
            )

        if not client:
            raise ApiError(
                400,
                "missing_ip_or_mac",
                "the phone is not known: send ip or mac",
            )

        return await self._grant(identity, client, device, arrived)

    async def status(
        self, sid: str, *, for_operators: bool
    ) -> IdentityStatusAnswer:
        """Return how a customer's access is; of a sid that is a router's
        identifier, how that router is (F8).

        Raises ApiError 503 `starting` while not every Device is known.
        """
        self._must_know_all()
        now = datetime.now(UTC)
        device = self.orders.sessions.device(sid)
        if device is not None:
            return router_status(sid, device, now)

        identity = await self._identity(sid)

        return customer_status(identity, now, for_operators=for_operators)

    async def retry_now(
        self, sid: str, trace_id: str, arrived: float
    ) -> RetryAnswer:
        """Have a customer's order tried anew, as far as anything can be done.

        An order that waits for its phone is tried with where that was seen
        last. What is written already is tried by the router's agent, as soon
        as the router is not left alone any more. Raises ApiError 404
        `no_pending`.
        """
        self._must_know_all()
        identity = await self._identity(sid)
        now = datetime.now(UTC)
        if not identity.waiting and not identity.ungranted:
            raise ApiError(
                404, "no_pending", "no order of this customer waits"
            )

        last = identity.last_seen
        if identity.waiting and last is not None:
            hello = Hello(
                mik_id=last.mik_id,
                token=sid,
                client=last.client,
                requested_at=now,
                trace_id=trace_id,
            )

            await self._say_hello(hello, arrived)

        device = identity.device
        wait_ms = router_state(device, now).retry_in_ms if device else 0

        return RetryAnswer(run_in_ms=wait_ms)

    def _must_know_all(self) -> None:
        """Raise ApiError 503 `starting` while not every Device is known (A8)."""
        if not self.orders.sessions.complete():
            raise starting()

    async def _identity(self, sid: str) -> Identity:
        """Return what is known of a customer: orders that wait, the live
        Sessions, where the phone was last seen, the router.
        """
        store, sessions = self.orders.store, self.orders.sessions
        waiting = await store.waiting_for(sid, now_ms())
        locations = await store.locations_of(sid)
        names = await store.sessions_of(sid)

        now = datetime.now(UTC)
        live = [
            session
            for session in sessions.counting(names)
            if session_facts(session, now).live
        ]

        device: Device | None = None
        if live:
            device = sessions.device_named(live[-1].spec.device_ref.name)

        routers = [order.mik_id for order in waiting]
        routers += [place.mik_id for place in locations]
        for mik_id in routers:
            if device is None and mik_id is not None:
                device = sessions.device(mik_id)

        payment = await store.payment_of(sid, now_ms())

        return Identity(sid, waiting, live, locations, device, payment)

    def _device(self, refresh: Refresh, identity: Identity) -> Device | None:
        """Return the router of a refresh: that which it names, else that of
        the order or the last hello, else the only one.
        """
        sessions = self.orders.sessions
        for router in refresh.routers:
            device = sessions.device(router)
            if device is not None:
                return device

        if identity.device is not None:
            return identity.device

        devices = sessions.devices()

        return devices[0] if len(devices) == 1 else None

    def _client(
        self, refresh: Refresh, identity: Identity, device: Device | None
    ) -> Client:
        """Return the phone of a refresh: what the request says, and for the
        rest what the last hello on this very router said; where both say
        nothing, what the payment says.
        """
        client = refresh.client
        for place in identity.locations:
            seen_on = self.orders.sessions.device(place.mik_id)
            if device and seen_on and seen_on.name == device.name:
                return Client(
                    mac=client.mac or place.client.mac,
                    ip=client.ip or place.client.ip,
                )

        payment = identity.payment
        if client or payment is None:
            return client

        return payment.order.client

    async def _say_hello(self, hello: Hello, arrived: float) -> None:
        """Note a hello, and wait until what follows from it is written: orders
        that waited are in the inbox, live Sessions have the new address.
        """
        entry = await self.orders.note_hello(hello)
        if entry is None:
            await self.orders.store.sync()
            return

        future = self.orders.inbox.start(entry)
        try:
            async with asyncio.timeout_at(self.orders.deadline(arrived)):
                await asyncio.shield(future)
        except (TimeoutError, ApiError) as error:
            log.warning(
                "a refresh goes on before its hello is carried out",
                traceId=hello.trace_id,
                error=str(error),
            )

    async def _grant(
        self,
        identity: Identity,
        client: Client,
        device: Device,
        arrived: float,
    ) -> AuthorizedAnswer | ScheduledAnswer:
        """Grant the order that was paid last, else wait for what was granted
        before; a router that does not answer in time is no error here.
        """
        order_id: str | None = None
        metrics = self.orders.metrics
        metrics.count("relay.p0_authorize_attempt_total")

        try:
            if identity.waiting:
                order = max(identity.waiting, key=_by_request)
                order_id = order.order_id
                answer = await self._grant_waiting(
                    order, client, device, arrived
                )
            else:
                session = identity.live[-1]
                order_id = session.spec.order_id
                await self._wait(session, client, device, arrived)
                answer = AuthorizedAnswer(
                    pedido_id=order_id,
                    router_id=device.router_id,
                    action_key=_action_key(device, order_id),
                    idempotent=True,
                )
        except ApiError as error:
            if not error.extra.get("pending"):
                metrics.count("relay.p0_authorize_failed_total")
                raise

            metrics.count("relay.p0_authorize_pending_total")
            is_down = breaker_open(device, datetime.now(UTC)) is not None
            metrics.identity_error(error.code, is_down=is_down)
            wait_ms = round((error.retry_after or 0) * 1000)

            return ScheduledAnswer(
                pedido_id=order_id,
                router_id=device.router_id,
                retry_in_ms=wait_ms or RETRY_IN_MS,
                error=error.text,
            )

        metrics.count("relay.p0_authorize_success_total")

        return answer

    async def _grant_waiting(
        self, order: Authorize, client: Client, device: Device, arrived: float
    ) -> AuthorizedAnswer:
        """Grant an order that waited for its phone, where the phone is.

        Mostly the hello has put it into the inbox already: this is the same
        order a second time (A1).
        """
        located = order.model_copy(
            update={
                "client": client,
                "client_first": True,
                "mik_id": device.router_id,
            }
        )

        result = await self.orders.grant(located, arrived)

        return AuthorizedAnswer(
            pedido_id=order.order_id,
            router_id=device.router_id,
            action_key=_action_key(device, order.order_id),
            result=result,
        )

    async def _wait(
        self, session: Session, client: Client, device: Device, arrived: float
    ) -> None:
        """Wait until the router has a Session, as the watch shows it now."""
        sessions = self.orders.sessions
        current = sessions.known(session.name) or session
        target = Target(
            current.name, current.metadata.generation, Awaited.GRANT
        )
        written = Written(device, client, (target,))

        await self.orders.wait(written, self.orders.deadline(arrived))


def _by_request(order: Authorize) -> datetime:
    return order.requested_at


def _action_key(device: Device, order_id: str | None) -> str:
    return f"{device.router_id}:{order_id or ''}:AUTHORIZE"
