"""Asks the database: connections, time limits, and what an error of it means.

Everything that is sent runs in a transaction that cannot write. Nothing here
decides about orders.
"""

from __future__ import annotations

import asyncio
import math
import ssl
import time
from collections.abc import Mapping
from typing import Any

import psycopg
import structlog
from psycopg import errors
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from cerebro.bridge.database_settings import QUERY_PARAMETERS, DatabaseAddress
from cerebro.bridge.order_check.row import QueryError, check_columns

Row = dict[str, Any]
Connection = psycopg.AsyncConnection[Row]

REST = 1.0
"""Seconds after a failed connection in which nobody waits for a further one."""

_WAITING = 1000
"""Orders that wait for a connection at once."""
_LEAST_CONNECT_TIMEOUT = 2
"""Seconds: libpq takes less for two."""
_SEVERAL = 2
_AWAY = (
    psycopg.OperationalError,  # also that the server shuts down, or is full
    psycopg.InterfaceError,  # the connection was closed meanwhile
    PoolTimeout,
    TooManyRequests,
)
_NOT_AN_ID = (
    errors.InvalidTextRepresentation,
    errors.NumericValueOutOfRange,
    errors.CharacterNotInRepertoire,
)
"""Errors of a value that the type of the database's column cannot be: no order
has it.
"""

log = structlog.get_logger(__name__)


class DatabaseAwayError(Exception):
    """The database did not answer in time, or cannot be reached."""


class Database:
    """Asks one query of one database."""

    def __init__(
        self, address: DatabaseAddress, query: str, timeout: float
    ) -> None:
        """`timeout`: seconds in which an answer has to come."""
        self._query = query.encode()
        self._timeout = timeout
        self._options = _options(address, timeout)
        self._url = address.url
        self._rest_until = 0.0
        self._working: set[asyncio.Task[list[Row]]] = set()
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            address.url,
            connection_class=psycopg.AsyncConnection[Row],
            kwargs={**self._options, "row_factory": dict_row},
            min_size=0,
            max_size=address.pool_size,
            max_waiting=_WAITING,
            max_idle=address.idle_for,
            timeout=timeout,
            reconnect_timeout=REST,
            configure=_make_read_only,
            check=AsyncConnectionPool.check_connection,
            name="order check",
            open=False,
        )

    async def open(self) -> None:
        """Make ready; nothing is connected yet."""
        await self._pool.open()

    async def close(self) -> None:
        """Close all connections."""
        for task in list(self._working):
            task.cancel()

        await self._pool.close(timeout=self._timeout)

    async def ask(self, values: Mapping[str, str | None]) -> Row | None:
        """Ask the query; return its row, None if it has none.

        `values` are those of QUERY_PARAMETERS. Raises DatabaseAwayError, and
        QueryError for a query that cannot be used.
        """
        if time.monotonic() < self._rest_until:
            raise DatabaseAwayError("it could not be reached a moment ago")

        # A driver that is cancelled goes on for seconds, to have the server
        # cancel too; nobody waits for that.
        connected = asyncio.Event()
        task = asyncio.create_task(self._ask_pool(values, connected))
        self._working.add(task)
        task.add_done_callback(self._ended)
        try:
            await asyncio.wait({task}, timeout=self._timeout)
        finally:
            if not task.done():
                task.cancel()

        try:
            return _only(self._rows_of(task))
        except DatabaseAwayError:
            # Whom it did not even let in will hardly be let in at once.
            if not connected.is_set():
                self._rest_until = time.monotonic() + REST

            raise

    async def probe(self) -> None:
        """Connect anew, and try the query with nothing but NULLs.

        Raises DatabaseAwayError, which says why, and QueryError.
        """
        nothing: dict[str, str | None] = dict.fromkeys(QUERY_PARAMETERS)
        limit = max(self._timeout, float(_LEAST_CONNECT_TIMEOUT))
        try:
            async with (
                asyncio.timeout(limit),
                await psycopg.AsyncConnection.connect(
                    self._url, row_factory=dict_row, **self._options
                ) as connection,
            ):
                await _make_read_only(connection)
                await self._run(connection, nothing)
        except TimeoutError:
            raise DatabaseAwayError(f"no answer within {limit:g} s") from None
        except psycopg.Error as error:
            raise DatabaseAwayError(_text(error)) from None

        self._rest_until = 0.0

    async def _ask_pool(
        self, values: Mapping[str, str | None], connected: asyncio.Event
    ) -> list[Row]:
        try:
            async with self._pool.connection() as connection:
                connected.set()
                return await self._run(connection, values)
        except _AWAY as error:
            raise DatabaseAwayError(_text(error)) from None

    async def _run(
        self, connection: Connection, values: Mapping[str, str | None]
    ) -> list[Row]:
        """Run the query in a transaction; return its rows, two at most."""
        limit_ms = str(math.ceil(self._timeout * 1000))
        try:
            async with connection.transaction(force_rollback=True):
                # For this transaction only: a pooler between us and the
                # database gives the connection to others.
                await connection.execute(
                    b"SELECT set_config('statement_timeout', %s, true)",
                    (limit_ms,),
                )
                cursor = await connection.execute(self._query, values)
                if cursor.description is None:
                    raise QueryError("the query returns no rows: select them")

                check_columns(
                    {
                        column.name: column.type_code
                        for column in cursor.description
                    }
                )

                return await cursor.fetchmany(_SEVERAL)
        except _NOT_AN_ID as error:
            log.info("no order can have this id", error=_text(error))
            return []
        except _AWAY as error:
            raise DatabaseAwayError(_text(error)) from None
        except psycopg.Error as error:
            raise QueryError(_text(error)) from None

    def _rows_of(self, task: asyncio.Task[list[Row]]) -> list[Row]:
        if not task.done():
            raise DatabaseAwayError(f"no answer within {self._timeout:g} s")

        return task.result()

    def _ended(self, task: asyncio.Task[list[Row]]) -> None:
        """Forget a task, and take its error: its caller may have gone."""
        self._working.discard(task)
        if not task.cancelled():
            task.exception()


async def _make_read_only(connection: Connection) -> None:
    await connection.set_read_only(True)


def _options(address: DatabaseAddress, timeout: float) -> dict[str, Any]:
    """Return how to connect, besides the URL; it counts before the URL."""
    options: dict[str, Any] = {
        "application_name": "cerebro order check",
        "connect_timeout": max(_LEAST_CONNECT_TIMEOUT, math.ceil(timeout)),
        "keepalives_idle": 30,
        "tcp_user_timeout": 10_000,
        "prepare_threshold": None,  # poolers know no prepared statements
        "sslmode": "verify-full" if address.tls else "disable",
    }
    if address.tls:
        options["sslrootcert"] = str(address.ca or _system_authorities())

    return options


def _system_authorities() -> str:
    """Return the file of the system's authorities; libpq's own word for them
    where Python knows no file.
    """
    return ssl.get_default_verify_paths().cafile or "system"


def _only(rows: list[Row]) -> Row | None:
    if len(rows) >= _SEVERAL:
        raise QueryError(
            "the query returns several rows for an order: it must choose one, for example by LIMIT 1"
        )

    return rows[0] if rows else None


def _text(error: BaseException) -> str:
    """Return the first line of an error, for people: the lines after it show
    the query and values.
    """
    lines = str(error).strip().splitlines()

    return lines[0] if lines else type(error).__name__
