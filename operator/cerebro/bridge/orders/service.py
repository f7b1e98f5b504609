"""Takes a typed intent to its answer: through the inbox, to the Session, until
the router has it or time is up (A7).

This is where the bridge waits. It knows no HTTP but the errors that it raises.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from cerebro.bridge.errors import ApiError, starting
from cerebro.bridge.intents import (
    Authorize,
    Client,
    EnsureUser,
    Hello,
    Revoke,
)
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.orders.answers import (
    GrantAnswer,
    HelloAnswer,
    RevokeAnswer,
    RouterResult,
)
from cerebro.bridge.orders.inbox import Inbox
from cerebro.bridge.orders.outcomes import (
    WaitResult,
    breaker_open,
    not_in_time,
)
from cerebro.bridge.orders.preview import planned_commands
from cerebro.bridge.orders.resolve import Resolver
from cerebro.bridge.orders.sessions import Sessions, Target, Written
from cerebro.bridge.settings import BridgeSettings
from cerebro.bridge.store.base import BridgeStore, Entry
from cerebro.resources import Device, Session
from cerebro.runtime.clock import now_ms

MARGIN = 0.1
"""Seconds before the deadline at which the answer is made, so that it is out
in time.
"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OrderService:
    """What the endpoints of orders call; made once by `main.py`. All times
    `arrived` are of the event loop's clock.
    """

    settings: BridgeSettings
    store: BridgeStore
    sessions: Sessions
    inbox: Inbox[Written]
    metrics: Metrics
    open_already: Callable[[Authorize], Awaitable[Written | None]]
    """Returns what an order has already, None if there is anything to do or to
    wait for.
    """

    async def grant(self, order: Authorize, arrived: float) -> GrantAnswer:
        """Let a client in; return the answer once the entry is on the router.
        Raises ApiError.
        """

        self._must_exist(order.mik_id)

        if order.warning:
            self.metrics.trials_shortened.inc()
            log.warning(
                "a trial was shortened",
                order=order.order_id,
                traceId=order.trace_id,
            )

        if self.settings.dry_run:
            return await self._pretend(order)

        written, result = await self._grant(order, arrived)
        mikrotik = self._router_answer(written.device, written.client, result)
        session = self._first_known(written.targets)

        return _granted(
            order,
            written.device,
            written.client,
            mikrotik,
            client_seen=session.status.client_seen if session else None,
            warning=_warning(order, written.client, session),
        )

    async def _grant(
        self, order: Authorize, arrived: float
    ) -> tuple[Written, WaitResult]:
        """Carry an order through, and count it for the router that it is for,
        also if the caller named none. Raises ApiError.
        """
        router_id: str | None = None
        is_granted = False

        try:
            kept = await self.open_already(order)
            written = kept or await self.write(order, arrived)
            router_id = written.device.router_id

            if kept is not None:
                result = WaitResult.DONE
            else:
                result = await self.wait(written, self.deadline(arrived))

            is_granted = True
        finally:
            seconds = time.monotonic() - arrived
            router_id = router_id or self.known_router(order.mik_id)
            self.metrics.authorized(router_id, is_granted, seconds)

        return written, result

    async def revoke(self, revoke: Revoke, arrived: float) -> RevokeAnswer:
        """End access; return the answer once nothing on the router is due to
        it any more. Raises ApiError.
        """

        self._must_exist(revoke.mik_id)

        if self.settings.dry_run:
            device, _ = await self._place_in_dry_run(revoke)
            return _revoked(
                revoke,
                device,
                revoke.client,
                router_result(device, dry_run=True),
            )

        written = await self.write(revoke, arrived)
        result = await self.wait(written, self.deadline(arrived))
        if not written.targets:
            await (
                self.store.sync()
            )  # nothing but our memory of it keeps a late order from opening

        mikrotik = router_result(
            written.device, dry_run=result is WaitResult.DRY_RUN
        )

        return _revoked(revoke, written.device, written.client, mikrotik)

    async def hello(self, hello: Hello) -> HelloAnswer:
        """Note where a token's phone is, and return the answer. What follows
        goes on after it (A6). Raises ApiError.
        """

        self._must_exist(hello.mik_id)
        entry = await self.note_hello(hello)
        if entry is not None:
            self.inbox.enqueue(entry)

        await self.store.sync()

        return HelloAnswer(
            device_token=hello.token,
            mik_id=hello.mik_id,
            ip_atual=hello.client.ip,
            mac_atual=hello.client.mac,
        )

    async def note_hello(self, hello: Hello) -> Entry | None:
        """Remember where a token's phone is; return the entry of the inbox
        for what follows from it, None if nothing does.

        In dry run nothing does: no order is granted, and no Session moves
        (F6).
        """
        entry = await self.store.note_hello(hello, now_ms())
        if entry is None or not self.settings.dry_run:
            return entry

        self.store.take_out_soon(entry.seq)

        return None

    def known_router(self, mik_id: str | None) -> str | None:
        """Return the routerID if a Device has it: a metric may be named after
        that only.
        """
        device = self.sessions.device(mik_id) if mik_id else None
        return device.router_id if device else None

    def deadline(self, arrived: float) -> float:
        """Return until when an answer has to be known (A7)."""
        return arrived + self.settings.answer_timeout_ms / 1000 - MARGIN

    async def write(
        self, intent: Authorize | Revoke | EnsureUser, arrived: float
    ) -> Written:
        """Have an intent carried out, and return what was written.

        Raises ApiError: 503 kubernetes_unavailable if it is not carried out
        before the answer is due. It stays in the inbox and is carried out
        later.
        """

        deadline = self.deadline(arrived)
        future = await self.inbox.submit(intent)
        try:
            async with asyncio.timeout_at(deadline):
                written = await asyncio.shield(future)
        except TimeoutError:
            await self.store.sync()

            if not self.sessions.complete():
                raise starting() from None

            raise ApiError(
                503,
                "kubernetes_unavailable",
                "the API server does not answer; the order is kept and carried out when it does",
                pending=True,
            ) from None

        self.metrics.write_seconds.observe(time.monotonic() - arrived)

        return written

    async def wait(self, written: Written, deadline: float) -> WaitResult:
        """Wait until the router has it, and return what came of it. Raises
        ApiError 503 if time is up.

        With an open breaker it is up at once: the Session is tried all the
        same.
        """

        if not written.targets:
            return WaitResult.DONE

        now = asyncio.get_running_loop().time()
        limit = (
            min(now + MARGIN, deadline)
            if self._breaker_open(written)
            else deadline
        )

        waiting = [
            asyncio.ensure_future(self.sessions.wait(target))
            for target in written.targets
        ]
        try:
            async with asyncio.timeout_at(limit):
                results = await asyncio.gather(*waiting)
        except TimeoutError:
            session = self._first_known(written.targets)
            error = self._breaker_open(written) or not_in_time(
                self._device_now(written), session
            )

            raise error from None
        finally:
            for task in waiting:
                task.cancel()

        return (
            WaitResult.DRY_RUN
            if WaitResult.DRY_RUN in results
            else WaitResult.DONE
        )

    def _device_now(self, written: Written) -> Device:
        """Return the Device of what was written as the watch shows it now."""
        return (
            self.sessions.device_named(written.device.name) or written.device
        )

    def _breaker_open(self, written: Written) -> ApiError | None:
        return breaker_open(self._device_now(written), datetime.now(UTC))

    def _first_known(self, targets: Iterable[Target]) -> Session | None:
        """Return the first of these Sessions that is unfinished."""
        for target in targets:
            session = self.sessions.known(target.name)
            if session is not None:
                return session

        return None

    def _must_exist(self, mik_id: str | None) -> None:
        """Raise ApiError 404 for a router that surely has no Device, 503 for
        one that cannot be read (B9); while starting nobody can tell (A8).
        """
        if mik_id is not None and self.sessions.complete():
            self.sessions.device_to_use(mik_id)

    def _router_answer(
        self, device: Device, client: Client, result: WaitResult
    ) -> RouterResult:
        if result is not WaitResult.DRY_RUN:
            return router_result(device)

        commands = planned_commands(
            device, client, None, self.settings.installation
        )

        return router_result(device, dry_run=True, commands=commands)

    async def _place_in_dry_run(
        self, intent: Authorize | Revoke
    ) -> tuple[Device, Client]:
        """Return the router and the client of an intent as they would be
        found. Raises ApiError 400, 404, 503.
        """

        if not self.sessions.complete():
            raise starting()

        resolver = Resolver(self.sessions, self.store)
        locations = await resolver.locations(intent)
        device = resolver.device(intent, locations)
        if isinstance(intent, Revoke):
            return device, intent.client

        return device, resolver.client(intent, locations, device)

    async def _pretend(self, order: Authorize) -> GrantAnswer:
        """Answer an order in dry run: nothing is stored and nothing is made
        (F6). Raises ApiError 409 for a phone that nobody knows.
        """

        device, client = await self._place_in_dry_run(order)
        if not client:
            raise ApiError(
                409,
                "device_unknown",
                "no address is known for this device token: send ipAtual and macAtual, or /relay/device/hello; "
                "this is a dry run, so the order is not kept",
            )

        until = order.expires_at
        if until is None and order.duration:
            until = order.requested_at + order.duration

        commands = planned_commands(
            device, client, until, self.settings.installation
        )

        return _granted(
            order,
            device,
            client,
            router_result(device, dry_run=True, commands=commands),
        )


def _granted(
    order: Authorize,
    device: Device,
    client: Client,
    mikrotik: RouterResult,
    *,
    client_seen: bool | None = None,
    warning: str | None = None,
) -> GrantAnswer:
    return GrantAnswer(
        pedido_id=order.order_id,
        mik_id=order.mik_id or device.router_id,
        device_token=order.token,
        ip=client.ip,
        mac=client.mac,
        mikrotik=mikrotik,
        client_seen=client_seen,
        warning=warning,
    )


def _warning(
    order: Authorize, client: Client, session: Session | None
) -> str | None:
    """Return what the caller of an order should know: what was changed of it,
    and that the client is not there (A13). None if there is nothing.
    """
    warnings = [order.warning] if order.warning else []
    if session is not None and session.status.client_seen is False:
        warnings.append(_who_is_there(client, session.status.address_held_by))

    return "; ".join(warnings) or None


def _who_is_there(client: Client, holder: str | None) -> str:
    if holder is not None:
        return f"on the router {client.ip} is the address of {holder}: the access is there for {client.key}"

    return f"the router shows nobody with {client.key}: the access is there for when it comes"


def _revoked(
    revoke: Revoke, device: Device, client: Client, mikrotik: RouterResult
) -> RevokeAnswer:
    return RevokeAnswer(
        mik_id=revoke.mik_id or device.router_id,
        ip=client.ip,
        mac=client.mac,
        mikrotik=mikrotik,
    )


def router_result(
    device: Device, *, dry_run: bool = False, commands: list[str] | None = None
) -> RouterResult:
    """Return the part of an answer that tells of the router."""
    return RouterResult(
        host=device.api_address, commands=commands or [], dry_run=dry_run
    )
