"""What lies between routers and hubs: one node that routes between all others, and sees their handshakes."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from integration.hub import watch_packets
from network.node import Node, link

TESTS = Path(__file__).parents[2]
FLOATING = "203.0.113.1"
"""An address that whoever carries the Hub has."""
REKEY_AFTER_TIME = 120
"""Seconds that a session is used before WireGuard itself makes a new one (its protocol, 6.1)."""
REPEATED = (4.5, 6.5)
"""Seconds after which an initiation is the one before once more, with what its noting may come late.

REKEY_TIMEOUT of 5 s and up to a third of one (6.1). Linux sets the clock for it after the initiation is sent
(`wg_packet_send_handshake_initiation`): where one processor has done all of the handshake before that line, the
clock is never stopped and the working session is made anew. Seen in a virtual machine beside other load.
"""
LATE = 2.0
"""Seconds that an initiation may be noted after it was sent."""


class Internet(Node):
    """Each node that is plugged in has a cable of its own to here, and its default route."""

    def __init__(self, logs: Path) -> None:
        super().__init__("internet", logs)
        self._watched = logs / "handshakes.log"
        self._cables = 0

    def __enter__(self) -> Self:
        super().__enter__()
        self.run(["sysctl", "-q", "-w", "net.ipv4.ip_forward=1"])
        path = os.pathsep.join((str(TESTS), str(TESTS.parent / "hack")))
        words = [sys.executable, "-m", watch_packets.__name__]
        self.popen(words, env={"PYTHONPATH": path}, log=self._watched)
        deadline = time.monotonic() + 20
        while watch_packets.WATCHING not in self._read():
            assert time.monotonic() < deadline, self._read()
            time.sleep(0.02)
        return self

    def _read(self) -> str:
        return self._watched.read_text() if self._watched.exists() else ""

    def now(self) -> float:
        """The time that handshakes are noted with: seconds since the boot of the machine that the nodes lie on."""
        # It is cut off there after hundredths, and what was before must not seem to be after.
        return (
            float(self.run(["cat", "/proc/uptime"]).stdout.split()[0]) + 0.01
        )

    def handshakes(
        self, *addresses: str, kind: int = 1, since: float = 0.0
    ) -> list[Mapping[str, Any]]:
        """Handshake packets from or to one of the addresses, since a `now()`; initiations at that."""
        lines = [
            json.loads(line)
            for line in self._read().splitlines()
            if line.endswith("}")
        ]
        return [
            seen
            for seen in lines
            if seen["type"] == kind
            and seen["at"] >= since
            and {seen["source"], seen["target"]} & {*addresses}
        ]

    def attempts(
        self, *addresses: str, since: float = 0.0
    ) -> list[Mapping[str, Any]]:
        """Initiations from or to one of the addresses, since a `now()`, that are not one before once more."""
        found, last = [], dict[str, float]()
        for one in self.handshakes(*addresses):
            source, at = one["source"], one["at"]
            repeated = (
                REPEATED[0] <= at - last.get(source, -math.inf) <= REPEATED[1]
            )
            last[source] = at
            if at >= since and not repeated:
                found.append(one)
        return found

    def early_handshakes(
        self, address: str, since: float
    ) -> list[Mapping[str, Any]]:
        """Attempts since a `now()` that WireGuard itself had no reason for: the one before was too fresh."""
        return [
            one
            for before, one in pairwise(self.attempts(address))
            if one["at"] >= since
            and one["at"] - before["at"] < REKEY_AFTER_TIME - LATE
        ]

    def plug(self, node: Node) -> str:
        """Lay a cable to a node; return the node's address."""
        self._cables += 1
        return lay_cable(self, f"10.99.{self._cables}", node)

    def send_floating_to(self, address: str) -> None:
        """Let the floating address lead to the node that has this address."""
        self.run(["ip", "route", "replace", f"{FLOATING}/32", "via", address])

    def translate(
        self, address: str, public: tuple[str, int], port: int
    ) -> None:
        """From now on packets from `address` seem to come from another address and port, as behind a NAT that
        forgot it. What is still on its way to the old ones arrives.

        `port`: the one that the node's WireGuard sends from. Without connection tracking, so that it happens
        between two packets and costs none.
        """
        host, seen = public
        rules = f"""
            table ip roaming {{
                chain out {{
                    type filter hook postrouting priority 0;
                    ip saddr {address} udp sport {port} udp sport set {seen} ip saddr set {host}
                }}
                chain back {{
                    type filter hook prerouting priority -300;
                    ip daddr {host} udp dport {seen} udp dport set {port} ip daddr set {address}
                }}
            }}
        """
        self.run(["nft", "-f", "-"], stdin=rules)


class Nat(Node):
    """A router of others between the internet and who is plugged in here: it masquerades, and lets in what
    belongs to a connection from inside alone.
    """

    def __init__(self, name: str, internet: Internet, logs: Path) -> None:
        super().__init__(name, logs)
        self._internet = internet
        self._cables = 0
        self.address = ""
        """On the internet."""

    def __enter__(self) -> Self:
        super().__enter__()
        self.address = self._internet.plug(self)
        self.run(["sysctl", "-q", "-w", "net.ipv4.ip_forward=1"])
        rules = """
            table ip nat {
                chain out {
                    type nat hook postrouting priority 100;
                    oifname "eth0" masquerade random
                }
                chain pass {
                    type filter hook forward priority 0;
                    iifname "eth0" ct state != { established, related } drop
                }
            }
        """
        self.run(["nft", "-f", "-"], stdin=rules)
        return self

    def plug(self, node: Node) -> str:
        """Lay a cable to a node behind it; return the node's address there."""
        self._cables += 1
        return lay_cable(self, f"192.168.{self._cables}", node)


def lay_cable(hub: Node, network: str, node: Node) -> str:
    """Lay a cable with a network such as `10.99.1`, and the node's default route; return the node's address."""
    name = f"to-{network.rpartition('.')[2]}"
    link(hub, name, f"{network}.1/24", node, "eth0", f"{network}.2/24")
    node.run(["ip", "route", "add", "default", "via", f"{network}.1"])
    return f"{network}.2"
