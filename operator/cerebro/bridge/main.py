"""Runs the bridge: opens the store, watches Devices and Sessions, listens, and goes down in order (E14)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from datetime import timedelta

import structlog
import uvicorn

from cerebro.bridge.app import make_app, make_routes
from cerebro.bridge.devices.tunnels import Tunnels
from cerebro.bridge.endpoints.base import BridgeState
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
from cerebro.runtime.clock import now_ms

HOUSEKEEPING = 15.0
CALL_TIMEOUT = 10.0
FORBIDDEN_FOR = 60.0
SILENT_FOR = 60.0

log = structlog.get_logger(__name__)


async def run(settings: BridgeSettings, stop: asyncio.Event) -> None:
    """Run until `stop` is set, then take nothing new, finish what is under way and close the store."""
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
        watches = (
            Watch(DEVICE, settings.namespace),
            Watch(SESSION, settings.namespace, UNFINISHED),
        )
        self._informers = Informers(api, watches, settings)
        self._completeness = self._informers.completeness
        self._objects = self._informers.store
        self._sessions = Sessions(api, self._objects, settings.namespace)
        self._upkeep = Upkeep(self._sessions, self._objects)
        windows = GrantWindows.of_seconds(trial=settings.trial_grant_within, paid=settings.paid_grant_within)
        default_paid = timedelta(minutes=settings.paid_minutes) if settings.paid_minutes else None
        self._actions = OrderExecutor(
            self._sessions,
            store,
            complete=self._completeness.wait_complete,
            enqueue=self._enqueue,
            windows=windows,
            default_paid=default_paid,
        )
        self._inbox: Inbox[Written] = Inbox(store, self._actions.carry_out, windows)
        self._metrics = Metrics()
        self._metrics.watch(self._sessions.all, self._sessions.devices)
        relay = OrderService(settings, store, self._sessions, self._inbox, self._metrics)
        tunnels = Tunnels(api, self._objects, self._sessions, settings)
        routes = make_routes(relay, tunnels, self.state)
        self._app = make_app(settings, store, self._metrics, routes)

    def state(self) -> BridgeState:
        """Say how we are, for the health pages (E11): ready is that a request can be taken into the inbox."""
        forbidden = self._api.forbidden_since()
        refused = forbidden is not None and time.monotonic() - forbidden > FORBIDDEN_FOR
        contact = self._api.last_contact
        heard = contact is not None and time.monotonic() - contact < SILENT_FOR + HOUSEKEEPING
        ready = not self._stopping and self._store.failed is None and not refused
        complete = self._completeness.complete()
        return BridgeState(
            ready=ready, healthy=ready and complete and heard, store_failure=self._store.failed
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Watch, serve and keep house until `stop` is set."""
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
        self._inbox.enqueue(entry)

    async def _look_after(self) -> None:
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


class _Server(uvicorn.Server):
    """uvicorn, without its hands on the process's signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the command line."""
        yield
