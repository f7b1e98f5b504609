"""Fixtures of the integration tests: a real control plane, and namespaces with the rights of `deploy/`.

Real: etcd, kube-apiserver, kube-controller-manager, CRDs, service accounts, roles, tokens. Faked by whoever
needs them: routers (the simulator) and faults on the way to the API server (`controlplane.proxy.FaultProxy`).

Without the control plane's programs these tests fail where CI=true and are skipped elsewhere.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from controlplane import apply, binaries
from controlplane.server import ControlPlane

AccountKubeconfig = Callable[[str], Path]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the virtual machine, which takes longest, so that others wait and work beside it."""
    items.sort(key=lambda item: "vm" not in item.path.parts)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Get the programs before the first test, in sight and outside of any test's time limit."""
    wanted = any(
        "control_plane_programs" in getattr(item, "fixturenames", ())
        for item in session.items
    )
    if not wanted or session.config.option.collectonly:
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with (
        capture.global_and_fixture_disabled(),
        suppress(binaries.MissingBinariesError),
    ):
        binaries.ensure()


@pytest.fixture(scope="session")
def control_plane_programs() -> binaries.Binaries:
    """The programs, for tests that run a control plane of their own."""
    try:
        return binaries.ensure()
    except binaries.MissingBinariesError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"needs a real control plane: {error}")


@pytest.fixture(scope="session")
def bare_control_plane(
    tmp_path_factory: pytest.TempPathFactory,
    control_plane_programs: binaries.Binaries,
) -> Iterator[ControlPlane]:
    """A control plane with nothing applied to it yet."""
    folder = tmp_path_factory.mktemp("controlplane")
    with ControlPlane(folder, programs=control_plane_programs) as plane:
        yield plane


@pytest.fixture(scope="session")
def control_plane(bare_control_plane: ControlPlane) -> ControlPlane:
    """The same control plane, with our CRDs applied. Whoever stops its API server starts it again."""
    apply.apply_crds(bare_control_plane)
    return bare_control_plane


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace of the test's own, with the service accounts and roles of `deploy/` in it."""
    name = f"test-{secrets.token_hex(4)}"
    apply.apply_rights(control_plane, name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def account_kubeconfig(
    control_plane: ControlPlane, namespace: str
) -> AccountKubeconfig:
    """Call it with a service account's name for a kubeconfig file with its rights in `namespace`."""
    return lambda account: control_plane.account_kubeconfig(account, namespace)
