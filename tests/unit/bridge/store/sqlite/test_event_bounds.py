"""The bounds of the tables of events, made small."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cerebro.bridge.errors import ApiError
from cerebro.bridge.store.events import NewEvent
from cerebro.bridge.store.sqlite.store import SqliteStore
from support.orders import order


def released(event_id: str) -> NewEvent:
    intent = order(f"P-{event_id}").model_copy(update={"event_id": event_id})
    return NewEvent(event_id, intent=intent)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "relay.db")
    await opened.open()
    yield opened
    await opened.close()


async def test_f1_where_the_inbox_is_full_nothing_of_a_step_is_taken(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cerebro.bridge.store.sqlite.inbox.MAX_INBOX", 2)
    events = [released(f"e-{number}") for number in range(3)]
    with pytest.raises(ApiError) as caught:
        await store.take_events(events, 1, 2)
    assert caught.value.code == "inbox_full"
    assert await store.open_events() == []
    assert (await store.backlog()).count == 0
    assert len(await store.take_events(events[:1], 1, 2)) == 1


async def test_events_that_were_seen_longest_ago_make_room(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cerebro.bridge.store.sqlite.events.MAX_EVENTS", 4)
    monkeypatch.setattr(
        "cerebro.bridge.store.sqlite.events._FORGOTTEN_AT_ONCE", 2
    )
    await store.take_events([released("open")], 0, 9)
    for number in range(1, 4):
        await store.take_events([NewEvent(f"e-{number}")], number, 9)
    await store.take_events([NewEvent("e-4")], 4, 9)
    again = [released(f"e-{number}") for number in range(1, 5)]
    entries = await store.take_events(again, 5, 9)
    assert [entry.intent.event_id for entry in entries] == ["e-1", "e-2"]
    assert await store.take_events([released("open")], 6, 9) == [], (
        "one without its outcome is never forgotten"
    )
