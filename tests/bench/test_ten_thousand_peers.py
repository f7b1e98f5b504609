"""One Hub with ten thousand Peers: the agent from a cold start to rest, with a real API server and wireguard-go.

Beside it in the same run: a bare list of the same Peers, `wg setconf` of them on another wireguard-go, and bare
status patches one after another. Meanwhile Sessions of one router behind no Hub are let in one after another, and
probes are asked, to see what the Peers cost everybody else in the agent. Times are printed with their ratios;
what is asserted is that nothing is lost: each Peer is on the interface and says so, each Session is let in.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from bench.figures import Figures
from bench.many_peers import (
    a_key,
    address_of,
    administrator,
    all_peers,
    at_once,
    condition,
    says_applied,
)
from bench.meter import memory_of, probe, processor_time_of, repeated, timed
from cerebro.kube.client import connection
from cerebro.kube.client.api import KubeApi
from cerebro.resources import PEER
from controlplane.apply import apply_crds, apply_rights
from controlplane.server import ControlPlane
from integration.agent.conftest import simulator
from integration.agent.relay import API, Object
from integration.hub.hub_node import HubNode, NodeAgent
from integration.hub.plain import configure, make_interface, make_keys, show
from integration.hub.world import World, a_peer
from network.node import supported

__all__ = ["simulator"]

PEERS = int(os.environ.get("CEREBRO_BENCH_PEERS", "10000"))
HUB, OTHER, WIREGUARD = "hub", "bare", "wg0"
AT_ONCE = 16
BARE_PATCHES = 200
SESSIONS_AT_REST = 20
REST = 60.0
RESYNC = "20s"
DEADLINE = 900.0
USUAL_TIMES = {
    "CEREBRO_STORE_CHECK_INTERVAL": "120",
    "CEREBRO_REQUEST_TIMEOUT": "30",
    "CEREBRO_LEASE_DURATION": "15",
    "CEREBRO_LEASE_RENEW_INTERVAL": "5",
}
_Answer = TypeVar("_Answer")


@pytest.mark.timeout(2 * DEADLINE)
def test_ten_thousand_peers_of_one_hub(simulator: str, tmp_path: Path) -> None:
    reason = supported()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    with ControlPlane(tmp_path / "plane") as plane:
        apply_crds(plane)
        world = World(plane, simulator, tmp_path, "Userspace")
        try:
            _Bench(world).run()
        finally:
            world.close()


class _Bench:
    """The parts, in their order."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.node = world.node()
        self.router = world.router()
        self.node.reach(self.router.address_book["port"])
        self.peers = {f"peer-{number:05}": a_key() for number in range(PEERS)}
        self.sessions = itertools.count(1)
        self._http = administrator(world.plane)

    def run(self) -> None:
        print(f"\n{PEERS} Peers of one Hub:")
        empty, rest = self.without_peers()
        self.make_peers()
        listed, wrote = self.bare_list(), self.bare_patches()
        applied = self.bare_setconf()
        print("beside it, bare:")
        print(timed("a list of the Peers", listed))
        print(timed("wg setconf of the Peers", applied))
        print(timed("one status patch, one after another", wrote))
        agent, found = self.cold_start()
        print("from the agent's start:")
        print(
            timed(
                "to all Peers on the interface",
                found.applied,
                "list and setconf",
                listed + applied,
            )
        )
        said = 2 * PEERS  # the key is noted before it is applied (rule E8)
        print(
            timed(
                f"to all {said} statuses written",
                found.said,
                "bare patches",
                said * wrote,
            )
        )
        self.see_all_applied()
        print("what others in the agent had of it meanwhile:")
        print(
            timed(
                "a Session let in, median",
                found.sessions.p50,
                "at rest without Peers",
                rest.p50,
            )
        )
        print(timed("a Session let in, 99th percentile", found.sessions.p99))
        print(timed("the longest that a probe waited", max(found.probes)))
        _print_memory(agent, empty)
        self.at_rest(agent, rest)
        self.one_more(agent)
        self.restart(agent)

    # --- before

    def without_peers(self) -> tuple[float, Figures]:
        """Return the memory of an agent without Peers, and how fast it lets Sessions in."""
        agent = self.world.start_agent(self.node, **USUAL_TIMES)
        self.world.ready_hub(HUB, self.node, resyncInterval=RESYNC)
        self.world.until_condition("Device", self.router.name, "Ready", "True")
        times = [self.let_in() for _ in range(SESSIONS_AT_REST)]
        memory = memory_of(agent)
        agent.end()
        return memory, Figures.of(times)

    def make_peers(self) -> None:
        """Make them, and as many others as are patched by hand in a namespace of their own."""
        apply_rights(self.world.plane, self.bare_namespace)
        made = itertools.count(1)

        async def make(api: KubeApi) -> None:
            async def one(namespace: str, name: str, address: str) -> None:
                peer = a_peer(
                    name,
                    HUB,
                    self.peers[name],
                    address,
                    deviceRef={"name": name},
                )
                await api.create(PEER, namespace, peer)
                if (number := next(made)) % 1000 == 0:
                    print(f"  {number} made", flush=True)

            bare = itertools.islice(self.peers, BARE_PATCHES)
            await at_once(
                itertools.chain(
                    (
                        one(self.world.namespace, name, address_of(n))
                        for n, name in enumerate(self.peers)
                    ),
                    (
                        one(self.bare_namespace, name, address_of(n))
                        for n, name in enumerate(bare)
                    ),
                )
            )

        self.ask(make)

    @property
    def bare_namespace(self) -> str:
        return f"{self.world.namespace}-{OTHER}"

    # --- bare

    def bare_list(self) -> float:
        async def listed(api: KubeApi) -> int:
            return len(
                [one async for one in all_peers(api, self.world.namespace)]
            )

        start = time.monotonic()
        assert self.ask(listed) == PEERS
        return time.monotonic() - start

    def bare_patches(self) -> float:
        """Return the median of a status as large as the agent's, written one after another."""
        status = {
            "appliedPublicKey": a_key(),
            "state": "NeverConnected",
            "conditions": [
                condition(name) for name in ("Accepted", "Applied", "Ready")
            ],
        }

        async def patch(api: KubeApi) -> list[float]:
            times = []
            for name in itertools.islice(self.peers, BARE_PATCHES):
                start = time.monotonic()
                await api.apply(
                    PEER,
                    self.bare_namespace,
                    name,
                    {"status": status},
                    field_manager=OTHER,
                    subresource="status",
                )
                times.append(time.monotonic() - start)
            return times

        return Figures.of(self.ask(patch)).p50

    def bare_setconf(self) -> float:
        node = HubNode(
            OTHER, self.world.internet, "Userspace", self.world.folder
        )
        with node:
            make_interface(node, WIREGUARD, "Userspace")
            configure(node, WIREGUARD, private_key=make_keys().private)
            lines = ["[Interface]", f"PrivateKey = {make_keys().private}"]
            for number, key in enumerate(self.peers.values()):
                lines += [
                    "[Peer]",
                    f"PublicKey = {key}",
                    f"AllowedIPs = {address_of(number)}",
                ]
            file = self.world.folder / "wg.conf"
            file.write_text("\n".join(lines) + "\n")
            start = time.monotonic()
            node.run(["wg", "setconf", WIREGUARD, file], timeout=DEADLINE)
            took = time.monotonic() - start
            shown = show(node, WIREGUARD)
            assert shown is not None
            assert len(shown.peers) == PEERS
            return took

    # --- the agent

    def cold_start(self) -> tuple[NodeAgent, _Found]:
        """Start it and let Sessions in until all is applied and said."""
        agent = self.world.agent_on(self.node, **USUAL_TIMES)
        found, done = _Found(), threading.Event()
        with (
            self.watched(found, done),
            repeated(0.2, lambda: self.look(found)),
            repeated(0.02, lambda: probe(agent, found.probes)),
        ):
            start = time.monotonic()
            agent.start()
            self.world.until(
                agent.ready,
                "the agent is ready",
                agent.output,
                within=DEADLINE,
            )
            times: list[float] = []
            while not (done.is_set() and found.applied):
                assert time.monotonic() - start < DEADLINE, agent.output()[
                    -5000:
                ]
                times.append(self.let_in())
            found.applied -= start
            found.said -= start
            found.sessions = Figures.of(times)
        return agent, found

    @contextmanager
    def watched(self, found: _Found, done: threading.Event) -> Iterator[None]:
        """Follow the Peers' statuses; note when the last one says that it is applied."""
        world = self.world
        path = f"/apis/{API}/namespaces/{world.namespace}/peers"
        client = administrator(world.plane)
        version = client.get(path, params={"limit": 1}).json()["metadata"][
            "resourceVersion"
        ]

        def follow() -> None:
            left = set(self.peers)
            query = {"watch": "1", "resourceVersion": version}
            with client.stream(
                "GET", path, params=query, timeout=DEADLINE
            ) as answer:
                for line in answer.iter_lines():
                    one = json.loads(line)["object"]
                    if says_applied(one):
                        left.discard(one["metadata"]["name"])
                    if not left:
                        found.said = time.monotonic()
                        done.set()
                        return

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            client.close()
            thread.join(10)

    def look(self, found: _Found) -> None:
        """Note when all Peers are on the interface."""
        if not found.applied and self.on_interface() == set(
            self.peers.values()
        ):
            found.applied = time.monotonic()

    def on_interface(self) -> set[str]:
        return set(
            self.node.run(
                ["wg", "show", WIREGUARD, "peers"], check=False
            ).stdout.split()
        )

    def see_all_applied(self) -> None:
        """Each Peer has its own address on the interface, says that it is applied, and nothing else is there."""
        shown = self.node.shown(WIREGUARD)
        wanted = {
            key: {address_of(number)}
            for number, key in enumerate(self.peers.values())
        }
        assert {
            key: set(peer.allowed_ips) for key, peer in shown.peers.items()
        } == wanted

        async def read(api: KubeApi) -> dict[str, tuple[bool, str | None]]:
            return {
                one["metadata"]["name"]: (
                    says_applied(one),
                    one["status"].get("appliedPublicKey"),
                )
                async for one in all_peers(api, self.world.namespace)
            }

        assert self.ask(read) == {
            name: (True, key) for name, key in self.peers.items()
        }
        wanted_of_hub = {
            "desired": PEERS,
            "applied": PEERS,
            "online": 0,
            "unknown": 0,
        }
        self.world.until(
            lambda: self.world.status(HUB, "Hub")["peers"] == wanted_of_hub,
            "the Hub says so",
        )

    def at_rest(self, agent: NodeAgent, rest: Figures) -> None:
        """Watch it while nothing changes, but for the time that passes."""
        passes, used, start = (
            self.world.passes(agent),
            processor_time_of(agent),
            time.monotonic(),
        )
        time.sleep(REST)
        took, spent = time.monotonic() - start, processor_time_of(agent) - used
        passes = self.world.passes(agent) - passes
        print(
            f"at rest, {REST:.0f} s with {passes} passes over all Peers (resyncInterval {RESYNC}):"
        )
        print(
            f"  {'processor time':44} {100 * spent / took:8.1f} % of one core"
        )
        probes: list[float] = []
        with repeated(0.02, lambda: probe(agent, probes)):
            sessions = Figures.of(
                [self.let_in() for _ in range(SESSIONS_AT_REST)]
            )
            self.world.compared(HUB, 3)
        print("at rest, in passes that change nothing:")
        print(
            timed(
                "a Session let in, median",
                sessions.p50,
                "without Peers",
                rest.p50,
            )
        )
        print(timed("the longest that a probe waited", max(probes)))

    def one_more(self, agent: NodeAgent) -> None:
        times = []
        for number in range(5):
            key = a_key()
            manifest = a_peer(
                f"more-{number}", HUB, key, address_of(PEERS + number)
            )

            async def make(api: KubeApi, manifest: Object = manifest) -> None:
                await api.create(PEER, self.world.namespace, manifest)

            start = time.monotonic()
            self.ask(make)
            while key not in self.on_interface():
                assert time.monotonic() - start < DEADLINE, agent.output()[
                    -5000:
                ]
            times.append(time.monotonic() - start)
        print(
            timed(
                "one more Peer on the interface, median", Figures.of(times).p50
            )
        )

    def restart(self, agent: NodeAgent) -> None:
        """A second start finds all as it is, and changes nothing."""
        before = self.node.shown(WIREGUARD)
        agent.end()
        start = time.monotonic()
        agent.start()
        self.world.until(
            lambda: self.world.passes(agent),
            "a pass is done",
            agent.output,
            within=DEADLINE,
        )
        print(
            timed(
                "an agent's restart to its first whole pass",
                time.monotonic() - start,
            )
        )
        assert self.node.shown(WIREGUARD) == before

    # --- small things

    def let_in(self) -> float:
        """Return the seconds from a Session's creation until its status says that the client is in."""
        number = next(self.sessions)
        name, client = (
            f"session-{number}",
            {
                "macAddress": f"AA:00:00:00:{number // 256:02X}:{number % 256:02X}"
            },
        )
        client["ipAddress"] = f"10.9.{number // 250}.{number % 250 + 1}"
        manifest = {
            "metadata": {"name": name},
            "spec": {
                "deviceRef": {"name": self.router.name},
                "client": client,
            },
        }
        start = time.monotonic()
        path = f"/apis/{API}/namespaces/{self.world.namespace}/sessions"
        self._http.post(
            path, json={"apiVersion": API, "kind": "Session", **manifest}
        ).raise_for_status()
        while (
            self._http.get(f"{path}/{name}")
            .json()
            .get("status", {})
            .get("phase")
            != "Active"
        ):
            assert time.monotonic() - start < DEADLINE, self.world.status(name)
            time.sleep(0.005)
        return time.monotonic() - start

    def ask(
        self, call: Callable[[KubeApi], Coroutine[Any, Any, _Answer]]
    ) -> _Answer:
        """Do something with the API server as administrator, with a connection of its own."""

        async def run() -> _Answer:
            async with KubeApi(
                connection.load(self.world.plane.kubeconfig), timeout=60
            ) as api:
                return await call(api)

        return asyncio.run(run())


@dataclass
class _Found:
    """What was seen of a cold start: seconds."""

    applied: float = 0.0
    said: float = 0.0
    sessions: Figures = field(default_factory=lambda: Figures(0.0, 0.0))
    probes: list[float] = field(default_factory=list)


def _print_memory(agent: NodeAgent, empty: float) -> None:
    full = memory_of(agent)
    print("memory of the agent (resident):")
    without = f"{full / empty:6.2f} times without ({empty / 2**20:.1f} MiB)"
    print(f"  {'with all Peers':46} {full / 2**20:10.1f} MiB  {without}")
    print(f"  {'for one Peer':46} {(full - empty) / PEERS / 1024:10.1f} KiB")
