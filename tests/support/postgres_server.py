"""A real PostgreSQL on a free loopback port, which tests start and stop."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from controlplane.processes import Process, end, free_port, launch

USER = "cerebro"
PASSWORD = "postgres-password-0123456789"
CERTAIN = 60.0
"""Seconds that anything may take on a busy machine; no test asserts on time."""

_OWNER = "nobody"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",  # it outlives `stop`, not a crash of the machine
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "50",
}


class PostgresServer:
    """A database `postgres` whose owner is `USER`, with a password. Started at
    once; `stop` and `start` may be called again and again, and the data stay.

    Use it as a context manager: at its end server and data are gone. The log
    and the certificate `server.crt` of a server with TLS are in `folder`; who
    trusts that certificate knows it as 127.0.0.1.
    """

    def __init__(self, folder: Path, *, tls: bool = False) -> None:
        self.port = free_port()
        self.certificate = folder / "server.crt"
        self._tls = tls
        self._log = folder / f"postgres-{self.port}.log"
        self._child: subprocess.Popen[bytes] | None = None

        # Of a folder that only root may enter, such as pytest's, its user
        # would see nothing.
        self._home = Path(tempfile.mkdtemp(prefix="cerebro-postgres-"))
        try:
            self._prepare(folder)
            self.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> PostgresServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def run(
        self, statement: str, values: Sequence[Any] = ()
    ) -> list[tuple[Any, ...]]:
        """Run a statement in a transaction of its own, and return its rows."""
        with psycopg.connect(
            self.url, sslmode="require" if self._tls else "disable"
        ) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start it unless it runs, and wait until it answers."""
        if self._child is not None:
            return

        options = [
            word
            for name, value in _SETTINGS.items()
            for word in ("-c", f"{name}={value}")
        ]
        if self._tls:
            options += ["-c", "ssl=on"]

        program = _program("postgres")
        data = str(self._home / "data")
        self._child = launch(
            Process(
                "postgres",
                (
                    *_as_owner(),
                    *(program, "-D", data, "-p", str(self.port), *options),
                ),
                cwd=self._home,
            ),
            self._log,
        )
        deadline = time.monotonic() + CERTAIN
        while not self._answers():
            output = self._log.read_text("utf-8", "replace")
            assert self._child.poll() is None, output
            assert time.monotonic() < deadline, output
            time.sleep(0.02)

    def stop(self) -> None:
        """End it at once, as after a crash: each connection breaks."""
        if self._child is None:
            return

        self._child.send_signal(signal.SIGQUIT)
        try:
            self._child.wait(CERTAIN)
        finally:
            end(self._child, grace=0.0)
            self._child = None

    def restart(self) -> None:
        self.stop()
        self.start()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Let it answer nothing; connections stay."""
        assert self._child is not None
        stopped: list[int] = []
        try:
            # First the one that would start more.
            stopped.append(self._child.pid)
            os.kill(self._child.pid, signal.SIGSTOP)
            for child in _children(self._child.pid):
                stopped.append(child)
                os.kill(child, signal.SIGSTOP)
            yield
        finally:
            for process in reversed(stopped):
                os.kill(process, signal.SIGCONT)

    def close(self) -> None:
        """End it, and remove its data."""
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    def _prepare(self, folder: Path) -> None:
        """Make the data folder, with the certificate."""
        password = self._home / "password"
        password.write_text(PASSWORD)
        _give_to_owner(self._home, password)

        data = self._home / "data"
        _run_as_owner(
            self._home,
            *(_program("initdb"), "-D", str(data), "-U", USER, "--no-sync"),
            *("--auth=scram-sha-256", f"--pwfile={password}"),
            *("--encoding=UTF8", "--no-locale"),
        )
        if self._tls:
            make_certificate(folder)
            for name in ("server.crt", "server.key"):
                shutil.copy(folder / name, data / name)
                (data / name).chmod(0o600)
                _give_to_owner(data / name)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            if probe.connect_ex(("127.0.0.1", self.port)) != 0:
                return False
        try:
            self.run("select 1")
        except psycopg.OperationalError:  # it is starting up
            return False
        return True


def make_certificate(folder: Path) -> None:
    """Make `server.crt`, which is its own authority, and `server.key`."""
    folder.mkdir(parents=True, exist_ok=True)
    _run(
        *("openssl", "req", "-x509", "-newkey", "ec", "-nodes"),
        *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2"),
        *("-subj", "/CN=postgres", "-addext", "subjectAltName=IP:127.0.0.1"),
        *("-keyout", str(folder / "server.key")),
        *("-out", str(folder / "server.crt")),
    )


def _program(name: str) -> str:
    """Return the path of a program of the newest PostgreSQL."""
    versions = sorted(
        Path("/usr/lib/postgresql").glob("*"), key=lambda path: int(path.name)
    )
    assert versions, "PostgreSQL is there: see hack/install-packages"
    return str(versions[-1] / "bin" / name)


def _as_owner() -> tuple[str, ...]:
    """Return the words that start a program as somebody else than root, which
    PostgreSQL refuses. A change of user drops the signal at the parent's
    death, so it is given anew.
    """
    if os.geteuid() != 0:
        return ()

    return (
        *("setpriv", f"--reuid={_OWNER}", "--regid=nogroup"),
        *("--clear-groups", "--pdeathsig", "KILL", "--"),
    )


def _give_to_owner(*paths: Path) -> None:
    if os.geteuid() != 0:
        return

    owner = pwd.getpwnam(_OWNER)
    for path in paths:
        os.chown(path, owner.pw_uid, owner.pw_gid)


def _run_as_owner(folder: Path, *words: str) -> None:
    _run(*_as_owner(), *words, folder=folder)


def _run(*words: str, folder: Path | None = None) -> None:
    ended = subprocess.run(
        words,
        check=False,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def _children(process: int) -> list[int]:
    listed = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(word) for word in listed.split()]
