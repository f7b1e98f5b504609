"""A namespace that the tests of this folder share, with the accounts and roles of `deploy/base` in it.

Real: the control plane, the CRDs, the roles, the tokens. Nothing is faked, and nothing of ours runs here.
"""

from collections.abc import Iterator

import pytest

from controlplane import apply
from controlplane.server import ControlPlane

SHARED = "test-resources"


@pytest.fixture(scope="package")
def shared_namespace(control_plane: ControlPlane) -> Iterator[str]:
    """One namespace for tests that need no emptiness, only a place."""
    apply.apply_rights(control_plane, SHARED)
    yield SHARED
    control_plane.kubectl("delete", "namespace", SHARED, "--wait=false")
