"""Which Peers of a Hub are accepted, and with which allowed networks (rule E5). Pure.

Of two Peers with one key, one tunnel address or networks that overlap, the one that is applied keeps it, else
the older. Whoever lost takes over by itself in the first pass in which the winner does not ask any more. A lost
network is dropped from its Peer and the rest of it stays; a lost key or tunnel address refuses the Peer.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from cerebro.domain.conditions import ConditionState
from cerebro.resources import Hub, Peer, age_key
from cerebro.wireguard.keys import InvalidKey, check_key
from cerebro.wireguard.model import Interface
from cerebro.wireguard.networks import Span, interface_address, span

_NAMED = 8  # dropped networks that a message tells of
Rank = tuple[bool, bool, tuple[datetime, str, str]]


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What was decided about one Peer; `said` is its condition Accepted."""

    peer: Peer
    accepted: bool
    said: ConditionState
    allowed_ips: frozenset[str] = frozenset()
    """Canonical; without those that were dropped."""


@dataclass(slots=True)
class _Claim:
    """A Peer's claims while they are being settled."""

    peer: Peer
    tunnel: list[Span] = field(default_factory=list)
    networks: list[Span] = field(default_factory=list)
    applied: frozenset[str] = frozenset()
    rank: Rank | None = None
    won: set[str] = field(default_factory=set)
    dropped: list[tuple[str, str]] = field(default_factory=list)
    """Reason and words."""


def accept(
    hub: Hub,
    peers: Iterable[Peer],
    actual: Interface,
    *,
    frozen_keys: Collection[str] = (),
    node_networks: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Acceptance]:
    """Decide about the Peers of the Hub; return it by UID. Peers of other Hubs are not looked at.

    Give the terminating Peers that stay (`staying`) and not those that go. `frozen_keys` are keys of Peers that
    cannot be read (rule B9): what those have on the interface is not given to another. `node_networks` are those
    that the node is connected to besides, each with where that is: a route to a part of one would take it away.
    """
    ours = [one for one in peers if one.spec.hub_ref.name == hub.name and one.namespace == hub.namespace]
    pools = [interface_address(text)[1:] for text in hub.spec.addresses]
    claims = sorted((_claim(peer, pools, actual) for peer in ours), key=_rank)
    frozen = [actual.peers[key] for key in frozen_keys if key in actual.peers]
    addresses = {text: "a Peer that cannot be read" for peer in frozen for text in peer.allowed_ips}
    own_key = actual.public_key or hub.status.public_key
    result: dict[str, Acceptance] = {}
    keys: dict[str, str] = {}
    winners = []
    for claim in claims:
        refusal = _refusal(claim, own_key, {own.text for own, _ in pools}, keys, addresses)
        if refusal is not None:
            result[claim.peer.metadata.uid] = Acceptance(claim.peer, False, refusal)
            continue
        keys[claim.peer.spec.public_key] = claim.peer.name
        addresses |= {address.text: f"Peer {claim.peer.name}" for address in claim.tunnel}
        claim.won |= {address.text for address in claim.tunnel}
        winners.append(claim)
    taken = _NetworkOwners({span(text): where for text, where in node_networks.items()})
    for peer in frozen:
        for text in peer.allowed_ips:
            taken.take(span(text), "a Peer that cannot be read")
    _settle_networks(winners, [network for _, network in pools], taken)
    return result | {claim.peer.metadata.uid: _accepted(claim) for claim in winners}


def _claim(peer: Peer, pools: list[tuple[Span, Span]], actual: Interface) -> _Claim:
    claim = _Claim(peer)
    for network in {one.text: one for one in map(span, peer.spec.allowed_ips)}.values():
        inside = network.host and any(network.within(pool) for _, pool in pools)
        # A Device has one tunnel address in a family, its first; any other is a claim of its lanNetworks.
        first = peer.spec.device_ref is None or all(one.version != network.version for one in claim.tunnel)
        (claim.tunnel if inside and first else claim.networks).append(network)
    # While its key is being rotated, what is on the interface has the key before (rule E8).
    found = next((actual.peers[key] for key in peer.keys if key in actual.peers), None)
    claim.applied = found.allowed_ips if found is not None else frozenset()
    on_interface = found is not None and all(one.text in claim.applied for one in claim.tunnel)
    claim.rank = (not on_interface, not _applied_before(peer), age_key(peer))
    return claim


def _applied_before(peer: Peer) -> bool:
    """Tell whether the status says that it was applied as it is, for when the interface had to be made anew."""
    accepted = peer.status.condition("Accepted")
    return (
        peer.status.applied_public_key == peer.spec.public_key
        and accepted is not None
        and accepted.status == "True"
        and accepted.observed_generation == peer.metadata.generation
    )


def _rank(claim: _Claim) -> Rank:
    assert claim.rank is not None
    return claim.rank


def _refusal(
    claim: _Claim,
    own_key: str | None,
    own_addresses: set[str],
    keys: Mapping[str, str],
    addresses: Mapping[str, str],
) -> ConditionState | None:
    key = claim.peer.spec.public_key
    try:
        check_key(key)
    except InvalidKey as error:
        return ConditionState("False", "InvalidKey", f"spec.publicKey: {error}")
    if key == own_key:
        message = "spec.publicKey is the Hub's own public key: write the one of the router, as it prints it"
        return ConditionState("False", "InvalidKey", message)
    if key in keys:
        message = (
            f"Peer {keys[key]} has the same publicKey: make a key pair of its own on each router, or delete "
            "one of the two Peers; this one takes over when the other goes"
        )
        return ConditionState("False", "DuplicateKey", message)
    for address in claim.tunnel:
        if address.text in own_addresses:
            message = f"{address.text} is the Hub's own address: write another one of its network"
            return ConditionState("False", "AddressConflict", message)
        if address.text in addresses:
            message = (
                f"{address.text} is the tunnel address of {addresses[address.text]}: write another one; this "
                "Peer takes over when the other gives it up"
            )
            return ConditionState("False", "AddressConflict", message)
    return None


def _settle_networks(winners: list[_Claim], pools: list[Span], taken: _NetworkOwners) -> None:
    """Give each network to one Peer (rule E5): first those that are on the interface, then by rank."""
    for on_interface in (True, False):
        for claim in winners:
            for network in claim.networks:
                if (network.text in claim.applied) == on_interface:
                    _settle(claim, network, pools, taken)


def _settle(claim: _Claim, network: Span, pools: list[Span], taken: _NetworkOwners) -> None:
    if network.takes_all and claim.peer.spec.device_ref is not None:
        words = (
            f"{network.text} would let this router take all traffic and pretend to be any address; write the "
            "networks behind it, or make a Peer by hand, without deviceRef, if that is really meant"
        )
        claim.dropped.append(("DefaultRouteRefused", words))
        return
    if network.prefix and any(network.overlaps(pool) for pool in pools):
        words = f"{network.text} overlaps the Hub's own networks; write only what lies behind the router"
        claim.dropped.append(("NetworkConflict", words))
        return
    if (nodes := taken.of_node(network)) is not None:
        words = (
            f"{network.text} overlaps {nodes}: the node would look for its neighbours there in the tunnel; take it "
            "out, or give the network behind the router other addresses"
        )
        claim.dropped.append(("NetworkConflict", words))
        return
    other = taken.take(network, f"Peer {claim.peer.name}")
    if other is None:
        claim.won.add(network.text)
    else:
        words = f"{network.text} overlaps a network of {other}; take it out of one of them"
        claim.dropped.append(("NetworkConflict", words))


def _accepted(claim: _Claim) -> Acceptance:
    said: ConditionState = ConditionState("True", "Accepted", "accepted with all its networks")
    if claim.dropped:
        reasons = {reason for reason, _ in claim.dropped}
        reason = "DefaultRouteRefused" if "DefaultRouteRefused" in reasons else "NetworkConflict"
        more = len(claim.dropped) - _NAMED
        words = [words for _, words in claim.dropped[:_NAMED]] + ([f"and {more} more"] if more > 0 else [])
        said = ConditionState("True", reason, "accepted without: " + "; ".join(words))
    return Acceptance(claim.peer, True, said, frozenset(claim.won))


class _NetworkOwners:
    """Networks with their owners. Spans of different owners never overlap, so neighbours tell of any conflict.

    Default routes are apart: what is more precise always wins over them, so only equal ones conflict. Half of one
    (0.0.0.0/1) is a network like any other: as an administrator's it must not hold a Device's address (rule D3).
    """

    def __init__(self, node: Mapping[Span, str]) -> None:
        self._node = node
        self._spans: dict[int, list[tuple[int, int, str]]] = {4: [], 6: []}
        self._default: dict[str, str] = {}

    def of_node(self, network: Span) -> str | None:
        """Say which network of the node itself a route to this one would take, in whole or in part, and where it is.

        What is wider than that takes nothing: the more precise route wins.
        """
        found = next((one for one in self._node if network.within(one)), None)
        return f"{found.text} of {self._node[found]}" if found is not None else None

    def take(self, network: Span, owner: str) -> str | None:
        """Give the network to the owner; return whose it is, or overlaps, where that is another."""
        if not network.prefix:
            other = self._default.setdefault(network.text, owner)
            return other if other != owner else None
        spans = self._spans[network.version]
        start = bisect_left(spans, (network.first,))
        if start and spans[start - 1][1] >= network.first:
            start -= 1
        end = start
        while end < len(spans) and spans[end][0] <= network.last:
            if spans[end][2] != owner:
                return spans[end][2]
            end += 1
        first = min([network.first, *(one[0] for one in spans[start:end])])
        last = max([network.last, *(one[1] for one in spans[start:end])])
        spans[start:end] = [(first, last, owner)]
        return None
