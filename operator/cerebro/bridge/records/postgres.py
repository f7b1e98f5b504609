"""Records of access in a PostgreSQL: one connection, with a time limit for all
that it does.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow, dict_row
from pydantic import ValidationError

from cerebro.bridge.audit_settings import RecordsSettings
from cerebro.bridge.records import tables
from cerebro.bridge.records.access import AccessRecord
from cerebro.bridge.records.places import PlaceError

_CALL_TIMEOUT = 20.0
"""Seconds for a batch, with the connection."""
_FORGOTTEN_AT_ONCE = 5_000

Criteria = Mapping[str, str | None]
"""The values of `mac`, `ip` and `order_id` that rows must have; None: any."""

log = structlog.get_logger(__name__)


class PostgresPlace:
    """The table of accesses."""

    def __init__(self, settings: RecordsSettings) -> None:
        assert settings.records_url is not None
        self._url = settings.records_url.get_secret_value()
        self._days = settings.records_days
        self._options = _options(settings)
        self._connection: AsyncConnection[DictRow] | None = None

    async def write(self, records: Sequence[str]) -> None:
        """Write records in one transaction. What cannot be written by itself
        is logged and left out: it would keep all others from the table.

        Raises PlaceError.
        """
        rows = [row for record in records if (row := _row(record)) is not None]
        try:
            async with self._connected() as connection:
                await _write(connection, rows)
        except PlaceError as error:
            if not isinstance(error.__cause__, psycopg.DataError):
                raise

            await self._write_singly(rows)

    async def forget(self) -> None:
        """Delete accesses that ended longer ago than they are kept. Raises
        PlaceError.
        """
        if not self._days:
            return

        values = {"days": self._days, "limit": _FORGOTTEN_AT_ONCE}
        forgotten = _FORGOTTEN_AT_ONCE
        while forgotten >= _FORGOTTEN_AT_ONCE:
            async with self._connected() as connection:
                cursor = await connection.execute(tables.FORGET, values)
                forgotten = cursor.rowcount
                await connection.commit()

    async def show(self, criteria: Criteria) -> list[dict[str, Any]]:
        """Return the rows with these values, the oldest first. Raises
        PlaceError.
        """
        async with self._connected() as connection:
            cursor = await connection.execute(tables.SHOW, criteria)
            rows = await cursor.fetchall()
            await connection.rollback()

        return rows

    async def erase(self, criteria: Criteria) -> int:
        """Delete the rows with these values; return how many. Raises
        PlaceError.
        """
        async with self._connected() as connection:
            cursor = await connection.execute(tables.ERASE, criteria)
            await connection.commit()

        return cursor.rowcount

    async def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _write_singly(self, rows: Sequence[dict[str, Any]]) -> None:
        for row in rows:
            try:
                async with self._connected() as connection:
                    await _write(connection, [row])
            except PlaceError as error:
                if not isinstance(error.__cause__, psycopg.DataError):
                    raise

                log.error(  # noqa: TRY400 - the error would show the row
                    "a record of access cannot be written, and is left out",
                    session=row["session"],
                    reason=str(error),
                )

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection[DictRow]]:
        """Yield a connection to a database that has the tables.

        Raises PlaceError for whatever goes wrong within, without the password.
        The connection is closed then, and the next call opens another one.
        """
        try:
            async with asyncio.timeout(_CALL_TIMEOUT):
                if self._connection is None:
                    self._connection = await self._connect()

                yield self._connection
        except TimeoutError:
            await self._drop()
            raise PlaceError(f"no answer within {_CALL_TIMEOUT:g} s") from None
        except (psycopg.Error, OSError) as error:
            await self._drop()
            raise PlaceError(_reason(error)) from error
        except BaseException:
            await self._drop()
            raise

    async def _connect(self) -> AsyncConnection[DictRow]:
        connection: AsyncConnection[DictRow] = await AsyncConnection.connect(
            self._url, row_factory=dict_row, **self._options
        )
        try:
            await _make_tables(connection)
        except BaseException:
            await connection.close()
            raise

        return connection

    async def _drop(self) -> None:
        """Give up a connection of which nobody knows how it is."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await asyncio.shield(connection.close())


async def _write(
    connection: AsyncConnection[DictRow], rows: Sequence[dict[str, Any]]
) -> None:
    async with connection.cursor() as cursor:
        await cursor.executemany(tables.WRITE, rows)

    await connection.commit()


async def _make_tables(connection: AsyncConnection[DictRow]) -> None:
    """Make the tables where they are missing. Raises PlaceError for those of a
    newer release.
    """
    cursor = await connection.execute(
        "SELECT to_regclass('cerebro_schema') IS NOT NULL AS made"
    )
    row = await cursor.fetchone()

    # Who may not make tables may still write into those that somebody made.
    if row is None or not row["made"]:
        await connection.execute(
            "SELECT pg_advisory_xact_lock(%s)", (tables.LOCK,)
        )
        await connection.execute(sql.SQL(tables.TABLES))
        await connection.execute(sql.SQL(tables.NOTE_VERSION))

    cursor = await connection.execute(sql.SQL(tables.READ_VERSION))
    row = await cursor.fetchone()
    await connection.commit()

    version = row["version"] if row is not None else 0
    if version != tables.VERSION:
        raise PlaceError(
            f"the table cerebro_access has version {version}, and this release writes version {tables.VERSION}"
        )


def _row(record: str) -> dict[str, Any] | None:
    """Return the values of a record, None if no release of ours wrote it."""
    try:
        return tables.row_of(AccessRecord.model_validate_json(record))
    except ValidationError:
        log.error("a record of access cannot be read, and is left out")  # noqa: TRY400 - the error would show it
        return None


def _options(settings: RecordsSettings) -> dict[str, Any]:
    """Return how to connect: with TLS the certificate and its name are
    verified, whatever the URL says.
    """
    options: dict[str, Any] = {
        "application_name": "cerebro records",
        "connect_timeout": 10,
        "keepalives_idle": 30,
        "tcp_user_timeout": 20_000,
        "prepare_threshold": None,  # poolers know no prepared statements
        "sslmode": "verify-full" if settings.records_tls else "disable",
    }

    if settings.records_tls:
        system = ssl.get_default_verify_paths().cafile or "system"
        options["sslrootcert"] = str(settings.records_ca or system)

    return options


def _reason(error: Exception) -> str:
    """Return the first line of an error: those after it show values."""
    lines = str(error).strip().splitlines()

    return lines[0] if lines else type(error).__name__
