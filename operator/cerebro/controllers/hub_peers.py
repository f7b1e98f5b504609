"""Which peers of a Hub's interface are made, changed, left alone and removed, and what is said of each. Pure.

`plan` decides before anything is written, `conclude` says what came of it. Rules E5 to E8, E13, B8 and B9.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from cerebro.controllers.acceptance import Acceptance, accept
from cerebro.controllers.hub_lookups import PresharedKey
from cerebro.controllers.peer_report import (
    APPLIED,
    NOT_ROUTED,
    REMOVED,
    Contact,
    PeerSaid,
    contact,
    contact_said,
    cut,
    handshake_time,
    missing,
)
from cerebro.controllers.session_report import Obstacle, Said
from cerebro.kube.store import StoredObject
from cerebro.resources import Hub, Peer
from cerebro.wireguard.model import DesiredPeer, Endpoint, Interface, PeerChange
from cerebro.wireguard.networks import span, without
from cerebro.wireguard.plan import plan_peers

_MASS_AT_LEAST, _MASS_SHARE = 10, 5  # rule E13: ten, and a fifth
_ROTATED = 8  # keys that a status has room for

Note = tuple[str | None, tuple[str, ...]]
"""What a status notes: the key that is or is to be applied, and those before it that are still there."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """Keys of Peers that our model cannot read (rule B9). `everything`: one of them names none."""

    keys: frozenset[str] = frozenset()
    everything: bool = False
    count: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for, and what holds for this pass."""

    hub: Hub
    peers: Collection[Peer]
    staying: frozenset[str] = frozenset()
    """UIDs of terminating Peers that stay until their Device is cleaned up (rule E6)."""
    frozen: Frozen = Frozen()
    departed: frozenset[str] = frozenset()
    """Keys of Peers that we saw go."""
    preshared: Mapping[str, PresharedKey] = field(default_factory=dict)
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    unresolved: Mapping[str, Obstacle] = field(default_factory=dict)
    """Why there is no address to dial, by spec.endpoint."""
    dialled: Mapping[str, Endpoint] = field(default_factory=dict)
    node: str = ""
    beside: frozenset[str] = frozenset()
    """Interfaces of other Hubs on the node."""
    node_networks: Mapping[str, str] = field(default_factory=dict)
    """Networks that the node is connected to besides, and where; a pass reads them."""
    complete: bool = False
    """Whether the Store is (rule E7): until then nothing is removed."""
    dry_run: bool = False
    confirmed: int = 0
    now: float = 0.0
    """Unix seconds."""


@dataclass(slots=True)
class PeersPlan:
    """What is to be done about the peers."""

    changes: list[PeerChange] = field(default_factory=list)
    desired: dict[str, DesiredPeer] = field(default_factory=dict)
    accepted: dict[str, Acceptance] = field(default_factory=dict)
    """By UID, of Peers that are not going."""
    hindered: dict[str, Said] = field(default_factory=dict)
    """Why a Peer is not applied for now, by UID."""
    unknown: frozenset[str] = frozenset()
    held_back: frozenset[str] = frozenset()
    """Keys that wait for a person's word to go (rule E13)."""
    frozen: Frozen = Frozen()

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


def frozen_peers(stored: Iterable[StoredObject], hub: str) -> Frozen:
    """Return what must not be touched for the sake of Peers of this Hub that cannot be read (rule B9)."""
    keys: set[str] = set()
    everything, count = False, 0
    for one in stored:
        raw = one.raw or {}
        spec, status = raw.get("spec") or {}, raw.get("status") or {}
        reference = spec.get("hubRef")
        named = reference.get("name") if isinstance(reference, Mapping) else None
        if isinstance(named, str) and named != hub:
            continue
        count += 1
        rotated = status.get("rotatedPublicKeys")
        named_keys = [
            spec.get("publicKey"),
            status.get("appliedPublicKey"),
            *(rotated if isinstance(rotated, list) else ()),
        ]
        found = {key for key in named_keys if isinstance(key, str)}
        everything = everything or not found
        keys |= found
    return Frozen(frozenset(keys), everything, count)


def plan(asked: Asked, actual: Interface) -> PeersPlan:
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


def _going(peer: Peer, asked: Asked) -> bool:
    return peer.metadata.deletion_timestamp is not None and peer.metadata.uid not in asked.staying


def _want(one: Acceptance, asked: Asked, actual: Interface, result: PeersPlan, held: set[str]) -> None:
    """Add an accepted Peer to what is desired, or say what hinders it."""
    peer, key, uid = one.peer, one.peer.spec.public_key, one.peer.metadata.uid
    preshared: str | None = None
    if peer.spec.preshared_key_secret_ref is not None:
        read = asked.preshared.get(peer.spec.preshared_key_secret_ref.name, PresharedKey())
        preshared = read.key
        if preshared is None:
            trouble = read.trouble or Obstacle("SecretNotRead", "the preshared key has not been read yet")
            result.hindered[uid] = ("False", trouble.reason, trouble.message)
            held.add(key)
            return
    if key in asked.frozen.keys:
        result.hindered[uid] = (
            "Unknown",
            "InvalidObject",
            "a Peer that cannot be read has the same key: correct that one first",
        )
        return
    if key not in actual.peers and peer.status.applied_public_key != key and not asked.dry_run:
        result.hindered[uid] = (
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
    asked: Asked,
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


def hinder(plan: PeersPlan, there: Collection[str], obstacle: Obstacle) -> None:
    """Say of each accepted Peer that did not get to the interface what kept the Hub's from being changed."""
    said = cut(("False", obstacle.reason, f"the Hub: {obstacle.message}"))
    for uid, one in plan.accepted.items():
        if one.accepted and one.peer.spec.public_key not in there:
            plan.hindered.setdefault(uid, said)


@dataclass(slots=True)
class PeersOutcome:
    """What is so after the changes were made."""

    said: list[tuple[Peer, PeerSaid]] = field(default_factory=list)
    contacts: dict[str, Contact] = field(default_factory=dict)
    """By key, of accepted Peers that are on the interface."""
    refused: tuple[str, ...] = ()
    desired: int = 0
    applied: int = 0
    online: int = 0
    waiting: int = 0


def keys_after(
    actual: Interface, changes: Iterable[PeerChange], refused: Mapping[str, str]
) -> frozenset[str]:
    """Return the keys on the interface after the changes were made."""
    keys = set(actual.peers)
    for change in changes:
        if change.public_key in refused:
            continue
        if change.remove:
            keys.discard(change.public_key)
        elif not change.update_only:
            keys.add(change.public_key)
    return frozenset(keys)


def conclude(
    asked: Asked,
    plan: PeersPlan,
    actual: Interface,
    *,
    there: frozenset[str],
    refused: Mapping[str, str],
    before: Mapping[str, Contact],
    unrouted: Mapping[str, str] = MappingProxyType({}),
) -> PeersOutcome:
    """Say what is so of each Peer.

    `there` are the keys on the interface now, `refused` what was not done, in words, by key, `before` the
    contacts at the last reading, `unrouted` why there is no route, by network.
    """
    outcome = PeersOutcome()
    names = []
    for peer in asked.peers:
        one = plan.accepted.get(peer.metadata.uid)
        if one is None:
            outcome.said.append((peer, _said_of_going(peer, asked, plan, there, refused)))
            continue
        key = peer.spec.public_key
        now: Contact | None = None
        if one.accepted:
            outcome.desired += 1
            if key in there:
                outcome.applied += 1
                found = actual.peers.get(key)
                earlier = before.get(key) or contact_said(peer)
                now = contact(
                    earlier, found.last_handshake if found else 0.0, asked.now, asked.hub.spec.online_within
                )
                outcome.contacts[key] = now
                outcome.online += now.state == "Online"
        applied = _applied(one, plan, asked, there, refused)
        trouble: Said | None = None
        if applied == APPLIED:
            trouble = missing(one.allowed_ips, unrouted, asked.unresolved.get(peer.spec.endpoint or ""))
        if key in refused or (trouble is not None and trouble[1] == NOT_ROUTED):
            names.append(peer.name)
        note = _note(peer, plan, there, may_note=one.accepted and not asked.dry_run)
        outcome.waiting += applied[1] == "Applying"
        outcome.said.append((peer, _said(peer, one.said, applied, note, now, trouble=trouble)))
    outcome.refused = tuple(sorted(names))
    return outcome


def _said(
    peer: Peer, accepted: Said, applied: Said, note: Note, now: Contact | None, *, trouble: Said | None = None
) -> PeerSaid:
    noted, rotated = note
    return PeerSaid(
        applied_public_key=noted,
        rotated_public_keys=rotated,
        state=now.state if now else None,
        last_handshake=handshake_time(peer, now) if now else None,
        accepted=accepted,
        applied=applied,
        generation=peer.metadata.generation,
        trouble=trouble,
    )


def _note(peer: Peer, plan: PeersPlan, there: frozenset[str], *, may_note: bool) -> Note:
    """Return which keys to note as ours (rule E8): the wanted one, and those that it takes the place of."""
    noted, key = peer.status.applied_public_key, peer.spec.public_key
    others = (one for one in dict.fromkeys(peer.keys) if one != key and one not in plan.desired)
    before = [one for one in others if one in there]
    keeps = may_note or (noted == key and key in there)
    return (key if keeps else None), tuple(before[:_ROTATED])


def _applied(
    one: Acceptance, plan: PeersPlan, asked: Asked, there: frozenset[str], refused: Mapping[str, str]
) -> Said:
    key, paused = one.peer.spec.public_key, asked.hub.spec.paused
    if key in refused:
        return "False", "RefusedByInterface", f"{refused[key]}: correct the field that it names"
    hindered = plan.hindered.get(one.peer.metadata.uid)
    if hindered is not None:
        return hindered
    if one.accepted and key in there:
        return APPLIED
    if not one.accepted:
        return "False", "NotAccepted", "the Peer is not accepted, so it is not on the interface"
    if asked.dry_run:
        return "False", "DryRun", "nothing is written in dry run"
    held = ("Paused", f"spec.paused of the Hub is {paused}") if paused != "None" else None
    return "False", *(held or ("Applying", "the peer is being put on the interface"))


def _said_of_going(
    peer: Peer, asked: Asked, plan: PeersPlan, there: frozenset[str], refused: Mapping[str, str]
) -> PeerSaid:
    accepted: Said = ("False", "Deleted", "the Peer is being deleted")
    left = [key for key in peer.keys if key in there and key not in plan.desired]
    applied = REMOVED
    if left:
        why = next((refused[key] for key in left if key in refused), "it is taken off the interface next")
        applied = ("True", "Removing", why)
        if not plan.held_back.isdisjoint(left):
            applied = ("True", "MassRemoval", "many peers would go at once: see condition Ready of the Hub")
        elif asked.hub.spec.paused == "All":
            applied = (
                "True",
                "Paused",
                "spec.paused of the Hub is All: it stays until that is None or Changes",
            )
    rotated = tuple(key for key in peer.status.rotated_public_keys if key in left)
    return _said(peer, accepted, applied, (peer.status.applied_public_key if left else None, rotated), None)
