"""E7 and E13: the comparison of the Store with a list, and what is believed of deletions, by a few lines of API
server.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from cerebro.kube.cache.completeness import Completeness, Watch
from cerebro.kube.cache.presence import Presence
from cerebro.kube.cache.store import Store
from cerebro.kube.cache.watcher import Watcher
from cerebro.kube.client.errors import NotFound, Unavailable
from cerebro.kube.objects import Listing
from cerebro.resources import SESSION, Kind
from cerebro.runtime.backoff import Backoff
from support.manifests import NAMESPACE, going, session

WATCH = Watch(SESSION, NAMESPACE, "status.finished!=true")
ALL_VERBS = frozenset({"get", "list", "watch", "create", "delete"})


class FakeApi:
    def __init__(self) -> None:
        self.listing = Listing({}, 100)
        self.failures = 0
        self.lists = 0
        self.selectors: set[str | None] = set()
        self.during: Callable[[], object] = lambda: None
        self.verbs = ALL_VERBS
        self.group_status = 200
        self.phase: str | None = "Active"
        self.discoveries = 0

    async def list_uids(
        self, kind: Kind, namespace: str, *, field_selector: str | None = None
    ) -> Listing:
        self.lists += 1
        self.selectors.add(field_selector)
        if self.failures:
            self.failures -= 1
            raise Unavailable("not now", status=503)
        self.during()
        return self.listing

    async def served(self) -> dict[str, frozenset[str]]:
        self.discoveries += 1
        if self.group_status != 200:
            raise Unavailable("no", status=self.group_status)
        return {"sessions": self.verbs}

    async def get_namespace(self, name: str) -> dict[str, object]:
        if self.phase is None:
            raise Unavailable("no", status=403)
        if self.phase == "gone":
            raise NotFound("no", status=404)
        return {"status": {"phase": self.phase}}


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what happens in tasks that tell nobody; bounded."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not happen in 10,000 turns")


def make(api: FakeApi, store: Store) -> Completeness:
    presence = Presence(api, backoff=Backoff(0.001, 0.001))  # type: ignore[arg-type]
    return Completeness(
        store,
        api,  # type: ignore[arg-type]
        [WATCH],
        presence=presence,
        check_interval=3600,
        backoff_ceiling=0.01,
    )


async def test_e7_a_deletion_that_nobody_reported_is_found() -> None:
    api, store = FakeApi(), Store()
    store.deliver(SESSION, None, session("a", "1", 1))
    assert await make(api, store).check(WATCH)
    assert list(store.all(SESSION)) == []
    assert api.selectors == {"status.finished!=true"}


async def test_e7_what_came_during_the_list_stays() -> None:
    api, store = FakeApi(), Store()
    api.during = lambda: store.deliver(
        SESSION, "ADDED", session("a", "1", 101)
    )
    assert await make(api, store).check(WATCH)
    assert len(store.all(SESSION)) == 1


async def test_e7_errors_are_waited_out_and_complete_comes_with_the_last_object() -> (
    None
):
    api, store = FakeApi(), Store()
    api.failures = 3
    api.listing = Listing({"1": "a"}, 100)
    completeness = make(api, store)
    task = asyncio.create_task(completeness.run())
    await until(lambda: api.lists >= 6)
    assert not completeness.complete()
    store.deliver(SESSION, None, session("a", "1", 1))
    await asyncio.wait_for(completeness.wait_complete(), 10)
    task.cancel()


async def test_e7_a_relist_asks_for_a_check_at_once() -> None:
    api, store = FakeApi(), Store()
    completeness = make(api, store)
    task = asyncio.create_task(completeness.run())
    await asyncio.wait_for(completeness.wait_complete(), 10)
    before = api.lists
    completeness.request(WATCH)
    await until(lambda: api.lists > before)
    task.cancel()


async def test_e13_a_terminating_crd_or_namespace_removes_nothing() -> None:
    for change in (
        {"verbs": ALL_VERBS - {"create"}},
        {"phase": "Terminating"},
        {"phase": "gone"},
    ):
        api, store = FakeApi(), Store()
        vars(api).update(change)
        store.deliver(SESSION, None, session("a", "1", 1))
        assert not await make(api, store).check(WATCH)
        assert len(store.all(SESSION)) == 1, change


async def test_e13_a_group_that_is_not_served_is_not_intact_and_a_namespace_we_may_not_read_is() -> (
    None
):
    api = FakeApi()
    presence = Presence(api, backoff=Backoff(0.001, 0.001))  # type: ignore[arg-type]
    api.phase = None
    assert await presence.intact(SESSION, NAMESPACE)
    api.group_status = 404
    assert not await presence.intact(SESSION, NAMESPACE)


async def test_e13_a_burst_of_deletions_costs_one_question_and_an_outage_is_waited_out() -> (
    None
):
    api = FakeApi()
    presence = Presence(api, backoff=Backoff(0.001, 0.001))  # type: ignore[arg-type]
    answers = await asyncio.gather(
        *(presence.intact(SESSION, NAMESPACE) for _ in range(50))
    )
    assert all(answers)
    assert api.discoveries == 1
    api.group_status = 503
    waiting = asyncio.create_task(presence.intact(SESSION, NAMESPACE))
    await until(lambda: api.discoveries >= 4)
    assert not waiting.done()
    api.group_status = 200
    assert await asyncio.wait_for(waiting, 10)


async def test_e13_an_outage_costs_a_request_at_a_time_however_many_deletions_wait() -> (
    None
):
    api = FakeApi()
    api.group_status = 503
    presence = Presence(api, backoff=Backoff(0.02, 0.02))  # type: ignore[arg-type]
    waiting = [
        asyncio.create_task(presence.intact(SESSION, NAMESPACE))
        for _ in range(1000)
    ]
    await until(lambda: api.discoveries >= 5)
    api.group_status = 200
    assert all(await asyncio.wait_for(asyncio.gather(*waiting), 60))
    assert api.discoveries < 100, "not one for each of them"


Deliver = Callable[[str | None, dict[str, Any]], Awaitable[None]]


def delivering(api: FakeApi, store: Store) -> Deliver:
    """Hand an event to the watcher as kopf does."""
    presence = Presence(api, backoff=Backoff(0.001, 0.001))  # type: ignore[arg-type]
    watcher = Watcher(
        api,  # type: ignore[arg-type]
        store,
        [WATCH],
        presence=presence,
        relisted=lambda _: None,
    )

    async def deliver(event_type: str | None, body: dict[str, Any]) -> None:
        event = {"type": event_type, "object": body}
        rest = watcher._take(SESSION.plural, event)
        if rest is not None:
            await rest

    return deliver


def shown(store: Store) -> set[str]:
    """Names of the objects that are being deleted, as far as the loops can see."""
    return {
        stored.name
        for stored in store.all(SESSION)
        if stored.model is not None
        and stored.model.metadata.deletion_timestamp is not None
    }


async def test_e13_what_waits_for_a_finalizer_is_asked_about_in_one_go_and_nothing_else_is() -> (
    None
):
    api, store = FakeApi(), Store()
    deliver = delivering(api, store)
    names = [f"s{number}" for number in range(1000)]
    for name in names:
        await deliver("ADDED", session(name, name, 1))
    assert api.discoveries == 0
    await asyncio.gather(
        *(deliver("MODIFIED", going(session(name, name, 2))) for name in names)
    )
    assert shown(store) == set(names)
    assert api.discoveries == 1
    await asyncio.gather(
        *(deliver("MODIFIED", going(session(name, name, 3))) for name in names)
    )
    assert api.discoveries == 1, "believed once, believed for ever"


async def test_e13_what_waits_for_a_finalizer_while_crd_or_namespace_goes_stays_as_it_was() -> (
    None
):
    for change in (
        {"verbs": ALL_VERBS - {"create"}},
        {"phase": "Terminating"},
        {"phase": "gone"},
    ):
        api, store = FakeApi(), Store()
        deliver = delivering(api, store)
        await deliver("ADDED", session("a", "1", 1))
        vars(api).update(change)
        await deliver("MODIFIED", going(session("a", "1", 2)))
        await deliver(None, going(session("listed", "2", 3)))
        assert shown(store) == set(), change
        await deliver("DELETED", going(session("a", "1", 4)))
        assert {stored.name for stored in store.all(SESSION)} == {
            "a",
            "listed",
        }, change


async def test_e13_a_deletion_seen_while_discovery_lacked_us_is_believed_at_the_next_comparison() -> (
    None
):
    api, store = FakeApi(), Store()
    deliver = delivering(api, store)
    api.group_status = 404
    await deliver("ADDED", going(session("a", "1", 2)))
    api.listing = Listing({"1": "a"}, 100)
    completeness = make(api, store)
    assert await completeness.check(WATCH), "complete, as nothing is gone"
    assert shown(store) == set()
    api.group_status = 200
    assert await completeness.check(WATCH)
    assert shown(store) == {"a"}
