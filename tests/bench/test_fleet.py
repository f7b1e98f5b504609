"""A fleet: thousands of Sessions over many routers, applied at once; and an order while everything is compared.

Beside it, in the same run: a bare create and status patch of as many workers. All of it, API server and simulated
routers too, has two processors. Figures are printed with what is aimed at; what is asserted is that each Session
becomes Active.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.figures import Figures
from bench.many_sessions import (
    ROUTEROS,
    Applied,
    aimed,
    apply_at_once,
    bare_rate,
    clients_of,
    come,
    resync,
    shown,
)
from bench.orders import Backend, Orders
from bench.relay import running

LONG = bool(os.environ.get("CEREBRO_TEST_LONG"))
SESSIONS = int(os.environ.get("CEREBRO_BENCH_SESSIONS", "3000"))
ROUTERS = int(os.environ.get("CEREBRO_BENCH_ROUTERS", "50"))
FLEETS = [(SESSIONS, ROUTERS), *([(10_000, 200)] if LONG else [])]
DENSER = 10
"""So many times more Sessions are on each router of the denser fleet."""

COMPARED = int(os.environ.get("CEREBRO_BENCH_COMPARED", "5000"))
BARE = 1000
ORDERS = 100


@pytest.fixture(autouse=True)
def _two_processors() -> Iterator[None]:
    """Give this process, and all that it starts, two processors."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:2])
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.timeout(3600)
async def test_a_fleet_applied_at_once(tmp_path: Path) -> None:
    for sessions, routers in FLEETS:
        each = sessions // routers
        sparse = await _applied(tmp_path / f"{routers}", routers, each)
        dense = await _applied(
            tmp_path / f"{routers}-dense", routers // DENSER, each * DENSER
        )
        ratio = dense.effort.cpu / sparse.effort.cpu
        print("processor time of the agent for a Session, denser to sparser:")
        print(aimed(f"{DENSER} times as many a router", ratio, "times", 1.2))


async def _applied(folder: Path, routers: int, each: int) -> Applied:
    """Return what it took to apply so many Sessions on each of so many routers."""
    async with running(folder, routers=routers, resync="1h") as relay:
        names = [router.name for router in relay.settings.routers]
        clients = clients_of(names, each)
        bare = await bare_rate(relay, clients[:BARE])
        await come(relay, clients)
        applied = await apply_at_once(relay, clients)

    count, effort = len(clients), applied.effort
    print(f"\n{count} Sessions applied at once on {routers} routers:")
    rate = count / applied.took
    print(shown("bare create and status patch", bare, "a second"))
    print(shown("created", count / applied.created, "a second"))
    print(shown("Active", rate, "a second"))
    print(aimed("Active, of bare", rate / bare, "times", 0.6, least=True))
    used = 1000 * effort.cpu / count
    print(shown("processor time of the agent", used, "ms a Session"))
    held = 1000 * effort.held
    print(aimed("the loop was held at most", held, "ms", 50))
    stored = applied.revisions
    print(aimed("revisions in the store", stored, "a Session", 2.1))
    return applied


@pytest.mark.timeout(1800)
async def test_an_order_while_all_sessions_are_compared(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, resync="1h") as relay:
        backend, idle, meanwhile = Backend(relay), Orders(), Orders()
        clients = clients_of([relay.router], COMPARED)
        await come(relay, clients)
        await apply_at_once(relay, clients)
        await relay.control.faults(relay.router, **ROUTEROS)
        for _ in range(ORDERS // 4):
            await backend.send(relay.router, idle)

        times = []
        async with backend.meanwhile(relay.router, meanwhile):
            while len(meanwhile.times) < ORDERS:
                times.append(await resync(relay, relay.router))

    print(f"\norders while {COMPARED} Sessions of their router are compared:")
    print(f"  the comparison                           {Figures.of(times)}")
    print(
        f"  orders, nothing else going on            {Figures.of(idle.times)}"
    )
    busy = Figures.of(meanwhile.times)
    print(f"  orders meanwhile                         {busy}")
    print(aimed("99th percentile", busy.p99, "s", 1.0))
    refused = len(meanwhile.refusals)
    print(aimed("refused", refused, f"of {len(meanwhile.times)}", 0))
