"""Runs `cerebro tunnel` in a node, and calls the backend that talks to it from inside."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cerebro.runtime.clock import boottime
from cerebro.wireguard import keys
from cerebro.wireguard.model import Interface, LinkChange, PeerChange
from cerebro.wireguard.userspace import Userspace
from integration.wireguard.inside import Inside
from network.node import Node

RUN, SOCKETS = Path("/run/cerebro"), Path("/var/run/wireguard")
USERSPACE = Userspace(RUN, SOCKETS)
TUNNEL = [
    sys.executable,
    "-c",
    "from cerebro.cli.main import app; app()",
    "tunnel",
]


def wait_for(condition: Callable[[], object]) -> None:
    """Look again and again for at most two minutes."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("did not come about")


def ask(line: bytes) -> dict[str, Any]:
    """Send the keeper a line and return its answer; runs inside of a node."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(RUN / "tunnel.sock"))
        connection.sendall(line + b"\n")
        answer: dict[str, Any] = json.loads(connection.makefile().readline())
        return answer


def leave_stale_sockets(name: str) -> None:
    """Leave what a machine that lost power might; runs inside of a node."""
    RUN.mkdir()
    SOCKETS.mkdir()
    for path in (RUN / "tunnel.sock", SOCKETS / f"{name}.sock"):
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(path))


class Host:
    """A node with a keeper in it."""

    def __init__(self, node: Node, inside: Inside) -> None:
        self.node, self.inside = node, inside
        self.keeper: subprocess.Popen[bytes] | None = None
        self.log = node.folder / "keeper.log"

    def start(self) -> None:
        """Start the keeper, and wait until it answers."""
        self.keeper = self.node.popen(TUNNEL, log=self.log)
        wait_for(self.answers)

    def answers(self) -> bool:
        """Tell whether the keeper does."""
        try:
            return bool(self.inside(ask, b'{"list": true}')["ok"])
        except OSError:
            return False

    def drop_all(self) -> None:
        """Have no interface any more."""
        for name in self.inside(ask, b'{"list": true}')["interfaces"]:
            self.inside(USERSPACE.drop, name)
        assert not self.links()

    def check(self) -> int:
        """Return the exit code of `cerebro tunnel --check`."""
        return self.node.run([*TUNNEL, "--check"], check=False).returncode

    def signal(self, number: int) -> None:
        """Send the keeper a signal."""
        assert self.keeper is not None
        self.keeper.send_signal(number)

    def ensure(
        self, name: str = "wg0", mtu: int = 1420, within: float | None = None
    ) -> None:
        """As the backend's, with a deadline so many seconds from now."""
        self.inside(
            USERSPACE.ensure, name, mtu, within and boottime() + within
        )

    def refresh(self, name: str = "wg0", within: float | None = None) -> None:
        """As the backend's, in the same way."""
        self.inside(USERSPACE.refresh, name, within and boottime() + within)

    def deadline_in(self, name: str = "wg0") -> float | None:
        """Return for how long the keeper keeps it."""
        left: float | None = self.inside(ask, b'{"list": true}')["interfaces"][
            name
        ]["deadline_in"]
        return left

    def read(self, name: str = "wg0") -> Interface | None:
        """As the backend's."""
        return self.inside(USERSPACE.read, name)

    def found(self, name: str = "wg0") -> Interface:
        """Return the interface, which is there."""
        found = self.read(name)
        assert found is not None
        return found

    def set_peers(self, *changes: PeerChange) -> dict[str, str]:
        """As the backend's, on wg0."""
        return self.inside(USERSPACE.set_peers, "wg0", changes)

    def carry(self, address: str, mtu: int = 1420) -> str:
        """Have wg0 with a new key, up, on port 51820; return its public key."""
        private = keys.generate_private_key()
        self.ensure(mtu=mtu)
        self.inside(
            USERSPACE.set_device, "wg0", private_key=private, listen_port=51820
        )
        self.inside(
            USERSPACE.set_link,
            "wg0",
            LinkChange(up=True, add_addresses=(address,)),
        )
        return keys.derive_public_key(private)

    def links(self) -> set[str]:
        """Return the names of all links but loopback and cables, as `ip` sees them."""
        found = json.loads(
            self.node.run(["ip", "-json", "link", "show"]).stdout
        )
        return {each["ifname"] for each in found} - {"lo", "eth0"}

    def wireguard_go(self, name: str = "wg0") -> int | None:
        """Return the process id of the interface's wireguard-go."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = process.joinpath("cmdline").read_bytes().split(b"\0")
                here = (
                    process.joinpath("ns/net").readlink()
                    == Path(f"/proc/{self.node.pid}/ns/net").readlink()
                )
            except OSError:
                continue
            if (
                here
                and words[0].endswith(b"wireguard-go")
                and name.encode() in words
            ):
                return int(process.name)
        return None

    def kill_wireguard_go(self, name: str = "wg0") -> int:
        """Kill it and return the process id that it had."""
        process = self.wireguard_go(name)
        assert process is not None
        os.kill(process, signal.SIGKILL)
        return process

    def await_another(self, killed: int, name: str = "wg0") -> None:
        """Wait for a wireguard-go that is not that one."""
        wait_for(lambda: self.wireguard_go(name) not in {None, killed})
