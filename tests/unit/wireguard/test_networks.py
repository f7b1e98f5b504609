"""Networks as sets of addresses. Pure."""

from __future__ import annotations

import ipaddress
import time

from hypothesis import given
from hypothesis import strategies as st

from cerebro.wireguard.networks import connected_networks, without

HOSTS = range(32)
NETWORKS = [
    f"10.0.0.{host}/{length}"
    for length in range(27, 33)
    for host in range(0, 32, 1 << (32 - length))
]
networks = st.sets(st.sampled_from(NETWORKS), max_size=6)


def addresses(networks: set[str] | frozenset[str]) -> set[int]:
    parsed = [ipaddress.ip_network(text) for text in networks]
    return {
        host
        for host in HOSTS
        if any(ipaddress.ip_address(f"10.0.0.{host}") in one for one in parsed)
    }


@given(networks, networks)
def test_what_is_left_of_networks_is_what_no_hole_within_them_has(
    whole: set[str], holes: set[str]
) -> None:
    """A hole that is wider than a network takes nothing from it: the longest prefix is the network's."""
    wanted: set[int] = set()
    for network in whole:
        within = {
            hole
            for hole in holes
            if ipaddress.IPv4Network(hole).subnet_of(
                ipaddress.IPv4Network(network)
            )
        }
        wanted |= addresses({network}) - addresses(within)
    assert addresses(without(whole, holes)) == wanted


def test_families_and_ends_of_the_space_are_told_apart() -> None:
    assert without(
        ["10.0.0.0/8", "fd00::/64"], ["0.0.0.0/0", "::/0", "11.0.0.0/16"]
    ) == {
        "10.0.0.0/8",
        "fd00::/64",
    }
    assert without(
        ["255.255.255.254/31", "ff00::/127"],
        ["255.255.255.255/32", "ff00::/128"],
    ) == {
        "255.255.255.254/32",
        "ff00::1/128",
    }
    assert without(["192.168.0.0/30"], ["192.168.0.0/30"]) == set()


def test_ten_thousand_holes_in_one_network() -> None:
    holes = [
        f"10.{number >> 8}.{number & 255}.0/25" for number in range(10_000)
    ]
    begun = time.perf_counter()
    left = without(["10.0.0.0/8"], holes)
    print(f"10,000 holes: {time.perf_counter() - begun:.3f} s")
    assert {
        f"10.{number >> 8}.{number & 255}.128/25" for number in range(10_000)
    } <= left


def test_a_node_is_connected_to_the_networks_of_its_links_where_there_are_neighbours() -> (
    None
):
    addresses = [
        ("lo", "127.0.0.1/8"),
        ("lo", "::1/128"),
        ("eth0", "192.168.1.5/24"),
        ("eth0", "192.168.1.6/24"),
        ("eth0", "203.0.113.9/32"),
        ("eth0", "169.254.7.7/16"),
        ("eth0", "fd05::5/64"),
        ("wg0", "10.64.0.1/16"),
        ("wg1", "10.65.0.1/16"),
        ("docker0", "172.17.0.1/16"),
    ]
    assert connected_networks(addresses, {"lo", "wg0", "wg1"}) == {
        "192.168.1.0/24": "eth0",
        "fd05::/64": "eth0",
        "172.17.0.0/16": "docker0",
    }
