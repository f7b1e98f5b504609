"""What a pass led to for each Peer: what its status reports, and the figures
of the Hub. Pure.

Called after the changes of a plan were made, with what the interface refused.
It decides nothing about the interface.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from cerebro.agent.handshakes import Contact, contact_in_status, next_contact
from cerebro.agent.hubs.model import HubDesired
from cerebro.agent.hubs.peers.acceptance import Acceptance
from cerebro.agent.hubs.peers.plan import Note, PeersPlan
from cerebro.agent.hubs.peers.status import (
    APPLIED,
    REMOVED,
    PeerReport,
    handshake_time,
    missing,
)
from cerebro.agent.hubs.peers.story import REFUSED_BY_INTERFACE
from cerebro.domain.conditions import (
    ConditionState,
    Obstacle,
    truncate_message,
)
from cerebro.resources import Peer, reasons
from cerebro.resources.reasons import NOT_ROUTED
from cerebro.wireguard.model import Endpoint, Interface, PeerChange
from cerebro.wireguard.networks import endpoint_text

_MAX_ROTATED = 8
"""Rotated keys that a status has room for."""

_DELETED = ConditionState("False", "Deleted", "the Peer is being deleted")

_NOT_ACCEPTED = ConditionState(
    "False",
    "NotAccepted",
    "the Peer is not accepted, so it is not on the interface",
)

_DRY_RUN = ConditionState(
    "False",
    reasons.DRY_RUN,
    "CEREBRO_DRY_RUN or CEREBRO_WIREGUARD_DRY_RUN of the agent is true: nothing is written",
)

_APPLYING = ConditionState(
    "False", reasons.APPLYING, "the peer is being put on the interface"
)

_HELD_BACK = ConditionState(
    "True",
    "MassRemoval",
    "many peers would go at once: see condition Ready of the Hub",
)

_STAYS_WHILE_PAUSED = ConditionState(
    "True",
    reasons.PAUSED,
    "spec.paused of the Hub is All: it stays until that is None or Changes",
)


def mark_blocked(
    plan: PeersPlan, present: Collection[str], obstacle: Obstacle
) -> None:
    """Record, for each accepted Peer that is not on the interface, what kept
    the Hub from changing it.

    `present` are the keys on the interface now. A Peer that is blocked for a
    reason of its own keeps that reason.
    """
    state = truncate_message(
        ConditionState(
            "False", obstacle.reason, f"the Hub: {obstacle.message}"
        )
    )

    for uid, acceptance in plan.accepted.items():
        if (
            acceptance.accepted
            and acceptance.peer.spec.public_key not in present
        ):
            plan.blocked.setdefault(uid, state)


@dataclass(slots=True)
class PeersOutcome:
    """What holds for the Peers of a Hub after the changes were made."""

    reports: list[tuple[Peer, PeerReport]] = field(default_factory=list)

    contacts: dict[str, Contact] = field(default_factory=dict)
    """By key, of accepted Peers that are on the interface."""

    heard: dict[str, Endpoint] = field(default_factory=dict)
    """Where Peers were heard from last, by key; as in `HubDesired`, for the
    next pass.
    """

    refused: tuple[str, ...] = ()
    """Names of the Peers that the interface or the routes refused, sorted."""

    desired: int = 0
    """Accepted Peers."""

    applied: int = 0
    """Those of them that are on the interface."""

    online: int = 0
    """Those of them that have a recent handshake."""

    waiting: int = 0
    """Peers that a next pass puts on the interface."""


def keys_after(
    actual: Interface,
    changes: Iterable[PeerChange],
    refused: Mapping[str, str],
) -> frozenset[str]:
    """Return the keys on the interface after the changes were made. `refused`
    are the changes not made, by key.
    """
    keys = set(actual.peers)
    for change in changes:
        if change.public_key in refused:
            continue

        if change.remove:
            keys.discard(change.public_key)
        elif not change.update_only:
            keys.add(change.public_key)

    return frozenset(keys)


def changes_made(
    actual: Interface,
    changes: Iterable[PeerChange],
    refused: Mapping[str, str],
) -> dict[str, int]:
    """Return how many peers came on the interface (`added`) and went
    (`removed`), and how many changes of each kind were refused (`add_error`,
    `remove_error`). `refused` are the changes not made, by key.
    """
    counts: Counter[str] = Counter()
    for change in changes:
        is_new = change.public_key not in actual.peers
        is_refused = change.public_key in refused

        if change.remove:
            counts["remove_error" if is_refused else "removed"] += 1
        elif is_new and not change.update_only:
            counts["add_error" if is_refused else "added"] += 1

    return dict(counts)


def peer_results(
    desired: HubDesired,
    plan: PeersPlan,
    actual: Interface,
    *,
    present: frozenset[str],
    refused: Mapping[str, str],
    before: Mapping[str, Contact],
    unrouted: Mapping[str, str] = MappingProxyType({}),
) -> PeersOutcome:
    """Return the report of each Peer and the figures of all.

    `actual` is the interface as it was read before the changes, `present` are
    the keys on it now. `refused` holds, by key, why the interface refused a
    change, `unrouted`, by network, why a route is missing. `before` are the
    contacts at the reading before.
    """

    outcome = PeersOutcome()
    refused_names: list[str] = []
    for peer in desired.peers:
        acceptance = plan.accepted.get(peer.metadata.uid)
        if acceptance is None:
            report = _report_of_leaving(peer, desired, plan, present, refused)
            outcome.reports.append((peer, report))
            continue

        # Its handshakes, and the figures of the Hub.
        key = peer.spec.public_key
        heard = _heard_from(peer, desired, actual, before)
        if heard is not None:
            outcome.heard[key] = heard

        contact: Contact | None = None
        if acceptance.accepted:
            outcome.desired += 1

            if key in present:
                contact = _contact(peer, desired, actual, before)
                outcome.contacts[key] = contact
                outcome.applied += 1
                outcome.online += contact.state == "Online"

        # Whether the interface has it, and what it lacks there.
        applied = _applied(acceptance, plan, desired, present, refused)
        outcome.waiting += applied.reason == reasons.APPLYING
        trouble: ConditionState | None = None
        if applied == APPLIED:
            unresolved = desired.unresolved.get(peer.spec.endpoint or "")
            trouble = missing(acceptance.allowed_ips, unrouted, unresolved)

        if key in refused or (
            trouble is not None and trouble.reason == NOT_ROUTED
        ):
            refused_names.append(peer.name)

        note = _note(
            peer,
            plan,
            present,
            may_note=acceptance.accepted and not desired.dry_run,
        )

        report = _report(
            peer,
            acceptance.condition,
            applied,
            note,
            contact,
            heard=heard,
            trouble=trouble,
        )

        outcome.reports.append((peer, report))

    outcome.refused = tuple(sorted(refused_names))

    return outcome


def _contact(
    peer: Peer,
    desired: HubDesired,
    actual: Interface,
    before: Mapping[str, Contact],
) -> Contact:
    """Return the contact of a peer on the interface at this reading; a peer
    just made has no handshake.
    """

    key = peer.spec.public_key
    earlier = before.get(key) or contact_in_status(peer)
    read = actual.peers.get(key)
    last_handshake = read.last_handshake if read is not None else 0.0

    return next_contact(
        earlier, last_handshake, desired.now, desired.hub.spec.online_within
    )


def _heard_from(
    peer: Peer,
    desired: HubDesired,
    actual: Interface,
    before: Mapping[str, Contact],
) -> Endpoint | None:
    """Return where the last valid handshake of a Peer came from, as far as
    this agent saw it.

    An endpoint without a handshake is only where the peer is dialled. One that
    its spec names may have been set after the handshake.
    """

    key = peer.spec.public_key
    read = actual.peers.get(key)
    known = desired.heard.get(key)
    if read is None or not read.last_handshake or read.endpoint is None:
        return known

    if peer.spec.endpoint is not None:
        earlier = before.get(key)
        if earlier and read.last_handshake <= earlier.last_handshake:
            return known

    return read.endpoint


def _report(
    peer: Peer,
    accepted: ConditionState,
    applied: ConditionState,
    note: Note,
    contact: Contact | None,
    *,
    heard: Endpoint | None = None,
    trouble: ConditionState | None = None,
) -> PeerReport:
    noted, rotated = note
    return PeerReport(
        applied_public_key=noted,
        rotated_public_keys=rotated,
        state=contact.state if contact is not None else None,
        last_handshake=handshake_time(peer, contact)
        if contact is not None
        else None,
        accepted=accepted,
        applied=applied,
        generation=peer.metadata.generation,
        endpoint=endpoint_text(heard) if heard else peer.status.endpoint,
        trouble=trouble,
    )


def _note(
    peer: Peer, plan: PeersPlan, present: frozenset[str], *, may_note: bool
) -> Note:
    """Return which keys the status notes as the Peer's own (rule E8): the key
    of its spec, and those it replaces.
    """

    key = peer.spec.public_key
    rotated = [
        old
        for old in dict.fromkeys(peer.keys)
        if old != key and old not in plan.desired and old in present
    ]

    already_applied = peer.status.applied_public_key == key and key in present
    noted = key if may_note or already_applied else None

    return noted, tuple(rotated[:_MAX_ROTATED])


def _applied(
    acceptance: Acceptance,
    plan: PeersPlan,
    desired: HubDesired,
    present: frozenset[str],
    refused: Mapping[str, str],
) -> ConditionState:
    """Return the state of condition Applied of a Peer that stays."""
    key = acceptance.peer.spec.public_key
    if key in refused:
        message = f"{refused[key]}: correct the field that it names"
        return ConditionState("False", REFUSED_BY_INTERFACE, message)

    blocked = plan.blocked.get(acceptance.peer.metadata.uid)
    if blocked is not None:
        return blocked

    if not acceptance.accepted:
        return _NOT_ACCEPTED

    if key in present:
        return APPLIED

    # It is accepted and not there yet.
    if desired.dry_run:
        return _DRY_RUN

    paused = desired.hub.spec.paused
    if paused != "None":
        return ConditionState(
            "False", reasons.PAUSED, f"spec.paused of the Hub is {paused}"
        )

    return _APPLYING


def _report_of_leaving(
    peer: Peer,
    desired: HubDesired,
    plan: PeersPlan,
    present: frozenset[str],
    refused: Mapping[str, str],
) -> PeerReport:
    """Return the report of a Peer that is being deleted: removed, or why one
    of its keys is still there.
    """

    still_there = [
        key for key in peer.keys if key in present and key not in plan.desired
    ]

    if not still_there:
        return _report(peer, _DELETED, REMOVED, (None, ()), None)

    if not plan.held_back.isdisjoint(still_there):
        applied = _HELD_BACK
    elif desired.hub.spec.paused == "All":
        applied = _STAYS_WHILE_PAUSED
    else:
        refusals = (refused[key] for key in still_there if key in refused)
        reason = next(refusals, "it is taken off the interface next")
        applied = ConditionState("True", "Removing", reason)

    rotated = tuple(
        key for key in peer.status.rotated_public_keys if key in still_there
    )

    return _report(
        peer,
        _DELETED,
        applied,
        (peer.status.applied_public_key, rotated),
        None,
    )
