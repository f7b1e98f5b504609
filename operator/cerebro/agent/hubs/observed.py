"""What an interface shows of its Peers by itself, also where a pass cannot
bring it up to date. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from cerebro.agent.handshakes import (
    Contact,
    contact_in_status,
    lost,
    next_contact,
)
from cerebro.domain.conditions import Obstacle
from cerebro.resources import Peer
from cerebro.wireguard.model import ActualPeer, Interface
from cerebro.wireguard.networks import Span, interface_address, span


@dataclass(frozen=True, slots=True)
class TunnelView:
    """What the last look at a Hub's interface showed of its tunnels.

    The loop of the Hub replaces it whole, so that whoever reads it sees one
    look and not halves of two.
    """

    contacts: Mapping[str, Contact] = field(default_factory=dict)
    """By public key, of accepted Peers that are on the interface."""
    peers: Mapping[str, ActualPeer] = field(default_factory=dict)
    """By public key; all peers that the interface had."""
    obstacle: Obstacle | None = None
    """Why nothing is known of any tunnel: the interface is not there, or could
    not be read.
    """

    def with_obstacle(self, obstacle: Obstacle | None) -> TunnelView:
        """Return the view with that in the way of a look; None: nothing is."""
        return replace(self, obstacle=obstacle)

    def without_tunnels(self) -> TunnelView:
        """Return the view of a Hub that this node does not carry any more."""
        return TunnelView(obstacle=self.obstacle)

    def out_of_sight(self, *, gone: bool) -> TunnelView:
        """Return the view of an interface that is `gone`, so that nobody is
        online, or that nobody could read.
        """
        contacts: dict[str, Contact] = {}
        if gone:
            contacts = {
                key: lost(before) for key, before in self.contacts.items()
            }

        return TunnelView(contacts, obstacle=self.obstacle)


UNSEEN = TunnelView()
"""The view before the first look."""


def routed_peers(interface: Interface) -> frozenset[str]:
    """Return the public keys of the peers to which the node sends through the
    interface.

    To the others, or through an interface that is down, it would send what is
    meant for a router, a password among it, along another way.
    """
    if not interface.up:
        return frozenset()

    networks = [
        interface_address(address)[2] for address in interface.addresses
    ]

    return frozenset(
        key
        for key, peer in interface.peers.items()
        if any(
            _is_routed(text, interface.routes, networks)
            for text in peer.allowed_ips
        )
    )


def _is_routed(
    allowed: str, routes: frozenset[str], networks: Iterable[Span]
) -> bool:
    """Return whether an allowed network has a route, or lies in the network of
    an address of the interface.
    """
    if allowed in routes:
        return True

    return any(span(allowed).within(network) for network in networks)


def contacts_seen(
    peers: Iterable[Peer],
    interface: Interface,
    before: Mapping[str, Contact],
    now: float,
    online_within: timedelta,
) -> dict[str, Contact]:
    """Return the contacts, by public key, of the Peers whose tunnel a reading
    of the interface shows (rule E8).

    Only Peers count that have their key on the interface, as their status
    notes it. `before` are the contacts at the last reading, `now` is the wall
    clock at this one, in Unix seconds.
    """
    routed = routed_peers(interface)
    contacts = {}
    for peer in peers:
        key = peer.spec.public_key
        if key not in routed or peer.status.applied_public_key != key:
            continue

        earlier = before.get(key) or contact_in_status(peer)
        handshake = interface.peers[key].last_handshake
        contacts[key] = next_contact(earlier, handshake, now, online_within)

    return contacts
