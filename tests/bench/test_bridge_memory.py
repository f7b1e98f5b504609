"""Memory of the bridge while it goes on and on: calls for orders that are open already, and a feed that offers the
same events again and again.

Between two looks at the memory nothing new comes, so nothing may stay. The curve is printed, with the last tenth
beside the second one; what is asserted is that each call was answered 200 and that all events were offered and
acknowledged.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import httpx
import pytest

from bench.calls.burst import Place, burst, client_of, now, order_body
from bench.meter import Target, memory_of
from bench.relay import Relay, running

REQUESTS = int(os.environ.get("CEREBRO_BENCH_REQUESTS", "1000000"))
OFFERED = int(os.environ.get("CEREBRO_BENCH_OFFERED", "100000"))
DISTINCT = 2_000
"""Events among those that are offered."""
ORDERS = 200
TENTHS = 10
CONNECTIONS = 16
BURST = 5_000
"""Calls that are signed at once: their signatures are good for 120 s."""
REST = 3.0
"""Seconds after which what was asked for again is noted."""
WITHIN = 0.05


@pytest.mark.timeout(7200)
async def test_memory_of_a_bridge(tmp_path: Path) -> None:
    async with running(tmp_path) as relay:
        pid = int((relay.folder / "pid" / "bridge").read_text())
        bridge = Target(pid, relay.settings.bridge_port)
        bodies = [
            order_body(f"open-{number}", relay.router, *client_of(number))
            for number in range(1, ORDERS + 1)
        ]
        feed = Feed(relay)
        await _send(relay, bodies, ORDERS)
        await feed.offer()
        await feed.until_acknowledged()

        print()
        print(
            f"the bridge, {REQUESTS:,} calls for {ORDERS} open orders and {OFFERED:,} events, {DISTINCT:,} of them"
            " distinct, resident after each tenth:"
        )
        curve: list[float] = []
        for tenth in range(1, TENTHS + 1):
            await _send(relay, bodies, REQUESTS // TENTHS)
            await feed.until_offered(OFFERED * tenth // TENTHS)
            await asyncio.sleep(REST)
            curve.append(memory_of(bridge))
            print(f"  {tenth:3} {curve[-1] / 2**20:8.1f} MiB", flush=True)

        acknowledged = await feed.acknowledged()

    growth = curve[-1] / curve[1] - 1
    word = "reached" if abs(growth) <= WITHIN else "missed"
    print(
        f"  the last to the second: {growth:+.1%} (aim: within {WITHIN:.0%}, {word})"
    )
    assert len(acknowledged) == DISTINCT
    assert all(acknowledged.values()), "an event failed"


async def _send(relay: Relay, bodies: list[str], count: int) -> None:
    """Send calls for these orders in turn, each burst of them signed anew."""
    left = count
    while left > 0:
        part = min(BURST, left)
        sent = await burst(
            Place.action(relay), part, CONNECTIONS, bodies, stamp=now()
        )
        assert not sent.refused, sent.refusal
        left -= part


class Feed:
    """The feed of the fake backend, which keeps on offering what it had the ACKs of."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._control = f"{relay.settings.backend_url}/control"
        self._times = max(1, OFFERED // TENTHS // DISTINCT)
        self._polls_before = 0

    async def offer(self) -> None:
        """Offer the distinct events in each poll, several times."""
        events = [
            {
                "eventId": f"event-{number}",
                "type": "RELEASE_REQUESTED",
                "timestamp": now(),
                "payload": self._payload(number),
            }
            for number in range(1, DISTINCT + 1)
        ]
        faults = {"keep": True, "times": self._times}
        async with httpx.AsyncClient(timeout=60.0) as http:
            answer = await http.put(f"{self._control}/faults", json=faults)
            answer.raise_for_status()
            answer = await http.post(f"{self._control}/events", json=events)
            answer.raise_for_status()

        self._polls_before = await self._polls()

    async def until_offered(self, count: int) -> None:
        """Wait until so many events were offered, the same ones counted again."""
        polls = -(-count // (DISTINCT * self._times))
        while True:
            polled = await self._polls() - self._polls_before
            if polled >= polls:
                return

            await asyncio.sleep(0.5)

    async def until_acknowledged(self) -> None:
        """Wait until each event has its final ACK."""
        while True:
            if len(await self.acknowledged()) == DISTINCT:
                return

            await asyncio.sleep(2.0)

    async def acknowledged(self) -> dict[str, bool]:
        """Return which events have their final ACK, and whether it says that they are done."""
        async with httpx.AsyncClient(timeout=60.0) as http:
            acks = (await http.get(f"{self._control}/acks")).json()

        return {
            ack["eventId"]: ack["ok"]
            for ack in acks
            if (ack["payload"] or {}).get("reason") != "pending"
        }

    async def _polls(self) -> int:
        async with httpx.AsyncClient(timeout=60.0) as http:
            answer = await http.get(f"{self._control}/polls")

        return int(answer.json()["polls"])

    def _payload(self, number: int) -> dict[str, str]:
        mac, ip = client_of(100_000 + number)
        return {
            "pedidoId": f"event-{number}",
            "mikId": self._relay.router,
            "ip": ip,
            "mac": mac,
        }
