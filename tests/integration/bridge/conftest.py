"""Fixtures of the bridge's integration tests.

Real: the bridge as a process of its own (`cerebro bridge`) with its SQLite file, HTTP over loopback, the
API server, and the rights that `deploy/` gives to the operator's service account. Played by the test: the
backend that signs and calls, and the agent: `Agent` writes the status that the real one would write, so
that a test decides when a router answers.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from controlplane.server import ControlPlane
from integration.bridge.agent import Agent
from integration.bridge.caller import Caller
from integration.bridge.process import BridgeProcess


@pytest.fixture
def agent(control_plane: ControlPlane, namespace: str) -> Agent:
    return Agent(control_plane, namespace)


@pytest.fixture
def start_bridge(
    account_kubeconfig: Callable[[str], Path], namespace: str, tmp_path: Path
) -> Iterator[Callable[..., BridgeProcess]]:
    """Call it to start a bridge; further environment variables as keyword arguments."""
    running: list[BridgeProcess] = []
    kubeconfig = account_kubeconfig("cerebro-operator")

    def start(**environment: str) -> BridgeProcess:
        process = BridgeProcess(
            tmp_path, {"KUBECONFIG": str(kubeconfig), **environment}, namespace
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        print(process.output())


@pytest.fixture
async def bridge(
    start_bridge: Callable[..., BridgeProcess], agent: Agent
) -> AsyncIterator[Caller]:
    """A bridge that knows the Device `router-1` (routerID R1), and a backend that calls it."""
    agent.make_device("router-1", router_id="R1")
    process = start_bridge()
    async with Caller(process) as caller:
        await caller.until_complete()
        yield caller


@pytest.fixture
def order_id() -> str:
    return f"P-{secrets.token_hex(4)}"
