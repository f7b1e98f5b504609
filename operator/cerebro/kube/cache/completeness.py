"""Compares the Store with the API server's own list (rule E7): at the start,
after each relist and every few minutes.

kopf shows neither the end of its first list nor what was deleted while a watch
was broken. Both are found here with a list of UIDs. This only drops what is
gone and notes what is complete; it never adds objects, which come by the
watch. A deletion that was held (rule E13) gets another chance here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass

from cerebro.kube.cache.presence import Presence
from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import KubeError
from cerebro.resources import Kind
from cerebro.runtime import metrics
from cerebro.runtime.backoff import Backoff
from cerebro.runtime.loop import wait_for_wake

_GRACE = 2.0
"""Seconds that listed objects have to come by the watch before a complete
collection is doubted.
"""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Watch:
    """What is watched: the objects of a kind in a namespace, or those of them
    that the server selects.
    """

    kind: Kind
    namespace: str
    field_selector: str | None = None
    """For example `status.finished!=true`; None: all objects."""

    def __str__(self) -> str:
        return f"{self.kind.plural} in {self.namespace}"


class Completeness:
    """Runs rule E7 for the given watches, each in a task of its own."""

    def __init__(
        self,
        store: Store,
        api: KubeApi,
        watches: Collection[Watch],
        *,
        presence: Presence,
        check_interval: float = 120.0,
        backoff_ceiling: float = 5.0,
    ) -> None:
        """`check_interval` is the time between two comparisons of a watch, in
        seconds.

        `backoff_ceiling` bounds the waits until a collection is complete, and
        those after an error.
        """

        self._store = store
        self._api = api
        self._presence = presence
        self._interval = check_interval
        self._backoff = Backoff(first=0.05, ceiling=backoff_ceiling)
        self._wanted = {watch: asyncio.Event() for watch in watches}
        """Set when a comparison of that watch is wanted soon."""
        self._troubles: dict[Watch, str] = {}
        """The last error of each watch, so that it is logged once."""
        self._all_complete = asyncio.Event()
        store.on_complete(lambda _kind, _namespace: self._note_complete())

    def complete(self) -> bool:
        """Return whether all watched collections are complete now."""
        return all(
            self._store.complete(watch.kind, watch.namespace)
            for watch in self._wanted
        )

    async def wait_complete(self) -> None:
        """Return when all watched collections are complete."""
        while not self.complete():
            self._all_complete.clear()
            await self._all_complete.wait()

    def request(self, watch: Watch) -> None:
        """Ask for a comparison soon, as after each relist."""
        self._wanted[watch].set()

    async def run(self) -> None:
        """Compare without end; API errors are waited out. Ends by cancellation
        only.
        """
        async with asyncio.TaskGroup() as tasks:
            for watch in self._wanted:
                tasks.create_task(
                    self._run(watch), name=f"completeness of {watch}"
                )

    async def _run(self, watch: Watch) -> None:
        """Compare one watch without end: in turns once it is complete, with a
        back-off until then.
        """
        delays = iter(self._backoff)
        while True:
            settled = await self._try(watch)
            self._show(watch)

            if settled:
                delays = iter(self._backoff)
                delay = self._interval
            else:
                delay = next(delays)

            await self._wait(watch, delay)

    async def _try(self, watch: Watch) -> bool:
        """Compare one collection; return whether it is complete, False after
        an error of the API server.
        """
        try:
            settled = await self.check(watch)
        except KubeError as error:
            if self._troubles.get(watch) != str(error):
                log.warning(
                    "could not compare %s with the API server: %s",
                    watch,
                    error,
                )

            self._troubles[watch] = str(error)

            return False

        self._troubles.pop(watch, None)

        return settled

    async def check(self, watch: Watch) -> bool:
        """Compare one collection once; return whether it is complete. Raises
        KubeError.

        What was delivered after the list was asked for is not judged by that
        list.
        """

        kind, namespace = watch.kind, watch.namespace
        await self._presence.notice(namespace)
        since = self._store.sequence
        listing = await self._api.list_uids(
            kind, namespace, field_selector=watch.field_selector
        )

        # What the list lacks is gone only if the collection itself is to stay
        # (E13).
        known = {stored.uid for stored in self._store.all(kind, namespace)}
        gone = known - listing.uids.keys()
        held = self._store.held(kind, namespace)
        if gone or held:
            if await self._presence.intact(kind, namespace):
                self._store.believe(kind, namespace, held)
            elif gone:
                log.warning(
                    "%s: the CRD or the namespace is terminating: nothing is removed",
                    watch,
                )

                return False

        result = self._store.reconcile_listing(kind, namespace, listing, since)
        if result.dropped:
            metrics.STORE_DROPPED.labels(kind.kind).inc(len(result.dropped))
            log.info(
                "%s: %d objects were deleted while nobody told us",
                watch,
                len(result.dropped),
            )

        if not result.missing:
            return True

        # Listed objects come by the watch, perhaps a moment later.
        if self._store.complete(kind, namespace):
            await asyncio.sleep(_GRACE)

        missing = self._store.doubt(kind, namespace)
        if missing:
            log.info(
                "%s: %d listed objects have not come yet", watch, len(missing)
            )

        return not missing

    async def _wait(self, watch: Watch, delay: float) -> None:
        """Wait until a comparison is wanted, at most `delay` seconds."""
        wanted = self._wanted[watch]
        await wait_for_wake(wanted, delay)
        wanted.clear()

    def _show(self, watch: Watch) -> None:
        """Show a collection among the metrics."""
        kind = watch.kind
        complete = self._store.complete(kind, watch.namespace)
        metrics.STORE_COMPLETE.labels(kind.kind, watch.namespace).set(
            int(complete)
        )

        metrics.STORE_OBJECTS.labels(kind.kind).set(len(self._store.all(kind)))
        metrics.STORE_INVALID.labels(kind.kind).set(
            len(self._store.frozen(kind))
        )

    def _note_complete(self) -> None:
        """Wake who waits, if all collections are complete."""
        if self.complete():
            self._all_complete.set()
