"""Tells each loop of a Device which of its Sessions changed since it looked
last, so that nobody goes over all of them to find out.
"""

from __future__ import annotations

from weakref import WeakSet

from cerebro.kube.cache.references import device_of, superseded_by
from cerebro.kube.cache.store import Store
from cerebro.kube.objects import Change, StoredObject
from cerebro.resources import SESSION


class ChangedUids:
    """UIDs of the Sessions of one Device that changed and were not taken yet."""

    def __init__(self) -> None:
        self._uids: dict[str, None] = {}

    def add(self, uid: str) -> None:
        """Note a Session that came, changed, went, or is seen otherwise."""
        self._uids[uid] = None

    def take(self) -> list[str]:
        """Return the UIDs in the order of their changes, and forget them."""
        uids = list(self._uids)
        self._uids.clear()

        return uids


class SessionChanges:
    """Hands changes of Sessions to whoever follows their Device.

    A change costs the same however many Devices and Sessions there are. One
    who follows is forgotten together with the `ChangedUids` that it holds.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._followers: dict[tuple[str, str], WeakSet[ChangedUids]] = {}
        store.subscribe(self._changed)

    def follow(self, namespace: str, device: str) -> ChangedUids:
        """Return what changes of a Device's Sessions, from now on and as long
        as the caller keeps it.
        """
        changed = ChangedUids()
        followers = self._followers.setdefault((namespace, device), WeakSet())
        followers.add(changed)

        return changed

    def _changed(self, change: Change) -> None:
        if change.kind is not SESSION:
            return

        for stored in (change.old, change.new):
            if stored is None:
                continue

            self._note(stored)
            self._note_superseded(stored)

    def _note(self, stored: StoredObject) -> None:
        device = device_of(stored)
        if device is None:
            return

        for changed in self._followers.get((stored.namespace, device), ()):
            changed.add(stored.uid)

    def _note_superseded(self, stored: StoredObject) -> None:
        """Note the Session in whose place this one stands: it counts as
        something else now (rule A10).
        """
        name = superseded_by(stored)
        if name is None:
            return

        superseded = self._store.get(SESSION, stored.namespace, name)
        if superseded is not None:
            self._note(superseded)
