"""Looks at a process from outside while something else goes on: its answers, its memory, its processor time."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Protocol
from urllib.request import urlopen

_DEADLINE = 900.0
_LONG = "0.05"
"""The bound of a bucket, in seconds: holds of the event loop above it are long."""


class Measured(Protocol):
    """A process that serves probes and metrics."""

    @property
    def pid(self) -> int:
        """Its number."""

    @property
    def port(self) -> int:
        """Where it serves, on loopback."""


@dataclass(frozen=True)
class Target:
    """Such a process by its numbers."""

    pid: int
    port: int


@contextmanager
def repeated(pause: float, act: Callable[[], None]) -> Iterator[None]:
    """Do something beside the test again and again."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(pause):
            act()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


def probe(agent: Measured, times: list[float]) -> None:
    """Ask whether the agent is alive, and note how long the answer takes, once there is one."""
    start = time.monotonic()
    with (
        suppress(OSError, HTTPException),
        closing(
            HTTPConnection("127.0.0.1", agent.port, timeout=_DEADLINE)
        ) as asked,
    ):
        asked.request("GET", "/healthz")
        asked.getresponse().read()
        times.append(time.monotonic() - start)


def memory_of(agent: Measured) -> float:
    """Resident bytes."""
    return int(
        Path(f"/proc/{agent.pid}/statm").read_text().split()[1]
    ) * os.sysconf("SC_PAGE_SIZE")


def peak_memory_of(agent: Measured) -> int:
    """Resident bytes, the most that it had at once."""
    lines = Path(f"/proc/{agent.pid}/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(peak) * 1024


def processor_time_of(agent: Measured) -> float:
    """Seconds of processor time, with those of all its threads."""
    fields = (
        Path(f"/proc/{agent.pid}/stat").read_text().rpartition(")")[2].split()
    )
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Holds:
    """How long the event loop of a process was held by its work, as the process measures it."""

    worst: float
    """The longest hold of the last minute, in seconds."""
    long: int
    """Holds of more than 50 ms since the start."""


def holds_of(agent: Measured) -> Holds:
    """Read it from the metrics."""
    with urlopen(f"http://127.0.0.1:{agent.port}/metrics", timeout=60) as page:
        lines = page.read().decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if line[0] != "#")
    shown = {name: float(value) for name, _, value in pairs}

    held = "cerebro_event_loop_held_seconds"
    looks = shown[f"{held}_count"]
    short = shown[f'{held}_bucket{{le="{_LONG}"}}']
    return Holds(shown["cerebro_event_loop_lag_seconds"], int(looks - short))


def timed(
    name: str, seconds: float, beside: str = "", other: float = 0.0
) -> str:
    ratio = (
        f"   {seconds / other:6.2f} times {beside} ({other * 1000:.1f} ms)"
        if beside
        else ""
    )
    return f"  {name:46} {seconds * 1000:10.1f} ms{ratio}"
