"""The agent as a process of its own, and a proxy between it and the API server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from controlplane.processes import Process, free_port, launch
from controlplane.proxy import FaultProxy
from controlplane.server import ControlPlane
from integration.agent.router import CERTAIN

T = TypeVar("T")

SHORT_TIMES = {
    "CEREBRO_BACKOFF_CEILING": "1",
    "CEREBRO_REQUEST_TIMEOUT": "5",
    "CEREBRO_STORE_CHECK_INTERVAL": "5",
    "CEREBRO_LEASE_DURATION": "8",
    "CEREBRO_LEASE_RENEW_INTERVAL": "1",
}


class AgentProcess:
    """`cerebro agent`; it can be killed and started again. Its output is kept in `log`."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.port = free_port()
        self.log = log
        self._environment = {
            **SHORT_TIMES,
            "CEREBRO_NODE_NAME": "node-under-test",
            "CEREBRO_HEALTH_ADDRESS": f"127.0.0.1:{self.port}",
            **environment,
        }
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        program = str(Path(sys.executable).with_name("cerebro"))
        environment = {"PATH": os.environ["PATH"], **self._environment}
        self._child = launch(
            Process("agent", (program, "agent"), environment), self.log
        )
        return self

    def runs(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._child is not None
        return self._child.pid

    def end(self, how: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal; gives the exit status."""
        assert self._child is not None
        self._child.send_signal(how)
        code = self._child.wait(CERTAIN)
        self._child = None
        return code

    def ready(self) -> bool:
        return self.readiness() == 200

    def readiness(self) -> int | None:
        """The HTTP status of `/readyz`; None when nobody answers."""
        answer = self._get("/readyz")
        return None if answer is None else answer.status_code

    def metrics(self) -> str:
        return self._text("/metrics")

    def facts(self) -> dict[str, Any]:
        """What `/healthz?verbose` says."""
        return dict(
            json.loads(self._text("/healthz?verbose") or "{}").get("facts", {})
        )

    def _text(self, path: str) -> str:
        answer = self._get(path)
        return "" if answer is None or answer.is_error else answer.text

    def _get(self, path: str) -> httpx.Response | None:
        try:
            return httpx.get(
                f"http://127.0.0.1:{self.port}{path}", timeout=CERTAIN
            )
        except httpx.TransportError:
            return None

    def output(self) -> str:
        return (
            self.log.read_text("utf-8", "replace") if self.log.exists() else ""
        )


class Proxy:
    """A FaultProxy before the API server with an event loop in a thread of its own."""

    def __init__(self, plane: ControlPlane) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="proxy", daemon=True
        )
        self.faults = FaultProxy(plane.url, upstream_ca=plane.credentials.ca)

    def __enter__(self) -> Self:
        self._thread.start()
        self.run(self.faults.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self.faults.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(
            CERTAIN
        )

    def refuse(self) -> None:
        """Close all connections and take no more."""
        self.run(self.faults.refuse())

    def accept(self) -> None:
        self.run(self.faults.accept())

    def passed(self, matching: Callable[[Any], bool]) -> int:
        """How many matching requests came so far."""
        return sum(
            1 for request in list(self.faults.requests) if matching(request)
        )
