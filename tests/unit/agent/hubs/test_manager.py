"""Loops come and go with their Hubs. Node and API server are faked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from cerebro.agent.hubs import reporter as hub_reports
from cerebro.agent.hubs.manager import HubManager
from cerebro.agent.hubs.tunnels import HubTunnels
from cerebro.resources import DEVICE, HUB
from unit.agent.hubs.test_loop import CARRIED, Story, a_hubs_body


@asynccontextmanager
async def running(
    story: Story, woken: list[tuple[str, str, bool]] | None = None
) -> AsyncIterator[HubManager]:
    """Run the loops of all Hubs that the story's store has, and gets; `woken` takes the Devices that are woken."""
    woken = [] if woken is None else woken
    tunnels = HubTunnels(
        story.store,
        story.context.peers_by_hub,
        lambda *device: woken.append(device),
    )
    story.context.tunnels = tunnels
    hubs = HubManager(story.context, story.tools, tunnels)
    story.store.subscribe(hubs.changed)
    async with asyncio.TaskGroup() as tasks:
        hubs.start(tasks)
        yield hubs
        story.context.stopping = True
        hubs.mark_all()


async def until(check: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not check():  # noqa: ASYNC110 - nobody sets one
            await asyncio.sleep(0.001)


async def test_e18_all_devices_behind_a_hub_are_woken_by_the_first_look() -> (
    None
):
    """Also those without a peer on the interface: their loops waited for it, too."""
    story = Story(CARRIED)
    for name, hub in (("behind", "hub"), ("elsewhere", "other")):
        meta = {
            "name": name,
            "namespace": "ns",
            "uid": name,
            "resourceVersion": "1",
        }
        api = {"credentialsSecretRef": {"name": name}}
        spec = {"hubRef": {"name": hub}, "api": api}
        body = {"metadata": meta, "spec": spec}
        story.store.deliver(DEVICE, "ADDED", body)

    woken: list[tuple[str, str, bool]] = []
    async with running(story, woken):
        await until(lambda: story.context.tunnels.serves("ns", "hub"))
        await until(lambda: woken)

    assert woken == [("ns", "behind", False)]


async def test_nothing_is_left_of_a_hub_that_went() -> None:
    """A deletion begins no loop, and what was kept of the Hub goes with its own."""
    story = Story(CARRIED)
    async with running(story) as hubs:
        await until(
            lambda: (
                story.statuses.ready
                and story.context.tunnels.owns("ns", "hub")
            )
        )
        assert list(story.context.heartbeats) == ["hub ns/hub"]
        (task,) = hubs.tasks()
        story.store.deliver(HUB, "DELETED", a_hubs_body("u-hub", 50))
        await until(task.done)
        assert hubs.tasks() == set()
        assert story.context.heartbeats == {}
        assert not story.context.tunnels.owns("ns", "hub")
    assert story.node.dropped == 0


async def test_a_hub_made_again_under_its_name_gets_a_loop_that_knows_nothing_of_the_one_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As one is that is to have another nodeName: its first status must not wait for that of the one before."""
    monkeypatch.setattr(hub_reports, "_ROUND_TRIP", 1e9)
    story = Story(CARRIED)
    async with running(story) as hubs:
        await until(lambda: story.statuses.hubs)
        (before,) = hubs.tasks()
        story.store.deliver(HUB, "DELETED", a_hubs_body("u-hub", 50))
        story.store.deliver(HUB, "ADDED", a_hubs_body("u-hub-2", 60))
        await until(lambda: "u-hub-2" in story.statuses.hubs)
        assert before not in hubs.tasks()
        assert list(story.context.heartbeats) == ["hub ns/hub"]
        assert story.context.tunnels.owns("ns", "hub")


async def test_what_is_done_behind_a_hub_ends_before_it_is_given_up() -> None:
    """E14: while the agent stops, loops of Devices finish the pass that they are in."""
    story = Story(CARRIED)
    async with running(story):
        await until(lambda: story.statuses.ready)
    assert story.context.tunnels.owns("ns", "hub")
