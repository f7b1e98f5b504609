"""A one-node cluster with Cérebro in it, as the docs say to install it; routers that dial in from namespaces.

Real: kubelet, containerd, the image, what `deploy/` has, WireGuard in userspace, the network between them. Simulated:
RouterOS. These tests run inside the node's namespaces: `make e2e` brings them there.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from controlplane.processes import Process, end, launch
from e2e.installation import Installation
from e2e.site import BACKEND, Site
from integration.agent.conftest import HACK, simulator

__all__ = ["simulator"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "CEREBRO_CLUSTER" not in os.environ:
        for item in items:
            if "e2e" in item.path.parts:
                item.add_marker(
                    pytest.mark.skip(reason="needs a node: make e2e")
                )


@pytest.fixture(scope="session")
def backend(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, str]]:
    """A backend with a feed of events, which pods reach; gives what the bridge must know of it."""
    log = tmp_path_factory.mktemp("backend") / "backend.log"
    secret = {"BACKEND_HMAC_SECRET": secrets.token_urlsafe(24)}
    listen = BACKEND.removeprefix("http://")
    words = (sys.executable, "-m", "backend", "--listen", listen)
    child = launch(Process("backend", words, secret, cwd=HACK), log)
    yield {
        "BACKEND_EVENTS_URL": f"{BACKEND}/events",
        "BACKEND_ACK_URL": f"{BACKEND}/ack",
        **secret,
    }
    end(child)


@pytest.fixture(scope="module")
def installation(backend: dict[str, str]) -> Installation:
    """Cérebro, installed by kubectl; it is there until a test takes it away."""
    installation = Installation(
        token=secrets.token_urlsafe(24),
        secret=secrets.token_urlsafe(24),
        **backend,
    )
    installation.install()
    return installation


@pytest.fixture(scope="module")
def site(
    installation: Installation,
    simulator: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """A Hub on the node, and a router that dials it."""
    folder: Path = tmp_path_factory.mktemp("site")
    with ExitStack() as stack:
        site = Site(installation, simulator, folder)
        stack.callback(site.close)
        site.open()
        yield site
