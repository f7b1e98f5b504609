"""What a method of the store costs does not grow with what is stored (case Z3)."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Client, Hello
from cerebro.bridge.store.base import Placement, TokenLocation
from cerebro.bridge.store.sqlite import nonces, prune, schema, tokens
from cerebro.bridge.store.sqlite.store import SqliteStore
from support.orders import IP, MAC, NOW, PHONE, order, revoke

ROWS = 5_000
"""Nonces and tokens of the tests that count."""


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "relay.db")
    await opened.open()
    yield opened
    await opened.close()


async def use_every_method(store: SqliteStore) -> None:
    """Call all that a request may lead to, with rows that match and without."""
    hello = Hello(mik_id="R1", token="t", client=PHONE, requested_at=NOW)
    for number in range(2):
        await store.use_nonce(f"nonce-{number}", 0, 1000, 1000)
        await store.use_nonce(f"nonce-{number}", 0, 1000, 1000)
        await store.note_hello(hello, 0)
        paid = order(f"P-{number}").model_copy(update={"token": "t"})
        await store.keep_revoke(revoke("P-1"), PHONE, "router-1", 0)
        await store.keep_revoke(revoke(), PHONE, "router-1", 0)
        await store.revokes_of(paid, PHONE, "router-1")
        await store.revokes_of(paid, Client(ip=IP), "router-1")
        locations = await store.locations_of("t")
        await store.wait_for_hello(paid, locations, 0, 1000)
        await store.release(await store.waiting_for("t", 0), PHONE, 0)
        entry = await store.put(paid, 1)
        store.note_grant_soon(paid, Placement("router-1", "a"), 0)
        store.take_out_soon(entry.seq)
        await store.placement_of(paid)
        await store.names_of_order("P-1")
        await store.sessions_of("t")
        await store.note_move("t", number, 3)
        await store.backlog()
    await store.prune(0)


async def test_every_statement_finds_its_rows_by_an_index(
    sqlite: SqliteStore,
) -> None:
    statements: list[str] = []

    def trace(db: sqlite3.Connection) -> None:
        db.set_trace_callback(statements.append)

    await sqlite.engine.run(trace)
    sqlite.engine.read(trace)
    await use_every_method(sqlite)

    verbs = ("SELECT", "INSERT", "UPDATE", "DELETE")
    asked = {each for each in statements if each.startswith(verbs)}
    assert len(asked) > 20, "the trace shows what was asked"
    plans = {each: sqlite.engine.read(plan_of(each)) for each in asked}
    assert [each for each in asked if "count(" in each] == []
    assert {
        each: plan for each, plan in plans.items() if reads_a_table(each, plan)
    } == {}


def plan_of(statement: str) -> Callable[[sqlite3.Connection], list[str]]:
    """Return work that reads the steps of a statement as SQLite carries it out."""

    def explain(db: sqlite3.Connection) -> list[str]:
        rows = db.execute(f"EXPLAIN QUERY PLAN {statement}")
        return [detail for *_, detail in rows]

    return explain


def reads_a_table(statement: str, plan: list[str]) -> bool:
    """Return whether a statement walks through a table; the first row of an order by key is found at once, and
    what the caller hands in as an array is no table.
    """
    if statement.endswith("ORDER BY seq LIMIT 1"):
        return False
    of_tables = [
        step for step in plan if not step.startswith("SCAN json_each")
    ]
    return any(
        step.startswith("SCAN") or "TEMP B-TREE" in step for step in of_tables
    )


async def test_bounds_hold_after_a_restart_a_rollback_and_beside_a_twin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nonces, "MAX_NONCES", 3)
    first, twin = (SqliteStore(tmp_path / "relay.db") for _ in range(2))
    await first.open()
    await twin.open()

    def undone(db: sqlite3.Connection) -> None:
        nonces.use_nonce(db, "undone", 0, 1000, 1000)
        raise ValueError("undone")

    with pytest.raises(ValueError, match="undone"):
        await first.engine.run(undone)
    for number, store in enumerate((first, twin, first)):
        assert await store.use_nonce(f"nonce-{number}", 0, 1000, 1000)
    await first.close()
    await twin.close()

    opened = SqliteStore(tmp_path / "relay.db")
    await opened.open()
    with pytest.raises(ApiError) as refused:
        await opened.use_nonce("one-more", 0, 1000, 1000)
    assert refused.value.status == 503
    await opened.prune(1000)
    assert await opened.use_nonce("one-more", 1001, 1000, 1000)
    await opened.close()


async def test_at_the_bound_those_nonces_go_whose_request_is_valid_no_more(
    sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nonces, "MAX_NONCES", 2)
    for number, now in enumerate((0, 500)):
        assert await sqlite.use_nonce(f"nonce-{number}", now, 10_000, 240)
    assert await sqlite.use_nonce("third", 600, 10_000, 240)
    with pytest.raises(ApiError):
        await sqlite.use_nonce("fourth", 610, 10_000, 240)


async def test_the_tokens_seen_longest_ago_go_at_the_bound(
    sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "MAX_TOKENS", 2)
    monkeypatch.setattr(tokens, "_FORGOTTEN_AT_ONCE", 1)
    for now, token in enumerate(("a", "b", "a", "c")):
        hello = Hello(mik_id="R1", token=token, client=PHONE, requested_at=NOW)
        await sqlite.note_hello(hello, now)
    known = [token for token in "abc" if await sqlite.locations_of(token)]
    assert known == ["a", "c"]


async def test_a_round_of_forgetting_is_many_short_transactions(
    sqlite: SqliteStore,
) -> None:
    rows = ((f"nonce-{number}", 10) for number in range(ROWS))
    await sqlite.engine.run(
        lambda db: db.executemany("INSERT INTO nonces VALUES (?, ?)", rows)
    )
    more = await sqlite.engine.run(lambda db: prune.prune(db, 10))
    count = await sqlite.engine.run(lambda db: schema.rows_of(db, "nonces"))
    assert (more, count) == (True, ROWS - prune.AT_ONCE)
    await sqlite.prune(10)
    assert (
        await sqlite.engine.run(lambda db: schema.rows_of(db, "nonces")) == 0
    )


async def test_a_file_of_version_1_is_counted_once_and_keeps_its_tokens(
    tmp_path: Path,
) -> None:
    path = tmp_path / "relay.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in schema._STEPS[0]:
            db.execute(statement)
        db.execute("INSERT INTO nonces VALUES ('a', 9), ('b', 9)")
        db.execute(
            "INSERT INTO tokens VALUES ('t', 'R1', ?, ?, NULL, 5)", (IP, MAC)
        )
        db.execute("PRAGMA user_version = 1")
    store = SqliteStore(path)
    await store.open()
    rows = [
        await store.engine.run(lambda db: schema.rows_of(db, "nonces")),
        await store.engine.run(lambda db: schema.rows_of(db, "inbox")),
    ]
    places = await store.locations_of("t")
    await store.close()
    assert rows == [2, 0]
    assert places == [TokenLocation("R1", PHONE, 5)]
