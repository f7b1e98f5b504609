"""What the loop of a Device does when Sessions are deleted, one after the other or all at once (rule E13).

The clock is a virtual one; router, API and Lease are replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from cerebro.agent.devices.loop import DeviceLoop
from cerebro.kube.objects import Listing
from cerebro.resources import SESSION
from support.device_world import DiaryWorld
from support.virtual_time import VirtualLoop, patch_clocks

CLIENTS = [f"s{'-' * number}" for number in range(50)]
"""Names of Sessions; the world makes a MAC of their length."""

Story = Callable[[DiaryWorld, DeviceLoop], Awaitable[None]]


def run(story: Story) -> DiaryWorld:
    """Run a story with a loop whose router has let all clients in; return the world as it is then."""
    clock = VirtualLoop()

    async def tell(world: DiaryWorld) -> DiaryWorld:
        world.has_no_session("s")
        for name in CLIENTS:
            world.has_session(name)

        listing = Listing({name: name for name in CLIENTS}, 1)
        world.store.reconcile_listing(
            SESSION, "ns", listing, world.store.sequence
        )
        loop = world.loop()
        running = asyncio.create_task(loop.run())
        await asyncio.sleep(10.0)
        assert rows(world) == len(CLIENTS)
        world.diary.begin()

        try:
            await story(world, loop)
        finally:
            running.cancel()
            await asyncio.wait([running])

        return world

    with pytest.MonkeyPatch.context() as monkeypatch:
        patch_clocks(monkeypatch, clock, "cerebro.agent")
        try:
            return clock.run_until_complete(
                tell(DiaryWorld(monkeypatch, clock))
            )
        finally:
            clock.close()


def rows(world: DiaryWorld) -> int:
    """Return how many clients have a binding that lets them in."""
    return sum(
        row.get("disabled") != "true"
        for row in world.link.router.tables.bindings
    )


def ready(world: DiaryWorld) -> tuple[str, str]:
    """Return the reason and the message of the Device's Ready."""
    device = world.device()
    condition = device.status.condition("Ready") if device else None
    assert condition is not None
    return condition.reason, condition.message


def delete(world: DiaryWorld, loop: DeviceLoop, name: str) -> None:
    loop.session_deleted(world.has_no_session(name))


def test_a_client_goes_three_seconds_after_its_session() -> None:
    async def story(world: DiaryWorld, loop: DeviceLoop) -> None:
        delete(world, loop, CLIENTS[0])
        await asyncio.sleep(2.99)
        assert rows(world) == 50
        await asyncio.sleep(0.02)
        assert rows(world) == 49

    run(story)


def test_nobody_else_waits_meanwhile() -> None:
    async def story(world: DiaryWorld, loop: DeviceLoop) -> None:
        delete(world, loop, CLIENTS[0])
        await asyncio.sleep(1.0)
        world.has_session("new")
        loop.session_changed("new")
        await asyncio.sleep(0.1)
        session = world.session("new")
        assert session is not None
        assert session.status.phase == "Active"

    run(story)


def test_a_revoked_client_goes_at_once_though_its_session_was_deleted() -> (
    None
):
    async def story(world: DiaryWorld, loop: DeviceLoop) -> None:
        world.has_session(CLIENTS[0], revoked=True)
        delete(world, loop, CLIENTS[0])
        await asyncio.sleep(0.01)
        assert rows(world) == 49

    run(story)


def test_deletions_that_trickle_end_a_fifth_at_most() -> None:
    """Case S1."""

    async def story(world: DiaryWorld, loop: DeviceLoop) -> None:
        for name in CLIENTS:
            delete(world, loop, name)
            await asyncio.sleep(1.0)

        await asyncio.sleep(300.0)
        assert 40 <= rows(world) < 50
        reason, message = ready(world)
        assert reason == "MassRemoval"
        assert f'"{rows(world)}"' in message

        world.has_device(
            {
                "annotations": {
                    "relay.cerebro.dev/confirm-removal": str(rows(world))
                }
            }
        )
        loop.look_at_everything()
        await asyncio.sleep(1.0)
        assert rows(world) == 0

    run(story)


def test_deletions_of_one_moment_share_a_look_and_wait() -> None:
    async def story(world: DiaryWorld, loop: DeviceLoop) -> None:
        for name in CLIENTS[:20]:
            delete(world, loop, name)

        await asyncio.sleep(20.0)
        assert rows(world) == 50
        assert ready(world)[0] == "MassRemoval"
        passes = [
            at
            for at, acts in world.diary.turns
            if any(act.startswith("pass") for act in acts)
        ]
        assert passes == [3.0]

    run(story)


def test_rows_that_are_met_after_a_start_wait_too() -> None:
    async def story(world: DiaryWorld, loop: DeviceLoop) -> None:
        world.has_no_session(CLIENTS[0])  # the loop is not told
        loop.look_at_everything()
        await asyncio.sleep(2.9)
        assert rows(world) == 50
        await asyncio.sleep(0.2)
        assert rows(world) == 49

    run(story)


def test_a_session_that_is_made_anew_in_time_costs_its_client_nothing() -> (
    None
):
    async def story(world: DiaryWorld, loop: DeviceLoop) -> None:
        written = len(world.link.router.written)
        delete(world, loop, CLIENTS[0])
        await asyncio.sleep(1.0)
        world.has_session(CLIENTS[0])
        loop.session_changed(CLIENTS[0])
        await asyncio.sleep(30.0)
        assert rows(world) == 50
        assert len(world.link.router.written) == written

    run(story)
