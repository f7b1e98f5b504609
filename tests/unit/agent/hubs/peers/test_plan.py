"""What a pass does about the peers of an interface and says of each, held against a reference of WireGuard. Pure."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest

from cerebro.agent.hubs.desired import frozen_peers
from cerebro.agent.hubs.model import HubDesired
from cerebro.agent.hubs.peers.outcome import (
    changes_made,
    keys_after,
    peer_results,
)
from cerebro.agent.hubs.peers.plan import PeersPlan, plan
from cerebro.agent.hubs.peers.status import (
    PeerReport,
    peer_status,
    report_in_status,
)
from cerebro.domain.conditions import Obstacle
from cerebro.domain.mass_removal import RemovalWindow
from cerebro.kube.objects import StoredObject
from cerebro.resources import PEER, Hub, Peer
from cerebro.wireguard.model import ActualPeer, Interface, PeerChange
from cerebro.wireguard.networks import span
from support.wireguard_reference import ReferenceWireGuard

BORN = datetime(2026, 5, 1, tzinfo=UTC)


def key(name: str) -> str:
    return base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()


def a_hub(**spec: Any) -> Hub:
    meta = {"name": "hub", "namespace": "ns"}
    return Hub.model_validate(
        {"metadata": meta, "spec": {"addresses": ["10.64.0.1/16"], **spec}}
    )


def a_peer(
    name: str,
    *allowed: str,
    of: str | None = None,
    device: bool = True,
    endpoint: str | None = None,
    status: Any = None,
    **meta: Any,
) -> Peer:
    """A Peer, of a Device unless told otherwise, with the key of that name."""
    spec: dict[str, Any] = {
        "hubRef": {"name": "hub"},
        "publicKey": key(of or name),
        "allowedIPs": list(allowed),
        "endpoint": endpoint,
    }
    if device:
        spec["deviceRef"] = {"name": name}
    metadata = {
        "name": name,
        "namespace": "ns",
        "uid": f"uid-{name}",
        "generation": 1,
    } | meta
    return Peer.model_validate(
        {"metadata": metadata, "spec": spec, "status": status or {}}
    )


def applied(name: str) -> dict[str, Any]:
    """A status that notes the key of that name."""
    return {"appliedPublicKey": key(name)}


def there(**peers: str) -> Interface:
    """The interface with peers, each with its networks."""
    return Interface(
        "wg0",
        peers={
            key(name): ActualPeer(key(name), frozenset(text.split()))
            for name, text in peers.items()
        },
    )


def decide(
    *peers: Peer, actual: Interface, hub: Hub | None = None, **more: Any
) -> PeersPlan:
    return plan(
        HubDesired(hub or a_hub(), peers, complete=True, **more),
        actual,
        RemovalWindow(settle=0.0),
    )


# --- rule D3


@pytest.mark.parametrize("whose", ["nobody's", "a Device's"])
def test_d3_what_another_peer_holds_inside_an_administrators_network_is_not_the_administrators(
    whose: str,
) -> None:
    """WireGuard gives 192.168.5.0/24 to the other one by its longer prefix: it may send from there."""
    admin = a_peer("admin", "10.64.0.9/32", "192.168.0.0/16", device=False)
    device = [a_peer("other", "10.64.0.2/32")] if whose == "a Device's" else []
    actual = there(
        admin="10.64.0.9/32 192.168.0.0/16",
        other="10.64.0.2/32 192.168.5.0/24",
    )
    left = decide(admin, *device, actual=actual).administrators(actual)
    assert "10.64.0.9/32" in left
    assert "192.168.0.0/22" in left
    assert not any(
        span("192.168.5.7").within(span(network)) for network in left
    )
    assert all(
        span(network).within(span("192.168.0.0/16"))
        for network in left - {"10.64.0.9/32"}
    )


def test_d3_an_administrator_keeps_what_is_more_precise_than_anothers_network() -> (
    None
):
    admin = a_peer(
        "admin", "10.64.0.9/32", "192.168.5.0/24", "0.0.0.0/0", device=False
    )
    actual = there(
        admin="10.64.0.9/32 192.168.5.0/24 0.0.0.0/0",
        stranger="192.168.0.0/16 10.64.0.3/32",
    )
    assert decide(admin, actual=actual).administrators(actual) == {
        "10.64.0.9/32",
        "192.168.5.0/24",
    }


def test_d3_no_peer_with_a_device_is_an_administrator() -> None:
    actual = there(router="10.64.0.2/32 192.168.88.0/24")
    assert (
        decide(
            a_peer("router", "10.64.0.2/32", "192.168.88.0/24"), actual=actual
        ).administrators(actual)
        == set()
    )


# --- endpoints


def test_a_peer_whose_endpoint_has_no_address_is_applied_and_not_ready() -> (
    None
):
    """What a Peer asks for and does not get is said on it; its tunnel is left as it is, and so are the others."""
    name = "nosuch.invalid:51820"
    dialling = a_peer("a", "10.64.0.2/32", endpoint=name, status=applied("a"))
    refused = a_peer("c", "10.64.0.2/32", endpoint=name)
    other = a_peer("b", "10.64.0.3/32", status=applied("b"))
    trouble = Obstacle(
        "EndpointNotResolved", "spec.endpoint nosuch.invalid:51820: correct it"
    )
    asked = HubDesired(
        a_hub(),
        [dialling, other, refused],
        complete=True,
        unresolved={name: trouble},
    )
    actual = there(a="10.64.0.2/32", b="10.64.0.3/32")
    decided = plan(asked, actual, RemovalWindow(settle=0.0))
    assert decided.changes == []
    outcome = peer_results(
        asked,
        decided,
        actual,
        present=frozenset(actual.peers),
        refused={},
        before={},
    )
    said = {peer.name: words for peer, words in outcome.reports}
    assert {one: words.ready[:2] for one, words in said.items()} == {
        "a": ("False", "EndpointNotResolved"),
        "b": ("True", "Applied"),
        "c": ("False", "AddressConflict"),
    }
    assert said["a"].applied[0] == "True", (
        "its Device, if it has one, goes on being dialled through it"
    )
    for peer, words in outcome.reports:
        status = peer_status(peer, words, BORN)
        shown = peer.model_copy(
            update={"status": peer.status.model_validate(status)}
        )
        assert report_in_status(shown) == words, (
            "nothing is written once it is there"
        )


# --- rule E8: rotated keys


def one_pass(
    wireguard: ReferenceWireGuard, *peers: Peer, **hub: Any
) -> dict[str, PeerReport]:
    """Make a pass; no address that has an owner before and after it is without one in between."""
    actual = wireguard.interface()
    asked = HubDesired(a_hub(**hub), peers, complete=True)
    decided = plan(asked, actual, RemovalWindow(settle=0.0))
    final = ReferenceWireGuard.of(actual.peers.values())
    for change in decided.changes:
        final.apply(change)
    lasting = wireguard.owners.keys() & final.owners.keys()
    for change in decided.changes:
        wireguard.apply(change)
        assert lasting <= wireguard.owners.keys()
    assert not decided.unknown
    present = keys_after(actual, decided.changes, {})
    outcome = peer_results(
        asked, decided, actual, present=present, refused={}, before={}
    )
    return {peer.name: said for peer, said in outcome.reports}


def as_said(peer: Peer, said: PeerReport) -> Peer:
    """The Peer once its status is written."""
    status = {
        "appliedPublicKey": said.applied_public_key,
        "rotatedPublicKeys": list(said.rotated_public_keys),
    }
    return peer.model_copy(
        update={"status": peer.status.model_validate(status)}
    )


@pytest.mark.parametrize(
    "address",
    ["10.64.0.2", "10.64.0.3"],
    ids=["same address", "another address"],
)
def test_e8_a_rotated_key_keeps_its_place_until_the_new_one_takes_it(
    address: str,
) -> None:
    """E8: the new key is noted, then takes the address over in one message, and the old one goes with it.

    Each pass could be the first of another agent: all that it goes by is the status and the interface.
    """
    wireguard = ReferenceWireGuard.of(there(old="10.64.0.2/32").peers.values())
    peer = a_peer("p", f"{address}/32", of="new", status=applied("old"))
    for _ in range(2):  # also when the first note got lost
        said = one_pass(wireguard, peer)["p"]
        assert wireguard.owner("10.64.0.2") == key("old")
        assert (said.applied_public_key, said.rotated_public_keys) == (
            key("new"),
            (key("old"),),
        )
        assert said.applied[:2] == ("False", "Applying")
    peer = as_said(peer, said)
    said = one_pass(wireguard, peer)["p"]
    assert wireguard.owners == {f"{address}/32": key("new")}
    assert wireguard.peers.keys() == {key("new")}
    assert (said.applied_public_key, said.rotated_public_keys) == (
        key("new"),
        (),
    )
    assert said.applied[0] == "True"


def test_e8_a_key_rotated_twice_before_it_was_applied_leaves_none_behind() -> (
    None
):
    wireguard = ReferenceWireGuard.of(
        there(first="10.64.0.2/32").peers.values()
    )
    peer = a_peer("p", "10.64.0.2/32", of="first", status=applied("first"))
    for name in ("second", "third"):
        peer = a_peer("p", "10.64.0.2/32", of=name, status=peer.status)
        said = one_pass(wireguard, peer)["p"]
        assert (said.applied_public_key, said.rotated_public_keys) == (
            key(name),
            (key("first"),),
        )
        peer = as_said(peer, said)
    one_pass(wireguard, peer)
    assert wireguard.peers.keys() == {key("third")}


def test_e8_old_keys_that_are_noted_go_with_a_peer_that_goes_and_stay_with_one_that_cannot_be_read() -> (
    None
):
    status = applied("new") | {"rotatedPublicKeys": [key("old")]}
    going = a_peer(
        "p",
        "10.64.0.2/32",
        of="new",
        status=status,
        deletionTimestamp="2026-05-01T00:00:00Z",
    )
    wireguard = ReferenceWireGuard.of(there(old="10.64.0.2/32").peers.values())
    assert one_pass(wireguard, going)["p"].applied[1] == "Removed"
    assert not wireguard.peers
    raw = {
        "spec": {"hubRef": {"name": "hub"}, "publicKey": key("new")},
        "status": status,
    }
    frozen = frozen_peers(
        [StoredObject(PEER, "ns", "p", "uid-p", 1, None, "error", raw)], "hub"
    )
    assert frozen.keys == {key("new"), key("old")}


def test_a_peer_whose_key_is_being_rotated_keeps_its_address_from_an_older_one() -> (
    None
):
    wireguard = ReferenceWireGuard.of(there(old="10.64.0.2/32").peers.values())
    peer = a_peer("p", "10.64.0.2/32", of="new", status=applied("old"))
    older = a_peer(
        "a", "10.64.0.2/32", creationTimestamp="2020-05-01T00:00:00Z"
    )
    said = one_pass(wireguard, older, peer)
    assert said["a"].accepted[1] == "AddressConflict"
    assert said["p"].accepted[0] == "True"


def test_peers_that_come_and_go_are_counted_as_the_old_relay_did() -> None:
    stays, goes, kept = key("stays"), key("goes"), key("kept")
    peers = {
        each: ActualPeer(each, frozenset()) for each in (stays, goes, kept)
    }
    changes = [
        PeerChange(stays, persistent_keepalive=25),
        PeerChange(goes, remove=True),
        PeerChange(kept, remove=True),
        PeerChange(key("new")),
        PeerChange(key("bad")),
        PeerChange(key("late"), update_only=True),
    ]
    refused = {kept: "busy", key("bad"): "invalid"}
    assert changes_made(Interface("wg", peers=peers), changes, refused) == {
        "added": 1,
        "add_error": 1,
        "removed": 1,
        "remove_error": 1,
    }
