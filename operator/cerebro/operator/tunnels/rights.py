"""Whether a Device may have a tunnel address that somebody else holds too
(rule E9). Pure.

Routers have their address in their configuration. So an address that is in use
stays where it is, also when the networks of the Hub change or a Peer that a
person made names it. Among Devices of the same standing the older gets it.
"""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import NamedTuple

from cerebro.kube.cache.store import Store
from cerebro.operator.tunnels.addresses import (
    Address,
    AddressBook,
    Holder,
    read_address,
)
from cerebro.operator.tunnels.index import TunnelIndex, made_for
from cerebro.operator.tunnels.trouble import Trouble
from cerebro.resources import DEVICE, PEER, Device, Peer, age_key
from cerebro.resources.reasons import CONFLICT, OUTSIDE_HUB


class Standing(IntEnum):
    """How good the right of a Device to an address is, the best first."""

    APPLIED = 0
    """Its Peer is on the interface with it."""

    HAD = 1
    """Its status or its Peer has it."""

    ASKED = 2
    """Its spec asks for it, or it was promised to the Device."""


class Right(NamedTuple):
    """The right of a Device to an address. The smaller right is the better
    one.
    """

    standing: Standing

    age: tuple[datetime, str, str]


class AddressRights:
    """Compares the holders of an address, out of the store and the index of
    addresses.
    """

    def __init__(self, store: Store, index: TunnelIndex) -> None:
        self._store = store
        self._index = index

    def obstacle(
        self,
        device: Device,
        address: Address,
        book: AddressBook,
        *,
        pinned: bool,
    ) -> Trouble | None:
        """Return why the Device may not have the address; None if it may.

        `book` is that of its Hub. `pinned`: the address comes from
        spec.tunnelAddress.
        """

        assert device.spec.hub_ref is not None
        hub = device.spec.hub_ref.name
        subject = (
            f"spec.tunnelAddress {address}"
            if pinned
            else f"its tunnel address {address}"
        )

        if address in book.own:
            message = (
                f"{subject} is the own address of Hub {hub}: write another one"
            )

            return Trouble(CONFLICT, message)

        if not book.covers(address):
            message = (
                f"{subject} is no usable address of the networks of Hub {hub}: write spec.tunnelAddress within "
                "them, or add an address of its network to the Hub's spec.addresses"
            )

            return Trouble(OUTSIDE_HUB, message, keeps_address=True)

        rivals = sorted(
            holder
            for holder in book.holders(address)
            if self._outranks(holder, device, address)
        )

        if not rivals:
            return None

        rival = rivals[0]
        if not pinned and self._lost_to_manual_peers(device, address, rivals):
            message = (
                f"{subject} is on the interface for Peer {rival.name}: give that one another, or delete it; or "
                "write another spec.tunnelAddress, and set that on the router too"
            )

            return Trouble(CONFLICT, message, keeps_address=True)

        message = (
            f"{subject} belongs to {rival.kind} {rival.name} already: write another one, or leave it out and "
            "one is found"
        )

        return Trouble(CONFLICT, message)

    def _lost_to_manual_peers(
        self, device: Device, address: Address, rivals: list[Holder]
    ) -> bool:
        """Return whether the Device had the address, and only Peers that were
        made by hand outrank it.
        """
        right = self._right(device, address)
        if right is None or right.standing is not Standing.HAD:
            return False

        return all(self._owner(rival, device) is None for rival in rivals)

    def _outranks(
        self, holder: Holder, device: Device, address: Address
    ) -> bool:
        """Return whether a holder has a better right to the address than the
        Device.
        """

        owner_name = self._owner(holder, device)
        if owner_name is None:
            return self._manual_peer_outranks(holder, device, address)

        if owner_name == device.name:
            return False

        owner = self._device(device.namespace, owner_name)
        if owner is None:
            return True

        right = self._right(device, address)
        owner_right = self._right(owner, address)
        if owner_right is None:
            return False

        return right is None or owner_right < right

    def _owner(self, holder: Holder, device: Device) -> str | None:
        """Return the name of the Device for which a holder holds an address.

        None for a Peer that was made by hand, or for a Device that does not
        exist any more.
        """

        if holder.kind != "Peer":
            return holder.name

        peer = self._peer(holder, device)
        owner = made_for(peer) if peer is not None else None
        exists = (
            owner is not None
            and self._device(device.namespace, owner) is not None
        )

        return owner if exists else None

    def _manual_peer_outranks(
        self, holder: Holder, device: Device, address: Address
    ) -> bool:
        """Return whether a manually created Peer outranks the Device for this
        address.

        The Device keeps an address it already uses, unless only the manual
        Peer is applied. A Device that only asks for the address comes after a
        Peer that names it.
        """

        right = self._right(device, address)
        if right is None:
            return True

        peer = self._peer(holder, device)
        applied = peer is not None and _is_applied(peer)

        return right.standing > (Standing.APPLIED if applied else Standing.HAD)

    def _right(self, device: Device, address: Address) -> Right | None:
        """Return the right of a Device to an address; None if it has none."""
        peers = self._index.peers(device.namespace, device.name)
        with_address = [
            peer
            for peer in peers
            if address in map(read_address, peer.spec.allowed_ips)
        ]

        in_status = read_address(device.status.tunnel_address or "") == address
        had = in_status or bool(with_address)
        age = age_key(device)

        # A Device that asks for another address gives this one up.
        pinned = read_address(device.spec.tunnel_address or "")
        if pinned is not None and pinned != address:
            return None

        if pinned is None and not had:
            promised = self._index.promised(device.namespace, device.name)
            return Right(Standing.ASKED, age) if promised == address else None

        if any(_is_on_interface(peer) for peer in with_address):
            return Right(Standing.APPLIED, age)

        return Right(Standing.HAD if had else Standing.ASKED, age)

    def _peer(self, holder: Holder, device: Device) -> Peer | None:
        stored = self._store.get(PEER, device.namespace, holder.name)
        return stored.read(Peer) if stored is not None else None

    def _device(self, namespace: str, name: str) -> Device | None:
        stored = self._store.get(DEVICE, namespace, name)
        return stored.read(Device) if stored is not None else None


def _is_on_interface(peer: Peer) -> bool:
    """Return whether the agent reports the Peer as applied, in whichever
    generation of it.
    """
    applied = peer.status.condition("Applied")

    return applied is not None and applied.status == "True"


def _is_applied(peer: Peer) -> bool:
    """Return whether the agent reports the Peer as applied as its spec is now."""
    applied = peer.status.condition("Applied")

    return (
        applied is not None
        and applied.status == "True"
        and applied.observed_generation == peer.metadata.generation
    )
