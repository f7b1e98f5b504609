"""E7: whatever the order of deliveries, lost events, relists, late answers and listings, the Store ends equal
to the server's truth, and never calls itself complete early.

The machine plays an API server with a selection (as a field selector makes one), kopf with a queue per
object, a watch that may be cut, and listings that take their time.
"""

from collections import deque
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from cerebro.kube.cache.store import EventType, Store
from cerebro.kube.objects import Change, Listing
from cerebro.resources import SESSION
from support.manifests import NAMESPACE, session

NAMES = st.sampled_from(["a", "b", "c"])
PICK = st.integers(0, 1000)


class ServerAndStore(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        self.version = 0
        self.uids = 0
        self.objects: dict[str, dict[str, Any]] = {}
        self.selected: set[str] = set()
        self.left: dict[str, int] = {}
        self.queues: dict[str, deque[tuple[EventType, dict[str, Any]]]] = {}
        self.answers: list[dict[str, Any]] = []
        self.watching = True
        self.listing: tuple[Listing, int] | None = None
        self.last_listing: Listing | None = None
        self.replayed: dict[str, str] = {}
        self.early: list[str] = []
        self.store.subscribe(self._replay)
        self.store.on_complete(lambda _kind, _namespace: self._judge())

    def _replay(self, change: Change) -> None:
        expected = self.replayed.get(change.name)
        assert (change.old.uid if change.old else None) == expected
        if change.new:
            self.replayed[change.name] = change.new.uid
        else:
            del self.replayed[change.name]

    def _judge(self) -> None:
        """Complete is early when a listed object is unknown though the server has it since then.

        One that left the selection after the listing and came again is like one that came after it: news that a
        cut watch owes.
        """
        listing = self.last_listing or (
            self.listing[0] if self.listing else None
        )
        if listing is None:
            self.early.append("complete without a listing")
            return
        here = {stored.uid for stored in self.store.all(SESSION, NAMESPACE)}
        there = {
            body["metadata"]["uid"]
            for name, body in self.objects.items()
            if name in self.selected
        }
        stayed = {
            uid
            for uid in there
            if self.left.get(uid, 0) <= listing.resource_version
        }
        self.early += [
            uid for uid in listing.uids if uid in stayed and uid not in here
        ]

    def _event(self, event_type: EventType, body: dict[str, Any]) -> None:
        if self.watching:
            self.queues.setdefault(body["metadata"]["uid"], deque()).append(
                (event_type, body)
            )

    def _write(self, name: str, uid: str) -> dict[str, Any]:
        self.version += 1
        body: dict[str, Any] = session(name, uid, self.version)
        self.objects[name] = body
        return body

    @rule(name=NAMES)
    def create(self, name: str) -> None:
        if name not in self.objects:
            self.uids += 1
            body = self._write(name, f"u{self.uids}")
            self.selected.add(name)
            self._event("ADDED", body)
            self.answers.append(body)

    @rule(name=NAMES)
    def update(self, name: str) -> None:
        if name in self.objects:
            body = self._write(name, self.objects[name]["metadata"]["uid"])
            if name in self.selected:
                self._event("MODIFIED", body)
            self.answers.append(body)

    @rule(name=NAMES)
    def leave_or_enter_the_selection(self, name: str) -> None:
        if name not in self.objects:
            return
        body = self._write(name, self.objects[name]["metadata"]["uid"])
        if name in self.selected:
            self.selected.discard(name)
            self.left[body["metadata"]["uid"]] = self.version
            self._event("DELETED", body)
        else:
            self.selected.add(name)
            self._event("ADDED", body)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if name in self.objects:
            body = self._write(name, self.objects.pop(name)["metadata"]["uid"])
            del self.objects[name]
            if name in self.selected:
                self.selected.discard(name)
                self._event("DELETED", body)

    @rule()
    def cut_the_watch(self) -> None:
        self.watching = False

    @precondition(lambda self: not self.watching)
    @rule()
    def relist(self) -> None:
        self.watching = True
        for name in self.selected:
            self._event(None, self.objects[name])

    @rule(pick=PICK)
    def deliver_an_event(self, pick: int) -> None:
        waiting = [queue for queue in self.queues.values() if queue]
        if waiting:
            self.store.deliver(
                SESSION, *waiting[pick % len(waiting)].popleft()
            )

    @rule(pick=PICK)
    def deliver_an_answer(self, pick: int) -> None:
        if self.answers:
            self.store.deliver(
                SESSION, "MODIFIED", self.answers.pop(pick % len(self.answers))
            )

    @precondition(lambda self: self.listing is None)
    @rule()
    def begin_a_listing(self) -> None:
        since = self.store.sequence
        uids = {
            self.objects[name]["metadata"]["uid"]: name
            for name in self.selected
        }
        self.listing = (Listing(uids, self.version), since)

    @precondition(lambda self: self.listing is not None)
    @rule()
    def end_the_listing(self) -> None:
        assert self.listing is not None
        (self.last_listing, since), self.listing = self.listing, None
        self.store.reconcile_listing(
            SESSION, NAMESPACE, self.last_listing, since
        )

    @invariant()
    def never_complete_early(self) -> None:
        assert self.early == []
        if self.last_listing is None:
            assert not self.store.complete(SESSION, NAMESPACE)

    @invariant()
    def changes_tell_the_whole_story(self) -> None:
        assert self.replayed == {
            stored.name: stored.uid
            for stored in self.store.all(SESSION, NAMESPACE)
        }

    def teardown(self) -> None:
        """All arrives, the watch is repaired, and one listing is compared: equal, and complete."""
        while self.answers:
            self.deliver_an_answer(0)
        if self.listing is not None:
            self.end_the_listing()
        self.watching = False
        self.relist()
        while any(self.queues.values()):
            self.deliver_an_event(0)
        self.begin_a_listing()
        self.end_the_listing()
        truth = {
            name: self.objects[name]["metadata"] for name in self.selected
        }
        stored = self.store.all(SESSION, NAMESPACE)
        assert {
            item.name: (item.uid, str(item.resource_version))
            for item in stored
        } == {
            name: (meta["uid"], meta["resourceVersion"])
            for name, meta in truth.items()
        }
        assert self.store.complete(SESSION, NAMESPACE)
        self.never_complete_early()


TestServerAndStore = ServerAndStore.TestCase
TestServerAndStore.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None
)
