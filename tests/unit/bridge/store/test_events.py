"""What every store promises of the backend's events: each is taken once, and is owed a final ACK (F1, F3, F4)."""

from __future__ import annotations

import asyncio

from cerebro.bridge.intents import Authorize, Client, Hello, Payment
from cerebro.bridge.store.base import DAY, HOUR, BridgeStore
from cerebro.bridge.store.entry import Entry
from cerebro.bridge.store.events import (
    EVENT_MEMORY,
    Ack,
    NewEvent,
    OpenEvent,
)
from support.orders import NOW, PHONE, at, order
from support.stores import StoreFactory

LATER = 2**53


def released(event_id: str) -> NewEvent:
    intent = order(f"P-{event_id}").model_copy(update={"event_id": event_id})
    return NewEvent(event_id, intent=intent)


def paid(sid: str = "s-1", **fields: object) -> NewEvent:
    waits = Authorize(
        order_id="P-7", token=sid, mik_id="router-1", requested_at=NOW
    )
    payment = Payment(sid, waits.model_copy(update=fields), "day")
    return NewEvent("paid", payment=payment, ack="stored")


async def take(
    store: BridgeStore, *events: NewEvent, now: int = 10
) -> list[Entry]:
    return await store.take_events(events, now, now + DAY)


async def bodies(store: BridgeStore) -> list[str]:
    return [ack.body for ack in await store.due_acks(LATER, 100)]


async def opened(store: BridgeStore) -> list[str]:
    return [event.event_id for event in await store.open_events()]


async def test_f1_an_event_is_taken_once_however_often_it_comes(
    store: BridgeStore,
) -> None:
    entries = await take(store, *[released("e")] * 100, released("f"))
    assert [entry.intent.event_id for entry in entries] == ["e", "f"]
    assert await take(store, released("e"), released("f"), now=20) == []
    assert await store.left_over(LATER) == (entries, [])
    assert await store.open_events() == [
        OpenEvent("e", 10, False, ""),
        OpenEvent("f", 10, False, ""),
    ]


async def test_f1_of_two_bridges_one_takes_an_event(
    store: BridgeStore, make_store: StoreFactory
) -> None:
    twin = make_store()
    await twin.open()
    taken = await asyncio.gather(
        *(take(each, released("e")) for each in (store, twin) for _ in "abc")
    )
    assert sorted(len(entries) for entries in taken) == [0, 0, 0, 0, 0, 1]
    await twin.close()


async def test_f1_what_an_event_waits_for_survives_a_restart(
    store: BridgeStore, make_store: StoreFactory
) -> None:
    (entry,) = await take(store, released("e"))
    store.note_written_soon(entry, "a Session")
    store.tell_pending_soon("e", "pending", 30)
    await store.close()

    reopened = make_store()
    await reopened.open()
    assert await reopened.open_events() == [
        OpenEvent("e", 10, True, "a Session")
    ]
    assert await bodies(reopened) == ["pending"]
    assert (await reopened.backlog()).count == 0
    await reopened.close()


async def test_f3_the_final_ack_takes_the_place_of_the_pending_one(
    store: BridgeStore,
) -> None:
    (entry,) = await take(store, released("e"))
    for _ in range(2):
        store.tell_pending_soon("e", "pending", 30)
    (pending,) = await store.due_acks(LATER, 100)
    store.conclude_soon("e", "done", 40, entry)
    store.conclude_soon("e", "done otherwise", 50, entry)
    store.tell_pending_soon("e", "pending", 60)
    store.ack_taken_soon(pending)
    assert await bodies(store) == ["done"], (
        "the earlier one, on its way, was taken meanwhile"
    )
    assert await opened(store) == []
    assert (await store.backlog()).count == 0


async def test_f3_an_event_that_nobody_is_told_of_is_concluded_too(
    store: BridgeStore,
) -> None:
    (entry,) = await take(store, released("e"))
    store.tell_pending_soon("e", None, 20)
    store.conclude_soon("e", None, 30, entry)
    assert (await bodies(store), await opened(store)) == ([], [])


async def test_f3_an_ack_is_due_until_it_is_taken(store: BridgeStore) -> None:
    refused = [
        NewEvent(f"e-{number}", ack=f"b-{number}") for number in range(3)
    ]
    await take(store, *refused)
    assert await store.acks_waiting() == 3
    first, second, third = await store.due_acks(10, 100)
    assert first == Ack(first.seq, "e-0", "b-0", 0)
    assert await store.due_acks(10, 1) == [first]
    assert await store.due_acks(9, 100) == []

    store.ack_failed_soon(first, 500)
    store.ack_taken_soon(second)
    assert await store.due_acks(499, 100) == [third]
    (_, again) = await store.due_acks(500, 100)
    assert (again.event_id, again.tries) == ("e-0", 1)
    assert await store.acks_waiting() == 2


async def test_f4_an_event_is_known_until_30_days_after_it_was_last_seen(
    store: BridgeStore,
) -> None:
    await take(store, NewEvent("e", ack="b"), now=0)
    await take(store, NewEvent("e", ack="b"), now=DAY)
    await store.prune(EVENT_MEMORY + HOUR)
    assert await take(store, released("e"), now=EVENT_MEMORY) == []
    await store.prune(2 * EVENT_MEMORY + HOUR)
    assert len(await take(store, released("e"), now=LATER)) == 1


async def test_f4_an_open_event_is_never_forgotten(
    store: BridgeStore,
) -> None:
    """Its router may be away for months: the backend is owed the final ACK."""
    ids = [f"e-{number}" for number in range(5)]
    await take(store, *map(released, ids), now=0)
    store.conclude_soon("e-0", "done", 1, None)
    await store.prune(EVENT_MEMORY)
    assert await opened(store) == ids[1:]
    store.conclude_soon("e-1", "done", EVENT_MEMORY, None)
    assert await take(store, released("e-1"), now=EVENT_MEMORY + 1) == []
    await store.prune(2 * EVENT_MEMORY + 1)
    assert await opened(store) == ids[2:]
    again = await take(store, released("e-1"), now=2 * EVENT_MEMORY + 1)
    assert len(again) == 1, "forgotten 30 days later"


async def test_an_ack_that_is_never_taken_is_forgotten_in_the_end(
    store: BridgeStore,
) -> None:
    await take(store, NewEvent("e", ack="b"), now=0)
    await store.prune(EVENT_MEMORY - 1)
    assert await store.acks_waiting() == 1
    await store.prune(EVENT_MEMORY)
    assert await store.acks_waiting() == 0


async def test_a6_a_payment_waits_for_its_phone_and_is_released_by_its_hello(
    store: BridgeStore,
) -> None:
    assert await take(store, paid()) == []
    assert await bodies(store) == ["stored"]
    assert await opened(store) == []
    payment = await store.payment_of("s-1", 20)
    assert payment is not None
    assert (payment.order.order_id, payment.plan_id) == ("P-7", "day")
    assert await store.payment_of("s-2", 20) is None

    hello = Hello(
        mik_id="router-1", token="s-1", client=PHONE, requested_at=NOW
    )
    assert await store.note_hello(hello, 20) is not None
    waiting = await store.waiting_for("s-1", 20)
    assert [intent.order_id for intent in waiting] == ["P-7"]
    assert await store.waiting_for("s-1", 10 + DAY) == []


async def test_a6_a_payment_of_a_phone_that_is_known_goes_into_the_inbox(
    store: BridgeStore,
) -> None:
    hello = Hello(
        mik_id="router-1",
        token="s-1",
        client=Client(mac=PHONE.mac),
        requested_at=NOW,
    )
    await store.note_hello(hello, 5)
    (entry,) = await take(store, paid())
    assert isinstance(entry.intent, Authorize)
    assert (entry.intent.order_id, entry.intent.token) == ("P-7", "s-1")


async def test_a6_the_phone_of_a_payment_is_kept_and_a_hello_counts_before_it(
    store: BridgeStore,
) -> None:
    await take(store, paid(client=PHONE))
    payment = await store.payment_of("s-1", 20)
    assert payment is not None
    assert payment.order.client == PHONE
    (waiting,) = await store.waiting_for("s-1", 20)
    assert not waiting.client


async def test_a_payment_is_kept_until_its_end(store: BridgeStore) -> None:
    ends_at = at(3600)
    end = round(ends_at.timestamp() * 1000)
    await take(store, paid(expires_at=ends_at), now=end - HOUR)
    assert await store.payment_of("s-1", end - 1) is not None
    assert await store.payment_of("s-1", end) is None
    await store.prune(end)
    await take(store, NewEvent("other", payment=paid("s-2").payment), now=0)
    assert await store.payment_of("s-2", EVENT_MEMORY - 1) is not None
    assert await store.payment_of("s-2", EVENT_MEMORY) is None
