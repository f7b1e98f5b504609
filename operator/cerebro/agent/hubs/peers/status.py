"""The status of a Peer: whether it is accepted, on the interface, and connected. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cerebro.agent.contacts import Contact, State, contact_said, lost
from cerebro.domain.conditions import ConditionState, Obstacle, truncate_message, wire_states
from cerebro.resources import Peer, format_time, reasons
from cerebro.resources.reasons import NOT_RESOLVED, NOT_ROUTED

_NAMED = 8  # networks that a message tells of

_TROUBLES = (NOT_RESOLVED, NOT_ROUTED)

APPLIED: ConditionState = ConditionState("True", "Applied", "the peer is on the interface")
REMOVED: ConditionState = ConditionState(
    "False", reasons.REMOVED, "the peer is not on the interface any more"
)


@dataclass(frozen=True, slots=True)
class PeerSaid:
    """What is said of a Peer, without the times that follow from it."""

    applied_public_key: str | None
    state: State | None
    last_handshake: datetime | None
    accepted: ConditionState
    applied: ConditionState
    generation: int
    rotated_public_keys: tuple[str, ...] = ()
    trouble: ConditionState | None = None
    """What of a peer that is on the interface is not as its spec asks for: an endpoint, or a route."""

    @property
    def ready(self) -> ConditionState:
        """Ready is true once the interface has the peer; `state` says whether anybody talks through it."""
        if self.accepted.status == "False" and self.applied.reason != reasons.REMOVED:
            return self.accepted
        return self.trouble if self.trouble is not None and self.applied.status == "True" else self.applied


def handshake_time(peer: Peer, now: Contact) -> datetime | None:
    """Return the time to be written: of the last handshake at the last change of state."""
    before = contact_said(peer)
    if before is not None and before.state == now.state:
        return peer.status.last_handshake_time
    return datetime.fromtimestamp(int(now.last_handshake), UTC) if now.last_handshake else None


def out_of_sight(peer: Peer, before: Contact | None, applied: ConditionState) -> PeerSaid:
    """Return what is to be said of a Peer while its Hub's interface is not there (False) or not seen (Unknown).

    What was said of the Peer alone stays: that it is accepted, that it is removed, which keys are its own.
    """
    status, generation = peer.status, peer.metadata.generation
    was = {
        condition.type: ConditionState.of(condition)
        for condition in status.conditions
        if condition.observed_generation == generation
    }
    if "Applied" in was and was["Applied"].reason == REMOVED.reason:
        applied = was["Applied"]
    now = contact_said(peer)
    if applied.status == "False" and (known := before or now):
        now = lost(known)
    return PeerSaid(
        applied_public_key=status.applied_public_key,
        state=now.state if now else None,
        last_handshake=handshake_time(peer, now) if now else None,
        accepted=was.get("Accepted", applied._replace(status="Unknown")),
        applied=truncate_message(applied),
        generation=generation,
        rotated_public_keys=tuple(status.rotated_public_keys),
    )


def said_of(peer: Peer) -> PeerSaid | None:
    """Return what a Peer's status says; None when it lacks a condition or another's word stands on Ready."""
    status, generation = peer.status, peer.metadata.generation
    found = [status.condition(name) for name in ("Accepted", "Applied", "Ready")]
    accepted, applied, ready = found
    if accepted is None or applied is None or ready is None:
        return None
    if any(one is not None and one.observed_generation != generation for one in found):
        return None
    said = PeerSaid(
        applied_public_key=status.applied_public_key,
        state=status.state,
        last_handshake=status.last_handshake_time,
        accepted=ConditionState.of(accepted),
        applied=ConditionState.of(applied),
        generation=generation,
        rotated_public_keys=tuple(status.rotated_public_keys),
        trouble=ConditionState.of(ready) if ready.reason in _TROUBLES else None,
    )
    expected = said.ready
    return said if (ready.status, ready.reason) == (expected.status, expected.reason) else None


def peer_status(peer: Peer, said: PeerSaid, now: datetime) -> dict[str, Any]:
    """Return the status that says it, for server-side apply."""
    states = {"Accepted": said.accepted, "Applied": said.applied, "Ready": said.ready}
    status: dict[str, Any] = {
        "appliedPublicKey": said.applied_public_key,
        "rotatedPublicKeys": list(said.rotated_public_keys) or None,
        "state": said.state,
        "lastHandshakeTime": format_time(said.last_handshake) if said.last_handshake else None,
        "conditions": wire_states(peer.status.conditions, states, said.generation, now),
    }
    return {name: value for name, value in status.items() if value is not None}


def missing(
    allowed_ips: frozenset[str], unrouted: Mapping[str, str], unresolved: Obstacle | None
) -> ConditionState | None:
    """Say what a peer that is on the interface lacks: routes to its networks, or an address to dial.

    `unrouted` says why there is no route, by network.
    """
    networks = sorted(allowed_ips & unrouted.keys())[:_NAMED]
    if networks:
        words = "; ".join(f"{network}: {unrouted[network]}" for network in networks)
        return truncate_message(
            ConditionState("False", NOT_ROUTED, f"what lies behind the peer is not reached: {words}")
        )
    return (
        truncate_message(ConditionState("False", unresolved.reason, unresolved.message))
        if unresolved is not None
        else None
    )
