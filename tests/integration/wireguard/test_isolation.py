"""D3 with real packets: a hub, two routers, an administrator and a machine beyond, joined by real WireGuard.

Real: namespaces, tunnels (`CEREBRO_TEST_WIREGUARD` = Userspace or Kernel), nftables, connection tracking. The
tunnels are set up with `wg` and `ip`, so that nothing of ours but the isolation is under test.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cerebro.wireguard.backend import IsolationNotAvailable, NotPermitted
from cerebro.wireguard.isolation import desired_table, plan
from cerebro.wireguard.nft import Nft, NftError
from controlplane.progress import wait_until
from integration.wireguard import reach
from network.node import Node, link, supported

REACH = str(Path(reach.__file__))
IMPLEMENTATION = os.environ.get("CEREBRO_TEST_WIREGUARD", "Userspace")
ADDRESSES = ["10.64.0.1/16", "fd64::1/64"]
ADMINISTRATORS = ["10.64.0.9/32", "fd64::9/128"]
NUMBERS = {"hub": 1, "a": 2, "b": 3, "admin": 9}
BEYOND = "192.168.50.2"


def tcp(name: str, version: int = 4) -> str:
    return f"tcp:{'10.64.0.' if version == 4 else 'fd64::'}{NUMBERS[name]}:{reach.TCP_PORT}"


def udp(name: str, version: int = 4) -> str:
    return f"udp:{'10.64.0.' if version == 4 else 'fd64::'}{NUMBERS[name]}:{reach.UDP_PORT}"


def ping(name: str, version: int = 4) -> str:
    return f"ping:{'10.64.0.' if version == 4 else 'fd64::'}{NUMBERS[name]}"


class Net:
    """The nodes, and our adapter inside the hub's."""

    def __init__(self, nodes: dict[str, Node], nft: Nft) -> None:
        self.nodes, self.nft = nodes, nft

    def reached(self, source: str, *targets: str) -> set[str]:
        done = self.nodes[source].run([sys.executable, REACH, "try", *targets])
        return set(done.stdout.split())

    def reaches(self, source: str, *targets: str) -> None:
        """Wait until all of them answer; what a busy machine did not answer in time is tried again."""
        wanted = set(targets)
        wait_until(
            lambda: self.reached(source, *targets) == wanted,
            f"{source} reaches {wanted}",
            timeout=60,
        )

    def repair(self, *administrators: str) -> int:
        """One look and what follows from it; returns how many commands that were."""
        desired = desired_table(
            "wg0", ADDRESSES, administrators or ADMINISTRATORS
        )
        commands = plan(desired, self.nft.read("wg0"))
        if commands is not None:
            self.nft.apply(commands)
        return len(commands or ())

    def hub(self, *words: str) -> str:
        return self.nodes["hub"].run(words).stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    reason = supported()
    if reason is not None and os.environ.get("CI") != "true":
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("isolation")
    with ExitStack() as stack:
        nodes = {
            name: stack.enter_context(Node(name))
            for name in (*NUMBERS, "beyond")
        }
        hub = nodes["hub"]
        for name, number in NUMBERS.items():
            start_interface(nodes[name], number, folder)
            if name != "hub":
                link(
                    hub,
                    f"to-{name}",
                    f"10.0.{number}.1/30",
                    nodes[name],
                    "eth0",
                    f"10.0.{number}.2/30",
                )
                introduce(hub, nodes[name], number)
        link(
            hub,
            "lan0",
            "192.168.50.1/24",
            nodes["beyond"],
            "eth0",
            f"{BEYOND}/24",
        )
        nodes["beyond"].run(
            ["ip", "route", "add", "default", "via", "192.168.50.1"]
        )
        hub.run(
            [
                "sysctl",
                "-qw",
                "net.ipv4.ip_forward=1",
                "net.ipv6.conf.all.forwarding=1",
            ]
        )
        for name, node in nodes.items():
            log = folder / f"{name}.log"
            node.popen([sys.executable, REACH, "serve"], log=log)
            wait_until(
                lambda log=log: "listening" in log.read_text(),  # type: ignore[misc]
                f"{name} listens",
                timeout=60,
            )
        yield Net(nodes, Nft(program_in(hub, folder)))


def start_interface(node: Node, number: int, folder: Path) -> None:
    """An interface wg0 with a key of its own, which the foreign tools make."""
    if IMPLEMENTATION == "Kernel":
        node.run(["ip", "link", "add", "wg0", "type", "wireguard"])
    else:
        node.run(["wireguard-go", "wg0"])
    key = folder / f"{number}.key"
    key.write_text(node.run(["wg", "genkey"]).stdout)
    node.run(["wg", "set", "wg0", "private-key", key, "listen-port", "51820"])
    node.run(["ip", "address", "add", f"10.64.0.{number}/16", "dev", "wg0"])
    node.run(
        ["ip", "address", "add", f"fd64::{number}/64", "dev", "wg0", "nodad"]
    )
    node.run(["ip", "link", "set", "wg0", "mtu", "1420", "up"])


def introduce(hub: Node, node: Node, number: int) -> None:
    """Make node and hub peers; the node sends all it has through the tunnel, whatever its address is."""
    ours, theirs = (
        one.run(["wg", "show", "wg0", "public-key"]).stdout.strip()
        for one in (hub, node)
    )
    hub.run(
        [
            "wg",
            "set",
            "wg0",
            "peer",
            theirs,
            "allowed-ips",
            f"10.64.0.{number}/32,fd64::{number}/128",
        ]
    )
    through = (
        "allowed-ips",
        "0.0.0.0/0,::/0",
        "endpoint",
        f"10.0.{number}.1:51820",
    )
    node.run(["wg", "set", "wg0", "peer", ours, *through])
    node.run(["ip", "route", "add", "192.168.50.0/24", "dev", "wg0"])
    node.run(["ping", "-c1", "-W10", "10.64.0.1"])


def program_in(node: Node, folder: Path, *before: str) -> str:
    """A program that is nft, run inside the node."""
    path = folder / f"nft-{len(before)}"
    path.write_text(
        f'#!/bin/sh\nexec {" ".join(node.argv([*before, "nft"]))} "$@"\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.fixture
def net(built: Net) -> Iterator[Net]:
    built.repair()
    yield built
    built.nft.drop("wg0")


def test_without_the_table_everybody_reaches_everybody(built: Net) -> None:
    """The control of the tests below: what is not reached there is kept away by the table."""
    assert built.nft.read("wg0") is None
    targets = [
        tcp("b"),
        tcp("b", 6),
        udp("b"),
        ping("b"),
        tcp("hub"),
        udp("hub"),
        tcp("admin"),
    ]
    targets += [
        f"tcp:{BEYOND}:{reach.TCP_PORT}",
        f"tcp:192.168.50.1:{reach.TCP_PORT}",
    ]
    built.reaches("a", *targets)


@pytest.mark.parametrize("version", [4, 6])
def test_d3_a_router_reaches_neither_another_nor_the_administrator_nor_the_node(
    net: Net, version: int
) -> None:
    others = [
        one(name, version)
        for name in ("b", "admin")
        for one in (tcp, udp, ping)
    ]
    assert (
        net.reached("a", *others, tcp("hub", version), udp("hub", version))
        == set()
    )


def test_d3_a_router_pings_the_hub(net: Net) -> None:
    net.reaches("a", ping("hub"), ping("hub", 6))


def test_d3_a_router_reaches_nothing_through_the_node_nor_its_other_addresses(
    net: Net,
) -> None:
    ports = [f"{host}:{reach.TCP_PORT}" for host in (BEYOND, "192.168.50.1")]
    assert (
        net.reached("a", *(f"tcp:{port}" for port in ports), f"ping:{BEYOND}")
        == set()
    )


def test_d3_the_node_reaches_a_router(net: Net) -> None:
    net.reaches(
        "hub", tcp("a"), tcp("a", 6), udp("a"), ping("a"), ping("a", 6)
    )


def test_d3_an_administrator_reaches_routers_the_node_and_beyond(
    net: Net,
) -> None:
    targets = {
        tcp("a"),
        tcp("a", 6),
        udp("b"),
        ping("b"),
        tcp("hub"),
        tcp("hub", 6),
    }
    targets.add(f"tcp:{BEYOND}:{reach.TCP_PORT}")
    net.reaches("admin", *targets)


def test_d3_what_does_not_come_from_the_interface_is_not_touched(
    net: Net,
) -> None:
    net.reaches("beyond", tcp("a"), f"tcp:192.168.50.1:{reach.TCP_PORT}")


def test_d3_a_second_look_changes_nothing(net: Net) -> None:
    before = net.nft.read("wg0")
    assert net.repair() == 0
    assert net.nft.read("wg0") == before


def test_d3_a_table_that_was_removed_by_hand_is_put_back(net: Net) -> None:
    net.hub("nft", "delete", "table", "inet", "cerebro_wg0")
    net.reaches("a", tcp("b"))
    assert net.repair() > 0
    assert net.reached("a", tcp("b"), tcp("hub")) == set()


def test_d3_a_connection_made_while_the_table_was_missing_ends_with_its_repair(
    net: Net,
) -> None:
    """That it is established does not help it: its direction is the router's."""
    net.nft.drop("wg0")
    # Tracking of connections goes on, as on a node whose other rules need it.
    net.hub(
        "nft",
        "add table inet other; add chain inet other c { type filter hook forward priority 5; }",
    )
    net.hub("nft", "add rule inet other c ct state new accept")
    talk = (
        "import socket,sys\n"
        f"s = socket.create_connection(('10.64.0.3', {reach.TCP_PORT}), 20)\n"
        "print(s.recv(6), flush=True); sys.stdin.readline()\n"
        "s.settimeout(float(sys.argv[1])); s.sendall(b'more\\n')\n"
        "try: print(s.recv(5), flush=True)\n"
        "except TimeoutError: print('silence', flush=True)\n"
    )
    talker = net.nodes["a"]
    said = {}
    for repaired in (False, True):
        gate = talker.folder / f"gate-{repaired}"
        os.mkfifo(gate)
        log = talker.folder / f"talk-{repaired}"
        within = "2" if repaired else "20"
        words = [
            "sh",
            "-c",
            f'exec {sys.executable} -c "$0" "$1" < {gate}',
            talk,
            within,
        ]
        child = talker.popen(words, log=log)
        with gate.open("w") as opened:
            wait_until(
                lambda log=log: "hello" in log.read_text(),  # type: ignore[misc]
                "a connection",
                timeout=60,
            )
            if repaired:
                net.repair()
            opened.write("go\n")
        child.wait(60)
        said[repaired] = log.read_text().splitlines()[-1]
    net.hub("nft", "delete", "table", "inet", "other")
    assert said == {False: "b'more\\n'", True: "silence"}


def test_d3_a_rule_put_into_our_table_is_gone_after_the_repair_and_others_stay(
    net: Net,
) -> None:
    net.hub(
        "nft",
        "add table inet theirs; add chain inet theirs c { type filter hook forward priority 5; }",
    )
    net.hub(
        "nft",
        'add rule inet theirs c iifname "eth7" counter drop comment "not ours"',
    )
    theirs = net.hub("nft", "list", "table", "inet", "theirs")
    net.hub("nft", "insert rule inet cerebro_wg0 forward accept")
    net.hub("nft", "insert rule inet cerebro_wg0 input accept")
    net.reaches("a", tcp("b"), tcp("hub"))
    assert net.repair() > 0
    assert net.reached("a", tcp("b"), tcp("hub")) == set()
    net.nft.drop("wg0")
    assert net.hub("nft", "list", "table", "inet", "theirs") == theirs
    net.hub("nft", "delete", "table", "inet", "theirs")


def test_d3_administrators_come_and_go_one_by_one(net: Net) -> None:
    """The handles of all rules stay: nothing but the set's elements was written."""

    def handles() -> list[int]:
        return [
            one["rule"]["handle"]
            for one in net.nft.read("wg0") or ()
            if "rule" in one
        ]

    before = handles()
    b = ["10.64.0.3/32", "fd64::3/128"]
    assert net.repair(*ADMINISTRATORS, *b) == 2
    net.reaches("b", tcp("a"), tcp("a", 6), tcp("hub"))
    assert net.repair(*b) == 2
    assert net.reached("admin", tcp("a"), tcp("hub")) == set()
    assert net.repair(*ADMINISTRATORS, "10.9.0.0/24") > 0
    assert net.repair(*ADMINISTRATORS, "10.9.0.0/25", "10.9.0.200/32") == 2
    assert net.repair(*ADMINISTRATORS, "10.9.0.0/25", "10.9.0.200/32") == 0
    assert net.reached("b", tcp("a"), tcp("hub")) == set()
    assert handles() == before


def test_d3_the_table_goes_with_the_hub(net: Net) -> None:
    net.nft.drop("wg0")
    assert net.nft.read("wg0") is None
    net.nft.drop("wg0")


def test_without_the_right_or_the_program_it_is_said_what_to_do(
    net: Net, tmp_path: Path
) -> None:
    stripped = (
        "setpriv",
        "--bounding-set=-net_admin",
        "--inh-caps=-net_admin",
        "--",
    )
    powerless = Nft(program_in(net.nodes["hub"], tmp_path, *stripped))
    with pytest.raises(NotPermitted, match="NET_ADMIN"):
        powerless.apply(desired_commands())
    with pytest.raises(
        IsolationNotAvailable, match="install nftables, or set isolation: None"
    ):
        Nft(str(tmp_path / "nothing")).read("wg0")


@pytest.mark.parametrize(
    ("script", "kind", "words"),
    [
        (
            "echo 'Unable to initialize Netlink socket: Protocol not supported' >&2; exit 1",
            IsolationNotAvailable,
            "nf_tables",
        ),
        (
            "echo 'Error: Could not process rule: Invalid argument' >&2; exit 1",
            NftError,
            "Invalid argument",
        ),
        (
            "echo 'Operation not permitted (you must be root)' >&2; exit 1",
            NotPermitted,
            "NET_ADMIN",
        ),
        ("sleep 30", NftError, "no answer within"),
    ],
)
def test_what_nft_complains_about_is_told_apart(
    tmp_path: Path, script: str, kind: type[Exception], words: str
) -> None:
    program = tmp_path / "nft"
    program.write_text(f"#!/bin/sh\ncat >/dev/null\n{script}\n")
    program.chmod(0o700)
    with pytest.raises(kind, match=words):
        Nft(str(program), deadline=1.0 if "sleep" in script else 60.0).apply(
            desired_commands()
        )


def desired_commands() -> list[dict[str, object]]:
    return plan(desired_table("wg0", ADDRESSES, ADMINISTRATORS), None) or []
