"""Devices that share a routerID. Pure.

If several Devices have the same routerID, the oldest gets the backend's
orders. This module finds what the others report, within one namespace, as the
bridge serves one. A change costs a look at the Devices of that routerID,
however many others there are.
"""

from __future__ import annotations

from datetime import datetime

from cerebro.kube.cache.store import Store
from cerebro.kube.objects import Change, Name, StoredObject
from cerebro.operator.tunnels.trouble import Trouble
from cerebro.resources import DEVICE, Device, age_key
from cerebro.resources.reasons import DUPLICATE_ROUTER_ID


class RouterIDs:
    """The Devices by routerID, out of the store."""

    def __init__(self, store: Store) -> None:
        self._devices = store.add_index(DEVICE, _router_key)

    def concerned(self, change: Change) -> list[Name]:
        """Return the other Devices of the routerIDs that a change of the store
        gives or takes.
        """

        if change.kind is not DEVICE or _claim(change.old) == _claim(
            change.new
        ):
            return []

        before = _router_key(change.old) if change.old is not None else None
        after = _router_key(change.new) if change.new is not None else None
        keys = {key for key in (before, after) if key is not None}

        sharing = [
            stored
            for key in keys
            for stored in self._devices.get(change.namespace, key)
        ]

        return [
            (stored.namespace, stored.name)
            for stored in sharing
            if stored.name != change.name
        ]

    def trouble(self, device: Device) -> Trouble | None:
        """Return that an older Device has the routerID too; None if none has,
        or if this one is being deleted.
        """

        if device.metadata.deletion_timestamp is not None:
            return None

        stored_devices = self._devices.get(device.namespace, device.router_key)
        readable = (stored.read(Device) for stored in stored_devices)
        sharing = (sharer for sharer in readable if sharer is not None)
        oldest = min(sharing, key=age_key, default=device)
        if age_key(oldest) >= age_key(device):
            return None

        return Trouble(
            DUPLICATE_ROUTER_ID,
            f"the older Device {oldest.name} has the routerID {oldest.router_id!r} too and gets the backend's "
            "orders for it: write another spec.routerID here, or delete the Device that is not needed; Sessions "
            "that name this Device are served",
        )


def _router_key(stored: StoredObject) -> str | None:
    device = stored.read(Device)
    return device.router_key if device is not None else None


def _claim(
    stored: StoredObject | None,
) -> tuple[str, str, tuple[datetime, str, str]] | None:
    """Return what decides who gets the orders: the routerID in both spellings,
    and the age.
    """
    device = stored.read(Device) if stored is not None else None
    if device is None:
        return None

    return device.router_key, device.router_id, age_key(device)
