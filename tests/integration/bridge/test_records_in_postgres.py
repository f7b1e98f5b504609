"""The table of accesses in a real PostgreSQL: what is written twice, what cannot be written, and who may do what."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from cerebro.bridge.audit_settings import RecordsSettings
from cerebro.bridge.records import tables
from cerebro.bridge.records.access import Access, AccessRecord
from cerebro.bridge.records.places import PlaceError
from cerebro.bridge.records.postgres import PostgresPlace
from cerebro.cli import records as command
from support.postgres_server import PostgresServer

START = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[PostgresServer]:
    with PostgresServer(tmp_path_factory.mktemp("postgres")) as started:
        yield started


@pytest.fixture
def settings(server: PostgresServer) -> RecordsSettings:
    """A database without tables."""
    server.run("DROP TABLE IF EXISTS cerebro_access, cerebro_schema")
    return settings_for(server.url)


def settings_for(url: str, days: int = 365) -> RecordsSettings:
    return RecordsSettings.model_validate(
        {
            "records": "postgresql",
            "records_url": url,
            "records_tls": False,
            "records_days": days,
        }
    )


@pytest.fixture
async def place(settings: RecordsSettings) -> AsyncIterator[PostgresPlace]:
    opened = PostgresPlace(settings)
    yield opened
    await opened.close()


def access(order: str, **fields: object) -> Access:
    return Access.model_validate(
        {
            "session_uid": f"uid-{order}",
            "namespace": "n",
            "session": "s",
            "device": "d",
            "router": "R1",
            "order": order,
            "type": "Paid",
            "mac": "AA:BB:CC:DD:EE:01",
            "ip": "10.5.50.10",
            "started_at": START,
            "made_by": "bridge",
            **fields,
        }
    )


def grant(order: str, **fields: object) -> str:
    return AccessRecord.of(access(order, **fields)).text()


def end(order: str, ended_at: datetime, **fields: object) -> str:
    return AccessRecord.of(access(order, **fields), ended_at, "Expired").text()


def rows(server: PostgresServer) -> list[tuple[object, ...]]:
    return server.run(
        "SELECT order_id, ip, started_at, ended_at, end_reason FROM cerebro_access ORDER BY order_id"
    )


async def test_a_record_has_one_effect_however_often_it_is_written(
    place: PostgresPlace, server: PostgresServer
) -> None:
    until = START + timedelta(hours=1)
    await place.write([grant("a", ip=None), grant("b")])
    for _ in range(2):
        await place.write([end("a", until), grant("a"), end("a", until)])
    assert rows(server) == [
        ("a", "10.5.50.10", START, until, "Expired"),
        ("b", "10.5.50.10", START, None, None),
    ]


async def test_an_end_without_its_begin_is_a_whole_access(
    place: PostgresPlace, server: PostgresServer
) -> None:
    await place.write([end("a", START)])
    assert rows(server) == [("a", "10.5.50.10", START, START, "Expired")]


async def test_what_no_table_can_keep_holds_up_nothing(
    place: PostgresPlace, server: PostgresServer
) -> None:
    await place.write([grant("zero\0byte"), grant("whole")])
    server.run("ALTER TABLE cerebro_access ADD CHECK (order_id <> 'bad')")
    await place.write(["no record", grant("first"), grant("second")])
    with pytest.raises(PlaceError, match="check"):
        await place.write([grant("bad")])
    server.run(
        "ALTER TABLE cerebro_access ALTER COLUMN order_id TYPE varchar(20)"
    )
    await place.write([grant("x" * 30), grant("third")])
    orders = [row[0] for row in rows(server)]
    assert orders == ["first", "second", "third", "whole", "zero�byte"]


async def test_old_accesses_are_deleted_and_lasting_ones_stay(
    server: PostgresServer, settings: RecordsSettings
) -> None:
    assert settings.records_url is not None
    kept = PostgresPlace(settings_for(server.url, days=0))
    place = PostgresPlace(settings_for(server.url, days=10))
    now = datetime.now(UTC)
    old, young = now - timedelta(days=11), now - timedelta(days=9)
    await place.write([grant("lasts"), end("old", old), end("young", young)])
    await kept.forget()
    assert len(rows(server)) == 3
    await place.forget()
    assert [row[0] for row in rows(server)] == ["lasts", "young"]
    await kept.close()
    await place.close()


async def test_a_user_without_rights_to_make_tables_may_write(
    server: PostgresServer, settings: RecordsSettings
) -> None:
    server.run("DROP ROLE IF EXISTS writer")
    server.run("CREATE ROLE writer LOGIN PASSWORD 'writer'")
    server.run("REVOKE CREATE ON SCHEMA public FROM PUBLIC, writer")
    place = PostgresPlace(
        settings_for(
            f"postgresql://writer:writer@127.0.0.1:{server.port}/postgres"
        )
    )
    with pytest.raises(PlaceError, match="permission denied"):
        await place.write([grant("a")])

    with psycopg.connect(server.url, sslmode="disable") as connection:
        connection.execute(command.sql().encode())
    server.run(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON cerebro_access, cerebro_schema TO writer"
    )
    await place.write([grant("a")])
    assert await place.erase({"mac": None, "ip": None, "order_id": "a"}) == 1
    await place.close()
    server.run("DROP OWNED BY writer; DROP ROLE writer")


async def test_tables_of_a_newer_release_are_left_alone(
    place: PostgresPlace, server: PostgresServer
) -> None:
    await place.write([grant("a")])
    await place.close()
    server.run(f"UPDATE cerebro_schema SET version = {tables.VERSION + 1}")
    with pytest.raises(PlaceError, match=f"version {tables.VERSION + 1}"):
        await place.write([grant("b")])


async def test_an_error_shows_no_password(
    server: PostgresServer, tmp_path: Path
) -> None:
    url = server.url.replace(f":{server.port}/", ":1/")
    place = PostgresPlace(settings_for(url))
    with pytest.raises(PlaceError) as refused:
        await place.write([grant("a")])
    assert "postgres-password" not in str(refused.value)
    wrong = PostgresPlace(
        settings_for(server.url.replace("postgres-password", "wrong-password"))
    )
    with pytest.raises(PlaceError, match="authentication failed") as refused:
        await wrong.write([grant("a")])
    assert "wrong-password" not in str(refused.value)
    assert repr(settings_for(server.url)).count("postgres-password") == 0
