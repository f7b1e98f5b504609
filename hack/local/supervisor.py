"""Keeps processes running as a kubelet would: one that ends is started again
after a growing pause.
"""

import contextlib
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from controlplane.processes import Process, end, launch

FIRST_DELAY = 0.2
LONGEST_DELAY = 5.0
STABLE_AFTER = 10.0
TICK = 0.05
GRACE = 6.0


@dataclass
class _Child:
    process: Process
    running: subprocess.Popen[bytes] | None
    started: float
    delay: float = FIRST_DELAY
    due: float = 0.0
    ends: int = 0
    foundation: bool = False


class Supervisor:
    """Starts what it is given and starts it again when it ends.

    `pids/NAME` holds the current process id and is absent while there is none;
    `logs/NAME.log` the output.
    """

    def __init__(self, pids: Path, logs: Path) -> None:
        self._pids, self._logs = pids, logs
        self._children: list[_Child] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._watch, name="supervisor", daemon=True
        )
        pids.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def add(self, process: Process, *, foundation: bool = False) -> None:
        """Start `process` and keep it running. What others stand on is stopped
        after them.
        """
        with self._lock:
            child = _Child(process, None, 0.0, foundation=foundation)
            self._start(child)
            self._children.append(child)

    def unsteady(self) -> list[str]:
        """Names of the processes that ended at least once."""
        with self._lock:
            return [
                child.process.name for child in self._children if child.ends
            ]

    def stop(self) -> None:
        """Ask everything to end, and kill what is left after a few seconds;
        then kill the foundation.
        """
        self._stopped.set()
        self._thread.join()
        for foundation, grace in ((False, GRACE), (True, 0.0)):
            group = [
                child
                for child in self._children
                if child.foundation is foundation
            ]
            end(
                *(
                    child.running
                    for child in group
                    if child.running is not None
                ),
                grace=grace,
            )
        for child in self._children:
            (self._pids / child.process.name).unlink(missing_ok=True)

    def _watch(self) -> None:
        while not self._stopped.wait(TICK):
            with self._lock:
                for child in self._children:
                    self._look_after(child)

    def _look_after(self, child: _Child) -> None:
        now = time.monotonic()
        if child.running is not None and child.running.poll() is not None:
            (self._pids / child.process.name).unlink(missing_ok=True)
            child.delay = (
                FIRST_DELAY
                if now - child.started > STABLE_AFTER
                else child.delay
            )
            child.due = now + child.delay
            self._say(
                f"{child.process.name} ended with {child.running.returncode}, again in {child.delay:.1f} s"
            )
            child.delay = min(child.delay * 2, LONGEST_DELAY)
            child.running = None
            child.ends += 1
        elif child.running is None and now >= child.due:
            try:
                self._start(child)
            except OSError as error:
                child.due = now + LONGEST_DELAY
                self._say(f"{child.process.name} does not start: {error}")

    def _start(self, child: _Child) -> None:
        name = child.process.name
        child.running = launch(child.process, self._logs / f"{name}.log")
        child.started = time.monotonic()
        new = self._pids / f".{name}"
        new.write_text(f"{child.running.pid}\n")
        new.rename(self._pids / name)
        self._say(f"{name} started, process {child.running.pid}")

    def _say(self, text: str) -> None:
        with (
            contextlib.suppress(OSError),
            (self._logs / "supervisor.log").open("a") as log,
        ):
            log.write(
                f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}\n"
            )
