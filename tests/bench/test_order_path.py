"""The path of one order: signed request to the first forwarded packet, and to the answer (rule A7).

Beside it, in the same run: a bare librouteros script that does the same on an open connection (look-up, two
adds, host removal, one after the other), and a bare create with its status patch. Times are printed with
their ratios; what is asserted is that each order was answered 200 and let its client in.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import librouteros
import pytest
from librouteros.query import Key

from bench.figures import Figures, line
from bench.relay import Relay, running
from cerebro.kube.client import connection
from cerebro.kube.client.api import KubeApi
from cerebro.resources import SESSION
from local.settings import ADDRESS, NAMESPACE

ROUNDS = 200 if os.environ.get("CEREBRO_TEST_LONG") else 40
WARM_UP = 5


@dataclass
class OrderTimes:
    """Times of many orders, in seconds from the request."""

    packet: list[float] = field(default_factory=list)
    answer: list[float] = field(default_factory=list)
    first_word: list[float] = field(default_factory=list)
    host_removed: list[float] = field(default_factory=list)


@pytest.mark.timeout(1200)
async def test_the_path_of_one_order(tmp_path: Path) -> None:
    async with running(tmp_path) as relay:
        print()
        print(
            f"bare create and status patch, one after the other, {ROUNDS} times:"
        )
        print(line("create", (bare := await _bare_writes(relay))[0]))
        print(line("create and status patch", bare[1]))
        for latency in (0, 30):
            await relay.control.faults(relay.router, latency_ms=latency)
            script = Figures.of(
                await _measured(relay, f"1{latency:02}", _script(relay))
            )
            path = OrderTimes()
            await _measured(relay, f"2{latency:02}", _order(relay, path))
            print(f"router {latency} ms away, {ROUNDS} orders:")
            print(line("bare script: to the first forwarded packet", script))
            print(
                line(
                    "order: to the first forwarded packet",
                    Figures.of(path.packet),
                    script,
                )
            )
            print(
                line("order: to the answer", Figures.of(path.answer), script)
            )
            print("  where the time goes (medians):")
            for name, value in _parts(path):
                print(f"    {name:58} {value * 1000:8.1f} ms")
        await relay.control.faults(relay.router)


async def _measured(
    relay: Relay, name: str, act: Callable[[str, str], Awaitable[float]]
) -> list[float]:
    """Let that many clients in, one after the other, and return the seconds until the first forwarded packet."""
    times = []
    for number in range(WARM_UP + ROUNDS):
        mac, ip = (
            f"AA:{name[0]}0:{name[1:]}:00:{number // 256:02X}:{number % 256:02X}",
            _ip(name, number),
        )
        await relay.control.move_in(relay.router, mac, ip)
        assert not await relay.control.forwarded(relay.router, mac), (
            "the client was in before its order"
        )
        took = await act(mac, ip)
        if number >= WARM_UP:
            times.append(took)
    return times


def _ip(name: str, number: int) -> str:
    return f"10.{100 + int(name[0]) + int(name[1:])}.{number // 250}.{number % 250 + 1}"


def _order(
    relay: Relay, path: OrderTimes
) -> Callable[[str, str], Awaitable[float]]:
    async def act(mac: str, ip: str) -> float:
        boot = await relay.boot_time()
        since = max(
            (entry["n"] for entry in await relay.control.log(relay.router)),
            default=0,
        )
        waiter = asyncio.create_task(_until_forwarded(relay, mac))
        await asyncio.sleep(
            0.02
        )  # the waiter is sending packets before the request goes out
        start = time.monotonic()
        answer = await relay.authorize(f"order-{mac}", mac, ip)
        answered = time.monotonic()
        forwarded = await waiter
        assert answer.status_code == 200, answer.text
        log = await relay.control.log(relay.router, since)
        removal = [
            e["t"]
            for e in log
            if e["sentence"][0] == "/ip/hotspot/host/remove"
        ]
        assert removal, "the host was not removed"
        path.packet.append(forwarded - start)
        path.answer.append(answered - start)
        path.first_word.append(boot + log[0]["t"] - start)
        path.host_removed.append(boot + removal[0] - start)
        return forwarded - start

    return act


async def _until_forwarded(relay: Relay, mac: str) -> float:
    await relay.control.wait(relay.router, mac, timeout=30)
    return time.monotonic()


def _script(relay: Relay) -> Callable[[str, str], Awaitable[float]]:
    router = relay.settings.routers[0]
    api = librouteros.connect(
        host=ADDRESS,
        port=router.port,
        username=router.user,
        password=router.password,
    )

    def let_in(mac: str, ip: str) -> None:
        hosts = api.path("/ip/hotspot/host")
        found = list(hosts.select(Key(".id")).where(Key("mac-address") == mac))
        api.path("/ip/hotspot/ip-binding").add(
            **{"mac-address": mac, "type": "bypassed", "comment": "by hand"}
        )
        api.path("/ip/firewall/address-list").add(
            list="paid_clients", address=ip, comment="by hand"
        )
        hosts.remove(*(row[".id"] for row in found))

    async def act(mac: str, ip: str) -> float:
        waiter = asyncio.create_task(_until_forwarded(relay, mac))
        await asyncio.sleep(0.02)
        start = time.monotonic()
        await asyncio.to_thread(let_in, mac, ip)
        return await waiter - start

    return act


async def _bare_writes(relay: Relay) -> tuple[Figures, Figures]:
    """Create Sessions for no Device and patch their status, as administrator, without anybody else in the
    way.
    """
    kind, creates, both = SESSION, [], []
    async with KubeApi(connection.load(relay.plane.kubeconfig)) as api:
        for number in range(WARM_UP + ROUNDS):
            name = f"bare-{number}"
            manifest = {
                "metadata": {"name": name},
                "spec": {
                    "deviceRef": {"name": "nobody"},
                    "client": {"macAddress": "AA:00:00:00:00:01"},
                },
            }
            start = time.monotonic()
            await api.create(kind, NAMESPACE, manifest)
            created = time.monotonic()
            await api.patch(
                kind,
                NAMESPACE,
                name,
                {"status": {"phase": "Pending"}},
                subresource="status",
            )
            if number >= WARM_UP:
                creates.append(created - start)
                both.append(time.monotonic() - start)
            await api.delete(kind, NAMESPACE, name)
    return Figures.of(creates), Figures.of(both)


def _parts(path: OrderTimes) -> list[tuple[str, float]]:
    """Split the median order: who had it for how long."""

    def median(times: list[float]) -> float:
        return Figures.of(times).p50

    pairs = list(
        zip(
            path.first_word,
            path.host_removed,
            path.packet,
            path.answer,
            strict=True,
        )
    )
    return [
        (
            "bridge, create, watch, agent: until the router's first word",
            median([first for first, *_ in pairs]),
        ),
        (
            "look-up, adds, host removal at the router",
            median([gone - first for first, gone, *_ in pairs]),
        ),
        (
            "until the next packet of the client is forwarded",
            median([seen - gone for _, gone, seen, _ in pairs]),
        ),
        (
            "from the host removal: verification, status, watch, answer",
            median([answered - gone for _, gone, _, answered in pairs]),
        ),
    ]
