"""A real API server, with namespaces that take only some pods."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest

from controlplane.server import ControlPlane
from helm import binaries

LEVEL = "pod-security.kubernetes.io/enforce"


@pytest.fixture(scope="module")
def restricted(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace that takes only pods of the level `restricted`."""
    name = f"restricted-{secrets.token_hex(4)}"
    control_plane.kubectl("create", "namespace", name)
    label = f"{LEVEL}=restricted"
    control_plane.kubectl("label", "namespace", name, label)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def with_helm() -> None:
    """What tests of the chart need; without Helm only CI fails."""
    try:
        binaries.ensure()
    except binaries.MissingHelmError as error:
        if os.environ.get("CI") == "true":
            raise

        pytest.skip(f"needs Helm: {error}")
