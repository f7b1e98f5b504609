"""What every store promises of the backend's events: each is taken once, and has a single final ACK (F1, F3, F4).

These tests know nothing but the Protocol, and run over each implementation of it.
"""

from __future__ import annotations

import asyncio

from cerebro.bridge.intents import Authorize, Client, Hello
from cerebro.bridge.store.base import DAY, HOUR, BridgeStore, Entry
from cerebro.bridge.store.events import (
    EVENT_MEMORY,
    Ack,
    NewEvent,
    OpenEvent,
    Payment,
)
from support.orders import MAC, NOW, PHONE, order
from support.stores import StoreFactory

SID = "s/ç 1"


def event(event_id: str = "e-1", order_id: str = "P-1") -> NewEvent:
    brought = order(order_id).model_copy(update={"event_id": event_id})
    return NewEvent(event_id, intent=brought)


def paid(order_id: str = "P-1", **fields: object) -> Authorize:
    changes = {"token": SID, "client": Client(), **fields}
    return order(order_id).model_copy(update=changes)


async def take(
    store: BridgeStore, *events: NewEvent, now: int = 5
) -> list[Entry]:
    return await store.take_events(events, now, now + 1000)


async def sent(store: BridgeStore, now: int = 10**9) -> list[Ack]:
    return await store.due_acks(now, 10)


async def test_f4_an_event_is_taken_once_however_often_it_comes(
    store: BridgeStore, make_store: StoreFactory
) -> None:
    twin = make_store()
    await twin.open()
    rounds = await asyncio.gather(
        *(take(each, event(), event()) for each in (store, twin) * 5)
    )
    (entry,) = [entry for entries in rounds for entry in entries]
    assert entry.intent == event().intent
    assert entry.lane == MAC
    assert (await store.backlog()).count == 1
    assert await store.open_events() == [OpenEvent("e-1", 5, False, "")]
    await twin.close()


async def test_f4_an_event_is_forgotten_30_days_after_a_poll_last_brought_it(
    store: BridgeStore,
) -> None:
    assert await take(store, event(), now=0)
    assert not await take(store, event(), now=2 * HOUR)
    await store.prune(EVENT_MEMORY + HOUR)
    assert not await take(store, event(), now=EVENT_MEMORY + HOUR)
    await store.prune(2 * EVENT_MEMORY + 2 * HOUR)
    assert await store.open_events() == []
    assert await take(store, event(), now=3 * EVENT_MEMORY)


async def test_f3_an_event_is_open_until_its_first_final_outcome(
    store: BridgeStore,
) -> None:
    (entry,) = await take(store, event())
    store.note_written_soon(entry, "a-session")
    assert await store.open_events() == [
        OpenEvent("e-1", 5, False, "a-session")
    ]
    assert (await store.backlog()).count == 0

    for body in ("pending", "pending once more"):
        store.tell_pending_soon("e-1", body, 6)
    assert await store.open_events() == [
        OpenEvent("e-1", 5, True, "a-session")
    ]
    (pending,) = await sent(store)
    assert pending == Ack(pending.seq, "e-1", "pending", 0)

    for body in ("done", "failed"):
        store.conclude_soon("e-1", body, 7, None)
    store.tell_pending_soon("e-1", "late", 8)
    assert await store.open_events() == []
    (final,) = await sent(store)
    assert final == Ack(final.seq, "e-1", "done", 0)
    store.ack_taken_soon(pending)
    assert await sent(store) == [final], "what came in its place stays"
    store.ack_taken_soon(final)
    assert await sent(store) == []
    assert not await take(store, event())


async def test_an_outcome_takes_the_entry_out_of_the_inbox(
    store: BridgeStore,
) -> None:
    entries = await take(store, event("e-1"), event("e-2"))
    store.conclude_soon("e-1", "done", 7, entries[0])
    store.conclude_soon("e-2", None, 7, entries[1])
    await store.sync()
    assert await store.open_events() == []
    assert [ack.event_id for ack in await sent(store)] == ["e-1"]
    assert await store.left_over(10) == ([], [])


async def test_f3_an_ack_is_due_until_the_backend_took_it(
    store: BridgeStore,
) -> None:
    refused = [NewEvent(f"e-{n}", ack=f"body {n}") for n in range(3)]
    assert await take(store, *refused) == []
    assert await store.open_events() == []
    assert await store.acks_waiting() == 3
    first, second, third = await sent(store, 5)
    assert await store.due_acks(4, 10) == []
    assert await store.due_acks(5, 2) == [first, second]
    assert first.seq < second.seq < third.seq

    store.ack_failed_soon(first, 20)
    store.ack_taken_soon(second)
    assert await sent(store, 19) == [third]
    assert await sent(store, 20) == [
        third,
        Ack(first.seq, "e-0", "body 0", 1),
    ]
    assert await store.acks_waiting() == 2
    store.ack_failed_soon(second, 20)
    await store.prune(EVENT_MEMORY + DAY)
    assert await store.acks_waiting() == 0


async def test_a6_a_payment_is_kept_until_its_end_and_its_order_until_the_hello(
    store: BridgeStore,
) -> None:
    ends_at = NOW
    kept = Payment(SID, paid(expires_at=ends_at), "plan")
    assert await take(store, NewEvent("e-1", payment=kept, ack="ok")) == []
    assert await store.payment_of(SID, 5) == kept
    assert await store.payment_of(SID, 10**15) is None
    assert await store.payment_of("another", 5) is None
    assert await store.waiting_for(SID, 5) == [kept.order]
    assert [ack.body for ack in await sent(store)] == ["ok"]

    hello = Hello(mik_id="R1", token=SID, client=PHONE, requested_at=NOW)
    assert await store.note_hello(hello, 6) is not None
    later = Payment(SID, paid("P-2"))
    (entry,) = await take(store, NewEvent("e-2", payment=later))
    assert (entry.intent, entry.lane) == (later.order, MAC)
    assert await store.payment_of(SID, 5) == later
    await store.prune(10 * EVENT_MEMORY)
    assert await store.payment_of(SID, 5) is None
