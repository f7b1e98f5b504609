"""Which Peers of a Hub are accepted (rules E5, E6, B9). Pure: no API server, no interface."""

from __future__ import annotations

import base64
import hashlib
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cerebro.agent.hubs.desired import staying
from cerebro.agent.hubs.peers.acceptance import Acceptance, accept
from cerebro.domain.conditions import ConditionState
from cerebro.resources import Device, Hub, Peer
from cerebro.wireguard.model import ActualPeer, Interface

BORN = datetime(2026, 5, 1, tzinfo=UTC)
HUB = Hub.model_validate(
    {
        "metadata": {"name": "hub", "namespace": "ns"},
        "spec": {"addresses": ["10.64.0.1/16", "fd00::1/64"]},
    }
)
EMPTY = Interface("wg0")


def key(name: str) -> str:
    return base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()


def peer(
    name: str,
    *allowed: str,
    age: int = 0,
    of: str | None = None,
    device: str | None = "same",
    hub: str = "hub",
    namespace: str = "ns",
    status: dict[str, Any] | None = None,
    **meta: Any,
) -> Peer:
    spec: dict[str, Any] = {
        "hubRef": {"name": hub},
        "publicKey": of or key(name),
        "allowedIPs": list(allowed),
    }
    if device is not None:
        spec["deviceRef"] = {"name": name if device == "same" else device}
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{name}",
        "generation": 1,
        "creationTimestamp": BORN - timedelta(days=age),
    }
    return Peer.model_validate(
        {"metadata": metadata | meta, "spec": spec, "status": status or {}}
    )


def there(*peers: tuple[str, str]) -> Interface:
    """The interface with peers, each with its networks."""
    return Interface(
        "wg0",
        peers={
            key(name): ActualPeer(key(name), frozenset(text.split()))
            for name, text in peers
        },
    )


def decide(
    *peers: Peer, actual: Interface = EMPTY, **more: Any
) -> dict[str, Acceptance]:
    return {
        one.peer.name: one
        for one in accept(HUB, peers, actual, **more).values()
    }


def reasons(decided: dict[str, Acceptance]) -> dict[str, str]:
    return {name: one.condition[1] for name, one in decided.items()}


def test_e5_without_conflict_all_is_accepted_in_canonical_text() -> None:
    one = decide(peer("a", "10.64.0.2/32", "FD00:0::2/128", "192.168.1.0/24"))[
        "a"
    ]
    assert one.condition == ConditionState(
        "True", "Accepted", "accepted with all its networks"
    )
    assert one.allowed_ips == {"10.64.0.2/32", "fd00::2/128", "192.168.1.0/24"}


def test_peers_of_other_hubs_are_never_looked_at() -> None:
    others = [
        peer("a", "10.64.0.2/32", age=9, of=key("x"), hub="other"),
        peer("b", "10.64.0.2/32", age=9, of=key("x"), namespace="elsewhere"),
    ]
    assert reasons(
        decide(*others, peer("c", "10.64.0.2/32", of=key("x")))
    ) == {"c": "Accepted"}


@pytest.mark.parametrize("shared", ["key", "address"])
def test_of_two_peers_with_one_key_or_address_the_older_has_it_and_the_other_takes_over(
    shared: str,
) -> None:
    same = key("shared") if shared == "key" else None
    second = "10.64.0.3/32" if shared == "key" else "10.64.0.2/32"
    old, new = (
        peer("old", "10.64.0.2/32", age=2, of=same),
        peer("new", second, age=1, of=same),
    )
    decided = decide(new, old)
    lost = "DuplicateKey" if shared == "key" else "AddressConflict"
    assert reasons(decided) == {"old": "Accepted", "new": lost}
    assert (decided["new"].accepted, decided["new"].allowed_ips) == (
        False,
        frozenset(),
    )
    assert "Peer old" in decided["new"].condition[2]
    assert reasons(decide(new)) == {"new": "Accepted"}


def test_the_peer_that_is_applied_keeps_key_and_address_from_an_older_one() -> (
    None
):
    old, new = (
        peer("old", "10.64.0.2/32", age=2),
        peer("new", "10.64.0.2/32", age=1),
    )
    actual = there(("new", "10.64.0.2/32"))
    assert reasons(decide(old, new, actual=actual)) == {
        "new": "Accepted",
        "old": "AddressConflict",
    }
    twins = [
        peer("old", "10.64.0.2/32", age=2, of=key("k")),
        peer("new", "10.64.0.3/32", of=key("k")),
    ]
    actual = there(("k", "10.64.0.3/32"))
    assert reasons(decide(*twins, actual=actual)) == {
        "new": "Accepted",
        "old": "DuplicateKey",
    }


def test_an_interface_that_was_made_anew_gives_the_address_to_whose_status_says_applied() -> (
    None
):
    said = {
        "type": "Accepted",
        "status": "True",
        "reason": "Accepted",
        "observedGeneration": 1,
    }
    status = {"appliedPublicKey": key("new"), "conditions": [said]}
    old, new = (
        peer("old", "10.64.0.2/32", age=2),
        peer("new", "10.64.0.2/32", status=status),
    )
    assert reasons(decide(old, new)) == {
        "new": "Accepted",
        "old": "AddressConflict",
    }
    said["observedGeneration"] = 0
    stale = peer("new", "10.64.0.2/32", status=status)
    assert reasons(decide(old, stale)) == {
        "old": "Accepted",
        "new": "AddressConflict",
    }


@pytest.mark.parametrize(
    ("mine", "others"),
    [
        ("192.168.0.0/16", "192.168.7.0/24"),
        ("192.168.7.0/24", "192.168.0.0/16"),
        ("192.168.7.0/24", "192.168.7.0/24"),
        ("fd01::/48", "fd01::7/128"),
    ],
)
def test_e5_a_conflict_of_networks_drops_only_that_network(
    mine: str, others: str
) -> None:
    old = peer("old", "10.64.0.2/32", others, age=2)
    new = peer("new", "10.64.0.3/32", mine, "172.16.0.0/24")
    decided = decide(new, old)
    assert decided["old"].condition[1] == "Accepted"
    assert decided["new"].condition[:2] == ("True", "NetworkConflict")
    assert decided["new"].allowed_ips == {"10.64.0.3/32", "172.16.0.0/24"}
    assert "Peer old" in decided["new"].condition[2]
    kept = decide(new, old, actual=there(("new", f"10.64.0.3/32 {mine}")))
    assert (kept["new"].condition[1], kept["old"].condition[1]) == (
        "Accepted",
        "NetworkConflict",
    )
    assert decide(new)["new"].condition[1] == "Accepted"


NODE = {
    "192.168.1.0/24": "eth0 on the node n1",
    "fd05::/64": "eth0 on the node n1",
}


@pytest.mark.parametrize(
    "lan",
    [
        "192.168.1.0/24",
        "192.168.1.0/25",
        "192.168.1.77/32",
        "fd05::/64",
        "fd05::5/128",
    ],
)
def test_e5_a_network_that_the_node_is_in_itself_is_dropped_and_said_of_its_peer(
    lan: str,
) -> None:
    """E5: a route as precise as the node's own or more so would take its neighbours, such as the API server, away."""
    asked = peer("a", "10.64.0.2/32", lan, "172.16.0.0/24")
    for actual in (EMPTY, there(("a", f"10.64.0.2/32 {lan} 172.16.0.0/24"))):
        one = decide(
            asked, peer("b", "10.64.0.3/32"), actual=actual, node_networks=NODE
        )["a"]
        assert one.condition[:2] == ("True", "NetworkConflict")
        assert lan in one.condition[2]
        assert "of eth0 on the node n1" in one.condition[2]
        assert one.allowed_ips == {"10.64.0.2/32", "172.16.0.0/24"}


@pytest.mark.parametrize(
    "lan", ["192.168.0.0/16", "192.168.2.0/24", "fd00:5::/48", "0.0.0.0/0"]
)
def test_e5_what_takes_nothing_from_the_node_is_left_to_its_peer(
    lan: str,
) -> None:
    """E5: the kernel takes the more precise route, which is the node's own, and makes none of a default."""
    one = decide(
        peer("a", "10.64.0.2/32", lan, device=None), node_networks=NODE
    )["a"]
    assert (one.condition[1], lan in one.allowed_ips) == ("Accepted", True)


def test_e5_a_refused_peer_holds_no_network() -> None:
    """Who loses its address must not keep its networks from others."""
    first = peer("first", "10.64.0.2/32", age=3)
    refused = peer("refused", "10.64.0.2/32", "192.168.7.0/24", age=2)
    third = peer("third", "10.64.0.4/32", "192.168.7.0/24")
    decided = decide(first, refused, third)
    assert decided["third"].allowed_ips == {"10.64.0.4/32", "192.168.7.0/24"}


def test_a_peers_own_networks_may_lie_in_each_other_and_still_hold_off_others() -> (
    None
):
    mine = ["192.168.7.0/24", "192.168.0.0/16", "192.168.9.0/24"]
    decided = decide(peer("a", *mine, age=1), peer("b", "192.168.8.0/24"))
    assert decided["a"].allowed_ips == set(mine)
    assert decided["b"].allowed_ips == frozenset()


def test_e5_networks_in_the_pool_and_second_addresses_of_a_device_are_dropped() -> (
    None
):
    """A Device's lanNetworks cannot take the tunnel address of another, not even before that one is there."""
    greedy = peer(
        "a",
        "10.64.0.2/32",
        "10.64.0.3/32",
        "10.64.8.0/24",
        "10.0.0.0/8",
        age=9,
    )
    decided = decide(greedy, peer("b", "10.64.0.3/32"))
    assert decided["a"].condition[:2] == ("True", "NetworkConflict")
    assert decided["a"].allowed_ips == {"10.64.0.2/32"}
    assert decided["b"].condition[1] == "Accepted"


def test_d3_half_a_default_route_by_hand_may_not_hold_the_pool_or_a_devices_networks() -> (
    None
):
    by_hand = peer(
        "hand", "0.0.0.0/1", "128.0.0.0/1", "10.64.0.3/32", device=None
    )
    decided = decide(
        by_hand, peer("made", "10.64.0.2/32", "172.16.0.0/24", age=1)
    )
    assert decided["hand"].condition[:2] == ("True", "NetworkConflict")
    assert decided["hand"].allowed_ips == {"10.64.0.3/32"}


@pytest.mark.parametrize("wide", ["0.0.0.0/1", "128.0.0.0/1", "2000::/3"])
def test_what_acts_like_a_default_route_is_refused_to_a_device(
    wide: str,
) -> None:
    assert decide(peer("made", wide))["made"].condition[:2] == (
        "True",
        "DefaultRouteRefused",
    )


@pytest.mark.parametrize("wide", ["0.0.0.0/0", "::/0"])
def test_a_default_route_needs_a_peer_made_by_hand(wide: str) -> None:
    made, by_hand = (
        peer("made", "10.64.0.2/32", wide),
        peer("hand", "10.64.0.3/32", wide, device=None),
    )
    decided = decide(made, by_hand)
    assert decided["made"].condition[:2] == ("True", "DefaultRouteRefused")
    assert "all traffic" in decided["made"].condition[2]
    assert decided["made"].allowed_ips == {"10.64.0.2/32"}
    assert decided["hand"].condition[1] == "Accepted"
    assert wide in decided["hand"].allowed_ips
    second = peer("other", wide, device=None, age=-1)
    assert decide(by_hand, second)["other"].condition[1] == "NetworkConflict"


@pytest.mark.parametrize("address", ["10.64.0.1/32", "fd00::1/128"])
def test_the_hubs_own_address_is_refused(address: str) -> None:
    assert reasons(decide(peer("a", address))) == {"a": "AddressConflict"}


def test_a_key_that_is_no_routers_key_is_refused() -> None:
    zero = base64.b64encode(bytes(32)).decode()
    own = Interface("wg0", public_key=key("hub"))
    decided = decide(
        peer("zero", of=zero), peer("own", of=key("hub")), actual=own
    )
    assert reasons(decided) == {"zero": "InvalidKey", "own": "InvalidKey"}
    assert "all zero" in decided["zero"].condition[2]
    assert "Hub's own" in decided["own"].condition[2]


def test_b9_what_a_peer_that_cannot_be_read_has_is_not_given_to_another() -> (
    None
):
    actual = there(("frozen", "10.64.0.2/32 192.168.7.0/24"))
    asked = [
        peer("a", "10.64.0.2/32"),
        peer("b", "10.64.0.3/32", "192.168.7.0/24"),
    ]
    decided = decide(
        *asked, actual=actual, frozen_keys={key("frozen"), key("gone")}
    )
    assert reasons(decided) == {"a": "AddressConflict", "b": "NetworkConflict"}


def device(
    uid: str = "d1",
    reason: str = "Equal",
    finalizer: bool = True,
    *,
    going: bool = True,
    public_key: str | None = None,
) -> Device:
    ready = {
        "type": "Ready",
        "status": "False" if reason == "CleanedUp" else "True",
        "reason": reason,
    }
    return Device.model_validate(
        {
            "metadata": {
                "name": "r1",
                "namespace": "ns",
                "uid": uid,
                "finalizers": ["relay.cerebro.dev/cleanup"]
                if finalizer
                else [],
                "deletionTimestamp": BORN if going else None,
            },
            "spec": {
                "hubRef": {"name": "hub"},
                "publicKey": public_key,
                "api": {"credentialsSecretRef": {"name": "s"}},
            },
            "status": {"conditions": [ready]},
        }
    )


OWNER = {
    "apiVersion": "relay.cerebro.dev/v1alpha1",
    "kind": "Device",
    "name": "r1",
    "uid": "d1",
}
LONG_AFTER = (BORN + timedelta(hours=1)).timestamp()


def test_e6_a_terminating_peer_stays_while_its_device_has_its_clean_up_to_do() -> (
    None
):
    going = peer(
        "p", device="r1", deletionTimestamp=BORN, ownerReferences=[OWNER]
    )
    assert staying([going], {"r1": device()}, now=LONG_AFTER) == {"uid-p"}
    for other in (
        device(reason="CleanedUp"),
        device(finalizer=False),
        device(uid="made-again"),
    ):
        assert staying([going], {"r1": other}, now=LONG_AFTER) == frozenset()
    assert staying([going], {}, now=LONG_AFTER) == frozenset()
    alive = [peer("p", device="r1"), peer("q", device=None)]
    assert staying(alive, {"r1": device()}, now=LONG_AFTER) == frozenset()


def test_e6_a_peer_that_goes_without_its_device_does_not_stay() -> None:
    """E6: a Device that is not going has no clean-up to do, though its finalizer is there already."""
    going = peer(
        "p", device="r1", deletionTimestamp=BORN, ownerReferences=[OWNER]
    )
    assert (
        staying(
            [going],
            {"r1": device(going=False, public_key=key("p"))},
            now=LONG_AFTER,
        )
        == frozenset()
    )


@pytest.mark.parametrize(
    ("has", "stays"), [("p", True), (None, False), ("q", False)]
)
def test_e6_a_device_may_be_seen_to_go_a_moment_after_its_peer_unless_its_key_was_taken(
    has: str | None, stays: bool
) -> None:
    """E6: under foreground deletion both go, and two watches tell of it in any order; a stolen key goes now."""
    going = peer(
        "p", device="r1", deletionTimestamp=BORN, ownerReferences=[OWNER]
    )
    seen = device(going=False, public_key=key(has) if has else None)
    assert staying([going], {"r1": seen}, now=BORN.timestamp() + 1) == (
        {"uid-p"} if stays else frozenset()
    )


def test_ten_thousand_peers_are_decided_and_stay_as_decided() -> None:
    peers = [
        peer(
            f"p{n}",
            f"10.64.{n >> 8}.{n & 255}/32",
            f"172.{16 + (n >> 13)}.{n >> 5 & 255}.{(n & 31) * 8}/29",
        )
        for n in range(2, 10_002)
    ]
    started = time.perf_counter()
    decided = accept(HUB, peers, EMPTY)
    print(f"10,000 Peers: {time.perf_counter() - started:.2f} s")
    assert (
        sum(one.condition[1] == "Accepted" for one in decided.values())
        == 10_000
    )
    actual = Interface(
        "wg0",
        peers={
            one.peer.spec.public_key: ActualPeer(
                one.peer.spec.public_key, one.allowed_ips
            )
            for one in decided.values()
        },
    )
    started = time.perf_counter()
    again = accept(HUB, peers, actual)
    print(f"again: {time.perf_counter() - started:.2f} s")
    assert {uid: one.allowed_ips for uid, one in again.items()} == {
        uid: one.allowed_ips for uid, one in decided.items()
    }
