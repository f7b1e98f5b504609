"""The Store, delivery by delivery."""

from cerebro.kube.cache.store import Store
from cerebro.kube.objects import Change, Listing, StoredObject
from cerebro.resources import DEVICE, SESSION, Session
from support.manifests import NAMESPACE, going, session


def recorded(store: Store) -> list[Change]:
    changes: list[Change] = []
    store.subscribe(changes.append)
    return changes


def test_an_object_comes_changes_and_goes() -> None:
    store = Store()
    changes = recorded(store)
    store.deliver(SESSION, "ADDED", session("a", "1", 10))
    store.deliver(SESSION, "MODIFIED", session("a", "1", 11, revoked=True))
    stored = store.get(SESSION, NAMESPACE, "a")
    assert stored is not None
    model = stored.read(Session)
    assert model is not None
    assert model.spec.revoked
    store.deliver(SESSION, "DELETED", session("a", "1", 12))
    assert store.get(SESSION, NAMESPACE, "a") is None
    assert [(c.old is not None, c.new is not None) for c in changes] == [
        (False, True),
        (True, True),
        (True, False),
    ]


def test_older_versions_are_no_news() -> None:
    store = Store()
    store.deliver(SESSION, "ADDED", session("a", "1", 10, revoked=True))
    changes = recorded(store)
    store.deliver(SESSION, "MODIFIED", session("a", "1", 9))
    store.deliver(SESSION, None, session("a", "1", 10))
    store.deliver(SESSION, "DELETED", session("a", "1", 8))
    assert changes == []
    assert [
        stored.resource_version for stored in store.all(SESSION, NAMESPACE)
    ] == [10]


def test_the_answer_to_a_write_that_comes_after_the_deletion_makes_no_ghost() -> (
    None
):
    store = Store()
    store.deliver(SESSION, "ADDED", session("a", "1", 10))
    store.deliver(SESSION, "DELETED", session("a", "1", 12))
    assert store.deliver(SESSION, "MODIFIED", session("a", "1", 11)) is None
    assert store.deliver(SESSION, "MODIFIED", session("a", "1", 12)) is None
    assert list(store.all(SESSION)) == []


def test_an_object_that_comes_back_into_the_selection_is_taken() -> None:
    store = Store()
    store.deliver(SESSION, "DELETED", session("a", "1", 12))
    store.deliver(SESSION, "ADDED", session("a", "1", 13))
    assert len(store.all(SESSION)) == 1


def test_a_namesake_replaces_the_one_before_in_any_order() -> None:
    for late in (True, False):
        store = Store()
        old, new = session("a", "1", 10), session("a", "2", 20)
        first, second = (new, old) if late else (old, new)
        store.deliver(SESSION, "ADDED", first)
        store.deliver(SESSION, "ADDED", second)
        store.deliver(SESSION, "DELETED", session("a", "1", 15))
        assert [stored.uid for stored in store.all(SESSION)] == ["2"]
        assert store.by_uid(SESSION, NAMESPACE, "1") is None


def test_b9_an_unreadable_object_is_kept_frozen_and_its_field_is_named() -> (
    None
):
    store = Store()
    store.deliver(SESSION, "ADDED", session("a", "1", 10))
    body = session("a", "1", 11)
    body["spec"]["client"]["macAddress"] = "secret-looking-value"
    change = store.deliver(SESSION, "MODIFIED", body)
    assert change is not None
    assert change.new is not None
    assert change.new.model is None
    assert change.new.raw == body
    assert "spec.client.macAddress" in (change.new.error or "")
    assert store.frozen(SESSION) == [change.new]
    store.deliver(SESSION, "MODIFIED", session("a", "1", 12))
    assert store.frozen(SESSION) == []


def test_an_index_follows_every_change() -> None:
    def device(stored: StoredObject) -> str | None:
        model = stored.read(Session)
        return model.spec.device_ref.name if model else None

    store = Store()
    store.deliver(SESSION, "ADDED", session("a", "1", 1))
    index = store.add_index(SESSION, device)
    store.deliver(SESSION, "ADDED", session("b", "2", 2))
    store.deliver(SESSION, "ADDED", session("c", "3", 3, device="router-2"))
    assert sorted(
        stored.name for stored in index.get(NAMESPACE, "router-1")
    ) == ["a", "b"]
    store.deliver(SESSION, "DELETED", session("a", "1", 4))
    store.deliver(SESSION, "MODIFIED", session("b", "2", 5, device="router-2"))
    assert list(index.get(NAMESPACE, "router-1")) == []
    assert sorted(
        stored.name for stored in index.get(NAMESPACE, "router-2")
    ) == ["b", "c"]
    assert index.keys(NAMESPACE) == ["router-2"]


def test_a_subscriber_that_fails_stops_nobody() -> None:
    def fail(_: Change) -> None:
        raise RuntimeError("no")

    store = Store()
    store.subscribe(fail)
    changes = recorded(store)
    store.deliver(SESSION, "ADDED", session("a", "1", 1))
    assert len(changes) == 1


def test_e7_what_a_listing_lacks_goes_unless_it_came_since() -> None:
    store = Store()
    store.deliver(SESSION, "ADDED", session("gone", "1", 1))
    since = store.sequence
    store.deliver(SESSION, "ADDED", session("new", "2", 9))
    result = store.reconcile_listing(SESSION, NAMESPACE, Listing({}, 5), since)
    assert [stored.name for stored in result.dropped] == ["gone"]
    assert [stored.name for stored in store.all(SESSION)] == ["new"]
    assert store.deliver(SESSION, "MODIFIED", session("gone", "1", 4)) is None


def test_e7_complete_only_when_each_listed_object_was_delivered_or_deleted_since() -> (
    None
):
    store = Store()
    assert not store.complete(SESSION, NAMESPACE)
    completed: list[str] = []
    store.on_complete(lambda kind, _: completed.append(kind.kind))
    store.reconcile_listing(
        SESSION, NAMESPACE, Listing({"1": "a", "2": "b"}, 5), 0
    )
    store.deliver(SESSION, None, session("a", "1", 1))
    assert not store.complete(SESSION, NAMESPACE)
    store.deliver(SESSION, "DELETED", session("b", "2", 6))
    assert store.complete(SESSION, NAMESPACE)
    assert completed == ["Session"]
    assert not store.complete(DEVICE, NAMESPACE)


def test_e7_a_deletion_before_the_listing_does_not_count_as_since() -> None:
    store = Store()
    store.deliver(SESSION, "DELETED", session("a", "1", 4))
    store.reconcile_listing(
        SESSION, NAMESPACE, Listing({"1": "a"}, 5), store.sequence
    )
    assert not store.complete(SESSION, NAMESPACE)


def test_e7_a_complete_collection_is_doubted_when_listed_objects_do_not_come() -> (
    None
):
    store = Store()
    store.reconcile_listing(SESSION, NAMESPACE, Listing({}, 5), 0)
    assert store.complete(SESSION, NAMESPACE)
    store.reconcile_listing(SESSION, NAMESPACE, Listing({"1": "a"}, 6), 0)
    assert store.complete(SESSION, NAMESPACE)
    assert store.doubt(SESSION, NAMESPACE) == {"1"}
    assert not store.complete(SESSION, NAMESPACE)
    store.deliver(SESSION, "ADDED", session("a", "1", 6))
    assert store.complete(SESSION, NAMESPACE)


def shown(store: Store, name: str) -> bool:
    """Say whether the model has a deletionTimestamp."""
    stored = store.get(SESSION, NAMESPACE, name)
    assert stored is not None
    assert stored.model is not None
    return stored.model.metadata.deletion_timestamp is not None


def test_e13_a_deletion_that_nobody_believes_is_kept_from_the_model_whoever_delivers_it() -> (
    None
):
    store = Store()
    store.deliver(SESSION, "ADDED", session("a", "1", 1))
    store.deliver(
        SESSION, "MODIFIED", going(session("a", "1", 2, revoked=True))
    )
    store.deliver(SESSION, None, going(session("b", "2", 3)))
    assert (shown(store, "a"), shown(store, "b")) == (False, False)
    assert store.held(SESSION, NAMESPACE) == ["1", "2"]
    stored = store.get(SESSION, NAMESPACE, "a")
    assert stored is not None
    assert stored.resource_version == 2
    assert stored.raw == going(session("a", "1", 2, revoked=True))
    model = stored.read(Session)
    assert model is not None
    assert model.spec.revoked, "all else is news"
    assert store.frozen(SESSION) == []


def test_e13_a_deletion_that_is_believed_is_shown_with_a_change_and_from_then_on() -> (
    None
):
    store = Store()
    store.deliver(SESSION, "ADDED", going(session("a", "1", 1)))
    changes = recorded(store)
    store.believe(SESSION, NAMESPACE, ["1", "2"])
    assert [(c.old and c.old.held, c.new and c.new.held) for c in changes] == [
        (True, False)
    ]
    assert store.by_uid(SESSION, NAMESPACE, "1") is store.get(
        SESSION, NAMESPACE, "a"
    )
    store.deliver(SESSION, "MODIFIED", going(session("a", "1", 2)))
    store.deliver(SESSION, "ADDED", going(session("b", "2", 3)))
    assert (shown(store, "a"), shown(store, "b")) == (True, True)
    assert store.held(SESSION, NAMESPACE) == []
    store.believe(SESSION, NAMESPACE, ["1"])
    assert len(changes) == 3
    store.deliver(SESSION, "DELETED", going(session("a", "1", 4)))
    assert not store.believed(SESSION, NAMESPACE, "1")
