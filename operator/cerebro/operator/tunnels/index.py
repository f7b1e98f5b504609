"""Follows the store's changes of Hubs, Devices and Peers: who holds which tunnel address, and which Devices
must be looked at. Pure: no I/O, no clock.

So one change costs the look at one Device, however many there are; nothing is computed anew for all of them,
but after a start and when a Hub changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cerebro.kube.cache.references import hub_of
from cerebro.kube.cache.store import Store
from cerebro.kube.objects import Change, Name, StoredObject
from cerebro.operator.tunnels.addresses import Address, AddressBook, Holder, read_addresses
from cerebro.resources import DEVICE, HUB, PEER, Device, Hub, Peer
from cerebro.resources.naming import LABEL_MANAGED_BY, MANAGED_BY_OPERATOR

"""Namespace and name."""


def made_for(peer: Peer) -> str | None:
    """Name the Device that the operator made a Peer for; None for one that a person or the bridge made."""
    if peer.metadata.labels.get(LABEL_MANAGED_BY) != MANAGED_BY_OPERATOR or peer.spec.device_ref is None:
        return None
    return peer.spec.device_ref.name


class TunnelIndex:
    """Knows of every Hub its address book, and of every Device its Peers; subscribe `changed` to the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._books: dict[Name, AddressBook] = {}
        self._devices = store.add_index(DEVICE, hub_of)
        self._peers = store.add_index(PEER, _device_name)
        self._dirty: set[Name] = set()
        self._waiting: dict[Name, Name] = {}
        self._promised: dict[Name, Address] = {}
        self._freed: set[Name] = set()

    def changed(self, change: Change) -> None:
        """Take one change of the store."""
        name = (change.namespace, change.name)
        if change.kind is HUB:
            hub = change.new.read(Hub) if change.new is not None else None
            if change.new is None or hub is not None:
                self.book(*name).set_hub(change.name, hub.spec.addresses if hub is not None else ())
                self._drop_if_empty(name)
            self._dirty.update((change.namespace, item.name) for item in self._devices.get(*name))
        elif change.kind is DEVICE:
            self._keep_promise(name, change.new)
            self._hold(change)
            self._dirty.add(name)
        elif change.kind is PEER:
            self._hold(change)
            self._dirty.add(name)  # the Device of the same name: the name may be free now
            for item in (change.old, change.new):
                device = _device_name(item) if item is not None else None
                if device is not None:
                    self._dirty.add((change.namespace, device))

    def book(self, namespace: str, hub: str) -> AddressBook:
        """Give the address book of a Hub; while the Hub does not exist it is kept for those that hold addresses."""
        return self._books.setdefault((namespace, hub), AddressBook())

    def books(self) -> Mapping[Name, AddressBook]:
        """Give the address books by Hub."""
        return self._books

    def _drop_if_empty(self, hub: Name) -> None:
        if hub in self._books and self._books[hub].empty:
            del self._books[hub]

    def peers(self, namespace: str, device: str) -> list[Peer]:
        """Give the Peers that were made for a Device."""
        found = (item.read(Peer) for item in self._peers.get(namespace, device))
        return [peer for peer in found if peer is not None]

    # What is promised to a Device and not in its status yet

    def promise(self, device: Device, address: Address) -> None:
        """Keep an address for a Device until it is seen to have one: nobody else gets it meanwhile."""
        assert device.spec.hub_ref is not None
        name = (device.namespace, device.name)
        self._promised[name] = address
        self.book(device.namespace, device.spec.hub_ref.name).hold(
            Holder("Promise", device.name), frozenset({address})
        )

    def promised(self, namespace: str, device: str) -> Address | None:
        """Give the address that a Device was promised."""
        return self._promised.get((namespace, device))

    def _keep_promise(self, name: Name, item: StoredObject | None) -> None:
        """A promise ends when the Device has an address, asks for another, or is not there."""
        if name not in self._promised or (item is not None and not _has_address(item)):
            return
        del self._promised[name]
        for hub, book in list(self._books.items()):
            if hub[0] == name[0] and book.hold(Holder("Promise", name[1]), frozenset()):
                if item is None:
                    self._freed.add(hub)
                self._drop_if_empty(hub)

    # Devices that must be looked at

    def mark(self, names: Iterable[Name]) -> None:
        """Have Devices looked at."""
        self._dirty.update(names)

    def mark_all(self) -> None:
        """Have all Devices looked at."""
        self.mark((item.namespace, item.name) for item in self._store.all(DEVICE))

    def mark_waiting(self) -> None:
        """Have those looked at that wait for something."""
        self.mark(self._waiting)

    def waits(self, device: Device, waiting: bool) -> None:
        """Remember whether a Device waits: it is looked at as well when an address of its Hub is given up."""
        name = (device.namespace, device.name)
        if waiting and device.spec.hub_ref is not None:
            self._waiting[name] = (device.namespace, device.spec.hub_ref.name)
        else:
            self._waiting.pop(name, None)

    def forget(self, name: Name) -> None:
        """Forget a Device that is gone."""
        self._waiting.pop(name, None)

    def any_marked(self) -> bool:
        """Say whether there are Devices to look at."""
        return bool(self._dirty or self._freed)

    def take(self, number: int) -> list[Name]:
        """Take Devices to look at, the first by namespace and name: a rebuild comes in the same order (E9)."""
        if self._freed:
            self.mark(name for name, hub in self._waiting.items() if hub in self._freed)
            self._freed.clear()
        taken = sorted(self._dirty)[:number]
        self._dirty.difference_update(taken)
        return taken

    def _hold(self, change: Change) -> None:
        """Write a change of a Device or Peer into the books of the Hubs that it names."""
        before = hub_of(change.old) if change.old is not None else None
        after = hub_of(change.new) if change.new is not None else None
        for hub in {before, after}:
            if hub is None:
                continue
            addresses = frozenset[Address]()
            if hub == after and change.new is not None:
                addresses = read_addresses(_addresses(change.new))
            if self.book(change.namespace, hub).hold(Holder(change.kind.kind, change.name), addresses):
                self._freed.add((change.namespace, hub))
            self._drop_if_empty((change.namespace, hub))


def _addresses(item: StoredObject) -> Iterable[str | None]:
    """Give the tunnel addresses that an object names, also one that our models cannot read (B9)."""
    if isinstance(item.model, Device):
        return (item.model.spec.tunnel_address, item.model.status.tunnel_address)
    if isinstance(item.model, Peer):
        return item.model.spec.allowed_ips
    spec, status = _part(item, "spec"), _part(item, "status")
    networks = spec.get("allowedIPs")
    texts = [spec.get("tunnelAddress"), status.get("tunnelAddress")]
    texts += networks if isinstance(networks, list) else []
    return [text for text in texts if isinstance(text, str)]


def _has_address(item: StoredObject) -> bool:
    return any(_addresses(item))


def _device_name(item: StoredObject) -> str | None:
    return made_for(item.model) if isinstance(item.model, Peer) else None


def _part(item: StoredObject, name: str) -> dict[str, Any]:
    part = (item.raw or {}).get(name)
    return part if isinstance(part, dict) else {}
