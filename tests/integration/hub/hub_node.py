"""A node that can carry a Hub: the keeper and the agent run in it as processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from controlplane.processes import end
from integration.agent.process import AgentProcess
from integration.hub.internet import FLOATING, Internet
from integration.hub.plain import Implementation, Shown, make_interface, show
from network.node import Node

PROGRAM = str(Path(sys.executable).with_name("cerebro"))


class HubNode(Node):
    """Its name is the node's name for Kubernetes too."""

    def __init__(
        self,
        name: str,
        internet: Internet,
        implementation: Implementation,
        logs: Path,
    ) -> None:
        super().__init__(name, logs)
        self._internet = internet
        self.implementation = implementation
        self.address = ""
        """On the internet."""
        self.keeper: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        super().__enter__()
        self.address = self._internet.plug(self)
        self.run(["sysctl", "-q", "-w", "net.ipv4.ip_forward=1"])
        if self.implementation == "Userspace":
            self.start_keeper()
        return self

    def start_keeper(self) -> None:
        """Start `cerebro tunnel`."""
        env = {"CEREBRO_NODE_NAME": self.name, "CEREBRO_NAMESPACE": "tunnel"}
        self.keeper = self.popen(
            [PROGRAM, "tunnel"],
            env=env,
            log=self._logs / f"{self.name}-keeper.log",
        )

    def stop_keeper(self) -> None:
        assert self.keeper is not None
        end(self.keeper, grace=10)
        self.keeper = None

    def show(self, interface: str = "wg0") -> Shown | None:
        """What `wg` says of an interface; None when there is none."""
        return show(self, interface)

    def shown(self, interface: str = "wg0") -> Shown:
        """The same of one that must be there."""
        shown = self.show(interface)
        assert shown is not None, f"{self.name} has no {interface}"
        return shown

    def make_interface(self, interface: str) -> None:
        """Make one by foreign hands: in userspace it lives in the keeper's place, not in its care."""
        make_interface(self, interface, self.implementation)

    def lose_interface(self, interface: str = "wg0") -> None:
        """Take it away as a crash does: kill the process that carries it, or have the kernel forget it."""
        if self.implementation == "Kernel":
            self.run(["ip", "link", "delete", interface])
            return
        pid = self._carrier_of(interface)
        assert pid is not None, f"nobody carries {interface} of {self.name}"
        os.kill(pid, signal.SIGKILL)

    def _carrier_of(self, interface: str) -> int | None:
        """The wireguard-go in this node that carries an interface."""
        ours = Path(f"/proc/{self.pid}/ns/net").readlink()
        wanted = ["wireguard-go", "--foreground", interface]
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (process / "cmdline").read_bytes().decode().split("\0")
                if (
                    words[:3] == wanted
                    and (process / "ns/net").readlink() == ours
                ):
                    return int(process.name)
        return None

    def take_floating_address(self) -> None:
        """Have the floating address, and be where it leads to."""
        self.run(["ip", "address", "replace", f"{FLOATING}/32", "dev", "lo"])
        self._internet.send_floating_to(self.address)


class NodeAgent(AgentProcess):
    """`cerebro agent` in a HubNode. `before` are words before the program, such as those that drop rights."""

    def __init__(
        self,
        node: HubNode,
        environment: dict[str, str],
        log: Path,
        before: Sequence[str] = (),
    ) -> None:
        super().__init__({"CEREBRO_NODE_NAME": node.name, **environment}, log)
        self.node = node
        self._before = before
        self.port = node.publish(f"127.0.0.1:{self.port}")

    def start(self) -> Self:
        words = [*self._before, PROGRAM, "agent"]
        self._child = self.node.popen(
            words, env=self._environment, log=self.log
        )
        return self

    def freeze(self) -> None:
        """Stop it where it is, as a machine that hangs does."""
        assert self._child is not None
        self._child.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._child is not None
        self._child.send_signal(signal.SIGCONT)
