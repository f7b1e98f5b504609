"""What kopf's watchers do, seen from its HTTP session: signs of life (rule E11), and where a list ended (rule
E7).

kopf shows its handlers neither bookmarks nor the end of a list. But a watcher that turns makes requests, and
the request for a watch that follows requests for a list says that the whole list was handed over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

import aiohttp

from cerebro.kube.cache.completeness import Watch
from cerebro.resources import API_GROUP, API_VERSION
from cerebro.runtime import metrics


class Activity:
    """Follows the requests of one set of watches."""

    def __init__(self, watches: Collection[Watch], relisted: Callable[[Watch], None]) -> None:
        self._paths = {
            f"/apis/{API_GROUP}/{API_VERSION}/namespaces/{watch.namespace}/{watch.kind.plural}": watch
            for watch in watches
        }
        self._relisted = relisted
        self._seen: dict[Watch, float] = {}
        self._listing: set[Watch] = set()

    def pause(self) -> None:
        """Expect nothing: kopf is not running."""
        self._seen.clear()

    def resume(self) -> None:
        """Expect requests of each watch from now on."""
        now = time.monotonic()
        self._seen = dict.fromkeys(self._paths.values(), now)

    def silence(self) -> float:
        """Give the seconds since the last request of the watch that is silent longest; 0 while paused."""
        return time.monotonic() - min(self._seen.values(), default=time.monotonic())

    def trace(self) -> aiohttp.TraceConfig:
        """Make the hook for a new session."""
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self._started)
        return trace

    async def _started(
        self, _session: aiohttp.ClientSession, _context: object, params: aiohttp.TraceRequestStartParams
    ) -> None:
        watch = self._paths.get(params.url.path)
        if watch is None or not self._seen:
            return
        self._seen[watch] = time.monotonic()
        if "watch" not in params.url.query:
            self._listing.add(watch)
        elif watch in self._listing:
            self._listing.discard(watch)
            metrics.WATCHER_RELISTS.labels(watch.kind.kind).inc()
            self._relisted(watch)
