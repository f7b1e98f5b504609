"""From what should be on an interface and what is there to the changes between them. Pure.

Nothing is changed that does not differ, and nothing that only roams. The order of changes of peers rests on one
fact of WireGuard: an allowed address has one owner, and adding it to a peer takes it from the one that had it,
in that one message. So all additions come first, and only then is anything taken off without a new owner.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from cerebro.wireguard.isolation import NftObject, desired_table
from cerebro.wireguard.model import ActualPeer, DesiredPeer, Endpoint, Interface, LinkChange, PeerChange
from cerebro.wireguard.networks import interface_address, span

LIVE_SECONDS = 180.0
"""After this long without a handshake WireGuard itself refuses to use a session (REJECT_AFTER_TIME)."""


class TableStep(Enum):
    """What is done about the isolation table of an interface (rule D3)."""

    KEEP = "keep"
    REPAIR = "repair"
    REMOVE = "remove"


@dataclass(slots=True)
class DesiredInterface:
    """An interface as it should be.

    Its peers are changes that `plan_peers` made: which of them may be changed or removed is decided before.
    """

    name: str
    listen_port: int
    mtu: int
    addresses: Sequence[str]
    """With prefix length, as `10.64.0.1/16`."""
    private_key: str | None = field(default=None, repr=False)
    """For an interface that has none; one that has a key keeps it (rule E3)."""
    own_addresses: frozenset[str] = frozenset()
    """Addresses that were desired earlier; see `plan_link`."""
    routed_ips: frozenset[str] = frozenset()
    """Allowed networks that get a route where they need one; see `routes_for`."""
    table: TableStep = TableStep.KEEP
    administrators: frozenset[str] = frozenset()
    """Networks from which administrators send; used only with `TableStep.REPAIR`."""
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
    """The whole table as it should be. What differs is known only once the table is read, when it is written."""
    peers: Sequence[PeerChange] = ()
    link: LinkChange = field(default_factory=LinkChange)
    """Addresses, MTU, state and routes."""
    foreign_addresses: frozenset[str] = frozenset()
    """Addresses on the interface that nobody desires and that stay; to be reported."""


def plan_interface(desired: DesiredInterface, actual: Interface) -> InterfacePlan:
    """Return what brings an interface to what is desired; nothing is in the plan that does not differ."""
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
        plan.table = desired_table(desired.name, desired.addresses, desired.administrators)

    # The link and its routes.
    plan.link = plan_link(
        actual,
        addresses=desired.addresses,
        mtu=desired.mtu,
        routes=routes_for(desired.routed_ips, desired.addresses),
        own_addresses=desired.own_addresses,
    )
    removed = frozenset(plan.link.remove_addresses)
    plan.foreign_addresses = foreign_addresses(actual, desired.addresses) - removed
    return plan


def plan_peers(
    desired: Mapping[str, DesiredPeer],
    actual: Interface,
    *,
    remove: Collection[str] = (),
    dialled: Mapping[str, Endpoint] | None = None,
    now: float,
) -> list[PeerChange]:
    """Return the changes, in the order in which they must be made, that bring the peers to what is desired.

    `desired` is by public key, and no two of its peers want one network. `remove` names keys that are to go
    where they are there and not desired; any other key that is not desired is left alone, but loses an address
    that a desired peer needs. `dialled` says by key which endpoint we set last (see `remember_dialled`), `now`
    is in Unix seconds. A change of a peer that exists is `update_only`: one that was removed by hand meanwhile
    is made whole by the next plan, not in part by this one.
    """
    changes: list[PeerChange] = []
    shrinking: list[tuple[DesiredPeer, frozenset[str]]] = []
    for key, want in desired.items():
        found = actual.peers.get(key)
        if found is None:
            changes.append(_creation(want))
            continue
        if (
            want.allowed_ips == found.allowed_ips
            and want.endpoint is None
            and want.preshared_key == found.preshared_key
            and want.persistent_keepalive == found.persistent_keepalive
        ):
            continue  # nearly all of them: this is only faster
        missing = want.allowed_ips - found.allowed_ips
        change = _update(want, found, missing, (dialled or {}).get(key), now)
        if change is not None:
            changes.append(change)
        if len(found.allowed_ips) + len(missing) > len(want.allowed_ips):
            shrinking.append((want, found.allowed_ips - want.allowed_ips))
    moving = {network for change in changes for network in change.allowed_ips} if shrinking else set()
    changes += [_replacement(want) for want, surplus in shrinking if not surplus <= moving]
    changes += [PeerChange(key, remove=True) for key in remove if key in actual.peers and key not in desired]
    return changes


def _creation(want: DesiredPeer) -> PeerChange:
    return PeerChange(
        want.public_key,
        allowed_ips=tuple(sorted(want.allowed_ips)),
        preshared_key=want.preshared_key,
        persistent_keepalive=want.persistent_keepalive or None,
        endpoint=want.endpoint,
    )


def _update(
    want: DesiredPeer, found: ActualPeer, missing: frozenset[str], dialled: Endpoint | None, now: float
) -> PeerChange | None:
    rekeyed = want.preshared_key != found.preshared_key
    paced = want.persistent_keepalive != found.persistent_keepalive
    endpoint = None
    if want.endpoint is not None and want.endpoint != found.endpoint and _dial(want, found, dialled, now):
        endpoint = want.endpoint
    if not (missing or rekeyed or paced or endpoint):
        return None
    return PeerChange(
        want.public_key,
        update_only=True,
        allowed_ips=tuple(sorted(missing)),
        preshared_key=(want.preshared_key or "") if rekeyed else None,
        persistent_keepalive=want.persistent_keepalive if paced else None,
        endpoint=endpoint,
    )


def _dial(want: DesiredPeer, found: ActualPeer, dialled: Endpoint | None, now: float) -> bool:
    """Decide whether an endpoint that is not the desired one is set, or is where the peer roamed to."""
    if found.endpoint is None or (dialled is not None and dialled != want.endpoint):
        return True
    live = now - found.last_handshake <= LIVE_SECONDS
    # Without keepalive of ours an old handshake may only mean that nobody had anything to say.
    return not live and (dialled is None or want.persistent_keepalive > 0)


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
    """Return which endpoint we set last, by key, after the changes in `made`; without those refused.

    An endpoint that was found as desired counts as set by us, so that a later change of it is one.
    """
    just_set = {change.public_key: change.endpoint for change in made if change.endpoint is not None}
    after: dict[str, Endpoint] = {}
    for key, want in desired.items():
        if want.endpoint is None:
            continue
        found = actual.peers.get(key)
        endpoint = just_set.get(key) or (
            found.endpoint if found and found.endpoint == want.endpoint else None
        )
        endpoint = endpoint or dialled.get(key)
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
    """Return what brings the link to these addresses (`10.64.0.1/16`), MTU, routes, and up.

    `own_addresses` are those that were wanted earlier; of them those that are not wanted any more are removed.
    Any other address stays (`foreign_addresses`). Routes are all ours (`Interface.routes`), so those not in
    `routes` go; give none where a Hub keeps no routes.
    """
    wanted = {interface_address(address)[0] for address in addresses}
    gone = (set(own_addresses) & actual.addresses) - wanted
    return LinkChange(
        mtu=None if actual.mtu == mtu else mtu,
        up=None if actual.up else True,
        add_addresses=tuple(sorted(wanted - actual.addresses)),
        remove_addresses=tuple(sorted(gone)),
        add_routes=tuple(sorted(set(routes) - actual.routes)),
        remove_routes=tuple(sorted(actual.routes - set(routes))),
    )


def foreign_addresses(actual: Interface, addresses: Iterable[str]) -> frozenset[str]:
    """Return the interface's addresses that are not among these, but link-local ones: to be reported."""
    wanted = {interface_address(address)[0] for address in addresses}
    others = actual.addresses - wanted
    return frozenset(text for text in others if not ipaddress.ip_interface(text).is_link_local)


def routes_for(allowed_ips: Iterable[str], addresses: Iterable[str]) -> frozenset[str]:
    """Return the allowed networks that need a route: those outside the networks of the Hub's `addresses`.

    Never a default route or one so wide that it acts like one (it would take the node's own traffic into the
    tunnel), nor loopback, link-local and multicast networks, which mean something to the node itself.
    """
    pools = [interface_address(address)[2] for address in addresses]
    outside = set()
    for text in allowed_ips:
        network = span(text)
        if not network.takes_all and not any(network.within(pool) for pool in pools):
            outside.add(network.text)
    return frozenset(text for text in outside if _routable(text))


def _routable(text: str) -> bool:
    network = ipaddress.ip_network(text)
    return not (network.is_loopback or network.is_link_local or network.is_multicast)
