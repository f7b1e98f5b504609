"""The loops of an agent's Devices in this process, over real connections to simulated routers of this process.

Real: the Store, the loops, the client and its sockets, the simulator. Faked: the API server, whose objects are kept
here and whose statuses come back to the Store at once; the Lease, which is always held.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

from cerebro.agent.context import AgentContext, Tunnels
from cerebro.agent.devices.manager import DeviceManager
from cerebro.domain.lifecycle import GrantWindows
from cerebro.kube.cache.references import device_of, hub_of, superseded_by
from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.secrets import Secret
from cerebro.kube.events import Recorder
from cerebro.kube.lease import Lease
from cerebro.kube.objects import Change, Listing
from cerebro.kube.status_writer import StatusWriter, Write
from cerebro.resources import (
    DEVICE,
    HUB,
    KINDS,
    PEER,
    SESSION,
    Device,
    Session,
    format_time,
)
from cerebro.resources.naming import FINALIZER_CLEANUP, SECRET_TYPE_ROUTER
from simulator.router import Router
from simulator.simulator import Simulator
from support.tunnels import NoTunnels

NAMESPACE = "ns"
LOOK_EVERY = 0.02
"""Seconds between two looks at what is waited for."""


class LiveDevices:
    """An agent's loops, and the objects that they act on.

    It is API client, status writer, recorder of Events and Lease of the loops, of which these use little.
    `stored` is told kind and name of each object that the Store took.
    """

    clock_skew = None

    def __init__(
        self, simulator: Simulator, tunnels: Tunnels | None = None
    ) -> None:
        self.simulator = simulator
        self.store = Store()
        self.stored: Callable[[str, str], None] = lambda _kind, _name: None
        self._versions = itertools.count(1)
        self._bodies: dict[tuple[str, str], dict[str, Any]] = {}
        self.context = AgentContext(
            api=cast(KubeApi, self),
            store=self.store,
            statuses=cast(StatusWriter, self),
            recorder=cast(Recorder, self),
            direct=cast(Lease, self),
            by_device=self.store.add_index(SESSION, device_of),
            superseding=self.store.add_index(SESSION, superseded_by),
            peers_by_hub=self.store.add_index(PEER, hub_of),
            windows=GrantWindows(),
            tunnels=tunnels or NoTunnels(),
        )
        self.manager = DeviceManager(self.context)
        self.store.subscribe(self._changed)
        self._tunnels = tunnels
        self._running: asyncio.Task[None] | None = None
        self._next: LiveDevices | None = None

    # --- what the loops need of the agent around them

    def held(self) -> bool:
        """Return whether the Lease is held."""
        return True

    def ours_until_taken(self) -> bool:
        """Return whether nobody else took the Lease."""
        return True

    def post(self, *_: Any, **__: Any) -> None:
        """Take an Event."""

    async def get_secret(self, namespace: str, name: str) -> Secret:
        """Return the Secret of every router of the simulator."""
        values = {"username": b"cerebro", "password": b"secret"}

        return Secret(namespace, name, name, SECRET_TYPE_ROUTER, {}, values)

    def put(self, write: Write) -> None:
        """Take a status, and deliver it."""
        body = self._bodies.get((write.kind.kind, write.name))
        if body is None:
            return

        body["status"] = {**body.get("status", {}), **write.status}
        self._deliver(write.kind.kind, write.name)

    def _changed(self, change: Change) -> None:
        if change.kind is DEVICE:
            self.manager.device_changed(change)
        elif change.kind is SESSION:
            self.manager.session_changed(change)
        elif change.kind is HUB:
            self.manager.compare_all()

    # --- objects

    def has_device(self, router: Router, **spec: Any) -> None:
        """Create the Device of a router, or change what it is to be."""
        api = {
            "address": "127.0.0.1",
            "port": router.port,
            "allowPlaintext": True,
            "credentialsSecretRef": {"name": "s"},
            **spec.pop("api", {}),
        }

        self._create("Device", router.name, {"api": api, **spec})

    def begin_to_delete(self, router: Router, **spec: Any) -> None:
        """Delete the Device of a router, which waits for its rows to go."""
        body = self._bodies["Device", router.name]
        body["metadata"]["deletionTimestamp"] = format_time(datetime.now(UTC))
        body["metadata"]["finalizers"] = [FINALIZER_CLEANUP]
        body["spec"] = {**body["spec"], **spec}
        self._deliver("Device", router.name)
        self.store.believe(DEVICE, NAMESPACE, [body["metadata"]["uid"]])

    def has_hub(
        self, name: str, public_key: str, addresses: list[str], endpoint: str
    ) -> None:
        """Create a Hub, or change what it is to be."""
        spec = {"nodeName": "n", "addresses": addresses, "endpoint": endpoint}
        self._create("Hub", name, spec)
        self._bodies["Hub", name]["status"] = {"publicKey": public_key}
        self._deliver("Hub", name)

    def has_session(
        self,
        name: str,
        device: str,
        client: dict[str, str],
        **spec: Any,
    ) -> None:
        """Create a Session, or change what it is to be."""
        wanted = {"deviceRef": {"name": device}, "client": client, **spec}
        self._create("Session", name, wanted)

    def revoke(self, name: str) -> None:
        """End a Session."""
        spec = self._bodies["Session", name]["spec"]
        self._create("Session", name, {**spec, "revoked": True})

    def forget_session(self, name: str) -> None:
        """Delete a Session."""
        self._deliver("Session", name, "DELETED")
        del self._bodies["Session", name]

    def annotate(self, kind: str, name: str, key: str, value: str) -> None:
        """Give an object an annotation."""
        meta = self._bodies[kind, name]["metadata"]
        meta["annotations"] = {**meta.get("annotations", {}), key: value}
        self._deliver(kind, name)

    def forget_device(self, name: str) -> None:
        """Delete a Device; its loop ends."""
        self._deliver("Device", name, "DELETED")
        del self._bodies["Device", name]

    def _create(self, kind: str, name: str, spec: dict[str, Any]) -> None:
        fresh = {
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "uid": f"{kind}-{name}",
                "generation": 0,
                "creationTimestamp": format_time(datetime.now(UTC)),
            }
        }

        body = self._bodies.setdefault((kind, name), fresh)
        body["metadata"]["generation"] += 1
        body["spec"] = spec
        self._deliver(kind, name)

    def _deliver(self, kind: str, name: str, event: Any = "MODIFIED") -> None:
        body = self._bodies[kind, name]
        version = str(next(self._versions))
        meta = {**body["metadata"], "resourceVersion": version}
        self.store.deliver(KINDS[kind], event, {**body, "metadata": meta})
        self.stored(kind, name)

    def session(self, name: str) -> Session | None:
        """Return a Session as it is stored."""
        stored = self.store.get(SESSION, NAMESPACE, name)

        return stored.read(Session) if stored else None

    def phase(self, name: str) -> str:
        """Return the phase of a Session; empty before the first one."""
        session = self.session(name)

        return (session.status.phase or "") if session else ""

    def enforced(self, name: str) -> bool:
        """Return whether a Session's end is said to be enforced."""
        session = self.session(name)
        conditions = session.status.conditions if session else []
        is_over = self.phase(name) in ("Expired", "Revoked")

        return is_over and any(
            condition.type == "Enforced" and condition.status == "True"
            for condition in conditions
        )

    def ready(self, kind: str, name: str) -> dict[str, str]:
        """Return condition Ready of an object as it is stored."""
        return self.condition(kind, name, "Ready")

    def device(self, name: str) -> Device | None:
        """Return a Device as it is stored."""
        stored = self.store.get(DEVICE, NAMESPACE, name)

        return stored.read(Device) if stored else None

    # --- waiting

    async def until(self, holds: Callable[[], bool], label: str) -> None:
        """Wait until something holds; the test's own limit ends it."""
        try:
            while not holds():  # noqa: ASYNC110 - it may be the router's state
                await asyncio.sleep(LOOK_EVERY)
        except asyncio.CancelledError:
            print(f"waited in vain: {label}")
            raise

    async def until_ready(
        self, kind: str, name: str, reason: str
    ) -> dict[str, str]:
        """Wait for a reason of condition Ready; return the condition."""
        await self.until(
            lambda: self.ready(kind, name)["reason"] == reason,
            f"{kind} {name} is {reason}",
        )

        return self.ready(kind, name)

    # --- coming and going

    def start(self) -> None:
        """Run the loops."""
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End the loops, and those of the next agent."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})

        if self._next is not None:
            await self._next.stop()

    def start_anew(self) -> LiveDevices:
        """Return the next agent, which runs and knows the objects alone."""
        self._next = other = LiveDevices(self.simulator, self._tunnels)
        other._bodies = copy.deepcopy(self._bodies)

        for kind, name in other._bodies:
            other._deliver(kind, name)

        other.complete()
        other.start()

        return other

    def condition(self, kind: str, name: str, which: str) -> dict[str, str]:
        """Return a condition of an object as it is stored."""
        status = self._bodies[kind, name].get("status", {})
        conditions: list[dict[str, str]] = status.get("conditions", [])
        nothing = {"status": "", "reason": "", "message": ""}

        return next(
            (entry for entry in conditions if entry["type"] == which), nothing
        )

    async def _run(self) -> None:
        """Run the loops until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self.manager.start(tasks)
            await asyncio.Event().wait()

    def complete(self) -> None:
        """Let the Store know that it holds all Sessions."""
        listing = Listing({}, 0)
        self.store.reconcile_listing(SESSION, NAMESPACE, listing, 0)


@asynccontextmanager
async def live_devices(
    tunnels: Tunnels | None = None,
) -> AsyncIterator[LiveDevices]:
    """Run an agent's loops beside a simulator; by default it carries no Hub."""
    async with Simulator() as simulator:
        live = LiveDevices(simulator, tunnels)
        live.complete()
        live.start()

        try:
            yield live
        finally:
            await live.stop()
