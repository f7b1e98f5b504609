"""Which peers leave an interface when their Peers are deleted (rule E13). Pure: a store and the plan."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from cerebro.agent.hubs.model import HubDesired
from cerebro.agent.hubs.peers.plan import plan
from cerebro.domain.mass_removal import RemovalWindow
from cerebro.kube.cache.store import Store
from cerebro.resources import PEER, Hub, Peer
from cerebro.wireguard.model import ActualPeer, Interface

HUB = Hub.model_validate(
    {
        "metadata": {"name": "hub", "namespace": "ns"},
        "spec": {"addresses": ["10.64.0.1/16"]},
    }
)
NUMBERS = range(1, 6)
"""Few enough that the limit on mass removal lets them all go at once."""


def key(number: int) -> str:
    return base64.b64encode(hashlib.sha256(b"%d" % number).digest()).decode()


def body(number: int, version: int, **meta: Any) -> dict[str, Any]:
    metadata = {
        "name": f"p{number}",
        "namespace": "ns",
        "uid": f"u{number}",
        "resourceVersion": str(version),
    }
    spec = {
        "hubRef": {"name": "hub"},
        "publicKey": key(number),
        "allowedIPs": [f"10.64.0.1{number}/32"],
    }
    status = {"appliedPublicKey": key(number)}
    return {"metadata": metadata | meta, "spec": spec, "status": status}


def removed(store: Store) -> set[str]:
    """Keys that the plan takes off an interface that has them all."""
    asked = HubDesired(
        hub=HUB, peers=list(store.models(PEER, Peer, "ns")), complete=True
    )
    there = {
        key(number): ActualPeer(
            key(number), frozenset({f"10.64.0.1{number}/32"})
        )
        for number in NUMBERS
    }
    decided = plan(
        asked, Interface("wg0", peers=there), RemovalWindow(settle=0.0)
    )
    return {change.public_key for change in decided.changes}


def test_e13_peers_that_go_with_their_namespace_stay_on_the_interface_until_that_is_known_to_stay() -> (
    None
):
    store = Store()
    for number in NUMBERS:
        store.deliver(PEER, "ADDED", body(number, 1))
    assert removed(store) == set()
    for number in NUMBERS:
        gone = {
            "deletionTimestamp": "2026-05-01T00:00:00Z",
            "finalizers": ["relay.cerebro.dev/interface"],
        }
        store.deliver(PEER, "MODIFIED", body(number, 2, **gone))
    assert removed(store) == set()
    store.believe(PEER, "ns", ["u1", "u2"])
    assert removed(store) == {key(1), key(2)}
