"""Memory of the agent with ten thousand to a hundred thousand live Sessions, and how much of it is kopf's.

The Sessions are written into etcd past the API server, which would take long, after the example of one that the
agent let in; their rows are on the simulated routers. So an agent that starts has nothing to write, and holds what
it holds at rest. What is asserted is that it finds all as wanted.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from bench.many_sessions import Client, aimed, clients_of, shown
from bench.meter import memory_of, peak_memory_of
from cerebro.routeros.access.marker import marker_for
from controlplane.apply import apply_crds
from controlplane.processes import Process, launch
from controlplane.server import ControlPlane
from integration.agent.conftest import simulator
from integration.agent.process import AgentProcess
from integration.agent.relay import API, Object, Relay, a_session
from integration.agent.router import BINDING, LIST, Router

__all__ = ["simulator"]

SIZES = [
    int(size)
    for size in os.environ.get(
        "CEREBRO_BENCH_MEMORY", "10000,50000,100000"
    ).split(",")
]
ROUTERS = 50
REST = 10.0
"""Seconds after which nothing of a start is left."""

ROWS_AT_ONCE = 2000
AIM = 12.0
"""Kilobytes of the agent for a Session."""

TESTS = Path(__file__).parents[1]
USUAL_TIMES = {
    "CEREBRO_STORE_CHECK_INTERVAL": "120",
    "CEREBRO_REQUEST_TIMEOUT": "60",
    "CEREBRO_LEASE_DURATION": "15",
    "CEREBRO_LEASE_RENEW_INTERVAL": "5",
}


@pytest.mark.timeout(3600)
def test_memory_of_an_agent(simulator: str, tmp_path: Path) -> None:
    with ControlPlane(tmp_path / "plane") as plane:
        apply_crds(plane)
        relay = Relay(plane, simulator, tmp_path)
        try:
            _Bench(relay).run()
        finally:
            relay.close()


class CountedAgent(AgentProcess):
    """An agent that counts what its objects hold."""

    def start(self) -> Self:
        census = self.log.with_suffix(".json")
        words = (
            sys.executable,
            "-m",
            "bench.agent_census",
            str(census),
            "agent",
        )
        paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = self._environment | {"PYTHONPATH": ":".join(paths)}
        self._child = launch(Process("agent", words, environment), self.log)
        return self

    def census(self) -> dict[str, int]:
        """Return the bytes that parts of it hold."""
        file = self.log.with_suffix(".json")
        os.kill(self.pid, signal.SIGUSR1)
        while not file.exists():
            assert self.runs(), self.output()[-2000:]
            time.sleep(0.2)
        return {
            f"of that {name}": held
            for name, held in json.loads(file.read_text()).items()
        }


class _Bench:
    """The parts, in their order."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        device = {"resyncInterval": "1h", "api": {"timeout": "60s"}}
        self.routers = [
            relay.router(device=json.loads(json.dumps(device)))
            for _ in range(ROUTERS)
        ]
        self.made: list[Client] = []

    def run(self) -> None:
        template = self.template()
        empty, _ = self.at_rest()
        print(f"\nthe agent with {ROUTERS} routers, resident:")
        print(shown("without Sessions", empty / 2**20, "MiB"))
        for size in SIZES:
            self.make(size, template)
            full, parts = self.at_rest()
            each = (full - empty) / size / 1024
            print(shown(f"with {size} Sessions", full / 2**20, "MiB"))
            print(aimed("for a Session", each, "KB", AIM))
            for name, held in parts.items():
                print(shown(f"  {name}", held / size / 1024, "KB"))

    def template(self) -> Object:
        """Return a Session that an agent let in, as etcd has it; nothing of it stays."""
        relay, router = self.relay, self.routers[0]
        client = Client(router.name, 999_999)
        agent = relay.agent(**USUAL_TIMES).start()
        relay.create(
            a_session(client.session, router.name, client.mac, client.ip)
        )
        relay.until_active(client.session)
        stored = json.loads(relay.plane.value(self.key(client)))
        relay.delete("session", client.session)
        relay.until(
            lambda: not router.rows(BINDING), "the row is gone", agent.output
        )
        agent.end()
        return dict(stored)

    def key(self, client: Client) -> str:
        group, namespace = API.partition("/")[0], self.relay.namespace
        return f"/registry/{group}/sessions/{namespace}/{client.session}"

    # --- Sessions and their rows

    def make(self, size: int, template: Object) -> None:
        """Have so many Sessions in all, the same number on each router."""
        each = (size - len(self.made)) // ROUTERS
        names = [router.name for router in self.routers]
        new = clients_of(names, each, len(self.made))
        self.made += new
        self.relay.plane.put(self.stored(new, template))
        for number, router in enumerate(self.routers):
            self.rows(router, new[number * each : (number + 1) * each])

    def stored(
        self, clients: list[Client], template: Object
    ) -> Iterator[tuple[str, bytes]]:
        """Yield what etcd is to have: the template with another client."""
        old = template["spec"]["client"]
        text = json.dumps(template)
        words = (
            template["metadata"]["name"],
            template["metadata"]["uid"],
            old["macAddress"],
            f'"{old["ipAddress"]}"',
            template["spec"]["deviceRef"]["name"],
        )
        for client in clients:
            new = (
                client.session,
                str(uuid.uuid4()),
                client.mac,
                f'"{client.ip}"',
                client.router,
            )
            body = text
            for before, after in zip(words, new, strict=True):
                body = body.replace(before, after)
            yield self.key(client), body.encode()

    @staticmethod
    def rows(router: Router, clients: list[Client]) -> None:
        """Put on the router what the agent would."""
        marks = {
            client: str(marker_for("main", client.mac, None))
            for client in clients
        }
        bindings = [
            {
                "mac-address": client.mac,
                "type": "bypassed",
                "comment": marks[client],
            }
            for client in clients
        ]
        listed = [
            {
                "list": "paid_clients",
                "address": client.ip,
                "comment": marks[client],
            }
            for client in clients
        ]
        for start in range(0, len(clients), ROWS_AT_ONCE):
            some = slice(start, start + ROWS_AT_ONCE)
            router.add_many(BINDING, bindings[some])
            router.add_many(LIST, listed[some])

    # --- the agent

    def at_rest(self) -> tuple[float, dict[str, float]]:
        """Return the resident bytes of a fresh agent that has compared everything, and what its parts hold."""
        writes = [router.writes() for router in self.routers]
        agent = self.counted_agent()
        agent.start()
        self.relay.until(agent.ready, "the agent is ready", agent.output)
        self.relay.until(
            self.all_compared, "all routers are compared", agent.output
        )
        time.sleep(REST)
        memory = memory_of(agent)
        parts: dict[str, float] = {
            "more, at its peak": peak_memory_of(agent) - memory
        }
        parts |= agent.census()
        agent.end()
        assert [router.writes() for router in self.routers] == writes
        return memory, parts

    def counted_agent(self) -> CountedAgent:
        plain = self.relay.agent(**USUAL_TIMES)
        counted = CountedAgent(plain._environment, plain.log)
        counted._environment["CEREBRO_HEALTH_ADDRESS"] = (
            f"127.0.0.1:{counted.port}"
        )
        self.relay.agents[-1] = counted
        return counted

    def all_compared(self) -> bool:
        """Whether each Device says how many Sessions it has now."""
        each = len(self.made) // ROUTERS
        statuses = (
            self.relay.status(router.name, "Device") for router in self.routers
        )
        return all(
            status.get("sessions", {}).get("active") == each
            for status in statuses
        )
