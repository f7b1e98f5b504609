"""Programs of ours as processes that end themselves with SIGKILL at a chosen await.

The kernel does the rest, as with any `kill -9`: what was written to a socket goes out, nothing else does. A
fork server that has imported everything starts them, so that hundreds of starts are affordable.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Coroutine, Generator
from contextvars import Context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import TracebackType
from typing import Any

PROGRAMS = {
    "agent": (
        "cerebro.agent.main",
        "main",
        "cerebro.agent.settings",
        "AgentSettings",
    ),
    "operator": (
        "cerebro.operator.main",
        "main",
        "cerebro.operator.settings",
        "OperatorSettings",
    ),
    "bridge": (
        "cerebro.bridge.main",
        "run",
        "cerebro.bridge.settings",
        "BridgeSettings",
    ),
}
PATHS = {
    "agent": ("LoopTable._run", "StatusWriter._work"),
    "operator": ("Loop.run",),
    "bridge": (
        "RequestResponseCycle.run_asgi",
        "Inbox._run_lane",
        "Bridge._run_upkeep",
        "Poller.run",
        "Tracker.run",
        "AckSender.run",
    ),
}
"""The tasks in which access is granted and ended, by their coroutine's name; what they start counts too."""
_PR_SET_PDEATHSIG = 1

_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(
    [
        "pytest",
        "cerebro.cli.main",
        *(words[place] for words in PROGRAMS.values() for place in (0, 2)),
    ]
)


class _Steps(Coroutine[Any, Any, Any]):
    """A coroutine that tells `suspended` of each time that it waits, from any depth."""

    def __init__(
        self,
        inner: Coroutine[Any, Any, Any],
        points: KillPoints,
        *,
        counts: bool,
    ) -> None:
        self._inner, self._points, self.counts = inner, points, counts
        self.__qualname__ = getattr(inner, "__qualname__", "")

    def send(self, value: Any) -> Any:
        waited_for = self._inner.send(value)
        if self.counts:
            self._points.suspended()
        return waited_for

    def throw(
        self,
        kind: Any,
        value: BaseException | object = None,
        traceback: TracebackType | None = None,
    ) -> Any:
        waited_for = self._inner.throw(kind, value, traceback)
        if self.counts:
            self._points.suspended()
        return waited_for

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, None, Any]:
        return self._inner.__await__()


class Waits(ctypes.Structure):
    """What a program and the test share. The test writes `until` only, the program the others only, so that
    neither undoes what the other does.
    """

    _fields_ = (
        ("so_far", ctypes.c_int),
        ("until", ctypes.c_int),
        ("survived", ctypes.c_int),
    )


class KillPoints:
    """A task factory that counts waits of the tasks named `roots` and of those that they start.

    The wait that brings `so_far` up to `until`, where that is not zero, kills.
    """

    def __init__(self, roots: tuple[str, ...], waits: Waits) -> None:
        self._roots, self._waits = roots, waits

    def __call__(
        self,
        loop: asyncio.AbstractEventLoop,
        coro: Any,
        context: Context | None = None,
    ) -> asyncio.Task[Any]:
        try:
            parent = asyncio.current_task(loop)
        except RuntimeError:
            parent = None
        above = parent.get_coro() if parent is not None else None
        counts = getattr(coro, "__qualname__", "") in self._roots or getattr(
            above, "counts", False
        )
        steps = (
            _Steps(coro, self, counts=counts)
            if asyncio.iscoroutine(coro)
            else coro
        )
        return asyncio.Task(steps, loop=loop, context=context)

    def suspended(self) -> None:
        self._waits.so_far += 1
        if 0 < self._waits.until <= self._waits.so_far:
            os.kill(os.getpid(), signal.SIGKILL)
        self._waits.survived = self._waits.so_far


class Program:
    """One of our programs; `start` again after it was killed goes on with the same environment."""

    def __init__(
        self, role: str, environment: dict[str, str], log: Path
    ) -> None:
        self.role, self.environment, self.log = role, environment, log
        self._waits = _forking.RawValue(Waits, 0, 0, 0)
        self._process: ForkServerProcess | None = None

    def start(self, *, waits: int = 0) -> None:
        """Start it, to be killed at that many waits; 0 has it live."""
        self._waits.so_far, self._waits.until, self._waits.survived = (
            0,
            waits,
            0,
        )
        words = (self.role, self.environment, str(self.log), self._waits)
        self._process = _forking.Process(target=_run, args=words, daemon=True)
        self._process.start()

    def arm(self, waits: int) -> None:
        """Have it killed at that many waits from now."""
        self._waits.until = self._waits.so_far + waits

    def disarm(self) -> bool:
        """Have it live, unless it was killed by now: gives whether it was."""
        until, self._waits.until = self._waits.until, 0
        reached, deadline = self._waits.so_far, time.monotonic() + 60
        # At a wait that it has reached it is killed in a moment, unless it looks only now.
        while (
            until
            and self.exit_code() is None
            and self._waits.survived < reached
        ):
            assert time.monotonic() < deadline, (
                f"{self.role} neither ends nor goes on"
            )
            time.sleep(0.001)
        return self.exit_code() is not None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def exit_code(self) -> int | None:
        """Give -9 after a kill, None while it runs."""
        return self._process.exitcode if self._process else None

    def end(
        self, how: signal.Signals = signal.SIGKILL, within: float = 60
    ) -> int | None:
        """Send a signal and give the exit code; harmless when it has ended."""
        if self._process is None:
            return None
        if self._process.exitcode is None and self._process.pid is not None:
            os.kill(self._process.pid, how)
        self._process.join(within)
        return self._process.exitcode

    def output(self, last: int = 6000) -> str:
        """Give the end of its log."""
        return self._log()[-last:]

    def said(self, text: str) -> int:
        """Count how often its log says that, from its beginning."""
        return self._log().count(text)

    def _log(self) -> str:
        return (
            self.log.read_text("utf-8", "replace") if self.log.exists() else ""
        )


def _run(
    role: str, environment: dict[str, str], log: str, waits: Waits
) -> None:
    """Be the program, in a process of its own."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with Path(log).open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.environ.update(environment)
    module, function, settings_module, settings_class = PROGRAMS[role]
    main = getattr(importlib.import_module(module), function)
    cli = importlib.import_module("cerebro.cli.main")
    settings = cli._settings(
        getattr(importlib.import_module(settings_module), settings_class)
    )

    async def counted(stop: asyncio.Event) -> None:
        asyncio.get_running_loop().set_task_factory(
            KillPoints(PATHS[role], waits)
        )
        await main(settings, stop)

    cli.run(counted)
    sys.stdout.flush()
