"""Starts programs that cannot outlive whoever started them, each with a log
file of its own.
"""

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

# The kernel's parent-death signal follows the *thread* that started a child,
# and a worker thread of an event loop may end long before the process does. So
# all children are started by one thread that stays.
_STARTER = ThreadPoolExecutor(
    max_workers=1, thread_name_prefix="process-starter"
)
_LOWEST_PORT, _HIGHEST_PORT = 10000, 65535
_FEWEST_PORTS = 4000
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUAL_RANGE = (32768, 60999)
_given: set[int] = set()


@dataclass(frozen=True)
class Process:
    """A program to run: its name in logs and pid files, its words, and what is
    added to the environment.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None


def launch(process: Process, log: Path) -> subprocess.Popen[bytes]:
    """Start `process` with its output appended to `log`, in a session of its
    own (Ctrl-C does not reach it).

    It is killed when this process dies, however it dies (Linux; elsewhere only
    an orderly end stops it).
    """
    return _STARTER.submit(_launch, process, log).result()


def _launch(process: Process, log: Path) -> subprocess.Popen[bytes]:
    guard = (
        ("setpriv", "--pdeathsig", "KILL", "--")
        if shutil.which("setpriv")
        else ()
    )
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
    """Ask the children to end, all at once, and kill those that did not within
    `grace` seconds (0: at once).
    """
    deadline = time.monotonic() + grace
    if grace > 0:
        for child in children:
            child.terminate()  # once only: to a second SIGTERM programs answer by giving up their clean end
    for child in children:
        with suppress(subprocess.TimeoutExpired):
            child.wait(max(0.0, deadline - time.monotonic()))
    for child in children:
        child.kill()
        child.wait(60)


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on; each process gets each
    port once.

    A server may take it much later, and stop and come back on it, and nobody
    else may have it meanwhile: no client by chance, so it lies outside of the
    range of outgoing connections; no other worker of pytest, as each has a
    part of its own.
    """
    lowest, highest = _USUAL_RANGE
    if _EPHEMERAL_RANGE.exists():
        lowest, highest = map(int, _EPHEMERAL_RANGE.read_text().split())
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = _port_range(
        lowest, highest, int(worker) if worker.isdecimal() else 0, workers
    )
    for _ in range(1000):
        port = random.choice(ports)  # noqa: S311 - any free one will do
        if port in _given:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise OSError(
        f"no free port on 127.0.0.1 between {ports[0]} and {ports[-1]}"
    )


def _port_range(lowest: int, highest: int, worker: int, workers: int) -> range:
    """The ports for a worker, the first being 0, where outgoing connections
    use those from `lowest` to `highest`.
    """
    if lowest - _LOWEST_PORT >= _FEWEST_PORTS:
        ports = range(_LOWEST_PORT, lowest)
    elif _HIGHEST_PORT - highest >= _FEWEST_PORTS:
        ports = range(max(highest + 1, _LOWEST_PORT), _HIGHEST_PORT + 1)
    else:  # they use nearly all; then it is by chance that none has it
        ports = range(_LOWEST_PORT, _USUAL_RANGE[0])
    share = len(ports) // workers
    return ports[worker * share : (worker + 1) * share]
