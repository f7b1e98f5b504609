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
from typing import Any

import pytest
import pytest_asyncio

from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.connection import from_kubeconfig
from controlplane import apply
from controlplane.proxy import FaultProxy
from controlplane.server import ControlPlane
from integration.faults.stack import Stack

OpenStack = Callable[..., Awaitable[Stack]]
NO_MORE: dict[str, Any] = {}
ACCOUNTS = ("cerebro-agent", "cerebro-operator")


@pytest.fixture
async def open_stack(
    control_plane: ControlPlane, tmp_path: Path
) -> AsyncIterator[OpenStack]:
    """Call it for a stack in a namespace of its own; keyword arguments are settings of our processes.

    `server` is where those find the API server, `device` what the Device's spec says besides
    (None: no Device yet).
    """
    async with stacks_on(control_plane, tmp_path) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_module_stack(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[OpenStack]:
    """The same for stacks that live as long as the module's tests, in the module's event loop."""
    async with stacks_on(
        control_plane, tmp_path_factory.mktemp("stacks")
    ) as opened:
        yield opened


@pytest.fixture
async def api_proxy(control_plane: ControlPlane) -> AsyncIterator[FaultProxy]:
    """A proxy before the API server, for a stack's processes; the test itself goes past it."""
    made = control_plane.credentials
    async with FaultProxy(
        control_plane.url,
        upstream_ca=made.ca,
        certificate=(made.certificate, made.key),
    ) as proxy:
        yield proxy


@asynccontextmanager
async def stacks_on(
    plane: ControlPlane, folder: Path
) -> AsyncIterator[OpenStack]:
    """Give what opens stacks on a control plane, and close them at the end."""
    stacks: list[Stack] = []
    async with KubeApi(from_kubeconfig(plane.kubeconfig)) as api:

        async def opened(
            server: str | None = None,
            device: dict[str, Any] | None = NO_MORE,
            **settings: str,
        ) -> Stack:
            namespace = f"test-{secrets.token_hex(4)}"
            apply.apply_rights(plane, namespace)
            accounts = {
                name: plane.account_kubeconfig(name, namespace, server=server)
                for name in ACCOUNTS
            }
            (folder / namespace).mkdir()
            stack = Stack(
                plane, namespace, folder / namespace, accounts, **settings
            )
            stacks.append(stack)
            await stack.open(api)
            if device is not None:
                await stack.make_device(**device)
            return stack

        yield opened
        for stack in stacks:
            await stack.close()
            print(stack.logs())
            plane.kubectl(
                "delete", "namespace", stack.namespace, "--wait=false"
            )
