"""A real Redis on a free loopback port, which tests start and stop."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cerebro.bridge.store_settings import RedisAddress
from controlplane.processes import Process, end, free_port, launch

PASSWORD = "redis-password-0123456789"
CERTAIN = 60.0
"""Seconds that anything may take on a busy machine; no test asserts on time."""

KEEPS_NOTHING = ("--save", "", "--appendonly", "no")
KEEPS_ALL = ("--save", "", "--appendonly", "yes", "--appendfsync", "always")


class RedisServer:
    """`redis-server` with a password, its data in a folder. Started at once; `stop` may be called again and again."""

    def __init__(self, folder: Path, *options: str, tls: bool = False) -> None:
        self.port = free_port()
        self._log = folder / f"redis-{self.port}.log"
        self._tls = tls
        port = ("--port", "0", "--tls-port") if tls else ("--port",)
        program = shutil.which("redis-server")
        assert program, "redis-server is there: see hack/install-packages"
        self._process = Process(
            "redis",
            (
                program,
                *port,
                str(self.port),
                *("--bind", "127.0.0.1", "--requirepass", PASSWORD),
                *("--dir", str(folder), *options),
            ),
        )
        self._child: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def address(self) -> RedisAddress:
        return RedisAddress(
            "127.0.0.1", self.port, password=PASSWORD, tls=self._tls
        )

    @property
    def url(self) -> str:
        scheme = "rediss" if self._tls else "redis"
        return f"{scheme}://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._child = launch(self._process, self._log)
        deadline = time.monotonic() + CERTAIN
        while not self._listens():
            output = self._log.read_text("utf-8", "replace")
            assert time.monotonic() < deadline, output
            time.sleep(0.02)

    def stop(self) -> None:
        """End it as `kill -9` does."""
        if self._child is not None:
            end(self._child, grace=0.0)
            self._child = None

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Let it answer nothing; connections stay."""
        assert self._child is not None
        self._child.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._child.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """End it as `kill -9` does, and start it anew."""
        self.stop()
        self.start()

    def _listens(self) -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
