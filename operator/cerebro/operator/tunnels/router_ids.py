"""Of Devices with one routerID the older gets the orders of the backend; here the others learn that. Pure.

Compared is within a namespace, as the bridge serves one. One change costs a look at the Devices of that routerID,
however many others there are.
"""

from __future__ import annotations

from typing import Any

from cerebro.kube.cache.store import Store
from cerebro.kube.objects import Change, Name, StoredObject
from cerebro.operator.tunnels.plan import Trouble
from cerebro.resources import DEVICE, Device, age_key
from cerebro.resources.reasons import DUPLICATE_ROUTER_ID

"""Reasons of Ready on a Device that are the operator's; an agent leaves them standing."""


class RouterIDs:
    """Knows the Devices by routerID, out of the store."""

    def __init__(self, store: Store) -> None:
        self._devices = store.add_index(DEVICE, _key)

    def concerned(self, change: Change) -> list[Name]:
        """Give the other Devices for which a change of the store decides anew who gets the orders."""
        if change.kind is not DEVICE or _place(change.old) == _place(change.new):
            return []
        keys = {key for item in (change.old, change.new) if item is not None and (key := _key(item))}
        found = [item for key in keys for item in self._devices.get(change.namespace, key)]
        return [(item.namespace, item.name) for item in found if item.name != change.name]

    def trouble(self, device: Device) -> Trouble | None:
        """Say that an older Device has the routerID; a terminating one has nothing left to say of it."""
        if device.metadata.deletion_timestamp is not None:
            return None
        found = (item.read(Device) for item in self._devices.get(device.namespace, device.router_key))
        older = min((one for one in found if one is not None), key=age_key, default=device)
        if age_key(older) >= age_key(device):
            return None
        return Trouble(
            DUPLICATE_ROUTER_ID,
            f"the older Device {older.name} has the routerID {older.router_id!r} too and gets the backend's "
            "orders for it: write another spec.routerID here, or delete the Device that is not needed; Sessions "
            "that name this Device are served",
        )


def _key(item: StoredObject) -> str | None:
    device = item.read(Device)
    return device.router_key if device is not None else None


def _place(item: StoredObject | None) -> tuple[Any, ...] | None:
    """Give what of an object bears on who gets the orders."""
    device = item.read(Device) if item is not None else None
    return (device.router_key, device.router_id, age_key(device)) if device is not None else None
