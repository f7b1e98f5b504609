"""What a pass does about the peers of an interface and says of each, held against a reference of WireGuard. Pure."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from cerebro.controllers.hub_peers import Asked, PeersPlan, plan
from cerebro.resources import Hub, Peer
from cerebro.wireguard.model import ActualPeer, Interface
from cerebro.wireguard.networks import span


def key(name: str) -> str:
    return base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()


def a_hub(**spec: Any) -> Hub:
    meta = {"name": "hub", "namespace": "ns"}
    return Hub.model_validate({"metadata": meta, "spec": {"addresses": ["10.64.0.1/16"], **spec}})


def a_peer(
    name: str, *allowed: str, of: str | None = None, device: bool = True, status: Any = None, **meta: Any
) -> Peer:
    """A Peer, of a Device unless told otherwise, with the key of that name."""
    spec: dict[str, Any] = {
        "hubRef": {"name": "hub"},
        "publicKey": key(of or name),
        "allowedIPs": list(allowed),
    }
    if device:
        spec["deviceRef"] = {"name": name}
    metadata = {"name": name, "namespace": "ns", "uid": f"uid-{name}", "generation": 1} | meta
    return Peer.model_validate({"metadata": metadata, "spec": spec, "status": status or {}})


def applied(name: str) -> dict[str, Any]:
    """A status that notes the key of that name."""
    return {"appliedPublicKey": key(name)}


def there(**peers: str) -> Interface:
    """The interface with peers, each with its networks."""
    return Interface(
        "wg0",
        peers={key(name): ActualPeer(key(name), frozenset(text.split())) for name, text in peers.items()},
    )


def decide(*peers: Peer, actual: Interface, hub: Hub | None = None, **more: Any) -> PeersPlan:
    return plan(Asked(hub or a_hub(), peers, complete=True, **more), actual)


# --- rule D3


@pytest.mark.parametrize("whose", ["nobody's", "a Device's"])
def test_d3_what_another_peer_holds_inside_an_administrators_network_is_not_the_administrators(
    whose: str,
) -> None:
    """WireGuard gives 192.168.5.0/24 to the other one by its longer prefix: it may send from there."""
    admin = a_peer("admin", "10.64.0.9/32", "192.168.0.0/16", device=False)
    device = [a_peer("other", "10.64.0.2/32")] if whose == "a Device's" else []
    actual = there(admin="10.64.0.9/32 192.168.0.0/16", other="10.64.0.2/32 192.168.5.0/24")
    left = decide(admin, *device, actual=actual).administrators(actual)
    assert "10.64.0.9/32" in left
    assert "192.168.0.0/22" in left
    assert not any(span("192.168.5.7").within(span(network)) for network in left)
    assert all(span(network).within(span("192.168.0.0/16")) for network in left - {"10.64.0.9/32"})


def test_d3_an_administrator_keeps_what_is_more_precise_than_anothers_network() -> None:
    admin = a_peer("admin", "10.64.0.9/32", "192.168.5.0/24", "0.0.0.0/0", device=False)
    actual = there(admin="10.64.0.9/32 192.168.5.0/24 0.0.0.0/0", stranger="192.168.0.0/16 10.64.0.3/32")
    assert decide(admin, actual=actual).administrators(actual) == {"10.64.0.9/32", "192.168.5.0/24"}


def test_d3_no_peer_with_a_device_is_an_administrator() -> None:
    actual = there(router="10.64.0.2/32 192.168.88.0/24")
    assert (
        decide(a_peer("router", "10.64.0.2/32", "192.168.88.0/24"), actual=actual).administrators(actual)
        == set()
    )
