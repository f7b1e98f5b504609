"""The bridge process: it wires the parts together, listens, and goes down in order (E14).

It opens the store, watches Devices and Sessions, and serves HTTP. What is done about a request is decided in
`endpoints` and `orders`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import structlog
import uvicorn

from cerebro.bridge.app import make_app
from cerebro.bridge.devices.tunnels import Tunnels
from cerebro.bridge.endpoints.orders import Handlers
from cerebro.bridge.errors import ApiError
from cerebro.bridge.inbox import Inbox
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.orders.executor import OrderExecutor, Written
from cerebro.bridge.orders.service import OrderService
from cerebro.bridge.orders.sessions import Sessions
from cerebro.bridge.orders.upkeep import Upkeep
from cerebro.bridge.settings import BridgeSettings
from cerebro.bridge.store.base import BridgeStore, Entry
from cerebro.bridge.store.sqlite.store import SqliteStore
from cerebro.domain.lifecycle import GrantWindows
from cerebro.kube.cache.completeness import Watch
from cerebro.kube.cache.informers import Informers
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.connection import load
from cerebro.resources import DEVICE, SESSION, UNFINISHED
from cerebro.runtime.clock import monotonic, now_ms

HOUSEKEEPING = 15.0
"""Seconds between two rounds of housekeeping."""
CALL_TIMEOUT = 10.0
"""Seconds for one call to the API server: clients of the bridge give up after 5 s, the inbox tries again."""
FORBIDDEN_FOR = 60.0
"""Seconds of 403 after which the bridge is not ready any more (E10)."""
SILENT_FOR = 60.0
"""Seconds without an answer of the API server after which the bridge is not healthy any more."""

log = structlog.get_logger(__name__)


async def run(settings: BridgeSettings, stop: asyncio.Event) -> None:
    """Run until `stop` is set, then take nothing new, finish what is under way and close the store.

    Raises ConfigError if the kubeconfig cannot be used.
    """
    for warning in settings.warnings():
        log.warning(warning)

    store = SqliteStore(settings.store)
    await store.open()

    try:
        async with KubeApi(load(settings.kubeconfig), timeout=CALL_TIMEOUT) as api:
            await Bridge(settings, store, api).run(stop)
    finally:
        await store.close()


class Bridge:
    """The parts of one bridge, wired together."""

    def __init__(self, settings: BridgeSettings, store: BridgeStore, api: KubeApi) -> None:
        self._settings = settings
        self._store = store
        self._api = api
        self._stopping = False

        # What is known of Devices and Sessions.
        watches = (
            Watch(DEVICE, settings.namespace),
            Watch(SESSION, settings.namespace, UNFINISHED),
        )
        self._informers = Informers(api, watches, settings)
        self._completeness = self._informers.completeness
        objects = self._informers.store
        self._sessions = Sessions(api, objects, settings.namespace)
        self._upkeep = Upkeep(self._sessions, objects)

        # What becomes of an order.
        windows = GrantWindows.of_seconds(trial=settings.trial_grant_within, paid=settings.paid_grant_within)
        executor = OrderExecutor(
            self._sessions,
            store,
            complete=self._completeness.wait_complete,
            enqueue=self._enqueue,
            windows=windows,
            default_paid=_default_paid(settings),
        )
        self._inbox: Inbox[Written] = Inbox(store, executor.carry_out, windows)

        # What answers HTTP.
        metrics = Metrics()
        metrics.watch(self._sessions.all, self._sessions.devices)
        orders = OrderService(settings, store, self._sessions, self._inbox, metrics)
        tunnels = Tunnels(api, objects, self._sessions, settings)
        self._app = make_app(settings, store, metrics, Handlers(orders, tunnels, self.state))

    def state(self) -> Mapping[str, Any]:
        """Return the state for the health pages (E11).

        `ready`: a request can be taken into the inbox. `healthy`: orders get through, too. `store`: what is
        wrong with the store, None if nothing is.
        """
        now = monotonic()
        forbidden_since = self._api.forbidden_since()
        refused = forbidden_since is not None and now - forbidden_since > FORBIDDEN_FOR
        ready = not self._stopping and self._store.failed is None and not refused

        contact = self._api.last_contact
        heard = contact is not None and now - contact < SILENT_FOR + HOUSEKEEPING
        complete = self._completeness.complete()

        return {
            "ready": ready,
            "healthy": ready and complete and heard,
            "store": self._store.failed,
        }

    async def run(self, stop: asyncio.Event) -> None:
        """Watch, serve and keep house until `stop` is set, or until one of these ends.

        Raises the error with which one of them ended.
        """
        server = _Server(self._config())
        adopted = await self._inbox.adopt(all_of_it=True)
        if adopted:
            log.info("orders left by the process before are carried out", count=adopted)

        parts = [
            self._informers.run(),
            self._look_after(),
            self._keep_house(),
        ]
        tasks = [asyncio.create_task(part) for part in parts]
        serving = asyncio.create_task(server.serve())
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([*tasks, serving, stopped], return_when=asyncio.FIRST_COMPLETED)
        finally:
            # In this order: no new request, then no new entry, then no more work.
            self._stopping = True
            server.should_exit = True
            await asyncio.wait([serving])
            await self._inbox.close(self._settings.drain_timeout)

            for task in (*tasks, stopped):
                task.cancel()
            results = await asyncio.gather(*tasks, serving, return_exceptions=True)

        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                raise result

    def _config(self) -> uvicorn.Config:
        settings = self._settings
        return uvicorn.Config(
            self._app,
            host=settings.bind_host,
            port=settings.port,
            access_log=False,
            log_config=None,
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=int(settings.drain_timeout) or 1,
            backlog=2048,
        )

    def _enqueue(self, entry: Entry) -> None:
        """Hand an entry to the inbox, which is made after the executor that it is handed from."""
        self._inbox.enqueue(entry)

    async def _look_after(self) -> None:
        """Look after Sessions of ours, once all are known (E7)."""
        await self._completeness.wait_complete()
        log.info("all Devices and Sessions are known")
        await self._upkeep.run()

    async def _keep_house(self) -> None:
        """Forget what is over, and adopt what a bridge that shared our file left behind (E15)."""
        while True:
            await asyncio.sleep(HOUSEKEEPING)
            try:
                await self._store.prune(now_ms())
                await self._inbox.adopt()
            except ApiError as error:
                log.warning("housekeeping has to wait", error=str(error))
            except Exception:
                log.exception("housekeeping failed, and is tried again")


def _default_paid(settings: BridgeSettings) -> timedelta | None:
    """Return how long a paid order lasts that names no end; None: until it is revoked (A5)."""
    if not settings.paid_minutes:
        return None
    return timedelta(minutes=settings.paid_minutes)


class _Server(uvicorn.Server):
    """uvicorn, without its hands on the process's signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the command line."""
        yield
