"""One router with two thousand phones: all Sessions applied at once, and what it is like once they live.

The simulator keeps RouterOS' own pace. Beside it, in the same run: that pace itself for the writes that no one can
save, and orders on a router with nobody on it. Figures are printed with what is aimed at; what is asserted is that
each Session becomes Active, each order of an idle relay is answered 200, and each revoke shuts its phone out.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.figures import Figures
from bench.many_peers import at_once
from bench.many_sessions import (
    PACE,
    ROUTEROS,
    WRITES_OF_A_CLIENT,
    Client,
    aimed,
    apply_at_once,
    clients_of,
    come,
    effort_of,
    resync,
    shown,
)
from bench.meter import probe, repeated
from bench.orders import Backend, Orders
from bench.relay import Relay, running

SESSIONS = int(os.environ.get("CEREBRO_BENCH_SESSIONS", "2000"))
CONNECTIONS = int(os.environ.get("CEREBRO_BENCH_CONNECTIONS", "5000"))
IDLE_ORDERS = 60
ROUNDS = 15
FLOWS = ("one", "two", "three")


@pytest.mark.timeout(1800)
async def test_one_router_with_two_thousand_phones(tmp_path: Path) -> None:
    async with running(tmp_path, routers=3, resync="1h") as relay:
        await _Bench(relay).run()


class _Bench:
    """The parts, in their order: router 1 is the full one, 2 has orders meanwhile, 3 is empty."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.backend = Backend(relay)
        names = [router.name for router in relay.settings.routers]
        self.full, self.second, self.empty = names
        self.clients = clients_of([self.full], SESSIONS)

    async def run(self) -> None:
        for router in (self.full, self.second, self.empty):
            await self.relay.control.faults(router, **ROUTEROS)
        await come(self.relay, self.clients)
        await self.all_at_once()
        await self.one_more_order()
        await self.resync()
        await self.revoke()

    # --- all at once

    async def all_at_once(self) -> None:
        idle, meanwhile = Orders(), Orders()
        for _ in range(IDLE_ORDERS):
            await self.backend.send(self.second, idle)

        commands, writes = await self.counts()
        async with self.backend.meanwhile(self.second, meanwhile):
            applied = await apply_at_once(self.relay, self.clients)
        commands_then, writes_then = await self.counts()

        print(f"\n{SESSIONS} Sessions applied at once on one router:")
        effort, took = applied.effort, applied.took
        pace = SESSIONS * WRITES_OF_A_CLIENT / PACE
        print(shown("created within", applied.created, "s"))
        print(shown("all Active within", took, "s"))
        print(shown("the router's own pace for it", pace, "s"))
        print(aimed("all Active, of that pace", took / pace, "times", 1.3))
        used = 1000 * effort.cpu / SESSIONS
        print(aimed("processor time of the agent", used, "ms a Session", 3))
        held, holds = 1000 * effort.held, effort.long_holds
        print(aimed("the loop was held at most", held, "ms", 50))
        print(shown("it was held for more than 50 ms", holds, "times"))
        each = (commands_then - commands) / SESSIONS
        print(shown("commands to the router", each, "a Session"))
        each = (writes_then - writes) / SESSIONS
        print(shown("of them writes", each, "a Session"))
        stored = applied.revisions
        print(aimed("revisions in the store", stored, "a Session", 2.1))

        quiet, busy = Figures.of(idle.times), Figures.of(meanwhile.times)
        print(f"  orders on a second router, idle relay    {quiet}")
        print(f"  orders on a second router, meanwhile     {busy}")
        ratio = busy.p99 / quiet.p99
        print(aimed("99th percentile, of an idle relay's", ratio, "times", 3))
        refused = len(meanwhile.refusals)
        print(aimed("refused", refused, f"of {len(meanwhile.times)}", 0))
        assert not idle.refusals

    async def counts(self) -> tuple[int, int]:
        """Return how many commands came to the full router, and how many of them were writes."""
        state = await self.relay.control.router(self.full)
        counters: dict[str, int] = state["counters"]
        return counters["commands"], counters["writes"]

    # --- with all of them live

    async def one_more_order(self) -> None:
        empty, full = [], []
        for _ in range(ROUNDS):
            empty.append(await self.backend.order(self.empty))
            full.append(await self.backend.order(self.full))

        nobody, many = Figures.of(empty), Figures.of(full)
        print(f"one more order, {ROUNDS} times:")
        print(f"  on an empty router                       {nobody}")
        print(f"  with {SESSIONS} live Sessions                  {many}")
        ratio = many.p50 / nobody.p50
        print(aimed("median, of an empty router's", ratio, "times", 1.5))

    async def resync(self) -> None:
        """Everything is compared, and nothing is different."""
        _, writes = await self.counts()
        agent = self.relay.agent
        used, took, holds = [], [], 0
        waits: list[float] = []
        with repeated(0.01, lambda: probe(agent, waits)):
            for _ in range(3):
                async with effort_of(agent) as effort:
                    took.append(await resync(self.relay, self.full))
                used.append(effort.cpu)
                holds += effort.long_holds

        assert (await self.counts())[1] == writes

        print(f"a resync of {SESSIONS} Sessions without a difference:")
        print(shown("takes", Figures.of(took).p50, "s"))
        seconds = Figures.of(used).p50
        print(aimed("processor time of the agent", seconds, "s", 1.0))
        print(
            aimed("the loop was held for more than 50 ms", holds, "times", 0)
        )
        longest = 1000 * max(waits)
        print(shown("the longest that a probe waited", longest, "ms"))

    async def revoke(self) -> None:
        """Phones are shut out, on the router with many tracked connections and on the empty one."""
        await self.track_connections()
        empty, full = [], []
        for _ in range(ROUNDS):
            empty.append(await self.shut_out(self.empty))
            full.append(await self.shut_out(self.full))

        nobody, many = _outs(empty), _outs(full)
        print(f"a revoke, {ROUNDS} times, until the phone is shut out:")
        print(f"  on an empty router                       {nobody}")
        print(f"  with {CONNECTIONS} tracked connections           {many}")
        ratio = many.p50 / nobody.p50
        print(aimed("median, of an empty router's", ratio, "times", 1.5))
        print(f"  answered, on an empty router             {_answers(empty)}")
        print(f"  answered, with tracked connections       {_answers(full)}")

    async def track_connections(self) -> None:
        """Let the phones open connections, each as many as any other."""

        async def open_one(client: Client, number: int) -> None:
            flow = f"flow-{number}"
            assert await self.relay.control.forwarded(
                self.full, client.mac, flow
            )

        phones = itertools.cycle(self.clients)
        await at_once(
            open_one(client, number)
            for client, number in zip(phones, range(CONNECTIONS), strict=False)
        )

    async def shut_out(self, router: str) -> tuple[float, float]:
        """Return the seconds from a revoke to the first packet that is not forwarded, and to the answer."""
        control = self.relay.control
        client = self.backend.new_client(router)
        await self.backend.let_in(client)
        for flow in FLOWS:
            assert await control.forwarded(router, client.mac, flow)

        start = time.monotonic()
        waiter = asyncio.create_task(self.until_out(client))
        answer = await self.relay.revoke(router, client.mac, client.ip)
        answered = time.monotonic()
        out = await waiter
        assert answer.status_code == 200, answer.text
        return out - start, answered - start

    async def until_out(self, client: Client) -> float:
        """Return the moment of the first packet of a client that is not forwarded."""
        await self.relay.control.wait(
            client.router, client.mac, forwarded=False, timeout=60
        )
        return time.monotonic()


def _outs(revokes: Sequence[tuple[float, float]]) -> Figures:
    return Figures.of([out for out, _ in revokes])


def _answers(revokes: Sequence[tuple[float, float]]) -> Figures:
    return Figures.of([answered for _, answered in revokes])
