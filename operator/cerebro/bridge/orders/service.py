"""From a typed intent to the answer: through the inbox, to the Session, until the router has it or time is
up (A7).

This is where the bridge waits. It knows no HTTP but the errors that it raises.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from cerebro.bridge.errors import ApiError, starting, unknown_device
from cerebro.bridge.intents import Authorize, Client, Hello, Revoke
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.orders.answers import GrantAnswer, HelloAnswer, RevokeAnswer, RouterResult
from cerebro.bridge.orders.executor import Written
from cerebro.bridge.orders.inbox import Inbox
from cerebro.bridge.orders.outcomes import WaitResult, breaker_open, not_in_time
from cerebro.bridge.orders.preview import planned_commands
from cerebro.bridge.orders.sessions import Sessions, Target
from cerebro.bridge.settings import BridgeSettings
from cerebro.bridge.store.base import BridgeStore
from cerebro.resources import Device
from cerebro.runtime.clock import now_ms

MARGIN = 0.1
"""Seconds before the deadline at which the answer is made, so that it is out in time."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OrderService:
    """Everything that handlers need, made once by `main.py`."""

    settings: BridgeSettings
    store: BridgeStore
    sessions: Sessions
    inbox: Inbox[Written]
    metrics: Metrics

    async def grant(self, order: Authorize, arrived: float) -> GrantAnswer:
        """Let a client in; the answer when the entry is on the router. Raises ApiError."""
        self._must_exist(order.mik_id)
        if order.warning:
            self.metrics.trials_shortened.inc()
            log.warning("a trial was shortened", order=order.order_id, trace_id=order.trace_id)
        if self.settings.dry_run:
            return self._pretend(order)
        done, outcome = await self._through(order, arrived)
        return GrantAnswer(
            pedido_id=order.order_id,
            mik_id=order.mik_id or done.device.router_id,
            device_token=order.token,
            ip=done.client.ip,
            mac=done.client.mac,
            mikrotik=self._router(done.device, done.client, outcome),
            warning=order.warning,
        )

    async def revoke(self, revoke: Revoke, arrived: float) -> RevokeAnswer:
        """End access; the answer when nothing on the router is due to it any more. Raises ApiError."""
        self._must_exist(revoke.mik_id)
        if self.settings.dry_run:
            device = self._some_device(revoke.mik_id)
            return _revoked(revoke, device, revoke.client, _mikrotik(device, dry_run=True))
        done, outcome = await self._through(revoke, arrived)
        if not done.targets:
            await self.store.sync()  # nothing but our memory of it keeps a late order from opening
        dry_run = outcome is WaitResult.DRY_RUN
        return _revoked(revoke, done.device, done.client, _mikrotik(done.device, dry_run=dry_run))

    async def hello(self, hello: Hello) -> HelloAnswer:
        """Note where a token's phone is. What follows from it goes on after the answer (A6)."""
        self._must_exist(hello.mik_id)
        entry = await self.store.note_hello(hello, now_ms())
        if entry is not None:
            self.inbox.enqueue(entry)
        await self.store.sync()
        return HelloAnswer(
            device_token=hello.token,
            mik_id=hello.mik_id,
            ip_atual=hello.client.ip,
            mac_atual=hello.client.mac,
        )

    def known_router(self, mik_id: str | None) -> str | None:
        """Give the routerID where a Device has it: what a metric may be named after."""
        device = self.sessions.device(mik_id) if mik_id else None
        return device.router_id if device else None

    async def _through(self, intent: Authorize | Revoke, arrived: float) -> tuple[Written, WaitResult]:
        deadline = arrived + self.settings.answer_timeout_ms / 1000 - MARGIN
        future = await self.inbox.submit(intent)
        try:
            async with asyncio.timeout_at(deadline):
                done = await asyncio.shield(future)
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
        return done, await self._wait(done, deadline)

    async def _wait(self, done: Written, deadline: float) -> WaitResult:
        """Wait until the router has it. An open breaker is said at once: the Session is tried all the
        same."""
        if not done.targets:
            return WaitResult.DONE
        device = self.sessions.device_named(done.device.name) or done.device
        waiting = [asyncio.ensure_future(self.sessions.wait(target)) for target in done.targets]
        try:
            closed = breaker_open(device, datetime.now(UTC))
            limit = asyncio.get_running_loop().time() + MARGIN if closed else deadline
            async with asyncio.timeout_at(min(limit, deadline)):
                outcomes = await asyncio.gather(*waiting)
        except TimeoutError:
            device = self.sessions.device_named(done.device.name) or done.device
            closed = breaker_open(device, datetime.now(UTC))
            raise (closed or not_in_time(device, self._first(done.targets))) from None
        finally:
            for task in waiting:
                task.cancel()
        return WaitResult.DRY_RUN if WaitResult.DRY_RUN in outcomes else WaitResult.DONE

    def _first(self, targets: Iterable[Target]) -> Any:
        return next((one for target in targets if (one := self.sessions.known(target.name))), None)

    def _must_exist(self, mik_id: str | None) -> None:
        """Refuse a router that surely has no Device; while starting nobody can say (A8)."""
        if mik_id is not None and self.sessions.complete() and self.sessions.device(mik_id) is None:
            raise unknown_device(mik_id)

    def _router(self, device: Device, client: Client, outcome: WaitResult) -> RouterResult:
        if outcome is not WaitResult.DRY_RUN:
            return _mikrotik(device)
        commands = planned_commands(device, client, None, self.settings.installation)
        return _mikrotik(device, dry_run=True, commands=commands)

    def _some_device(self, mik_id: str | None) -> Device:
        """Find the Device for an answer in dry run."""
        if not self.sessions.complete():
            raise starting()
        every = self.sessions.devices()
        device = self.sessions.device(mik_id) if mik_id else every[0] if len(every) == 1 else None
        if device is None:
            raise ApiError(400, "mikId_required", "mikId required: nothing else says which router is meant")
        return device

    def _pretend(self, order: Authorize) -> GrantAnswer:
        """Answer an order in dry run: nothing is stored and nothing is made (F6)."""
        device = self._some_device(order.mik_id)
        until = order.expires_at or (order.requested_at + order.duration if order.duration else None)
        commands = planned_commands(device, order.client, until, self.settings.installation)
        return GrantAnswer(
            pedido_id=order.order_id,
            mik_id=order.mik_id or device.router_id,
            device_token=order.token,
            ip=order.client.ip,
            mac=order.client.mac,
            mikrotik=_mikrotik(device, dry_run=True, commands=commands),
        )


def _revoked(revoke: Revoke, device: Device, client: Client, mikrotik: RouterResult) -> RevokeAnswer:
    return RevokeAnswer(
        mik_id=revoke.mik_id or device.router_id, ip=client.ip, mac=client.mac, mikrotik=mikrotik
    )


def _mikrotik(device: Device, *, dry_run: bool = False, commands: list[str] | None = None) -> RouterResult:
    return RouterResult(host=device.api_address, commands=commands or [], dry_run=dry_run)
