"""Whether IPv6 leads past a hotspot, and where a rule is to shut it (case S9).
Pure."""

from __future__ import annotations

from typing import Any

import pytest

from cerebro.routeros.client.command import Reply
from cerebro.routeros.client.errors import Trap
from cerebro.routeros.ipv6.leaks import ipv6_leaks, ipv6_to_shut
from cerebro.routeros.ipv6.reading import (
    Ipv6Reading,
    ipv6_prints,
    ipv6_reading,
)

HOTSPOT = {"interface": "bridge", "disabled": "false", "invalid": "false"}
ADDRESS = {
    "address": "2001:db8:7::1/64",
    "interface": "bridge",
    "advertise": "true",
}
PRIVATE = ADDRESS | {"address": "fd00::1/64"}
PREFIX = {"prefix": "2001:db8:7::/64", "interface": "bridge"}
RULE = {"chain": "forward", ".id": "*1", "disabled": "false"}
ACCEPT = RULE | {"action": "accept"}
DROP = RULE | {"action": "drop"}
OURS = DROP | {"in-interface": "bridge", "comment": "cerebro:main:ipv6"}
IN_LAN = {"list": "LAN", "interface": "bridge"}
WAY_OUT = {"dst-address": "::/0", "gateway": "fe80::9%ether1"}
NAT66 = {"chain": "srcnat", "action": "masquerade"}
SERVER = {"interface": "bridge", "address-pool": "guests"}
POOL = {"name": "guests", "prefix": "2001:db8:9::/64"}
Tables = dict[str, list[dict[str, str]]]

LIKE_MIKROTIKS = [
    ACCEPT | {"connection-state": "established,related,untracked"},
    DROP | {"connection-state": "invalid"},
    DROP | {"src-address-list": "bad_ipv6"},
    DROP | {"protocol": "icmpv6", "hop-limit": "equal:1"},
    ACCEPT | {"protocol": "icmpv6"},
    ACCEPT | {"protocol": "139"},
    ACCEPT | {"protocol": "udp", "dst-port": "500,4500"},
    ACCEPT | {"ipsec-policy": "in,ipsec"},
    DROP | {"in-interface-list": "!LAN"},
]
"""The chain `forward` of MikroTik's default IPv6 firewall."""


def reading(**tables: list[dict[str, str]]) -> Ipv6Reading:
    """Return what is read of a router with a hotspot on the bridge, router
    advertisements, and these rows: by the last part of a menu's path.
    """
    rows: dict[str, Any] = {
        "hotspot": [HOTSPOT],
        "nd": [{"interface": "all"}],
        **tables,
    }
    names = (print_.path.rpartition("/")[2] for print_ in ipv6_prints())

    return ipv6_reading(
        [Reply(rows.get(name.replace("-", "_"), [])) for name in names]
    )


def leaks(**tables: list[dict[str, str]]) -> list[str]:
    return ipv6_leaks(reading(**tables))


def addressed(*rules: dict[str, str], **tables: Any) -> Tables:
    """Return rows of a router that announces an address, with filter rules."""
    return {"address": [ADDRESS], "filter": list(rules), **tables}


@pytest.mark.parametrize(
    "tables",
    [
        addressed(),
        {"prefix": [PREFIX]},
        {"dhcp_server": [SERVER], "pool": [POOL]},
        {"dhcp_server": [SERVER]},
        {"address": [PRIVATE], "nat": [NAT66]},
        addressed(nd=[{"interface": "bridge", "ra-lifetime": "30m"}]),
        {
            "address": [
                ADDRESS | {"interface": "ether2", "actual-interface": "bridge"}
            ]
        },
        addressed(DROP | {"in-interface": "ether1"}),
        addressed(DROP | {"in-interface": "!bridge"}),
        addressed(DROP | {"connection-state": "invalid"}),
        addressed(DROP | {"connection-state": "!new"}),
        addressed(DROP | {"disabled": "true"}),
        addressed(DROP | {"chain": "input"}),
        addressed(DROP | {"src-address": "fe80::/10"}),
        addressed(DROP | {"dst-address": "fd00::/8"}),
        addressed(DROP | {"protocol": "udp"}),
        addressed(DROP | {"protocol": "tcp", "dst-port": "25,465"}),
        addressed(DROP | {"src-address-list": "bad_ipv6"}),
        addressed(DROP | {"in-interface-list": "none"}),
        addressed(DROP | {"in-interface-list": "GUESTS"}),
        addressed(ACCEPT),
        addressed(ACCEPT | {"in-interface": "bridge"}, DROP),
        addressed(ACCEPT | {"protocol": "6"}, DROP),
        addressed(
            ACCEPT | {"protocol": "tcp", "dst-port": "80,400-500"}, DROP
        ),
        addressed(ACCEPT | {"out-interface": "ether1"}, DROP, route=[WAY_OUT]),
        addressed(
            RULE | {"action": "jump", "jump-target": "guests"},
            DROP | {"chain": "guests", "in-interface": "ether9"},
        ),
        addressed(
            RULE | {"action": "jump", "jump-target": "guests"},
            RULE | {"chain": "guests", "action": "return"},
            DROP | {"chain": "guests"},
        ),
        addressed(
            RULE | {"action": "jump", "jump-target": "a"},
            RULE | {"chain": "a", "action": "jump", "jump-target": "a"},
        ),
        addressed(
            DROP | {"in-interface-list": "!LAN"},
            member=[IN_LAN | {"list": "GUESTS"}],
            list=[{"name": "LAN", "include": "GUESTS"}],
        ),
        addressed(*LIKE_MIKROTIKS, member=[IN_LAN]),
    ],
    ids=repr,
)
def test_s9_addresses_of_the_internet_behind_a_hotspot_are_a_leak(
    tables: Tables,
) -> None:
    assert leaks(**tables) == ["bridge"]


@pytest.mark.parametrize(
    "tables",
    [
        {},
        {"address": [ADDRESS | {"address": "fe80::1/64"}]},
        {"address": [PRIVATE]},
        {"address": [PRIVATE], "nat": [NAT66 | {"src-address": "fd01::/64"}]},
        {"address": [ADDRESS | {"interface": "ether1"}]},
        {"address": [ADDRESS | {"advertise": "false"}]},
        {"address": [ADDRESS | {"disabled": "true"}]},
        {"address": [ADDRESS | {"invalid": "true"}]},
        {"address": [ADDRESS | {"address": "nonsense"}]},
        {"prefix": [PREFIX | {"autonomous": "false"}]},
        {"dhcp_server": [SERVER | {"interface": "ether3"}], "pool": [POOL]},
        {"dhcp_server": [SERVER | {"address-pool": "static-only"}]},
        addressed(hotspot=[]),
        addressed(hotspot=[HOTSPOT | {"disabled": "true"}]),
        addressed(settings=[{"disable-ipv6": "true"}]),
        addressed(settings=[{"disable-ipv6": "false", "forward": "false"}]),
        addressed(nd=[]),
        addressed(nd=[{"interface": "all", "disabled": "true"}]),
        addressed(nd=[{"interface": "ether3"}]),
        addressed(
            nd=[
                {"interface": "all"},
                {"interface": "bridge", "ra-lifetime": "none"},
            ]
        ),
        addressed(DROP),
        addressed(DROP | {"in-interface": "bridge"}),
        addressed(DROP | {"in-interface": "!ether1"}),
        addressed(DROP | {"in-interface": "all-vlan"}),
        addressed(DROP | {"connection-state": "new"}),
        addressed(DROP | {"src-address": "2001:db8:7::/48"}),
        addressed(DROP | {"src-address": "2001:db8:7::-2001:db8:7:1::"}),
        addressed(DROP | {"src-address": "!fd00::/8"}),
        addressed(DROP | {"src-address": "from-the-future"}),
        addressed(DROP | {"dst-address": "2000::/3"}),
        addressed(DROP | {"out-interface": "ether1"}, route=[WAY_OUT]),
        addressed(
            DROP | {"out-interface": "pppoe"},
            route=[WAY_OUT | {"gateway": "pppoe"}],
        ),
        addressed(DROP | {"out-interface": "ether1"}),
        addressed(DROP | {"in-interface-list": "all"}),
        addressed(
            DROP | {"in-interface-list": "!WAN"},
            member=[IN_LAN],
        ),
        addressed(
            DROP | {"in-interface-list": "LAN"},
            list=[
                {"name": "LAN", "include": "GUESTS", "exclude": "WAN"},
                {"name": "GUESTS", "include": "a,b"},
            ],
            member=[IN_LAN | {"list": "b"}],
        ),
        addressed(
            RULE | {"action": "jump", "jump-target": "guests"},
            DROP | {"chain": "guests"},
        ),
        addressed(raw=[DROP | {"chain": "prerouting"}]),
        addressed(ACCEPT | {"dst-address": "2001:db8::/32"}, DROP),
        addressed(ACCEPT | {"out-interface": "server"}, DROP, route=[WAY_OUT]),
        addressed(*LIKE_MIKROTIKS),
        addressed(OURS, ACCEPT),
    ],
    ids=repr,
)
def test_s9_nobody_is_alarmed_for_nothing(tables: Tables) -> None:
    assert leaks(**tables) == []


def test_s9_a_list_that_cannot_be_read_alarms_nobody() -> None:
    rule = DROP | {"in-interface-list": "GUESTS"}
    known = reading(**addressed(rule))
    assert ipv6_leaks(known) == ["bridge"]

    replies: list[Reply | Trap] = []
    for print_ in ipv6_prints():
        rows = {"/ip/hotspot": [HOTSPOT], "/ipv6/address": [ADDRESS]}
        rows["/ipv6/firewall/filter"] = [rule]
        refused = Trap(print_.word, ["not enough permissions (9)"])
        known_row = print_.path in rows
        replies.append(Reply(rows[print_.path]) if known_row else refused)

    assert ipv6_leaks(ipv6_reading(replies)) == []


def test_s9_a_router_without_ipv6_has_no_leak() -> None:
    """RouterOS 6 without its package has none of the menus."""
    traps = [
        Trap(print_.word, ["no such command prefix"])
        for print_ in ipv6_prints()
    ]
    assert ipv6_leaks(ipv6_reading([Reply([HOTSPOT]), *traps[1:]])) == []
    assert ipv6_leaks(ipv6_reading(traps)) == []
    assert ipv6_leaks(ipv6_reading([])) == []


@pytest.mark.parametrize(
    ("tables", "shut"),
    [
        ({}, ["bridge"]),
        (addressed(), ["bridge"]),
        (addressed(OURS), ["bridge"]),
        (addressed(*LIKE_MIKROTIKS, member=[IN_LAN]), ["bridge"]),
        (addressed(DROP | {"src-address": "2001:db8:7::/64"}), ["bridge"]),
        (addressed(DROP | {"in-interface": "bridge"}), []),
        (addressed(*LIKE_MIKROTIKS), []),
        (addressed(settings=[{"disable-ipv6": "true"}]), []),
        ({"hotspot": []}, []),
        (
            {"hotspot": [HOTSPOT, HOTSPOT | {"interface": "vlan20"}]},
            ["bridge", "vlan20"],
        ),
    ],
    ids=repr,
)
def test_s9_a_rule_is_wanted_where_no_person_wrote_one(
    tables: Tables, shut: list[str]
) -> None:
    """Also where no phone is offered an address yet."""
    found = ipv6_to_shut(reading(**tables), OURS["comment"])
    assert found == tuple(shut)


@pytest.mark.parametrize("path", ["/ip/hotspot", "/ipv6/firewall/filter"])
def test_s9_no_rule_is_taken_for_unneeded_when_a_router_refuses(
    path: str,
) -> None:
    replies = [
        Trap(print_.word, ["interrupted"])
        if print_.path == path
        else Reply([])
        for print_ in ipv6_prints()
    ]
    assert ipv6_to_shut(ipv6_reading(replies), OURS["comment"]) is None
    assert ipv6_to_shut(ipv6_reading([]), OURS["comment"]) is None
