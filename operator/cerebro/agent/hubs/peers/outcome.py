"""What a pass led to for each Peer. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from cerebro.agent.contacts import Contact, contact, contact_said
from cerebro.agent.hubs.model import HubDesired
from cerebro.agent.hubs.peers.acceptance import Acceptance
from cerebro.agent.hubs.peers.plan import Note, PeersPlan
from cerebro.agent.hubs.peers.status import APPLIED, REMOVED, PeerSaid, handshake_time, missing
from cerebro.domain.conditions import ConditionState, Obstacle, truncate_message
from cerebro.resources import Peer, reasons
from cerebro.resources.reasons import NOT_ROUTED
from cerebro.wireguard.model import Interface, PeerChange

_ROTATED = 8  # keys that a status has room for


def mark_blocked(plan: PeersPlan, there: Collection[str], obstacle: Obstacle) -> None:
    """Say of each accepted Peer that did not get to the interface what kept the Hub's from being changed."""
    said = truncate_message(ConditionState("False", obstacle.reason, f"the Hub: {obstacle.message}"))
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


def peer_results(
    asked: HubDesired,
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
        trouble: ConditionState | None = None
        if applied == APPLIED:
            trouble = missing(one.allowed_ips, unrouted, asked.unresolved.get(peer.spec.endpoint or ""))
        if key in refused or (trouble is not None and trouble.reason == NOT_ROUTED):
            names.append(peer.name)
        note = _note(peer, plan, there, may_note=one.accepted and not asked.dry_run)
        outcome.waiting += applied.reason == "Applying"
        outcome.said.append((peer, _said(peer, one.said, applied, note, now, trouble=trouble)))
    outcome.refused = tuple(sorted(names))
    return outcome


def _said(
    peer: Peer,
    accepted: ConditionState,
    applied: ConditionState,
    note: Note,
    now: Contact | None,
    *,
    trouble: ConditionState | None = None,
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
    one: Acceptance, plan: PeersPlan, asked: HubDesired, there: frozenset[str], refused: Mapping[str, str]
) -> ConditionState:
    key, paused = one.peer.spec.public_key, asked.hub.spec.paused
    if key in refused:
        return ConditionState(
            "False", "RefusedByInterface", f"{refused[key]}: correct the field that it names"
        )
    hindered = plan.hindered.get(one.peer.metadata.uid)
    if hindered is not None:
        return hindered
    if one.accepted and key in there:
        return APPLIED
    if not one.accepted:
        return ConditionState(
            "False", "NotAccepted", "the Peer is not accepted, so it is not on the interface"
        )
    if asked.dry_run:
        return ConditionState("False", reasons.DRY_RUN, "nothing is written in dry run")
    if paused != "None":
        return ConditionState("False", reasons.PAUSED, f"spec.paused of the Hub is {paused}")
    return ConditionState("False", "Applying", "the peer is being put on the interface")


def _said_of_going(
    peer: Peer, asked: HubDesired, plan: PeersPlan, there: frozenset[str], refused: Mapping[str, str]
) -> PeerSaid:
    accepted: ConditionState = ConditionState("False", "Deleted", "the Peer is being deleted")
    left = [key for key in peer.keys if key in there and key not in plan.desired]
    applied = REMOVED
    if left:
        why = next((refused[key] for key in left if key in refused), "it is taken off the interface next")
        applied = ConditionState("True", "Removing", why)
        if not plan.held_back.isdisjoint(left):
            applied = ConditionState(
                "True", "MassRemoval", "many peers would go at once: see condition Ready of the Hub"
            )
        elif asked.hub.spec.paused == "All":
            applied = ConditionState(
                "True",
                reasons.PAUSED,
                "spec.paused of the Hub is All: it stays until that is None or Changes",
            )
    rotated = tuple(key for key in peer.status.rotated_public_keys if key in left)
    return _said(peer, accepted, applied, (peer.status.applied_public_key if left else None, rotated), None)
