"""From what should be on an interface and what is there to the changes between
them. Pure.

Nothing is changed that does not differ, and nothing that only roams. The order
of changes of peers rests on one fact of WireGuard: an allowed address has one
owner, and adding it to a peer takes it from the one that had it, in that one
message. So all additions come first, and only then is anything taken off
without a new owner.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from cerebro.wireguard.isolation import NftObject, desired_table
from cerebro.wireguard.model import (
    ActualPeer,
    DesiredPeer,
    Endpoint,
    Interface,
    LinkChange,
    PeerChange,
)
from cerebro.wireguard.networks import interface_address, span

DIAL_BACK_KEEPALIVE = 25
"""Seconds between keepalives to a peer that is dialled where it was heard from
last, until it answers: so WireGuard never stops trying.
"""

LIVE_SECONDS = 180.0
"""After this long without a handshake WireGuard itself refuses to use a
session (REJECT_AFTER_TIME).
"""


class TableStep(Enum):
    """What is done about the isolation table of an interface (rule D3)."""

    KEEP = "keep"
    """Nothing, not even a look."""

    REPAIR = "repair"
    """What differs is written."""

    REMOVE = "remove"
    """No table stays."""


@dataclass(slots=True)
class DesiredInterface:
    """An interface as it should be.

    Its peers are changes that `plan_peers` made: which of them may be changed
    or removed is decided before.
    """

    name: str

    listen_port: int

    mtu: int

    addresses: Sequence[str]
    """With prefix length, as `10.64.0.1/16`."""

    private_key: str | None = field(default=None, repr=False)
    """For an interface that has none; one that has a key keeps it (rule E3).
    """

    own_addresses: frozenset[str] = frozenset()
    """Addresses that were desired earlier; see `plan_link`."""

    routed_ips: frozenset[str] = frozenset()
    """Allowed networks that get a route where they need one; see `routes_for`.
    """

    table: TableStep = TableStep.KEEP

    administrators: frozenset[str] = frozenset()
    """Networks from which administrators send; used only with
    `TableStep.REPAIR`.
    """

    peer_changes: Sequence[PeerChange] = ()

    peers_only: bool = False
    """Leave device, table and link as they are: the Hub is paused."""


@dataclass(slots=True)
class InterfacePlan:
    """What is changed on an interface, in the order in which it must be made.

    The table comes before the peers: no peer may be on an interface without isolation (rule D3). The link comes
    last: a route must not lead to an interface that lacks the peer behind it.
    """

    name: str

    private_key: str | None = field(default=None, repr=False)
    """None leaves the key as it is."""

    listen_port: int | None = None
    """None leaves the port as it is."""

    table_step: TableStep = TableStep.KEEP

    table: Sequence[NftObject] = ()
    """The whole table as it should be, with `TableStep.REPAIR`.

    What differs from the table that exists is known only when that one is
    read, just before it is written.
    """

    peers: Sequence[PeerChange] = ()

    link: LinkChange = field(default_factory=LinkChange)
    """Addresses, MTU, state and routes."""

    foreign_addresses: frozenset[str] = frozenset()
    """Addresses on the interface that nobody desires and that stay; to be
    reported.
    """


def plan_interface(
    desired: DesiredInterface, actual: Interface
) -> InterfacePlan:
    """Return what brings an interface to what is desired; nothing is in the
    plan that does not differ.
    """

    plan = InterfacePlan(desired.name, peers=desired.peer_changes)
    if desired.peers_only:
        return plan

    # The device.
    if not actual.private_key:
        plan.private_key = desired.private_key

    if actual.listen_port != desired.listen_port:
        plan.listen_port = desired.listen_port

    # The isolation table.
    plan.table_step = desired.table
    if desired.table is TableStep.REPAIR:
        plan.table = desired_table(
            desired.name, desired.addresses, desired.administrators
        )

    # The link and its routes.
    plan.link = plan_link(
        actual,
        addresses=desired.addresses,
        mtu=desired.mtu,
        routes=routes_for(desired.routed_ips, desired.addresses),
        own_addresses=desired.own_addresses,
    )

    removed = frozenset(plan.link.remove_addresses)
    plan.foreign_addresses = (
        foreign_addresses(actual, desired.addresses) - removed
    )

    return plan


def plan_peers(
    desired: Mapping[str, DesiredPeer],
    actual: Interface,
    *,
    remove: Collection[str] = (),
    dialled: Mapping[str, Endpoint] | None = None,
    dials_back: bool = False,
    now: float,
) -> list[PeerChange]:
    """Return the changes that bring the peers to what is desired, in the order
    in which they must be made.

    `desired` is by public key, and no two of its peers want one network.
    `remove` names keys that are to go if they are on the interface and not
    desired; any other key that is not desired is left alone, but loses a
    network that a desired peer needs. `dialled` is by key the endpoint that we
    set last (see `remember_dialled`), `now` is in Unix seconds. `dials_back`:
    a peer that is dialled where it was heard from last, and did not answer
    yet, goes on being dialled (rule E16). A change of a peer that exists is
    `update_only`: one that was removed by hand meanwhile is made whole by the
    next plan, not in part by this one.
    """

    if dialled is None:
        dialled = {}

    changes: list[PeerChange] = []
    shrinking: list[tuple[DesiredPeer, frozenset[str]]] = []

    for key, want in desired.items():
        peer = actual.peers.get(key)
        if peer is None:
            changes.append(_creation(want))
            continue

        if (
            want.allowed_ips == peer.allowed_ips
            and want.endpoint is None
            and want.preshared_key == peer.preshared_key
            and want.persistent_keepalive == peer.persistent_keepalive
        ):
            continue  # nearly all of them: this is only faster

        missing = want.allowed_ips - peer.allowed_ips
        pace = _pace(want, peer, dials_back=dials_back)
        endpoint = _endpoint_to_set(want, peer, dialled.get(key), now)
        change = _update(want, peer, missing, pace, endpoint)
        if change is not None:
            changes.append(change)

        if len(peer.allowed_ips) + len(missing) > len(want.allowed_ips):
            shrinking.append((want, peer.allowed_ips - want.allowed_ips))

    if shrinking:
        changes += _replacements(shrinking, changes)

    unwanted = [
        key for key in remove if key in actual.peers and key not in desired
    ]

    changes += [PeerChange(key, remove=True) for key in unwanted]

    return changes


def _creation(want: DesiredPeer) -> PeerChange:
    endpoint = want.endpoint
    keepalive = want.persistent_keepalive

    # With an endpoint and a keepalive WireGuard dials at once (rule E16).
    if endpoint is None and want.last_endpoint is not None:
        endpoint = want.last_endpoint
        keepalive = keepalive or DIAL_BACK_KEEPALIVE

    return PeerChange(
        want.public_key,
        allowed_ips=tuple(sorted(want.allowed_ips)),
        preshared_key=want.preshared_key,
        persistent_keepalive=keepalive or None,
        endpoint=endpoint,
    )


def _pace(want: DesiredPeer, peer: ActualPeer, *, dials_back: bool) -> int:
    """Return the keepalive that a peer is to have now: the desired one, or the
    one with which it is dialled until its first handshake.
    """
    is_dialled_back = (
        want.endpoint is None
        and peer.endpoint is not None
        and not peer.last_handshake
        and peer.persistent_keepalive == DIAL_BACK_KEEPALIVE
    )

    if dials_back and is_dialled_back:
        return peer.persistent_keepalive

    return want.persistent_keepalive


def _update(
    want: DesiredPeer,
    peer: ActualPeer,
    missing: frozenset[str],
    pace: int,
    endpoint: Endpoint | None,
) -> PeerChange | None:
    """Return what adds to a peer and sets its properties; None if nothing
    does.

    `missing` are the networks that the peer lacks, `pace` is the keepalive
    that it is to have, `endpoint` is where it is dialled from now on.
    """

    rekeyed = want.preshared_key != peer.preshared_key
    paced = pace != peer.persistent_keepalive
    if not (missing or rekeyed or paced or endpoint):
        return None

    return PeerChange(
        want.public_key,
        update_only=True,
        allowed_ips=tuple(sorted(missing)),
        preshared_key=(want.preshared_key or "") if rekeyed else None,
        persistent_keepalive=pace if paced else None,
        endpoint=endpoint,
    )


def _endpoint_to_set(
    want: DesiredPeer, peer: ActualPeer, dialled: Endpoint | None, now: float
) -> Endpoint | None:
    """Return the endpoint that a peer is given; None leaves it as it is.
    `dialled` is the endpoint that we set last.
    """
    if want.endpoint is None or want.endpoint == peer.endpoint:
        return None

    return want.endpoint if _dials(want, peer, dialled, now) else None


def _dials(
    want: DesiredPeer, peer: ActualPeer, dialled: Endpoint | None, now: float
) -> bool:
    """Return whether an endpoint that is not the desired one is set, or is
    where the peer roamed to.
    """

    if peer.endpoint is None:
        return True

    if dialled is not None and dialled != want.endpoint:
        return True

    live = now - peer.last_handshake <= LIVE_SECONDS
    if live:
        return False

    # Without keepalive of ours an old handshake may only mean that nobody had
    # anything to say.
    return dialled is None or want.persistent_keepalive > 0


def _replacements(
    shrinking: Iterable[tuple[DesiredPeer, frozenset[str]]],
    additions: Iterable[PeerChange],
) -> list[PeerChange]:
    """Return what takes networks off peers that have too many of them.

    `shrinking` has each such peer with its surplus. A surplus that the
    additions before move to other peers is gone by then.
    """
    moving = {
        network for change in additions for network in change.allowed_ips
    }

    return [
        _replacement(want)
        for want, surplus in shrinking
        if not surplus <= moving
    ]


def _replacement(want: DesiredPeer) -> PeerChange:
    return PeerChange(
        want.public_key,
        update_only=True,
        replace_allowed_ips=True,
        allowed_ips=tuple(sorted(want.allowed_ips)),
    )


def remember_dialled(
    dialled: Mapping[str, Endpoint],
    desired: Mapping[str, DesiredPeer],
    actual: Interface,
    made: Iterable[PeerChange],
) -> dict[str, Endpoint]:
    """Return by public key which endpoint we set last, after the changes in
    `made`; without those refused.

    An endpoint that was read as desired counts as set by us, so that a later
    change of it is one.
    """
    just_set = {
        change.public_key: change.endpoint
        for change in made
        if change.endpoint is not None
    }

    after: dict[str, Endpoint] = {}
    for key, want in desired.items():
        if want.endpoint is None:
            continue

        endpoint = just_set.get(key)
        peer = actual.peers.get(key)
        if (
            endpoint is None
            and peer is not None
            and peer.endpoint == want.endpoint
        ):
            endpoint = peer.endpoint

        if endpoint is None:
            endpoint = dialled.get(key)

        if endpoint is not None:
            after[key] = endpoint

    return after


def plan_link(
    actual: Interface,
    *,
    addresses: Iterable[str],
    mtu: int,
    routes: Collection[str],
    own_addresses: Collection[str] = (),
) -> LinkChange:
    """Return what brings the link to these addresses (`10.64.0.1/16`), MTU,
    routes, and up.

    `own_addresses` are those that were desired earlier; of them those that are
    not desired any more are removed. Any other address stays
    (`foreign_addresses`). Routes are all ours (`Interface.routes`), so those
    not in `routes` go; pass none where a Hub keeps no routes.
    """
    wanted = {interface_address(address)[0] for address in addresses}
    gone = (set(own_addresses) & actual.addresses) - wanted
    wanted_routes = set(routes)

    return LinkChange(
        mtu=None if actual.mtu == mtu else mtu,
        up=None if actual.up else True,
        add_addresses=tuple(sorted(wanted - actual.addresses)),
        remove_addresses=tuple(sorted(gone)),
        add_routes=tuple(sorted(wanted_routes - actual.routes)),
        remove_routes=tuple(sorted(actual.routes - wanted_routes)),
    )


def foreign_addresses(
    actual: Interface, addresses: Iterable[str]
) -> frozenset[str]:
    """Return the interface's addresses that are not among these, but
    link-local ones: to be reported.
    """
    wanted = {interface_address(address)[0] for address in addresses}
    foreign = actual.addresses - wanted

    return frozenset(
        text
        for text in foreign
        if not ipaddress.ip_interface(text).is_link_local
    )


def routes_for(
    allowed_ips: Iterable[str], addresses: Iterable[str]
) -> frozenset[str]:
    """Return the allowed networks that need a route: those outside the
    networks of the Hub's `addresses`.

    Never a default route or one so wide that it acts like one (it would take
    the node's own traffic into the tunnel), nor loopback, link-local and
    multicast networks, which mean something to the node itself.
    """
    pools = [interface_address(address)[2] for address in addresses]
    outside = set()
    for text in allowed_ips:
        network = span(text)
        if not network.takes_all and not any(
            network.within(pool) for pool in pools
        ):
            outside.add(network.text)

    return frozenset(text for text in outside if _routable(text))


def _routable(text: str) -> bool:
    network = ipaddress.ip_network(text)
    return not (
        network.is_loopback or network.is_link_local or network.is_multicast
    )
