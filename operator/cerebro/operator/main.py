"""The operator process: it wires together what looks after objects, each in a
loop of its own.

Its work: addresses and Peers of Devices, finalizers, finished objects, lost
agents, objects without a Device. It writes objects of ours only, never
WireGuard or a router. All work is done under the Lease `cerebro-operator` (E1)
with a store that is known to be complete (E7). kopf fills the store; the loops
are ours.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from cerebro.domain.leases import OPERATOR_LEASE
from cerebro.domain.lifecycle import GrantWindows
from cerebro.kube.cache.completeness import Watch
from cerebro.kube.cache.informers import Informers, watches_of
from cerebro.kube.client import connection
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.discovery import permitted
from cerebro.kube.client.errors import KubeError
from cerebro.kube.events import Recorder
from cerebro.kube.lease import Lease
from cerebro.kube.objects import Change
from cerebro.operator import metrics
from cerebro.operator.agents.controller import AgentWatch
from cerebro.operator.finalizers.controller import Finalizers
from cerebro.operator.finished.controller import FinishedObjects
from cerebro.operator.orphans.controller import OrphanSearch
from cerebro.operator.settings import OperatorSettings
from cerebro.operator.tunnels.controller import DevicePeers
from cerebro.resources import (
    DEVICE,
    DEVICE_COMMAND,
    FINISHED,
    HUB,
    PEER,
    SESSION,
)
from cerebro.runtime.backoff import Backoff
from cerebro.runtime.health import Health, serve
from cerebro.runtime.loop import Loop

log = logging.getLogger(__name__)


def watches(namespaces: tuple[str, ...]) -> list[Watch]:
    """Return what the operator watches; of Sessions and commands the server
    selects the finished ones.
    """
    kinds = (HUB, PEER, DEVICE, SESSION, DEVICE_COMMAND)

    return watches_of(
        kinds, namespaces, {SESSION: FINISHED, DEVICE_COMMAND: FINISHED}
    )


class Operator:
    """Holds the parts of one operator together."""

    def __init__(self, settings: OperatorSettings, api: KubeApi) -> None:
        self._settings = settings
        self._api = api
        self._waiting_for: str | None = None

        # What is known, and whether this operator is the one that works.
        self._informers = Informers(
            api, watches(settings.namespaces), settings, waiting=self._waiting
        )

        self._completeness = self._informers.completeness
        self._lease = self._make_lease()

        # What is looked after. Each part knows nothing of the others.
        store = self._informers.store
        events = Recorder(
            api, component="operator", instance=settings.identity
        )

        self._peers = DevicePeers(api, store, events)
        self._finalizers = Finalizers(
            api,
            store,
            events,
            limit=settings.finalizer_timeout,
            complete=self._completeness.complete,
        )

        self._finished = FinishedObjects(api, store)
        self._orphans = OrphanSearch(
            api,
            store,
            events,
            namespaces=settings.namespaces,
            within=GrantWindows.of_seconds(
                trial=settings.trial_grant_within,
                paid=settings.paid_grant_within,
            ),
            superseding_ttl=settings.superseding_ttl,
        )

        self._agents = AgentWatch(
            api,
            store,
            events,
            namespace=settings.namespace,
            namespaces=settings.namespaces,
            lost_after=settings.agent_lost_after,
        )

        # When it is looked after. What an object says of its finalizers holds
        # also while the store is not known to be complete.
        self._finished_loop = self._loop("finished", self._finished.step)
        self._peers_loop = self._loop("peers", self._peers.step)
        self._finalizers_loop = self._loop(
            "finalizers", self._finalizers.step, allowed=self._lease.held
        )

        self._loops = [
            self._finished_loop,
            self._peers_loop,
            self._finalizers_loop,
            self._loop("agents", self._agents_step),
            self._loop("orphans", self._orphans_step),
        ]

        store.subscribe(self._changed)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then let the running steps finish and give the
        Lease back (E14).
        """
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(self._informers.run(), name="informers"),
                tasks.create_task(self._lease.run(), name="lease"),
            ]

            loops = [
                tasks.create_task(loop.run(), name=loop.name)
                for loop in self._loops
            ]

            await stop.wait()

            log.info("stopping")

            for loop in self._loops:
                loop.finish()

            await asyncio.wait(loops, timeout=self._settings.drain_timeout)

            for task in [*loops, *background]:
                task.cancel()

    def _make_lease(self) -> Lease:
        settings = self._settings
        return Lease(
            self._api,
            settings.namespace,
            OPERATOR_LEASE,
            settings.identity,
            duration=settings.lease_duration,
            renew=settings.lease_renew_interval,
            gained=self._gained,
            lost=self._lost,
        )

    def health(self) -> Health:
        """Return the checks behind the probes (E11): that watches and loops
        turn, not that the API server answers.
        """

        health = Health()
        silent = "no watch made a request for too long"
        health.alive(
            "watcher", lambda: None if self._informers.alive() else silent
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
        self,
        name: str,
        step: Callable[[], Awaitable[float]],
        *,
        allowed: Callable[[], bool] | None = None,
    ) -> Loop:
        """Return a loop whose passes are counted under `name`."""
        return Loop(
            name,
            step,
            allowed=allowed or self._allowed,
            backoff=Backoff(first=0.5, ceiling=self._settings.backoff_ceiling),
            expected=(KubeError,),
            passed=lambda: metrics.LAST_PASS.labels(
                name
            ).set_to_current_time(),
            failed=lambda: metrics.ERRORS.labels(name).inc(),
        )

    def _allowed(self) -> bool:
        """Return whether a step may begin: the Lease is ours (E1), and the
        store is complete (E7).
        """
        return self._lease.held() and self._completeness.complete()

    def _gained(self) -> None:
        """Begin anew: another operator may have written since we last held the
        Lease.
        """
        self._peers.begin()
        self._finalizers.begin()

        for loop in self._loops:
            loop.wake()

    def _lost(self) -> None:
        """Break off all steps: another operator may act now (E1)."""
        for loop in self._loops:
            loop.interrupt()

    def _changed(self, change: Change) -> None:
        """Wake the loops that have something to do about a change of the
        store.
        """
        if self._peers.changed(change):
            self._peers_loop.wake()

        if self._finalizers.changed(change):
            self._finalizers_loop.wake()

        if self._finished.changed(change):
            self._finished_loop.wake()

    async def _agents_step(self) -> float:
        """Look at the agents' Leases; return the seconds until the next look."""
        await self._agents.look()
        sessions = self._orphans.sessions_by_device
        lost = sum(sessions[device] for device in self._agents.lost_devices)
        metrics.LOST_SESSIONS.set(lost)

        return self._settings.agent_check_interval

    async def _orphans_step(self) -> float:
        """Search for objects without a Device; return the seconds until the
        next search.
        """
        await self._orphans.round()

        return self._settings.orphan_interval


async def main(settings: OperatorSettings, stop: asyncio.Event) -> None:
    """Run the operator until `stop` is set.

    Raises ConfigError if the kubeconfig cannot be used, and OSError if the
    address of the probes is taken.
    """
    async with KubeApi(
        connection.load(settings.kubeconfig), timeout=settings.request_timeout
    ) as api:
        operator = Operator(settings, api)
        probes = serve(
            operator.health(),
            settings.health_host,
            settings.health_port,
            token=settings.bearer_token,
        )

        async with probes:
            await operator.run(stop)
