"""Who is accepted on a Hub's interface, and with which allowed networks (rule
E5). Pure.

Two Peers may ask for the same key, for the same tunnel address, or for
networks that overlap. The Peer that is applied already keeps what it has; if
neither is applied, the older Peer gets it. The Peer that lost takes over by
itself, in the first pass in which the winner no longer asks for it.

A lost network is dropped from its Peer, which is accepted with the rest. A
lost key or tunnel address refuses the whole Peer. This module only decides: it
reads no interface and writes no status.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from types import MappingProxyType

from cerebro.agent.hubs.peers.ways import UNREADABLE, NetworkOwners, Ways
from cerebro.domain.conditions import ConditionState
from cerebro.resources import Hub, Peer, age_key
from cerebro.wireguard.keys import InvalidKey, check_key
from cerebro.wireguard.model import ActualPeer, Interface
from cerebro.wireguard.networks import Span, interface_address, span

_MAX_NAMED = 8
"""Dropped networks that a message names; it counts the rest."""

_ACCEPTED = ConditionState(
    "True", "Accepted", "accepted with all its networks"
)

Rank = tuple[bool, bool, tuple[datetime, str, str]]
"""Order in which Peers get what several ask for, the first one first: see
`_claim_of`.
"""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What was decided about one Peer."""

    peer: Peer

    accepted: bool

    condition: ConditionState
    """State of condition Accepted."""

    allowed_ips: frozenset[str] = frozenset()
    """Networks in canonical form, without those that were dropped. Empty if
    the Peer is refused.
    """


@dataclass(slots=True)
class _Claim:
    """What one Peer asks for, and how much of it it has got so far."""

    peer: Peer

    rank: Rank

    tunnel: list[Span]
    """Its tunnel addresses: at most one in a family for the Peer of a Device.
    """

    networks: list[Span]
    """All other networks that it asks for."""

    applied: frozenset[str]
    """Networks that it has on the interface now."""

    won: set[str] = field(default_factory=set)

    dropped: list[tuple[str, str]] = field(default_factory=list)
    """Reason and message for each network that it does not get."""


def accept(
    hub: Hub,
    peers: Iterable[Peer],
    actual: Interface,
    *,
    frozen_keys: Collection[str] = (),
    node_networks: Mapping[str, str] = MappingProxyType({}),
    ways: Ways | None = None,
) -> dict[str, Acceptance]:
    """Return the decision about each Peer of the Hub, by UID. Peers of other
    Hubs are ignored.

    `peers` must hold the terminating Peers that stay on the interface, and not
    those that leave it. `frozen_keys` are the keys of Peers that cannot be
    read (rule B9): no other Peer gets what they have on the interface.
    `node_networks` are the other networks that the node is connected to, each
    with its place ("eth0 on the node n1"): a route to a part of such a network
    would take it away from the node. `ways` are the addresses that no route
    into the tunnel may lead to.
    """

    peers_of_hub = [
        peer
        for peer in peers
        if peer.spec.hub_ref.name == hub.name
        and peer.namespace == hub.namespace
    ]

    hub_addresses = [interface_address(text) for text in hub.spec.addresses]
    pools = [network for _, _, network in hub_addresses]
    frozen = [actual.peers[key] for key in frozen_keys if key in actual.peers]

    claims = [_claim_of(peer, pools, actual) for peer in peers_of_hub]
    claims.sort(key=attrgetter("rank"))

    # First keys and tunnel addresses: a Peer that loses one of them is
    # refused, and its networks are free.
    identities = _Identities(
        own_key=actual.public_key or hub.status.public_key,
        own_addresses={address.text for _, address, _ in hub_addresses},
        frozen=frozen,
    )

    result: dict[str, Acceptance] = {}
    winners: list[_Claim] = []
    for claim in claims:
        refusal = identities.refusal(claim)
        if refusal is not None:
            result[claim.peer.metadata.uid] = Acceptance(
                claim.peer, False, refusal
            )

            continue

        identities.take(claim)
        winners.append(claim)

    # Then the networks, among the Peers that are not refused.
    owners = NetworkOwners(
        {span(text): place for text, place in node_networks.items()},
        ways or Ways({}),
    )

    owners.take_frozen(frozen)
    _settle_networks(winners, pools, owners)

    for claim in winners:
        result[claim.peer.metadata.uid] = _accepted(claim)

    return result


def _claim_of(peer: Peer, pools: list[Span], actual: Interface) -> _Claim:
    """Return what a Peer asks for, and its rank.

    A Peer whose tunnel addresses are all on the interface comes first, then a
    Peer that its status notes as applied, then the older Peer.
    """

    by_hand = peer.spec.device_ref is None
    tunnel: list[Span] = []
    networks: list[Span] = []
    for network in {
        network.text: network for network in map(span, peer.spec.allowed_ips)
    }.values():
        in_pool = network.host and any(network.within(pool) for pool in pools)
        # A Device has one tunnel address in a family, its first. Any other
        # address in the pool comes from its lanNetworks, and is a network like
        # the others.
        if in_pool and (
            by_hand
            or all(address.version != network.version for address in tunnel)
        ):
            tunnel.append(network)
        else:
            networks.append(network)

    # While a key is being rotated, the interface has the Peer under its key
    # before (rule E8).
    on_interface = next(
        (actual.peers[key] for key in peer.keys if key in actual.peers), None
    )

    applied = (
        on_interface.allowed_ips if on_interface is not None else frozenset()
    )

    has_its_addresses = on_interface is not None and all(
        address.text in applied for address in tunnel
    )

    rank = (not has_its_addresses, not _noted_as_applied(peer), age_key(peer))

    return _Claim(peer, rank, tunnel, networks, applied)


def _noted_as_applied(peer: Peer) -> bool:
    """Return whether the status notes the Peer as applied and accepted in its
    current generation.

    This keeps the order of the Peers where the interface had to be made anew
    and has no peer yet.
    """
    accepted = peer.status.condition("Accepted")

    return (
        peer.status.applied_public_key == peer.spec.public_key
        and accepted is not None
        and accepted.status == "True"
        and accepted.observed_generation == peer.metadata.generation
    )


class _Identities:
    """Keys and tunnel addresses, each with the Peer that has it. One Peer at a
    time may have each.
    """

    def __init__(
        self,
        *,
        own_key: str | None,
        own_addresses: set[str],
        frozen: Iterable[ActualPeer],
    ) -> None:
        self._own_key = own_key
        self._own_addresses = own_addresses
        self._keys: dict[str, str] = {}
        self._addresses = {
            text: UNREADABLE for peer in frozen for text in peer.allowed_ips
        }

    def take(self, claim: _Claim) -> None:
        """Record that a Peer has its key and its tunnel addresses."""
        self._keys[claim.peer.spec.public_key] = claim.peer.name
        owner = f"Peer {claim.peer.name}"
        for address in claim.tunnel:
            self._addresses[address.text] = owner
            claim.won.add(address.text)

    def refusal(self, claim: _Claim) -> ConditionState | None:
        """Return why the Peer cannot have its key or one of its tunnel
        addresses; None if it can.
        """
        return self._refusal_of_key(
            claim.peer.spec.public_key
        ) or self._refusal_of_address(claim.tunnel)

    def _refusal_of_key(self, key: str) -> ConditionState | None:
        try:
            check_key(key)
        except InvalidKey as error:
            return ConditionState(
                "False", "InvalidKey", f"spec.publicKey: {error}"
            )

        if key == self._own_key:
            message = "spec.publicKey is the Hub's own public key: write the one of the router, as it prints it"
            return ConditionState("False", "InvalidKey", message)

        if key in self._keys:
            message = (
                f"Peer {self._keys[key]} has the same publicKey: make a key pair of its own on each router, or "
                "delete one of the two Peers; this one takes over when the other goes"
            )

            return ConditionState("False", "DuplicateKey", message)

        return None

    def _refusal_of_address(
        self, addresses: list[Span]
    ) -> ConditionState | None:
        for address in addresses:
            if address.text in self._own_addresses:
                message = f"{address.text} is the Hub's own address: write another one of its network"
                return ConditionState("False", "AddressConflict", message)

            owner = self._addresses.get(address.text)
            if owner is not None:
                message = (
                    f"{address.text} is the tunnel address of {owner}: write another one; this Peer takes over "
                    "when the other gives it up"
                )

                return ConditionState("False", "AddressConflict", message)

        return None


def _settle_networks(
    winners: list[_Claim], pools: list[Span], owners: NetworkOwners
) -> None:
    """Decide who gets each network (rule E5): first the Peer that has it on
    the interface, then by rank.
    """
    for on_interface in (True, False):
        for claim in winners:
            for network in claim.networks:
                if (network.text in claim.applied) == on_interface:
                    _settle(claim, network, pools, owners)


def _settle(
    claim: _Claim, network: Span, pools: list[Span], owners: NetworkOwners
) -> None:
    """Give one network to a Peer, or record why the Peer does not get it."""
    # A Device must not draw all traffic to itself; an administrator's Peer may
    # (rule D3).
    if network.takes_all and claim.peer.spec.device_ref is not None:
        message = (
            f"{network.text} would let this router take all traffic and pretend to be any address; write the "
            "networks behind it, or make a Peer by hand, without deviceRef, if that is really meant"
        )

        claim.dropped.append(("DefaultRouteRefused", message))

        return

    if network.prefix and any(network.overlaps(pool) for pool in pools):
        message = f"{network.text} overlaps the Hub's own networks; write only what lies behind the router"
        claim.dropped.append(("NetworkConflict", message))

        return

    node_network = owners.of_node(network)
    if node_network is not None:
        message = (
            f"{network.text} overlaps {node_network}: the node would look for its neighbours there in the tunnel; "
            "take it out, or give the network behind the router other addresses"
        )

        claim.dropped.append(("NetworkConflict", message))

        return

    way = owners.way_within(network)
    if way is not None:
        message = (
            f"{network.text} holds {way}, which the node would then look for in the tunnel; take it out, or write "
            "the networks around that address"
        )

        claim.dropped.append(("NetworkConflict", message))

        return

    owner = owners.take(network, f"Peer {claim.peer.name}")
    if owner is not None:
        message = f"{network.text} overlaps a network of {owner}; take it out of one of them"
        claim.dropped.append(("NetworkConflict", message))

        return

    claim.won.add(network.text)


def _accepted(claim: _Claim) -> Acceptance:
    """Return the decision about a Peer that is not refused."""
    won = frozenset(claim.won)
    if not claim.dropped:
        return Acceptance(claim.peer, True, _ACCEPTED, won)

    reasons = {reason for reason, _ in claim.dropped}
    reason = (
        "DefaultRouteRefused"
        if "DefaultRouteRefused" in reasons
        else "NetworkConflict"
    )

    messages = [message for _, message in claim.dropped[:_MAX_NAMED]]
    unnamed = len(claim.dropped) - _MAX_NAMED
    if unnamed > 0:
        messages.append(f"and {unnamed} more")

    condition = ConditionState(
        "True", reason, "accepted without: " + "; ".join(messages)
    )

    return Acceptance(claim.peer, True, condition, won)
