"""When the loop of a Device looks at its router, and how widely: every standing of the router with every event, and
every outcome of a pass with what comes meanwhile.

`schedule_table.txt` has a line for each case: its name, then what the loop did, by turns. The times are seconds after
the event on a virtual clock. With CEREBRO_WRITE_TABLES=1 the test writes the file instead of comparing with it: for a
change of behaviour that is meant.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from cerebro.agent.devices.loop import DeviceLoop
from cerebro.domain.conditions import ConditionState
from cerebro.routeros.client.errors import (
    ConnectionLost,
    DeadlineExceeded,
    LoginRefused,
    RouterError,
    SecretError,
    Stalled,
    Unreachable,
)
from support.device_world import API, DiaryWorld
from support.virtual_time import VirtualLoop, patch_clocks

TABLE = Path(__file__).with_name("schedule_table.txt")
WARM_UP, HORIZON = 10.0, 65.0
Change = Callable[[DiaryWorld, DeviceLoop], None]


# --- where a router stands


def is_ready(world: DiaryWorld, loop: DeviceLoop) -> None:
    """Nothing is in the way."""
    world.holds, world.link.error = True, None
    world.tunnel = ConditionState("True", "Online", "")
    world.has_device()


def is_frozen(world: DiaryWorld, loop: DeviceLoop) -> None:
    world.has_device(commands="Everything")


def is_paused(world: DiaryWorld, loop: DeviceLoop) -> None:
    world.has_device(paused="All")


def is_paused_for_changes(world: DiaryWorld, loop: DeviceLoop) -> None:
    world.has_device(paused="Changes")


def is_without_lease(world: DiaryWorld, loop: DeviceLoop) -> None:
    world.holds = False


def is_cleaned_up(world: DiaryWorld, loop: DeviceLoop) -> None:
    world.has_deleted_device()


def has_no_tunnel(world: DiaryWorld, loop: DeviceLoop) -> None:
    api = {name: value for name, value in API.items() if name != "address"}
    world.has_device(hubRef={"name": "h"}, api=api)
    world.tunnel = ConditionState("False", "NoPeer", "no peer")


def fails(error: RouterError, **spec: Any) -> Change:
    """Return a standing in which no connection can be made."""

    def change(world: DiaryWorld, loop: DeviceLoop) -> None:
        world.has_device(**spec)
        world.link.error = error
        world.link.drop()

    return change


REFUSED = LoginRefused("no", wrong_password=True)
STANDINGS: dict[str, Change] = {
    "ready": is_ready,
    "frozen": is_frozen,
    "paused": is_paused,
    "paused for changes": is_paused_for_changes,
    "without Lease": is_without_lease,
    "cleaned up": is_cleaned_up,
    "no tunnel": has_no_tunnel,
    "unreachable": fails(
        Unreachable("ConnectionRefused", "refused"),
        circuitBreaker={"failureThreshold": 50},
    ),
    "open": fails(
        Unreachable("ConnectionRefused", "refused"),
        circuitBreaker={"failureThreshold": 1, "recoveryTime": "20s"},
    ),
    "open, offline is Reject": fails(
        Unreachable("NoRoute", "no"),
        circuitBreaker={"failureThreshold": 1, "recoveryTime": "20s"},
        whenOffline="Reject",
    ),
    "login refused": fails(
        REFUSED, circuitBreaker={"failureThreshold": 2, "recoveryTime": "20s"}
    ),
}


# --- what comes meanwhile


def device_changed(world: DiaryWorld, loop: DeviceLoop) -> None:
    """The Device asks for something else: as the agent tells its loop."""
    loop.try_again()
    loop.look_at_everything()


def session_came(world: DiaryWorld, loop: DeviceLoop) -> None:
    world.has_session("s2")
    loop.session_changed("s2")


def session_went(world: DiaryWorld, loop: DeviceLoop) -> None:
    loop.session_deleted(world.has_no_session("s"))


def session_ends_soon(world: DiaryWorld, loop: DeviceLoop) -> None:
    world.has_session("s", ends_in=7.0)
    loop.session_changed("s")


def secret_changes_later(world: DiaryWorld, loop: DeviceLoop) -> None:
    """It is looked at while the loop waits for a router that refused what the Secret had."""
    loop.session_changed("s")

    def change() -> None:
        world.link.secret = "second"

    asyncio.get_running_loop().call_later(8.0, change)
    asyncio.get_running_loop().call_later(6.0, loop.session_changed, "s")


EVENTS: dict[str, Change] = {
    "nothing": lambda _world, _loop: None,
    "session came": session_came,
    "session changed": lambda _world, loop: loop.session_changed("s"),
    "session went": session_went,
    "session ends in 7 s": session_ends_soon,
    "device changed": device_changed,
    "acting changed": lambda _world, loop: loop.look_at_everything(),
    "tunnel came back": lambda _world, loop: loop.tunnel_changed(
        came_back=True
    ),
    "tunnel went": lambda _world, loop: loop.tunnel_changed(came_back=False),
    "secret changes later": secret_changes_later,
}


# --- what a pass led to

UNSETTLED = {"settled": False}
RESULTS: dict[str, list[dict[str, Any] | RouterError]] = {
    "settled": [],
    "unsettled": [UNSETTLED],
    "unsettled for long": [UNSETTLED] * 12,
    "interrupted": [{"settled": False, "interrupted": True}],
    "interrupted often": [{"settled": False, "interrupted": True}] * 3,
    "collided": [{"settled": False, "collided": True}],
    "collided often": [{"settled": False, "collided": True}] * 4,
    "collided, settled": [{"collided": True}],
    "collided and interrupted": [
        {"settled": False, "collided": True, "interrupted": True}
    ],
    "held back": [{"held_back": 12}],
    "lost": [ConnectionLost("lost")],
    "lost twice": [ConnectionLost("lost"), ConnectionLost("lost")],
    "stalled": [Stalled("stalled")],
    "late": [DeadlineExceeded("late")],
    "refused": [LoginRefused("no", wrong_password=True)],
    "no secret": [SecretError("no")],
}
LOOKS: dict[str, Change] = {
    "clients": session_came,
    "everything": device_changed,
}
MEANWHILE: dict[str, Change] = {
    "nothing": lambda _world, _loop: None,
    "session changed": lambda _world, loop: loop.session_changed("s"),
    "acting changed": lambda _world, loop: loop.look_at_everything(),
}
DEVICES: dict[str, Change] = {
    "": is_ready,
    "dry run": lambda world, _loop: world.has_device(dryRun=True),
}


def standing_with_event(standing: str, event: str, then: str) -> Change:
    """Return a case: the router stands so for a while, then the event comes, and later the router may be ready."""

    def case(world: DiaryWorld, loop: DeviceLoop) -> None:
        EVENTS[event](world, loop)
        if then == "ready":
            asyncio.get_running_loop().call_later(3.0, is_ready, world, loop)

    return case


def pass_with_result(result: str, look: str, meanwhile: str) -> Change:
    """Return a case: a pass of that width leads to the result, and something comes while it runs."""

    def case(world: DiaryWorld, loop: DeviceLoop) -> None:
        passes = 0

        def during() -> None:
            nonlocal passes
            passes += 1
            if passes == 1:
                MEANWHILE[meanwhile](world, loop)

        world.script, world.during = list(RESULTS[result]), during
        LOOKS[look](world, loop)

    return case


def a_session_in_each_pass(world: DiaryWorld, loop: DeviceLoop) -> None:
    """So many orders come that the pass over everything is never the next."""
    passes = 0

    def during() -> None:
        nonlocal passes
        passes += 1
        if passes < 60:
            loop.session_changed("s")

    world.during = during
    loop.session_changed("s")
    loop.look_at_everything()


def cleanup_is_held(world: DiaryWorld, loop: DeviceLoop) -> None:
    world.script = [UNSETTLED, UNSETTLED]
    world.has_deleted_device()
    device_changed(world, loop)


def cleanup_without_way(world: DiaryWorld, loop: DeviceLoop) -> None:
    world.script = [ConnectionLost("lost")]
    world.has_deleted_device()
    device_changed(world, loop)


def finished_session_went(world: DiaryWorld, loop: DeviceLoop) -> None:
    world.has_session("s", ends_in=1.0)
    loop.session_changed("s")

    def goes() -> None:
        loop.session_deleted(world.has_no_session("s"))

    asyncio.get_running_loop().call_later(5.0, goes)


def clock_of_the_agent_is_wrong(world: DiaryWorld, loop: DeviceLoop) -> None:
    world.context.clock_skew_limit = -1.0
    world.clock_skew = 0.0  # type: ignore[assignment]
    session_came(world, loop)

    def right() -> None:
        world.context.clock_skew_limit = 60.0

    asyncio.get_running_loop().call_later(40.0, right)


def cases() -> Iterator[tuple[str, Change, Change]]:
    """Yield name, standing before, and what happens."""
    for standing, event, then in product(STANDINGS, EVENTS, ("same", "ready")):
        if standing == "ready" and then == "ready":
            continue
        name = f"{standing} | {event} | then {then}"
        yield (
            name,
            STANDINGS[standing],
            standing_with_event(standing, event, then),
        )
    for kind, result, look, meanwhile in product(
        DEVICES, RESULTS, LOOKS, MEANWHILE
    ):
        if kind and (
            meanwhile != "nothing"
            or any(isinstance(entry, RouterError) for entry in RESULTS[result])
        ):
            continue
        name = f"pass over {look}{', ' if kind else ''}{kind} | {result} | {meanwhile} meanwhile"
        yield name, DEVICES[kind], pass_with_result(result, look, meanwhile)
    for special in (
        a_session_in_each_pass,
        cleanup_is_held,
        cleanup_without_way,
        finished_session_went,
        clock_of_the_agent_is_wrong,
    ):
        yield special.__name__.replace("_", " "), is_ready, special


CASES = {name: (before, case) for name, before, case in cases()}
WRITING = bool(os.environ.get("CEREBRO_WRITE_TABLES"))


def told(name: str) -> str:
    """Return what the loop does in a case."""
    before, case = CASES[name]
    clock = VirtualLoop()

    async def run(world: DiaryWorld) -> str:
        loop = world.loop()
        running = asyncio.create_task(loop.run())
        await asyncio.sleep(1.0)
        before(world, loop)
        device_changed(world, loop)
        await asyncio.sleep(WARM_UP)
        world.diary.begin()
        case(world, loop)
        await asyncio.sleep(HORIZON)
        text = world.diary.text()
        assert not running.done(), "the loop goes on"
        running.cancel()
        await asyncio.wait([running])
        return text

    with pytest.MonkeyPatch.context() as monkeypatch:
        patch_clocks(monkeypatch, clock, "cerebro.agent")
        try:
            return clock.run_until_complete(
                run(DiaryWorld(monkeypatch, clock))
            )
        finally:
            clock.close()


def expected() -> dict[str, str]:
    """Return the file's lines by name."""
    lines = TABLE.read_text().splitlines() if TABLE.exists() else []
    return dict(line.split(" => ", 1) for line in lines)


def test_the_loop_does_what_the_table_says() -> None:
    table = {name: told(name) for name in CASES}
    if WRITING:
        TABLE.write_text(
            "".join(f"{name} => {text}\n" for name, text in table.items())
        )
    assert table == expected()
