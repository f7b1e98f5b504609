"""`cerebro tunnel` (E2) and its watchdog (E4) with real wireguard-go in nodes; the judges are `wg`, `ip`, `ping`."""

from __future__ import annotations

import os
import re
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from cerebro.wireguard import keys
from cerebro.wireguard.backend import (
    ForeignInterface,
    NotAvailable,
    WireGuardError,
)
from cerebro.wireguard.model import LinkChange, PeerChange
from integration.wireguard.inside import Inside
from integration.wireguard.keeper import (
    RUN,
    TUNNEL,
    USERSPACE,
    Host,
    ask,
    leave_stale_sockets,
    wait_for,
)
from network.node import Node, link


def new_key() -> str:
    return keys.derive_public_key(keys.generate_private_key())


@pytest.fixture
def host() -> Iterator[Host]:
    """A node without a keeper."""
    with Node("host") as node, Inside(node) as inside:
        yield Host(node, inside)


@pytest.fixture(scope="module")
def long_running() -> Iterator[Host]:
    """A keeper for the tests that do not end it."""
    with Node("host") as node, Inside(node) as inside:
        host = Host(node, inside)
        host.start()
        yield host


@pytest.fixture
def carrying(long_running: Host) -> Iterator[Host]:
    """A keeper that carries nothing yet."""
    yield long_running
    long_running.drop_all()


def test_e2_two_hosts_make_a_handshake_and_wg_agrees(carrying: Host) -> None:
    hub = carrying
    with Node("router") as node, Inside(node) as inside:
        router = Host(node, inside)
        router.start()
        link(hub.node, "eth0", "192.0.2.1/24", node, "eth0", "192.0.2.2/24")
        hub_key, router_key = (
            hub.carry("10.64.0.1/16", mtu=1380),
            router.carry("10.64.0.2/16"),
        )
        psk = new_key()
        assert (
            hub.set_peers(
                PeerChange(
                    router_key,
                    allowed_ips=("10.64.0.2/32", "fd64::2/128"),
                    preshared_key=psk,
                )
            )
            == {}
        )
        assert (
            router.set_peers(
                PeerChange(
                    hub_key,
                    allowed_ips=("10.64.0.0/16",),
                    preshared_key=psk,
                    persistent_keepalive=25,
                    endpoint=("192.0.2.1", 51820),
                )
            )
            == {}
        )
        node.run(["ping", "-c3", "-i0.2", "-W10", "10.64.0.1"])
        found = hub.found()
        seen = found.peers[router_key]
        assert (found.mtu, found.up, found.listen_port, found.public_key) == (
            1380,
            True,
            51820,
            hub_key,
        )
        assert seen.allowed_ips == {"10.64.0.2/32", "fd64::2/128"}
        assert seen.endpoint == ("192.0.2.2", 51820)
        assert seen.last_handshake > 0
        assert seen.rx_bytes > 0
        dump = hub.node.run(["wg", "show", "wg0", "dump"]).stdout.splitlines()
        assert dump[0].split("\t")[:3] == [found.private_key, hub_key, "51820"]
        words = dump[1].split("\t")
        assert words[:3] == [router_key, psk, "192.0.2.2:51820"]
        assert set(words[3].split(",")) == seen.allowed_ips
        assert int(words[4]) == int(seen.last_handshake)
        assert router.found().peers[hub_key].persistent_keepalive == 25

        # The keeper's own signals are not those of wireguard-go: it goes on while the keeper is stopped.
        hub.signal(signal.SIGSTOP)
        node.run(["ping", "-c2", "-i0.2", "-W10", "10.64.0.1"])
        hub.signal(signal.SIGCONT)


def test_peers_are_changed_one_by_one_and_a_refused_one_stops_no_other(
    carrying: Host,
) -> None:
    carrying.carry("10.64.0.1/16")
    first, second, third, bad, port = (new_key() for _ in range(5))
    refused = carrying.set_peers(
        PeerChange(
            first,
            allowed_ips=("10.64.0.2/32",),
            preshared_key=new_key(),
            persistent_keepalive=20,
        ),
        PeerChange("no key", allowed_ips=("10.64.0.3/32",)),
        PeerChange(bad, allowed_ips=("10.64.0.3/99",)),
        PeerChange(port, allowed_ips=("10.64.0.3/32\nremove=true",)),
        PeerChange(
            second, allowed_ips=("10.64.0.4/32",), endpoint=("fd00::9", 4000)
        ),
        PeerChange(third, update_only=True, allowed_ips=("10.64.0.5/32",)),
    )
    assert set(refused) == {"no key", bad, port}
    assert "EINVAL" in refused[bad]
    peers = carrying.found().peers
    assert {key for key, each in peers.items() if each.allowed_ips} == {
        first,
        second,
    }
    assert peers[second].endpoint == ("fd00::9", 4000)
    assert (
        carrying.set_peers(
            PeerChange(
                first,
                update_only=True,
                preshared_key="",
                persistent_keepalive=0,
            ),
            PeerChange(
                second,
                replace_allowed_ips=True,
                allowed_ips=("10.64.0.2/32", "fd64::/64"),
            ),
            PeerChange(bad, remove=True),
        )
        == {}
    )
    peers = carrying.found().peers
    assert set(peers) == {first, second}
    assert (peers[first].preshared_key, peers[first].persistent_keepalive) == (
        None,
        0,
    )
    assert peers[first].allowed_ips == frozenset(), "an address has one owner"
    assert peers[second].allowed_ips == {"10.64.0.2/32", "fd64::/64"}


def test_a_thousand_peers_take_several_requests(carrying: Host) -> None:
    carrying.carry("10.64.0.1/16")
    changes = [
        PeerChange(
            new_key(), allowed_ips=(f"10.64.{1 + i // 250}.{i % 250}/32",)
        )
        for i in range(1000)
    ]
    broken = PeerChange(new_key(), allowed_ips=("10.64.0.1/99",))
    changes.insert(777, broken)
    assert set(carrying.set_peers(*changes)) == {broken.public_key}
    wanted = {
        each.public_key: frozenset(each.allowed_ips)
        for each in changes
        if each is not broken
    }
    assert {
        key: each.allowed_ips
        for key, each in carrying.found().peers.items()
        if each.allowed_ips
    } == wanted


def test_a_port_that_another_program_has_is_told(carrying: Host) -> None:
    carrying.carry("10.64.0.1/16")
    carrying.ensure("wg1")
    with pytest.raises(
        WireGuardError, match=r"UDP port 51820.*spec\.listenPort"
    ):
        carrying.inside(USERSPACE.set_device, "wg1", listen_port=51820)
    assert carrying.found().listen_port == 51820


def test_several_interfaces_with_an_mtu_each_and_one_is_dropped(
    carrying: Host,
) -> None:
    for number in range(3):
        carrying.ensure(f"wg{number}", 1400 - number)
    assert [carrying.found(f"wg{number}").mtu for number in range(3)] == [
        1400,
        1399,
        1398,
    ]
    carrying.ensure("wg0", 1300)
    assert carrying.found("wg0").mtu == 1400, "one that exists stays as it is"
    carrying.inside(USERSPACE.drop, "wg1")
    carrying.inside(USERSPACE.drop, "wg1")
    assert carrying.links() == {"wg0", "wg2"}
    assert carrying.read("wg1") is None
    assert carrying.inside(ask, b'{"list": true}')["interfaces"] == {
        "wg0": {"deadline_in": None},
        "wg2": {"deadline_in": None},
    }


def test_e2_wireguard_go_that_dies_is_started_again_without_a_key(
    carrying: Host,
) -> None:
    carrying.carry("10.64.0.1/16", mtu=1300)
    for _ in range(2):
        carrying.await_another(carrying.kill_wireguard_go())
        wait_for(lambda: (found := carrying.read()) and found.mtu == 1300)
    found = carrying.found()
    assert (found.private_key, found.addresses) == (None, frozenset())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_e2_no_interface_outlives_the_keeper(
    host: Host, number: signal.Signals
) -> None:
    host.start()
    assert host.check() == 0
    host.carry("10.64.0.1/16")
    host.ensure("wg1")
    host.signal(number)
    wait_for(lambda: not host.links())
    assert host.read() is None
    with pytest.raises(NotAvailable, match="cerebro tunnel"):
        host.ensure()
    assert host.check() == 1
    assert host.keeper is not None
    host.keeper.wait(60)  # until then it has the folder
    host.start()
    host.ensure()
    assert host.found().private_key is None


def test_sockets_that_were_left_behind_confuse_nobody(host: Host) -> None:
    host.inside(leave_stale_sockets, "wg0")
    assert host.read() is None
    with pytest.raises(NotAvailable):
        host.ensure()
    host.start()
    assert host.read() is None
    host.ensure()
    assert host.found().peers == {}


def test_e4_the_watchdog_drops_what_is_not_asked_for_in_time(
    carrying: Host,
) -> None:
    carrying.ensure("wg0")  # it comes up first, however long that takes
    carrying.ensure("wg0", within=8)
    carrying.ensure("wg1", within=600)
    carrying.ensure("wg2")
    wait_for(lambda: carrying.links() == {"wg1", "wg2"})
    carrying.ensure("wg1", within=8)
    wait_for(lambda: carrying.links() == {"wg2"})
    carrying.ensure("wg0", within=600)
    assert carrying.inside(ask, b'{"list": true}')["interfaces"].keys() == {
        "wg0",
        "wg2",
    }


def test_e4_to_refresh_moves_the_deadline_and_makes_nothing(
    carrying: Host,
) -> None:
    with pytest.raises(WireGuardError, match="no interface wg0"):
        carrying.refresh(within=600)
    assert carrying.links() == set()
    carrying.ensure(within=600)
    first = carrying.wireguard_go()
    carrying.refresh(within=6000)
    assert (carrying.deadline_in() or 0) > 600
    carrying.refresh()
    assert carrying.deadline_in() is None
    assert carrying.wireguard_go() == first
    carrying.refresh(within=5)
    wait_for(lambda: not carrying.links())


def test_e4_a_request_that_was_held_up_until_its_deadline_makes_and_keeps_nothing(
    carrying: Host,
) -> None:
    with pytest.raises(WireGuardError, match="passed"):
        carrying.ensure(within=-1)
    assert carrying.links() == set()
    carrying.ensure(within=600)
    for ask_again in (carrying.ensure, carrying.refresh):
        with pytest.raises(WireGuardError, match="passed"):
            ask_again(within=-1)
    assert (carrying.deadline_in() or 0) > 0


def test_e4_a_client_that_is_stopped_or_killed_loses_its_interface(
    carrying: Host,
) -> None:
    refreshing = (
        "import time; from pathlib import Path; from cerebro.wireguard.userspace import Userspace\n"
        "from cerebro.runtime.clock import boottime; from cerebro.wireguard.backend import WireGuardError\n"
        "backend = Userspace(Path('/run/cerebro'), Path('/var/run/wireguard'))\n"
        "while True:\n    try: backend.ensure('wg0', 1420, boottime() + 10.0); print('asked', flush=True)\n"
        "    except WireGuardError: pass\n    time.sleep(0.2)\n"
    )
    log = carrying.node.folder / "client.log"
    client = carrying.node.popen([sys.executable, "-c", refreshing], log=log)
    wait_for(lambda: log.exists() and log.read_text().count("asked") >= 15)
    assert carrying.links() == {"wg0"}
    first = carrying.wireguard_go()
    client.send_signal(signal.SIGSTOP)
    wait_for(lambda: not carrying.links())
    client.send_signal(signal.SIGCONT)
    wait_for(lambda: carrying.links() == {"wg0"})
    assert carrying.wireguard_go() != first
    client.kill()
    wait_for(lambda: not carrying.links())


def test_an_interface_of_others_is_not_touched(carrying: Host) -> None:
    carrying.node.run(["ip", "tuntap", "add", "wg0", "mode", "tun"])
    carrying.node.run(["ip", "link", "add", "wg1", "type", "bridge"])
    for call, name in (
        (USERSPACE.drop, "wg0"),
        (USERSPACE.read, "wg0"),
        (USERSPACE.read, "wg1"),
    ):
        with pytest.raises(ForeignInterface):
            carrying.inside(call, name)
    with pytest.raises(ForeignInterface):
        carrying.ensure("wg1")
    assert carrying.links() >= {"wg0", "wg1"}
    for name in ("wg0", "wg1"):
        carrying.node.run(["ip", "link", "delete", name])


def test_a_wireguard_go_of_others_is_used_where_no_watchdog_is_asked_for(
    carrying: Host,
) -> None:
    theirs = carrying.node.popen(["wireguard-go", "--foreground", "wg0"])
    wait_for(lambda: "wg0" in carrying.links() and carrying.read())
    carrying.ensure()
    with pytest.raises(ForeignInterface):
        carrying.ensure(within=600)
    with pytest.raises(ForeignInterface):
        carrying.refresh(within=600)
    with pytest.raises(ForeignInterface):
        carrying.inside(USERSPACE.drop, "wg0")
    theirs.kill()
    carrying.ensure(within=600)


def test_changes_of_an_interface_that_is_gone_say_so(carrying: Host) -> None:
    with pytest.raises(WireGuardError, match="next pass"):
        carrying.set_peers(PeerChange(new_key()))
    with pytest.raises(WireGuardError, match="next pass"):
        carrying.inside(USERSPACE.set_link, "wg0", LinkChange(up=True))


def test_without_wireguard_go_it_says_what_to_install(host: Host) -> None:
    with ExitStack() as stack:
        before = os.environ["PATH"]
        stack.callback(os.environ.__setitem__, "PATH", before)
        programs = host.node.folder / "programs"
        programs.mkdir()
        for program in ("nsenter", "env", "setpriv"):
            (programs / program).symlink_to(f"/usr/bin/{program}")
        os.environ["PATH"] = str(programs)
        host.keeper = host.node.popen(TUNNEL, log=host.log)
    wait_for(lambda: host.check() == 0)
    with pytest.raises(NotAvailable, match="install"):
        host.ensure()
    with pytest.raises(NotAvailable, match="install"):
        host.ensure()


def test_one_keeper_for_a_folder_and_nobody_else_may_ask(
    carrying: Host,
) -> None:
    second = Host(carrying.node, carrying.inside)
    second.log = carrying.node.folder / "second.log"
    second.keeper = carrying.node.popen(TUNNEL, log=second.log)
    assert second.keeper.wait(60) == 2
    assert re.search(
        r"cerebro: another .* CEREBRO_RUN_FOLDER", second.log.read_text()
    )
    carrying.ensure()
    modes = [
        stat.S_IMODE(carrying.inside(os.stat, path).st_mode)
        for path in (RUN, RUN / "tunnel.sock")
    ]
    assert modes[0] == 0o700
    assert modes[1] & 0o077 == 0


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "JSON"),
        (b"[]", "exactly one"),
        (b'{"ensure": "wg0", "drop": "wg0"}', "exactly one"),
        (b'{"ensure": "../wg0", "mtu": 1420}', "name"),
        (b'{"ensure": "wg0", "mtu": 70000}', "mtu"),
        (b'{"ensure": "wg0", "mtu": 1420, "deadline": -1}', "deadline"),
        (b'{"ensure": "wg0", "mtu": 1420, "deadline": NaN}', "deadline"),
        (b'{"drop": "' + b"x" * 10_000 + b'"}', "4096"),
    ],
)
def test_a_request_that_cannot_be_done_is_answered_and_harms_nothing(
    carrying: Host, line: bytes, words: str
) -> None:
    answer = carrying.inside(ask, line)
    assert (answer["ok"], answer["reason"]) == (False, "InvalidRequest")
    assert words in answer["message"]
    assert carrying.inside(ask, b'{"list": true}') == {
        "ok": True,
        "interfaces": {},
    }
