"""How many calls a second the bridge takes, and how long each takes.

Beside it, in the same run and by the same sender: the bridge's own `/health`, and FastAPI's first example with
the same server in a process of its own. They take turns, so that what else the machine does meets all alike.
Ratios of medians are printed beside their aims; what is asserted is that each call was answered 200.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from bench.calls.burst import (
    Burst,
    Place,
    burst,
    client_of,
    hello,
    now,
    order_body,
    until_answered,
)
from bench.figures import line
from bench.relay import Relay, running

ROUNDS = 5
CALLS = int(os.environ.get("CEREBRO_BENCH_CALLS", "2000"))
CONNECTIONS = (1, 16, 128)
NEW_ORDERS = {1: 100, 16: 600, 128: 600}
"""Orders of each burst, by the number of connections."""
AIM = 0.6

EVENTS = int(os.environ.get("CEREBRO_BENCH_EVENTS", "5000"))
ROUTERS = 50
CALLERS = 64
WITHIN = 1800.0
"""Seconds in which all events have their ACKs; a bound for a relay that stands still."""


@dataclass(frozen=True)
class Measured:
    """Bursts of the same calls."""

    bursts: Sequence[Burst]

    @property
    def rate(self) -> float:
        """The median of the answers a second."""
        return statistics.median(each.rate for each in self.bursts)

    def line(self, name: str) -> str:
        """Return a line of the table: the median rate, and the times of the burst that had it."""
        middle = sorted(self.bursts, key=lambda each: each.rate)[
            len(self.bursts) // 2
        ]
        return f"{line(name, middle.figures)}   {middle.rate:7.0f} a second"


def verdict(name: str, ratio: float, aim: float) -> str:
    """Return a line that says whether an aim was reached."""
    word = "reached" if ratio >= aim else "missed"
    return f"  {name}: {ratio:.2f} (aim: at least {aim}, {word})"


@pytest.mark.timeout(1800)
async def test_calls_a_second(tmp_path: Path) -> None:
    with hello() as bare:
        async with running(tmp_path) as relay:
            await until_answered(bare)
            print()
            for connections in CONNECTIONS:
                await _open_order(relay, bare, connections)

            print("  orders end to end, until the entry is on the router:")
            first = 0
            for connections in CONNECTIONS:
                first = await _new_orders(relay, connections, first)


async def _open_order(relay: Relay, bare: Place, connections: int) -> None:
    """Measure calls for an open order beside `/health` and the bare example, in turns."""
    action = Place.action(relay)
    health = Place(relay.settings.bridge_port, "/health")
    mac, ip = client_of(1)
    bodies = [order_body("open-order", relay.router, mac, ip)]
    stamp = now()
    assert (await burst(action, 1, 1, bodies, stamp=stamp)).done

    count = CALLS if connections > 1 else CALLS // 2
    rounds = []
    for number in range(1 + ROUNDS):
        stamp = stamp if now() - stamp < 60_000 else now()
        await burst(action, 1, 1, bodies, stamp=stamp)
        turns = (
            await burst(action, count, connections, bodies, stamp=stamp),
            await burst(health, count, connections),
            await burst(bare, count, connections),
        )
        for each in turns:
            assert not each.refused, each.refusal

        # The first round warms up.
        if number:
            rounds.append(turns)

    orders, healths, hellos = (
        Measured(each) for each in zip(*rounds, strict=True)
    )
    print(f"  {connections} connections, {ROUNDS} times {count} calls each:")
    print(orders.line("signed call for an order that is open"))
    print(healths.line("/health of the same bridge"))
    print(hellos.line("FastAPI's first example, bare"))
    aim = AIM if connections == 16 else 0.0
    for name, beside in (("/health", healths), ("the bare example", hellos)):
        ratio = orders.rate / beside.rate
        text = f"  open order to {name}: {ratio:.2f}"
        print(verdict(f"open order to {name}", ratio, aim) if aim else text)


async def _new_orders(relay: Relay, connections: int, first: int) -> int:
    """Measure orders of clients that were not there before; return the number of the next client."""
    count = NEW_ORDERS[connections]
    bodies = [
        order_body(f"new-{number}", relay.router, *client_of(1000 + number))
        for number in range(first, first + count)
    ]
    measured = await burst(Place.action(relay), count, connections, bodies)
    name = f"new order, {connections} connections, {count} orders"
    print(Measured([measured]).line(name))
    if measured.refused:
        print(f"    {measured.refused} refused, the first: {measured.refusal}")

    return first + count


@pytest.mark.timeout(3600)
async def test_events_from_one_poll_beside_the_same_orders_over_http(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, ROUTERS) as relay:
        routers = [router.name for router in relay.settings.routers]
        bodies = [
            order_body(
                f"http-{number}", routers[number % ROUTERS], *client_of(number)
            )
            for number in range(1, EVENTS + 1)
        ]
        calls = await burst(Place.action(relay), EVENTS, CALLERS, bodies)
        seconds = await _events(relay, routers)

    rate = EVENTS / seconds
    print()
    print(f"  {EVENTS} orders for {ROUTERS} routers:")
    name = f"over HTTP with {CALLERS} connections"
    print(Measured([calls]).line(name))
    if calls.refused:
        print(f"    {calls.refused} refused, the first: {calls.refusal}")
    print(
        f"  as events of one poll: {seconds:.1f} s until the last final ACK, {rate:.0f} a second"
    )
    print(verdict("events to orders over HTTP", rate / calls.rate, AIM))


async def _events(relay: Relay, routers: list[str]) -> float:
    """Offer an event for each of as many further clients; return the seconds until the last final ACK."""
    offered = [
        {
            "eventId": f"event-{number}",
            "type": "RELEASE_REQUESTED",
            "timestamp": now(),
            "payload": _payload(number, routers[number % ROUTERS]),
        }
        for number in range(1, EVENTS + 1)
    ]
    control = f"{relay.settings.backend_url}/control"
    async with httpx.AsyncClient(timeout=60.0) as http:
        start = time.monotonic()
        answer = await http.post(f"{control}/events", json=offered)
        answer.raise_for_status()

        final: dict[str, bool] = {}
        while len(final) < EVENTS:
            assert time.monotonic() - start < WITHIN, (
                f"{len(final)} final ACKs"
            )
            await asyncio.sleep(1.0)
            final = await _final_acks(http, control)

        seconds = time.monotonic() - start
        assert all(final.values()), "an event failed"

    return seconds


def _payload(number: int, router: str) -> dict[str, str]:
    mac, ip = client_of(EVENTS + number)
    return {
        "pedidoId": f"event-{number}",
        "mikId": router,
        "ip": ip,
        "mac": mac,
    }


async def _final_acks(
    http: httpx.AsyncClient, control: str
) -> dict[str, bool]:
    """Return which events have their final ACK, and whether it says that they are done."""
    acks = (await http.get(f"{control}/acks")).json()
    return {
        ack["eventId"]: ack["ok"]
        for ack in acks
        if (ack["payload"] or {}).get("reason") != "pending"
    }
