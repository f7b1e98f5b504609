"""Real: simulated routers on loopback sockets, their control port, clients written by others. Faked: nothing."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from integration.simulator.wire import Wire
from simulator import Router, Simulator, SimulatorControl

MakeRouter = Callable[..., Awaitable[Router]]
Connect = Callable[[Router], Awaitable[Wire]]


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(control=("127.0.0.1", 0)) as running:
        yield running


@pytest.fixture
async def control(simulator: Simulator) -> AsyncIterator[SimulatorControl]:
    async with SimulatorControl(simulator.control_url) as client:
        yield client


@pytest.fixture
def make_router(simulator: Simulator) -> MakeRouter:
    async def make(**options: Any) -> Router:
        return await simulator.add_router(
            f"r{len(simulator.routers) + 1}", **options
        )

    return make


@pytest.fixture
async def router(make_router: MakeRouter) -> Router:
    return await make_router()


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Open connections, not logged in, closed at the end."""
    opened: list[Wire] = []

    async def make(router: Router) -> Wire:
        opened.append(await Wire.connect(router.port))
        return opened[-1]

    yield make
    for wire in opened:
        await wire.close()


@pytest.fixture
async def wire(router: Router, connect: Connect) -> Wire:
    """A logged-in connection to `router`."""
    return await (await connect(router)).login()
