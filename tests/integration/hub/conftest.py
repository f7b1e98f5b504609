"""Integration tests of the agent's Hub loop.

Real: the API server, `cerebro agent`, `cerebro tunnel` and `cerebro operator` as processes with the rights of
`deploy/`, WireGuard, packets. Nodes are network namespaces with cables between them. The routers' side of the
tunnels is made by foreign tools (`wg`, `ip`), which also judge our side; the routers' API is the simulator's.

`CEREBRO_TEST_WIREGUARD` says which WireGuard: `Userspace` (wireguard-go), or `Kernel`, for which all nodes lie in
a virtual machine, with the agents that run in them; the API server and the operator stay outside.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import pytest

from controlplane.server import ControlPlane
from integration.agent.conftest import simulator
from integration.hub.hub_node import HubNode, NodeAgent
from integration.hub.plain import Implementation
from integration.hub.world import World
from network.node import Machine, lie_in, supported
from vm import machine

__all__ = ["simulator"]

HUB = "hub"


@pytest.fixture(scope="session")
def implementation() -> Implementation:
    """Which WireGuard the tests run with, on both sides."""
    return (
        "Kernel"
        if os.environ.get("CEREBRO_TEST_WIREGUARD") == "Kernel"
        else "Userspace"
    )


@pytest.fixture(scope="session", autouse=True)
def namespaces(
    implementation: Implementation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """What all tests here need. Where namespaces or the machine cannot be made, only CI fails."""
    reason = (
        supported() if implementation == "Userspace" else machine.supported()
    )
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    if implementation == "Userspace":
        yield
        return
    shared = tmp_path_factory.getbasetemp()
    with (
        machine.serving(shared, processors=2) as virtual,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(tempfile, "tempdir", str(shared))
        lie_in(
            Machine(virtual.words, "0.0.0.0", "10.0.2.2", iter(virtual.ports))
        )
        yield
        lie_in()


@pytest.fixture(scope="module")
def world(
    control_plane: ControlPlane,
    simulator: str,
    implementation: Implementation,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    """A namespace for the tests of one file; no secret of theirs is seen anywhere at their end."""
    world = World(
        control_plane,
        simulator,
        tmp_path_factory.mktemp("hub"),
        implementation,
    )
    try:
        yield world
        assert world.leaks() == []
    finally:
        world.close()


@pytest.fixture(scope="module")
def node(world: World) -> HubNode:
    """The node of a file's Hub."""
    return world.node()


@pytest.fixture(scope="module")
def agent(world: World, node: HubNode) -> NodeAgent:
    """The agent there, with an operator beside it and a Hub that is up; a file that needs another has its own."""
    world.operator()
    agent = world.start_agent(node)
    world.ready_hub(HUB, node)
    return agent


@pytest.fixture(autouse=True)
def _output_of_agents(request: pytest.FixtureRequest) -> Iterator[None]:
    """Show of a failed test what the agents said meanwhile."""
    if "world" not in request.fixturenames:
        yield
        return
    world: World = request.getfixturevalue("world")
    before = {id(agent): len(agent.output()) for agent in world.agents}
    yield
    for agent in world.agents:
        print(agent.output()[before.get(id(agent), 0) :][-20000:])
