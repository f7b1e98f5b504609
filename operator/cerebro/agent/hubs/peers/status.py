"""The status of a Peer: whether it is accepted, on the interface, and
connected. Pure.

A report holds what a status is to say, and a status that says so already is
read back as an equal report: then nothing is written. This module makes both,
and decides neither acceptance nor changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cerebro.agent.handshakes import Contact, State, contact_in_status, lost
from cerebro.domain.conditions import (
    ConditionState,
    Obstacle,
    abnormal_states,
    judgement,
    shown_abnormal,
    truncate_message,
)
from cerebro.resources import Peer, format_time, reasons
from cerebro.resources.reasons import NOT_RESOLVED, NOT_ROUTED

_MAX_NAMED = 8
"""Networks that a message names."""

_TROUBLES = (NOT_RESOLVED, NOT_ROUTED)

APPLIED = ConditionState("True", "Applied", "the peer is on the interface")

REMOVED = ConditionState(
    "False", reasons.REMOVED, "the peer is not on the interface any more"
)


@dataclass(frozen=True, slots=True)
class PeerReport:
    """What the status of a Peer is to say, without the times at which its
    conditions changed.
    """

    applied_public_key: str | None
    """The key that is or will be applied (rule E8)."""

    state: State | None

    last_handshake: datetime | None
    """As of the last change of `state`."""

    accepted: ConditionState

    applied: ConditionState

    generation: int
    """The `metadata.generation` that this holds for."""

    endpoint: str | None = field(default=None, compare=False)
    """Where the last valid handshake came from. A report that differs in it
    alone is equal: it is written more rarely (rule E16).
    """

    rotated_public_keys: tuple[str, ...] = ()
    """Older keys of the Peer that are still on the interface."""

    trouble: ConditionState | None = None
    """Condition Ready of a peer that is on the interface and lacks what its
    spec asks for: an endpoint, a route.
    """

    @property
    def ready(self) -> ConditionState:
        """State of condition Ready: true once the interface has the peer.
        `state` says whether it is connected.
        """
        refused = (
            self.accepted.status == "False"
            and self.applied.reason != reasons.REMOVED
        )

        if refused:
            return self.accepted

        if self.trouble is not None and self.applied.status == "True":
            return self.trouble

        return self.applied


def handshake_time(peer: Peer, contact: Contact) -> datetime | None:
    """Return the time to write: of the last handshake, and only when the state
    changes; None if it never was.

    A handshake comes every two minutes: each would be a write of the status.
    """
    written = contact_in_status(peer)
    if written is not None and written.state == contact.state:
        return peer.status.last_handshake_time

    if not contact.last_handshake:
        return None

    return datetime.fromtimestamp(int(contact.last_handshake), UTC)


def out_of_sight(
    peer: Peer, before: Contact | None, applied: ConditionState
) -> PeerReport:
    """Return the report of a Peer while its Hub's interface does not exist
    (False) or is not seen (Unknown).

    `applied` is the condition Applied of all Peers of that Hub, `before` the
    contact at the last reading. What the status says of the Peer alone stays:
    that it is accepted, that it is removed, and its keys.
    """

    status = peer.status
    generation = peer.metadata.generation
    current = {
        condition.type: ConditionState.of(condition)
        for condition in status.conditions
        if condition.observed_generation == generation
    }

    if "Applied" in current and current["Applied"].reason == reasons.REMOVED:
        applied = current["Applied"]

    # Without an interface nobody is connected. Where it is only not seen, the
    # last state stays.
    contact = contact_in_status(peer)
    known = before or contact
    if applied.status == "False" and known is not None:
        contact = lost(known)

    return PeerReport(
        applied_public_key=status.applied_public_key,
        state=contact.state if contact is not None else None,
        last_handshake=handshake_time(peer, contact)
        if contact is not None
        else None,
        accepted=current.get("Accepted", applied._replace(status="Unknown")),
        applied=truncate_message(applied),
        generation=generation,
        endpoint=status.endpoint,
        rotated_public_keys=tuple(status.rotated_public_keys),
    )


def report_in_status(peer: Peer) -> PeerReport | None:
    """Return the report that a Peer's status shows.

    None if it lacks a condition or has one too many, if it or one of them is
    of another generation, or if somebody else wrote Ready.
    """

    status = peer.status
    generation = peer.metadata.generation
    accepted = status.condition("Accepted")
    applied = status.condition("Applied")
    ready = status.condition("Ready")
    if accepted is None or applied is None or ready is None:
        return None

    observed = {
        accepted.observed_generation,
        applied.observed_generation,
        ready.observed_generation,
    }

    if observed != {generation} or not status.is_judged_of(generation):
        return None

    report = PeerReport(
        applied_public_key=status.applied_public_key,
        state=status.state,
        last_handshake=status.last_handshake_time,
        accepted=ConditionState.of(accepted),
        applied=ConditionState.of(applied),
        generation=generation,
        endpoint=status.endpoint,
        rotated_public_keys=tuple(status.rotated_public_keys),
        trouble=ConditionState.of(ready)
        if ready.reason in _TROUBLES
        else None,
    )

    expected = report.ready
    ours = (ready.status, ready.reason) == (expected.status, expected.reason)
    abnormal = abnormal_states(peer.kind, {"Ready": expected})
    is_whole = shown_abnormal(status) == abnormal

    return report if ours and is_whole else None


def peer_status(
    peer: Peer, report: PeerReport, now: datetime
) -> dict[str, Any]:
    """Return the status that shows a report, for server-side apply: wire
    names, without empty fields.

    `now` becomes the time of the conditions that change.
    """
    states = {
        "Accepted": report.accepted,
        "Applied": report.applied,
        "Ready": report.ready,
    }

    status: dict[str, Any] = {
        "appliedPublicKey": report.applied_public_key,
        "rotatedPublicKeys": list(report.rotated_public_keys) or None,
        "state": report.state,
        "endpoint": report.endpoint,
        "lastHandshakeTime": format_time(report.last_handshake)
        if report.last_handshake
        else None,
    }

    status |= judgement(
        peer.kind, peer.status.conditions, states, report.generation, now
    )

    return {name: value for name, value in status.items() if value is not None}


def missing(
    allowed_ips: frozenset[str],
    unrouted: Mapping[str, str],
    unresolved: Obstacle | None,
) -> ConditionState | None:
    """Return what a peer on the interface lacks: a route to one of its
    networks, or an address to dial; else None.

    `unrouted` holds, by network, why there is no route. `unresolved` is why
    its endpoint has no address.
    """
    networks = sorted(allowed_ips & unrouted.keys())[:_MAX_NAMED]
    if networks:
        troubles = "; ".join(
            f"{network}: {unrouted[network]}" for network in networks
        )

        message = f"what lies behind the peer is not reached: {troubles}"

        return truncate_message(ConditionState("False", NOT_ROUTED, message))

    if unresolved is not None:
        return truncate_message(
            ConditionState("False", unresolved.reason, unresolved.message)
        )

    return None
