"""What this process knows of the objects that it watches: fed by deliveries,
read by the loops. No I/O, no clock.

Deliveries are watch events, listed objects, and answers to our own writes, in
any order and any number of times; the higher resourceVersion wins. Whether the
Store holds all that the server has is decided by rule E7: `completeness.py`
runs it, `reconcile_listing` here applies it. An object that our models cannot
read is kept, frozen (rule B9). An object that is being deleted is shown
without its deletionTimestamp until `believe` (rule E13).
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ValidationError

from cerebro.kube.objects import Change, Listing, R, StoredObject
from cerebro.resources import Kind

EventType = Literal["ADDED", "MODIFIED", "DELETED"] | None
"""As in a watch; None stands for an object out of kopf's list."""

_GRAVES = 10_000
"""Deleted UIDs that are remembered of a collection. A UID that is forgotten
too early costs one more listing and nothing else.
"""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reconciled:
    """What a listing showed."""

    dropped: tuple[StoredObject, ...]
    """Objects that the listing lacks, and the Store no longer has."""
    missing: frozenset[str]
    """UIDs that are listed and not delivered yet."""


Subscriber = Callable[[Change], None]
"""Called with each change."""
Completed = Callable[[Kind, str], None]
"""Called with the kind and namespace of a collection that became complete."""


class Index:
    """Objects of one kind by a key of the caller's choice, for example
    Sessions by the name of their Device.

    Made by `Store.add_index`, which keeps it up to date.
    """

    def __init__(self, key: Callable[[StoredObject], Hashable | None]) -> None:
        """`key` returns the key of an object, None if the index is to lack it."""
        self._key = key
        self._entries: dict[tuple[str, Hashable], dict[str, StoredObject]] = {}

    def get(self, namespace: str, key: Hashable) -> Collection[StoredObject]:
        """Return the objects with that key; a live view, so copy it before
        awaiting.
        """
        return self._entries.get((namespace, key), {}).values()

    def keys(self, namespace: str) -> list[Hashable]:
        """Return the keys that have objects."""
        return [key for of, key in self._entries if of == namespace]

    def _apply(
        self, old: StoredObject | None, new: StoredObject | None
    ) -> None:
        """Take a change of an object: out under its old key, in under its new
        one.
        """
        old_key = self._key(old) if old is not None else None
        if old is not None and old_key is not None:
            entries = self._entries.get((old.namespace, old_key), {})
            entries.pop(old.uid, None)

            if not entries:
                self._entries.pop((old.namespace, old_key), None)

        new_key = self._key(new) if new is not None else None
        if new is not None and new_key is not None:
            self._entries.setdefault((new.namespace, new_key), {})[new.uid] = (
                new
            )


@dataclass
class _Collection:
    """One kind in one namespace."""

    kind: Kind
    namespace: str
    by_name: dict[str, StoredObject] = field(default_factory=dict)
    by_uid: dict[str, StoredObject] = field(default_factory=dict)
    delivered: dict[str, int] = field(default_factory=dict)
    """Sequence number of the last delivery, by UID."""
    graves: OrderedDict[str, int] = field(default_factory=OrderedDict)
    """UIDs that went, with the resource version up to which deliveries of them
    are stale.
    """
    missing: set[str] = field(default_factory=set)
    """UIDs that the last listing had and nobody delivered yet."""
    going: set[str] = field(default_factory=set)
    """UIDs whose deletionTimestamp is believed (rule E13)."""
    listed: bool = False
    """Whether a listing was taken at all."""
    complete: bool = False
    """Whether the Store is known to hold all of it (rule E7)."""


class Store:
    """Objects by kind and namespace. No method waits; subscribers are called
    within `deliver`.
    """

    def __init__(self) -> None:
        self.sequence = 0
        """Number of the last delivery (rule E7)."""
        self._collections: dict[tuple[str, str], _Collection] = {}
        """By kind and namespace."""
        self._indexes: dict[str, list[Index]] = {}
        """By kind."""
        self._subscribers: list[Subscriber] = []
        self._completed: list[Completed] = []

    # --- reading

    def get(
        self, kind: Kind, namespace: str, name: str
    ) -> StoredObject | None:
        """Return an object by its name, None if the Store has none."""
        collection = self._collections.get((kind.kind, namespace))

        return collection.by_name.get(name) if collection else None

    def by_uid(
        self, kind: Kind, namespace: str, uid: str
    ) -> StoredObject | None:
        """Return an object by its UID, None if the Store has none."""
        collection = self._collections.get((kind.kind, namespace))

        return collection.by_uid.get(uid) if collection else None

    def all(
        self, kind: Kind, namespace: str | None = None
    ) -> Collection[StoredObject]:
        """Return the objects of a kind.

        With a namespace they are a live view (copy it before awaiting),
        without one a list.
        """
        if namespace is not None:
            collection = self._collections.get((kind.kind, namespace))
            return collection.by_name.values() if collection else ()

        return [
            item
            for (of, _), collection in self._collections.items()
            if of == kind.kind
            for item in collection.by_name.values()
        ]

    def models(
        self, kind: Kind, model: type[R], namespace: str | None = None
    ) -> Iterator[R]:
        """Yield the readable objects as their models."""
        for stored in self.all(kind, namespace):
            item = stored.read(model)
            if item is not None:
                yield item

    def frozen(self, kind: Kind) -> list[StoredObject]:
        """Return the objects that our model cannot read (rule B9)."""
        return [stored for stored in self.all(kind) if stored.model is None]

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` at every change; it must be quick and must not
        raise.
        """
        self._subscribers.append(subscriber)

    def on_complete(self, completed: Completed) -> None:
        """Call `completed` whenever a collection becomes complete: removals
        may go on.
        """
        self._completed.append(completed)

    def add_index(
        self, kind: Kind, key: Callable[[StoredObject], Hashable | None]
    ) -> Index:
        """Return a new index, with the objects that the Store has already.

        `key` returns the key of an object, None if the index is to lack it.
        """
        index = Index(key)
        for stored in self.all(kind):
            index._apply(None, stored)

        self._indexes.setdefault(kind.kind, []).append(index)

        return index

    # --- deliveries

    def deliver(
        self, kind: Kind, event_type: EventType, body: dict[str, Any]
    ) -> Change | None:
        """Take one object as the server has it (or, DELETED, had it). Return
        the change, or None if nothing changed.

        Answers to our own writes are delivered as MODIFIED. Raises KeyError or
        ValueError for what is no Kubernetes object at all.
        """

        metadata = body["metadata"]
        uid, namespace, name = (
            metadata["uid"],
            metadata.get("namespace", ""),
            metadata["name"],
        )

        version = int(metadata["resourceVersion"])
        collection = self._collection(kind, namespace)
        self.sequence += 1

        # A late delivery of an object that went.
        if version <= collection.graves.get(uid, -1):
            return None

        known = collection.by_uid.get(uid)
        if event_type == "DELETED":
            if known is not None and known.resource_version > version:
                return None

            self._bury(collection, uid, version)

            if known is None:
                return None

            return self._replace(collection, known, None)

        # A name has one object at a time: of two UIDs with one name the older
        # object went.
        namesake = collection.by_name.get(name)
        if namesake is not None and namesake.uid != uid:
            if namesake.resource_version > version:
                self._bury(collection, uid, namesake.resource_version)
                return None

            self._bury(collection, namesake.uid, version)

        collection.graves.pop(uid, None)
        collection.delivered[uid] = self.sequence
        change = None

        if known is None or known.resource_version < version:
            going = uid in collection.going
            stored = _parse(kind, body, version, going=going)
            change = self._replace(collection, namesake, stored)

        self._settle(collection, uid)

        return change

    def _replace(
        self,
        collection: _Collection,
        old: StoredObject | None,
        new: StoredObject | None,
    ) -> Change:
        """Put `new` in the place of `old`, one of which may be None, and hand
        the change to all subscribers.
        """

        either = new or old
        assert either is not None

        if old is not None:
            collection.by_uid.pop(old.uid, None)
            collection.by_name.pop(old.name, None)

            if new is None or new.uid != old.uid:
                collection.delivered.pop(old.uid, None)

        if new is not None:
            collection.by_uid[new.uid] = new
            collection.by_name[new.name] = new

        # Indexes are up to date before a subscriber reads them.
        for index in self._indexes.get(either.kind.kind, ()):
            index._apply(old, new)

        change = Change(either.kind, either.namespace, either.name, old, new)
        for subscriber in self._subscribers:
            try:
                subscriber(change)
            except Exception:
                log.exception(
                    "a subscriber of the store failed for %s %s/%s",
                    *_names(change),
                )

        return change

    # --- deletions that are believed or not (rule E13)

    def believe(self, kind: Kind, namespace: str, uids: Iterable[str]) -> None:
        """Show the deletionTimestamps of these objects, known or yet to come.

        Each of them was set before the objects' CRD and namespace were found
        intact.
        """
        collection = self._collection(kind, namespace)
        for uid in uids:
            collection.going.add(uid)
            stored = collection.by_uid.get(uid)
            if stored is not None and stored.held and stored.raw is not None:
                shown = _parse(
                    kind, stored.raw, stored.resource_version, going=True
                )

                self._replace(collection, stored, shown)

    def believed(self, kind: Kind, namespace: str, uid: str) -> bool:
        """Return whether a deletionTimestamp of that object is believed."""
        return uid in self._collection(kind, namespace).going

    def held(self, kind: Kind, namespace: str) -> list[str]:
        """Return the UIDs of the objects whose deletion is not believed."""
        return [
            stored.uid for stored in self.all(kind, namespace) if stored.held
        ]

    # --- completeness (rule E7)

    def reconcile_listing(
        self, kind: Kind, namespace: str, listing: Listing, since: int
    ) -> Reconciled:
        """Drop the objects that the listing lacks, unless they were delivered
        after it was asked for.

        `since` is the sequence number of the last delivery before that. From
        then on the collection is complete as soon as each listed UID was
        delivered, or deleted after the listing.
        """

        collection = self._collection(kind, namespace)

        dropped = [
            stored
            for uid, stored in collection.by_uid.items()
            if uid not in listing.uids and collection.delivered[uid] <= since
        ]

        for stored in dropped:
            self._bury(
                collection,
                stored.uid,
                max(listing.resource_version, stored.resource_version),
            )

            self._replace(collection, stored, None)

        collection.listed = True
        collection.missing = {
            uid
            for uid in listing.uids
            if uid not in collection.by_uid
            and collection.graves.get(uid, -1) <= listing.resource_version
        }

        self._settle(collection, None)

        return Reconciled(tuple(dropped), frozenset(collection.missing))

    def complete(self, kind: Kind, namespace: str) -> bool:
        """Return whether the Store is known to hold all objects of that
        collection.

        Until then nothing may be removed for want of an object.
        """
        collection = self._collections.get((kind.kind, namespace))

        return collection is not None and collection.complete

    def doubt(self, kind: Kind, namespace: str) -> frozenset[str]:
        """Call a collection incomplete if listed objects are still not
        delivered; return their UIDs.
        """
        collection = self._collection(kind, namespace)
        if collection.missing:
            collection.complete = False

        return frozenset(collection.missing)

    def _collection(self, kind: Kind, namespace: str) -> _Collection:
        key = (kind.kind, namespace)
        if key not in self._collections:
            self._collections[key] = _Collection(kind, namespace)

        return self._collections[key]

    def _bury(self, collection: _Collection, uid: str, version: int) -> None:
        """Remember that an object went; deliveries of it up to `version` are
        stale.
        """

        collection.going.discard(uid)
        collection.graves[uid] = max(version, collection.graves.get(uid, -1))
        collection.graves.move_to_end(uid)

        if len(collection.graves) > _GRAVES:
            collection.graves.popitem(last=False)

        self._settle(collection, uid)

    def _settle(self, collection: _Collection, uid: str | None) -> None:
        """Strike a UID off those that a listing showed and nobody delivered.

        The collection is complete once no such UID remains.
        """
        collection.missing.discard(uid or "")

        if (
            collection.listed
            and not collection.missing
            and not collection.complete
        ):
            collection.complete = True
            for completed in self._completed:
                completed(collection.kind, collection.namespace)


def _parse(
    kind: Kind, body: dict[str, Any], version: int, *, going: bool
) -> StoredObject:
    """Read an object with our model; frozen if that cannot read it (rule B9).

    `going`: its deletionTimestamp is believed. Otherwise the model is shown
    without it (rule E13).
    """

    metadata = body["metadata"]
    namespace, name, uid = (
        metadata.get("namespace", ""),
        metadata["name"],
        metadata["uid"],
    )

    held = not going and metadata.get("deletionTimestamp") is not None
    shown = body

    if held:
        shown = {**body, "metadata": {**metadata, "deletionTimestamp": None}}

    try:
        model = kind.model.model_validate(shown)
    except ValidationError as error:
        return StoredObject(
            kind, namespace, name, uid, version, None, _explain(error), body
        )

    return StoredObject(
        kind, namespace, name, uid, version, model, raw=body if held else None
    )


def _explain(error: ValidationError) -> str:
    """Return which fields could not be read and why, the first five, without
    their values.
    """
    reasons = []
    for item in error.errors(
        include_url=False, include_context=False, include_input=False
    )[:5]:
        path = ".".join(str(step) for step in item["loc"])
        reasons.append(f"{path or 'object'}: {item['msg']}")

    return "; ".join(reasons)


def _names(change: Change) -> tuple[str, str, str]:
    return change.kind.kind, change.namespace, change.name
