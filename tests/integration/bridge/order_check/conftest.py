"""A real PostgreSQL with orders, as a portal has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from cerebro.bridge.database_settings import DatabaseSettings
from support.postgres_server import PostgresServer

QUERY = """
SELECT status = 'PAID' AS paid, ends_at AT TIME ZONE 'UTC' AS expires_at, ip, mac
FROM orders WHERE code = %(order_id)s AND coalesce(router, %(router_id)s) = %(router_id)s
"""
TABLE = """
CREATE TABLE orders (code text PRIMARY KEY, status text, ends_at timestamp, ip inet, mac macaddr, router text)
"""


@pytest.fixture(scope="module")
def database(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[PostgresServer]:
    with PostgresServer(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def orders(database: PostgresServer) -> PostgresServer:
    """A server that runs, and whose table `orders` is empty."""
    database.start()
    database.run("DROP SCHEMA public CASCADE")
    database.run("CREATE SCHEMA public")
    database.run(TABLE)
    return database


def settings(url: str, **fields: Any) -> DatabaseSettings:
    """The settings of an order check without TLS."""
    return DatabaseSettings(
        **{
            "database_url": SecretStr(url),
            "order_query": QUERY,
            "database_ssl": False,
            **fields,
        }
    )


@pytest.fixture
def add(orders: PostgresServer) -> Callable[..., None]:
    """Call it to add an order; further columns as keyword arguments."""

    def insert(code: str, status: str = "PAID", **columns: Any) -> None:
        row = {"code": code, "status": status, **columns}
        marks = ", ".join("%s" for _ in row)
        orders.run(
            f"INSERT INTO orders ({', '.join(row)}) VALUES ({marks})",
            list(row.values()),
        )

    return insert
