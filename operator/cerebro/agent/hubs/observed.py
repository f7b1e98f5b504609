"""What an interface shows of its Peers by itself: also where a pass cannot bring it up to date. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from cerebro.agent.contacts import Contact, contact_in_status, next_contact
from cerebro.resources import Peer
from cerebro.wireguard.model import Interface
from cerebro.wireguard.networks import interface_address, span


def routed_peers(interface: Interface) -> frozenset[str]:
    """Return the keys of the peers to which the node sends through the interface.

    To the others, or through an interface that is down, it would send what is meant for a router, a password
    among it, along another way.
    """
    if not interface.up:
        return frozenset()
    networks = [interface_address(address)[2] for address in interface.addresses]
    return frozenset(
        key
        for key, peer in interface.peers.items()
        if any(
            one in interface.routes or any(span(one).within(network) for network in networks)
            for one in peer.allowed_ips
        )
    )


def contacts_seen(
    peers: Iterable[Peer],
    interface: Interface,
    before: Mapping[str, Contact],
    now: float,
    online_within: timedelta,
) -> dict[str, Contact]:
    """Judge the Peers that have their key on the interface, as their status notes it (rule E8), by its reading.

    By key. `before` are the contacts at the last reading, `now` is the wall clock at this one.
    """
    led = routed_peers(interface)
    contacts = {}
    for peer in peers:
        key = peer.spec.public_key
        if key in led and peer.status.applied_public_key == key:
            earlier = before.get(key) or contact_in_status(peer)
            contacts[key] = next_contact(earlier, interface.peers[key].last_handshake, now, online_within)
    return contacts
