"""The inbox: in which order it carries out, and what it does with faults and with what is left over."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Authorize, Client, Hello
from cerebro.bridge.order_check.check import FAILED, UNAVAILABLE
from cerebro.bridge.orders.inbox import Inbox
from cerebro.bridge.store.base import BridgeStore, Entry, LeftOver
from cerebro.bridge.store.sqlite.store import SqliteStore
from cerebro.domain.lifecycle import GrantWindows
from cerebro.kube.client.errors import Unavailable
from support.orders import at, order, revoke
from support.stores import StoreFactory


async def test_f2_intents_of_a_client_are_carried_out_in_order_whatever_happens(
    store: BridgeStore,
) -> None:
    done: dict[str, list[int]] = {}
    dice = random.Random(1)

    async def carry_out(entry: Entry) -> None:
        await asyncio.sleep(dice.random() * 0.002)
        if dice.random() < 0.3:
            raise Unavailable("away")
        done.setdefault(entry.lane, []).append(entry.seq)

    inbox = Inbox(store, carry_out, GrantWindows())
    clients = [
        Client(mac=f"AA:BB:CC:DD:EE:{number:02}") for number in range(5)
    ]
    intents = [
        order(f"P-{number}").model_copy(update={"client": clients[number % 5]})
        for number in range(40)
    ]
    await asyncio.gather(
        *(await asyncio.gather(*(inbox.submit(intent) for intent in intents)))
    )
    assert sorted(len(lane) for lane in done.values()) == [8] * 5
    assert all(lane == sorted(lane) for lane in done.values())
    assert await store.left_over(2**53) == ([], [])
    backlog = await store.backlog()
    assert (backlog.count, backlog.oldest) == (0, 0)


async def test_f1_what_was_not_carried_out_is_there_after_a_restart(
    make_store: StoreFactory,
) -> None:
    first = make_store()
    await first.open()

    async def never(_: Entry) -> None:
        await asyncio.Event().wait()

    inbox = Inbox(first, never, GrantWindows())
    for number in range(3):
        await inbox.submit(order(f"P-{number}"))
    await inbox.close(0.01)
    await first.close()
    second = make_store()
    await second.open()
    seen: list[str | None] = []
    finished = asyncio.Event()

    async def note(entry: Entry) -> None:
        assert not isinstance(entry.intent, Hello)
        seen.append(entry.intent.order_id)
        if len(seen) == 3:
            finished.set()

    assert await Inbox(second, note, GrantWindows()).adopt(all_of_it=True) == 3
    await finished.wait()
    assert seen == ["P-0", "P-1", "P-2"]
    await second.close()


async def test_f1_at_its_start_a_bridge_waits_for_a_store_that_is_away(
    store: BridgeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was left behind comes before anything new; a bridge that has to end waits no more."""
    await store.put(order("P-1"), 1)
    done = asyncio.Event()
    left_over, tries = store.left_over, 0

    async def away_at_first(before: int) -> LeftOver:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise ApiError(503, "store_unavailable", "away")
        return await left_over(before)

    async def carry_out(_: Entry) -> None:
        done.set()

    monkeypatch.setattr(store, "left_over", away_at_first)
    await Inbox(store, carry_out, GrantWindows()).adopt_all(asyncio.Event())
    await done.wait()
    assert tries == 3

    tries = -1000
    stop = asyncio.Event()
    stop.set()
    await Inbox(store, carry_out, GrantWindows()).adopt_all(stop)
    assert tries == -999


async def test_f1_a_fault_of_the_store_takes_no_order_out(
    store: BridgeStore,
) -> None:
    """Who waits is told; the order stays, and is carried out when the fault has passed."""
    tries: list[int] = []
    again = asyncio.Event()

    async def carry_out(entry: Entry) -> str:
        tries.append(entry.seq)
        if len(tries) == 1:
            raise ApiError(503, "store_unavailable", "busy")
        again.set()
        return "done"

    inbox = Inbox(store, carry_out, GrantWindows())
    waiting = await inbox.submit(order("P-1"))
    with pytest.raises(ApiError, match="busy"):
        await waiting
    await again.wait()
    await inbox.close(1.0)
    assert (len(tries), inbox.size) == (2, 0)


async def test_one_row_that_cannot_be_read_blocks_no_other_and_stays(
    tmp_path: Path,
) -> None:
    """The next release wrote it, and this one was started again."""
    path = tmp_path / "relay.db"
    store = SqliteStore(path)
    await store.open()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        insert = "INSERT INTO inbox (received_at, lane, intent) VALUES (1, 'lane', ?)"
        db.execute(insert, ('{"kind": "event"}',))
    await store.put(order("P-1"), 2)
    done: list[int] = []

    async def carry_out(entry: Entry) -> None:
        done.append(entry.seq)

    inbox = Inbox(store, carry_out, GrantWindows())
    assert await inbox.adopt(all_of_it=True) == 1
    await inbox.close(1.0)
    left, unreadable = await store.left_over(3)
    assert (len(done), left, len(unreadable)) == (1, [], 1)
    await store.close()


async def test_what_waits_for_the_order_check_keeps_nobody_of_its_client_waiting(
    store: BridgeStore,
) -> None:
    """A database that is away must not keep in who is revoked (A4)."""
    away = asyncio.Event()
    done: list[str] = []

    async def carry_out(entry: Entry) -> None:
        if isinstance(entry.intent, Authorize) and not away.is_set():
            raise ApiError(503, UNAVAILABLE, "away", pending=True)
        done.append(entry.intent.kind)

    inbox = Inbox(store, carry_out, GrantWindows())
    first = await inbox.submit(order("P-1"))
    second = await inbox.submit(revoke("P-1"))
    with pytest.raises(ApiError, match="away"):
        await first
    await second
    assert done == ["revoke"]
    assert inbox.size == 1
    away.set()
    await until(lambda: done == ["revoke", "authorize"])
    await until(lambda: inbox.size == 0)


async def test_of_an_order_that_is_asked_for_again_and_again_one_entry_waits(
    store: BridgeStore,
) -> None:
    """Else the inbox would be full of them before the database is back."""
    is_away = True
    seen: list[datetime] = []

    async def carry_out(entry: Entry) -> None:
        if is_away:
            raise ApiError(503, FAILED, "away", pending=True)
        seen.append(entry.intent.requested_at)

    inbox = Inbox(store, carry_out, GrantWindows())
    event = order("P-1").model_copy(update={"event_id": "evt-1"})
    for intent in (event, *(order("P-1", asked=n) for n in range(20))):
        with pytest.raises(ApiError):
            await (await inbox.submit(intent))
    await until(lambda: inbox.size == 2)
    is_away = False
    await until(lambda: inbox.size == 0)
    assert sorted(seen) == [at(0), at(19)]
    assert await store.left_over(2**53) == ([], [])


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not check():  # noqa: ASYNC110 - nobody tells it
            await asyncio.sleep(0.01)
