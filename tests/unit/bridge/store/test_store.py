"""The store: what it remembers, for how long, and in which order the inbox carries out."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from cerebro.bridge.errors import ApiError
from cerebro.bridge.inbox import Inbox
from cerebro.bridge.intents import Authorize, Client, Hello
from cerebro.bridge.store.sqlite import inbox as records
from cerebro.bridge.store.sqlite import nonces, prune, schema, tokens, waiting
from cerebro.bridge.store.sqlite import orders as order_records
from cerebro.bridge.store.sqlite.engine import Store
from cerebro.bridge.store.sqlite.inbox import Entry
from cerebro.domain.lifecycle import GrantWindows
from cerebro.kube.client.errors import Unavailable
from cerebro.runtime.clock import now_ms
from support.orders import MAC, MAC_2, NOW, PHONE, at, order, revoke


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = Store(tmp_path / "folder" / "relay.db")
    await opened.open()
    yield opened
    await opened.close()


def said(token: str = "t", mac: str = MAC) -> Hello:
    return Hello(mik_id="R1", token=token, client=Client(mac=mac, ip="10.5.50.10"), requested_at=NOW)


async def test_a_nonce_is_good_once_until_its_memory_ends(store: Store) -> None:
    uses = [partial(nonces.use_nonce, nonce="n" * 8, now=now, memory=1000) for now in (0, 1, 999, 1001)]
    assert [await store.run(use) for use in uses] == [True, False, False, True]


async def test_of_many_at_once_one_nonce_wins(store: Store) -> None:
    uses = [store.run(partial(nonces.use_nonce, nonce="same-one", now=0, memory=1000)) for _ in range(50)]
    assert sorted(await asyncio.gather(*uses)) == [False] * 49 + [True]


async def test_work_that_raises_is_undone_alone(store: Store) -> None:
    def broken(db: object) -> None:
        nonces.use_nonce(db, "broken-one", 0, 1000)  # type: ignore[arg-type]
        raise ValueError("no")

    fine = store.run(partial(nonces.use_nonce, nonce="fine-one", now=0, memory=1000))
    results = await asyncio.gather(store.run(broken), fine, return_exceptions=True)
    assert isinstance(results[0], ValueError)
    assert results[1] is True
    assert await store.run(partial(nonces.use_nonce, nonce="broken-one", now=0, memory=1000)) is True


async def test_a4_a_revoke_is_kept_for_24_h(store: Store) -> None:
    asked = revoke(asked=60)
    await store.run(
        partial(order_records.keep_revoke, revoke=asked, client=PHONE, device="router-1", now=now_ms())
    )
    look = partial(order_records.revoked_at, order=order(), device="router-1")
    assert await store.run(partial(look, client=PHONE)) == at(60)
    assert await store.run(partial(look, client=Client(mac=MAC_2, ip="10.5.50.10"))) is None
    assert await store.run(partial(look, client=Client(ip="10.5.50.10"))) == at(60)
    await store.run(partial(prune.prune, now=now_ms() + schema.DAY))
    assert await store.run(partial(look, client=PHONE)) is None


async def test_a4_a_revoke_of_an_order_is_kept_for_that_order(store: Store) -> None:
    asked = revoke("P-1", asked=60)
    await store.run(
        partial(order_records.keep_revoke, revoke=asked, client=Client(), device="router-1", now=now_ms())
    )
    for name, kept in (("P-1", at(60)), ("P-2", None)):
        look = partial(order_records.revoked_at, order=order(name), client=PHONE, device="router-1")
        assert await store.run(look) == kept


async def test_a2_a_revoke_of_an_order_is_kept_for_every_router(store: Store) -> None:
    keep = partial(order_records.keep_revoke, client=PHONE, device="router-1", now=now_ms())
    await store.run(partial(keep, revoke=revoke("P-1", asked=60)))
    await store.run(partial(keep, revoke=revoke(asked=30)))
    for name, where, kept in (
        ("P-1", "router-2", at(60)),
        ("P-2", "router-2", None),
        ("P-2", "router-1", at(30)),
    ):
        look = partial(order_records.revoked_at, order=order(name), client=PHONE, device=where)
        assert await store.run(look) == kept


async def test_a6_at_most_three_moves_an_hour(store: Store) -> None:
    moves = [await store.run(partial(tokens.may_move, token="t", at=at)) for at in (1, 1, 2, 3, 4)]
    assert moves == [True, True, True, True, False]
    assert await store.run(partial(tokens.may_move, token="t", at=schema.HOUR + 2)) is True


async def test_a6_a_hello_makes_work_only_when_there_may_be_some(store: Store) -> None:
    note = partial(waiting.note_hello, hello=said(), now=0)
    assert await store.run(note) is None
    await store.run(partial(tokens.link, token="t", name="a-session", now=0))
    assert await store.run(note) is not None, (
        "whether the Session is where the phone is, only the Session tells"
    )
    assert await store.run(partial(waiting.note_hello, hello=said("another"), now=0)) is None
    waits = order().model_copy(update={"token": "new", "client": Client()})
    assert await store.run(partial(waiting.wait_for_hello, order=waits, seen=None, now=0, until=1000))
    known = waits.model_copy(update={"token": "t"})
    late = partial(waiting.wait_for_hello, order=known, seen=None, now=0, until=1000)
    assert not await store.run(late), "the hello came while the order was looked at"
    assert await store.run(partial(waiting.note_hello, hello=said("new"), now=0)) is not None


async def test_f2_the_lane_is_the_mac_else_the_token_else_the_address(store: Store) -> None:
    await store.run(partial(waiting.note_hello, hello=said(), now=0))
    by_token = order().model_copy(update={"client": Client(), "token": "t"})
    assert await store.run(partial(records.lane_of, intent=by_token)) == MAC
    unknown = by_token.model_copy(update={"token": "other"})
    assert await store.run(partial(records.lane_of, intent=unknown)) == "other"
    assert await store.run(partial(records.lane_of, intent=revoke(client=Client(ip="1.2.3.4")))) == "1.2.3.4"


async def test_f2_intents_of_a_client_are_carried_out_in_order_whatever_happens(store: Store) -> None:
    done: dict[str, list[int]] = {}
    dice = random.Random(1)

    async def carry_out(entry: Entry) -> None:
        await asyncio.sleep(dice.random() * 0.002)
        if dice.random() < 0.3:
            raise Unavailable("away")
        done.setdefault(entry.lane, []).append(entry.seq)

    inbox = Inbox(store, carry_out, GrantWindows())
    clients = [Client(mac=f"AA:BB:CC:DD:EE:{number:02}") for number in range(5)]
    intents = [
        order(f"P-{number}").model_copy(update={"client": clients[number % 5]}) for number in range(40)
    ]
    await asyncio.gather(*(await asyncio.gather(*(inbox.submit(intent) for intent in intents))))
    assert sorted(len(lane) for lane in done.values()) == [8] * 5
    assert all(lane == sorted(lane) for lane in done.values())
    assert await store.run(records.backlog) == (0, 0)


async def test_f1_what_was_not_carried_out_is_there_after_a_restart(tmp_path: Path) -> None:
    first = Store(tmp_path / "relay.db")
    await first.open()

    async def never(_: Entry) -> None:
        await asyncio.Event().wait()

    inbox = Inbox(first, never, GrantWindows())
    for number in range(3):
        await inbox.submit(order(f"P-{number}"))
    await inbox.close(0.01)
    await first.close()
    second = Store(tmp_path / "relay.db")
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


async def test_a_store_that_cannot_be_written_is_503(tmp_path: Path) -> None:
    (tmp_path / "relay.db").mkdir()
    broken = Store(tmp_path / "relay.db")
    with pytest.raises(ApiError) as caught:
        await broken.open()
    assert (caught.value.status, caught.value.code) == (503, "store_unavailable")
    assert broken.failed
    await broken.close()


async def test_e15_a_twin_that_ends_takes_no_record_away_after_a_sync(tmp_path: Path) -> None:
    """SQLite's locks are the process's: any descriptor of the database that we closed would drop them."""
    store = Store(tmp_path / "relay.db")
    await store.open()
    await store.run(partial(records.put, intent=order("P-1"), now=1))
    await store.sync()
    assert await count_in_a_twin(store.path) == 1
    await store.run(partial(records.put, intent=order("P-2"), now=2))
    found, _ = store.read(partial(records.left_over, before=3))
    assert [entry.intent.order_id for entry in found if isinstance(entry.intent, Authorize)] == ["P-1", "P-2"]
    assert await count_in_a_twin(store.path) == 2
    await store.close()


async def count_in_a_twin(path: Path) -> int:
    """Open the file in a process of its own, count, and let that process end."""
    count = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM inbox').fetchone())"
    twin = await asyncio.create_subprocess_exec(
        sys.executable, "-c", count, path, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await twin.communicate()
    return int(output)


async def test_f1_a_fault_of_the_store_takes_no_order_out(store: Store) -> None:
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


async def test_one_row_that_cannot_be_read_blocks_no_other_and_stays(store: Store) -> None:
    """The next release wrote it, and this one was started again."""
    insert = "INSERT INTO inbox (received_at, lane, intent) VALUES (1, 'lane', ?)"
    await store.run(lambda db: db.execute(insert, ('{"kind": "event"}',)).rowcount)
    await store.run(partial(records.put, intent=order("P-1"), now=2))
    done: list[int] = []

    async def carry_out(entry: Entry) -> None:
        done.append(entry.seq)

    inbox = Inbox(store, carry_out, GrantWindows())
    assert await inbox.adopt(all_of_it=True) == 1
    await inbox.close(1.0)
    await store.run(lambda db: db.execute("SELECT 1").fetchone())
    left, unreadable = store.read(partial(records.left_over, before=3))
    assert (len(done), left, len(unreadable)) == (1, [], 1)
