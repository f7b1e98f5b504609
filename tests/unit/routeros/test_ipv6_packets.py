"""What is said of an IPv6 firewall, against what the simulator does with packets (case S9).

The simulator shares no code with ours. Nothing is sent: its tables are read in memory.
"""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from cerebro.routeros.client.command import Reply
from cerebro.routeros.ipv6.leaks import ipv6_leaks, ipv6_to_shut
from cerebro.routeros.ipv6.reading import (
    Ipv6Reading,
    ipv6_prints,
    ipv6_reading,
)
from simulator.options import RouterOptions
from simulator.router import Router

FILTER = "/ipv6/firewall/filter"
SERVICES = (("tcp", 443), ("tcp", 80), ("udp", 443))
MATCHERS: dict[str, list[str]] = {
    "in-interface": ["bridge", "!bridge", "ether5", "!ether5"],
    "out-interface": ["ether1", "!ether1", "bridge"],
    "in-interface-list": ["LAN", "!LAN", "WAN", "!WAN", "GUESTS", "all"],
    "out-interface-list": ["WAN", "!WAN", "LAN"],
    "src-address": ["2001:db8:7::/48", "!2001:db8:7::/48", "fe80::/10"],
    "dst-address": ["2000::/3", "!2000::/3", "fd00::/8"],
    "protocol": ["tcp", "!tcp", "udp", "icmpv6"],
    "dst-port": ["443", "80,400-500", "!443", "25"],
    "connection-state": ["new", "established,related", "!invalid", "invalid"],
    "hop-limit": ["equal:1"],
    "ipsec-policy": ["in,ipsec", "in,none"],
}

rule = st.fixed_dictionaries(
    {
        "chain": st.sampled_from(["forward", "forward", "guests", "input"]),
        "action": st.sampled_from(
            ["accept", "drop", "reject", "jump", "return", "log"]
        ),
        "disabled": st.sampled_from(["false", "false", "true"]),
    },
    optional={
        name: st.sampled_from(values) for name, values in MATCHERS.items()
    },
)


def a_router() -> Router:
    """Return a router that announces an address on its hotspot's bridge, which is in the list LAN by way of another."""
    router = Router(RouterOptions("r1"))
    router.up = True
    rows: list[tuple[str, dict[str, str]]] = [
        (
            "/ipv6/address",
            {"address": "2001:db8:7::1/64", "interface": "bridge"},
        ),
        ("/ipv6/route", {"dst-address": "::/0", "gateway": "fe80::9%ether1"}),
        ("/interface/list", {"name": "LAN", "include": "GUESTS"}),
        ("/interface/list", {"name": "GUESTS"}),
        ("/interface/list", {"name": "WAN"}),
        (
            "/interface/list/member",
            {"list": "GUESTS", "interface": "bridge"},
        ),
        ("/interface/list/member", {"list": "WAN", "interface": "ether1"}),
    ]
    for path, values in rows:
        router.tables[path].add(values)

    return router


ROUTER = a_router()


def read(rules: list[dict[str, str]]) -> Ipv6Reading:
    """Give the router these rules, and return what is read of it."""
    table = ROUTER.tables[FILTER]
    table.clear()
    for values in rules:
        more: dict[str, Any] = {}
        if values["action"] == "jump":
            more = {"jump-target": "guests"}
        table.add({**values, **more})

    replies = []
    for print_ in ipv6_prints():
        rows = [row.values for row in ROUTER.tables[print_.path].rows.values()]
        replies.append(Reply(rows))

    return ipv6_reading(replies)


@example(
    [
        {
            "chain": "forward",
            "action": "return",
            "src-address": "2001:db8:7::/48",
        },
        {"chain": "forward", "action": "drop"},
    ]
)
@settings(deadline=None, max_examples=600)
@given(st.lists(rule, max_size=7))
def test_s9_a_leak_is_said_exactly_when_a_packet_passes(
    rules: list[dict[str, str]],
) -> None:
    # A chain that jumps into itself is not what a router is asked to have.
    rules = [
        each
        for each in rules
        if each["chain"] != "guests" or each["action"] != "jump"
    ]
    reading = read(rules)
    passes = any(
        ROUTER.network.ipv6.passes("bridge", protocol, port)
        for protocol, port in SERVICES
    )
    assert ipv6_leaks(reading) == (["bridge"] if passes else [])

    # Where a packet passes, a rule of ours is wanted.
    if passes:
        assert ipv6_to_shut(reading, "ours") == ("bridge",)
