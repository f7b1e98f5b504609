"""What is done about the peers of a Hub's interface: which are made, changed,
kept and removed. Pure.

`plan` decides before anything is written; `outcome` reports afterwards what
came of it. The rules are E5 to E8, E13, B8 and B9. This module writes nothing
and reads no status but those in the objects that it is given. What it lets go
is noted in the RemovalWindow that it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field

from cerebro.agent.hubs.model import Frozen, HubDesired, PresharedKey
from cerebro.agent.hubs.peers.acceptance import Acceptance, accept
from cerebro.agent.hubs.peers.ways import Ways
from cerebro.domain.conditions import ConditionState, Obstacle
from cerebro.domain.mass_removal import RemovalWindow
from cerebro.resources import Peer, reasons
from cerebro.wireguard.model import (
    ActualPeer,
    DesiredPeer,
    Endpoint,
    Interface,
    PeerChange,
)
from cerebro.wireguard.networks import ip_endpoint, span, without
from cerebro.wireguard.plan import plan_peers

_NO_SECRET = PresharedKey()

_KEY_NOT_READ = Obstacle(
    reasons.SECRET_NOT_READ, "the preshared key has not been read yet"
)

_SAME_KEY_AS_UNREADABLE = ConditionState(
    "Unknown",
    reasons.INVALID_OBJECT,
    "a Peer that cannot be read has the same key: correct that one first",
)

_KEY_NOT_NOTED = ConditionState(
    "False",
    reasons.APPLYING,
    "the peer is put on the interface once its key is noted in this status",
)

Note = tuple[str | None, tuple[str, ...]]
"""Keys that a status notes: the key that is or will be applied, and older ones
still on the interface (rule E8).
"""


@dataclass(slots=True)
class PeersPlan:
    """What is to be done about the peers of an interface."""

    changes: list[PeerChange] = field(default_factory=list)
    """In the order in which they are made."""

    desired: dict[str, DesiredPeer] = field(default_factory=dict)
    """What the interface is to have, by key."""

    accepted: dict[str, Acceptance] = field(default_factory=dict)
    """By UID, of the Peers that stay; also of those that are refused."""

    blocked: dict[str, ConditionState] = field(default_factory=dict)
    """Why a Peer is not applied for now, by UID: the state of its condition
    Applied.
    """

    unknown: frozenset[str] = frozenset()
    """Keys on the interface that belong to no Peer."""

    held_back: frozenset[str] = frozenset()
    """Keys whose removal waits until a person confirms it (rule E13)."""

    look_again_at: float | None = None
    """When keys of deleted Peers may go, by the monotonic clock; None: none
    waits for its time (rule E13).
    """

    frozen: Frozen = field(default_factory=Frozen)

    def administrators(self, actual: Interface) -> frozenset[str]:
        """Return the networks from which only accepted Peers without a Device
        send (rule D3).

        WireGuard lets a peer send from all networks that it has on the
        interface. So a part of an administrator's network that another peer
        has there, such as an unknown peer that is kept, is left out. A peer
        that is on the interface as it was accepted has no such part (rule E5).
        """

        administrators = [
            acceptance
            for acceptance in self.accepted.values()
            if acceptance.accepted and not acceptance.peer.spec.device_ref
        ]

        keys = {
            key
            for acceptance in administrators
            for key in acceptance.peer.keys
        } - self.frozen.keys

        held_by_others = (
            network
            for key, peer in actual.peers.items()
            if key not in keys and not self._is_as_accepted(key, peer)
            for network in peer.allowed_ips
        )

        networks = (
            network
            for acceptance in administrators
            for network in acceptance.allowed_ips
            if span(network).prefix
        )

        return without(networks, held_by_others)

    def _is_as_accepted(self, key: str, peer: ActualPeer) -> bool:
        return (
            key in self.desired
            and self.desired[key].allowed_ips == peer.allowed_ips
        )

    @property
    def keys(self) -> frozenset[str]:
        """Keys of all accepted Peers."""
        return frozenset(
            acceptance.peer.spec.public_key
            for acceptance in self.accepted.values()
            if acceptance.accepted
        )

    @property
    def allowed_ips(self) -> frozenset[str]:
        """Networks of all accepted Peers."""
        return frozenset(
            network
            for acceptance in self.accepted.values()
            if acceptance.accepted
            for network in acceptance.allowed_ips
        )


def plan(
    desired: HubDesired, actual: Interface, removals: RemovalWindow
) -> PeersPlan:
    """Return what is to be done so that the interface has the accepted Peers.

    `actual` is the interface as read. `removals` remembers what went from it
    lately, and decides what goes now.
    """

    result = PeersPlan(frozen=desired.frozen)
    leaving = [peer for peer in desired.peers if _is_leaving(peer, desired)]
    staying = [
        peer for peer in desired.peers if not _is_leaving(peer, desired)
    ]

    # Who is accepted. A key that a readable Peer has too is not frozen: that
    # Peer decides about it.
    readable_keys = {peer.spec.public_key for peer in staying}
    result.accepted = accept(
        desired.hub,
        staying,
        actual,
        frozen_keys=desired.frozen.keys - readable_keys,
        node_networks=desired.node_networks,
        ways=_ways(desired, staying, actual),
    )

    # What the interface is to have. `held` are keys that keep their place
    # there whatever else is decided.
    held = set(desired.frozen.keys)
    for acceptance in result.accepted.values():
        if acceptance.accepted:
            _add_desired(acceptance, desired, actual, result, held)

    # Whose the keys are that no accepted Peer has: of a deleted Peer, rotated
    # out, or of a refused Peer.
    deleted = {key for peer in leaving for key in peer.keys} | desired.departed
    rotated = {
        key
        for peer in staying
        for key in peer.keys
        if key != peer.spec.public_key
    }

    refused = {
        acceptance.peer.spec.public_key
        for acceptance in result.accepted.values()
        if not acceptance.accepted
        and acceptance.peer.status.applied_public_key
        == acceptance.peer.spec.public_key
    }

    without_place = actual.peers.keys() - (result.keys | held)
    result.unknown = frozenset(without_place - deleted - rotated - refused)
    _plan_changes(
        desired,
        actual,
        result,
        removals,
        rotated=rotated & without_place,
        deleted=deleted & without_place,
        refused=(refused - deleted) & without_place,
    )

    return result


def _ways(
    desired: HubDesired, staying: Iterable[Peer], actual: Interface
) -> Ways:
    """Return the addresses to which no route into the tunnel may lead (rule
    E17); none where no routes are made.
    """
    if desired.hub.spec.routes != "Managed":
        return Ways({})

    def endpoints() -> Iterator[Endpoint]:
        """Yield where peers are, and where they are dialled after this pass."""
        for actual_peer in actual.peers.values():
            if actual_peer.endpoint is not None:
                yield actual_peer.endpoint

        yield from desired.endpoints.values()

        for peer in staying:
            if peer.spec.public_key not in actual.peers:
                last = _last_endpoint(peer, desired, actual)
                if last is not None:
                    yield last

    return Ways(desired.ways, endpoints)


def _is_leaving(peer: Peer, desired: HubDesired) -> bool:
    return (
        peer.metadata.deletion_timestamp is not None
        and peer.metadata.uid not in desired.staying
    )


def _add_desired(
    acceptance: Acceptance,
    desired: HubDesired,
    actual: Interface,
    result: PeersPlan,
    held: set[str],
) -> None:
    """Add an accepted Peer to what the interface is to have, or record what
    blocks it.
    """

    peer = acceptance.peer
    key = peer.spec.public_key
    uid = peer.metadata.uid

    # Without the preshared key that its spec names, a peer keeps what it has
    # on the interface.
    preshared_key: str | None = None
    if peer.spec.preshared_key_secret_ref is not None:
        secret = desired.preshared.get(
            peer.spec.preshared_key_secret_ref.name, _NO_SECRET
        )

        preshared_key = secret.key
        if preshared_key is None:
            trouble = secret.trouble or _KEY_NOT_READ
            result.blocked[uid] = ConditionState(
                "False", trouble.reason, trouble.message
            )

            held.add(key)

            return

    if key in desired.frozen.keys:
        result.blocked[uid] = _SAME_KEY_AS_UNREADABLE
        return

    # The status notes a key before the interface has it (rule E8).
    noted = peer.status.applied_public_key == key
    if key not in actual.peers and not noted and not desired.dry_run:
        result.blocked[uid] = _KEY_NOT_NOTED
        held.update(
            peer.keys
        )  # the key before a rotation keeps its place until then

        return

    endpoint = (
        desired.endpoints.get(peer.spec.endpoint)
        if peer.spec.endpoint
        else None
    )

    last_endpoint: Endpoint | None = None
    if endpoint is None and key not in actual.peers:
        last_endpoint = _last_endpoint(peer, desired, actual)

    result.desired[key] = DesiredPeer(
        key,
        acceptance.allowed_ips,
        preshared_key,
        peer.spec.persistent_keepalive or 0,
        endpoint,
        last_endpoint,
    )


def _last_endpoint(
    peer: Peer, desired: HubDesired, actual: Interface
) -> Endpoint | None:
    """Return where a peer was heard from last that has to be made on the
    interface (rule E16); else None.

    A peer that changes its key is none: under its old one it is there.
    """
    for key in peer.keys:
        if key in actual.peers:
            return None

    heard = desired.heard.get(peer.spec.public_key)

    return heard or ip_endpoint(peer.status.endpoint)


def _plan_changes(
    desired: HubDesired,
    actual: Interface,
    result: PeersPlan,
    removals: RemovalWindow,
    *,
    rotated: Set[str],
    deleted: Set[str],
    refused: Set[str],
) -> None:
    """Decide which keys are removed, and set the changes of the plan.

    All keys given are on the interface and have no place there any more:
    `rotated` were replaced by a new key, `deleted` belong to Peers that leave,
    `refused` to Peers that stay and are not accepted.
    """

    # Nothing is removed while not all Peers are known (rules B9 and E7).
    going: Set[str] = frozenset()

    if desired.frozen.everything or not desired.complete:
        result.held_back = removals.held
        rotated = frozenset()
    else:
        going = _going(
            desired,
            actual,
            result,
            removals,
            deleted=deleted,
            refused=refused,
        )

    # While the Hub is paused, at most the peers of deleted Peers go (rule B8).
    spec = desired.hub.spec
    if spec.paused == "All":
        return

    if spec.paused == "Changes":
        result.changes = [
            PeerChange(key, remove=True) for key in sorted(going & deleted)
        ]

        return

    result.changes = plan_peers(
        result.desired,
        actual,
        remove=sorted(going | rotated),
        dialled=desired.dialled,
        dials_back=desired.dials_back,
        now=desired.now,
    )


def _going(
    desired: HubDesired,
    actual: Interface,
    result: PeersPlan,
    removals: RemovalWindow,
    *,
    deleted: Set[str],
    refused: Set[str],
) -> frozenset[str]:
    """Return which keys without an accepted Peer go now, and set what waits: a
    mass removal until a person confirms it, what was deleted a few seconds
    (rule E13).
    """

    # A Peer that is refused was not deleted, so its key does not wait.
    ownerless = deleted | refused

    if desired.hub.spec.unknown_peers == "Remove":
        ownerless |= result.unknown

    decision = removals.decide(
        ownerless,
        actual.peers.keys(),
        now=desired.monotonic,
        known_at=desired.monotonic,
        confirmed=desired.confirmed,
        at_once=refused,
    )

    result.held_back = decision.held
    result.look_again_at = decision.look_again_at

    return decision.going
