"""The watched objects of one process: Store, Presence, Completeness and
Watcher, wired together.

Every process that watches builds exactly this. It knows nothing of what the
objects are for: a process adds its indexes and subscriptions to `store`, waits
for `completeness`, and acts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from cerebro.kube.cache.completeness import Completeness, Watch
from cerebro.kube.cache.presence import Presence
from cerebro.kube.cache.store import Store
from cerebro.kube.cache.watcher import Watcher, WatchTimes
from cerebro.kube.client.api import KubeApi
from cerebro.resources import Kind
from cerebro.runtime.settings import KubernetesSettings


def watches_of(
    kinds: Collection[Kind],
    namespaces: Collection[str],
    selectors: dict[Kind, str],
) -> list[Watch]:
    """Return a watch for each kind in each namespace; `selectors` has the
    field selectors of some kinds.
    """
    return [
        Watch(kind, namespace, selectors.get(kind))
        for namespace in namespaces
        for kind in kinds
    ]


class Informers:
    """Keeps the Store of one process fed, and knows whether it is complete
    (rule E7).
    """

    def __init__(
        self,
        api: KubeApi,
        watches: Collection[Watch],
        settings: KubernetesSettings,
        *,
        waiting: Callable[[str | None], None] | None = None,
    ) -> None:
        """`waiting` is called with what the start waits for, and with None
        when that is over (rule E10).
        """

        presence = Presence(api)
        times = WatchTimes(
            request_timeout=settings.request_timeout,
            watch_timeout=settings.watch_timeout,
            backoff_ceiling=settings.backoff_ceiling,
        )

        self.store = Store()
        self.completeness = Completeness(
            self.store,
            api,
            watches,
            presence=presence,
            check_interval=settings.store_check_interval,
        )

        self._watcher = Watcher(
            api,
            self.store,
            watches,
            presence=presence,
            relisted=self.completeness.request,
            times=times,
            waiting=waiting,
        )

    def alive(self) -> bool:
        """Return whether each watch made a request lately, or waits for the
        API server (rule E11).
        """
        return self._watcher.alive()

    async def run(self) -> None:
        """Watch and compare without end; ends by cancellation only."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watcher.run(), name="watcher")
            tasks.create_task(self.completeness.run(), name="completeness")
