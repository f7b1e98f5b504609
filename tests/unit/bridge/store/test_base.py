"""What every store promises: what it remembers, for how long, and what only one caller gets.

These tests know nothing but the Protocol, and run over each implementation of it.
"""

from __future__ import annotations

import asyncio

import pytest

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import (
    Arrival,
    Authorize,
    Cause,
    Client,
    Hello,
    Intent,
    Revoke,
)
from cerebro.bridge.store.base import (
    DAY,
    HOUR,
    BridgeStore,
    Placement,
    Stock,
    TokenLocation,
    milliseconds,
)
from cerebro.bridge.store.events import NewEvent
from cerebro.runtime.clock import now_ms
from support.orders import MAC, MAC_2, PHONE, at, order, revoke
from support.stores import StoreFactory

MAC_3 = "AA:BB:CC:DD:EE:03"


def said(token: str = "t", mac: str = MAC, asked: float = 0) -> Hello:
    return Hello(
        mik_id="R1",
        token=token,
        client=Client(mac=mac, ip="10.5.50.10"),
        requested_at=at(asked),
    )


def waits_for(token: str, order_id: str = "P-1") -> Authorize:
    return order(order_id).model_copy(
        update={"token": token, "client": Client()}
    )


async def lane_of(store: BridgeStore, intent: Intent) -> str:
    return (await store.put(intent, 1)).lane


async def test_a_nonce_is_good_once_until_its_memory_ends(
    store: BridgeStore,
) -> None:
    uses = [
        await store.use_nonce("n" * 8, now, 1000, 1000)
        for now in (0, 1, 999, 1001)
    ]
    assert uses == [True, False, False, True]


async def test_of_many_at_once_each_nonce_is_judged_by_itself(
    store: BridgeStore,
) -> None:
    async def use(*nonces: str, now: int = 0) -> list[bool]:
        uses = [store.use_nonce(each, now, 1000, 1000) for each in nonces]
        return await asyncio.gather(*uses)

    assert await use("nonce-a", 'nonce-"\xff\xfe') == [True, True]
    assert await use("nonce-b", "nonce-a", "nonce-b") == [True, False, False]
    assert await use('nonce-"\xff\xfe', "nonce-c") == [False, True]
    later = await use("nonce-a", "nonce-d", now=1001)
    assert later == [True, True], "the memory of the first is over"
    assert await use("nonce-a", "nonce-d", now=1001) == [False, False]


async def test_of_many_at_once_one_nonce_wins(store: BridgeStore) -> None:
    uses = [store.use_nonce("same-one", 0, 1000, 1000) for _ in range(50)]
    assert sorted(await asyncio.gather(*uses)) == [False] * 49 + [True]


async def kept(
    store: BridgeStore,
    client: Client = PHONE,
    name: str = "P-9",
    where: str = "router-1",
) -> list[Cause]:
    return await store.revokes_of(order(name), client, where)


async def keep(
    store: BridgeStore, which: Revoke, client: Client = PHONE
) -> None:
    await store.keep_revoke(which, client, "router-1", now_ms())


async def test_a4_a_revoke_is_kept_for_24_h(store: BridgeStore) -> None:
    await keep(store, revoke(asked=60))
    address = Client(ip="10.5.50.10")
    elsewhere = Client(mac=MAC_2, ip="10.5.50.10")
    assert await kept(store) == [Cause(at(60))]
    assert await kept(store, elsewhere) == []
    assert await kept(store, address) == [Cause(at(60))]
    await store.prune(now_ms() + DAY)
    assert await kept(store) == []


async def test_a4_of_equal_revokes_the_latest_time_and_arrival_count(
    store: BridgeStore,
) -> None:
    for asked, arrival in ((60, (5, 1)), (30, (7, 2)), (20, (5, 9))):
        late = revoke(asked=asked, client=Client(mac=MAC))
        arrived = late.model_copy(update={"arrival": Arrival(*arrival)})
        await keep(store, arrived, Client(mac=MAC))
    assert await kept(store) == [Cause(at(60), Arrival(7, 2))]


async def test_a4_a_revoke_of_an_order_is_kept_for_that_order(
    store: BridgeStore,
) -> None:
    await keep(store, revoke("P-1", asked=60), Client())
    assert await kept(store, name="P-1") == [Cause(at(60))]
    assert await kept(store, name="P-2") == []


async def test_a2_a_revoke_of_an_order_is_kept_for_every_router(
    store: BridgeStore,
) -> None:
    await keep(store, revoke("P-1", asked=60))
    await keep(store, revoke(asked=30))
    for name, where, asked in (
        ("P-1", "router-2", {60}),
        ("P-2", "router-2", set()),
        ("P-2", "router-1", {30}),
    ):
        revokes = await kept(store, name=name, where=where)
        assert {each.asked_at for each in revokes} == {at(s) for s in asked}


async def test_a6_at_most_three_moves_an_hour(store: BridgeStore) -> None:
    moves = [
        await store.note_move("t", moved_at, 3) for moved_at in (1, 1, 2, 3, 4)
    ]
    assert moves == [True, True, True, True, False]
    assert await store.note_move("t", HOUR + 2, 3) is True


async def test_a6_a_hello_makes_work_only_when_there_may_be_some(
    store: BridgeStore,
) -> None:
    assert await store.note_hello(said(), 0) is None
    linked = order("P-9").model_copy(update={"token": "t"})
    store.note_grant_soon(linked, Placement("router-1", "a-session"), 0)
    assert await store.note_hello(said(), 0) is not None, (
        "whether the Session is where the phone is, only the Session tells"
    )
    assert await store.note_hello(said("another"), 0) is None
    assert await store.wait_for_hello(waits_for("new"), [], 0, 1000)
    assert not await store.wait_for_hello(waits_for("t"), [], 0, 1000), (
        "the hello came while the order was looked at"
    )
    assert await store.note_hello(said("new"), 0) is not None


async def test_a6_a_token_is_where_its_latest_word_places_it(
    store: BridgeStore,
) -> None:
    """Case T11: the later word counts, not the one that arrives later."""
    assert await store.locations_of("t") == []
    for mac, asked in ((MAC, 1), (MAC_2, 5), (MAC, 3), (MAC_3, 5)):
        await store.note_hello(said(mac=mac, asked=asked), 0)
    place = TokenLocation(
        "R1", Client(mac=MAC_3, ip="10.5.50.10"), milliseconds(at(5))
    )
    assert await store.locations_of("t") == [place]
    await store.prune(31 * DAY)
    assert await store.locations_of("t") == []


async def test_a6_a_hello_from_another_router_takes_no_token_away(
    store: BridgeStore,
) -> None:
    """Case T11: a token has a place on each router, whatever the case of its identifier."""
    for router, mac, asked in (
        ("R1", MAC, 1),
        ("R2", MAC_2, 5),
        ("r1", MAC_3, 3),
    ):
        hello = said(mac=mac, asked=asked)
        await store.note_hello(hello.model_copy(update={"mik_id": router}), 0)
    places = await store.locations_of("t")
    assert [(place.mik_id, place.client.mac) for place in places] == [
        ("R2", MAC_2),
        ("r1", MAC_3),
    ]


async def test_a6_a_hello_that_a_later_one_overtook_makes_no_work(
    store: BridgeStore,
) -> None:
    linked = order("P-9").model_copy(update={"token": "t"})
    store.note_grant_soon(linked, Placement("router-1", "a-session"), 0)
    assert await store.note_hello(said(asked=5), 0) is not None
    assert await store.note_hello(said(mac=MAC_2, asked=3), 0) is None


async def test_a6_an_order_that_waits_is_released_once_with_the_phones_address(
    store: BridgeStore,
) -> None:
    for order_id in ("P-1", "P-2"):
        assert await store.wait_for_hello(
            waits_for("t", order_id), [], 0, 1000
        )
    waiting = await store.waiting_for("t", 999)
    assert [intent.order_id for intent in waiting] == ["P-1", "P-2"]
    assert await store.waiting_for("t", 1000) == []
    assert await store.waiting_for("another", 0) == []

    (at_once, later) = await asyncio.gather(
        *(store.release(waiting, PHONE, 5) for _ in range(2))
    )
    released = at_once or later
    assert [] in (at_once, later)
    assert [
        (entry.intent.client, entry.received_at) for entry in released
    ] == [(PHONE, 5), (PHONE, 5)]
    assert await store.left_over(5) == (released, [])
    assert await store.waiting_for("t", 0) == []


async def test_a6_an_order_that_was_granted_waits_no_more_and_is_its_tokens(
    store: BridgeStore,
) -> None:
    granted = waits_for("t")
    assert await store.wait_for_hello(granted, [], 0, 1000)
    store.note_grant_soon(granted, Placement("router-1", "a-session"), 0)
    assert await store.sessions_of("t") == ["a-session"]
    assert await store.waiting_for("t", 0) == []
    assert await store.sessions_of("another") == []


async def test_a2_where_an_order_was_granted_last_is_known_for_each_type(
    store: BridgeStore,
) -> None:
    paid, trial = order("P-1"), order("P-1", type="Trial")
    store.note_grant_soon(paid, Placement("router-1", "first"), 0)
    store.note_grant_soon(paid, Placement("router-2", "second"), 0)
    store.note_grant_soon(trial, Placement("router-1", "trial"), 0)
    store.note_grant_soon(
        order(None), Placement("router-1", "without-order"), 0
    )
    await store.prune(0)  # what was noted before is committed
    assert await store.placement_of(paid) == Placement("router-2", "second")
    assert await store.placement_of(trial) == Placement("router-1", "trial")
    assert await store.placement_of(order("P-2")) is None
    assert await store.placement_of(order(None)) is None
    assert sorted(await store.names_of_order("P-1")) == ["second", "trial"]


async def test_f2_the_lane_is_the_mac_else_the_token_else_the_address(
    store: BridgeStore,
) -> None:
    await store.note_hello(said(), 0)
    by_token = order().model_copy(update={"client": Client(), "token": "t"})
    assert await lane_of(store, by_token) == MAC
    unknown = by_token.model_copy(update={"token": "other"})
    assert await lane_of(store, unknown) == "other"
    assert (
        await lane_of(store, revoke(client=Client(ip="1.2.3.4"))) == "1.2.3.4"
    )
    assert await lane_of(store, revoke("P-1", client=Client())) == "P-1"
    assert {await lane_of(store, said(mac=mac)) for mac in (MAC, MAC_2)} == {
        "t"
    }, "case T11: hellos of one token stay in their order"


async def test_f1_the_inbox_keeps_entries_in_their_order_until_they_are_taken_out(
    store: BridgeStore, make_store: StoreFactory
) -> None:
    entries = [
        await store.put(order(f"P-{number}"), now)
        for number, now in ((0, 10), (1, 20), (2, 30))
    ]
    assert await store.left_over(20) == (entries[:2], [])
    backlog = await store.backlog()
    assert (backlog.count, backlog.oldest) == (3, 10)
    store.take_out_soon(entries[0].seq)
    assert await store.left_over(30) == (entries[1:], [])
    await store.close()

    reopened = make_store()
    await reopened.open()
    assert await reopened.left_over(30) == (entries[1:], [])
    assert (await reopened.put(order("P-3"), 40)).seq > entries[-1].seq
    await reopened.close()


async def test_an_empty_inbox_has_no_oldest_entry(store: BridgeStore) -> None:
    backlog = await store.backlog()
    assert (backlog.count, backlog.oldest) == (0, 0)


async def test_two_bridges_on_one_store_see_each_others_records(
    store: BridgeStore, make_store: StoreFactory
) -> None:
    twin = make_store()
    await twin.open()
    uses = await asyncio.gather(
        *(
            each.use_nonce("same-one", 0, 1000, 1000)
            for each in (store, twin)
            for _ in range(9)
        )
    )
    assert sorted(uses) == [False] * 17 + [True]
    entry = await store.put(order(), 1)
    assert (await twin.backlog()).count == 1
    assert await store.still_holds(entry.seq)
    await twin.close()


async def test_a_store_that_is_not_open_is_503(
    make_store: StoreFactory,
) -> None:
    unopened = make_store()
    with pytest.raises(ApiError) as caught:
        await unopened.use_nonce("n" * 8, 0, 1000, 1000)
    assert (caught.value.status, caught.value.code) == (
        503,
        "store_unavailable",
    )


async def test_how_much_it_has_besides_the_inbox_is_known(
    store: BridgeStore,
) -> None:
    assert await store.stock() == Stock(waiting=0, events=0)
    for number in (1, 2, 2):
        waits = order(f"P-{number}").model_copy(update={"token": "t"})
        assert await store.wait_for_hello(waits, [], 0, DAY)
    for number in (1, 2, 3, 3):
        event = NewEvent(f"e-{number}", ack="{}")
        await store.take_events([event], 0, DAY)
    assert await store.stock() == Stock(waiting=2, events=3)
