"""What the loop of a Hub does and says when a pass fails. Node and API server are faked."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NoReturn, cast

import pytest

from cerebro.agent.context import AgentContext
from cerebro.agent.hubs import observer, schedule
from cerebro.agent.hubs import reconcile as hub_pass
from cerebro.agent.hubs.backends import NodeBackends
from cerebro.agent.hubs.keys import HubKeys
from cerebro.agent.hubs.loop import HubLoop
from cerebro.kube.cache.references import hub_of
from cerebro.kube.cache.store import Store
from cerebro.kube.client.connection import Connection
from cerebro.kube.client.errors import KubeError
from cerebro.kube.status_writer import Write
from cerebro.resources import HUB, PEER, Peer
from cerebro.wireguard.backend import (
    IsolationNotAvailable,
    NotAvailable,
    PortInUse,
    WireGuardError,
)
from cerebro.wireguard.keys import derive_public_key, generate_private_key
from cerebro.wireguard.model import ActualPeer, Interface, PeerChange
from cerebro.wireguard.nft import NftError
from support.events import Events
from support.hub_node import Leases, a_hub
from support.tunnels import NoTunnels

NODE, POOL = "node-1", "10.64.0.1/16"
PRIVATE, KEY = (
    generate_private_key(),
    derive_public_key(generate_private_key()),
)
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
    clock_skew = None
    connection = Connection("https://192.0.2.250:6443")

    def __init__(self, *looks: Look) -> None:
        *some, last = looks
        self._looks: Iterator[Look] = itertools.chain(
            some, itertools.repeat(last)
        )
        self.looked = 0
        self.dropped = 0
        self.peers_set: list[str] = []

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

    def set_device(self, *_: object, listen_port: int, **__: object) -> None:
        raise PortInUse(
            f"another program on this node has UDP port {listen_port}"
        )

    def set_peers(
        self, _: str, changes: Sequence[PeerChange]
    ) -> dict[str, str]:
        self.peers_set += [change.public_key for change in changes]
        return {}

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
        self.hubs: list[str] = []
        """UIDs of Hubs that something was said of."""

    def put(self, write: Write) -> None:
        if write.kind is PEER:
            was = self._store.get(write.kind, "ns", write.name)
            peer = was.read(Peer) if was else None
            assert peer is not None
            body = a_peer(
                write.status,
                next(self._versions),
                write.name,
                peer.spec.public_key,
            )
            self._store.deliver(write.kind, "MODIFIED", body)
            self.peers.append(Peer.model_validate(body))
        else:
            said = next(
                one
                for one in write.status["conditions"]
                if one["type"] == "Ready"
            )
            self.ready.append((said["status"], said["reason"]))
            self.hubs.append(write.uid)

    def waits(self, *_: object) -> bool:
        return False


def a_peer(
    status: dict[str, Any], version: int, name: str = "p", key: str = KEY
) -> dict[str, Any]:
    meta = {
        "name": name,
        "namespace": "ns",
        "uid": f"u-{name}",
        "generation": 1,
    }
    address = "10.64.0.2/32" if name == "p" else "10.64.0.3/32"
    spec = {
        "hubRef": {"name": "hub"},
        "publicKey": key,
        "allowedIPs": [address],
    }
    return {
        "metadata": {**meta, "resourceVersion": str(version)},
        "spec": spec,
        "status": status,
    }


def a_hubs_body(uid: str, version: int, **spec: Any) -> dict[str, Any]:
    meta = {
        "name": "hub",
        "namespace": "ns",
        "uid": uid,
        "generation": 1,
        "resourceVersion": str(version),
    }
    words = {
        "addresses": [POOL],
        "nodeName": NODE,
        "isolation": "None",
        "resyncInterval": "1s",
        **spec,
    }
    known = {"publicKey": CARRIED.public_key, "nodeName": NODE}
    return {"metadata": meta, "spec": words, "status": known}


class Story:
    """A loop over a node, with one Peer that was Online when the agent before us ended."""

    def __init__(self, *looks: Look, **spec: Any) -> None:
        self.node, self.nft, self.store, self.tunnels = (
            FakeNode(*looks),
            FakeNft(),
            Store(),
            NoTunnels(),
        )
        self.statuses = Statuses(self.store)
        index = self.store.add_index(PEER, hub_of)
        nothing = cast("Any", None)
        context = AgentContext(
            api=cast("Any", self.node),
            store=self.store,
            statuses=cast("Any", self.statuses),
            recorder=Events().as_recorder(),
            direct=nothing,
            by_device=nothing,
            superseding=nothing,
            peers_by_hub=index,
            windows=nothing,
            tunnels=self.tunnels,
        )
        self.store.deliver(HUB, "ADDED", a_hubs_body("u-hub", 1, **spec))
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
        self.store.deliver(PEER, "ADDED", a_peer(was, 2))
        backend, nft = cast("Any", self.node), cast("Any", self.nft)
        self.tools = NodeBackends(NODE, backend, backend, nft, 15.0, 5.0)
        self.loop = HubLoop(context, self.tools, "ns", "hub", "u-hub")
        self.context = context

    async def until(self, check: Any) -> None:
        """Run the loop until something is so."""
        running = asyncio.create_task(self.loop.run())
        async with asyncio.timeout(60):
            while not check():
                assert not running.done(), running
                self.loop.mark()
                await asyncio.sleep(0.001)
        self.context.stopping = True
        self.loop.mark()
        await running


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any second failure in a row lasts."""
    monkeypatch.setattr(schedule, "LASTING", 1e-6)


GONE, SILENT = (
    NotAvailable("no tunnel process answers"),
    WireGuardError("gave no answer within 20 s"),
)


async def test_one_failure_that_the_next_look_repairs_is_told_of_no_peer() -> (
    None
):
    story = Story(CARRIED, GONE, CARRIED, SILENT, CARRIED)
    await story.until(lambda: story.node.looked > 5)
    assert {("False", GONE.reason), ("False", SILENT.reason)} < set(
        story.statuses.ready
    )
    assert {applied(peer)[0] for peer in story.statuses.peers} <= {"True"}
    assert KEY in story.loop.view.contacts


@pytest.mark.parametrize("look", [CARRIED, GONE])
async def test_e18_routers_wait_for_the_first_look_whatever_it_shows(
    look: Look,
) -> None:
    """Else each Session behind the Hub would be told that its tunnel is missing, at each start of an agent."""
    story = Story(look)
    assert not story.loop.looked()
    await story.until(story.loop.looked)


async def test_e18_the_first_look_is_to_come_when_a_node_that_waited_takes_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    story = Story(CARRIED, nodeName="node-2")
    monkeypatch.setattr(observer, "monotonic", lambda: time.monotonic() + 3600)
    assert story.loop.looked()
    await story.until(lambda: not story.loop.looked())
    assert not story.loop.owns()


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
    conditions = {
        one.type: (one.status, one.reason) for one in peer.status.conditions
    }
    assert conditions == {
        "Applied": said,
        "Ready": said,
        "Accepted": ("True", "Accepted"),
        "Stalled": ("True", said[1]),
    }
    assert (peer.status.state, peer.status.applied_public_key) == (state, KEY)
    assert story.loop.view.peers == {}
    assert story.tunnels.woken


async def test_peers_are_looked_at_again_once_the_interface_is_back() -> None:
    story = Story(CARRIED, GONE, GONE, CARRIED)
    await story.until(
        lambda: ("True", "Applied") in map(applied, story.statuses.peers[1:])
    )
    assert ("False", GONE.reason) in map(applied, story.statuses.peers)
    assert KEY in story.loop.view.contacts


@pytest.mark.parametrize("node", [NODE, None], ids=["its node", "a Lease"])
async def test_e4_an_error_of_ours_is_said_and_ends_neither_claim_nor_tunnel(
    node: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E4: a loop that ends gives its Lease up, and the next one drops the interface."""
    leases = Leases()
    monkeypatch.setattr(HubLoop, "_lease", leases)
    bug = TypeError("unhashable type: 'dict'")
    story = Story(*[CARRIED] * 3, bug, bug, CARRIED, nodeName=node)
    await story.until(
        lambda: story.node.looked > 5 and story.statuses.ready[-1][0] == "True"
    )
    assert ("False", "InternalError") in story.statuses.ready
    assert len(leases.made) == (0 if node else 1)
    assert story.node.dropped == 0
    assert KEY in story.loop.view.contacts


def talking(before: Interface = CARRIED) -> Interface:
    """Give the interface with a handshake of just now."""
    (peer,) = before.peers.values()
    return replace(
        before, peers={KEY: replace(peer, last_handshake=time.time())}
    )


NOT_ISOLATED, NO_NFT = (
    NftError("nft gave no answer within 10 s"),
    IsolationNotAvailable("no program nft"),
)
PARTS: dict[str, tuple[dict[str, Any], Exception | None, str]] = {
    "isolation": ({"isolation": "Strict"}, NOT_ISOLATED, "IsolationFailed"),
    "no nft": ({"isolation": "Strict"}, NO_NFT, "IsolationNotAvailable"),
    "port": ({"listenPort": 53}, None, "ListenPortInUse"),
    "error of ours": (
        {"isolation": "Strict"},
        KeyError("expr"),
        "InternalError",
    ),
}


@pytest.mark.parametrize("node", [NODE, None], ids=["its node", "a Lease"])
@pytest.mark.parametrize(
    ("spec", "trouble", "reason"), PARTS.values(), ids=PARTS.keys()
)
async def test_e4_tunnels_that_work_hold_while_a_part_of_the_pass_fails(
    spec: dict[str, Any],
    trouble: Exception | None,
    reason: str,
    node: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """E4, and no access after its end: Devices behind them are dialled, and no Lease is given back."""
    leases = Leases()
    monkeypatch.setattr(HubLoop, "_lease", leases)
    story = Story(talking(), nodeName=node, **spec)
    story.nft.trouble = trouble
    other = derive_public_key(generate_private_key())
    story.store.deliver(
        PEER, "ADDED", a_peer({"appliedPublicKey": other}, 3, "q", other)
    )
    await story.until(lambda: story.node.looked > 8)
    assert set(story.statuses.ready) == {("False", reason)}
    assert story.loop.view.obstacle is None
    assert {
        key: one.state for key, one in story.loop.view.contacts.items()
    } == {KEY: "Online"}
    assert story.node.peers_set == []
    assert story.node.dropped == 0
    assert not any(one.given_back for one in leases.made)
    said = {peer.name: applied(peer) for peer in story.statuses.peers}
    assert said["q"] == ("False", reason)
    assert said.get("p", ("True", "Applied")) == ("True", "Applied")


async def test_e4_a_lease_goes_to_another_node_where_a_part_fails_and_nobodys_tunnel_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leases = Leases()
    monkeypatch.setattr(HubLoop, "_lease", leases)
    story = Story(CARRIED, nodeName=None, isolation="Strict")
    story.nft.trouble = NO_NFT
    await story.until(lambda: story.node.dropped)
    assert story.loop.view.contacts == {}
    assert not story.loop.owns()


@pytest.mark.parametrize("bug", ["before the interface is read", "after"])
async def test_an_interface_that_was_read_is_judged_though_no_plan_can_be_made(
    bug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No access after its end: also while an error of ours ends each pass."""

    def fails(*_: object, **__: object) -> NoReturn:
        raise KeyError("an error of ours")

    if bug == "after":
        monkeypatch.setattr(hub_pass, "plan", fails)
    else:
        monkeypatch.setattr(HubKeys, "settle", fails)
    story = Story(talking())
    await story.until(lambda: story.node.looked > 4)
    assert set(story.statuses.ready) == {("False", "InternalError")}
    assert (story.loop.view.obstacle is None) is (bug == "after")
    assert (KEY in story.loop.view.contacts) is (bug == "after")


async def test_e8_a_peer_that_goes_during_a_pass_is_not_forgotten_with_those_before_it() -> (
    None
):
    """E8: a pass that found its key another Peer's may have taken that one for there."""
    story, peer = Story(CARRIED), Peer.model_validate(a_peer({}, 1))
    asking, hub = story.loop._inputs, a_hub()
    asking.departed(peer)
    assert (await asking.gather(hub, refresh=False)).departed == {KEY}
    asking.departed(peer)
    asking.keep(frozenset())
    assert (await asking.gather(hub, refresh=False)).departed == {KEY}
    asking.keep(frozenset())
    assert (await asking.gather(hub, refresh=False)).departed == frozenset()


UNREADABLE = {"isolation": "FromANewerRelease", "interface": "wg0"}


@pytest.mark.parametrize("node", [NODE, None], ids=["its node", "a Lease"])
async def test_b9_tunnels_of_a_hub_that_cannot_be_read_count_also_after_a_restart(
    node: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B9, and no access after its end: the Devices behind it are owned, and dialled; nothing is written."""
    monkeypatch.setattr(HubLoop, "_lease", Leases())
    story = Story(talking(), nodeName=node, **UNREADABLE)
    await story.until(lambda: story.loop.view.contacts)
    assert story.loop.owns() is (
        node is not None
    )  # a Lease is not renewed by one who stops
    assert story.loop.view.obstacle is None
    assert {
        key: one.state for key, one in story.loop.view.contacts.items()
    } == {KEY: "Online"}
    assert (
        story.node.peers_set,
        story.node.dropped,
        story.statuses.peers,
    ) == ([], 0, [])


@pytest.mark.parametrize(
    "look",
    [replace(CARRIED, public_key=KEY), SILENT],
    ids=["another's", "not read"],
)
async def test_b9_nobody_is_dialled_by_an_interface_that_is_not_surely_the_hubs(
    look: Look,
) -> None:
    """B9: its key is all that says whose it is."""
    story = Story(talking(), look, **UNREADABLE)
    await story.until(lambda: story.loop.view.obstacle)
    assert story.loop.owns()
    assert story.loop.view.contacts == {}


async def test_b9_the_hub_of_another_node_stays_another_nodes_when_it_cannot_be_read() -> (
    None
):
    story = Story(talking(), **{**UNREADABLE, "nodeName": "node-2"})
    await story.until(lambda: story.statuses.ready)
    assert not story.loop.owns()
    assert (story.node.looked, story.loop.view.contacts) == (0, {})


def applied(peer: Peer) -> tuple[str, str]:
    said = peer.status.condition("Applied")
    assert said is not None
    return said.status, said.reason
