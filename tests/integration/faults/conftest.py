"""Tests of the whole stack under faults: kills, an API server that is away or refuses, a router that is away.

Real: etcd, kube-apiserver, CRDs, roles and tokens of `deploy/`; agent, operator and bridge as processes that
are killed by SIGKILL; HTTP over loopback. Simulated: the router, whose packets say who has access. Played by
the test: the billing backend, the person with kubectl.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from cerebro.kube.api import KubeApi
from cerebro.kube.connection import from_kubeconfig
from controlplane import apply
from controlplane.server import ControlPlane
from integration.faults.stack import Stack

OpenStack = Callable[..., Awaitable[Stack]]
ACCOUNTS = ("cerebro-agent", "cerebro-operator")


@pytest.fixture
async def open_stack(control_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[OpenStack]:
    """Call it for a stack in a namespace of its own; keyword arguments are settings of our processes."""
    async with _stacks(control_plane, tmp_path) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_module_stack(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[OpenStack]:
    """The same for stacks that live as long as the module's tests, in the module's event loop."""
    async with _stacks(control_plane, tmp_path_factory.mktemp("stacks")) as opened:
        yield opened


@asynccontextmanager
async def _stacks(plane: ControlPlane, folder: Path) -> AsyncIterator[OpenStack]:
    stacks: list[Stack] = []
    async with KubeApi(from_kubeconfig(plane.kubeconfig)) as api:

        async def opened(server: str | None = None, **settings: str) -> Stack:
            namespace = f"test-{secrets.token_hex(4)}"
            apply.apply_rights(plane, namespace)
            accounts = {name: plane.account_kubeconfig(name, namespace, server=server) for name in ACCOUNTS}
            (folder / namespace).mkdir()
            stack = Stack(plane, namespace, folder / namespace, accounts, **settings)
            stacks.append(stack)
            await stack.open(api)
            return stack

        yield opened
        for stack in stacks:
            await stack.close()
            print(stack.logs())
            plane.kubectl("delete", "namespace", stack.namespace, "--wait=false")
