"""Two hundred routers of which fifty hang, twenty refuse and ten are slow: the time to access on the others, beside
that of a fleet of those others alone.

Real: the loops, the client, sockets, simulated routers, all in this process. Faked: the API server, see `live_devices`.
Both fleets run one after the other, and their figures are printed; what is asserted is that every order on a sound
router comes through. A time is from the Session's arrival to the client's first forwarded packet.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from typing import Any

import pytest

from bench.figures import Figures, line
from support.live_devices import LiveDevices, live_devices

SOUND = 120
SICK: list[tuple[int, dict[str, Any]]] = [
    (50, {"hang": True}),
    (20, {"refuse": True}),
    (10, {"latency_ms": 800, "per_command_ms": 100}),
]
ORDERS = 600
AT_ONCE = 6
LATENCY = {"latency_ms": 30}
LOOK_EVERY = 0.002


async def add(live: LiveDevices, number: int, faults: dict[str, Any]) -> str:
    """Add a router with its Device; return its name."""
    name = f"r{number}"
    router = await live.simulator.add_router(name)
    await router.set_faults(faults)
    live.has_device(router)

    return name


async def fleet(live: LiveDevices, *, with_sick: bool) -> list[str]:
    """Add the routers; return the names of the sound ones once each is compared."""
    numbers = itertools.count()
    sound = [await add(live, next(numbers), LATENCY) for _ in range(SOUND)]

    for count, faults in SICK if with_sick else ():
        for _ in range(count):
            name = await add(live, next(numbers), faults)
            client = {"macAddress": "AA:FF:00:00:00:01"}
            live.has_session(f"of-{name}", name, client)

    for name in sound:
        await live.until_ready("Device", name, "Equal")

    return sound


async def access(live: LiveDevices, number: int, name: str) -> float:
    """Order access for a new client; return the seconds until it is online."""
    mac = f"AA:00:00:00:{number >> 8:02X}:{number & 255:02X}"
    ip = f"10.0.{number >> 8}.{number & 255}"
    network = live.simulator.routers[name].network
    network.move_in(mac, ip)
    network.packet(mac)
    begin = time.perf_counter()
    live.has_session(f"s{number}", name, {"macAddress": mac, "ipAddress": ip})
    while not network.packet(mac).forwarded:  # noqa: ASYNC110 - the router's state
        await asyncio.sleep(LOOK_EVERY)

    return time.perf_counter() - begin


async def measure(*, with_sick: bool) -> list[float]:
    """Return the times of the orders on a fleet, in seconds."""
    choose = random.Random(4)
    async with live_devices() as live:
        sound = await fleet(live, with_sick=with_sick)
        numbers = iter(range(ORDERS))
        times: list[float] = []

        async def some() -> None:
            for number in numbers:
                name = choose.choice(sound)
                times.append(await access(live, number, name))
                await asyncio.sleep(0.01)

        await asyncio.gather(*(some() for _ in range(AT_ONCE)))

    return times


@pytest.mark.timeout(600)
async def test_sick_routers_do_not_delay_the_others() -> None:
    alone = await measure(with_sick=False)
    beside = await measure(with_sick=True)
    print(f"\n{SOUND} sound routers with 30 ms of delay, {ORDERS} orders:")
    print(line("alone", Figures.of(alone)))
    print(
        line(
            "beside 50 that hang, 20 that refuse, 10 slow", Figures.of(beside)
        )
    )
    assert len(alone) == len(beside) == ORDERS
