"""Starts programs that cannot outlive whoever started them, each with a log file of its own."""

import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

# The kernel's parent-death signal follows the *thread* that started a child, and a worker thread of an event
# loop may end long before the process does. So all children are started by one thread that stays.
_STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="process-starter")
_LOWEST_PORT = 10000
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclass(frozen=True)
class Process:
    """A program to run: its name in logs and pid files, its words, and what is added to the environment."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None


def launch(process: Process, log: Path) -> subprocess.Popen[bytes]:
    """Start `process` with its output appended to `log`, in a session of its own (Ctrl-C does not reach it).

    It is killed when this process dies, however it dies (Linux; elsewhere only an orderly end stops it).
    """
    return _STARTER.submit(_launch, process, log).result()


def _launch(process: Process, log: Path) -> subprocess.Popen[bytes]:
    guard = ("setpriv", "--pdeathsig", "KILL", "--") if shutil.which("setpriv") else ()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(
            [*guard, *process.argv],
            env=os.environ | process.env,
            cwd=process.cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def end(*children: subprocess.Popen[bytes], grace: float = 5.0) -> None:
    """Ask the children to end, all at once, and kill those that did not within `grace` seconds (0: at once)."""
    deadline = time.monotonic() + grace
    if grace > 0:
        for child in children:
            child.terminate()  # once only: to a second SIGTERM programs answer by giving up their clean end
    for child in children:
        with suppress(subprocess.TimeoutExpired):
            child.wait(max(0.0, deadline - time.monotonic()))
    for child in children:
        child.kill()
        child.wait(10)


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on.

    It is taken from below the range of outgoing connections, so that no client gets it by chance while the
    server that owns it is stopped and is to come back on it.
    """
    highest = int(_EPHEMERAL_RANGE.read_text().split()[0]) if _EPHEMERAL_RANGE.exists() else 32768
    for _ in range(100):
        port = random.randrange(_LOWEST_PORT, highest)  # noqa: S311 - any free one will do
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise OSError(f"no free port on 127.0.0.1 between {_LOWEST_PORT} and {highest}")
