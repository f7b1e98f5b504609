"""Runs the bridge: opens the store, watches Devices and Sessions, listens, and
ends in order (E14).

This is the only place that knows in what the store is kept. It decides nothing
about requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from datetime import timedelta

import structlog
import uvicorn
from starlette.types import ASGIApp

from cerebro.bridge import environment
from cerebro.bridge.audit.log import AuditLog
from cerebro.bridge.backend.manager import BackendSide
from cerebro.bridge.commands.devices import CommandDevices
from cerebro.bridge.commands.service import CommandService
from cerebro.bridge.devices.family import make_devices
from cerebro.bridge.endpoints.app import make_app, make_routes
from cerebro.bridge.endpoints.base import BridgeState
from cerebro.bridge.errors import ApiError
from cerebro.bridge.http.connections import Connections
from cerebro.bridge.http.connections import config as connection_config
from cerebro.bridge.metrics import Metrics, WatchedObjects
from cerebro.bridge.order_check.check import OrderCheck
from cerebro.bridge.orders.executor import OrderExecutor
from cerebro.bridge.orders.inbox import Inbox
from cerebro.bridge.orders.repeats import Repeats
from cerebro.bridge.orders.service import OrderService
from cerebro.bridge.orders.sessions import Sessions, Written
from cerebro.bridge.orders.slots import Slots
from cerebro.bridge.orders.trials import TrialLimit
from cerebro.bridge.orders.upkeep import Upkeep
from cerebro.bridge.records.manager import AccessRecords
from cerebro.bridge.settings import BridgeSettings
from cerebro.bridge.store.base import BridgeStore, Entry
from cerebro.bridge.store.redis.store import RedisStore
from cerebro.bridge.store.sqlite.store import SqliteStore
from cerebro.bridge.users.family import make_users
from cerebro.bridge.users.service import HotspotUsers
from cerebro.domain.lifecycle import GrantWindows
from cerebro.kube.cache.completeness import Watch
from cerebro.kube.cache.informers import Informers
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.connection import load
from cerebro.resources import (
    DEVICE,
    DEVICE_COMMAND,
    PEER,
    SESSION,
    UNFINISHED,
)
from cerebro.runtime.clock import now_ms

HOUSEKEEPING = 15.0
"""Seconds between two rounds of forgetting and adopting."""
CALL_TIMEOUT = 10.0
"""Seconds that a call to the API server may take."""
BODY_ANSWER_WITHIN = 1.0
"""Seconds after the time for a body in which its 408 goes out before the
connection is closed.
"""
FORBIDDEN_FOR = 60.0
"""Seconds of refusals by the API server after which the bridge is not ready.
"""
SILENT_FOR = 60.0
"""Seconds without an answer of the API server after which the bridge is
degraded.
"""

log = structlog.get_logger(__name__)


class StoreNotUsableError(Exception):
    """The store could not be opened. The text names its variable, and why."""


async def run(settings: BridgeSettings, stop: asyncio.Event) -> None:
    """Run until `stop` is set, then take nothing new, finish what is under way
    and close the store.

    Raises StoreNotUsableError, StoreVersionError, QueryError.
    """
    ignored = environment.warnings(os.environ)
    for warning in [*settings.warnings(), *ignored]:
        log.warning(warning)

    metrics = Metrics()
    store = _store(settings, metrics)
    try:
        await store.open()
    except ApiError as error:
        variable = (
            "REDIS_URL" if settings.store_kind == "redis" else "CEREBRO_STORE"
        )
        raise StoreNotUsableError(f"{variable}: {error}") from None

    try:
        async with KubeApi(
            load(settings.kubeconfig), timeout=CALL_TIMEOUT
        ) as api:
            await Bridge(settings, store, api, metrics).run(stop)
    finally:
        await store.close()


def _store(settings: BridgeSettings, metrics: Metrics) -> BridgeStore:
    """Return the store that the settings name, not open yet."""
    if settings.store_kind == "redis":
        return RedisStore(
            settings.redis, settings.relay_namespace, metrics.store_called
        )

    return SqliteStore(settings.store)


def _watches(namespace: str) -> tuple[Watch, ...]:
    """Return what the bridge knows of a namespace."""
    return (
        Watch(DEVICE, namespace),
        Watch(PEER, namespace),
        Watch(SESSION, namespace, UNFINISHED),
        Watch(DEVICE_COMMAND, namespace, UNFINISHED),
    )


def _default_paid(settings: BridgeSettings) -> timedelta | None:
    """Return the length of a paid order that names no end; None: until it is
    revoked (A5).
    """
    minutes = settings.paid_minutes

    return timedelta(minutes=minutes) if minutes else None


class Bridge:
    """The parts of one bridge, wired together."""

    def __init__(
        self,
        settings: BridgeSettings,
        store: BridgeStore,
        api: KubeApi,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._store = store
        self._api = api
        self._stopping = False
        self._audit = AuditLog.of(settings)

        watches = _watches(settings.namespace)
        self._informers = Informers(api, watches, settings)
        self._completeness = self._informers.completeness
        self._objects = self._informers.store
        self._sessions = Sessions(api, self._objects, settings.namespace)
        self._upkeep = Upkeep(self._sessions, self._objects)

        windows = GrantWindows.of_seconds(
            trial=settings.trial_grant_within, paid=settings.paid_grant_within
        )

        self._metrics = metrics
        slots = Slots()
        self._check = OrderCheck(settings, self._metrics, slots.given_back)

        self._users = make_users(
            api,
            self._objects,
            self._sessions,
            settings,
            store,
            windows=windows,
            default_paid=_default_paid(settings),
        )

        self._executor = self._make_executor(windows)
        self._backend = BackendSide(
            settings,
            store,
            self._sessions,
            self._objects,
            metrics=self._metrics,
            windows=windows,
            enqueue=self._enqueue,
            audit=self._audit,
        )

        self._records = AccessRecords(
            settings, store, self._sessions, self._objects, self._metrics
        )

        self._inbox: Inbox[Written] = Inbox(
            store,
            self._executor.carry_out,
            windows,
            self._backend.settled,
            slots,
        )

        self._watch_objects()
        self._repeats = self._make_repeats(windows)
        self._app = self._make_app()

    def _make_executor(self, windows: GrantWindows) -> OrderExecutor:
        """Return what carries out the entries of the inbox."""
        return OrderExecutor(
            self._sessions,
            self._store,
            complete=self._completeness.wait_complete,
            enqueue=self._enqueue,
            windows=windows,
            users=self._users.executor,
            trials=TrialLimit(
                self._api,
                self._settings.namespace,
                self._settings.trials_per_day or None,
            ),
            default_paid=_default_paid(self._settings),
            check=self._check,
            audit=self._audit,
        )

    def _make_repeats(self, windows: GrantWindows) -> Repeats:
        """Return what answers orders that are open already."""
        return Repeats(
            self._sessions,
            self._store,
            is_free=self._inbox.has_nothing_but,
            submit=self._inbox.submit,
            windows=windows,
            default_paid=_default_paid(self._settings),
        )

    def _make_app(self) -> ASGIApp:
        """Return what answers over HTTP."""
        settings, store, sessions = self._settings, self._store, self._sessions

        service = OrderService(
            settings,
            store,
            sessions,
            self._inbox,
            self._metrics,
            self._repeats.open_already,
        )

        devices = make_devices(self._api, self._objects, sessions, settings)
        commands = CommandService(
            self._api,
            self._objects,
            CommandDevices(sessions, store),
            answer_within=settings.answer_timeout_ms / 1000,
        )

        users = HotspotUsers(
            service, self._users.executor, self._users.secrets
        )
        routes = make_routes(service, users, devices, commands, self.state)

        return make_app(settings, store, self._metrics, routes, self._audit)

    def _watch_objects(self) -> None:
        """Show Devices, Sessions and orders that wait among the metrics."""
        objects = WatchedObjects(
            self._objects, self._settings.namespace, self._inbox.paid_before
        )

        self._metrics.watch(objects)

    def state(self) -> BridgeState:
        """Return how the bridge is, for the health endpoints (E11)."""
        now = time.monotonic()

        # Ready: a request can be taken into the inbox.
        forbidden = self._api.forbidden_since()
        is_refused = forbidden is not None and now - forbidden > FORBIDDEN_FOR
        failure = self._store.failed
        checks = {
            "serving": not self._stopping,
            "store": failure is None,
            "rights": not is_refused,
        }

        ready = all(checks.values())

        # Healthy: what is in the inbox can be carried out.
        contact = self._api.last_contact

        is_in_contact = (
            contact is not None and now - contact < SILENT_FOR + HOUSEKEEPING
        )

        standing = self._check.standing
        facts = {
            "storeComplete": self._completeness.complete(),
            "apiServerAnswers": is_in_contact,
        }

        healthy = ready and all(facts.values()) and standing != "failed"

        return BridgeState(
            ready=ready,
            healthy=healthy,
            store_failure=failure,
            order_check=standing,
            checks=checks,
            facts=facts,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Watch, serve and keep house until `stop` is set; then end in order.

        Raises the first error of a part that ended by itself, and QueryError
        for an order query that cannot be used.
        """
        try:
            await self._check.open()
            await self._run(stop)
        finally:
            await self._check.close()

    async def _run(self, stop: asyncio.Event) -> None:
        # What the process before left behind comes first.
        connections = self._bounds()
        server = _Server(self._config(connections))
        if not self._settings.dry_run:
            await self._inbox.adopt_all(stop)

        self._audit.on_dropped = self._metrics.audit_dropped.inc

        # All parts run side by side, until one of them ends or `stop` is set.
        parts = [
            self._informers.run(),
            self._run_upkeep(),
            self._keep_house(),
            self._repeats.run(),
            self._backend.run(self._api),
            self._records.run(self._api),
            self._audit.run(),
            self._check.run(),
        ]

        tasks = [asyncio.create_task(part) for part in parts]
        serving = asyncio.create_task(server.serve())
        stopped = asyncio.create_task(stop.wait())

        try:
            await asyncio.wait(
                [*tasks, serving, stopped], return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            # Take nothing new, answer what is under way, finish the inbox, and
            # end the rest.
            self._stopping = True
            self._backend.stop_polling()
            await connections.let_go()
            server.should_exit = True
            await asyncio.wait([serving])
            with contextlib.suppress(ApiError):
                await self._repeats.flush()

            await self._inbox.close(self._settings.drain_timeout)

            for task in (*tasks, stopped):
                task.cancel()

            results = await asyncio.gather(
                *tasks, serving, return_exceptions=True
            )
            await self._audit.close()

        for result in results:
            if isinstance(result, BaseException) and not isinstance(
                result, asyncio.CancelledError
            ):
                raise result

    def _bounds(self) -> Connections:
        settings = self._settings
        return Connections(
            head_timeout=settings.head_timeout,
            body_timeout=settings.body_timeout + BODY_ANSWER_WITHIN,
            limit=settings.max_connections,
        )

    def _config(self, connections: Connections) -> uvicorn.Config:
        settings = self._settings
        return connection_config(
            self._app,
            connections,
            host=settings.bind_host,
            port=settings.port,
            drain=settings.drain_timeout,
        )

    def _enqueue(self, entry: Entry) -> None:
        """Start an entry: the inbox is made after what carries out its
        entries.
        """
        self._inbox.enqueue(entry)

    async def _run_upkeep(self) -> None:
        """Keep the bridge's Sessions as they should be, as soon as all are
        known (E7). In dry run none is changed (F6).
        """
        await self._completeness.wait_complete()
        log.info("all Devices and Sessions are known")
        if self._settings.dry_run:
            await asyncio.Event().wait()

        await asyncio.gather(self._upkeep.run(), self._users.upkeep.run())

    async def _keep_house(self) -> None:
        """Forget what is over, and adopt what a bridge that shared the store
        left behind (E15).
        """
        while True:
            await asyncio.sleep(HOUSEKEEPING)

            try:
                with self._metrics.job("prune"):
                    await self._store.prune(now_ms())

                if self._settings.dry_run:
                    continue

                with self._metrics.job("adopt"):
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
