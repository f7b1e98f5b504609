"""Who holds which tunnel address, and which Devices must be looked at, as the
changes of the store show it.

Pure: no I/O and no clock. A change costs the look at one Device, however many
there are: all of them are looked at only after a start and when their Hub
changes. This module follows and remembers; `plan` decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cerebro.kube.cache.references import hub_of
from cerebro.kube.cache.store import Store
from cerebro.kube.objects import Change, Name, StoredObject
from cerebro.operator.tunnels.addresses import (
    Address,
    AddressBook,
    Holder,
    read_addresses,
)
from cerebro.resources import DEVICE, HUB, PEER, Device, Hub, Peer
from cerebro.resources.naming import LABEL_MANAGED_BY, MANAGED_BY_OPERATOR

_NO_ADDRESSES: frozenset[Address] = frozenset()


def made_for(peer: Peer) -> str | None:
    """Return the name of the Device that the operator made a Peer for.

    None for a Peer that a person or the bridge made.
    """
    made_by_operator = (
        peer.metadata.labels.get(LABEL_MANAGED_BY) == MANAGED_BY_OPERATOR
    )

    if not made_by_operator or peer.spec.device_ref is None:
        return None

    return peer.spec.device_ref.name


class TunnelIndex:
    """The address book of every Hub, the Peers of every Device, and the
    Devices that must be looked at.

    `changed` must be called with each change of the store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._devices = store.add_index(DEVICE, hub_of)
        self._peers = store.add_index(PEER, _device_name)

        self._books: dict[Name, AddressBook] = {}
        """By Hub."""
        self._promised: dict[Name, Address] = {}
        """By Device: an address that was allocated to it and is not in its
        status yet.
        """

        self._marked: set[Name] = set()
        """Devices that must be looked at."""
        self._waiting: dict[Name, Name] = {}
        """Devices that wait for something, each with its Hub."""
        self._freed: set[Name] = set()
        """Hubs with an address that was given up since the last `take`."""

    def changed(self, change: Change) -> None:
        """Take one change of the store."""
        if change.kind is HUB:
            self._hub_changed(change)
        elif change.kind is DEVICE:
            self._device_changed(change)
        elif change.kind is PEER:
            self._peer_changed(change)

    def _hub_changed(self, change: Change) -> None:
        hub_name = (change.namespace, change.name)
        hub = change.new.read(Hub) if change.new is not None else None

        # A Hub that cannot be read keeps its book as it was (rule B9); a Hub
        # that is gone has no addresses.
        unreadable = change.new is not None and hub is None
        if not unreadable:
            addresses = hub.spec.addresses if hub is not None else ()
            self.book(*hub_name).set_hub(change.name, addresses)
            self._drop_if_empty(hub_name)

        devices = self._devices.get(*hub_name)
        self.mark((change.namespace, device.name) for device in devices)

    def _device_changed(self, change: Change) -> None:
        name = (change.namespace, change.name)
        self._end_promise(name, change.new)
        self._hold(change)
        self._marked.add(name)

    def _peer_changed(self, change: Change) -> None:
        self._hold(change)

        # The Device of the same name: the name may be free now, and its Peer
        # can have it.
        self._marked.add((change.namespace, change.name))

        for stored in (change.old, change.new):
            device = _device_name(stored) if stored is not None else None
            if device is not None:
                self._marked.add((change.namespace, device))

    # What the books hold

    def book(self, namespace: str, hub: str) -> AddressBook:
        """Return the address book of a Hub, also of a Hub that does not exist:
        Devices and Peers name it.
        """
        return self._books.setdefault((namespace, hub), AddressBook())

    def books(self) -> Mapping[Name, AddressBook]:
        """Return the address books, by Hub."""
        return self._books

    def peers(self, namespace: str, device: str) -> list[Peer]:
        """Return the Peers that the operator made for a Device; without those
        that cannot be read.
        """
        readable = (
            stored.read(Peer) for stored in self._peers.get(namespace, device)
        )

        return [peer for peer in readable if peer is not None]

    def _hold(self, change: Change) -> None:
        """Write a change of a Device or Peer into the books of the Hubs that
        it named before and names now.
        """
        before = hub_of(change.old) if change.old is not None else None
        after = hub_of(change.new) if change.new is not None else None
        holder = Holder(change.kind.kind, change.name)

        for hub in {before, after}:
            if hub is None:
                continue

            addresses = _NO_ADDRESSES
            if hub == after and change.new is not None:
                addresses = read_addresses(_addresses(change.new))

            hub_name = (change.namespace, hub)
            gave_up = self.book(*hub_name).hold(holder, addresses)
            if gave_up:
                self._freed.add(hub_name)

            self._drop_if_empty(hub_name)

    def _drop_if_empty(self, hub: Name) -> None:
        if hub in self._books and self._books[hub].empty:
            del self._books[hub]

    # Addresses that are allocated to a Device and not in its status yet

    def promise(self, device: Device, address: Address) -> None:
        """Keep an address for a Device until its status shows one: no other
        Device gets it meanwhile.
        """
        assert device.spec.hub_ref is not None
        self._promised[(device.namespace, device.name)] = address

        book = self.book(device.namespace, device.spec.hub_ref.name)
        book.hold(Holder("Promise", device.name), frozenset({address}))

    def promised(self, namespace: str, device: str) -> Address | None:
        """Return the address that a Device was promised; None if it was
        promised none.
        """
        return self._promised.get((namespace, device))

    def _end_promise(self, name: Name, stored: StoredObject | None) -> None:
        """End the promise to a Device that has an address, asks for another
        one, or is gone (None).
        """

        waits = stored is not None and not _names_address(stored)
        if name not in self._promised or waits:
            return

        del self._promised[name]
        namespace, device = name
        for hub, book in list(self._books.items()):
            if hub[0] != namespace:
                continue

            gave_up = book.hold(Holder("Promise", device), _NO_ADDRESSES)
            if not gave_up:
                continue

            if stored is None:
                self._freed.add(hub)

            self._drop_if_empty(hub)

    # Devices that must be looked at

    def mark(self, names: Iterable[Name]) -> None:
        """Mark Devices: they are looked at next."""
        self._marked.update(names)

    def mark_all(self) -> None:
        """Mark all Devices."""
        self.mark(
            (stored.namespace, stored.name)
            for stored in self._store.all(DEVICE)
        )

    def mark_waiting(self) -> None:
        """Mark the Devices that wait for something."""
        self.mark(self._waiting)

    def waits(self, device: Device, waiting: bool) -> None:
        """Record whether a Device waits: then it is also looked at when an
        address of its Hub is given up.
        """
        name = (device.namespace, device.name)
        if waiting and device.spec.hub_ref is not None:
            self._waiting[name] = (device.namespace, device.spec.hub_ref.name)
        else:
            self._waiting.pop(name, None)

    def forget(self, name: Name) -> None:
        """Forget that a Device waits: it is gone."""
        self._waiting.pop(name, None)

    def any_marked(self) -> bool:
        """Return whether a Device must be looked at."""
        return bool(self._marked or self._freed)

    def take(self, number: int) -> list[Name]:
        """Return up to `number` Devices to look at, and unmark them.

        They come sorted by namespace and name: after a loss of all statuses
        the Devices get their addresses in the same order (rule E9).
        """
        if self._freed:
            self.mark(
                name
                for name, hub in self._waiting.items()
                if hub in self._freed
            )

            self._freed.clear()

        taken = sorted(self._marked)[:number]
        self._marked.difference_update(taken)

        return taken


def _addresses(stored: StoredObject) -> Iterable[str | None]:
    """Return the texts in which a Device or Peer names tunnel addresses, also
    if it cannot be read (rule B9).
    """

    model = stored.model
    if isinstance(model, Device):
        return (model.spec.tunnel_address, model.status.tunnel_address)

    if isinstance(model, Peer):
        return model.spec.allowed_ips

    spec = _part(stored, "spec")
    status = _part(stored, "status")
    texts = [spec.get("tunnelAddress"), status.get("tunnelAddress")]
    networks = spec.get("allowedIPs")
    if isinstance(networks, list):
        texts += networks

    return [text for text in texts if isinstance(text, str)]


def _names_address(stored: StoredObject) -> bool:
    return any(_addresses(stored))


def _device_name(stored: StoredObject) -> str | None:
    return made_for(stored.model) if isinstance(stored.model, Peer) else None


def _part(stored: StoredObject, name: str) -> dict[str, Any]:
    """Return the spec or status in the body of an unreadable object; empty if
    it is none.
    """
    part = (stored.raw or {}).get(name)

    return part if isinstance(part, dict) else {}
