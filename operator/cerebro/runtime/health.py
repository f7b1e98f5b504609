"""Whether a process lives and is ready (rule E11), and the small HTTP server
that answers the probes.

A process is alive if its event loop, its loops and its watches turn, whether
or not the API server answers. A stuck event loop cannot answer the probe at
all. The bridge has an HTTP server of its own and does not use this one.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from prometheus_client import REGISTRY
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from cerebro.runtime.clock import monotonic
from cerebro.runtime.exposition import exposition

Check = Callable[[], str | None]
"""Returns what is wrong, None if all is well."""

log = logging.getLogger(__name__)


class Health:
    """The checks of one process. They are called at each probe, so a check
    only looks and never waits.
    """

    def __init__(self) -> None:
        self._alive: dict[str, Check] = {}
        self._ready: dict[str, Check] = {}
        self._facts: dict[str, Callable[[], object]] = {}

    def alive(self, name: str, check: Check) -> None:
        """Add a check of `/healthz`: the process is restarted while it fails."""
        self._alive[name] = check

    def ready(self, name: str, check: Check) -> None:
        """Add a check of `/readyz`: the process gets no work while it fails."""
        self._ready[name] = check

    def fact(self, name: str, value: Callable[[], object]) -> None:
        """Add a value that the verbose page shows and no probe depends on:
        Lease, API server, discovery.
        """
        self._facts[name] = value

    def heartbeat(self, name: str, limit: float) -> Callable[[], None]:
        """Add a loop to the checks of `/healthz`.

        Returns the function that the loop must call at least every `limit`
        seconds.
        """
        beat = Heartbeat(limit)
        self.alive(name, beat.trouble)

        return beat

    def troubles(self, *, ready: bool = False) -> dict[str, str]:
        """Return what is wrong, by the name of the check; empty if all is
        well.

        With `ready` the checks of `/readyz` count too.
        """
        troubles: dict[str, str] = {}

        for name, check in self._checks(ready=ready).items():
            trouble = check()
            if trouble is not None:
                troubles[name] = trouble

        return troubles

    def names(self, *, ready: bool = False) -> list[str]:
        """Return the names of the checks, those of `/readyz` too with `ready`."""
        return list(self._checks(ready=ready))

    def _checks(self, *, ready: bool) -> dict[str, Check]:
        return {**self._alive, **self._ready} if ready else self._alive

    def facts(self) -> dict[str, object]:
        """Return the facts by name."""
        return {name: value() for name, value in self._facts.items()}


class Heartbeat:
    """The heartbeat of one loop, which calls it at each turn."""

    def __init__(
        self, limit: float, clock: Callable[[], float] = monotonic
    ) -> None:
        """`limit` is the longest time between two calls, in seconds by
        `clock`.
        """
        self._limit = limit
        self._clock = clock
        self._last = clock()

    def __call__(self) -> None:
        """Note that the loop turned."""
        self._last = self._clock()

    def trouble(self) -> str | None:
        """Return how long the loop has not turned if that is too long, else
        None.
        """
        silent = self._clock() - self._last

        return (
            f"has not turned for {silent:.0f} s"
            if silent > self._limit
            else None
        )


@asynccontextmanager
async def serve(
    health: Health, host: str, port: int, *, token: str | None = None
) -> AsyncIterator[int]:
    """Serve `/healthz`, which is `/livez` too, `/readyz` and `/metrics` while
    the context lasts.

    Yields the port; port 0 takes a free one. With a token, metrics and verbose
    pages ask for it as a bearer token; bare probes never do. Raises OSError if
    the address cannot be listened on.
    """

    app = web.Application(client_max_size=1024)
    pages = _Pages(health, token)
    app.router.add_get("/healthz", pages.healthz)
    app.router.add_get("/livez", pages.healthz)
    app.router.add_get("/readyz", pages.readyz)
    app.router.add_get("/metrics", pages.metrics)

    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound = int(runner.addresses[0][1])
        log.info("probes and metrics on %s:%d", host, bound)
        yield bound
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serve_socket(health: Health, path: Path) -> AsyncIterator[None]:
    """Serve the bare `/healthz` and `/readyz` on a Unix socket while the
    context lasts, for `probe`.

    The socket's folder is the pod's own. Raises OSError if it cannot be made.
    """
    app = web.Application(client_max_size=1024)
    pages = _Pages(health, None)
    app.router.add_get("/healthz", pages.healthz)
    app.router.add_get("/readyz", pages.readyz)

    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.UnixSite(runner, path).start()
        yield
    finally:
        await runner.cleanup()


class _Pages:
    """The three pages; a method a page."""

    def __init__(self, health: Health, token: str | None) -> None:
        self._health = health
        self._token = token

    async def healthz(self, request: web.Request) -> web.Response:
        return self._answer(request, ready=False)

    async def readyz(self, request: web.Request) -> web.Response:
        return self._answer(request, ready=True)

    async def metrics(self, request: web.Request) -> web.Response:
        if not self._allowed(request):
            return web.Response(status=401)

        text = await exposition(REGISTRY, labels={})
        headers = {"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}

        return web.Response(body=text.encode(), headers=headers)

    def _answer(self, request: web.Request, *, ready: bool) -> web.Response:
        """Return 200, or 503 with the names of the failing checks; with
        `?verbose` all checks, the reasons and facts.
        """

        troubles = self._health.troubles(ready=ready)
        status = 503 if troubles else 200
        if "verbose" not in request.query:
            return web.Response(
                status=status, text="\n".join(sorted(troubles)) or "ok"
            )

        if not self._allowed(request):
            return web.Response(status=401)

        body = {
            "ok": not troubles,
            "checks": {
                name: "failed" if name in troubles else "ok"
                for name in self._health.names(ready=ready)
            },
            "troubles": troubles,
            "facts": self._health.facts(),
        }

        return web.json_response(body, status=status)

    def _allowed(self, request: web.Request) -> bool:
        """Return whether a request bears the token, compared in constant time."""
        if self._token is None:
            return True

        given = request.headers.get("Authorization", "")
        wanted = f"Bearer {self._token}"

        return hmac.compare_digest(given.encode(), wanted.encode())
