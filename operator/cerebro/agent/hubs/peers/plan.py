"""Which peers of a Hub's interface are made, changed, left alone and removed, and what is said of each. Pure.

`plan` decides before anything is written, `conclude` says what came of it. Rules E5 to E8, E13, B8 and B9.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from cerebro.agent.hubs.model import Frozen, HubDesired, PresharedKey
from cerebro.agent.hubs.peers.acceptance import Acceptance, accept
from cerebro.domain.conditions import ConditionState, Obstacle
from cerebro.resources import Peer, reasons
from cerebro.wireguard.model import DesiredPeer, Interface, PeerChange
from cerebro.wireguard.networks import span, without
from cerebro.wireguard.plan import plan_peers

_MASS_AT_LEAST, _MASS_SHARE = 10, 5  # rule E13: ten, and a fifth

Note = tuple[str | None, tuple[str, ...]]
"""What a status notes: the key that is or is to be applied, and those before it that are still there."""


@dataclass(slots=True)
class PeersPlan:
    """What is to be done about the peers."""

    changes: list[PeerChange] = field(default_factory=list)
    desired: dict[str, DesiredPeer] = field(default_factory=dict)
    accepted: dict[str, Acceptance] = field(default_factory=dict)
    """By UID, of Peers that are not going."""
    hindered: dict[str, ConditionState] = field(default_factory=dict)
    """Why a Peer is not applied for now, by UID."""
    unknown: frozenset[str] = frozenset()
    held_back: frozenset[str] = frozenset()
    """Keys that wait for a person's word to go (rule E13)."""
    frozen: Frozen = field(default_factory=Frozen)

    def administrators(self, actual: Interface) -> frozenset[str]:
        """Networks from which only accepted Peers without a Device send (rule D3).

        What another peer on the interface holds within one, such as an unknown one that is kept, is that one's:
        WireGuard lets it send from there. A peer that is as it was accepted holds nothing of the kind (rule E5).
        """
        admins = [one for one in self.accepted.values() if one.accepted and not one.peer.spec.device_ref]
        own = {key for one in admins for key in one.peer.keys} - self.frozen.keys
        others = (
            network
            for key, found in actual.peers.items()
            if key not in own
            and not (key in self.desired and self.desired[key].allowed_ips == found.allowed_ips)
            for network in found.allowed_ips
        )
        theirs = (network for one in admins for network in one.allowed_ips if span(network).prefix)
        return without(theirs, others)

    @property
    def keys(self) -> frozenset[str]:
        """Keys of accepted Peers."""
        return frozenset(one.peer.spec.public_key for one in self.accepted.values() if one.accepted)

    @property
    def allowed_ips(self) -> frozenset[str]:
        """All accepted networks."""
        return frozenset(
            network for one in self.accepted.values() if one.accepted for network in one.allowed_ips
        )


def plan(asked: HubDesired, actual: Interface) -> PeersPlan:
    """Decide what is changed on the interface; see the module."""
    result = PeersPlan(frozen=asked.frozen)
    going = [one for one in asked.peers if _going(one, asked)]
    active = [one for one in asked.peers if not _going(one, asked)]
    readable = {one.spec.public_key for one in active}
    frozen_keys = asked.frozen.keys - readable
    result.accepted = accept(
        asked.hub, active, actual, frozen_keys=frozen_keys, node_networks=asked.node_networks
    )
    held = set(asked.frozen.keys)
    for one in result.accepted.values():
        if one.accepted:
            _want(one, asked, actual, result, held)
    wanted = {one.peer.spec.public_key for one in result.accepted.values() if one.accepted} | held
    ours = {key for peer in going for key in peer.keys} | asked.departed
    rotated = {key for one in active for key in one.keys if key != one.spec.public_key}
    refused = {
        one.peer.spec.public_key
        for one in result.accepted.values()
        if not one.accepted and one.peer.status.applied_public_key == one.peer.spec.public_key
    }
    there = actual.peers.keys() - wanted
    result.unknown = frozenset(there - ours - rotated - refused)
    _remove(
        asked, actual, result, rotated=rotated & there, ended=(ours | refused) & there, deleted=ours & there
    )
    return result


def _going(peer: Peer, asked: HubDesired) -> bool:
    return peer.metadata.deletion_timestamp is not None and peer.metadata.uid not in asked.staying


def _want(one: Acceptance, asked: HubDesired, actual: Interface, result: PeersPlan, held: set[str]) -> None:
    """Add an accepted Peer to what is desired, or say what hinders it."""
    peer, key, uid = one.peer, one.peer.spec.public_key, one.peer.metadata.uid
    preshared: str | None = None
    if peer.spec.preshared_key_secret_ref is not None:
        read = asked.preshared.get(peer.spec.preshared_key_secret_ref.name, PresharedKey())
        preshared = read.key
        if preshared is None:
            trouble = read.trouble or Obstacle("SecretNotRead", "the preshared key has not been read yet")
            result.hindered[uid] = ConditionState("False", trouble.reason, trouble.message)
            held.add(key)
            return
    if key in asked.frozen.keys:
        result.hindered[uid] = ConditionState(
            "Unknown",
            reasons.INVALID_OBJECT,
            "a Peer that cannot be read has the same key: correct that one first",
        )
        return
    if key not in actual.peers and peer.status.applied_public_key != key and not asked.dry_run:
        result.hindered[uid] = ConditionState(
            "False",
            "Applying",
            "the peer is put on the interface once its key is noted in this status",
        )
        held.update(peer.keys)  # what it had before a rotation keeps its place until then
        return
    result.desired[key] = DesiredPeer(
        key,
        one.allowed_ips,
        preshared,
        peer.spec.persistent_keepalive or 0,
        asked.endpoints.get(peer.spec.endpoint) if peer.spec.endpoint else None,
    )


def _remove(
    asked: HubDesired,
    actual: Interface,
    result: PeersPlan,
    *,
    rotated: Collection[str],
    ended: Collection[str],
    deleted: Collection[str],
) -> None:
    """Decide about removals and make the plan. `ended` are ours without a place any more, `deleted` those of
    them whose Peer goes.
    """
    spec = asked.hub.spec
    ends = set(ended) | (result.unknown if spec.unknown_peers == "Remove" else frozenset())
    if asked.frozen.everything or not asked.complete:
        ends, rotated = set(), ()
    many = len(ends) >= _MASS_AT_LEAST and len(ends) * _MASS_SHARE > len(actual.peers)
    if many and len(ends) > asked.confirmed:
        result.held_back, ends = frozenset(ends), set()
    if spec.paused == "All":
        return
    if spec.paused == "Changes":
        result.changes = [PeerChange(key, remove=True) for key in sorted(ends & set(deleted))]
        return
    result.changes = plan_peers(
        result.desired, actual, remove=sorted(ends | set(rotated)), dialled=asked.dialled, now=asked.now
    )


# --- afterwards
