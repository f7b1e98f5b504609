"""The endpoints for probes, people and Prometheus: how the bridge is. They read, and change nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

import structlog
from pydantic import Field
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from cerebro.bridge.answers import Answer, is_none
from cerebro.bridge.endpoints.base import BridgeState, now_text
from cerebro.bridge.errors import ApiError
from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.refusals import codes
from cerebro.bridge.http.routes import Route
from cerebro.bridge.metrics import StoreFigures
from cerebro.bridge.orders.service import OrderService

_PROMETHEUS = "text/plain; version=0.0.4"

log = structlog.get_logger(__name__)


class HealthAnswer(Answer):
    """How the bridge is, in a word."""

    status: Literal["ok", "degraded"]
    dry_run: bool | None = Field(
        default=None,
        exclude_if=is_none,
        description="True if the bridge changes nothing, else absent.",
    )


class LiveAnswer(Answer):
    """The event loop turns."""

    status: Literal["alive"] = "alive"


class ReadyAnswer(Answer):
    """Whether requests can be taken; the status is 503 while they cannot."""

    status: Literal["ready", "not ready"]
    uptime: float = Field(description="Seconds since the start.")
    database: Literal["ok", "failed"] = Field(
        description="`failed` while the store cannot be used; the log says why."
    )
    hmac: Literal["ok", "off"] = Field(
        description="Whether requests are signed."
    )

    @property
    def http_status(self) -> int:
        """200 or 503, for probes."""
        return 200 if self.status == "ready" else 503


class Build(Answer):
    """What runs here."""

    version: str | None
    sha: str | None


class RelayHealthAnswer(Answer):
    """How the bridge is, in the fields that clients of every age read."""

    ok: Literal[True] = True
    status: Literal["ok", "degraded"]
    service: Literal["relay"] = "relay"
    ts: str = Field(description="The time here, in UTC.")
    uptime_ms: int
    build: Build
    dry_run: bool | None = Field(
        default=None,
        exclude_if=is_none,
        description="True if the bridge changes nothing, else absent.",
    )


class HealthEndpoints:
    """Health and metrics."""

    def __init__(
        self, service: OrderService, state: Callable[[], BridgeState]
    ) -> None:
        self._service = service
        self._state = state
        self._started = time.monotonic()

    def routes(self) -> list[Route]:
        """Return the endpoints."""
        return [
            Route(
                method="GET",
                path="/health",
                access=Access.OPEN,
                handler=self.health,
                summary="Whether all is well: ok or degraded",
                answer=HealthAnswer,
                refusals={},
            ),
            Route(
                method="GET",
                path="/health/live",
                access=Access.OPEN,
                handler=self.live,
                summary="Whether the process turns",
                answer=LiveAnswer,
                refusals={},
            ),
            Route(
                method="GET",
                path="/health/ready",
                access=Access.OPEN,
                handler=self.ready,
                summary="Whether it can take requests",
                answer=ReadyAnswer,
                answers_by_status={503: ReadyAnswer},
                refusals={},
            ),
            Route(
                method="GET",
                path="/relay/health",
                access=Access.HEALTH,
                handler=self.relay_health,
                summary="Service, time and build",
                answer=RelayHealthAnswer,
                refusals={},
            ),
            Route(
                method="GET",
                path="/relay/metrics",
                access=Access.METRICS,
                handler=self.metrics,
                summary="Metrics for Prometheus",
                answer=None,
                refusals=codes(s503="store_unavailable"),
            ),
            Route(
                method="GET",
                path="/metrics",
                access=Access.LOCAL_METRICS,
                handler=self.metrics,
                summary="Metrics for Prometheus",
                answer=None,
                refusals=codes(s503="store_unavailable"),
            ),
        ]

    async def health(self, _: Request) -> Answer:
        """Answer ok, or degraded while something that the bridge needs is away; always with 200."""
        return HealthAnswer(status=self._status(), dry_run=self._dry_run())

    async def live(self, _: Request) -> Answer:
        """Answer that the event loop turns. It says nothing of the API server (E11)."""
        return LiveAnswer()

    async def ready(self, _: Request) -> Answer:
        """Answer whether a request can be taken into the inbox (E11)."""
        state = self._state()
        return ReadyAnswer(
            status="ready" if state.ready else "not ready",
            uptime=round(time.monotonic() - self._started, 3),
            database="ok" if state.store_failure is None else "failed",
            hmac="ok" if self._service.settings.secret else "off",
        )

    async def relay_health(self, _: Request) -> Answer:
        """Answer what runs here, since when, and how it is."""
        settings = self._service.settings
        return RelayHealthAnswer(
            status=self._status(),
            ts=now_text(),
            uptime_ms=round((time.monotonic() - self._started) * 1000),
            build=Build(version=settings.version, sha=settings.sha),
            dry_run=self._dry_run(),
        )

    async def metrics(self, _: Request) -> Response:
        """Answer with the metrics in Prometheus' text format."""
        figures = await self._store_figures()
        text = await self._service.metrics.page(figures)

        return PlainTextResponse(text, media_type=_PROMETHEUS)

    async def _store_figures(self) -> StoreFigures | None:
        """Return what the store has; None if it cannot be read, for the rest
        of the page is there all the same.
        """
        store = self._service.store

        try:
            backlog = await store.backlog()
            stock = await store.stock()
        except ApiError as error:
            log.debug("the store's metrics are missing", error=str(error))
            return None

        return StoreFigures(
            due=backlog.count,
            pending=stock.waiting,
            oldest=backlog.oldest,
            events=stock.events,
        )

    def _status(self) -> Literal["ok", "degraded"]:
        return "ok" if self._state().healthy else "degraded"

    def _dry_run(self) -> Literal[True] | None:
        return True if self._service.settings.dry_run else None
