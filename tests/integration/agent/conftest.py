"""Integration tests of the agent.

Real: the API server with etcd, the CRDs, `cerebro agent` as a process with a token of its own service account
and the rights of `deploy/`, its connections to routers. Faked: the routers, by the simulator, a process of its
own that a test moves through its control port, and where a test says so the way to the API server, through a
FaultProxy. Times that are minutes in life are seconds in the agent's settings and in the Devices' specs.

Access always means: the router forwards a packet of the client.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controlplane.processes import Process, end, launch
from controlplane.server import ControlPlane
from integration.agent.process import AgentProcess, Proxy
from integration.agent.relay import Relay
from integration.agent.router import CERTAIN

HACK = Path(__file__).parents[3] / "hack"


@contextmanager
def start_simulator(folder: Path) -> Iterator[str]:
    """Run the simulator without routers; gives the URL of its control port."""
    ready = folder / "ports.json"
    words = (
        sys.executable,
        "-m",
        "simulator",
        "--control",
        "127.0.0.1:0",
        "--port-file",
        str(ready),
    )
    child = launch(
        Process("simulator", words, cwd=HACK), folder / "simulator.log"
    )
    deadline = time.monotonic() + CERTAIN
    try:
        while not ready.exists():
            assert child.poll() is None, (folder / "simulator.log").read_text()
            assert time.monotonic() < deadline, "the simulator does not start"
            time.sleep(0.05)
        yield json.loads(ready.read_text())["control"]
    finally:
        end(child)


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The simulator without routers; gives the URL of its control port."""
    with start_simulator(tmp_path_factory.mktemp("simulator")) as url:
        yield url


@pytest.fixture(scope="module")
def relay(
    control_plane: ControlPlane,
    simulator: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Relay]:
    """A namespace for the tests of one file, with an agent only if `agent` is asked for too.

    Whatever these tests did, no password of a router is seen anywhere at their end.
    """
    relay = Relay(control_plane, simulator, tmp_path_factory.mktemp("agent"))
    try:
        yield relay
        assert relay.leaks() == []
    finally:
        relay.close()


@pytest.fixture(scope="module")
def agent(relay: Relay) -> AgentProcess:
    """The agent that the tests of one file share; started, and its store complete."""
    agent = relay.agent().start()
    relay.until(agent.ready, "the agent is ready", agent.output)
    return agent


@pytest.fixture(autouse=True)
def _output_of_agents(request: pytest.FixtureRequest) -> Iterator[None]:
    """Show of a failed test what the agents said meanwhile."""
    if "relay" not in request.fixturenames:
        yield
        return
    relay: Relay = request.getfixturevalue("relay")
    before = {id(agent): len(agent.output()) for agent in relay.agents}
    yield
    for agent in relay.agents:
        print(agent.output()[before.get(id(agent), 0) :][-20000:])


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[Proxy]:
    """A proxy before the API server that breaks things when told to."""
    with Proxy(control_plane) as proxy:
        yield proxy
