"""The order check: what the database's word means for an order (A5, A6)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Literal

import structlog

from cerebro.bridge.database_settings import DatabaseSettings
from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Authorize, Client
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.order_check.database import Database, DatabaseAwayError
from cerebro.bridge.order_check.row import QueryError, read_row

PROBE_EVERY = 15.0
"""Seconds without an answer of the database after which it is tried."""

UNAVAILABLE = "order_check_unavailable"
FAILED = "order_check_failed"

Standing = Literal["ok", "failed", "off"]

log = structlog.get_logger(__name__)


@asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield


class OrderCheck:
    """Asks the database about paid orders. Trials are not asked about."""

    def __init__(
        self,
        settings: DatabaseSettings,
        metrics: Metrics,
        apart: Callable[[], AbstractAsyncContextManager[None]] = _nothing,
    ) -> None:
        """`apart` is entered while the database is waited for."""
        self._allow_unchecked = settings.order_query_away == "allow"
        self._metrics = metrics
        self._apart = apart
        self._failure: str | None = None
        self._answered_at = 0.0

        self._database: Database | None = None
        address, query = settings.database, settings.order_query
        if address is not None and query is not None:
            self._database = Database(
                address, query, settings.order_query_timeout
            )

    @property
    def standing(self) -> Standing:
        """Whether orders can be checked now; `off` if none are."""
        if self._database is None:
            return "off"

        return "ok" if self._failure is None else "failed"

    def concerns(self, order: Authorize) -> bool:
        """Return whether an order is to be checked before it opens anything."""
        return self._database is not None and order.type == "Paid"

    async def open(self) -> None:
        """Make ready, and try the query.

        Raises QueryError for a query that cannot be used. A database that is
        away is tried later.
        """
        if self._database is None:
            return

        await self._database.open()
        try:
            await self._database.probe()
        except DatabaseAwayError as error:
            self._note_failure(str(error))
        except QueryError as error:
            raise QueryError(f"CEREBRO_ORDER_QUERY: {error}") from None
        else:
            self._note_answer()

    async def close(self) -> None:
        """Close the connections."""
        if self._database is not None:
            await self._database.close()

    async def run(self) -> None:
        """Try the database from time to time if nobody asks it, until
        cancelled: health shows how it is.
        """
        while self._database is not None:
            await asyncio.sleep(PROBE_EVERY)
            if time.monotonic() - self._answered_at < PROBE_EVERY:
                continue

            try:
                await self._database.probe()
            except (DatabaseAwayError, QueryError) as error:
                self._note_failure(str(error))
            else:
                self._note_answer()

        await asyncio.Event().wait()

    async def checked(
        self, order: Authorize, router_id: str, client: Client
    ) -> Authorize:
        """Return an order with what the database adds to it: its end where the
        request names none, and its client where nobody knows it.

        Raises ApiError: 404 `order_unknown`, 402 `order_not_paid`, and 503 if
        it cannot be checked now.
        """
        assert self._database is not None
        try:
            async with self._apart():
                row = await self._database.ask(
                    {
                        "order_id": order.order_id,
                        "router_id": router_id,
                        "device_token": order.token,
                        "mac": client.mac,
                        "ip": client.ip,
                    }
                )

            known = None if row is None else read_row(row)
        except DatabaseAwayError as error:
            self._note_failure(str(error))
            self._count("away")
            return self._without_check(order)
        except QueryError as error:
            self._note_failure(str(error))
            self._count("failed")
            raise _failed(error) from None

        self._note_answer()
        if known is None:
            self._count("unknown")
            raise _unknown()

        if not known.paid:
            self._count("not_paid")
            raise _not_paid()

        self._count("paid")
        changes: dict[str, object] = {}
        if order.expires_at is None and order.duration is None:
            changes["expires_at"] = known.expires_at

        if not client and known.client:
            changes["client"] = known.client

        return order.model_copy(update=changes)

    def _count(self, result: str) -> None:
        self._metrics.order_checks.labels(result).inc()

    def _without_check(self, order: Authorize) -> Authorize:
        """Return an order that nobody could check, if it is granted all the
        same; else raise ApiError 503.
        """
        if not self._allow_unchecked:
            raise ApiError(
                503,
                UNAVAILABLE,
                "the database of CEREBRO_ORDER_QUERY does not answer; the order is kept and checked when it does",
                pending=True,
            )

        log.warning(
            "an order is granted unchecked",
            order=order.order_id,
            trace_id=order.trace_id,
        )

        return order

    def _note_answer(self) -> None:
        if self._failure is not None:
            log.info("the database of the order check answers")

        self._failure = None
        self._answered_at = time.monotonic()

    def _note_failure(self, why: str) -> None:
        """Remember that orders cannot be checked; each reason is logged once
        in a row.
        """
        if why != self._failure:
            log.warning("orders cannot be checked", error=why)

        self._failure = why


def _unknown() -> ApiError:
    return ApiError(
        404,
        "order_unknown",
        "the backend's database does not know this order: nothing is granted for it",
    )


def _not_paid() -> ApiError:
    return ApiError(
        402,
        "order_not_paid",
        "by the backend's database this order is not paid: nothing is granted for it",
    )


def _failed(error: QueryError) -> ApiError:
    return ApiError(
        503,
        FAILED,
        f"CEREBRO_ORDER_QUERY cannot be used: {error}; the order is kept and checked when it can",
        pending=True,
    )
