"""Follows what kopf's watchers do by the requests of its HTTP session.

kopf shows its handlers neither bookmarks nor the end of a list. But a watcher
that turns makes requests, which is its sign of life (rule E11); and a request
for a watch that follows requests for a list shows that the whole list was
handed over (rule E7).
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import aiohttp

from cerebro.kube.cache.completeness import Watch
from cerebro.resources import API_GROUP, API_VERSION
from cerebro.runtime import metrics
from cerebro.runtime.clock import monotonic
from cerebro.runtime.times import Monotonic


class Activity:
    """Follows the requests of one set of watches."""

    def __init__(
        self, watches: Collection[Watch], relisted: Callable[[Watch], None]
    ) -> None:
        """`relisted` is called with a watch whenever a list of it was handed
        over.
        """

        self._relisted = relisted
        self._paths = {_path(watch): watch for watch in watches}
        self._requested: dict[Watch, Monotonic] = {}
        """When each watch made its last request; empty while kopf does not
        run.
        """

        self._listing: set[Watch] = set()
        """Watches whose last request was for a page of a list."""

    def pause(self) -> None:
        """Expect nothing: kopf is not running."""
        self._requested.clear()

    def resume(self) -> None:
        """Expect requests of each watch from now on."""
        self._requested = dict.fromkeys(self._paths.values(), monotonic())

    def silence(self) -> float:
        """Return the seconds since the last request of the watch that is
        silent longest; 0 while paused.
        """
        now = monotonic()

        return now - min(self._requested.values(), default=now)

    def trace(self) -> aiohttp.TraceConfig:
        """Return the hook for a new session."""
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self._started)

        return trace

    async def _started(
        self,
        _session: aiohttp.ClientSession,
        _context: object,
        params: aiohttp.TraceRequestStartParams,
    ) -> None:
        watch = self._paths.get(params.url.path)
        if watch is None or not self._requested:
            return

        self._requested[watch] = monotonic()

        asks_for_list = "watch" not in params.url.query
        if asks_for_list:
            self._listing.add(watch)
        elif watch in self._listing:
            self._listing.discard(watch)
            metrics.WATCHER_RELISTS.labels(watch.kind.kind).inc()
            self._relisted(watch)


def _path(watch: Watch) -> str:
    """Return the path of the requests of a watch."""
    return f"/apis/{API_GROUP}/{API_VERSION}/namespaces/{watch.namespace}/{watch.kind.plural}"
