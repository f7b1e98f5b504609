"""Integration tests of `cerebro.kube`.

Real: the control plane, the roles of `deploy/` with the agent's token, kopf. Faked: the way to the API server, which a
FaultProxy breaks when told to. Times are shorter than the defaults (see `TIMES`), so that an outage of seconds is to
the watcher what one of minutes is with the defaults: many failed tries, each with its back-off.
"""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import pytest
import pytest_asyncio

from cerebro.kube.cache.completeness import Completeness, Watch
from cerebro.kube.cache.presence import Presence
from cerebro.kube.cache.store import EventType, Store
from cerebro.kube.cache.watcher import Watcher, WatchTimes
from cerebro.kube.client import connection
from cerebro.kube.client.api import KubeApi
from cerebro.kube.objects import Change
from cerebro.resources import DEVICE, SESSION, UNFINISHED, Kind
from cerebro.resources.naming import FINALIZER_INTERFACE
from controlplane.proxy import FaultProxy
from controlplane.server import ControlPlane

TIMES = WatchTimes(
    request_timeout=5.0,
    watch_timeout=20.0,
    inactivity_timeout=30.0,
    backoff_ceiling=0.5,
    restart_ceiling=1.0,
)


class RecordingStore(Store):
    """A Store that remembers the kinds of event it got for each object."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[EventType, str]] = []

    def deliver(
        self, kind: Kind, event_type: EventType, body: dict[str, Any]
    ) -> Change | None:
        self.events.append((event_type, body["metadata"]["name"]))
        return super().deliver(kind, event_type, body)


class Watching:
    """All the parts of a process that watches Sessions and another kind in one namespace, as the agent would."""

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        *,
        other: Kind = DEVICE,
        check_interval: float = 3600.0,
    ) -> None:
        self.namespace = namespace
        self.store = RecordingStore()
        self.sessions = Watch(SESSION, namespace, UNFINISHED)
        watches = [self.sessions, Watch(other, namespace)]
        self.presence = Presence(api)
        self.completeness = Completeness(
            self.store,
            api,
            watches,
            presence=self.presence,
            check_interval=check_interval,
        )
        self.reasons: list[str | None] = []
        self.relisted: list[Watch] = []
        self.watcher = Watcher(
            api,
            self.store,
            watches,
            presence=self.presence,
            relisted=self._relisted,
            times=TIMES,
            waiting=self.reasons.append,
        )
        self.tasks: list[asyncio.Task[None]] = []

    def _relisted(self, watch: Watch) -> None:
        self.relisted.append(watch)
        self.completeness.request(watch)

    async def __aenter__(self) -> Self:
        self.tasks = [
            asyncio.create_task(self.watcher.run(), name="watcher"),
            asyncio.create_task(self.completeness.run(), name="completeness"),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks, timeout=60)

    async def complete(self) -> None:
        await asyncio.wait_for(self.completeness.wait_complete(), 180)

    def names(self, kind: Kind = SESSION) -> set[str]:
        return {stored.name for stored in self.store.all(kind, self.namespace)}

    def going(self, kind: Kind = SESSION) -> set[str]:
        """Names of the objects whose deletion is believed."""
        return {
            stored.name
            for stored in self.store.all(kind, self.namespace)
            if stored.model is not None
            and stored.model.metadata.deletion_timestamp is not None
        }

    async def has(self, *names: str) -> None:
        await until(
            lambda: self.names() == set(names),
            f"the store to hold {names}, not {self.names()}",
        )

    def intact(self) -> bool:
        return not any(task.done() for task in self.tasks)


async def until(
    condition: Callable[[], bool],
    what: str = "the condition",
    *,
    tries: int = 3600,
) -> None:
    """Look every 50 ms, at most three minutes by default."""
    for _ in range(tries):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}")


def a_session(name: str, **spec: Any) -> dict[str, Any]:
    """A manifest of a Session."""
    client = {"macAddress": "AA:BB:CC:DD:EE:FF"}
    return {
        "metadata": {"name": name},
        "spec": {"deviceRef": {"name": "router-1"}, "client": client, **spec},
    }


def a_peer(name: str) -> dict[str, Any]:
    """A manifest of a Peer as the operator leaves it: with our finalizer."""
    key = base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()
    spec = {
        "hubRef": {"name": "hub"},
        "publicKey": key,
        "allowedIPs": ["10.9.0.1/32"],
    }
    return {
        "metadata": {"name": name, "finalizers": [FINALIZER_INTERFACE]},
        "spec": spec,
    }


@asynccontextmanager
async def proxied(
    plane: ControlPlane, kubeconfig: Callable[[str], Path]
) -> AsyncIterator[tuple[FaultProxy, KubeApi]]:
    """A FaultProxy and a connection through it; `kubeconfig` makes the file for its URL."""
    async with FaultProxy(
        plane.url, upstream_ca=plane.credentials.ca
    ) as proxy:
        path = await asyncio.to_thread(kubeconfig, proxy.url)
        async with KubeApi(connection.load(path), timeout=30.0) as api:
            yield proxy, api


@pytest_asyncio.fixture
async def admin(control_plane: ControlPlane) -> AsyncIterator[KubeApi]:
    """The administrator, past the proxy: who applies and deletes."""
    async with KubeApi(
        connection.load(control_plane.kubeconfig), timeout=30.0
    ) as api:
        yield api


@pytest_asyncio.fixture
async def agent(
    control_plane: ControlPlane, namespace: str
) -> AsyncIterator[tuple[FaultProxy, KubeApi]]:
    """The agent's account, through a FaultProxy."""
    async with proxied(
        control_plane,
        lambda url: control_plane.account_kubeconfig(
            "cerebro-agent", namespace, server=url
        ),
    ) as made:
        yield made


@pytest.fixture
def own_plane(
    bare_control_plane: ControlPlane, tmp_path: Path
) -> Iterator[ControlPlane]:
    """A control plane of the test's own, without CRDs, for tests that take CRDs away."""
    with ControlPlane(
        tmp_path / "plane", programs=bare_control_plane.programs
    ) as plane:
        yield plane
