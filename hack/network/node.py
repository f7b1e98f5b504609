"""A machine of one's own for a test: network namespace, private /run, and
programs that die with it.

They lie on this machine, or after `lie_in` on a virtual one that shares its
files. As root these are plain namespaces. As an ordinary user all nodes of a
process lie in one user namespace, which owns them, so that cables between them
can be laid all the same. `supported()` says why where neither works.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from controlplane.processes import Process, end, free_port, launch
from network import forward

_START_WITHIN = 60.0
_HACK = Path(__file__).resolve().parent.parent
_PROGRAMS = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "ip": "iproute2",
    "wireguard-go": "wireguard-go",
    "wg": "wireguard-tools",
}
_SETUP = "mount -t tmpfs -o mode=755 tmpfs /run && ip link set lo up && echo ready $$ && exec sleep infinity"


@dataclass(frozen=True)
class Machine:
    """Where nodes lie: words before each program, and ways between its own
    network and this one.
    """

    words: tuple[str, ...] = ()
    listens: str = "127.0.0.1"
    """Address of its own at which it listens for what comes from here."""
    reaches: str = "127.0.0.1"
    """Our 127.0.0.1, seen from there."""
    ports: Iterator[int] = field(default_factory=lambda: iter(free_port, 0))
    """Ports that are the same there and here."""


_HERE = Machine()
_machine = _HERE


def lie_in(machine: Machine = _HERE) -> None:
    """Have all nodes that are made from now on lie there."""
    global _machine  # noqa: PLW0603 - as there is one machine for all nodes of a process
    _machine = machine


class NodeError(Exception):
    """A node, a cable or a way in or out that could not be made; says what the
    program said.
    """


class Node:
    """A context manager: inside it, programs can be run in the node.

    It has its own network with loopback up, and its own empty /run (so also
    /var/run); all other files are those of the machine. With its end all that
    runs in it is killed. `logs`: where the output of its programs goes, to be
    kept; else it goes with the node.
    """

    def __init__(self, name: str, logs: Path | None = None) -> None:
        self.name = name
        self.pid = 0
        """Of the process that holds the namespaces."""
        self._kept_logs = logs
        self._numbers = itertools.count(1)
        self._children: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        # Short, as a Unix socket's path has 108 bytes at most.
        self.folder = Path(tempfile.mkdtemp(prefix="node-"))
        # Files of another machine carry no sockets.
        self._sockets = (
            Path("/dev/shm") / self.folder.name  # noqa: S108 - a folder of the virtual machine
            if _machine.words
            else self.folder / "to"
        )
        self._logs = self._kept_logs or self.folder
        log = self._logs / f"{self.name}.log"
        argv = (
            *_machine.words,
            *_privileged(),
            "unshare",
            "--net",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            _SETUP,
        )
        self._holder = launch(Process(self.name, argv), log)
        try:
            self.pid = int(_await_line(self._holder, log, "ready").split()[1])
        except NodeError:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        end(*self._children, grace=0)
        self._children.clear()
        if self.pid and not _machine.words:
            _kill_all_in(self.pid)
        end(self._holder, grace=0)
        shutil.rmtree(self.folder, ignore_errors=True)

    def argv(
        self, argv: Sequence[str | Path], cwd: Path | None = None
    ) -> list[str]:
        """Return the words that run `argv` inside; all programs before it
        exec, so the pid is its own.
        """
        user = ("--user", "--preserve-credentials") if _privileged() else ()
        enter = ("nsenter", f"--target={self.pid}", *user, "--net", "--mount")
        # A new mount namespace puts one at its root.
        return [
            *_machine.words,
            *enter,
            "env",
            f"--chdir={cwd or Path.cwd()}",
            *map(str, argv),
        ]

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        check: bool = True,
        timeout: float = 30.0,
        stdin: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program inside to its end. Raises NodeError with its output
        when it fails, unless not `check`.
        """
        done = subprocess.run(
            self.argv(argv),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise NodeError(
                f"{self.name}: {' '.join(map(str, argv))}: {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done

    def popen(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        log: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a program inside, with its output in `log`. It dies with the
        node, and with this process.
        """
        number = next(self._numbers)
        log = (
            log
            or self._logs / f"{self.name}-{number}-{Path(argv[0]).name}.log"
        )
        child = launch(
            Process(self.name, tuple(self.argv(argv, cwd)), env or {}), log
        )
        self._children.append(child)
        return child

    def reach(self, *ports: int) -> None:
        """Make 127.0.0.1:PORT inside the 127.0.0.1:PORT outside, for each
        port.
        """
        paths = {port: f"unix:{self._sockets}-out-{port}" for port in ports}
        outside = [
            f"{path}=tcp:{_machine.reaches}:{port}"
            for port, path in paths.items()
        ]
        self._forward(outside, inside=False)
        self._forward(
            [f"tcp:127.0.0.1:{port}={path}" for port, path in paths.items()],
            inside=True,
        )

    def publish(self, inside: str) -> int:
        """Make `HOST:PORT` inside reachable as 127.0.0.1:port outside; return
        that port.
        """
        port = next(_machine.ports)
        path = f"unix:{self._sockets}-in-{port}"
        self._forward([f"{path}=tcp:{inside}"], inside=True)
        self._forward([f"tcp:{_machine.listens}:{port}={path}"], inside=False)
        return port

    def _forward(self, rules: Sequence[str], *, inside: bool) -> None:
        words = (sys.executable, "-m", "network.forward", *rules)
        log = self._logs / f"{self.name}-{next(self._numbers)}-forward.log"
        argv = self.argv(words) if inside else [*_machine.words, *words]
        child = launch(
            Process("forward", tuple(argv), {"PYTHONPATH": str(_HACK)}), log
        )
        self._children.append(child)
        _await_line(child, log, forward.READY)


def link(  # noqa: PLR0917 - two ends, each with its name and addresses
    a: Node,
    a_name: str,
    a_ips: str | Sequence[str],
    b: Node,
    b_name: str,
    b_ips: str | Sequence[str],
) -> None:
    """Lay a cable: `link(a, "eth0", "10.0.0.1/24", b, "eth0", ["10.0.0.2/24",
    "fd00::2/64"])`. Both ends are up.
    """
    a.run(
        [
            "ip",
            "link",
            "add",
            a_name,
            "type",
            "veth",
            "peer",
            "name",
            b_name,
            "netns",
            str(b.pid),
        ]
    )
    for node, name, ips in ((a, a_name, a_ips), (b, b_name, b_ips)):
        for ip in [ips] if isinstance(ips, str) else ips:
            # Without detection of duplicates an IPv6 address can be used at
            # once.
            node.run(
                [
                    "ip",
                    "address",
                    "add",
                    ip,
                    "dev",
                    name,
                    *(["nodad"] if ":" in ip else []),
                ]
            )
        node.run(["ip", "link", "set", name, "up"])


@functools.cache
def supported() -> str | None:
    """Return why WireGuard cannot run in namespaces here; None where it can.
    Tries it once in a process.
    """
    if _machine.words:
        return None
    missing = {
        package
        for program, package in _PROGRAMS.items()
        if shutil.which(program) is None
    }
    if missing:
        return f"install the Debian packages {', '.join(sorted(missing))}"
    try:
        with ExitStack() as stack:
            a, b = (
                stack.enter_context(Node(f"probe-{name}")) for name in "ab"
            )
            link(a, "eth0", "10.0.0.1/30", b, "eth0", "10.0.0.2/30")
            a.run(["ip", "tuntap", "add", "probe", "mode", "tun"])
    except (NodeError, OSError) as error:
        return f"network namespaces with /dev/net/tun cannot be used: {error}"
    return None


def _privileged() -> tuple[str, ...]:
    """Words that run what follows with the right to make namespaces."""
    if _machine.words:
        return ()
    holder = _user_namespace()
    return (
        ("nsenter", f"--target={holder}", "--user", "--preserve-credentials")
        if holder
        else ()
    )


@functools.cache
def _user_namespace() -> int | None:
    """Pid of the process that holds the user namespace of all our nodes; None
    where none is needed.
    """
    if (
        subprocess.run(
            ["unshare", "--net", "--mount", "true"],
            capture_output=True,
            check=False,
        ).returncode
        == 0
    ):
        return None
    log = Path(tempfile.mkdtemp(prefix="node-")) / "user-namespace.log"
    argv = (
        "unshare",
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        "echo ready && exec sleep infinity",
    )
    holder = launch(Process("user-namespace", argv), log)
    atexit.register(end, holder, grace=0)
    try:
        _await_line(holder, log, "ready")
    finally:
        shutil.rmtree(log.parent)
    return holder.pid


def _await_line(child: subprocess.Popen[bytes], log: Path, begin: str) -> str:
    """Return the line of `child` that begins so, once it is there. Raises
    NodeError with what came instead.
    """
    deadline = time.monotonic() + _START_WITHIN
    while time.monotonic() < deadline:
        ended = child.poll() is not None
        output = log.read_text(errors="replace")
        # What is not ended yet is still being written.
        found = [
            one
            for one in output.splitlines(keepends=True)
            if one.startswith(begin) and one[-1] == "\n"
        ]
        if found:
            return found[0]
        if ended:
            raise NodeError(output.strip() or f"ended with {child.returncode}")
        time.sleep(0.01)
    end(child, grace=0)
    raise NodeError(
        f"did not start within {_START_WITHIN:.0f} s: {log.read_text(errors='replace').strip()}"
    )


def _kill_all_in(holder: int) -> None:
    """Kill whatever else runs in the network namespace of `holder`, such as
    what our programs left behind.
    """
    try:
        ours = Path(f"/proc/{holder}/ns/net").readlink()
    except OSError:
        return
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (
                process.joinpath("ns/net").readlink() == ours
                and int(process.name) != holder
            ):
                os.kill(int(process.name), signal.SIGKILL)
