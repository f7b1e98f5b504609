"""A one-node cluster with Cérebro in it, as the docs say to install it; routers that dial in from namespaces.

Real: kubelet, containerd, the image, what `deploy/` has, WireGuard in userspace, the network between them. Simulated:
RouterOS. These tests run inside the node's namespaces: `make e2e` brings them there.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from e2e.installation import Installation
from e2e.site import Site
from integration.agent.conftest import simulator

__all__ = ["simulator"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "CEREBRO_CLUSTER" not in os.environ:
        for item in items:
            if "e2e" in item.path.parts:
                item.add_marker(
                    pytest.mark.skip(reason="needs a node: make e2e")
                )


@pytest.fixture(scope="module")
def installation() -> Installation:
    """Cérebro, installed by kubectl; it is there until a test takes it away."""
    installation = Installation(
        token=secrets.token_urlsafe(24), secret=secrets.token_urlsafe(24)
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
