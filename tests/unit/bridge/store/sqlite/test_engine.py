"""The SQLite file itself: transactions, faults, processes that share it, and its version."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Authorize, Client, dump
from cerebro.bridge.store.base import DAY, StoreVersionError
from cerebro.bridge.store.sqlite import nonces, schema
from cerebro.bridge.store.sqlite.engine import Engine
from cerebro.bridge.store.sqlite.schema import VERSION
from cerebro.bridge.store.sqlite.store import SqliteStore
from support.orders import order


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    opened = Engine(tmp_path / "folder" / "relay.db")
    await opened.open()
    yield opened
    await opened.close()


async def test_work_that_raises_is_undone_alone(engine: Engine) -> None:
    def broken(db: sqlite3.Connection) -> None:
        nonces.use_nonce(db, "broken-one", 0, 1000, 1000)
        raise ValueError("no")

    fine = engine.run(
        partial(
            nonces.use_nonce,
            nonce="fine-one",
            now=0,
            memory=1000,
            valid_for=1000,
        )
    )
    results = await asyncio.gather(
        engine.run(broken), fine, return_exceptions=True
    )
    assert isinstance(results[0], ValueError)
    assert results[1] is True
    assert (
        await engine.run(
            partial(
                nonces.use_nonce,
                nonce="broken-one",
                now=0,
                memory=1000,
                valid_for=1000,
            )
        )
        is True
    )


async def test_a_store_that_cannot_be_written_is_503(tmp_path: Path) -> None:
    (tmp_path / "relay.db").mkdir()
    broken = SqliteStore(tmp_path / "relay.db")
    with pytest.raises(ApiError) as caught:
        await broken.open()
    assert (caught.value.status, caught.value.code) == (
        503,
        "store_unavailable",
    )
    assert broken.failed
    await broken.close()


@contextmanager
def no_larger_file_than(path: Path) -> Iterator[None]:
    """Let no file grow beyond the size of this one, as a full disk would."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


async def test_f1_a_full_disk_is_seen_until_there_is_room_and_what_was_posted_is_done(
    engine: Engine,
) -> None:
    """Nor do steps that only read make the store look sound meanwhile."""

    def fill(db: sqlite3.Connection, size: int = 2_000_000) -> None:
        db.execute("CREATE TABLE IF NOT EXISTS blobs (content BLOB)")
        db.execute("INSERT INTO blobs VALUES (zeroblob(?))", (size,))

    def count(db: sqlite3.Connection) -> int:
        return int(db.execute("SELECT count(*) FROM blobs").fetchone()[0])

    await engine.run(fill)
    log = engine.path.with_name("relay.db-wal")

    with no_larger_file_than(log):
        engine.post(fill)

        for _ in range(3):
            with pytest.raises(ApiError) as caught:
                await engine.run(count)
            assert caught.value.code == "store_unavailable"
            assert engine.failed is not None
            assert engine.read(count) == 1

    assert await engine.run(count) == 2
    assert engine.failed is None


async def test_a_posted_step_that_can_never_be_done_holds_nothing_up(
    engine: Engine,
) -> None:
    engine.post(lambda db: db.execute("INSERT INTO nothing VALUES (1)"))
    with pytest.raises(ApiError):
        await engine.run(lambda db: db.execute("SELECT 1").fetchone())
    assert await engine.run(lambda db: db.execute("SELECT 1").fetchone()) == (
        1,
    )


async def test_e15_a_twin_that_ends_takes_no_record_away_after_a_sync(
    tmp_path: Path,
) -> None:
    """SQLite's locks are the process's: any descriptor of the database that we closed would drop them."""
    path = tmp_path / "relay.db"
    store = SqliteStore(path)
    await store.open()
    await store.put(order("P-1"), 1)
    await store.sync()
    assert await count_in_a_twin(path) == 1
    await store.put(order("P-2"), 2)
    entries, _ = await store.left_over(3)
    assert [
        entry.intent.order_id
        for entry in entries
        if isinstance(entry.intent, Authorize)
    ] == [
        "P-1",
        "P-2",
    ]
    assert await count_in_a_twin(path) == 2
    await store.close()


async def count_in_a_twin(path: Path) -> int:
    """Open the file in a process of its own, count, and let that process end."""
    count = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM inbox').fetchone())"
    twin = await asyncio.create_subprocess_exec(
        sys.executable, "-c", count, path, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await twin.communicate()
    return int(output)


async def make_file(path: Path, version: int) -> list[str]:
    """Make a file with a row and a version; return its whole content as SQL."""
    store = SqliteStore(path)
    await store.open()
    await store.put(order("P-1"), 1)
    await store.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(f"PRAGMA user_version = {version}")
    return content_of(path)


def content_of(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return list(db.iterdump())


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


async def test_a_new_file_has_the_version_of_this_release(
    tmp_path: Path,
) -> None:
    path = tmp_path / "relay.db"
    store = SqliteStore(path)
    await store.open()
    await store.close()
    assert version_of(path) == VERSION


@pytest.mark.parametrize("version", [0, 1])
async def test_a_file_of_an_older_release_is_brought_up_to_date(
    tmp_path: Path, version: int
) -> None:
    """A file from before there were versions has the tables of version 1."""
    path = tmp_path / "relay.db"
    kept = dump(order("P-1"))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in schema._STEPS[0]:
            db.execute(statement)
        db.execute("INSERT INTO inbox VALUES (7, 1, 'lane', ?)", (kept,))
        db.execute(
            "INSERT INTO revokes VALUES ('router-1', '', '', 'P-1', 60, ?)",
            (DAY,),
        )
        db.execute(f"PRAGMA user_version = {version}")
    store = SqliteStore(path)
    await store.open()
    entries, _ = await store.left_over(1)
    revokes = await store.revokes_of(order("P-1"), Client(), "router-1")
    await store.close()
    assert [entry.intent for entry in entries] == [order("P-1")]
    assert [revoke.asked_at.timestamp() for revoke in revokes] == [60]
    assert version_of(path) == VERSION


async def test_a_file_of_a_newer_release_is_refused_and_stays_as_it_is(
    tmp_path: Path,
) -> None:
    path = tmp_path / "relay.db"
    before = await make_file(path, VERSION + 1)
    store = SqliteStore(path)
    with pytest.raises(StoreVersionError) as caught:
        await store.open()
    await store.close()
    for part in (str(path), f"version {VERSION + 1}", f"up to {VERSION}"):
        assert part in str(caught.value)
    assert content_of(path) == before
    assert version_of(path) == VERSION + 1
