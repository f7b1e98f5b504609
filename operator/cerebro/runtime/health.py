"""Rule E11: whether this process lives and is ready, and the small HTTP server that says so.

Alive means that the event loop, the loops and the watchers turn, never that the API server answers. A stuck
event loop cannot answer the probe at all. The bridge has an HTTP server of its own and may use `Health`
alone.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from cerebro.runtime import metrics

Check = Callable[[], str | None]
"""Gives what is wrong, None when all is well."""

_LAG_PERIOD = 0.5
_LAG_SAMPLES = 120

log = logging.getLogger(__name__)


class Health:
    """The checks of one process. Checks are called at each probe, so they only look."""

    def __init__(self) -> None:
        self._alive: dict[str, Check] = {}
        self._ready: dict[str, Check] = {}
        self._facts: dict[str, Callable[[], object]] = {}

    def alive(self, name: str, check: Check) -> None:
        """Add a check of `/healthz`: without it the process is restarted."""
        self._alive[name] = check

    def ready(self, name: str, check: Check) -> None:
        """Add a check of `/readyz`."""
        self._ready[name] = check

    def fact(self, name: str, value: Callable[[], object]) -> None:
        """Add what `/healthz?verbose` shows and no probe depends on: Lease, API server, discovery."""
        self._facts[name] = value

    def heartbeat(self, name: str, limit: float) -> Callable[[], None]:
        """Add a loop that must call what this gives at least every `limit` seconds to count as alive."""
        beat = Heartbeat(limit)
        self.alive(name, beat.trouble)
        return beat

    def troubles(self, *, ready: bool = False) -> dict[str, str]:
        """Give what is wrong by check; empty is well."""
        checks = {**self._alive, **self._ready} if ready else self._alive
        found = {name: check() for name, check in checks.items()}
        return {name: trouble for name, trouble in found.items() if trouble is not None}

    def facts(self) -> dict[str, object]:
        """Give the facts for a person."""
        return {name: value() for name, value in self._facts.items()}


class Heartbeat:
    """Called by a loop at each turn."""

    def __init__(self, limit: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._last = clock()

    def __call__(self) -> None:
        """Say that it turned."""
        self._last = self._clock()

    def trouble(self) -> str | None:
        """Say since when it has not turned, if that is too long."""
        silent = self._clock() - self._last
        return f"has not turned for {silent:.0f} s" if silent > self._limit else None


@asynccontextmanager
async def serve(health: Health, host: str, port: int, *, token: str | None = None) -> AsyncIterator[int]:
    """Serve `/healthz`, `/readyz` and `/metrics` while the context lasts; gives the port (0 takes a free
    one).

    With a token, metrics and verbose pages ask for it as a bearer token; bare probes never do.
    """
    app = web.Application(client_max_size=1024)
    pages = _Pages(health, token)
    app.router.add_get("/healthz", pages.healthz)
    app.router.add_get("/readyz", pages.readyz)
    app.router.add_get("/metrics", pages.metrics)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    lag = asyncio.create_task(_measure_lag(), name="event loop lag")
    try:
        await web.TCPSite(runner, host, port).start()
        bound = int(runner.addresses[0][1])
        log.info("probes and metrics on %s:%d", host, bound)
        yield bound
    finally:
        lag.cancel()
        await runner.cleanup()


class _Pages:
    def __init__(self, health: Health, token: str | None) -> None:
        self._health = health
        self._token = token

    async def healthz(self, request: web.Request) -> web.Response:
        return self._answer(request, self._health.troubles())

    async def readyz(self, request: web.Request) -> web.Response:
        return self._answer(request, self._health.troubles(ready=True))

    async def metrics(self, request: web.Request) -> web.Response:
        if not self._allowed(request):
            return web.Response(status=401)
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    def _answer(self, request: web.Request, troubles: dict[str, str]) -> web.Response:
        status = 503 if troubles else 200
        if "verbose" not in request.query:
            return web.Response(status=status, text="\n".join(sorted(troubles)) or "ok")
        if not self._allowed(request):
            return web.Response(status=401)
        body = {"ok": not troubles, "troubles": troubles, "facts": self._health.facts()}
        return web.json_response(body, status=status)

    def _allowed(self, request: web.Request) -> bool:
        if self._token is None:
            return True
        given = request.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode())


async def _measure_lag() -> None:
    recent: deque[float] = deque(maxlen=_LAG_SAMPLES)
    while True:
        due = time.monotonic() + _LAG_PERIOD
        await asyncio.sleep(_LAG_PERIOD)
        recent.append(time.monotonic() - due)
        metrics.EVENT_LOOP_LAG.set(max(recent))
