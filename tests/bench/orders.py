"""Orders that are sent while something else goes on, and what became of them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from bench.many_sessions import Client
from bench.relay import Relay

PAUSE = 0.25
"""Seconds between an answer and the next order."""

_FIRST = 500_000
"""The number of the first client that comes by an order."""


@dataclass
class Orders:
    """Orders that were sent one after another."""

    times: list[float] = field(default_factory=list)
    """Seconds to the answers."""
    refusals: list[str] = field(default_factory=list)
    """Answers other than 200."""


class Backend:
    """Sends orders for clients that were not there before."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._numbers = itertools.count(_FIRST)

    def new_client(self, router: str) -> Client:
        return Client(router, next(self._numbers))

    async def order(self, router: str) -> float:
        """Return the seconds to the answer of one order."""
        return await self.let_in(self.new_client(router))

    async def let_in(self, client: Client) -> float:
        """Return the seconds to the answer of the order that lets a client in."""
        took, answer = await self._ask(client)
        assert answer.status_code == 200, answer.text
        return took

    async def send(self, router: str, orders: Orders) -> None:
        """Send one order and note what became of it; then pause."""
        took, answer = await self._ask(self.new_client(router))
        orders.times.append(took)
        if answer.status_code != 200:
            orders.refusals.append(answer.text)
        await asyncio.sleep(PAUSE)

    @asynccontextmanager
    async def meanwhile(
        self, router: str, orders: Orders
    ) -> AsyncIterator[None]:
        """Send orders one after another while the context lasts."""

        async def send_on() -> None:
            while True:
                await self.send(router, orders)

        sending = asyncio.create_task(send_on())
        try:
            yield
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending

    async def _ask(self, client: Client) -> tuple[float, httpx.Response]:
        control = self._relay.control
        await control.move_in(client.router, client.mac, client.ip, dhcp=True)

        start = time.monotonic()
        answer = await self._relay.authorize(
            f"order-{client.number}", client.mac, client.ip, client.router
        )
        return time.monotonic() - start, answer
