"""Several bridges on one Redis: who carries an entry out, when a bridge dies, is cut off, or Redis is started anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest
from redis.asyncio import Redis

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Hello, Payment
from cerebro.bridge.store.base import Entry, Placement
from cerebro.bridge.store.events import NewEvent
from cerebro.bridge.store.redis import (
    claims,
    events,
    inbox,
    nonces,
    tokens,
    waiting,
)
from cerebro.bridge.store.redis.store import RedisStore
from support.orders import NOW, PHONE, order, revoke
from support.redis_server import RedisServer

MakeStore = Callable[[], RedisStore]


@pytest.fixture
async def pair(
    make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[RedisStore, RedisStore]]:
    """Two bridges' stores, which give signs of life only when the test lets them."""
    monkeypatch.setattr(claims, "RENEW_EVERY", 3600.0)
    first, second = make_store(), make_store()
    await first.open()
    await second.open()
    yield first, second
    await first.close()
    await second.close()


async def entries_of(store: RedisStore) -> list[Entry]:
    return (await store.left_over(1)).entries


async def take_for_dead(store: RedisStore) -> None:
    """Let the time run out that Redis gives a bridge, and the time that the bridge gives itself."""
    await store.engine.write(("ZADD", "bridges", 0, store.claims.owner))
    store.claims._held_until = 0.0


async def until_it_answers(store: RedisStore) -> None:
    """Let the store find out that its connection is none any more."""
    while True:
        with suppress(ApiError):
            await store.backlog()
            return


async def test_e15_what_a_living_bridge_has_nobody_else_gets(
    pair: tuple[RedisStore, RedisStore],
) -> None:
    first, second = pair
    entry = await first.put(order(), 1)
    assert await entries_of(second) == []
    assert await entries_of(first) == [entry]
    assert not await second.still_holds(entry.seq)


async def test_e15_what_a_bridge_had_that_ended_is_anothers_at_once(
    pair: tuple[RedisStore, RedisStore],
) -> None:
    first, second = pair
    entry = await first.put(order(), 1)
    await first.close()
    assert await entries_of(second) == [entry]
    assert await second.still_holds(entry.seq)


async def test_f1_of_many_bridges_one_takes_over_what_a_dead_one_had(
    pair: tuple[RedisStore, RedisStore], make_store: MakeStore
) -> None:
    first, _ = pair
    taken = [await first.put(order(f"P-{n}"), 1) for n in range(20)]
    heirs = [make_store() for _ in range(3)]
    for heir in heirs:
        await heir.open()
    await take_for_dead(first)
    shares = await asyncio.gather(*(entries_of(heir) for heir in heirs))
    inherited = sorted(entry.seq for share in shares for entry in share)
    assert inherited == [entry.seq for entry in taken]
    for heir in heirs:
        await heir.close()


async def test_a_bridge_that_was_taken_for_dead_lets_go(
    pair: tuple[RedisStore, RedisStore],
) -> None:
    first, second = pair
    entry = await first.put(order("P-1"), 1)
    await take_for_dead(first)
    assert await entries_of(second) == [entry]
    assert not await first.still_holds(entry.seq)
    later = await first.put(order("P-2"), 1)
    assert await first.still_holds(later.seq), "it goes on with what is new"
    assert await entries_of(second) == [entry]


async def test_a_bridge_that_was_late_keeps_what_nobody_took(
    pair: tuple[RedisStore, RedisStore],
) -> None:
    first, second = pair
    entry = await first.put(order(), 1)
    await take_for_dead(first)
    assert await first.still_holds(entry.seq)
    assert await entries_of(second) == []


async def test_an_entry_that_was_taken_out_is_nobodys(
    pair: tuple[RedisStore, RedisStore],
) -> None:
    first, second = pair
    entry = await first.put(order(), 1)
    first.take_out_soon(entry.seq)
    await first.sync()
    await take_for_dead(first)
    assert await entries_of(second) == []
    assert (await second.backlog()).count == 0


async def test_each_round_of_taking_over_ends(
    pair: tuple[RedisStore, RedisStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "_AT_ONCE", 2)
    first, second = pair
    for number in range(5):
        await first.put(order(f"P-{number}"), 1)
    await take_for_dead(first)
    assert len(await entries_of(second)) == 5


async def test_f1_a_redis_that_was_started_anew_loses_nothing_of_a_bridge_that_lives(
    pair: tuple[RedisStore, RedisStore], redis_server: RedisServer
) -> None:
    first, second = pair
    entry = await first.put(order("P-1"), 1)
    before = second.nonces_since
    redis_server.restart()
    for store in pair:
        await until_it_answers(store)
    await first.claims._renew()
    assert await first.still_holds(entry.seq)
    assert await entries_of(first) == [entry]
    assert await entries_of(second) == [], "everybody gets time to come back"
    assert (await second.put(order("P-2"), 1)).seq > entry.seq
    assert second.nonces_since == first.nonces_since > before


async def test_while_redis_is_away_all_is_503_and_what_was_posted_waits(
    pair: tuple[RedisStore, RedisStore], redis_server: RedisServer
) -> None:
    first, second = pair
    entry = await first.put(order(), 1)
    redis_server.stop()
    first.take_out_soon(entry.seq)
    first.note_grant_soon(order("P-9"), Placement("router-1", "a-session"), 1)
    with pytest.raises(ApiError) as refused:
        await first.put(order(), 1)
    assert (refused.value.status, refused.value.code) == (
        503,
        "store_unavailable",
    )
    assert first.failed
    redis_server.start()
    assert (await first.backlog()).count == 0
    assert first.failed is None
    assert await second.names_of_order("P-9") == ["a-session"]


async def test_a_redis_that_is_silent_is_503_and_no_answer_is_taken_for_another(
    pair: tuple[RedisStore, RedisStore], redis_server: RedisServer
) -> None:
    store = pair[0]
    calls = [store.use_nonce("n" * 8, 0, 1000, 1000) for _ in range(40)]
    with redis_server.silent():
        refusals = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(refusal) for refusal in refusals} == {ApiError}
    assert store.failed
    assert (await store.backlog()).count == 0
    entry = await store.put(order(), 1)
    assert await entries_of(store) == [entry]
    assert await store.sessions_of("t") == []


async def test_any_text_of_a_caller_can_be_asked_for(
    pair: tuple[RedisStore, RedisStore],
) -> None:
    texts = ("\ud800", "", "a\r\nb", "\0", "ç")
    places = [pair[0].locations_of(text) for text in texts]
    assert await asyncio.gather(*places) == [[] for _ in texts]
    placement = Placement("router-1", "a-session")
    for text in texts[2:]:
        pair[0].note_grant_soon(order(text), placement, 0)
        assert await pair[0].placement_of(order(text)) == placement
    await pair[0].prune(2**45)
    assert await pair[1].placement_of(order("\0")) is None


async def test_bounds_hold_for_all_bridges_together(
    pair: tuple[RedisStore, RedisStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nonces, "MAX_NONCES", 3)
    monkeypatch.setattr(inbox, "MAX_INBOX", 2)
    monkeypatch.setattr(waiting, "MAX_WAITING", 1)
    first, second = pair
    for number, store in enumerate((first, second, first)):
        assert await store.use_nonce(f"nonce-{number}", 0, 1000, 1000)
    with pytest.raises(ApiError):
        await second.use_nonce("one-more", 0, 1000, 1000)
    assert not await second.use_nonce("nonce-0", 0, 1000, 1000)
    assert await second.use_nonce("one-more", 100, 1000, 100)

    for store in pair:
        await store.put(order(), 1)
    with pytest.raises(ApiError) as full:
        await first.put(order(), 1)
    assert full.value.code == "inbox_full"

    waits = [
        order(f"P-{n}").model_copy(update={"token": "t"}) for n in range(2)
    ]
    assert await first.wait_for_hello(waits[0], [], 0, 9)
    assert await first.wait_for_hello(waits[0], [], 0, 10), "the same order"
    with pytest.raises(ApiError):
        await second.wait_for_hello(waits[1], [], 0, 9)


async def test_where_the_inbox_is_full_no_event_of_a_step_is_taken(
    pair: tuple[RedisStore, RedisStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MAX_INBOX", 2)
    monkeypatch.setattr(events, "MAX_WAITING", 0)
    store = pair[0]
    offered = [NewEvent(f"e-{n}", intent=order(f"P-{n}")) for n in range(3)]
    with pytest.raises(ApiError) as full:
        await store.take_events(offered, 5, 9)
    assert full.value.code == "inbox_full"
    unseen = Payment("s", order("P-9").model_copy(update={"token": "s"}))
    with pytest.raises(ApiError):
        await store.take_events([NewEvent("e-9", payment=unseen)], 5, 9)
    assert await store.open_events() == []
    assert len(await store.take_events(offered[:2], 5, 9)) == 2
    assert await store.take_events(offered[:2], 5, 9) == []


async def test_events_that_are_open_stay_at_the_bound(
    pair: tuple[RedisStore, RedisStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MAX_EVENTS", 2)
    store = pair[0]
    is_open = NewEvent("open", intent=order("P-1"))
    await store.take_events([is_open, NewEvent("over", ack="a")], 0, 0)
    await store.take_events([NewEvent("new", ack="b")], 1, 1)
    assert await store.take_events([is_open], 2, 2) == []
    await store.take_events([NewEvent("over", ack="c")], 3, 3)
    bodies = [ack.body for ack in await store.due_acks(9, 9)]
    assert bodies == ["b", "c"], "the event was forgotten, and is new"


async def test_the_places_seen_longest_ago_go_at_the_bound(
    pair: tuple[RedisStore, RedisStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "MAX_TOKENS", 2)
    monkeypatch.setattr(tokens, "_FORGOTTEN_AT_ONCE", 1)
    store = pair[0]
    for now, token in enumerate(("a", "b/ç:1", "a", "c")):
        hello = Hello(mik_id="R1", token=token, client=PHONE, requested_at=NOW)
        await store.note_hello(hello, now)
    known = [t for t in ("a", "b/ç:1", "c") if await store.locations_of(t)]
    assert known == ["a", "c"]


async def test_of_a_token_on_many_routers_the_earliest_word_goes(
    pair: tuple[RedisStore, RedisStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "MAX_PLACES", 2)
    store = pair[0]
    for second, router in ((5, "R1"), (7, "R2"), (6, "R3"), (4, "R4")):
        asked = NOW.replace(second=second)
        hello = Hello(
            mik_id=router, token="t", client=PHONE, requested_at=asked
        )
        await store.note_hello(hello, 0)
    places = await store.locations_of("t")
    assert [place.mik_id for place in places] == ["R2", "R3"]


async def test_nothing_stays_when_its_time_is_over(
    pair: tuple[RedisStore, RedisStore],
) -> None:
    """All that is left names the store, its bridges and the last number."""
    store = pair[0]
    hello = Hello(mik_id="R1", token="t", client=PHONE, requested_at=NOW)
    paid = order("P-1").model_copy(update={"token": "t"})
    await store.use_nonce("n" * 8, 0, 1000, 1000)
    await store.wait_for_hello(paid, [], 0, 1000)
    entry = await store.note_hello(hello, 0)
    assert entry is not None
    store.note_grant_soon(paid, Placement("router-1", "a-session"), 0)
    store.take_out_soon(entry.seq)
    assert await store.note_move("t", 0, 3)
    await store.keep_revoke(revoke("P-1"), PHONE, "router-1", 0)
    await store.keep_revoke(revoke(), PHONE, "router-1", 0)
    brought = [
        NewEvent("e-1", intent=order("P-2")),
        NewEvent("e-2", payment=Payment("s", paid)),
        NewEvent("e-3", ack="{}"),
    ]
    (taken,) = await store.take_events(brought, 0, 1000)
    store.tell_pending_soon("e-1", "{}", 0)
    store.note_written_soon(taken, "a-session")
    for ack in await store.due_acks(0, 10):
        store.ack_failed_soon(ack, 5)
    store.conclude_soon("e-1", "{}", 5, None)
    await store.prune(2**45)
    redis = store.engine.address
    client = Redis(host=redis.host, port=redis.port, password=redis.password)
    async with client:
        pattern = f"{store.engine.prefix}*"
        names = [name.decode() async for name in client.scan_iter(pattern)]
    left = {name.removeprefix(store.engine.prefix) for name in names}
    assert left == {"version", "memory", "bridges", "last"}
