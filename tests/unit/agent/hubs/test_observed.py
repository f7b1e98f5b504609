"""Which peers an interface shows, and how they are judged by it alone. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from cerebro.agent.handshakes import Contact
from cerebro.agent.hubs.observed import contacts_seen, routed_peers
from cerebro.resources import Peer
from cerebro.wireguard.keys import derive_public_key, generate_private_key
from cerebro.wireguard.model import ActualPeer, Interface

KEYS = [derive_public_key(generate_private_key()) for _ in range(4)]
POOL, ROUTED, ASTRAY, NOT_OURS = KEYS
NETWORKS = {
    POOL: {"10.64.0.2/32", "192.168.7.0/24"},
    ROUTED: {"192.168.9.0/24"},
    ASTRAY: {"10.65.0.2/32"},
    NOT_OURS: {"10.64.0.5/32"},
}
INTERFACE = Interface(
    "wg0",
    up=True,
    addresses=frozenset({"10.64.0.1/16"}),
    routes=frozenset({"192.168.9.0/24"}),
    peers={
        key: ActualPeer(key, frozenset(networks), last_handshake=990)
        for key, networks in NETWORKS.items()
    },
)


def a_peer(key: str, noted: str | None) -> Peer:
    meta = {"name": f"p{KEYS.index(key)}", "namespace": "ns"}
    spec = {
        "hubRef": {"name": "hub"},
        "publicKey": key,
        "allowedIPs": sorted(NETWORKS[key]),
    }
    return Peer.model_validate(
        {
            "metadata": meta,
            "spec": spec,
            "status": {"appliedPublicKey": noted} if noted else {},
        }
    )


def test_no_way_leads_to_a_peer_without_an_address_or_route_for_it() -> None:
    """What would be sent to it goes out elsewhere, with a router's password in it."""
    assert routed_peers(INTERFACE) == {POOL, ROUTED, NOT_OURS}
    assert routed_peers(replace(INTERFACE, up=False)) == frozenset()
    assert routed_peers(replace(INTERFACE, addresses=frozenset())) == {ROUTED}


def test_e8_peers_are_judged_whose_key_is_noted_and_on_the_interface() -> None:
    peers = [
        a_peer(POOL, POOL),
        a_peer(ROUTED, ROUTED),
        a_peer(ASTRAY, ASTRAY),
        a_peer(NOT_OURS, None),
    ]
    before = {
        POOL: Contact("Offline", 500.0),
        ROUTED: Contact("Online", 980.0),
    }
    assert contacts_seen(
        peers, INTERFACE, before, 1000.0, timedelta(seconds=180)
    ) == {
        POOL: Contact("Online", 990.0),
        ROUTED: Contact("Online", 990.0),
    }
