"""Neighbouring releases beside each other: the previous one's processes and CRDs, and those of this checkout.

Real: the API server, both releases' CRDs, rights and processes, HTTP, the bridge's file. Simulated: the router. The
previous release's code comes out of git's history and runs with the libraries that are installed here.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest

from controlplane import binaries
from controlplane.server import ControlPlane
from integration.agent.conftest import simulator
from integration.agent.process import Proxy
from integration.neighbours.installation import Installation
from releases.previous import (
    NoHistoryError,
    Release,
    other_libraries,
    unpack_previous,
)

__all__ = ["simulator"]


@pytest.fixture(scope="session")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """The release before this one. A shallow clone, or files without git, have none: CI may run on those too."""
    try:
        release = unpack_previous(tmp_path_factory.mktemp("previous"))
    except NoHistoryError as error:
        pytest.skip(f"needs git's history: {error}")

    differing = other_libraries(release)
    if differing:
        warnings.warn(
            f"{release.name} runs with the libraries of this checkout, not with its own {', '.join(differing)}",
            stacklevel=1,
        )

    return release


@pytest.fixture(scope="module")
def own_plane(
    tmp_path_factory: pytest.TempPathFactory,
    control_plane_programs: binaries.Binaries,
) -> Iterator[ControlPlane]:
    """A control plane whose CRDs a file's tests change as they like."""
    folder = tmp_path_factory.mktemp("plane")
    with ControlPlane(folder, programs=control_plane_programs) as plane:
        yield plane


@pytest.fixture(scope="module")
def installation(
    own_plane: ControlPlane,
    simulator: str,
    previous: Release,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    """An installation of the previous release, with a router that is served."""
    folder = tmp_path_factory.mktemp("installation")
    with (
        Proxy(own_plane) as proxy,
        Installation(
            own_plane, simulator, folder, proxy, previous
        ) as installation,
    ):
        yield installation
