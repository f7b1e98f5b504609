"""Commands a second on one router: our session layer, plain librouteros async with a lock, and librouteros sync.

Each client has one connection and the same commands: half write a row, half print a short menu. The first two have
sixty-four callers at once, as a busy agent has; the third one sends a command after another, as all it can do. Real:
sockets on loopback, the simulator as a program of its own, once without a delay and once with 30 ms there and back.
Printed are medians of three rounds, in which the clients take turns; what is asserted is that each row that was
written is on the router.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import librouteros
import pytest

from bench.many_sessions import shown
from cerebro.routeros.client.command import Command
from cerebro.routeros.client.connection import connect
from controlplane.processes import Process, end, launch
from simulator.control import SimulatorControl

HACK = Path(__file__).parents[2] / "hack"
USER, PASSWORD = "cerebro", "secret"
CALLERS = 64
ROUNDS = 3
DELAY_MS = 30
LIST = "/ip/firewall/address-list"
SCALE = int(os.environ.get("CEREBRO_BENCH_COMMANDS", "3000"))
"""Commands of a round; one that waits for each answer gets fewer where answers are late."""

LATE = 20
"""So many times fewer."""


def commands(count: int, first: int, name: str) -> list[Command]:
    """Return so many commands; half of them write the row of a number into that list, from `first`."""
    numbers = itertools.count(first)

    def write() -> Command:
        number = next(numbers)
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        return Command(LIST, "add", {"list": name, "address": address})

    reading = Command("/system/identity", "print", {".proplist": "name"})

    return [write() if at % 2 else reading for at in range(count)]


async def ours(port: int, some: Sequence[Command]) -> float:
    """Return the seconds that our session layer takes for these commands."""
    waiting = iter(some)
    async with await connect("127.0.0.1", port, [(USER, PASSWORD)]) as session:

        async def call() -> None:
            for command in waiting:
                await session.run(command)

        return await taken(call() for _ in range(CALLERS))


async def locked(port: int, some: Sequence[Command]) -> float:
    """Return the seconds that librouteros async takes, one command at a time."""
    waiting, lock = iter(some), asyncio.Lock()
    api = await librouteros.async_connect(
        "127.0.0.1", USER, PASSWORD, port=port
    )

    async def call() -> None:
        for command in waiting:
            async with lock:
                reply = api.rawCmd(*command.words())
                assert [row async for row in reply]

    try:
        return await taken(call() for _ in range(CALLERS))
    finally:
        await api.close()


async def plain(port: int, some: Sequence[Command]) -> float:
    """Return the seconds that librouteros sync takes, in a thread."""

    def run() -> float:
        api = librouteros.connect("127.0.0.1", USER, PASSWORD, port=port)
        begin = time.perf_counter()
        try:
            for command in some:
                assert list(api.rawCmd(*command.words()))

            return time.perf_counter() - begin
        finally:
            api.close()

    return await asyncio.to_thread(run)


async def taken(calls: Any) -> float:
    begin = time.perf_counter()
    await asyncio.gather(*calls)

    return time.perf_counter() - begin


Client = Callable[[int, Sequence[Command]], Awaitable[float]]
CLIENTS: dict[str, Client] = {
    "our session layer": ours,
    "librouteros async with a lock": locked,
    "librouteros sync": plain,
}


@asynccontextmanager
async def simulated(
    folder: Path,
) -> AsyncIterator[tuple[SimulatorControl, int]]:
    """Run the simulator with one router; give its control port, and the router's port."""
    ready = folder / "ports.json"
    words = ["--control", "127.0.0.1:0", "--routers", "1"]
    words += ["--port-file", str(ready)]
    program = (sys.executable, "-m", "simulator", *words)
    child = launch(
        Process("simulator", program, cwd=HACK), folder / "simulator.log"
    )
    try:
        while not ready.exists():
            assert child.poll() is None, (folder / "simulator.log").read_text()
            await asyncio.sleep(0.05)

        ports = json.loads(ready.read_text())
        async with SimulatorControl(ports["control"]) as control:
            yield control, ports["routers"][0]["port"]
    finally:
        end(child)


@pytest.mark.timeout(600)
async def test_commands_a_second_on_one_router(tmp_path: Path) -> None:
    async with simulated(tmp_path) as (control, port):
        for delay in (0, DELAY_MS):
            await control.faults("r1", latency_ms=delay)
            name = f"with-{delay}-ms"
            sent, rates = await measured(port, name, late=delay > 0)
            print_rates(delay, rates)

            rows = await control.table("r1", LIST)
            written = [row for row in rows if row["list"] == name]
            assert len(written) == sent // 2


async def measured(
    port: int, name: str, *, late: bool
) -> tuple[int, dict[str, list[float]]]:
    """Return how many commands were sent, and how many a second by each client and round."""
    sent, numbers = 0, itertools.count(0, SCALE)
    rates: dict[str, list[float]] = {label: [] for label in CLIENTS}
    for _ in range(ROUNDS):
        for label, client in CLIENTS.items():
            waits = late and client is not ours
            count = SCALE // LATE if waits else SCALE
            count -= count % 2
            took = await client(port, commands(count, next(numbers), name))
            rates[label].append(count / took)
            sent += count

    return sent, rates


def print_rates(delay: int, rates: dict[str, list[float]]) -> None:
    where = f"with {delay} ms of delay" if delay else "without a delay"
    print(f"\ncommands a second on one router {where}, of {ROUNDS} rounds:")
    medians = {name: statistics.median(some) for name, some in rates.items()}
    for name, median in medians.items():
        print(shown(name, median, "a second"))

    best, *others = medians
    for other in others:
        ratio = medians[best] / medians[other]
        print(shown(f"{best}, of {other}", ratio, "times"))
