"""A router with two thousand live Sessions loses all that it had: it comes back empty from a reboot, or another one
stands in its place and `cerebro replace` is run.

Real: API server, our processes, the command. Faked: the routers, by the simulator with RouterOS' own pace; their
phones are there and have hosts, so each needs a binding, a row in the list, and its host removed. Beside it, in the
same run: the first filling of the old router with the same Sessions, and that pace for the writes that no one can
save. Figures are printed with what is aimed at; what is asserted is that each phone is let in.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bench.many_peers import at_once
from bench.many_sessions import (
    DEADLINE,
    PACE,
    ROUTEROS,
    WRITES_OF_A_CLIENT,
    Client,
    aimed,
    apply_at_once,
    as_administrator,
    clients_of,
    come,
    effort_of,
    shown,
)
from bench.relay import Relay, running
from cerebro.resources import DEVICE
from local.settings import NAMESPACE

SESSIONS = int(os.environ.get("CEREBRO_BENCH_SESSIONS", "2000"))
DOWN = 5.0
"""Seconds that nobody answers at the router's place."""

STILL = 3.0
"""Seconds without a write after which a router has got all that it gets."""

LOOK_EVERY = 0.05
NEW = "the-new-one"
WRITES = SESSIONS * WRITES_OF_A_CLIENT
"""Those that no one can save."""

BURST = min(WRITES, ROUTEROS["burst"])
PACED = (WRITES - BURST) / PACE + BURST * ROUTEROS["per_command_ms"] / 1000
"""Seconds that these take at the router's own pace."""

SOON = {"spec": {"circuitBreaker": {"recoveryTime": "1s"}}}
"""How soon a router that was away is tried again. These have no tunnel whose handshake would tell that they are
back, so the lost connection is seen at the loop's next turn, within 30 s.
"""


@dataclass
class Course:
    """What came to a router since it answered: the moments count from then."""

    started: float = field(default_factory=time.monotonic)
    first_command: float = 0.0
    first_write: float = 0.0
    last_write: float = 0.0
    commands: int = 0
    writes: int = 0

    def note(self, counters: dict[str, int]) -> None:
        moment = time.monotonic() - self.started
        if counters["commands"] > 0:
            self.first_command = self.first_command or moment

        if counters["writes"] > self.writes:
            self.first_write = self.first_write or moment
            self.last_write = moment

        self.commands, self.writes = counters["commands"], counters["writes"]

    def print(self) -> None:
        each = self.commands / SESSIONS
        print(shown("the first command after", self.first_command, "s"))
        print(shown("the first write after", self.first_write, "s"))
        print(shown("commands to the router", each, "a Session"))
        each = self.writes / SESSIONS
        print(shown("of them writes", each, "a Session"))


class Swap:
    """A router with live Sessions, and an empty one that comes into its place."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.clients = clients_of([relay.router], SESSIONS)
        self.moved = clients_of([NEW], SESSIONS)
        self.filled = 0.0

    async def fill(self) -> None:
        """Let the Sessions in on the router that is there first."""
        name = self.relay.router
        await self.relay.control.faults(name, **ROUTEROS)
        async with as_administrator(self.relay.plane) as api:
            await api.patch(DEVICE, NAMESPACE, name, SOON)

        await come(self.relay, self.clients)
        self.filled = (await apply_at_once(self.relay, self.clients)).took
        await self.until_equal()
        print(f"\n{SESSIONS} Sessions on one router:")
        print(shown("the first filling of the router", self.filled, "s"))
        print(shown("the router's own pace for it", PACED, "s"))

    async def swap(self, serial: str) -> Course:
        """Put an empty router with this serial number there, with the same phones; return it from its first answer."""
        control, old = self.relay.control, self.relay.settings.routers[0]
        await control.add_router(
            NEW, user=old.user, password=old.password, serial=serial
        )
        await come(self.relay, self.moved)
        await control.faults(NEW, refuse=True, **ROUTEROS)
        await control.faults(old.name, refuse=True)
        await control.swap(old.name, NEW)
        await asyncio.sleep(DOWN)
        await control.faults(NEW, refuse=False)
        return Course()

    @asynccontextmanager
    async def followed(self, course: Course) -> AsyncIterator[None]:
        """Note what comes to the new router while the context lasts."""

        async def follow() -> None:
            while True:
                state = await self.relay.control.router(NEW)
                course.note(state["counters"])
                await asyncio.sleep(LOOK_EVERY)

        following = asyncio.create_task(follow())
        try:
            yield
        finally:
            following.cancel()

    async def until_still(self, course: Course) -> None:
        """Wait until the new router is as wanted, and gets nothing more."""
        deadline = time.monotonic() + DEADLINE
        while (
            course.writes < SESSIONS
            or time.monotonic() - course.started - course.last_write < STILL
        ):
            assert time.monotonic() < deadline, course
            await asyncio.sleep(LOOK_EVERY)

        await self.until_equal()

    async def until_equal(self) -> None:
        """Wait until the Device says that its router is as wanted."""
        deadline = time.monotonic() + DEADLINE
        async with as_administrator(self.relay.plane) as api:
            while True:
                body = await api.get(DEVICE, NAMESPACE, self.relay.router)
                reasons = {
                    each["type"]: each["reason"]
                    for each in body["status"]["conditions"]
                }
                if reasons["Configured"] == "Equal":
                    return

                assert time.monotonic() < deadline, body["status"]
                await asyncio.sleep(0.2)

    async def check_all_in(self) -> None:
        """Fail unless each phone is let in by the new router."""

        async def check(client: Client) -> None:
            forwarded = await self.relay.control.forwarded(NEW, client.mac)
            assert forwarded, client

        await at_once(check(client) for client in self.moved)


@pytest.mark.timeout(1800)
async def test_a_router_is_back_empty_after_a_reboot(tmp_path: Path) -> None:
    async with running(tmp_path, resync="1h") as relay:
        swap = Swap(relay)
        await swap.fill()
        course = await swap.swap(relay.settings.routers[0].serial)
        async with effort_of(relay.agent) as effort, swap.followed(course):
            await swap.until_still(course)

        await swap.check_all_in()

    took = course.last_write - course.first_command
    print("the router is back, and empty:")
    course.print()
    print(shown("all in, from the first command", took, "s"))
    print(aimed("of the router's own pace", took / PACED, "times", 1.2))
    print(shown("of the first filling", took / swap.filled, "times"))
    used = 1000 * effort.cpu / SESSIONS
    print(shown("processor time of the agent", used, "ms a Session"))
    print(shown("the loop was held at most", 1000 * effort.held, "ms"))


@pytest.mark.timeout(1800)
async def test_a_router_is_exchanged_by_cerebro_replace(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, resync="1h") as relay:
        swap = Swap(relay)
        await swap.fill()
        course = await swap.swap("EXCHANGED1")
        await _until_wrong_router(swap)
        assert course.writes == 0

        course.started = time.monotonic()
        async with effort_of(relay.agent) as effort, swap.followed(course):
            output = await asyncio.to_thread(_replace, relay)
            took = time.monotonic() - course.started

        await swap.check_all_in()

    print(f"exchanged: {output.strip()}")
    course.print()
    print(shown("all phones in after", course.last_write, "s"))
    print(shown("cerebro replace took", took, "s"))
    print(shown("of the router's own pace", took / PACED, "times"))
    print(shown("of the first filling", took / swap.filled, "times"))
    used = 1000 * effort.cpu / SESSIONS
    print(shown("processor time of the agent", used, "ms a Session"))


async def _until_wrong_router(swap: Swap) -> None:
    deadline = time.monotonic() + DEADLINE
    async with as_administrator(swap.relay.plane) as api:
        while True:
            body = await api.get(DEVICE, NAMESPACE, swap.relay.router)
            if body["status"].get("answeringSerialNumber"):
                return

            assert time.monotonic() < deadline, body["status"]
            await asyncio.sleep(0.1)


def _replace(relay: Relay) -> str:
    """Run `cerebro replace` for the router's Device; return its output."""
    program = str(Path(sys.executable).with_name("cerebro"))
    wait = ("--wait", str(int(DEADLINE)))
    done = subprocess.run(
        [program, "replace", relay.router, "--yes", *wait],
        env={
            "PATH": os.environ["PATH"],
            "KUBECONFIG": str(relay.plane.kubeconfig),
            "CEREBRO_NAMESPACE": NAMESPACE,
        },
        capture_output=True,
        text=True,
        timeout=DEADLINE + 60,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    return done.stdout
