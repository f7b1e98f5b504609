"""The operator process: addresses and Peers of Devices, finalizers, finished objects, lost agents, objects
without a Device.

It touches objects of ours only, never WireGuard or a router. All work is done under the Lease
`cerebro-operator` (E1) with a store that is known to be complete (E7). kopf fills the store; the loops are
ours.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from cerebro.domain.lifecycle import GrantWindows
from cerebro.kube.cache.completeness import Completeness, Watch
from cerebro.kube.cache.presence import Presence
from cerebro.kube.cache.store import Store
from cerebro.kube.cache.watcher import Watcher, WatchTimes
from cerebro.kube.client import connection
from cerebro.kube.client.api import KubeApi, server_now
from cerebro.kube.client.discovery import permitted
from cerebro.kube.events import Recorder
from cerebro.kube.lease import Lease
from cerebro.kube.objects import Change
from cerebro.operator import metrics
from cerebro.operator.agents.controller import AgentWatch
from cerebro.operator.finalizers.controller import Finalizers
from cerebro.operator.finished import controller
from cerebro.operator.finished import plan as finished_sessions
from cerebro.operator.loop import Loop
from cerebro.operator.orphans.controller import OrphanSearch
from cerebro.operator.settings import OperatorSettings
from cerebro.operator.tunnels.controller import DevicePeers
from cerebro.resources import DEVICE_COMMAND, FINISHED, KINDS, SESSION, DeviceCommand, Session
from cerebro.runtime.backoff import Backoff
from cerebro.runtime.health import Health, serve

log = logging.getLogger(__name__)

LEASE = "cerebro-operator"
_IDLE = 60.0
"""Seconds after which finished objects are looked at again when none is due earlier."""
_AFTER_WRITES = 1.0
"""Seconds in which the watch brings what was written."""


def watches(namespaces: tuple[str, ...]) -> list[Watch]:
    """Name what the operator watches; of Sessions and commands the finished ones, as the server selects."""
    selectors = {"Session": FINISHED, "DeviceCommand": FINISHED}
    return [
        Watch(KINDS[kind], namespace, selectors.get(kind))
        for namespace in namespaces
        for kind in ("Hub", "Peer", "Device", "Session", "DeviceCommand")
    ]


class Operator:
    """Holds the parts of one operator together."""

    def __init__(self, settings: OperatorSettings, api: KubeApi) -> None:
        self._settings = settings
        self._api = api
        self._store = Store()
        wanted = watches(settings.namespaces)
        presence = Presence(api)
        self._completeness = Completeness(
            self._store, api, wanted, presence=presence, check_interval=settings.store_check_interval
        )
        self._watcher = Watcher(
            api,
            self._store,
            wanted,
            presence=presence,
            relisted=self._completeness.request,
            times=WatchTimes(
                request_timeout=settings.request_timeout,
                watch_timeout=settings.watch_timeout,
                backoff_ceiling=settings.backoff_ceiling,
            ),
            waiting=self._waiting,
        )
        self._lease = Lease(
            api,
            settings.namespace,
            LEASE,
            settings.identity,
            duration=settings.lease_duration,
            renew=settings.lease_renew_interval,
            gained=self._gained,
            lost=self._lost,
        )
        events = Recorder(api, component="operator", instance=settings.identity)
        self._peers = DevicePeers(api, self._store, events)
        self._finalizers = Finalizers(
            api,
            self._store,
            events,
            limit=settings.finalizer_timeout,
            complete=self._completeness.complete,
        )
        self._orphans = OrphanSearch(
            api,
            self._store,
            events,
            namespaces=settings.namespaces,
            within=GrantWindows.of_seconds(
                trial=settings.trial_grant_within, paid=settings.paid_grant_within
            ),
            superseding_ttl=settings.superseding_ttl,
        )
        self._agents = AgentWatch(
            api,
            self._store,
            namespace=settings.namespace,
            namespaces=settings.namespaces,
            lost_after=settings.agent_lost_after,
        )
        self._finished_at = 0.0
        self._waiting_for: str | None = None
        self._finished_loop = self._loop("finished", self._finished_step)
        self._peers_loop = self._loop("peers", self._peers.step)
        self._finalizers_loop = self._loop("finalizers", self._finalizers.step, allowed=self._lease.held)
        self._loops = [
            self._finished_loop,
            self._peers_loop,
            self._finalizers_loop,
            self._loop("agents", self._agents_step),
            self._loop("orphans", self._orphans_step),
        ]
        self._store.subscribe(self._changed)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then let the steps in hand finish and give the Lease back (E14)."""
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(self._watcher.run(), name="watcher"),
                tasks.create_task(self._completeness.run(), name="completeness"),
                tasks.create_task(self._lease.run(), name="lease"),
            ]
            loops = [tasks.create_task(loop.run(), name=loop.name) for loop in self._loops]
            await stop.wait()
            log.info("stopping")
            for loop in self._loops:
                loop.finish()
            await asyncio.wait(loops, timeout=self._settings.drain_timeout)
            for task in [*loops, *background]:
                task.cancel()

    def health(self) -> Health:
        """Give what the probes say (E11): that watchers and loops turn, not that the API server answers."""
        health = Health()
        health.alive(
            "watcher", lambda: None if self._watcher.alive() else "no watch made a request for too long"
        )
        for loop in self._loops:
            health.alive(loop.name, loop.trouble)
        health.ready("permitted", permitted(self._api))
        health.fact("lease", self._lease.held)
        health.fact("storeComplete", self._completeness.complete)
        health.fact("waitingFor", lambda: self._waiting_for)
        return health

    def _waiting(self, reason: str | None) -> None:
        self._waiting_for = reason

    def _loop(
        self, name: str, step: Callable[[], Awaitable[float]], *, allowed: Callable[[], bool] | None = None
    ) -> Loop:
        backoff = Backoff(first=0.5, ceiling=self._settings.backoff_ceiling)
        return Loop(name, step, allowed=allowed or self._allowed, backoff=backoff)

    def _allowed(self) -> bool:
        return self._lease.held() and self._completeness.complete()

    def _gained(self) -> None:
        self._peers.begin()
        self._finalizers.begin()
        for loop in self._loops:
            loop.wake()

    def _lost(self) -> None:
        for loop in self._loops:
            loop.interrupt()

    def _changed(self, change: Change) -> None:
        """Wake the loops that have something to do with what came; that of finished objects when it is due
        before what the loop waits for.
        """
        if self._peers.changed(change):
            self._peers_loop.wake()
        if self._finalizers.changed(change):
            self._finalizers_loop.wake()
        item = change.new.model if change.new is not None else None
        if not isinstance(item, Session | DeviceCommand):
            return
        now = server_now(self._api)
        due = finished_sessions.plan([item], now)
        wait = (due.wake_at - now).total_seconds() if due.wake_at is not None else None
        if due.reopen or due.delete or (wait is not None and time.monotonic() + wait < self._finished_at):
            self._finished_loop.wake()

    async def _finished_step(self) -> float:
        now = server_now(self._api)
        due = finished_sessions.plan(
            [
                *self._store.models(SESSION, Session),
                *self._store.models(DEVICE_COMMAND, DeviceCommand),
            ],
            now,
        )
        reopened, deleted = await controller.carry_out(self._api, due)
        metrics.REOPENED.inc(reopened)
        metrics.DELETED.inc(deleted)
        delay = _IDLE
        if due.reopen or due.delete:
            delay = _AFTER_WRITES
        elif due.wake_at is not None:
            delay = min(_IDLE, (due.wake_at - now).total_seconds())
        self._finished_at = time.monotonic() + delay
        return delay

    async def _agents_step(self) -> float:
        await self._agents.look()
        counts = self._orphans.sessions_by_device
        metrics.LOST_SESSIONS.set(sum(counts[device] for device in self._agents.lost_devices))
        return self._settings.agent_check_interval

    async def _orphans_step(self) -> float:
        await self._orphans.round()
        return self._settings.orphan_interval


async def main(settings: OperatorSettings, stop: asyncio.Event) -> None:
    """Run the operator until `stop` is set. Raises ConfigError when the kubeconfig cannot be used."""
    async with KubeApi(connection.load(settings.kubeconfig), timeout=settings.request_timeout) as api:
        operator = Operator(settings, api)
        token = settings.health_token.get_secret_value() if settings.health_token is not None else None
        async with serve(operator.health(), settings.health_host, settings.health_port, token=token):
            await operator.run(stop)
