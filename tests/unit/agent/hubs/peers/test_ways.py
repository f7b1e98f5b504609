"""Rule E17: no route into the tunnel leads to what the node has to reach without it. Pure."""

from __future__ import annotations

from typing import Any

import pytest

from cerebro.agent.hubs.model import HubDesired
from cerebro.agent.hubs.peers.acceptance import Acceptance
from cerebro.agent.hubs.peers.plan import plan
from cerebro.agent.hubs.peers.ways import Ways
from cerebro.domain.mass_removal import RemovalWindow
from cerebro.resources import Hub, Peer
from cerebro.wireguard.keys import derive_public_key, generate_private_key
from cerebro.wireguard.model import ActualPeer, Endpoint, Interface
from cerebro.wireguard.networks import span

WAYS = {
    "192.168.7.4": "the API server",
    "203.0.113.53": "a name server of the node",
    "172.20.0.1": "the node's default gateway",
    "2001:db8:7::1": "the node's default gateway",
}
KEY, NEIGHBOUR = (
    derive_public_key(generate_private_key()),
    derive_public_key(generate_private_key()),
)


def a_hub(**spec: Any) -> Hub:
    meta = {"name": "hub", "namespace": "ns"}
    return Hub.model_validate(
        {"metadata": meta, "spec": {"addresses": ["10.64.0.1/16"], **spec}}
    )


def a_peer(
    *allowed: str, key: str = KEY, device: bool = True, **status: Any
) -> Peer:
    name = "p" if key == KEY else "neighbour"
    meta = {
        "name": name,
        "namespace": "ns",
        "uid": f"u-{name}",
        "generation": 1,
    }
    spec = {
        "hubRef": {"name": "hub"},
        "publicKey": key,
        "allowedIPs": list(allowed),
        "deviceRef": {"name": name} if device else None,
    }
    return Peer.model_validate(
        {
            "metadata": meta,
            "spec": spec,
            "status": {"appliedPublicKey": key, **status},
        }
    )


def there(endpoint: Endpoint | None = None) -> Interface:
    """The interface, with a neighbour that is at this endpoint."""
    peer = ActualPeer(
        NEIGHBOUR, frozenset({"10.64.0.9/32"}), endpoint=endpoint
    )
    return Interface("wg0", peers={NEIGHBOUR: peer})


def judged(
    *peers: Peer, actual: Interface | None = None, **more: Any
) -> Acceptance:
    desired = HubDesired(
        more.pop("hub", a_hub()), peers, **{"ways": WAYS, **more}
    )
    return plan(desired, actual or there(), RemovalWindow()).accepted["u-p"]


@pytest.mark.parametrize(
    ("network", "place"),
    [
        ("192.168.0.0/16", "192.168.7.4 (the API server)"),
        ("192.168.7.4/32", "192.168.7.4 (the API server)"),
        ("203.0.113.0/24", "203.0.113.53 (a name server of the node)"),
        ("172.16.0.0/12", "172.20.0.1 (the node's default gateway)"),
        ("2001:db8:7::/48", "2001:db8:7::1 (the node's default gateway)"),
    ],
)
def test_e17_a_network_with_what_the_node_needs_is_refused_alone(
    network: str, place: str
) -> None:
    """Case S5: it is dropped, as other conflicts are, and the Peer is accepted with the rest."""
    decision = judged(a_peer("10.64.0.2/32", network, "192.168.99.0/24"))
    assert decision.accepted
    assert decision.allowed_ips == {"10.64.0.2/32", "192.168.99.0/24"}
    status, reason, message = decision.condition
    assert (status, reason) == ("True", "NetworkConflict")
    assert f"{network} holds {place}" in message


@pytest.mark.parametrize(
    "network", ["192.168.8.0/24", "203.0.113.0/27", "172.20.0.2/31"]
)
def test_e17_a_network_beside_it_is_not_refused(network: str) -> None:
    decision = judged(a_peer("10.64.0.2/32", network))
    assert network in decision.allowed_ips


def test_e17_what_gets_no_route_is_not_refused() -> None:
    """With spec.routes None; what lies in the Hub's own networks; an administrator's default route."""
    hub = a_hub(routes="None")
    lan = a_peer("10.64.0.2/32", "192.168.0.0/16")
    assert "192.168.0.0/16" in judged(lan, hub=hub).allowed_ips

    admin = a_peer("10.64.0.2/32", "0.0.0.0/0", device=False)
    assert "0.0.0.0/0" in judged(admin).allowed_ips

    own = judged(a_peer("10.64.0.2/32"), ways={"10.64.0.2": "the API server"})
    assert own.allowed_ips == {"10.64.0.2/32"}


@pytest.mark.parametrize("where", ["is", "is dialled", "was", "was seen"])
def test_e17_no_route_takes_the_packets_to_another_peer_into_the_tunnel(
    where: str,
) -> None:
    """Case S5: where it is, where its spec dials it, and where it is dialled back in this very pass."""
    at: Endpoint = ("198.51.100.7", 4242)
    lan = a_peer("10.64.0.2/32", "198.51.100.0/24")
    neighbour = a_peer("10.64.0.9/32", key=NEIGHBOUR)
    actual, more = Interface("wg0"), dict[str, Any]()
    if where == "is":
        actual = there(at)
    elif where == "is dialled":
        more["endpoints"] = {"vpn.example:4242": at}
    elif where == "was":
        neighbour = a_peer(
            "10.64.0.9/32", key=NEIGHBOUR, endpoint="198.51.100.7:4242"
        )
    else:
        more["heard"] = {NEIGHBOUR: at}

    decision = judged(lan, neighbour, actual=actual, **more)
    assert decision.allowed_ips == {"10.64.0.2/32"}
    assert "198.51.100.7 (the endpoint of a peer" in decision.condition.message


def test_endpoints_are_read_only_if_a_network_is_asked_about() -> None:
    """Ten thousand peers without networks behind them cost nothing; an odd address stops nobody."""
    read = 0

    def endpoints() -> list[Endpoint]:
        nonlocal read
        read += 1
        return [("198.51.100.7", 1), ("odd", 2), ("2001:db8::1", 3)]

    ways = Ways({}, endpoints)
    assert read == 0
    assert ways.within(span("198.51.100.0/24")) is not None
    assert ways.within(span("198.51.101.0/24")) is None
    assert ways.within(span("2001:db8::/64")) is not None
    assert read == 1
