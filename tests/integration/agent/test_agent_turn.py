"""Rule E18: of two agents of a node one acts, and the next is ready to take its turn."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from integration.agent.process import AgentProcess
from integration.agent.relay import Relay, a_session
from integration.agent.router import CERTAIN, Router


class Pod:
    """An agent as its DaemonSet runs it: probed by a command, at an address that is the node's."""

    def __init__(self, relay: Relay, folder: Path, address: str) -> None:
        self._socket = folder / f"agent-{len(relay.agents)}.sock"
        self.agent: AgentProcess = relay.agent(
            CEREBRO_PROBE_SOCKET=str(self._socket),
            CEREBRO_HEALTH_ADDRESS=address,
        ).start()
        relay.until(
            lambda: self.probe("readyz") == (0, "ok"),
            "the agent is ready",
            self.agent.output,
        )

    def probe(self, page: str) -> tuple[int, str]:
        """Do what the kubelet does; gives exit code and output."""
        done = subprocess.run(
            [sys.executable, "-m", "cerebro.runtime.probe", page],
            env={"CEREBRO_PROBE_SOCKET": str(self._socket)},
            capture_output=True,
            text=True,
            timeout=CERTAIN,
            check=False,
        )
        return done.returncode, done.stdout.strip()

    def stands_by(self) -> bool:
        return "standing by" in self.agent.output()


def order(relay: Relay, router: Router, *numbers: int) -> list[str]:
    """Make Sessions; gives their names."""
    names = [f"{router.name}-{number}" for number in numbers]
    relay.create(
        *(
            a_session(name, router.name, f"AA:BB:CC:00:18:{number:02X}")
            for name, number in zip(names, numbers, strict=True)
        )
    )
    return names


def writers(router: Router) -> list[int]:
    """The connections that commands came by, in the order in which they began to be used; none came back to."""
    used = [entry["session"] for entry in router.log()]
    changes = [
        number
        for number, before in zip(used, [None, *used[:-1]], strict=True)
        if number != before
    ]
    assert len(set(changes)) == len(changes), used
    return changes


def test_e18_an_agent_acts_only_when_the_one_before_it_has_ended(
    relay: Relay, tmp_path: Path
) -> None:
    """After SIGTERM, and after a crash; orders come all the time."""
    router = relay.router()
    first = Pod(relay, tmp_path, "127.0.0.1:0")
    relay.until_condition("Device", router.name, "Ready", "True")

    second = Pod(relay, tmp_path, "127.0.0.1:0")
    assert second.stands_by()
    relay.until_active(*order(relay, router, *range(10)))
    assert router.sessions() == 1

    before = order(relay, router, *range(10, 20))
    assert first.agent.end(signal.SIGTERM) == 0
    relay.until_active(*before, *order(relay, router, *range(20, 30)))

    third = Pod(relay, tmp_path, "127.0.0.1:0")
    assert third.stands_by()
    before = order(relay, router, *range(30, 40))
    second.agent.end(signal.SIGKILL)
    relay.until_active(*before, *order(relay, router, *range(40, 50)))
    assert len(writers(router)) == 3
    assert third.agent.end(signal.SIGTERM) == 0


def test_e18_an_agent_waits_for_the_address_of_one_that_knows_no_turns(
    relay: Relay, tmp_path: Path
) -> None:
    router = relay.router()
    (name,) = order(relay, router, 60)

    with closing(socket.create_server(("127.0.0.1", 0))) as older:
        port = older.getsockname()[1]
        pod = Pod(relay, tmp_path, f"127.0.0.1:{port}")
        assert pod.probe("healthz") == (0, "ok")
        assert router.sessions() == 0

    relay.until_active(name)
    assert pod.agent.end(signal.SIGTERM) == 0
    assert pod.probe("healthz")[0] == 1
