"""What a Device gets of the operator: a tunnel address (E9) and a Peer. Decides only; `operator_peers` writes.

An address once given stays, also when the Hub's networks change or a person's Peer names it: routers have it in
their configuration. A Device without a public key has no Peer; one whose key is taken away loses its Peer and
keeps its address. A Peer that a person made is never touched. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cerebro.kube.cache.store import Store
from cerebro.operator.tunnels.addresses import Address, AddressBook, Holder, read_address
from cerebro.operator.tunnels.index import TunnelIndex, made_for
from cerebro.resources import DEVICE, GROUP_VERSION, HUB, PEER, Device, Hub, Peer, age_key, label_value
from cerebro.resources.naming import (
    FINALIZER_INTERFACE,
    LABEL_DEVICE,
    LABEL_MANAGED_BY,
    MANAGED_BY_OPERATOR,
    second_peer_name,
)
from cerebro.resources.reasons import CONFLICT, HUB_NOT_FOUND, NAME_TAKEN, OUTSIDE_HUB, POOL_EXHAUSTED

_APPLIED, _HAD, _ASKED = range(3)
"""Rights to an address, the best first."""


@dataclass(frozen=True)
class Trouble:
    """Why a Device has no address or no Peer, and what to do."""

    reason: str
    message: str
    stays: bool = False
    """The Device keeps the address that it has all the same: nobody moves it in silence."""


@dataclass
class Plan:
    """What is to be written for one Device; None and empty: nothing."""

    allocated: Address | None = None
    """An address that was found just now: nobody else may get it."""
    create: dict[str, Any] | None = None
    """Manifest of a Peer."""
    change: tuple[Peer, dict[str, Any]] | None = None
    """A Peer and a merge patch that holds for this version of it."""
    delete: list[Peer] = field(default_factory=list)
    status: dict[str, str] | None = None
    """What the Device's status is to have of ours; None: it has it."""
    trouble: Trouble | None = None


class Planner:
    """Plans for one Device at a time, out of the store and the index of addresses."""

    def __init__(self, store: Store, index: TunnelIndex) -> None:
        self._store = store
        self._index = index

    def plan(self, device: Device) -> Plan:
        """Decide what a Device gets. Devices without a Hub, and terminating ones, are left alone."""
        plan = Plan()
        if device.spec.hub_ref is None or device.metadata.deletion_timestamp is not None:
            return plan
        name = device.spec.hub_ref.name
        hub = self._store.get(HUB, device.namespace, name)
        if hub is None:
            plan.trouble = Trouble(
                HUB_NOT_FOUND,
                f"Hub {name} does not exist in namespace {device.namespace}: create it, or make the Device "
                "again with another hubRef",
            )
            return plan
        if hub.read(Hub) is None:
            return plan  # frozen (B9)
        peers = self._index.peers(device.namespace, device.name)
        address = self._address(device, peers, plan)
        peer_name = self._peer(device, peers, address, plan)
        wanted = {
            key: value
            for key, value in (
                ("tunnelAddress", str(address) if address else device.status.tunnel_address),
                ("peerName", peer_name),
            )
            if value
        }
        there = {"tunnelAddress": device.status.tunnel_address, "peerName": device.status.peer_name}
        if wanted != {key: value for key, value in there.items() if value}:
            plan.status = wanted
        return plan

    # The address

    def _address(self, device: Device, peers: list[Peer], plan: Plan) -> Address | None:
        assert device.spec.hub_ref is not None
        book = self._index.book(device.namespace, device.spec.hub_ref.name)
        current = self._current(device, peers, book)
        pinned = read_address(device.spec.tunnel_address or "")
        wanted = pinned or current or self._index.promised(device.namespace, device.name)
        if wanted is not None:
            plan.trouble = self._trouble(device, wanted, book, pinned=pinned is not None)
            if plan.trouble is None:
                return wanted
            if pinned is not None or plan.trouble.stays:
                return current
            plan.trouble = None
        plan.allocated = book.find(device.namespace, device.name)
        if plan.allocated is None:
            plan.trouble = Trouble(
                POOL_EXHAUSTED,
                f"the networks of Hub {device.spec.hub_ref.name} have no free address: add an address of a "
                "further network to its spec.addresses, or delete Devices that are not needed",
            )
        return plan.allocated

    def _current(self, device: Device, peers: list[Peer], book: AddressBook) -> Address | None:
        """The address that it has: by its status, else by its Peer (after a restore without status)."""
        if device.status.tunnel_address:
            return read_address(device.status.tunnel_address)
        hosts = [
            address for peer in peers for text in peer.spec.allowed_ips if (address := read_address(text))
        ]
        return next((address for address in hosts if book.covers(address)), None)

    def _trouble(
        self, device: Device, address: Address, book: AddressBook, *, pinned: bool
    ) -> Trouble | None:
        assert device.spec.hub_ref is not None
        hub = device.spec.hub_ref.name
        what = f"spec.tunnelAddress {address}" if pinned else f"its tunnel address {address}"
        if address in book.own:
            return Trouble(CONFLICT, f"{what} is the own address of Hub {hub}: write another one")
        if not book.covers(address):
            return Trouble(
                OUTSIDE_HUB,
                f"{what} is no usable address of the networks of Hub {hub}: write spec.tunnelAddress within "
                "them, or add an address of its network to the Hub's spec.addresses",
                stays=True,
            )
        rivals = sorted(one for one in book.holders(address) if self._comes_first(one, device, address))
        if not rivals:
            return None
        mine = self._right(device, address)
        had = not pinned and mine is not None and mine[0] == _HAD
        if had and all(self._owner(one, device) is None for one in rivals):
            return Trouble(
                CONFLICT,
                f"{what} is on the interface for Peer {rivals[0].name}: give that one another, or delete it; or "
                "write another spec.tunnelAddress, and set that on the router too",
                stays=True,
            )
        return Trouble(
            CONFLICT,
            f"{what} belongs to {rivals[0].kind} {rivals[0].name} already: write another one, or leave it out and "
            "one is found",
        )

    def _comes_first(self, holder: Holder, device: Device, address: Address) -> bool:
        """Say whether somebody has a better right to an address that both want."""
        owner = self._owner(holder, device)
        if owner is None:
            return self._by_hand_first(holder, device, address)
        if owner == device.name:
            return False
        other = self._device(device.namespace, owner)
        if other is None:
            return True
        mine, theirs = (self._right(one, address) for one in (device, other))
        return theirs is not None and (mine is None or theirs < mine)

    def _owner(self, holder: Holder, device: Device) -> str | None:
        """Name the Device for which somebody holds an address; None: a Peer that was made for none that exists."""
        if holder.kind != "Peer":
            return holder.name
        peer = self._read_peer(holder, device)
        owner = made_for(peer) if peer is not None else None
        return owner if owner is not None and self._device(device.namespace, owner) is not None else None

    def _by_hand_first(self, holder: Holder, device: Device, address: Address) -> bool:
        """Say so of such a Peer. A Device that has the address keeps it (E9), unless that Peer is on the interface
        with it and the Device's is not; a Device that only asks for it comes after a Peer that names it.
        """
        mine, peer = self._right(device, address), self._read_peer(holder, device)
        said = peer.status.condition("Applied") if peer is not None else None
        applied = (
            peer is not None
            and said is not None
            and said.status == "True"
            and said.observed_generation == peer.metadata.generation
        )
        return mine is None or mine[0] > (_APPLIED if applied else _HAD)

    def _read_peer(self, holder: Holder, device: Device) -> Peer | None:
        stored = self._store.get(PEER, device.namespace, holder.name)
        return stored.read(Peer) if stored is not None else None

    def _right(self, device: Device, address: Address) -> tuple[Any, ...] | None:
        """The right of a Device to an address, least first: applied, had, asked for; then the older."""
        peers = self._index.peers(device.namespace, device.name)
        having = [peer for peer in peers if address in map(read_address, peer.spec.allowed_ips)]
        had = having or read_address(device.status.tunnel_address or "") == address
        pinned = read_address(device.spec.tunnel_address or "")
        if (pinned is not None and pinned != address) or (pinned is None and not had):
            promised = self._index.promised(device.namespace, device.name)
            return (_ASKED, age_key(device)) if pinned is None and promised == address else None
        if any((said := peer.status.condition("Applied")) and said.status == "True" for peer in having):
            return (_APPLIED, age_key(device))
        return (_HAD if had else _ASKED, age_key(device))

    def _device(self, namespace: str, name: str) -> Device | None:
        stored = self._store.get(DEVICE, namespace, name)
        return stored.read(Device) if stored is not None else None

    # The Peer

    def _peer(self, device: Device, peers: list[Peer], address: Address | None, plan: Plan) -> str | None:
        """Plan the Peer and give the name of the one that there is or will be."""
        assert device.spec.hub_ref is not None
        going = [peer for peer in peers if peer.metadata.deletion_timestamp is not None]
        there = sorted((peer for peer in peers if peer.metadata.deletion_timestamp is None), key=age_key)
        if device.spec.public_key is None:
            plan.delete = there
            return None
        if there and there[0].spec.hub_ref == device.spec.hub_ref:
            plan.delete = there[1:]
            if address is not None and (patch := _difference(there[0], device, address)):
                plan.change = (there[0], patch)
            return there[0].name
        plan.delete = there
        if there or going:
            return (there or going)[0].name  # a new one is made once it has left the interface
        if address is None or plan.trouble is not None:
            return None
        name = self._free_name(device)
        if name is None:
            plan.trouble = Trouble(
                NAME_TAKEN,
                f"Peers that others made have the names {device.name} and "
                f"{second_peer_name(device.name, device.metadata.uid)}: delete one of them",
            )
            return None
        plan.create = {
            "metadata": {"name": name, "finalizers": [FINALIZER_INTERFACE], **_metadata(device)},
            "spec": {
                "hubRef": {"name": device.spec.hub_ref.name},
                "deviceRef": {"name": device.name},
                **_spec(device, address),
            },
        }
        return name

    def _free_name(self, device: Device) -> str | None:
        names = (device.name, second_peer_name(device.name, device.metadata.uid))
        return next((name for name in names if self._store.get(PEER, device.namespace, name) is None), None)


def _spec(device: Device, address: Address) -> dict[str, Any]:
    networks = dict.fromkeys([address.network(), *device.spec.lan_networks])
    return {"publicKey": device.spec.public_key, "allowedIPs": list(networks)}


def _metadata(device: Device) -> dict[str, Any]:
    """Labels, and the owner without blockOwnerDeletion: the Device's own clean-up waits for no Peer (E6)."""
    owner = {
        "apiVersion": GROUP_VERSION,
        "kind": "Device",
        "name": device.name,
        "uid": device.metadata.uid,
        "controller": True,
    }
    labels = {LABEL_MANAGED_BY: MANAGED_BY_OPERATOR, LABEL_DEVICE: label_value(device.name)}
    return {"labels": labels, "ownerReferences": [owner]}


def _difference(peer: Peer, device: Device, address: Address) -> dict[str, Any]:
    """Give what is to change of a Peer; fields that are not ours, such as a preshared key, stay."""
    patch: dict[str, Any] = {}
    spec = _spec(device, address)
    if peer.spec.public_key != spec["publicKey"] or set(peer.spec.allowed_ips) != set(spec["allowedIPs"]):
        patch["spec"] = spec
    if all(owner.uid != device.metadata.uid for owner in peer.metadata.owner_references):
        patch["metadata"] = _metadata(device)  # the Device was made anew, from a backup for example
    return patch
