"""What every store promises of the records of access: each is made once, and waits until it is written."""

from __future__ import annotations

import asyncio

import pytest

from cerebro.bridge.errors import ApiError
from cerebro.bridge.store.access import (
    ENDED_MEMORY,
    RECORD_MEMORY,
    AccessChange,
)
from cerebro.bridge.store.base import BridgeStore
from cerebro.bridge.store.redis import access as redis_rows
from cerebro.bridge.store.sqlite import access as sqlite_rows
from support.stores import StoreFactory


def granted(uid: str = "u", before: str = "") -> AccessChange:
    return AccessChange(uid, before, "granted", True, (f"{uid} has access",))


def ended(uid: str = "u", before: str = "granted") -> AccessChange:
    return AccessChange(uid, before, "ended", False, (f"{uid} had access",))


async def bodies(store: BridgeStore) -> list[str]:
    return [record.body for record in await store.waiting_records(100)]


async def test_a_change_is_taken_with_its_records(store: BridgeStore) -> None:
    assert await store.keep_accesses([granted("a"), granted("b")], 1) == [
        True,
        True,
    ]
    assert await store.keep_accesses([ended("b")], 2) == [True]
    assert await store.accesses_of(["a", "b", "c"]) == {
        "a": "granted",
        "b": "ended",
    }
    assert await store.open_accesses() == {"a": "granted"}
    assert await bodies(store) == [
        "a has access",
        "b has access",
        "b had access",
    ]


async def test_of_two_bridges_one_makes_a_record(
    store: BridgeStore, make_store: StoreFactory
) -> None:
    twin = make_store()
    await twin.open()
    taken = await asyncio.gather(
        *(each.keep_accesses([granted()], 1) for each in (store, twin) * 3)
    )
    assert sorted(taken) == [[False]] * 5 + [[True]]
    assert await bodies(store) == ["u has access"]
    await twin.close()


async def test_a_change_that_another_forestalled_is_not_taken(
    store: BridgeStore,
) -> None:
    await store.keep_accesses([granted()], 1)
    assert await store.keep_accesses([ended(before="older")], 2) == [False]
    assert await store.open_accesses() == {"u": "granted"}
    assert await bodies(store) == ["u has access"]


async def test_a_client_may_have_access_once_more(store: BridgeStore) -> None:
    await store.keep_accesses([granted()], 1)
    await store.keep_accesses([ended()], 2)
    await store.keep_accesses([granted(before="ended")], 3)
    assert await store.open_accesses() == {"u": "granted"}
    await store.prune(3 + ENDED_MEMORY)
    assert await store.open_accesses() == {"u": "granted"}


async def test_what_waits_survives_a_restart_until_it_is_written(
    store: BridgeStore, make_store: StoreFactory
) -> None:
    await store.keep_accesses([granted("a"), granted("b")], 1)
    await store.close()
    after = make_store()
    await after.open()
    first, second = await after.waiting_records(100)
    assert first.seq < second.seq
    await after.records_written([first.seq])
    assert await bodies(after) == ["b has access"]
    assert await after.records_waiting() == 1
    assert await after.open_accesses() == {"a": "granted", "b": "granted"}
    await after.close()


async def test_a_sweep_forgets_what_ended_long_before_it(
    store: BridgeStore,
) -> None:
    assert await store.swept_at() == 0
    await store.keep_accesses([granted("a"), granted("b"), granted("c")], 1)
    await store.keep_accesses([ended("a")], 10)
    await store.keep_accesses([ended("b")], 20)
    await store.note_sweep(30, 10)
    assert await store.swept_at() == 30
    assert await store.accesses_of("abc") == {"b": "ended", "c": "granted"}


async def test_records_and_ended_accesses_have_an_age(
    store: BridgeStore,
) -> None:
    await store.keep_accesses([granted("a"), granted("b")], 1)
    await store.keep_accesses([ended("b")], 1)
    await store.prune(RECORD_MEMORY)
    assert await store.records_waiting() == 3
    await store.prune(1 + RECORD_MEMORY)
    assert await store.records_waiting() == 0
    await store.prune(1 + ENDED_MEMORY)
    assert await store.accesses_of("ab") == {"a": "granted"}


async def test_records_have_a_bound(
    store: BridgeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (redis_rows, sqlite_rows):
        monkeypatch.setattr(module, "MAX_RECORDS", 2)
    await store.keep_accesses([granted("a"), granted("b")], 1)
    with pytest.raises(ApiError, match="CEREBRO_RECORDS"):
        await store.keep_accesses([ended("a")], 2)
    assert await store.open_accesses() == {"a": "granted", "b": "granted"}
    await store.records_written(
        [record.seq for record in await store.waiting_records(1)]
    )
    assert await store.keep_accesses([ended("a")], 2) == [True]
