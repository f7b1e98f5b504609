"""Tunnel addresses (E9): never twice, none that is nobody's to have, the same again, quickly on a full pool."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cerebro.operator.tunnels.addresses import (
    Address,
    AddressBook,
    Holder,
    Pool,
    read_address,
)


def book(*addresses: str) -> AddressBook:
    made = AddressBook()
    made.set_hub("hub", addresses)
    return made


def give(made: AddressBook, name: str) -> Address | None:
    address = made.find("ns", name)
    if address is not None:
        assert made.hold(Holder("Device", name), frozenset({address})) is False
    return address


networks = st.one_of(
    st.builds(
        lambda n, p: f"{ipaddress.IPv4Address(n)}/{p}",
        st.integers(1, 2**32 - 2),
        st.integers(22, 32),
    ),
    st.builds(
        lambda n, p: f"{ipaddress.IPv6Address(n)}/{p}",
        st.integers(1, 2**128 - 2),
        st.integers(118, 128),
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(networks, min_size=1, max_size=3))
def test_e9_a_pool_is_used_to_its_last_address_and_none_is_given_twice(
    texts: list[str],
) -> None:
    made = book(*texts)
    interfaces = [ipaddress.ip_interface(text) for text in texts]
    usable = set()
    for interface in interfaces:
        usable |= {str(host) for host in interface.network.hosts()} | (
            {str(interface.network.network_address)}
            if interface.network.num_addresses == 1
            else set()
        )
        if interface.version == 6 and interface.network.num_addresses == 2:
            usable |= {str(host) for host in interface.network}
    usable -= {str(interface.ip) for interface in interfaces}
    given_out: list[str] = []
    while (address := give(made, f"r{len(given_out)}")) is not None:
        given_out.append(str(address))
        assert len(given_out) <= len(usable)
    assert sorted(given_out) == sorted(usable)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=120))
def test_e9_free_and_held_agree_whatever_comes_and_goes(
    steps: list[tuple[int, bool]],
) -> None:
    made, held = book("10.0.0.1/27"), dict[str, Address]()
    for number, comes in steps:
        name = f"r{number}"
        if not comes:
            gave_up = made.hold(Holder("Device", name), frozenset())
            assert gave_up is (held.pop(name, None) is not None)
        elif name not in held and (address := give(made, name)) is not None:
            assert address not in held.values()
            held[name] = address
        assert made.free() == 29 - len(held)
        assert (made.find("ns", "another") is None) is (made.free() == 0)


def test_e9_the_same_name_finds_the_same_address_and_order_does_not_matter_without_collisions() -> (
    None
):
    one, other = book("fd00::1/64"), book("fd00::1/64")
    names = [f"r{number}" for number in range(500)]
    first = {name: give(one, name) for name in names}
    assert {name: give(other, name) for name in reversed(names)} == first


def test_e9_an_address_that_is_held_by_two_is_free_when_both_are_gone() -> (
    None
):
    made = book("10.0.0.1/30")
    address = give(made, "r1")
    assert address is not None
    assert address == read_address("10.0.0.2")
    made.hold(Holder("Peer", "r1"), frozenset({address}))
    made.hold(Holder("Device", "r1"), frozenset())
    assert made.find("ns", "r2") is None
    made.hold(Holder("Peer", "r1"), frozenset())
    assert made.find("ns", "r2") == address


def test_e9_ten_thousand_devices_on_a_nearly_full_18_need_few_probes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The row of addresses that others hold would cost a linear search thousands of steps each."""
    made = book("10.64.0.1/18")
    for number in range(6381):
        made.hold(
            Holder("Peer", str(number)),
            frozenset({Address(4, 0x0A400002 + number)}),
        )
    probes = 0

    class Counting(dict[Address, set[Holder]]):
        def __contains__(self, key: object) -> bool:
            nonlocal probes
            probes += 1
            return super().__contains__(key)

    monkeypatch.setattr(made, "_holders", Counting(made._holders))
    found = {give(made, f"r{number}") for number in range(9990)}
    assert len(found) == 9990
    assert None not in found
    assert made.free() == 10
    assert probes < 16 * 9990
    for number in range(9990, 10000):
        assert give(made, f"r{number}") is not None
    before = probes
    assert made.find("ns", "too late") is None
    assert probes == before, "a full pool is known to be full"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("10.0.0.1/24", 254),
        ("10.0.0.0/31", 2),
        ("10.0.0.1/32", 1),
        ("fd00::1/64", 2**64 - 1),
    ],
)
def test_sizes_of_pools(text: str, size: int) -> None:
    assert Pool.of(text).size == size


def test_only_addresses_and_networks_of_one_address_are_read() -> None:
    assert str(read_address("fd00:0:0::7/128")) == "fd00::7"
    assert read_address("10.0.0.7/32") == read_address("10.0.0.7")
    for text in ("10.0.0.0/24", "fd00::7/32", "0.0.0.0/0", "x", ""):
        assert read_address(text) is None
