"""What a Device gets of the operator: a tunnel address (rule E9) and a Peer.
Pure.

An address that was given stays. A Device without a public key has no Peer; a
Device whose key is taken away loses its Peer and keeps its address. A Peer
that a person made is never touched.

This module decides; `controller` writes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cerebro.kube.cache.store import Store
from cerebro.operator.tunnels.addresses import (
    Address,
    AddressBook,
    read_address,
)
from cerebro.operator.tunnels.index import TunnelIndex
from cerebro.operator.tunnels.manifest import peer_manifest, peer_patch
from cerebro.operator.tunnels.rights import AddressRights
from cerebro.operator.tunnels.trouble import Trouble
from cerebro.resources import HUB, PEER, Device, Hub, Peer, Reference, age_key
from cerebro.resources.naming import second_peer_name
from cerebro.resources.reasons import HUB_NOT_FOUND, NAME_TAKEN, POOL_EXHAUSTED


@dataclass
class Plan:
    """What is to be written for one Device. A field that is None or empty:
    nothing of that sort.
    """

    allocated: Address | None = None
    """An address that was found just now: no other Device may get it."""

    create: dict[str, Any] | None = None
    """Manifest of a Peer."""

    change: tuple[Peer, dict[str, Any]] | None = None
    """A Peer, and a merge patch that holds for this version of it."""

    delete: list[Peer] = field(default_factory=list)

    status: dict[str, str] | None = None
    """The operator's fields of the Device's status, under their wire names."""

    trouble: Trouble | None = None
    """Why the Device has no address or no Peer."""


class Planner:
    """Plans for one Device at a time, out of the store and the index of
    addresses.
    """

    def __init__(self, store: Store, index: TunnelIndex) -> None:
        self._store = store
        self._index = index
        self._rights = AddressRights(store, index)

    def plan(self, device: Device) -> Plan:
        """Return what a Device gets. Devices without a Hub, and those being
        deleted, get nothing.
        """

        plan = Plan()
        hub_ref = device.spec.hub_ref
        if hub_ref is None or device.metadata.deletion_timestamp is not None:
            return plan

        stored_hub = self._store.get(HUB, device.namespace, hub_ref.name)
        if stored_hub is None:
            plan.trouble = Trouble(
                HUB_NOT_FOUND,
                f"Hub {hub_ref.name} does not exist in namespace {device.namespace}: create it, or make the "
                "Device again with another hubRef",
            )

            return plan

        if stored_hub.read(Hub) is None:
            return plan  # it cannot be read, so nothing changes behind it (rule B9)

        peers = self._index.peers(device.namespace, device.name)
        address = self._plan_address(device, hub_ref, peers, plan)
        peer_name = self._plan_peer(device, hub_ref, peers, address, plan)
        plan.status = _status(device, address, peer_name)

        return plan

    # The address

    def _plan_address(
        self, device: Device, hub_ref: Reference, peers: list[Peer], plan: Plan
    ) -> Address | None:
        """Return the address of a Device, and set what the plan says of it.

        With a trouble in the plan this is the address that the Device has in
        spite of it, if it has one.
        """

        book = self._index.book(device.namespace, hub_ref.name)
        current = _current_address(device, peers, book)
        pinned = read_address(device.spec.tunnel_address or "")
        wanted = (
            pinned
            or current
            or self._index.promised(device.namespace, device.name)
        )

        if wanted is not None:
            trouble = self._rights.obstacle(
                device, wanted, book, pinned=pinned is not None
            )

            if trouble is None:
                return wanted

            if pinned is not None or trouble.keeps_address:
                plan.trouble = trouble
                return current

        # It has none, or one that it may not keep: a free one is found.
        plan.allocated = book.find(device.namespace, device.name)
        if plan.allocated is None:
            plan.trouble = Trouble(
                POOL_EXHAUSTED,
                f"the networks of Hub {hub_ref.name} have no free address: add an address of a further network to "
                "its spec.addresses, or delete Devices that are not needed",
            )

        return plan.allocated

    # The Peer

    def _plan_peer(
        self,
        device: Device,
        hub_ref: Reference,
        peers: list[Peer],
        address: Address | None,
        plan: Plan,
    ) -> str | None:
        """Plan the Peer of a Device, and return the name of the Peer that it
        has or gets.
        """

        leaving = [
            peer
            for peer in peers
            if peer.metadata.deletion_timestamp is not None
        ]

        staying = [
            peer for peer in peers if peer.metadata.deletion_timestamp is None
        ]

        staying.sort(key=age_key)

        if device.spec.public_key is None:
            plan.delete = staying
            return None

        # The oldest Peer on the right Hub is the Device's, and is changed
        # where it differs.
        if staying and staying[0].spec.hub_ref == hub_ref:
            peer = staying[0]
            plan.delete = staying[1:]
            patch = (
                peer_patch(peer, device, address)
                if address is not None
                else {}
            )

            if patch:
                plan.change = (peer, patch)

            return peer.name

        # A new Peer is made once the old one has left the interface.
        plan.delete = staying

        if staying or leaving:
            return (staying or leaving)[0].name

        if address is None or plan.trouble is not None:
            return None

        return self._plan_new_peer(device, hub_ref, address, plan)

    def _plan_new_peer(
        self, device: Device, hub_ref: Reference, address: Address, plan: Plan
    ) -> str | None:
        """Plan a new Peer under the first free name of two, and return that
        name.
        """
        names = (
            device.name,
            second_peer_name(device.name, device.metadata.uid),
        )

        for name in names:
            if self._store.get(PEER, device.namespace, name) is None:
                plan.create = peer_manifest(device, hub_ref, name, address)
                return name

        plan.trouble = Trouble(
            NAME_TAKEN,
            f"Peers that others made have the names {names[0]} and {names[1]}: delete one of them",
        )

        return None


def _current_address(
    device: Device, peers: list[Peer], book: AddressBook
) -> Address | None:
    """Return the address that a Device has: by its status, else by its Peer
    (after a restore without statuses).
    """
    if device.status.tunnel_address:
        return read_address(device.status.tunnel_address)

    texts = (text for peer in peers for text in peer.spec.allowed_ips)
    addresses = (read_address(text) for text in texts)

    return next(
        (
            address
            for address in addresses
            if address is not None and book.covers(address)
        ),
        None,
    )


def _status(
    device: Device, address: Address | None, peer_name: str | None
) -> dict[str, str] | None:
    """Return the operator's fields of the Device's status, without empty ones;
    None if the status has them already.

    A Device without an address that may be used keeps the one in its status.
    """

    tunnel_address = (
        str(address) if address is not None else device.status.tunnel_address
    )

    wanted = {"tunnelAddress": tunnel_address, "peerName": peer_name}
    current = {
        "tunnelAddress": device.status.tunnel_address,
        "peerName": device.status.peer_name,
    }

    wanted_fields = {name: value for name, value in wanted.items() if value}
    current_fields = {name: value for name, value in current.items() if value}

    return wanted_fields if wanted_fields != current_fields else None
