"""`python -m local` as people run it: everything real but for the routers, which are simulated.

It lies in a folder of the test's own, beside whatever `make up` has started.
"""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from controlplane.binaries import Binaries
from controlplane.progress import wait_until

HACK = Path(__file__).parents[3] / "hack"
OURS = ("agent", "operator", "bridge", "simulator", "backend")


class Local:
    """The local relay in `folder`, by its command line and the files that it writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        env = os.environ | {"CEREBRO_LOCAL_FOLDER": str(self.folder)}
        return subprocess.run(
            [sys.executable, "-m", "local", *words],
            cwd=HACK,
            env=env,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def pid(self, name: str) -> int | None:
        try:
            return int((self.folder / "pid" / name).read_text())
        except FileNotFoundError:
            return None

    def runs_anew(self, name: str, before: int | None) -> bool:
        """Whether it runs, and under another process id than `before`."""
        return self.pid(name) not in {None, before}

    def shell(self, command: str) -> str:
        """What `command` prints in a shell that sourced the environment file."""
        words = ["sh", "-c", f". {self.folder}/env; {command}"]
        return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout.strip()

    def devices_ready(self) -> list[str]:
        """The `Ready` status of each Device."""
        query = '{range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{" "}{end}'
        return self.shell(f"kubectl get devices -o jsonpath='{query}'").split()


@pytest.fixture
def local(tmp_path: Path, control_plane_programs: Binaries) -> Iterator[Local]:
    relay = Local(tmp_path / "local")
    yield relay
    relay.run("down")


def test_up_brings_everything_up_and_down_leaves_nothing(local: Local) -> None:
    first = local.run("up", "--routers", "2")
    assert first.returncode == 0, first.stderr
    assert "ended and was started again" not in first.stderr
    assert local.devices_ready() == ["True", "True"]
    pids = {name: local.pid(name) for name in (*OURS, "etcd", "kube-apiserver")}
    assert None not in pids.values()

    again = local.run("up")
    assert again.returncode == 0
    assert "already up" in again.stdout
    assert {name: local.pid(name) for name in pids} == pids

    bridge = local.shell('echo "$RELAY_BASE_URL"')
    with urllib.request.urlopen(f"{bridge}/health", timeout=10) as answer:
        assert json.load(answer)["status"] == "ok"

    assert local.run("down").returncode == 0
    assert [name for name, pid in pids.items() if pid is not None and Path(f"/proc/{pid}").exists()] == []
    assert local.run("down").stdout.strip() == "not up"


def test_whatever_is_killed_comes_back_and_the_devices_are_ready_again(local: Local) -> None:
    started = local.run("up", "--routers", "1")
    assert started.returncode == 0, started.stderr
    before = {name: local.pid(name) for name in (*OURS, "etcd", "kube-apiserver")}
    for pid in before.values():
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    for name, pid in before.items():
        wait_until(partial(local.runs_anew, name, pid), f"{name} again", timeout=60)

    def ready() -> bool:
        try:
            return local.devices_ready() == ["True"]
        except subprocess.CalledProcessError:
            return False

    wait_until(ready, "the Device Ready after everything was killed", timeout=120, interval=1)
