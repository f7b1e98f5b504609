"""One router with two thousand phones: all Sessions applied at once, and what it is like once they live.

The simulator keeps RouterOS' own pace. Beside it, in the same run: that pace itself for the writes that no one can
save, and orders on a router with nobody on it. Figures are printed with what is aimed at; what is asserted is that
each Session becomes Active, each order of an idle relay is answered 200, and each revoke shuts its phone out.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from bench.figures import Figures
from bench.many_peers import at_once
from bench.many_sessions import (
    PACE,
    ROUTEROS,
    WRITES_OF_A_CLIENT,
    Client,
    aimed,
    as_administrator,
    clients_of,
    come,
    create,
    effort_of,
    revisions,
    shown,
    watched,
)
from bench.meter import probe, repeated
from bench.relay import Relay, running
from cerebro.resources import DEVICE
from cerebro.resources.naming import ANNOTATION_RESYNC_AT
from local.settings import NAMESPACE

SESSIONS = int(os.environ.get("CEREBRO_BENCH_SESSIONS", "2000"))
CONNECTIONS = int(os.environ.get("CEREBRO_BENCH_CONNECTIONS", "5000"))
IDLE_ORDERS = 60
ROUNDS = 15
PAUSE = 0.25
"""Seconds between two orders on the second router."""

FIRST_OF_ORDERS = 100_000
"""The number of the first client that comes by an order."""


@pytest.mark.timeout(1800)
async def test_one_router_with_two_thousand_phones(tmp_path: Path) -> None:
    async with running(tmp_path, routers=3, resync="1h") as relay:
        await _Bench(relay).run()


class _Bench:
    """The parts, in their order: router 1 is the full one, 2 has orders meanwhile, 3 is empty."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        names = [router.name for router in relay.settings.routers]
        self.full, self.second, self.empty = names
        self.clients = clients_of([self.full], SESSIONS)
        self._numbers = itertools.count(FIRST_OF_ORDERS)

    async def run(self) -> None:
        for router in (self.full, self.second, self.empty):
            await self.relay.control.faults(router, **ROUTEROS)
        await come(self.relay, self.clients)
        await self.applied_at_once()
        await self.one_more_order()
        await self.resync()
        await self.revoke()

    # --- all at once

    async def applied_at_once(self) -> None:
        idle = _Orders()
        for _ in range(IDLE_ORDERS):
            idle.add(*await self.try_order(self.second))
            await asyncio.sleep(PAUSE)

        before = await self.relay.control.router(self.full)
        meanwhile = _Orders()

        with watched(self.relay.plane) as seen:
            async with (
                effort_of(self.relay.agent) as effort,
                self.orders_on(self.second, meanwhile),
                as_administrator(self.relay.plane) as api,
            ):
                start = time.monotonic()
                await create(api, self.clients)
                created = time.monotonic() - start
                took = await seen.until_active(self.clients) - start

        after = await self.relay.control.router(self.full)
        commands = _count(after, "commands") - _count(before, "commands")
        writes = _count(after, "writes") - _count(before, "writes")
        pace = SESSIONS * WRITES_OF_A_CLIENT / PACE
        stored = revisions(self.relay.plane, NAMESPACE)
        versions = [stored[client.session] for client in self.clients]
        quiet, busy = Figures.of(idle.times), Figures.of(meanwhile.times)

        print(f"\n{SESSIONS} Sessions applied at once on one router:")
        print(shown("created within", created, "s"))
        print(shown("all Active within", took, "s"))
        print(shown("the router's own pace for it", pace, "s"))
        print(aimed("all Active, of that pace", took / pace, "times", 1.3))
        used = 1000 * effort.cpu / SESSIONS
        print(aimed("processor time of the agent", used, "ms a Session", 3))
        held = 1000 * effort.held
        print(aimed("the loop was held at most", held, "ms", 50))
        print(
            shown(
                "it was held for more than 50 ms", effort.long_holds, "times"
            )
        )
        print(shown("commands to the router", commands / SESSIONS, "each"))
        print(shown("of them writes", writes / SESSIONS, "each"))
        stored_each = sum(versions) / SESSIONS
        print(aimed("revisions in the store", stored_each, "a Session", 2.1))
        print(f"  orders on a second router, idle relay    {quiet}")
        print(f"  orders on a second router, meanwhile     {busy}")
        ratio = busy.p99 / quiet.p99
        print(aimed("99th percentile, of an idle relay's", ratio, "times", 3))
        refused = len(meanwhile.refusals)
        print(aimed("refused", refused, f"of {len(meanwhile.times)}", 0))
        assert not idle.refusals

    @asynccontextmanager
    async def orders_on(
        self, router: str, orders: _Orders
    ) -> AsyncIterator[None]:
        """Send orders one after another while the context lasts."""

        async def send() -> None:
            while True:
                orders.add(*await self.try_order(router))
                await asyncio.sleep(PAUSE)

        sending = asyncio.create_task(send())
        try:
            yield
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending

    # --- with all of them live

    async def one_more_order(self) -> None:
        empty, full = [], []
        for _ in range(ROUNDS):
            empty.append(await self.order(self.empty))
            full.append(await self.order(self.full))

        nobody, many = Figures.of(empty), Figures.of(full)
        print(f"one more order, {ROUNDS} times:")
        print(f"  on an empty router                       {nobody}")
        print(f"  with {SESSIONS} live Sessions                  {many}")
        ratio = many.p50 / nobody.p50
        print(aimed("median, of an empty router's", ratio, "times", 1.5))

    async def resync(self) -> None:
        """Everything is compared, and nothing is different."""
        writes = _count(await self.relay.control.router(self.full), "writes")
        agent = self.relay.agent
        used, took, holds = [], [], 0
        waits: list[float] = []
        with repeated(0.01, lambda: probe(agent, waits)):
            for _ in range(3):
                async with effort_of(agent) as effort:
                    took.append(await self.compared())
                used.append(effort.cpu)
                holds += effort.long_holds

        state = await self.relay.control.router(self.full)
        assert _count(state, "writes") == writes

        print(f"a resync of {SESSIONS} Sessions without a difference:")
        print(shown("takes", Figures.of(took).p50, "s"))
        seconds = Figures.of(used).p50
        print(aimed("processor time of the agent", seconds, "s", 1.0))
        print(
            shown("the longest that a probe waited", 1000 * max(waits), "ms")
        )

    async def compared(self) -> float:
        """Ask for a resync and return the seconds until it is done."""
        moment = datetime.now(UTC).isoformat()
        mark = {"metadata": {"annotations": {ANNOTATION_RESYNC_AT: moment}}}
        async with as_administrator(self.relay.plane) as api:
            start = time.monotonic()
            await api.patch(DEVICE, NAMESPACE, self.full, mark)
            while True:
                device = await api.get(DEVICE, NAMESPACE, self.full)
                if device["status"].get("lastResyncAt") == moment:
                    return time.monotonic() - start
                await asyncio.sleep(0.02)

    async def revoke(self) -> None:
        """Phones are shut out, on the router with many tracked connections and on the empty one."""
        await self.track_connections()
        empty, full = [], []
        for _ in range(ROUNDS):
            empty.append(await self.shut_out(self.empty))
            full.append(await self.shut_out(self.full))

        nobody, many = Figures.of(empty), Figures.of(full)
        print(f"a revoke, {ROUNDS} times, until the phone is shut out:")
        print(f"  on an empty router                       {nobody}")
        print(f"  with {CONNECTIONS} tracked connections           {many}")
        ratio = many.p50 / nobody.p50
        print(aimed("median, of an empty router's", ratio, "times", 1.5))

    async def track_connections(self) -> None:
        """Let the phones open connections, each as many as any other."""

        async def open_one(client: Client, number: int) -> None:
            flow = f"flow-{number}"
            assert await self.relay.control.forwarded(
                self.full, client.mac, flow
            )

        of_phones = itertools.islice(
            zip(
                itertools.cycle(self.clients), itertools.count(), strict=False
            ),
            CONNECTIONS,
        )
        await at_once(open_one(*pair) for pair in of_phones)

    async def shut_out(self, router: str) -> float:
        """Return the seconds from a revoke to the first packet that is not forwarded."""
        client = self.new_client(router)
        await self.let_in(client)
        for flow in ("one", "two", "three"):
            assert await self.relay.control.forwarded(router, client.mac, flow)

        start = time.monotonic()
        waiter = asyncio.create_task(
            self.relay.control.wait(
                router, client.mac, forwarded=False, timeout=60
            )
        )
        answer = await self.relay.revoke(router, client.mac, client.ip)
        await waiter
        out = time.monotonic() - start
        assert answer.status_code == 200, answer.text
        return out

    # --- orders

    def new_client(self, router: str) -> Client:
        return Client(router, next(self._numbers))

    async def order(self, router: str) -> float:
        """Return the seconds to the answer of one order, for a client that was not there before."""
        return await self.let_in(self.new_client(router))

    async def let_in(self, client: Client) -> float:
        """Return the seconds to the answer of the order that lets a client in."""
        took, answer = await self._ask(client)
        assert answer.status_code == 200, answer.text
        return took

    async def try_order(self, router: str) -> tuple[float, str]:
        """Return the seconds to the answer of one order, and why it was refused, if it was."""
        took, answer = await self._ask(self.new_client(router))
        return took, "" if answer.status_code == 200 else answer.text

    async def _ask(self, client: Client) -> tuple[float, httpx.Response]:
        control = self.relay.control
        await control.move_in(client.router, client.mac, client.ip, dhcp=True)

        start = time.monotonic()
        answer = await self.relay.authorize(
            f"order-{client.number}", client.mac, client.ip, client.router
        )
        return time.monotonic() - start, answer


@dataclass
class _Orders:
    """Orders that were sent one after another."""

    times: list[float] = field(default_factory=list)
    """Seconds to the answers."""
    refusals: list[str] = field(default_factory=list)
    """Answers other than 200."""

    def add(self, took: float, refusal: str) -> None:
        self.times.append(took)
        if refusal:
            self.refusals.append(refusal)


def _count(state: dict[str, dict[str, int]], name: str) -> int:
    return state["counters"][name]
