"""A pass over a Hub without a node: whose interface it takes, and when it writes (rules E3, E4). All are fakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from cerebro.agent.hubs.keys import HubKeys
from cerebro.agent.hubs.model import Frozen, HubDesired
from cerebro.agent.hubs.reconcile import HubOutcome, HubReconciler, NotNow
from cerebro.domain.conditions import ConditionState, Obstacle
from cerebro.domain.mass_removal import RemovalWindow
from cerebro.resources import Hub, Peer
from cerebro.wireguard.backend import Backend, ForeignInterface, WireGuardError
from cerebro.wireguard.keys import derive_public_key, generate_private_key
from cerebro.wireguard.model import ActualPeer, Interface, PeerChange
from cerebro.wireguard.nft import Nft
from support.hub_node import FakeInterface, Leases, Secrets, a_hub

OURS, ANOTHERS = generate_private_key(), generate_private_key()


class NoNft(Nft):
    def drop(self, interface: str) -> None:
        return


class Pass:
    """A pass over one interface; `owned` is how many writes come before we may write no more."""

    def __init__(
        self,
        interface: FakeInterface,
        secret: str | None = OURS,
        *,
        carried: bool = False,
        owned: int = 1000,
    ) -> None:
        self.interface, self.secrets, self.carried, self.owned = (
            interface,
            Secrets(secret),
            carried,
            owned,
        )
        self.carries: list[Backend] = []
        self.looks = 0

    def connected(self) -> list[tuple[str, str]]:
        self.looks += 1
        return [
            ("lo", "10.0.0.1/8"),
            ("eth0", "192.168.1.5/24"),
            ("wg0", "10.64.0.1/16"),
            ("wg9", "10.9.0.1/24"),
        ]

    def check(self) -> None:
        self.owned -= 1
        if self.owned < 0:
            raise NotNow(Obstacle("NotCarried", "not now"))

    async def run(self, hub: Hub, **asked: Any) -> HubOutcome:
        claim = Leases().claim()
        claim.follow(hub, "node")
        return await HubReconciler(
            HubKeys(self.secrets, lambda: None),  # type: ignore[arg-type]
            [self.interface],
            NoNft(),
            HubDesired(
                hub,
                **{
                    "peers": [],
                    "node": "n1",
                    "beside": frozenset({"wg9"}),
                    **asked,
                },
            ),
            claim,
            self.check,
            lambda backend, _: self.carries.append(backend),
            carried=self.carried,
            removals=RemovalWindow(settle=0.0),
            connected=self.connected,
        ).run()


@pytest.mark.parametrize(
    "secret", [OURS, None], ids=["another Secret", "no Secret"]
)
async def test_e4_a_foreign_key_is_in_the_way_of_a_leased_hub(
    secret: str | None,
) -> None:
    """E4: a Lease may bring a Hub to a node where another one has an interface of that name."""
    run = Pass(FakeInterface(ANOTHERS), secret)
    with pytest.raises(ForeignInterface, match="another key"):
        await run.run(a_hub())
    assert (run.carries, run.secrets.made) == ([], [])
    assert (run.interface.calls, run.interface.refreshed) == ([], [])


async def test_an_interface_with_the_key_of_the_secret_is_ours() -> None:
    run = Pass(FakeInterface(OURS))
    outcome = await run.run(a_hub())
    assert outcome.findings.public_key == derive_public_key(OURS)
    assert run.carries == [run.interface]


@pytest.mark.parametrize(
    "known", ["by its status", "as it is carried", "as its node is fixed"]
)
async def test_e3_a_key_that_is_known_and_not_the_secrets_stays_and_is_told(
    known: str,
) -> None:
    status = (
        {"publicKey": derive_public_key(ANOTHERS)}
        if known == "by its status"
        else {}
    )
    spec: dict[str, Any] = (
        {"nodeName": "node"} if known == "as its node is fixed" else {}
    )
    run = Pass(FakeInterface(ANOTHERS), carried=known == "as it is carried")
    outcome = await run.run(a_hub(status=status, **spec))
    assert [one.reason for one in outcome.findings.warnings] == ["KeyMismatch"]
    assert run.interface.private_key == ANOTHERS


async def test_e4_an_interface_without_a_watchdog_is_not_taken() -> None:
    """E4: a wireguard-go that is not the keeper's would outlive us."""
    interface = FakeInterface(OURS)
    interface.foreign = True
    run = Pass(interface)
    with pytest.raises(WireGuardError, match="not carried"):
        await run.run(a_hub())
    assert (run.carries, interface.calls) == ([], [])


async def test_e4_each_write_is_preceded_by_a_look_whether_we_may() -> None:
    """E4: a pass that was held up, by the API server or by being stopped, writes nothing any more."""
    whole = Pass(FakeInterface(there=False))
    await whole.run(a_hub())
    assert whole.interface.calls == ["ensure", "set_device", "set_link"]
    for owned in range(1000 - whole.owned):
        run = Pass(FakeInterface(there=False), owned=owned)
        with pytest.raises(WireGuardError, match="not now"):
            await run.run(a_hub())
        assert len(run.interface.calls) <= owned
    paused = Pass(FakeInterface(there=False))
    assert (await paused.run(a_hub(paused="Changes"))).findings.up is False
    assert (paused.interface.calls, paused.carries) == ([], [])


class Crowded(FakeInterface):
    """Has peers, and refuses to change them with `refusal`."""

    def __init__(self, *keys: str, refusal: str = "") -> None:
        super().__init__(OURS)
        self.keys, self.refusal = keys, refusal

    def read(self, name: str) -> Interface | None:
        found = super().read(name)
        peers = {
            key: ActualPeer(key, frozenset({f"10.64.0.{n}/32"}))
            for n, key in enumerate(self.keys, 2)
        }
        return replace(found, peers=peers) if found else None

    def set_peers(
        self, name: str, changes: Sequence[PeerChange]
    ) -> dict[str, str]:
        super().set_peers(name, changes)
        return {
            one.public_key: self.refusal for one in changes if self.refusal
        }


KEYS = [derive_public_key(generate_private_key()) for _ in range(12)]
DEPARTED = frozenset(KEYS)


def a_peer(key: str) -> Peer:
    meta = {"name": "p", "namespace": "ns", "uid": "u-p", "generation": 1}
    spec = {
        "hubRef": {"name": "hub"},
        "publicKey": key,
        "allowedIPs": ["10.64.0.2/32"],
    }
    return Peer.model_validate(
        {"metadata": meta, "spec": spec, "status": {"appliedPublicKey": key}}
    )


async def test_e8_a_key_that_another_peer_has_is_not_waited_for() -> None:
    """E8: as of one of two Peers with a key, which is deleted as its condition says; the other's peer stays."""
    asked = {
        "peers": [a_peer(KEYS[0])],
        "departed": DEPARTED,
        "complete": True,
    }
    outcome = await Pass(Crowded(*KEYS[:2])).run(a_hub(), **asked)
    assert outcome.present == {KEYS[0]}
    assert (outcome.departed, outcome.removal_refused) == (frozenset(), False)


async def test_e13_keys_that_are_held_back_are_remembered_and_wait_for_a_word() -> (
    None
):
    outcome = await Pass(Crowded(*KEYS)).run(
        a_hub(), departed=DEPARTED, complete=True
    )
    assert outcome.findings.held_back == len(KEYS)
    assert (outcome.departed, outcome.removal_refused) == (DEPARTED, False)


@pytest.mark.parametrize(
    "held",
    [
        "by a Peer that cannot be read",
        "by a store that is not complete",
        "by a pause",
    ],
)
async def test_e8_keys_that_something_else_holds_are_remembered_too(
    held: str,
) -> None:
    asked: dict[str, Any] = {
        "departed": frozenset(KEYS[:1]),
        "complete": "store" not in held,
    }
    if "read" in held:
        asked["frozen"] = Frozen(frozenset(KEYS[:1]))
    outcome = await Pass(Crowded(*KEYS)).run(
        a_hub(paused="All" if "pause" in held else "None"), **asked
    )
    assert (outcome.departed, outcome.removal_refused) == (
        frozenset(KEYS[:1]),
        False,
    )


async def test_e8_a_key_that_the_interface_does_not_give_up_is_tried_again_soon() -> (
    None
):
    run = Pass(Crowded(*KEYS[:2], refusal="busy"))
    outcome = await run.run(a_hub(), departed=DEPARTED, complete=True)
    assert (outcome.departed, outcome.removal_refused) == (
        frozenset(KEYS[:2]),
        True,
    )


def routed(name: str, *allowed: str) -> Peer:
    """A Peer on the interface, by its status, of a Device."""
    key = derive_public_key(generate_private_key())
    meta = {
        "name": name,
        "namespace": "ns",
        "uid": f"u-{name}",
        "generation": 1,
    }
    spec = {
        "hubRef": {"name": "hub"},
        "deviceRef": {"name": name},
        "publicKey": key,
        "allowedIPs": list(allowed),
    }
    return Peer.model_validate(
        {"metadata": meta, "spec": spec, "status": {"appliedPublicKey": key}}
    )


async def test_e5_no_route_takes_the_nodes_own_network_and_its_peer_says_why() -> (
    None
):
    """E5: and what lies in networks of WireGuard interfaces of ours is judged by other rules."""
    run = Pass(FakeInterface(OURS))
    peers = [
        routed("a", "10.64.0.2/32", "192.168.1.0/25", "192.168.7.0/24"),
        routed("b", "10.64.0.3/32", "10.9.0.0/25"),
    ]
    outcome = await run.run(a_hub(), peers=peers)
    assert run.interface.routes == {"192.168.7.0/24", "10.9.0.0/25"}
    said = {peer.name: words for peer, words in outcome.peers.reports}
    assert said["a"].accepted[:2] == ("True", "NetworkConflict")
    assert (
        "192.168.1.0/25 overlaps 192.168.1.0/24 of eth0 on the node n1"
        in said["a"].accepted[2]
    )
    assert (said["b"].accepted[1], outcome.findings.warnings) == (
        "Accepted",
        (),
    )


async def test_the_nodes_networks_are_not_read_where_no_route_is_asked_for() -> (
    None
):
    run = Pass(FakeInterface(OURS))
    await run.run(a_hub(), peers=[routed("a", "10.64.0.2/32")])
    outcome = await run.run(
        a_hub(routes="None"),
        peers=[routed("a", "10.64.0.2/32", "192.168.1.0/25")],
    )
    assert run.looks == 0
    assert [words.accepted[1] for _, words in outcome.peers.reports] == [
        "Accepted"
    ]


async def test_a_route_that_is_refused_is_said_of_its_peer_and_the_hub_serves_the_others() -> (
    None
):
    run = Pass(FakeInterface(OURS))
    run.interface.refusing = {
        "192.168.7.0/24": "the node has another route to it; remove that one"
    }
    peers = [
        routed("a", "10.64.0.2/32", "192.168.7.0/24"),
        routed("b", "10.64.0.3/32"),
    ]
    outcome = await run.run(a_hub(), peers=peers)
    said = {peer.name: words for peer, words in outcome.peers.reports}
    truth, reason, message = said["a"].ready
    assert (truth, reason) == ("False", "RouteRefused")
    assert "192.168.7.0/24: the node has another route" in message
    assert said["b"].ready == ConditionState(
        "True", "Applied", "the peer is on the interface"
    )
    assert (outcome.findings.warnings, outcome.findings.refused) == (
        (),
        ("a",),
    )
    run.interface.refusing = {"10.64.0.1/16": "IPv4 is switched off"}
    outcome = await run.run(a_hub(), peers=peers)
    assert [one.reason for one in outcome.findings.warnings] == [
        "AddressRefused"
    ], "an address is the Hub's own"
