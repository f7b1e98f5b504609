"""Sessions in thousands: their clients, their creation, and when each of them says that its client is in."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx

from bench.many_peers import administrator, at_once
from bench.meter import Measured, holds_of, processor_time_of
from bench.relay import Relay
from cerebro.kube.client import connection
from cerebro.kube.client.api import KubeApi
from cerebro.resources import DEVICE, SESSION
from cerebro.resources.naming import ANNOTATION_RESYNC_AT
from controlplane.apply import apply_rights
from controlplane.server import ControlPlane
from integration.agent.relay import API, Object
from local.settings import NAMESPACE

BARE = "bare"
"""The namespace of what is made by hand, which nobody of ours watches."""

DEADLINE = 900.0
SILENCE = 5.0
"""Seconds without an event after which a watch is begun anew."""
PACE = 130.0
"""Requests a second that a router takes when many come one after another."""

ROUTEROS = {"per_command_ms": 1, "burst": 170, "knee_ms": 1000 / PACE}
"""The pace of RouterOS, as the simulator has it."""

WRITES_OF_A_CLIENT = 3
"""A binding, a row in the list, and the host that has to go."""


@dataclass(frozen=True)
class Client:
    """A phone behind a router, and the Session that lets it in."""

    router: str
    number: int

    @property
    def mac(self) -> str:
        high, low = divmod(self.number, 256)
        return f"AA:10:00:{high // 256:02X}:{high % 256:02X}:{low:02X}"

    @property
    def ip(self) -> str:
        high, low = divmod(self.number, 250)
        return f"10.{100 + high // 250}.{high % 250}.{low + 1}"

    @property
    def session(self) -> str:
        return f"session-{self.number:06}"

    @property
    def manifest(self) -> Object:
        return {
            "metadata": {"name": self.session},
            "spec": {
                "deviceRef": {"name": self.router},
                "client": {"macAddress": self.mac, "ipAddress": self.ip},
            },
        }


def clients_of(
    routers: Iterable[str], each: int, first: int = 0
) -> list[Client]:
    """Return so many clients for each router, numbered from `first`."""
    numbers = itertools.count(first)
    return [
        Client(router, next(numbers))
        for router in routers
        for _ in range(each)
    ]


@asynccontextmanager
async def as_administrator(plane: ControlPlane) -> AsyncIterator[KubeApi]:
    async with KubeApi(connection.load(plane.kubeconfig), timeout=60) as api:
        yield api


async def come(relay: Relay, clients: Iterable[Client]) -> None:
    """Put the clients there, each with its host row, as DHCP does."""
    await at_once(_comes(relay, client) for client in clients)


async def _comes(relay: Relay, client: Client) -> None:
    await relay.control.move_in(
        client.router, client.mac, client.ip, dhcp=True
    )


async def create(
    api: KubeApi, clients: Iterable[Client], namespace: str = NAMESPACE
) -> None:
    """Create their Sessions as fast as the API server takes them."""

    async def make(client: Client) -> None:
        await api.create(SESSION, namespace, client.manifest)

    await at_once(make(client) for client in clients)


async def bare_rate(relay: Relay, clients: Iterable[Client]) -> float:
    """Return how many Sessions a second are created and get a status, when nobody has anything else to do."""
    apply_rights(relay.plane, BARE)
    some = list(clients)
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    words = {"status": "True", "reason": "Equal", "message": "as wanted"}
    conditions = [
        {
            "type": name,
            **words,
            "observedGeneration": 1,
            "lastTransitionTime": moment,
        }
        for name in ("Ready", "Enforced")
    ]

    async with as_administrator(relay.plane) as api:

        async def make(client: Client) -> None:
            await api.create(SESSION, BARE, client.manifest)
            status = {
                "phase": "Active",
                "authorizedAt": moment,
                "observedGeneration": 1,
                "applied": {"macAddress": client.mac, "ipAddress": client.ip},
                "conditions": conditions,
            }
            await api.patch(
                SESSION,
                BARE,
                client.session,
                {"status": status},
                subresource="status",
            )

        start = time.monotonic()
        await at_once(make(client) for client in some)
        return len(some) / (time.monotonic() - start)


@dataclass
class Watched:
    """When Sessions became Active, by name, on the monotonic clock."""

    active: dict[str, float] = field(default_factory=dict)

    async def until_active(self, clients: Iterable[Client]) -> float:
        """Wait until all of them are, and return the moment of the last."""
        names = {client.session for client in clients}
        deadline = time.monotonic() + DEADLINE
        while not names <= self.active.keys():
            assert time.monotonic() < deadline, (
                f"{len(names - self.active.keys())} of {len(names)} Sessions are not Active"
            )
            await asyncio.sleep(0.2)
        return max(self.active[name] for name in names)


@contextmanager
def watched(plane: ControlPlane) -> Iterator[Watched]:
    """Follow the Sessions of the relay in a thread, while the context lasts."""
    seen = Watched()
    client = administrator(plane)
    done = threading.Event()

    def follow() -> None:
        while not done.is_set():
            # The API server closes a watch that does not keep up; and a silent one ends here.
            with suppress(httpx.HTTPError):
                _follow(client, seen, done)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        # A connection that is closed under its reader makes that read from whatever gets its number.
        done.set()
        thread.join()
        client.close()


def _follow(
    client: httpx.Client, seen: Watched, done: threading.Event
) -> None:
    """List the Sessions and watch them until `done`, or until the watch ends."""
    path = f"/apis/{API}/namespaces/{NAMESPACE}/sessions"
    listed = client.get(path, params={"resourceVersion": "0"}).json()
    for session in listed["items"]:
        _note(session, seen)

    version = listed["metadata"]["resourceVersion"]
    query = {"watch": "1", "resourceVersion": version}
    quiet = httpx.Timeout(DEADLINE, read=SILENCE)
    with client.stream("GET", path, params=query, timeout=quiet) as answer:
        for line in answer.iter_lines():
            _note(json.loads(line)["object"], seen)
            if done.is_set():
                return


def _note(session: Object, seen: Watched) -> None:
    if session.get("status", {}).get("phase") == "Active":
        seen.active.setdefault(session["metadata"]["name"], time.monotonic())


def revisions(plane: ControlPlane, namespace: str) -> dict[str, int]:
    """Return how many revisions the store has had of each Session, by name."""
    prefix = f"/registry/{API.partition('/')[0]}/sessions/{namespace}/"
    return {
        key.removeprefix(prefix): version
        for key, version in plane.versions(prefix)
    }


@dataclass
class Effort:
    """What the agent spent while something was done."""

    cpu: float = 0.0
    """Seconds of processor time."""
    held: float = 0.0
    """The longest time that its loop was held, in seconds; also a little before."""
    long_holds: int = 0
    """How often the loop was held for more than 50 ms."""


@asynccontextmanager
async def effort_of(agent: Measured) -> AsyncIterator[Effort]:
    """Measure while the context lasts; complete at its end."""
    effort = Effort()

    async def look() -> int:
        holds = await asyncio.to_thread(holds_of, agent)
        effort.held = max(effort.held, holds.worst)
        return holds.long

    async def look_on() -> None:
        while True:
            await asyncio.sleep(20)
            await look()

    before = await asyncio.to_thread(holds_of, agent)
    looking = asyncio.create_task(look_on())
    start = processor_time_of(agent)
    try:
        yield effort
    finally:
        effort.cpu = processor_time_of(agent) - start
        looking.cancel()
        await asyncio.sleep(1)  # the worst is shown once a second
        effort.long_holds = await look() - before.long


@dataclass(frozen=True)
class Applied:
    """What it took until Sessions that were applied at once were all Active."""

    created: float
    """Seconds until all of them were created."""
    took: float
    """Seconds until all of them were Active."""
    effort: Effort
    revisions: float
    """Revisions in the store for each of them."""


async def apply_at_once(relay: Relay, clients: Sequence[Client]) -> Applied:
    """Create the Sessions of these clients, and wait until all of them are in."""
    with watched(relay.plane) as seen:
        async with (
            effort_of(relay.agent) as effort,
            as_administrator(relay.plane) as api,
        ):
            start = time.monotonic()
            await create(api, clients)
            created = time.monotonic() - start
            took = await seen.until_active(clients) - start

    stored = revisions(relay.plane, NAMESPACE)
    total = sum(stored[client.session] for client in clients)
    return Applied(created, took, effort, total / len(clients))


async def resync(relay: Relay, router: str) -> float:
    """Ask for a comparison of everything on a router, and return the seconds until it is done."""
    moment = datetime.now(UTC).isoformat()
    mark = {"metadata": {"annotations": {ANNOTATION_RESYNC_AT: moment}}}
    async with as_administrator(relay.plane) as api:
        start = time.monotonic()
        await api.patch(DEVICE, NAMESPACE, router, mark)
        while True:
            device = await api.get(DEVICE, NAMESPACE, router)
            if device["status"].get("lastResyncAt") == moment:
                return time.monotonic() - start
            await asyncio.sleep(0.02)


def aimed(
    name: str, value: float, unit: str, aim: float, *, least: bool = False
) -> str:
    """Return one line of a table: what was measured, and what is aimed at, at most or at least."""
    is_met = value >= aim if least else value <= aim
    word = "met" if is_met else "MISSED"
    return f"  {name:58} {value:10.2f} {unit:14} aim {aim:g}, {word}"


def shown(name: str, value: float, unit: str) -> str:
    return f"  {name:58} {value:10.2f} {unit}"
