"""A little WireGuard of our own to hold plans against: who owns which allowed network after each message.

As `wg(8)` and the kernel's allowedips.c have it: a network has one owner, adding it takes it from the one
before, `replace_allowed_ips` clears the peer first, removing a peer frees what it had, and an address belongs to
the owner of the longest prefix that holds it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from cerebro.wireguard.model import ActualPeer, Interface, PeerChange


@dataclass
class ReferenceWireGuard:
    """One interface."""

    peers: dict[str, ActualPeer] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    """By network."""

    @classmethod
    def of(cls, peers: Iterable[ActualPeer]) -> ReferenceWireGuard:
        wireguard = cls()
        for peer in peers:
            wireguard.peers[peer.public_key] = replace(
                peer, allowed_ips=frozenset()
            )
            wireguard.owners |= dict.fromkeys(
                peer.allowed_ips, peer.public_key
            )
        return wireguard

    def apply(self, change: PeerChange) -> None:
        key = change.public_key
        if change.remove:
            self.peers.pop(key, None)
            self._free(key)
            return
        if key not in self.peers:
            if change.update_only:
                return
            self.peers[key] = ActualPeer(key, frozenset())
        if change.replace_allowed_ips:
            self._free(key)
        self.owners |= dict.fromkeys(change.allowed_ips, key)
        peer = self.peers[key]
        if change.preshared_key is not None:
            peer = replace(peer, preshared_key=change.preshared_key or None)
        if change.persistent_keepalive is not None:
            peer = replace(
                peer, persistent_keepalive=change.persistent_keepalive
            )
        if change.endpoint is not None:
            peer = replace(peer, endpoint=change.endpoint)
        self.peers[key] = peer

    def _free(self, key: str) -> None:
        self.owners = {
            network: owner
            for network, owner in self.owners.items()
            if owner != key
        }

    def interface(self) -> Interface:
        allowed: dict[str, set[str]] = {key: set() for key in self.peers}
        for network, owner in self.owners.items():
            allowed[owner].add(network)
        peers = {
            key: replace(peer, allowed_ips=frozenset(allowed[key]))
            for key, peer in self.peers.items()
        }
        return Interface("wg0", peers=peers)

    def owner(self, address: str) -> str | None:
        """Give whom a packet to that address goes to."""
        wanted = ipaddress.ip_address(address)
        holding = [
            text
            for text in self.owners
            if wanted in ipaddress.ip_network(text)
        ]
        longest = max(
            holding,
            key=lambda text: ipaddress.ip_network(text).prefixlen,
            default=None,
        )
        return self.owners[longest] if longest is not None else None
