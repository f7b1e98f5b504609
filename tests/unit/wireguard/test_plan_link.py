"""The plan of the link, and which networks get a route. Pure."""

from __future__ import annotations

import pytest

from cerebro.wireguard.model import Interface, LinkChange
from cerebro.wireguard.networks import literal_endpoint, span, split_endpoint
from cerebro.wireguard.plan import foreign_addresses, plan_link, routes_for

HUB = ["10.64.0.1/16", "fd00::1/64"]
THERE = Interface(
    "wg0",
    mtu=1420,
    up=True,
    addresses=frozenset(HUB),
    routes=frozenset({"192.168.1.0/24", "192.168.2.0/24"}),
)


def test_a_new_interface_gets_all() -> None:
    assert plan_link(
        Interface("wg0", mtu=1500),
        addresses=HUB,
        mtu=1420,
        routes=["10.9.0.0/24"],
    ) == LinkChange(
        mtu=1420,
        up=True,
        add_addresses=("10.64.0.1/16", "fd00::1/64"),
        add_routes=("10.9.0.0/24",),
    )


def test_without_difference_nothing_is_changed_whatever_the_spelling() -> None:
    change = plan_link(
        THERE,
        addresses=["10.64.0.1/16", "FD00:0::1/64"],
        mtu=1420,
        routes=THERE.routes,
    )
    assert not change


def test_routes_of_ours_that_are_not_wanted_go() -> None:
    change = plan_link(
        THERE,
        addresses=HUB,
        mtu=1420,
        routes=["192.168.2.0/24", "192.168.3.0/24"],
    )
    assert change == LinkChange(
        add_routes=("192.168.3.0/24",), remove_routes=("192.168.1.0/24",)
    )
    assert plan_link(
        THERE, addresses=HUB, mtu=1420, routes=()
    ).remove_routes == (
        "192.168.1.0/24",
        "192.168.2.0/24",
    )


def test_an_address_that_was_never_asked_for_stays_and_is_reported() -> None:
    adopted = Interface(
        "wg0",
        mtu=1420,
        up=True,
        addresses=frozenset(
            {*HUB, "10.8.0.1/24", "10.7.0.1/24", "fe80::1/64"}
        ),
    )
    change = plan_link(
        adopted,
        addresses=HUB,
        mtu=1420,
        routes=(),
        own_addresses=["10.7.0.1/24", "10.6.0.1/24"],
    )
    assert change == LinkChange(remove_addresses=("10.7.0.1/24",))
    assert foreign_addresses(adopted, HUB) == {"10.8.0.1/24", "10.7.0.1/24"}


def test_routes_lead_outside_the_pool_and_are_never_default_routes() -> None:
    allowed = [
        "10.64.0.2/32",
        "fd00::2/128",
        "192.168.88.0/24",
        "fd01::/64",
        "10.0.0.0/8",
    ]
    wide = [
        "0.0.0.0/0",
        "::/0",
        "0.0.0.0/1",
        "128.0.0.0/1",
        "2000::/3",
        "64.0.0.0/2",
    ]
    special = [
        "127.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.5/32",
        "fe80::/10",
        "ff00::/8",
    ]
    assert routes_for([*allowed, *wide, *special], HUB) == {
        "192.168.88.0/24",
        "fd01::/64",
        "10.0.0.0/8",
    }


def test_a_span_knows_what_a_network_holds() -> None:
    wide, small, other = (
        span("10.0.0.0/8"),
        span("10.64.0.9/32"),
        span("fd00::/64"),
    )
    assert (small.host, wide.host, span("10.1.1.1").text) == (
        True,
        False,
        "10.1.1.1/32",
    )
    assert small.within(wide)
    assert not wide.within(small)
    assert wide.overlaps(small)
    assert small.overlaps(wide)
    assert not wide.overlaps(other)
    assert span("::ff/128").version == 6
    assert not span("0.0.0.255/32").overlaps(span("::ff/128"))


def test_endpoints_are_split_and_literal_ones_need_no_looking_up() -> None:
    assert split_endpoint("vpn.example.net:51820") == (
        "vpn.example.net",
        51820,
    )
    assert literal_endpoint("vpn.example.net:51820") is None
    assert literal_endpoint("192.0.2.1:1") == ("192.0.2.1", 1)
    assert literal_endpoint("[2001:DB8::1]:51820") == ("2001:db8::1", 51820)


@pytest.mark.parametrize(
    "text", ["vpn.example.net", ":51820", "h:0", "h:65536", "h:x", ""]
)
def test_what_is_no_endpoint_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="write host:port"):
        split_endpoint(text)
