"""Nodes, cables and the ways in and out of a node, as root or inside a user namespace."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from network.forward import RuleError, parse_rule
from network.node import Node, NodeError, link

_ECHO = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = server.accept()
    while data := connection.recv(65536):
        connection.sendall(data)
    connection.close()
"""


def wait_for(condition: Callable[[], object]) -> None:
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("did not come about")


@contextmanager
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        yield server


def test_nodes_reach_each_other_over_a_cable_and_only_over_it() -> None:
    with Node("a") as a, Node("b") as b, Node("c") as c:
        link(
            a,
            "eth0",
            ["10.0.0.1/24", "fd00::1/64"],
            b,
            "eth0",
            ["10.0.0.2/24", "fd00::2/64"],
        )
        link(a, "eth1", "10.0.1.1/24", c, "eth0", "10.0.1.2/24")
        a.run(["ping", "-c1", "-W5", "10.0.0.2"])
        a.run(["ping", "-c1", "-W5", "fd00::2"])
        c.run(["ping", "-c1", "-W5", "10.0.1.1"])
        with pytest.raises(NodeError):
            c.run(["ping", "-c1", "-W1", "10.0.0.2"])


def test_run_is_private_and_the_working_folder_stays(tmp_path: Path) -> None:
    with Node("a") as a, Node("b") as b:
        a.run(["mkdir", "/run/wireguard"])
        assert a.run(["ls", "/var/run"]).stdout.split() == ["wireguard"]
        assert b.run(["ls", "/run"]).stdout == ""
        assert a.run(["pwd"]).stdout.strip() == str(Path.cwd())
        assert b.run(["cat"], stdin="text").stdout == "text"
        child = a.popen(["pwd"], cwd=tmp_path, log=tmp_path / "log")
        child.wait(60)
        assert (tmp_path / "log").read_text().strip() == str(tmp_path)


def test_the_pid_is_the_programs_own_and_all_of_a_node_ends_with_it() -> None:
    with Node("a") as a:
        child = a.popen(["sleep", "1000"])
        wait_for(
            lambda: Path(f"/proc/{child.pid}/comm").read_text() == "sleep\n"
        )
        left = int(
            a.run(["sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!"]).stdout
        )
        assert Path(f"/proc/{left}").exists()
    assert child.poll() is not None
    wait_for(
        lambda: (
            not Path(f"/proc/{left}").exists()
            or "Z (" in Path(f"/proc/{left}/status").read_text()
        )
    )
    assert not a.folder.exists()


def test_a_node_ends_with_the_process_that_made_it(tmp_path: Path) -> None:
    script = (
        "import sys, time; from network.node import Node\n"
        "with Node('a') as a:\n print(a.pid, a.popen(['sleep', '1000']).pid, flush=True); time.sleep(1000)"
    )
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "TMPDIR": str(tmp_path),
    }
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env=env
    ) as process:
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        process.send_signal(signal.SIGKILL)
    assert len(pids) == 2
    wait_for(lambda: all(not Path(f"/proc/{pid}").exists() for pid in pids))


def test_inside_reaches_a_port_outside_and_ends_are_passed_on() -> None:
    with Node("a") as a, listener() as server:
        port = server.getsockname()[1]
        a.reach(port)
        script = (
            f"import socket; c = socket.create_connection(('127.0.0.1', {port})); c.sendall(b'ping');"
            "assert c.recv(10) == b'pong'; assert c.recv(10) == b''; print('ended')"
        )
        child = a.popen(
            [sys.executable, "-c", script], log=a.folder / "client.log"
        )
        connection, _ = server.accept()
        with connection:
            assert connection.recv(10) == b"ping"
            connection.sendall(b"pong")
        assert child.wait(60) == 0
        assert (a.folder / "client.log").read_text() == "ended\n"


def test_an_end_outside_arrives_inside_also_as_a_reset() -> None:
    with Node("a") as a, listener() as server:
        port = server.getsockname()[1]
        a.reach(port)
        script = f"import socket; c = socket.create_connection(('127.0.0.1', {port})); c.sendall(b'x'); "
        for end_of_client in (
            "c.close()",
            "import os; os.kill(os.getpid(), 9)",
            "import struct; c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)); c.close()",
        ):
            child = a.popen([sys.executable, "-c", script + end_of_client])
            connection, _ = server.accept()
            with connection:
                connection.settimeout(60)
                assert connection.recv(10) == b"x"
                assert connection.recv(10) == b""
            child.wait(60)


def test_outside_reaches_a_listener_inside_thousands_of_times_and_nothing_leaks() -> (
    None
):
    with Node("a") as a:
        a.popen([sys.executable, "-c", _ECHO, "7000"])
        wait_for(lambda: ":7000" in a.run(["ss", "-ltnH"]).stdout)
        port = a.publish("127.0.0.1:7000")
        forwarders = [child.pid for child in a._children[1:]]
        assert len(forwarders) == 2

        def exchange(data: bytes) -> None:
            with socket.create_connection(
                ("127.0.0.1", port), timeout=60
            ) as connection:
                sender = threading.Thread(
                    target=connection.sendall, args=(data,)
                )
                sender.start()
                got = 0
                while got < len(data):
                    got += len(connection.recv(1 << 20))
                sender.join()

        def open_files() -> list[int]:
            return [
                len(list(Path(f"/proc/{pid}/fd").iterdir()))
                for pid in forwarders
            ]

        exchange(b"x" * (1 << 22))
        exchange(b"ping")
        before = open_files()
        for _ in range(2000):
            exchange(b"ping")
        wait_for(
            lambda: all(
                now <= then
                for now, then in zip(open_files(), before, strict=True)
            )
        )


def test_a_port_that_nobody_listens_on_inside_is_told_at_once() -> None:
    with Node("a") as a:
        port = a.publish("127.0.0.1:7000")
        with (
            socket.create_connection(
                ("127.0.0.1", port), timeout=60
            ) as client,
            suppress(ConnectionResetError),
        ):
            assert client.recv(10) == b""


@pytest.mark.parametrize(
    "rule",
    [
        "tcp:127.0.0.1:80",
        "udp:1.2.3.4:1=unix:/x",
        "tcp:[::1]:0=unix:/x",
        "unix:x=unix:/y",
    ],
)
def test_a_rule_that_cannot_be_read_is_named(rule: str) -> None:
    with pytest.raises(RuleError):
        parse_rule(rule)


def test_rules_have_ports_and_paths() -> None:
    assert parse_rule("tcp:[::1]:80=unix:/tmp/x") == (
        ("::1", 80),
        Path("/tmp/x"),
    )
