"""The bridge as a process of its own."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from controlplane.processes import free_port

TOKEN = "main-token-0123456789"
SECRET = "api-secret-0123456789"
CERTAIN = 180.0
"""Seconds that anything may take on a busy machine; no test asserts on time."""


class BridgeProcess:
    """`cerebro bridge`, with its output in a file. Started at once; `kill` may be called again and again."""

    def __init__(
        self, folder: Path, environment: dict[str, str], namespace: str
    ) -> None:
        self.port = free_port()
        self.store = folder / "relay.db"
        self._log = folder / f"bridge-{self.port}.log"
        self.environment = {
            "PATH": os.environ["PATH"],
            "RELAY_TOKEN": TOKEN,
            "RELAY_API_SECRET": SECRET,
            "CEREBRO_NAMESPACE": namespace,
            "CEREBRO_STORE": str(self.store),
            "CEREBRO_BACKOFF_CEILING": "1",
            "PORT": str(self.port),
            **environment,
        }
        self._child = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [str(Path(sys.executable).with_name("cerebro")), "bridge"],
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._child.kill()
        self._child.wait(CERTAIN)

    def restart(self) -> None:
        """Start it again, with the same file and port."""
        self._child = self._start()

    def terminate(self) -> int:
        """Ask it to end; gives its exit status."""
        self._child.send_signal(signal.SIGTERM)
        return self._child.wait(CERTAIN)

    def wait(self) -> int:
        """Wait until it ends by itself; gives its exit status."""
        return self._child.wait(CERTAIN)

    def runs(self) -> bool:
        return self._child.poll() is None

    def output(self) -> str:
        """All that it has written so far."""
        return self._log.read_text("utf-8", "replace")

    def inbox(self) -> int:
        """How many entries are on disk."""
        return self._count("SELECT count(*) FROM inbox")

    def taken(self) -> int:
        """How many entries were ever put on disk."""
        return self._count(
            "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'inbox'"
        )

    def _count(self, query: str) -> int:
        with closing(sqlite3.connect(self.store)) as db:
            (count,) = db.execute(query).fetchone()
        return int(count)
