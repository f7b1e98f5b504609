"""What the loop of a Hub does and says when a pass fails. Node and API server are faked."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any, cast

import pytest

from cerebro.controllers import hub_loop
from cerebro.controllers.agent_context import AgentContext, hub_of
from cerebro.controllers.hub_loop import HubLoop
from cerebro.controllers.hub_tools import HubTools
from cerebro.controllers.status_writer import Write
from cerebro.kube.errors import KubeError
from cerebro.kube.store import Store
from cerebro.resources import KINDS, Peer
from cerebro.wireguard.backend import NotAvailable, WireGuardError
from cerebro.wireguard.keys import derive_public_key, generate_private_key
from cerebro.wireguard.model import ActualPeer, Interface
from unit.controllers.hub_fakes import Leases

NODE, POOL = "node-1", "10.64.0.1/16"
PRIVATE, KEY = generate_private_key(), derive_public_key(generate_private_key())
CARRIED = Interface(
    "wg0",
    PRIVATE,
    derive_public_key(PRIVATE),
    51820,
    1420,
    up=True,
    addresses=frozenset({POOL}),
    peers={KEY: ActualPeer(KEY, frozenset({"10.64.0.2/32"}))},
)
Look = Interface | Exception


class FakeNode:
    """A Backend, and an API whose Secrets cannot be read; `looks` are the readings, the last one for ever."""

    implementation = "Kernel"

    def __init__(self, *looks: Look) -> None:
        *some, last = looks
        self._looks: Iterator[Look] = itertools.chain(some, itertools.repeat(last))
        self.looked = 0
        self.dropped = 0

    def read(self, name: str) -> Interface:
        self.looked += 1
        look = next(self._looks)
        if isinstance(look, Exception):
            raise look
        return look

    def refresh(self, *_: object) -> None:
        pass

    def ensure(self, *_: object) -> None:
        raise NotAvailable("the kernel of this node has no WireGuard")

    def drop(self, name: str) -> None:
        self.dropped += 1

    async def get_secret(self, *_: object) -> None:
        raise KubeError("away")


class FakeNft:
    """Has no table, and fails with `trouble` where that is set."""

    trouble: Exception | None = None

    def read(self, _: str) -> None:
        if self.trouble is not None:
            raise self.trouble

    def apply(self, _: object) -> None:
        pass

    def drop(self, _: str) -> None:
        pass


class Statuses:
    """Takes what is to be written, and gives it to the Store as the API server's answer."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._versions = itertools.count(100)
        self.peers: list[Peer] = []
        """As they were said to be, the last one last."""
        self.ready: list[tuple[str, str]] = []
        """Of the Hub."""

    def put(self, write: Write) -> None:
        if write.kind.kind == "Peer":
            body = a_peer(write.status, next(self._versions))
            self._store.deliver(write.kind, "MODIFIED", body)
            self.peers.append(Peer.model_validate(body))
        else:
            said = next(one for one in write.status["conditions"] if one["type"] == "Ready")
            self.ready.append((said["status"], said["reason"]))

    def waits(self, *_: object) -> bool:
        return False


def a_peer(status: dict[str, Any], version: int) -> dict[str, Any]:
    meta = {"name": "p", "namespace": "ns", "uid": "u-p", "generation": 1, "resourceVersion": str(version)}
    spec = {"hubRef": {"name": "hub"}, "publicKey": KEY, "allowedIPs": ["10.64.0.2/32"]}
    return {"metadata": meta, "spec": spec, "status": status}


class Story:
    """A loop over a node, with one Peer that was Online when the agent before us ended."""

    def __init__(self, *looks: Look, **spec: Any) -> None:
        self.node, self.nft, self.store, self.told = FakeNode(*looks), FakeNft(), Store(), 0
        self.statuses = Statuses(self.store)
        index = self.store.add_index(KINDS["Peer"], hub_of)
        nothing = cast("Any", None)
        context = AgentContext(
            api=cast("Any", self.node),
            store=self.store,
            statuses=cast("Any", self.statuses),
            recorder=nothing,
            direct=nothing,
            by_device=nothing,
            superseding=nothing,
            peers_by_hub=index,
            windows=nothing,
            tunnels_changed=self._tell,
        )
        meta = {"name": "hub", "namespace": "ns", "uid": "u-hub", "generation": 1, "resourceVersion": "1"}
        spec = {"addresses": [POOL], "nodeName": NODE, "isolation": "None", "resyncInterval": "1s", **spec}
        known = {"publicKey": CARRIED.public_key}
        self.store.deliver(KINDS["Hub"], "ADDED", {"metadata": meta, "spec": spec, "status": known})
        was = {
            "appliedPublicKey": KEY,
            "state": "Online",
            "conditions": [
                {
                    "type": name,
                    "status": "True",
                    "reason": reason,
                    "message": message,
                    "observedGeneration": 1,
                    "lastTransitionTime": "2026-05-01T00:00:00Z",
                }
                for name, reason, message in (
                    ("Accepted", "Accepted", "accepted with all its networks"),
                    ("Applied", "Applied", "the peer is on the interface"),
                    ("Ready", "Applied", "the peer is on the interface"),
                )
            ],
        }
        self.store.deliver(KINDS["Peer"], "ADDED", a_peer(was, 2))
        backend, nft = cast("Any", self.node), cast("Any", self.nft)
        self.loop = HubLoop(context, HubTools(NODE, backend, backend, nft, 15.0, 5.0), "ns", "hub")
        self._context = context

    def _tell(self, *_: object) -> None:
        self.told += 1

    async def until(self, check: Any) -> None:
        """Run the loop until something is so."""
        running = asyncio.create_task(self.loop.run())
        async with asyncio.timeout(60):
            while not check():
                assert not running.done(), running
                self.loop.mark()
                await asyncio.sleep(0.001)
        self._context.stopping = True
        self.loop.mark()
        await running


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any second failure in a row lasts."""
    monkeypatch.setattr(hub_loop, "_LASTS", 1e-6)


GONE, SILENT = NotAvailable("no tunnel process answers"), WireGuardError("gave no answer within 20 s")


async def test_one_failure_that_the_next_look_repairs_is_told_of_no_peer() -> None:
    story = Story(CARRIED, GONE, CARRIED, SILENT, CARRIED)
    await story.until(lambda: story.node.looked > 5)
    assert {("False", GONE.reason), ("False", SILENT.reason)} < set(story.statuses.ready)
    assert {applied(peer)[0] for peer in story.statuses.peers} <= {"True"}
    assert KEY in story.loop.contacts


@pytest.mark.parametrize(
    ("trouble", "said", "state"),
    [
        (GONE, ("False", "WireGuardNotAvailable"), "Offline"),
        (SILENT, ("Unknown", "WireGuardError"), "Online"),
    ],
    ids=["no interface", "nobody could look"],
)
async def test_peers_say_so_when_their_hubs_interface_is_out_of_sight_for_long(
    trouble: WireGuardError, said: tuple[str, str], state: str
) -> None:
    """Ready is True only while the interface has the peer; Offline only what is known to be."""
    story = Story(trouble)
    await story.until(lambda: story.statuses.peers)
    (peer,) = story.statuses.peers
    conditions = {one.type: (one.status, one.reason) for one in peer.status.conditions}
    assert conditions == {"Applied": said, "Ready": said, "Accepted": ("True", "Accepted")}
    assert (peer.status.state, peer.status.applied_public_key) == (state, KEY)
    assert story.loop.peers == {}
    assert story.told


async def test_peers_are_looked_at_again_once_the_interface_is_back() -> None:
    story = Story(CARRIED, GONE, GONE, CARRIED)
    await story.until(lambda: ("True", "Applied") in map(applied, story.statuses.peers[1:]))
    assert ("False", GONE.reason) in map(applied, story.statuses.peers)
    assert KEY in story.loop.contacts


@pytest.mark.parametrize("node", [NODE, None], ids=["its node", "a Lease"])
async def test_e4_an_error_of_ours_is_said_and_ends_neither_claim_nor_tunnel(
    node: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E4: a loop that ends gives its Lease up, and the next one drops the interface."""
    leases = Leases()
    monkeypatch.setattr(HubLoop, "_lease", leases)
    bug = TypeError("unhashable type: 'dict'")
    story = Story(*[CARRIED] * 3, bug, bug, CARRIED, nodeName=node)
    await story.until(lambda: story.node.looked > 5 and story.statuses.ready[-1][0] == "True")
    assert ("False", "InternalError") in story.statuses.ready
    assert len(leases.made) == (0 if node else 1)
    assert story.node.dropped == 0
    assert KEY in story.loop.contacts


def applied(peer: Peer) -> tuple[str, str]:
    said = peer.status.condition("Applied")
    assert said is not None
    return said.status, said.reason
