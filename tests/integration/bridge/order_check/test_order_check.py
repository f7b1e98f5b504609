"""The order check against a real PostgreSQL: what it says, and what becomes of orders while it cannot be asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Authorize, Client
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.order_check.check import OrderCheck
from cerebro.bridge.order_check.database import (
    REST,
    Database,
    DatabaseAwayError,
)
from cerebro.bridge.order_check.row import QueryError
from integration.bridge.caller import eventually
from integration.bridge.order_check.conftest import settings
from support.orders import PHONE, at, order
from support.postgres_server import PASSWORD, PostgresServer, make_certificate

NOBODY = Client()


@asynccontextmanager
async def opened(url: str, **fields: Any) -> AsyncIterator[OrderCheck]:
    check = OrderCheck(settings(url, **fields), Metrics())
    try:
        await check.open()
        yield check
    finally:
        await check.close()


async def ask(
    check: OrderCheck, order_id: str, client: Client = PHONE, **fields: Any
) -> Authorize:
    asked = order(order_id, **fields).model_copy(update={"client": client})
    return await check.checked(asked, "R1", client)


async def refusal(check: OrderCheck, order_id: str) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await ask(check, order_id)
    return caught.value


async def test_paid_not_paid_and_unknown(
    orders: PostgresServer, add: Callable[..., None]
) -> None:
    add("P-1")
    add("P-2", "OPEN")
    add("P-3", router="R2")
    async with opened(orders.url) as check:
        assert await ask(check, "P-1") == order("P-1")
        refused = await refusal(check, "P-2")
        assert (refused.status, refused.code) == (402, "order_not_paid")
        for order_id in ("P-3", "P-4", "' OR true --"):
            refused = await refusal(check, order_id)
            assert (refused.status, refused.code) == (404, "order_unknown")
        assert check.standing == "ok"


async def test_a5_the_column_is_the_end_where_the_request_names_none(
    orders: PostgresServer, add: Callable[..., None]
) -> None:
    add("P-1", ends_at=datetime(2026, 3, 1, 12, 0))  # noqa: DTZ001 - as portals keep it
    async with opened(orders.url) as check:
        end = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
        assert (await ask(check, "P-1")).expires_at == end
        named = await ask(check, "P-1", expires_at=at(60))
        assert named.expires_at == at(60)
        lasting = await ask(check, "P-1", duration=at(60) - at(0))
        assert lasting.expires_at is None


async def test_a6_the_phone_comes_from_the_row_where_nobody_knows_it(
    orders: PostgresServer, add: Callable[..., None]
) -> None:
    add("P-1", ip="10.5.50.77", mac="aa:bb:cc:dd:ee:77")
    async with opened(orders.url) as check:
        known = (await ask(check, "P-1", NOBODY)).client
        assert known == Client(ip="10.5.50.77", mac="AA:BB:CC:DD:EE:77")
        assert (await ask(check, "P-1", PHONE)).client == PHONE


async def test_an_id_that_no_order_can_have_is_unknown(
    orders: PostgresServer,
) -> None:
    orders.run("CREATE TABLE payments (id uuid)")
    query = "SELECT true AS paid FROM payments WHERE id = %(order_id)s"
    async with opened(orders.url, order_query=query) as check:
        assert (await refusal(check, "P-1")).code == "order_unknown"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT paid FROM orders WHERE code = %(order_id)s", "paid"),
        (
            "SELECT status AS paid FROM orders WHERE code = %(order_id)s",
            "paid",
        ),
        (
            "SELECT true AS paid, ends_at AS expires_at FROM orders WHERE code = %(order_id)s",
            "expires_at",
        ),
        ("SELECT FROM order WHERE code = %(order_id)s", "syntax error"),
        (
            "UPDATE orders SET status = 'PAID' WHERE code = %(order_id)s RETURNING true AS paid",
            "read-only",
        ),
    ],
)
async def test_a_query_that_cannot_be_used_ends_the_start(
    orders: PostgresServer, query: str, message: str
) -> None:
    with pytest.raises(QueryError, match=message) as caught:
        async with opened(orders.url, order_query=query):
            pass
    assert str(caught.value).startswith("CEREBRO_ORDER_QUERY: ")


async def test_a_query_that_fails_later_never_grants(
    orders: PostgresServer, add: Callable[..., None]
) -> None:
    """Whatever is to be done while the database is away: it is not."""
    add("P-1")
    async with opened(orders.url, order_query_away="allow") as check:
        orders.run("ALTER TABLE orders RENAME COLUMN status TO state")
        failed = await refusal(check, "P-1")
        assert (failed.status, failed.code) == (503, "order_check_failed")
        assert "CEREBRO_ORDER_QUERY" in failed.text
        orders.run("ALTER TABLE orders RENAME COLUMN state TO status")
        await ask(check, "P-1")


async def test_several_rows_are_no_answer(
    orders: PostgresServer, add: Callable[..., None]
) -> None:
    add("P-1")
    add("P-2")
    query = "SELECT true AS paid FROM orders WHERE %(order_id)s::text <> ''"
    async with opened(orders.url, order_query=query) as check:
        assert "LIMIT 1" in (await refusal(check, "P-1")).text


@pytest.mark.parametrize("away", ["stopped", "silent", "slow"])
async def test_while_it_is_away_orders_are_refused_or_allowed_and_it_comes_back(
    orders: PostgresServer, add: Callable[..., None], away: str
) -> None:
    add("P-1")
    patient = {"order_query_timeout": 0.5}
    async with (
        opened(orders.url, **patient) as refusing,
        opened(orders.url, order_query_away="allow", **patient) as allowing,
    ):
        await ask(refusing, "P-1")  # over a connection that stays
        await ask(allowing, "P-1")

        async def both() -> None:
            refused = await refusal(refusing, "P-1")
            assert (refused.status, refused.code, refused.extra) == (
                503,
                "order_check_unavailable",
                {"pending": True},
            )
            assert await ask(allowing, "P-1") == order("P-1")
            assert (refusing.standing, allowing.standing) == (
                "failed",
                "failed",
            )

        if away == "stopped":
            orders.stop()
            await both()
            orders.start()
        elif away == "silent":
            with orders.silent():
                await both()
        else:
            orders.run("ALTER TABLE orders RENAME TO kept")
            orders.run(
                "CREATE VIEW orders AS SELECT kept.* FROM kept, pg_sleep(20)"
            )
            await both()
            orders.run("DROP VIEW orders")
            orders.run("ALTER TABLE kept RENAME TO orders")

        await asyncio.sleep(REST)
        async with asyncio.timeout(60):
            while True:
                try:
                    await ask(refusing, "P-1")
                    break
                except ApiError:
                    await asyncio.sleep(0.1)


async def test_while_it_is_away_nobody_waits_but_the_first(
    orders: PostgresServer,
) -> None:
    """What is tried again and again must not keep the others waiting."""
    address = settings(orders.url).database
    assert address is not None
    query = "SELECT true AS paid WHERE %(order_id)s <> ''"
    database = Database(address, query, timeout=0.5)
    await database.open()
    values: dict[str, str | None] = {"order_id": "P-1"}
    with orders.silent():
        with pytest.raises(DatabaseAwayError, match="no answer within"):
            await database.ask(values)
        with pytest.raises(DatabaseAwayError, match="a moment ago"):
            await database.ask(values)
    await database.close()


async def test_it_is_found_away_and_back_though_nobody_asks(
    orders: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cerebro.bridge.order_check.check.PROBE_EVERY", 0.05)
    orders.stop()
    async with opened(orders.url) as check:
        assert check.standing == "failed"
        running = asyncio.create_task(check.run())
        orders.start()
        await eventually(lambda: check.standing == "ok")
        running.cancel()


async def test_tls_is_verified_with_the_certificate_that_is_named(
    tmp_path: Path,
) -> None:
    """Defect 66 of the old relay: it took any certificate."""
    with PostgresServer(tmp_path, tls=True) as server:
        server.run("CREATE TABLE orders (code text, paid boolean)")
        server.run("INSERT INTO orders VALUES ('P-1', true)")
        query = "SELECT paid FROM orders WHERE code = %(order_id)s"
        secure = {"order_query": query, "database_ssl": True}

        async with opened(
            server.url, **secure, database_ca=server.certificate
        ) as check:
            await ask(check, "P-1")
            ((used,),) = server.run(
                "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
                " WHERE application_name = 'cerebro order check'"
            )
            assert used

        make_certificate(tmp_path / "another")
        for ca in (tmp_path / "another" / "server.crt", None):
            with capture_logs() as logs:
                async with opened(
                    server.url, **secure, database_ca=ca
                ) as check:
                    refused = await refusal(check, "P-1")
            assert refused.code == "order_check_unavailable"
            assert "certificate verify failed" in str(logs)

        named_otherwise = server.url.replace("127.0.0.1", "localhost")
        async with opened(
            named_otherwise, **secure, database_ca=server.certificate
        ) as check:
            await refusal(check, "P-1")


async def test_a_password_is_in_no_error_and_no_log(
    orders: PostgresServer,
) -> None:
    wrong = orders.url.replace(PASSWORD, "wrong-" + PASSWORD)
    with capture_logs() as logs:
        async with opened(wrong) as check:
            refused = await refusal(check, "P-1")
    assert "password authentication failed" in str(logs)
    assert PASSWORD not in str(logs) + str(refused.body()) + repr(check)


async def test_connections_are_bounded_and_go_when_nobody_uses_them(
    orders: PostgresServer, add: Callable[..., None]
) -> None:
    add("P-1")
    address = settings(
        orders.url, database_pool_size=3, database_idle_ms=1000
    ).database
    assert address is not None
    query = "SELECT true AS paid, pg_sleep(0.02) WHERE %(order_id)s <> ''"
    database = Database(address, query, timeout=3)
    await database.open()
    values: dict[str, str | None] = {"order_id": "P-1"}
    await asyncio.gather(*(database.ask(values) for _ in range(40)))
    count = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE application_name = 'cerebro order check'"
    )
    ((connections,),) = orders.run(count)
    assert 1 <= connections <= 3
    await eventually(lambda: orders.run(count) == [(0,)])
    await database.close()
