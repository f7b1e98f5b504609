"""Rule E16: where a Peer was heard from is remembered, said in its status, and dialled when it has to be made anew."""

from __future__ import annotations

import base64
import hashlib
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cerebro.agent.context import AgentContext
from cerebro.agent.handshakes import Contact
from cerebro.agent.hubs.model import HubDesired
from cerebro.agent.hubs.peers import reporter as reporting
from cerebro.agent.hubs.peers.outcome import PeersOutcome, peer_results
from cerebro.agent.hubs.peers.plan import plan
from cerebro.agent.hubs.peers.reporter import PeerReporter
from cerebro.agent.hubs.peers.status import out_of_sight, report_in_status
from cerebro.domain.conditions import ConditionState
from cerebro.domain.mass_removal import RemovalWindow
from cerebro.kube.status_writer import Write
from cerebro.resources import Hub, Peer
from cerebro.wireguard.model import ActualPeer, Endpoint, Interface
from support.events import Events

SEEN, MOVED, NAMED = (
    ("198.51.100.7", 4242),
    ("198.51.100.7", 4243),
    ("192.0.2.1", 51820),
)
NOW = 1_800_000_000.0
PEERS = 1_000
HUB = Hub.model_validate(
    {
        "metadata": {"name": "hub", "namespace": "ns"},
        "spec": {"addresses": ["10.64.0.1/16"]},
    }
)


def key(number: int = 0) -> str:
    return base64.b64encode(hashlib.sha256(b"%d" % number).digest()).decode()


def a_peer(
    number: int = 0,
    *,
    endpoint: str | None = None,
    status: dict[str, Any] | None = None,
) -> Peer:
    """A Peer on the interface by its status, which says more where asked."""
    meta = {
        "name": f"p{number}",
        "namespace": "ns",
        "uid": f"u-{number}",
        "generation": 1,
    }
    spec = {
        "hubRef": {"name": "hub"},
        "publicKey": key(number),
        "allowedIPs": [f"10.64.{number >> 8}.{number & 255}/32"],
        "endpoint": endpoint,
    }
    noted = {"appliedPublicKey": key(number), **(status or {})}
    return Peer.model_validate(
        {"metadata": meta, "spec": spec, "status": noted}
    )


def seen(
    endpoint: Endpoint | None, handshake: float = NOW, number: int = 0
) -> Interface:
    actual = ActualPeer(
        key(number),
        frozenset({f"10.64.{number >> 8}.{number & 255}/32"}),
        endpoint=endpoint,
        last_handshake=handshake,
    )
    return Interface("wg0", peers={actual.public_key: actual})


def conclude(
    peer: Peer,
    actual: Interface,
    heard: dict[str, Endpoint] | None = None,
    before: float = 0.0,
) -> PeersOutcome:
    desired = HubDesired(HUB, [peer], heard=heard or {}, now=NOW)
    return peer_results(
        desired,
        plan(desired, actual, RemovalWindow()),
        actual,
        present=frozenset(actual.peers),
        refused={},
        before={key(): Contact("Online", before, 1)} if before else {},
    )


def dialled(peer: Peer, actual: Interface, **more: Any) -> Endpoint | None:
    desired = HubDesired(HUB, [peer], now=NOW, **more)
    return plan(desired, actual, RemovalWindow()).desired[key()].last_endpoint


NEW = Interface("wg0")


@pytest.mark.parametrize(
    ("written", "heard", "expected"),
    [
        ("198.51.100.7:4242", None, SEEN),
        ("[2001:db8::9]:51820", None, ("2001:db8::9", 51820)),
        ("198.51.100.7:4242", MOVED, MOVED),
        (None, MOVED, MOVED),
        (None, None, None),
        ("not an endpoint", None, None),
        ("router.example:51820", None, None),
        ("[fe80::1%eth0]:51820", None, None),
    ],
)
def test_e16_a_new_interface_goes_by_what_was_heard_else_by_the_status(
    written: str | None, heard: Endpoint | None, expected: Endpoint | None
) -> None:
    """An odd text in a status keeps no peer from the interface."""
    peer = a_peer(status={"endpoint": written})
    memory = {key(): heard} if heard else {}
    assert dialled(peer, NEW, heard=memory) == expected


def test_e16_no_peer_is_dialled_that_is_there_or_that_its_spec_dials() -> None:
    status = {"endpoint": "198.51.100.7:4242"}
    assert dialled(a_peer(status=status), seen(None, 0.0)) is None
    named = a_peer(endpoint="192.0.2.1:51820", status=status)
    assert dialled(named, NEW, endpoints={"192.0.2.1:51820": NAMED}) is None


def test_e16_a_peer_that_changes_its_key_is_not_dialled() -> None:
    status = {
        "endpoint": "198.51.100.7:4242",
        "rotatedPublicKeys": [key(1)],
    }
    assert dialled(a_peer(status=status), seen(SEEN, number=1)) is None


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (seen(SEEN), SEEN),
        (seen(SEEN, 0.0), MOVED),
        (seen(None), MOVED),
        (NEW, MOVED),
    ],
    ids=["a handshake", "dialled in vain", "no endpoint", "not there"],
)
def test_e16_only_an_endpoint_with_a_handshake_is_remembered(
    actual: Interface, expected: Endpoint
) -> None:
    outcome = conclude(a_peer(), actual, heard={key(): MOVED})
    assert outcome.heard == {key(): expected}
    ((_, report),) = outcome.reports
    assert report.endpoint == f"{expected[0]}:{expected[1]}"


def test_e16_an_endpoint_that_the_spec_sets_is_said_after_its_handshake() -> (
    None
):
    """The interface shows at once where it dials; the last handshake came from elsewhere."""
    peer = a_peer(endpoint="192.0.2.1:51820")
    heard = {key(): SEEN}
    old = conclude(peer, seen(NAMED, NOW - 60), heard, before=NOW - 60)
    assert old.heard == {key(): SEEN}
    new = conclude(peer, seen(NAMED, NOW), heard, before=NOW - 60)
    assert new.heard == {key(): NAMED}


def test_e16_a_status_keeps_its_endpoint_while_nobody_hears_the_peer() -> None:
    peer = a_peer(status={"endpoint": "198.51.100.7:4242"})
    ((_, report),) = conclude(peer, NEW).reports
    gone = ConditionState("False", "WireGuardNotAvailable", "no interface")
    assert report.endpoint == "198.51.100.7:4242"
    assert out_of_sight(peer, None, gone).endpoint == "198.51.100.7:4242"


class Reports:
    """A reporter whose statuses are in the Store at once, and its clock."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, peers: dict[str, Peer]
    ) -> None:
        self.now = 1000.0
        self.writes = 0
        self._peers = peers
        clock = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr(reporting, "time", clock)
        context = cast("AgentContext", self)
        self.statuses = self
        self.recorder = Events()
        self.reporter = PeerReporter(context)

    def put(self, write: Write) -> None:
        self.writes += 1
        peer = self._peers[write.name]
        self._peers[write.name] = Peer.model_validate(
            peer.wire() | {"status": write.status}
        )

    def waits(self, *_: object) -> bool:
        return False


def said(peer: Peer, endpoint: Endpoint) -> PeersOutcome:
    number = int(peer.name[1:])
    actual = seen(endpoint, number=number)
    desired = HubDesired(HUB, [peer], now=NOW)
    return peer_results(
        desired,
        plan(desired, actual, RemovalWindow()),
        actual,
        present=frozenset(actual.peers),
        refused={},
        before={},
    )


async def test_e16_an_endpoint_alone_is_written_once_in_five_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten minutes of passes each five seconds, while a NAT gives out another port each time."""
    peers = {"p0": a_peer()}
    world = Reports(monkeypatch, peers)
    for number in range(120):
        outcome = said(peers["p0"], ("198.51.100.7", 1024 + number))
        await world.reporter.report(outcome.reports)
        world.now += 5.0
    assert world.writes == 2
    assert peers["p0"].status.endpoint == f"198.51.100.7:{1024 + 60}"


async def test_e16_thousands_of_peers_behind_a_nat_are_not_written_at_a_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What another agent wrote before us may be seconds old; what is not known at all is written at once."""
    peers = {f"p{number}": a_peer(number) for number in range(PEERS)}
    first = Reports(monkeypatch, peers)
    reports = [said(peer, SEEN).reports[0] for peer in peers.values()]
    await first.reporter.report(reports)
    assert first.writes == PEERS

    second = Reports(monkeypatch, peers)
    moved = [said(peer, MOVED).reports[0] for peer in peers.values()]
    for _ in range(3):
        await second.reporter.report(moved)
        second.now += 90.0
    assert second.writes == 0
    second.now += 30.0
    await second.reporter.report(moved)
    assert second.writes == PEERS
    assert {peer.status.endpoint for peer in peers.values()} == {
        "198.51.100.7:4243"
    }


async def test_e16_an_endpoint_rides_on_what_is_written_anyway(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    peers = {"p0": a_peer()}
    world = Reports(monkeypatch, peers)
    await world.reporter.report(said(peers["p0"], SEEN).reports)
    old = NOW - 9999
    offline = conclude(peers["p0"], seen(MOVED, old), before=old)
    await world.reporter.report(offline.reports)
    assert world.writes == 2
    assert peers["p0"].status.endpoint == "198.51.100.7:4243"
    assert report_in_status(peers["p0"]) == offline.reports[0][1]
