"""The agent process: makes WireGuard interfaces and routers equal to their
objects, and reports.

One loop for each Hub and one for each Device; kopf only fills the store. Until
the store is known to be complete no loop runs (rule E7), so nothing is ever
removed for want of knowledge. While another agent of the node acts, this one
only fills its store, so that it is ready to take over (rule E18).
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from prometheus_client import REGISTRY

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.commands.manager import CommandManager
from cerebro.agent.devices.manager import DeviceManager
from cerebro.agent.dry_run import SETTING
from cerebro.agent.hubs.backends import NodeBackends
from cerebro.agent.hubs.manager import HubManager
from cerebro.agent.hubs.metrics import PeerCollector
from cerebro.agent.hubs.tunnels import HubTunnels
from cerebro.agent.settings import AgentSettings
from cerebro.agent.turn import Turn
from cerebro.domain.leases import DIRECT_LEASE, agent_lease
from cerebro.domain.lifecycle import GrantWindows
from cerebro.kube.cache.completeness import Watch
from cerebro.kube.cache.informers import Informers, watches_of
from cerebro.kube.cache.references import device_of, hub_of, superseded_by
from cerebro.kube.client import connection
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.discovery import permitted
from cerebro.kube.events import Recorder
from cerebro.kube.lease import Lease
from cerebro.kube.objects import Change
from cerebro.kube.status_writer import StatusWriter
from cerebro.resources import (
    DEVICE,
    DEVICE_COMMAND,
    HUB,
    PEER,
    SESSION,
    UNFINISHED,
    Device,
)
from cerebro.runtime.clock import monotonic
from cerebro.runtime.health import Health, serve, serve_socket
from cerebro.runtime.loop import wait_for_wake
from cerebro.wireguard.kernel import Kernel
from cerebro.wireguard.nft import Nft
from cerebro.wireguard.userspace import Userspace

log = logging.getLogger(__name__)

_STUCK_AFTER = 600.0
"""Seconds. A loop turns at least every 30 s, but a pass over a slow router may
wait for the deadlines of a print and some writes.
"""
_SHOW_INTERVAL = 5.0
"""Seconds between two updates of the gauges."""
_ADDRESS_WITHIN = 60.0
"""Seconds in which the address of the probes must become free: an agent of a
release that knows no turns may have it until it has ended.
"""
_LOOK_AT_ADDRESS = 0.2
"""Seconds between two tries to listen there."""


def watches(namespaces: tuple[str, ...]) -> list[Watch]:
    """Return what the agent watches; of Sessions and DeviceCommands the server
    selects the unfinished ones.
    """
    return watches_of(
        (HUB, PEER, DEVICE, SESSION, DEVICE_COMMAND),
        namespaces,
        {SESSION: UNFINISHED, DEVICE_COMMAND: UNFINISHED},
    )


class Agent:
    """Holds the parts of one agent together: store, Leases, status writer, and
    the managers of the loops.
    """

    def __init__(self, settings: AgentSettings, api: KubeApi) -> None:
        self._settings = settings
        self._api = api
        self._informers = Informers(
            api, watches(settings.namespaces), settings
        )

        self._direct = self._lease(DIRECT_LEASE, changed=self._acting_changed)
        self._alive = self._lease(agent_lease(settings.node_name))

        store = self._informers.store
        peers_by_hub = store.add_index(PEER, hub_of)
        self._statuses = StatusWriter(api, store)
        self._tunnels = HubTunnels(store, peers_by_hub, self._tunnel_changed)
        self._context = AgentContext(
            api=api,
            store=store,
            statuses=self._statuses,
            recorder=Recorder(
                api, component="agent", instance=settings.node_name
            ),
            direct=self._direct,
            by_device=store.add_index(SESSION, device_of),
            superseding=store.add_index(SESSION, superseded_by),
            peers_by_hub=peers_by_hub,
            windows=GrantWindows.of_seconds(
                trial=settings.trial_grant_within,
                paid=settings.paid_grant_within,
            ),
            tunnels=self._tunnels,
            installation=settings.installation,
            clock_skew_limit=settings.clock_skew_limit,
            dry_run=settings.dry_run,
        )

        self._hubs = HubManager(
            self._context, _node_backends(settings), self._tunnels
        )

        self._devices = DeviceManager(self._context)
        self._commands = CommandManager(self._context)
        self._turn = Turn(
            api.connection.server, settings.namespace, settings.node_name
        )
        self._working = False
        """Whether the loops run: it is our turn, the store is complete, and
        the agent does not stop.
        """
        self._stopping = False

        store.subscribe(self._changed)
        store.on_complete(lambda _kind, _namespace: self._acting_changed())

    def _lease(
        self, name: str, changed: Callable[[], None] | None = None
    ) -> Lease:
        """Return a Lease of this node; `changed` is called when it came or
        went.
        """
        settings = self._settings

        return Lease(
            self._api,
            settings.namespace,
            name,
            settings.node_name,
            duration=settings.lease_duration,
            renew=settings.lease_renew_interval,
            gained=changed,
            lost=changed,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Get to know all objects; work from when it is our turn until `stop`.
        Raises OSError if the address of the probes cannot be this node's, or
        is in use for long; the latter in an ExceptionGroup.
        """
        if self._settings.dry_run:
            log.warning(
                "%s is true: nothing is written to any router or WireGuard "
                "interface; statuses say what would change",
                SETTING,
            )

        await self._try_address()

        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(
                self._informers.run(), name="informers"
            )

            kept = tasks.create_task(self._keep_objects(), name="collector")

            # Whoever acts answers at the address of the probes, too.
            if await self._turn.take(stop):
                async with self._listening(stop):
                    await self._act(tasks, stop)

            watching.cancel()
            kept.cancel()

    async def _try_address(self) -> None:
        """Raise OSError if nobody can listen at the host of the probes: an
        agent that stands by would count as ready, and the acting one go.
        """
        host = self._settings.health_host
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, host, 0)
        server.close()

    @asynccontextmanager
    async def _listening(self, stop: asyncio.Event) -> AsyncIterator[None]:
        """Serve probes and metrics while the context lasts; the address may
        be another agent's for a while.
        """
        settings = self._settings
        until = monotonic() + _ADDRESS_WITHIN
        waiting = False
        async with AsyncExitStack() as stack:
            while not stop.is_set():
                pages = serve(
                    self.health(),
                    settings.health_host,
                    settings.health_port,
                    token=settings.bearer_token,
                )
                try:
                    await stack.enter_async_context(pages)
                    break
                except OSError as error:
                    in_use = error.errno == errno.EADDRINUSE
                    if not in_use or monotonic() > until:
                        raise

                    if not waiting:
                        waiting = True
                        log.info("%s: waiting for it", error.strerror)

                await wait_for_wake(stop, _LOOK_AT_ADDRESS)

            yield

    async def _act(
        self, tasks: asyncio.TaskGroup, stop: asyncio.Event
    ) -> None:
        """Work until `stop`, then end the loops, write the waiting statuses
        and give the Leases back (E14).
        """
        drain = self._settings.drain_timeout
        background = [
            tasks.create_task(self._alive.run(), name="agent lease"),
            tasks.create_task(self._direct.run(), name="direct lease"),
            tasks.create_task(self._statuses.run(), name="status writer"),
            tasks.create_task(
                self._run_loops(tasks), name="start of the loops"
            ),
        ]

        await stop.wait()

        log.info("stopping")
        self._stopping = True
        self._working = False
        await self._end_loops(drain)
        await self._statuses.drain(drain)

        for task in background:
            task.cancel()

        await asyncio.wait(background)

    async def _run_loops(self, tasks: asyncio.TaskGroup) -> None:
        """Start the loops once the store is complete (rule E7), then show
        without end how many there are.
        """

        await self._informers.completeness.wait_complete()
        self._working = True
        self._hubs.start(tasks)
        self._devices.start(tasks)
        self._commands.start(tasks)
        self._report_unreadable()
        log.info("the store is complete: %d Devices", self._devices.count())

        while True:
            self._context.metrics.show_statuses_waiting(
                self._statuses.pending()
            )

            self._context.metrics.show_loops(self._devices.count())
            await asyncio.sleep(_SHOW_INTERVAL)

    async def _keep_objects(self) -> None:
        """Once the store is complete, also while another agent acts: it takes
        half a second with many objects, in which nobody would act.
        """
        await self._informers.completeness.wait_complete()
        _keep_from_collector()

    def _report_unreadable(self) -> None:
        """Say of Sessions and DeviceCommands that cannot be read that they
        are frozen; Hubs, Peers and Devices have loops that do (rule B9).
        """
        for kind in (SESSION, DEVICE_COMMAND):
            for stored in self._context.store.frozen(kind):
                self._context.report_invalid(stored)

    async def _end_loops(self, drain: float) -> None:
        """Let each loop finish the pass that it is in, at most `drain`
        seconds; then cancel it.
        """

        self._context.stopping = True
        self._acting_changed()
        late = (
            self._devices.tasks() | self._commands.tasks() | self._hubs.tasks()
        )
        if late:
            _, late = await asyncio.wait(late, timeout=drain)

        for task in late:
            task.cancel()

        if late:
            await asyncio.wait(late, timeout=drain)

    # --- what wakes the loops

    def _changed(self, change: Change) -> None:
        """Hand a change of the store to the managers that it concerns, unless
        this agent stands by.
        """
        if not self._working:
            return

        if change.kind is DEVICE:
            self._devices.device_changed(change)
            self._commands.device_changed(change)
            device = change.new.read(Device) if change.new else None
            if device is not None:
                self._hubs.device_changed(device)
        elif change.kind is SESSION:
            self._devices.session_changed(change)
        elif change.kind is DEVICE_COMMAND:
            self._commands.command_changed(change)
        else:
            self._hubs.changed(change)

    def _acting_changed(self) -> None:
        """Wake all loops: a Lease came or went, or a collection became
        complete, so what may be done changed.
        """
        self._hubs.mark_all()
        self._devices.compare_all()
        self._commands.look_at_all()

    def _tunnel_changed(
        self, namespace: str, device: str, came_back: bool
    ) -> None:
        self._devices.tunnel_changed(namespace, device, came_back)
        self._commands.tunnel_changed(namespace, device, came_back)

    # --- what others see

    @contextmanager
    def exposed(self) -> Iterator[None]:
        """Show what is seen of Peers among the metrics, while the context
        lasts.
        """
        collector = PeerCollector(self._tunnels.readings)
        REGISTRY.register(collector)

        try:
            yield
        finally:
            REGISTRY.unregister(collector)

    def health(self) -> Health:
        """Return the checks behind the probes (rule E11)."""
        health = Health()
        silent = "no watch has made a request for too long"
        health.alive(
            "watcher", lambda: None if self._informers.alive() else silent
        )

        health.alive("loops", lambda: self._context.stuck(_STUCK_AFTER))
        health.ready("rights", permitted(self._api))
        health.ready("store", self._lacks)

        health.fact("acting", lambda: self._working)
        health.fact("directLease", self._direct.held)
        health.fact("lastContact", lambda: self._api.last_contact)
        health.fact("devices", self._devices.count)
        health.fact("clockSkewSeconds", lambda: self._api.clock_skew)
        health.fact("dryRun", lambda: self._settings.dry_run)

        return health

    def _lacks(self) -> str | None:
        """Return why this agent neither acts nor could take over now; None if
        it does or could.
        """
        if self._stopping:
            return "the agent stops"

        if self._working or self._informers.completeness.complete():
            return None

        return "the store is not complete yet"


def _keep_from_collector() -> None:
    """Take the objects that were just read from the garbage collector: it
    would go over all of them again and again, and hold every loop meanwhile.
    """
    gc.collect()
    gc.freeze()


def _node_backends(settings: AgentSettings) -> NodeBackends:
    return NodeBackends(
        node=settings.node_name,
        kernel=Kernel(),
        userspace=Userspace(settings.run_folder, settings.wireguard_sockets),
        nft=Nft(),
        lease_duration=settings.lease_duration,
        lease_renew=settings.lease_renew_interval,
        dry_run=settings.dry_run or settings.wireguard_dry_run,
    )


async def main(settings: AgentSettings, stop: asyncio.Event) -> None:
    """Run the agent until `stop` is set. Raises ConfigError when the
    kubeconfig cannot be used.
    """
    async with KubeApi(
        connection.load(settings.kubeconfig), timeout=settings.request_timeout
    ) as api:
        agent = Agent(settings, api)
        async with AsyncExitStack() as stack:
            stack.enter_context(agent.exposed())
            if settings.probe_socket is not None:
                await stack.enter_async_context(
                    serve_socket(agent.health(), settings.probe_socket)
                )

            await agent.run(stop)
