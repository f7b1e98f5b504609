"""WireGuard by foreign tools alone: routers that dial, and what `wg` says of an interface. None of our code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from controlplane.processes import end
from integration.agent.router import CERTAIN
from integration.hub.internet import Internet, Nat
from network.forward import READY
from network.node import Node

Implementation = Literal["Kernel", "Userspace"]
HACK = Path(__file__).parents[3] / "hack"
INTERVAL = (
    0.2 if os.environ.get("CEREBRO_TEST_WIREGUARD") == "Kernel" else 0.02
)
"""Seconds between two pings of a train; a virtual machine has other things to do too."""


@dataclass(frozen=True)
class Keys:
    """A key pair as `wg` makes it."""

    private: str
    public: str


def make_keys() -> Keys:
    private = subprocess.run(
        ["wg", "genkey"], capture_output=True, text=True, check=True
    ).stdout.strip()
    public = subprocess.run(
        ["wg", "pubkey"],
        input=private,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return Keys(private, public.strip())


def make_preshared_key() -> str:
    return subprocess.run(
        ["wg", "genpsk"], capture_output=True, text=True, check=True
    ).stdout.strip()


@dataclass(frozen=True)
class Seen:
    """A peer as `wg show dump` has it."""

    public_key: str
    preshared_key: str
    endpoint: str
    allowed_ips: frozenset[str]
    latest_handshake: int
    """Unix seconds; 0 means never."""
    received: int
    sent: int
    keepalive: str


@dataclass(frozen=True)
class Shown:
    """An interface as `wg show dump` and `ip` have it."""

    private_key: str
    public_key: str
    listen_port: int
    index: int
    """Another one after the interface was made anew."""
    peers: dict[str, Seen]


def show(node: Node, interface: str = "wg0") -> Shown | None:
    """Look at an interface; None when there is none, or none that has answered."""
    dump = node.run(["wg", "show", interface, "dump"], check=False)
    link = node.run(["ip", "-o", "link", "show", interface], check=False)
    if dump.returncode or link.returncode:
        return None
    first, *rest = [line.split("\t") for line in dump.stdout.splitlines()]
    peers = {
        key: Seen(
            key,
            psk,
            endpoint,
            _networks(allowed),
            int(at),
            int(rx),
            int(tx),
            keepalive,
        )
        for key, psk, endpoint, allowed, at, rx, tx, keepalive in rest
    }
    return Shown(
        first[0],
        first[1],
        int(first[2]),
        int(link.stdout.split(":")[0]),
        peers,
    )


def _networks(text: str) -> frozenset[str]:
    return frozenset() if text == "(none)" else frozenset(text.split(","))


def make_interface(
    node: Node, name: str, implementation: Implementation
) -> None:
    """Make an interface without key and peers, down."""
    if implementation == "Kernel":
        node.run(["ip", "link", "add", name, "type", "wireguard"])
        return
    node.popen(["wireguard-go", "--foreground", name])
    _until(
        lambda: node.run(["wg", "show", name], check=False).returncode == 0,
        f"{name} is there",
    )


def configure(
    node: Node, name: str, *words: str, private_key: str | None = None
) -> None:
    """Run `wg set NAME WORDS`; the key goes through a file, as `wg` wants it."""
    key: tuple[str, ...] = ()
    if private_key is not None:
        file = node.folder / f"{name}.key"
        file.write_text(private_key)
        key = ("private-key", str(file))
    node.run(["wg", "set", name, *key, *words])


class Train:
    """Pings of one node to an address, one after each INTERVAL, until stopped; the losses are counted."""

    def __init__(self, node: Node, target: str, log: Path) -> None:
        self._log = log
        self._child = node.popen(
            ["ping", "-n", "-i", str(INTERVAL), target], log=log
        )

    def answers(self) -> set[int]:
        """The numbers of the pings that were answered."""
        text = self._log.read_text() if self._log.exists() else ""
        return {
            int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", text)
        }

    def goes_on(self, answers: int = 5) -> None:
        """Wait until so many more pings were answered."""
        start = len(self.answers())
        _until(
            lambda: len(self.answers()) >= start + answers,
            "pings are answered",
            self._tail,
        )

    def lost(self) -> list[int]:
        """The numbers of pings that were not answered though later ones were."""
        answers = self.answers()
        return sorted(set(range(1, max(answers, default=0) + 1)) - answers)

    def stop(self) -> list[int]:
        """See that it still goes on, stop it and return what was lost."""
        self.goes_on()
        end(self._child, grace=0)
        return self.lost()

    def _tail(self) -> str:
        return self._log.read_text()[-500:]


class PlainRouter(Node):
    """A router on the far side: it dials a hub and answers pings at its tunnel address."""

    def __init__(
        self,
        name: str,
        internet: Internet | Nat,
        implementation: Implementation,
        logs: Path,
        keys: Keys | None = None,
    ) -> None:
        super().__init__(name, logs)
        self._internet, self._implementation = internet, implementation
        self.keys = keys or make_keys()
        self.tunnel_address = ""
        self.address = ""
        """On the internet, or behind a NAT."""
        self.hub_key = ""
        self._dialled: tuple[str, str, str, int, str | None] = (
            "",
            "",
            "",
            0,
            None,
        )

    def __enter__(self) -> Self:
        super().__enter__()
        self.address = self._internet.plug(self)
        make_interface(self, "wg0", self._implementation)
        configure(self, "wg0", private_key=self.keys.private)
        return self

    def live_at(
        self, tunnel_address: str, network: str = "10.64.0.0/16"
    ) -> None:
        """Take a tunnel address, with a route into the tunnel."""
        self.tunnel_address = tunnel_address
        self.run(
            ["ip", "address", "add", f"{tunnel_address}/32", "dev", "wg0"]
        )
        self.run(["ip", "link", "set", "wg0", "mtu", "1420", "up"])
        self.run(["ip", "route", "add", network, "dev", "wg0"])

    def dial(
        self,
        hub_key: str,
        endpoint: str,
        *,
        allowed: str = "10.64.0.0/16",
        keepalive: int = 0,
        preshared_key: str | None = None,
    ) -> None:
        """Point the tunnel to a hub; nothing is sent before there is something to send."""
        if self.hub_key and self.hub_key != hub_key:
            configure(self, "wg0", "peer", self.hub_key, "remove")
        self.hub_key = hub_key
        self._dialled = (hub_key, endpoint, allowed, keepalive, preshared_key)
        words = ["peer", hub_key, "endpoint", endpoint, "allowed-ips", allowed]
        words += ["persistent-keepalive", str(keepalive)]
        if preshared_key is not None:
            file = self.folder / "preshared.key"
            file.write_text(preshared_key)
            words += ["preshared-key", str(file)]
        configure(self, "wg0", *words)

    def forget_session(self) -> None:
        """Dial anew, with a new handshake."""
        hub_key, endpoint, allowed, keepalive, preshared_key = self._dialled
        configure(self, "wg0", "peer", hub_key, "remove")
        self.dial(
            hub_key,
            endpoint,
            allowed=allowed,
            keepalive=keepalive,
            preshared_key=preshared_key,
        )

    def change_keys(self, keys: Keys) -> None:
        """Have another key pair, as after a reset."""
        self.keys = keys
        configure(self, "wg0", private_key=keys.private)

    def pings(self, target: str) -> bool:
        """Whether one ping of a few is answered."""
        return (
            self.run(
                ["ping", "-n", "-c", "1", "-W", "1", target], check=False
            ).returncode
            == 0
        )

    def reaches(self, target: str) -> None:
        """Wait until a ping is answered."""
        _until(
            lambda: self.pings(target),
            f"{self.name} reaches {target}",
            lambda: self.run(["wg"]).stdout,
        )

    def train(self, target: str) -> Train:
        """Start a train; at least one ping was answered when it is given back."""
        train = Train(
            self,
            target,
            self._logs / f"{self.name}-train-{next(self._numbers)}.log",
        )
        train.goes_on()
        return train

    def handshake(self) -> int:
        """When the last handshake with the hub was, in unix seconds; 0: never."""
        shown = show(self)
        assert shown is not None
        return (
            shown.peers[self.hub_key].latest_handshake
            if self.hub_key in shown.peers
            else 0
        )

    def forward_api(self, port: int) -> None:
        """Answer at 8728 of the tunnel address with what 127.0.0.1:PORT of this node answers."""
        rule = f"tcp:{self.tunnel_address}:8728=tcp:127.0.0.1:{port}"
        words = [sys.executable, "-m", "network.forward", rule]
        log = self._logs / f"{self.name}-api.log"
        self.popen(words, env={"PYTHONPATH": str(HACK)}, log=log)
        _until(
            lambda: log.exists() and READY in log.read_text(),
            "the API is forwarded",
        )

    def listen_port(self) -> int:
        shown = show(self)
        assert shown is not None
        return shown.listen_port

    def connects(
        self, host: str, port: int, *, through_tunnel: bool = False
    ) -> bool:
        """Whether a TCP connection can be opened from the tunnel address."""
        if through_tunnel:
            self.run(
                [
                    "ip",
                    "route",
                    "replace",
                    f"{host}/32",
                    "dev",
                    "wg0",
                    "table",
                    "77",
                ]
            )
            self.run(
                [
                    "ip",
                    "rule",
                    "add",
                    "to",
                    host,
                    "ipproto",
                    "tcp",
                    "lookup",
                    "77",
                ],
                check=False,
            )
            configure(
                self,
                "wg0",
                "peer",
                self.hub_key,
                "allowed-ips",
                f"10.64.0.0/16,{host}/32",
            )
        where, source = (host, port), (self.tunnel_address, 0)
        script = f"import socket; socket.create_connection({where!r}, 2, {source!r}).close()"
        return self.run(["python3", "-c", script], check=False).returncode == 0

    def listens(self, port: int) -> subprocess.Popen[bytes]:
        """Start to take connections on all addresses."""
        child = self.popen(
            ["python3", "-m", "http.server", str(port), "--bind", "0.0.0.0"]
        )
        local = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2).close()"
        _until(
            lambda: (
                self.run(["python3", "-c", local], check=False).returncode == 0
            ),
            "it listens",
        )
        return child


def _until(
    check: Callable[[], object], what: str, seen: Callable[[], object] = str
) -> None:
    deadline = time.monotonic() + CERTAIN
    while not check():
        assert time.monotonic() < deadline, (
            f"not within {CERTAIN:g} s: {what}; seen last: {seen()}"
        )
        time.sleep(0.05)
