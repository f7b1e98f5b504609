"""What the loop of a Hub does when Peers are deleted, one after the other or all at once (rule E13).

The clock is a virtual one; node and API server are replaced.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from cerebro.agent.context import AgentContext
from cerebro.agent.hubs.backends import NodeBackends
from cerebro.agent.hubs.loop import HubLoop
from cerebro.kube.cache.references import hub_of
from cerebro.kube.cache.store import Store
from cerebro.kube.client.connection import Connection
from cerebro.kube.client.errors import KubeError
from cerebro.kube.objects import Listing
from cerebro.kube.status_writer import Write
from cerebro.resources import DEVICE, HUB, PEER, Peer
from cerebro.wireguard.model import ActualPeer, Interface, PeerChange
from support.events import Events
from support.tunnels import NoTunnels
from support.virtual_time import VirtualLoop, patch_clocks
from unit.agent.hubs.test_loop import CARRIED, NODE, FakeNft, a_hubs_body

NUMBERS = range(50)


def key(number: int) -> str:
    return base64.b64encode(hashlib.sha256(b"%d" % number).digest()).decode()


class Clock(VirtualLoop):
    """Runs what blocks at once: no thread waits for a clock that jumps."""

    def run_in_executor(  # type: ignore[override]
        self, _: Any, call: Any, *args: Any
    ) -> Any:
        answer = self.create_future()
        try:
            answer.set_result(call(*args))
        except Exception as error:
            answer.set_exception(error)
        return answer


class CrowdedNode:
    """A Backend with an interface that has all peers, and an API without Secrets."""

    implementation = "Kernel"
    clock_skew = None
    connection = Connection("https://192.0.2.250:6443")

    def __init__(self) -> None:
        self.peers = {
            key(number): ActualPeer(
                key(number), frozenset({f"10.64.1.{number}/32"})
            )
            for number in NUMBERS
        }

    def read(self, name: str) -> Interface:
        return replace(CARRIED, peers=dict(self.peers))

    def refresh(self, *_: object) -> None:
        pass

    def set_device(self, *_: object, **__: object) -> None:
        pass

    def set_link(self, *_: object) -> dict[str, str]:
        return {}

    def set_peers(
        self, _: str, changes: Sequence[PeerChange]
    ) -> dict[str, str]:
        for change in changes:
            assert change.remove, change
            del self.peers[change.public_key]
        return {}

    async def get_secret(self, *_: object) -> None:
        raise KubeError("away")


class World:
    """A loop over a Hub with fifty Peers; `ready` is the Hub's last Ready."""

    def __init__(self) -> None:
        self._versions = itertools.count(1)
        self.node, self.store = CrowdedNode(), Store()
        self.ready = ""
        self.message = ""
        nothing = cast("Any", None)
        context = AgentContext(
            api=cast("Any", self.node),
            store=self.store,
            statuses=cast("Any", self),
            recorder=Events().as_recorder(),
            direct=nothing,
            by_device=nothing,
            superseding=nothing,
            peers_by_hub=self.store.add_index(PEER, hub_of),
            windows=nothing,
            tunnels=NoTunnels(),
        )
        self.has_hub()
        for number in NUMBERS:
            self._deliver_peer(number, "ADDED")
        for kind in (HUB, PEER, DEVICE):
            known = {each.uid: each.name for each in self.store.all(kind)}
            self.store.reconcile_listing(
                kind, "ns", Listing(known, 1), self.store.sequence
            )
        backend = cast("Any", self.node)
        tools = NodeBackends(
            NODE, backend, backend, cast("Any", FakeNft()), 15.0, 5.0
        )
        self.loop = HubLoop(context, tools, "ns", "hub", "u-hub")

    def put(self, write: Write) -> None:
        if write.kind is HUB:
            (ready,) = (
                each
                for each in write.status["conditions"]
                if each["type"] == "Ready"
            )
            self.ready, self.message = ready["reason"], ready["message"]

    def waits(self, *_: object) -> bool:
        return False

    def has_hub(self, **annotations: str) -> None:
        body = a_hubs_body("u-hub", next(self._versions), resyncInterval="10m")
        body["metadata"]["annotations"] = {
            f"relay.cerebro.dev/{name.replace('_', '-')}": value
            for name, value in annotations.items()
        }
        self.store.deliver(HUB, "MODIFIED", body)

    def _deliver_peer(self, number: int, event: Any) -> None:
        meta = {
            "name": f"p{number}",
            "namespace": "ns",
            "uid": f"u{number}",
            "generation": 1,
            "resourceVersion": str(next(self._versions)),
        }
        spec = {
            "hubRef": {"name": "hub"},
            "publicKey": key(number),
            "allowedIPs": [f"10.64.1.{number}/32"],
        }
        status = {"appliedPublicKey": key(number)}
        self.store.deliver(
            PEER, event, {"metadata": meta, "spec": spec, "status": status}
        )

    def delete(self, number: int) -> None:
        stored = self.store.get(PEER, "ns", f"p{number}")
        peer = stored.read(Peer) if stored else None
        assert peer is not None
        self._deliver_peer(number, "DELETED")
        self.loop.departed(peer)


Story = Callable[[World], Awaitable[None]]


def run(story: Story) -> None:
    """Run a story with a loop that has compared its interface."""
    clock = Clock()

    async def tell() -> None:
        world = World()
        running = asyncio.create_task(world.loop.run())
        try:
            await asyncio.sleep(10.0)
            assert len(world.node.peers) == len(NUMBERS)
            await story(world)
        finally:
            running.cancel()
            await asyncio.wait([running])

    with pytest.MonkeyPatch.context() as monkeypatch:
        patch_clocks(monkeypatch, clock, "cerebro.agent")
        try:
            clock.run_until_complete(tell())
        finally:
            clock.close()


def test_a_peer_goes_three_seconds_after_its_object() -> None:
    async def story(world: World) -> None:
        world.delete(0)
        await asyncio.sleep(2.9)
        assert key(0) in world.node.peers
        await asyncio.sleep(0.2)
        assert key(0) not in world.node.peers

    run(story)


def test_deletions_that_trickle_end_a_fifth_at_most() -> None:
    """Case S1."""

    async def story(world: World) -> None:
        for number in NUMBERS:
            world.delete(number)
            await asyncio.sleep(1.0)

        await asyncio.sleep(300.0)
        rest = len(world.node.peers)
        assert 40 <= rest < 50
        assert world.ready == "MassRemoval"
        assert f'"{rest}"' in world.message

        world.has_hub(confirm_removal=str(rest))
        world.loop.mark()
        await asyncio.sleep(2.0)
        assert not world.node.peers
        assert world.ready != "MassRemoval"

    run(story)


def test_a_peer_that_is_made_anew_in_time_keeps_its_place() -> None:
    async def story(world: World) -> None:
        world.delete(0)
        await asyncio.sleep(1.0)
        world._deliver_peer(0, "ADDED")
        world.loop.mark()
        await asyncio.sleep(30.0)
        assert key(0) in world.node.peers

    run(story)
