"""Links, addresses and routes over rtnetlink, in a node with a cable; the judge is `ip`."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cerebro.wireguard import links, model
from cerebro.wireguard.backend import (
    ForeignInterface,
    NotPermitted,
    WireGuardError,
)
from cerebro.wireguard.model import LinkChange
from integration.wireguard.inside import Inside
from network.node import Node, link

CLONE_NEWNET = 0x40000000
MANY = tuple(f"172.{16 + i // 256}.{i % 256}.0/24" for i in range(600))


@dataclass(frozen=True)
class Place:
    node: Node
    inside: Inside

    def change(self, **wanted: Any) -> dict[str, str]:
        return self.inside(links.change, "v0", LinkChange(**wanted))

    def found(self) -> model.Link:
        found = self.inside(links.read, "v0")
        assert found is not None
        return found

    def ip(self, *words: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(
            self.node.run(["ip", "-json", *words]).stdout or "[]"
        )
        return found


@pytest.fixture
def place() -> Iterator[Place]:
    with ExitStack() as stack:
        node, other = (
            stack.enter_context(Node(name)) for name in ("here", "there")
        )
        link(node, "v0", "10.0.0.1/24", other, "v1", "10.0.0.2/24")
        yield Place(node, stack.enter_context(Inside(node)))


def test_a_link_gets_addresses_mtu_state_and_routes(place: Place) -> None:
    wanted = {
        "add_addresses": ("10.64.0.1/16", "fd64::1/64"),
        "add_routes": ("192.168.1.0/24", "fd01::/64"),
        "mtu": 1400,
        "up": True,
    }
    assert place.change(**wanted) == {}
    assert place.change(**wanted) == {}, "what is so already is no refusal"
    found = place.found()
    assert (found.kind, found.mtu, found.up) == ("veth", 1400, True)
    assert found.addresses == {"10.0.0.1/24", "10.64.0.1/16", "fd64::1/64"}
    assert found.routes == {"192.168.1.0/24", "fd01::/64"}
    protocol = str(links.ROUTE_PROTOCOL)
    assert [
        route["dst"] for route in place.ip("route", "show", "proto", protocol)
    ] == ["192.168.1.0/24"]
    assert [
        route["dst"]
        for route in place.ip("-6", "route", "show", "proto", protocol)
    ] == ["fd01::/64"]
    gone = {
        "remove_addresses": ("10.64.0.1/16",),
        "remove_routes": ("fd01::/64",),
    }
    assert place.change(**gone) == {}
    assert place.change(**gone) == {}, "what is gone already is no refusal"
    assert place.found().addresses == {"10.0.0.1/24", "fd64::1/64"}
    assert place.found().routes == {"192.168.1.0/24"}


def test_the_routes_of_others_are_neither_seen_nor_taken(place: Place) -> None:
    place.node.run(["ip", "route", "add", "192.168.5.0/24", "dev", "v0"])
    refused = place.change(
        add_routes=("192.168.5.0/24", "192.168.6.0/24"),
        remove_routes=("192.168.5.0/24",),
    )
    assert list(refused) == ["192.168.5.0/24"]
    assert "another route" in refused["192.168.5.0/24"]
    assert place.found().routes == {"192.168.6.0/24"}
    assert place.ip("route", "show", "192.168.5.0/24")


def test_what_a_node_is_connected_to_is_read_of_the_links_that_are_up(
    place: Place,
) -> None:
    for words in (
        "link add d0 type veth peer name d1",
        "address add 192.168.7.1/24 dev d0",
        "address add 192.168.8.1/24 dev d1",
        "address add 10.9.0.1 peer 10.9.0.2/32 dev d1",
        "-6 address add fd07::1/64 dev d1",
        "link set d1 up",
    ):
        place.node.run(["ip", *words.split()])
    found = place.inside(links.connected)
    assert {one for one in found if one[0] != "lo"} == {
        ("v0", "10.0.0.1/24"),
        ("d1", "192.168.8.1/24"),
        ("d1", "10.9.0.2/32"),
        ("d1", "fd07::1/64"),
    }


def test_many_routes_go_in_batches_and_one_refusal_stops_no_other(
    place: Place,
) -> None:
    refused = place.change(
        add_routes=(*MANY[:300], "10.1.2.3/24", *MANY[300:])
    )
    assert list(refused) == ["10.1.2.3/24"]
    assert place.found().routes == set(MANY)
    assert place.change(remove_routes=MANY) == {}
    assert place.found().routes == frozenset()


def test_without_ipv6_on_the_node_the_rest_is_made_and_the_refusal_says_so(
    place: Place,
) -> None:
    place.node.run(["sysctl", "-qw", "net.ipv6.conf.v0.disable_ipv6=1"])
    refused = place.change(
        add_addresses=("fd64::1/64", "10.64.0.1/16"),
        add_routes=("fd01::/64", "10.2.0.0/16"),
    )
    assert set(refused) == {"fd64::1/64", "fd01::/64"}
    assert all(
        "IPv6 is switched off" in words for words in refused.values()
    ), refused
    assert place.found().addresses == {"10.0.0.1/24", "10.64.0.1/16"}
    assert place.found().routes == {"10.2.0.0/16"}


def test_a_link_of_another_kind_is_never_touched(place: Place) -> None:
    with pytest.raises(ForeignInterface, match="kind veth"):
        place.inside(links.create, "v0", 1420)
    with pytest.raises(ForeignInterface, match="kind veth"):
        place.inside(links.delete, "v0")
    assert place.found().mtu == 1500


def test_what_is_not_there_is_said_or_no_error(place: Place) -> None:
    assert place.inside(links.read, "wg9") is None
    place.inside(links.delete, "wg9")
    with pytest.raises(WireGuardError, match="wg9 is gone"):
        place.inside(links.change, "wg9", LinkChange(up=True))


def test_without_the_capability_the_error_says_what_to_give(
    place: Place,
) -> None:
    with Inside(place.node, powerless=True) as powerless:
        assert powerless(links.read, "v0") == place.found()
        for change in (
            LinkChange(mtu=1400),
            LinkChange(add_addresses=("10.64.0.1/16",)),
            LinkChange(add_routes=("10.2.0.0/16",)),
        ):
            with pytest.raises(NotPermitted, match="NET_ADMIN"):
                powerless(links.change, "v0", change)


def _seen_by_threads() -> list[bool]:
    """Whether v0 is seen by this thread, by one that goes to a namespace of its own, and by this one again."""
    seen = [links.read("v0") is not None]

    def go() -> None:
        seen.append(links.read("v0") is not None)
        unshared = ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET)
        assert unshared == 0, os.strerror(ctypes.get_errno())
        seen.append(links.read("v0") is not None)

    thread = threading.Thread(target=go)
    thread.start()
    thread.join()
    return [*seen, links.read("v0") is not None]


def test_each_thread_keeps_a_socket_in_the_namespace_that_it_is_in(
    place: Place,
) -> None:
    assert place.inside(_seen_by_threads) == [True, True, False, True]


def _descriptors() -> int:
    """Count open descriptors, without those of tests before that only wait for
    the garbage collector.
    """
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def _descriptors_after_1_and_51_calls() -> tuple[int, int]:
    links.read("v0")
    first = _descriptors()
    for _ in range(50):
        links.read("v0")
    return first, _descriptors()


def test_calls_open_nothing_anew(place: Place) -> None:
    first, later = place.inside(_descriptors_after_1_and_51_calls)
    assert first == later


def test_a_process_with_many_connections_reads_too() -> None:
    """An agent has one for each router, and opens the kernel's when it needs it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as held, ThreadPoolExecutor(1) as thread:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (max(soft, min(4096, hard)), hard)
        )
        held.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        numbers = [
            held.enter_context(Path(os.devnull).open()).fileno()
            for _ in range(1100)
        ]
        assert max(numbers) > 1024
        assert thread.submit(links.read, "lo").result() is not None
