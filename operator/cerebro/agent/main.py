"""The agent process: makes routers equal to their Sessions, and reports. One loop per Device; kopf only fills
the store.

Until the store is known to be complete no loop runs (rule E7), so nothing is ever removed for want of
knowledge.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import REGISTRY

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.loop import DeviceLoop
from cerebro.agent.hubs.backends import NodeBackends
from cerebro.agent.hubs.manager import AgentHubs
from cerebro.agent.hubs.metrics import PeerCollector
from cerebro.agent.metrics import devices as device_gauge
from cerebro.agent.metrics import statuses_waiting
from cerebro.agent.predicates import asked_anew
from cerebro.agent.settings import AgentSettings
from cerebro.domain.leases import DIRECT_LEASE, agent_lease
from cerebro.domain.lifecycle import GrantWindows
from cerebro.kube.cache.completeness import Completeness, Watch
from cerebro.kube.cache.presence import Presence
from cerebro.kube.cache.references import device_of, hub_of, superseded_by
from cerebro.kube.cache.store import Store
from cerebro.kube.cache.watcher import Watcher, WatchTimes
from cerebro.kube.client import connection
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.discovery import permitted
from cerebro.kube.events import Recorder
from cerebro.kube.lease import Lease
from cerebro.kube.objects import Change, StoredObject
from cerebro.kube.status_writer import StatusWriter
from cerebro.resources import DEVICE, KINDS, PEER, SESSION, UNFINISHED, Device
from cerebro.runtime.health import Health, serve
from cerebro.wireguard.kernel import Kernel
from cerebro.wireguard.nft import Nft
from cerebro.wireguard.userspace import Userspace

log = logging.getLogger(__name__)

# A loop turns at least every 30 s; one pass over a slow router may take a print's and some writes' deadlines.
_STUCK_AFTER = 600.0


def watches(namespaces: tuple[str, ...]) -> list[Watch]:
    """Name what the agent watches; of Sessions the unfinished ones, as the server selects."""
    selectors = {"Session": UNFINISHED}
    return [
        Watch(KINDS[kind], namespace, selectors.get(kind))
        for namespace in namespaces
        for kind in ("Hub", "Peer", "Device", "Session")
    ]


class Agent:
    """Holds the parts of one agent together: store, watcher, Leases, status writer, and a loop per Device."""

    def __init__(self, settings: AgentSettings, api: KubeApi) -> None:
        self._settings, self._api = settings, api
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
        )
        self._direct = self._lease(DIRECT_LEASE, gained=self._acting_changed, lost=self._acting_changed)
        self._alive = self._lease(agent_lease(settings.node_name))
        self._statuses = StatusWriter(api, self._store)
        self._context = AgentContext(
            api=api,
            store=self._store,
            statuses=self._statuses,
            recorder=Recorder(api, component="cerebro-agent", instance=settings.node_name),
            direct=self._direct,
            by_device=self._store.add_index(SESSION, device_of),
            superseding=self._store.add_index(SESSION, superseded_by),
            peers_by_hub=self._store.add_index(PEER, hub_of),
            windows=GrantWindows.of_seconds(
                trial=settings.trial_grant_within, paid=settings.paid_grant_within
            ),
            installation=settings.installation,
            clock_skew_limit=settings.clock_skew_limit,
        )
        self._hubs = AgentHubs(self._context, _hub_tools(settings), self._tunnel_changed)
        self._loops: dict[tuple[str, str], tuple[DeviceLoop, asyncio.Task[None]]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._store.subscribe(self._changed)
        self._store.on_complete(lambda _kind, _namespace: self._acting_changed())

    def _lease(
        self, name: str, gained: Callable[[], None] | None = None, lost: Callable[[], None] | None = None
    ) -> Lease:
        settings = self._settings
        return Lease(
            self._api,
            settings.namespace,
            name,
            settings.node_name,
            duration=settings.lease_duration,
            renew=settings.lease_renew_interval,
            gained=gained,
            lost=lost,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then end the loops, write what is said, give the Leases back (rule E14)."""
        drain = self._settings.drain_timeout
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(self._watcher.run(), name="watcher"),
                tasks.create_task(self._completeness.run(), name="completeness"),
                tasks.create_task(self._alive.run(), name="agent lease"),
                tasks.create_task(self._direct.run(), name="direct lease"),
                tasks.create_task(self._statuses.run(), name="status writer"),
                tasks.create_task(self._start_loops(tasks), name="start of the loops"),
            ]
            await stop.wait()
            log.info("stopping")
            self._tasks = None
            await self._end_loops(drain)
            await self._statuses.drain(drain)
            for task in background:
                task.cancel()

    async def _end_loops(self, drain: float) -> None:
        """Let each loop finish the pass that it is in, at most `drain` seconds."""
        self._context.stopping = True
        self._acting_changed()
        late = {task for _, task in self._loops.values()} | self._hubs.tasks()
        if late:
            _, late = await asyncio.wait(late, timeout=drain)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=drain)

    async def _start_loops(self, tasks: asyncio.TaskGroup) -> None:
        """Wait until the store is complete (rule E7), then have a loop for each Device, also for those that
        come later.
        """
        await self._completeness.wait_complete()
        self._tasks = tasks
        self._hubs.start(tasks)
        for stored in self._store.all(DEVICE):
            self._ensure_loop(stored.namespace, stored.name)
        log.info("the store is complete: %d Devices", len(self._loops))
        while True:
            statuses_waiting.set(self._statuses.pending())
            device_gauge.set(len(self._loops))
            await asyncio.sleep(5.0)

    def _ensure_loop(self, namespace: str, name: str) -> DeviceLoop | None:
        """Give the loop of a Device, made if there is none; None when the Device is not there."""
        key = (namespace, name)
        stored = self._store.get(DEVICE, namespace, name)
        if key not in self._loops and self._tasks is not None and stored is not None:
            loop = DeviceLoop(self._context, namespace, name, stored.uid)
            task = self._tasks.create_task(self._guarded(loop, key), name=f"device {namespace}/{name}")
            self._loops[key] = (loop, task)
        entry = self._loops.get(key)
        return entry[0] if entry else None

    async def _guarded(self, loop: DeviceLoop, key: tuple[str, str]) -> None:
        """Run a loop until its Device goes; an error of ours in one ends no other: it is logged, and the loop
        begins anew.

        A Device of that name that came meanwhile gets a loop of its own, which knows nothing of this one's.
        """
        while not self._context.stopping:
            try:
                await loop.run()
                break
            except asyncio.CancelledError:
                raise
            except Exception:
                log.exception("the loop of Device %s/%s failed and begins anew", *key)
                self._context.metrics.router_errors.labels("InternalError").inc()
                await asyncio.sleep(1.0)
        del self._loops[key]
        self._ensure_loop(*key)

    # --- what wakes the loops

    def _changed(self, change: Change) -> None:
        if change.kind is DEVICE:
            self._device_changed(change)
        elif change.kind is SESSION:
            self._session_changed(change)
        else:
            self._hubs.changed(change)

    def _device_changed(self, change: Change) -> None:
        loop = self._ensure_loop(change.namespace, change.name)
        device = change.new.read(Device) if change.new else None
        if device is not None:
            self._hubs.device_changed(device)
        if loop is None or not asked_anew(change.old, change.new):
            return
        loop.try_again()
        loop.look_at_everything()

    def _session_changed(self, change: Change) -> None:
        if not asked_anew(change.old, change.new):
            return
        for stored in {id(one): one for one in (change.old, change.new) if one is not None}.values():
            self._mark(stored, gone=change.new is None)
            superseded = superseded_by(stored)
            other = self._store.get(SESSION, stored.namespace, superseded) if superseded else None
            if other is not None:
                self._mark(other, gone=False)
        if change.new is not None and change.new.model is None:
            self._context.report_invalid(change.new)

    def _mark(self, stored: StoredObject, *, gone: bool) -> None:
        device = device_of(stored)
        entry = self._loops.get((stored.namespace, device)) if device else None
        if entry is not None:
            entry[0].session_changed(stored.uid, gone=gone)

    def _acting_changed(self) -> None:
        """A Lease came or went, or a collection became complete: what may be done is another thing now."""
        self._hubs.mark_all()
        for loop, _ in self._loops.values():
            loop.look_at_everything()

    def _tunnel_changed(self, namespace: str, device: str, came_back: bool) -> None:
        """A tunnel came, went or moved."""
        entry = self._loops.get((namespace, device))
        if entry is not None:
            entry[0].tunnel_changed(came_back=came_back)

    @contextmanager
    def exposed(self) -> Iterator[None]:
        """Show what is seen of Peers among the metrics."""
        collector = PeerCollector(self._hubs.readings)
        REGISTRY.register(collector)
        try:
            yield
        finally:
            REGISTRY.unregister(collector)

    def health(self) -> Health:
        """Return the checks behind the probes (rule E11)."""
        health = Health()
        health.alive(
            "watcher", lambda: None if self._watcher.alive() else "no watch has made a request for too long"
        )
        health.alive("loops", lambda: self._context.stuck(_STUCK_AFTER))
        health.ready("rights", permitted(self._api))
        health.ready("store", lambda: None if self._tasks else "the store is not complete yet")
        health.fact("directLease", self._direct.held)
        health.fact("lastContact", lambda: self._api.last_contact)
        health.fact("devices", lambda: len(self._loops))
        health.fact("clockSkewSeconds", lambda: self._api.clock_skew)
        return health


def _hub_tools(settings: AgentSettings) -> NodeBackends:
    return NodeBackends(
        node=settings.node_name,
        kernel=Kernel(),
        userspace=Userspace(settings.run_folder, settings.wireguard_sockets),
        nft=Nft(),
        lease_duration=settings.lease_duration,
        lease_renew=settings.lease_renew_interval,
        dry_run=settings.wireguard_dry_run,
    )


async def main(settings: AgentSettings, stop: asyncio.Event) -> None:
    """Run the agent until `stop` is set. Raises ConfigError when the kubeconfig cannot be used."""
    token = settings.health_token.get_secret_value() if settings.health_token else None
    async with KubeApi(connection.load(settings.kubeconfig), timeout=settings.request_timeout) as api:
        agent = Agent(settings, api)
        with agent.exposed():
            async with serve(agent.health(), settings.health_host, settings.health_port, token=token):
                await agent.run(stop)
