"""The supervisor of the local relay, with real processes that end by themselves or are killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.processes import Process
from controlplane.progress import wait_until
from local.settings import draw, environment_file
from local.supervisor import Supervisor

SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    (tmp_path / "log").mkdir()
    running = Supervisor(tmp_path / "pid", tmp_path / "log")
    yield running
    running.stop()


def read_pid(folder: Path, name: str) -> int | None:
    try:
        return int((folder / "pid" / name).read_text())
    except FileNotFoundError:
        return None


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_process_runs_again_under_a_new_id(
    tmp_path: Path, supervisor: Supervisor
) -> None:
    supervisor.add(Process("sleeper", SLEEP))
    supervisor.add(Process("other", SLEEP))
    first, other = read_pid(tmp_path, "sleeper"), read_pid(tmp_path, "other")
    assert first is not None
    os.kill(first, signal.SIGKILL)
    wait_until(
        lambda: read_pid(tmp_path, "sleeper") not in {None, first},
        "a new process",
        timeout=120,
    )
    second = read_pid(tmp_path, "sleeper")
    assert second is not None
    assert alive(second)
    assert read_pid(tmp_path, "other") == other


def test_one_that_always_fails_is_started_again_less_and_less_often(
    tmp_path: Path, supervisor: Supervisor
) -> None:
    supervisor.add(
        Process(
            "broken", ("sh", "-c", "echo tried; exit 3")
        )  # which does not live long enough to be stable
    )
    log = tmp_path / "log" / "supervisor.log"
    wait_until(
        lambda: log.read_text().count("broken ended with 3") >= 3,
        "three ends",
        timeout=120,
    )
    said = [
        line for line in log.read_text().splitlines() if "ended with 3" in line
    ]
    pauses = [float(line.rsplit(" ", 2)[1]) for line in said[:3]]
    assert pauses == sorted(set(pauses))
    assert (tmp_path / "log" / "broken.log").read_text().count("tried") >= 3


def test_stopping_ends_all_and_leaves_no_process_ids(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    supervisor = Supervisor(tmp_path / "pid", tmp_path / "log")
    supervisor.add(Process("sleeper", SLEEP))
    pid = read_pid(tmp_path, "sleeper")
    assert pid is not None
    supervisor.stop()
    assert not alive(pid)
    time.sleep(0.5)
    assert list((tmp_path / "pid").iterdir()) == []


def test_the_environment_file_is_a_shell_file_with_all_names(
    tmp_path: Path,
) -> None:
    settings = draw(2)
    file = tmp_path / "env"
    file.write_text(
        environment_file(settings, tmp_path / "it's a kubeconfig", tmp_path)
    )
    shell = subprocess.run(
        ["sh", "-c", f". {file}; env"],
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin"},
    )
    told = dict(
        line.split("=", 1) for line in shell.stdout.splitlines() if "=" in line
    )
    expected = (
        *(
            "KUBECONFIG",
            "RELAY_BASE_URL",
            "RELAY_TOKEN",
            "RELAY_TOKEN_EXEC",
            "RELAY_TOKEN_TOOLS",
        ),
        *(
            "RELAY_INTERNAL_TOKEN",
            "RELAY_API_SECRET",
            "BACKEND_HMAC_SECRET",
            "BACKEND_EVENTS_URL",
        ),
        *(
            "BACKEND_ACK_URL",
            "SIMULATOR_CONTROL",
            "CEREBRO_NAMESPACE",
            "ROUTER1_NAME",
            "ROUTER1_ADDRESS",
        ),
        *(
            "ROUTER1_PORT",
            "ROUTER1_USER",
            "ROUTER1_PASSWORD",
            "ROUTER2_NAME",
            "ROUTER2_PORT",
        ),
    )
    assert [name for name in expected if not told.get(name)] == []
    assert told["KUBECONFIG"] == str(tmp_path / "it's a kubeconfig")
    assert told["ROUTER2_PORT"] == str(settings.routers[1].port)
    assert told["ROUTER1_PORT"] != told["ROUTER2_PORT"]
    assert "ROUTER3_NAME" not in told
