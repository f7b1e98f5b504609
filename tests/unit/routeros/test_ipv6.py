"""Whether IPv6 leads past a hotspot (case S9). Pure."""

from __future__ import annotations

from typing import Any

import pytest

from cerebro.routeros.client.command import Reply
from cerebro.routeros.client.errors import Trap
from cerebro.routeros.ipv6 import ipv6_leaks, ipv6_prints, ipv6_reading

HOTSPOT = {"interface": "bridge", "disabled": "false", "invalid": "false"}
ADDRESS = {
    "address": "2001:db8:7::1/64",
    "interface": "bridge",
    "advertise": "true",
}
PREFIX = {"prefix": "2001:db8:7::/64", "interface": "bridge"}
DROP = {"chain": "forward", "action": "drop", ".id": "*1"}
IN_LAN = {"list": "LAN", "interface": "bridge"}


def leaks(**tables: list[dict[str, str]]) -> list[str]:
    """Return the leaks of a router with a hotspot on the bridge and these rows."""
    rows: dict[str, Any] = {"hotspots": [HOTSPOT], **tables}
    names = ("hotspots", "addresses", "prefixes", "rules", "members")
    replies = [Reply(rows.get(name, [])) for name in (*names, "settings")]

    return ipv6_leaks(ipv6_reading(replies))


@pytest.mark.parametrize(
    "tables",
    [
        {"addresses": [ADDRESS]},
        {"prefixes": [PREFIX]},
        {"addresses": [ADDRESS], "rules": [DROP | {"in-interface": "ether1"}]},
        {
            "addresses": [ADDRESS],
            "rules": [DROP | {"in-interface": "!bridge"}],
        },
        {
            "addresses": [ADDRESS],
            "rules": [DROP | {"connection-state": "invalid"}],
        },
        {
            "addresses": [ADDRESS],
            "rules": [DROP | {"in-interface-list": "!LAN"}],
            "members": [IN_LAN],
        },
        {"addresses": [ADDRESS], "rules": [DROP | {"disabled": "true"}]},
        {"addresses": [ADDRESS], "rules": [DROP | {"action": "accept"}]},
    ],
    ids=repr,
)
def test_s9_addresses_of_the_internet_behind_a_hotspot_are_a_leak(
    tables: dict[str, list[dict[str, str]]],
) -> None:
    assert leaks(**tables) == ["bridge"]


@pytest.mark.parametrize(
    "tables",
    [
        {},
        {"addresses": [ADDRESS | {"address": "fe80::1/64"}]},
        {"addresses": [ADDRESS | {"address": "fd00::1/64"}]},
        {"addresses": [ADDRESS | {"interface": "ether1"}]},
        {"addresses": [ADDRESS | {"advertise": "false"}]},
        {"addresses": [ADDRESS | {"disabled": "true"}]},
        {"addresses": [ADDRESS | {"invalid": "true"}]},
        {"addresses": [ADDRESS | {"address": "nonsense"}]},
        {"addresses": [ADDRESS], "hotspots": []},
        {
            "addresses": [ADDRESS],
            "hotspots": [HOTSPOT | {"disabled": "true"}],
        },
        {"addresses": [ADDRESS], "settings": [{"disable-ipv6": "true"}]},
        {"addresses": [ADDRESS], "rules": [DROP]},
        {"addresses": [ADDRESS], "rules": [DROP | {"in-interface": "bridge"}]},
        {
            "addresses": [ADDRESS],
            "rules": [DROP | {"in-interface": "!ether1"}],
        },
        {
            "addresses": [ADDRESS],
            "rules": [DROP | {"in-interface-list": "GUESTS"}],
        },
        {
            "addresses": [ADDRESS],
            "rules": [DROP | {"in-interface-list": "!WAN"}],
            "members": [IN_LAN],
        },
        {
            "addresses": [ADDRESS],
            "rules": [DROP | {"in-interface": "bridge", "action": "jump"}],
        },
    ],
    ids=repr,
)
def test_s9_nobody_is_alarmed_for_nothing(
    tables: dict[str, list[dict[str, str]]],
) -> None:
    assert leaks(**tables) == []


def test_s9_a_router_without_ipv6_has_no_leak() -> None:
    """RouterOS 6 without its package has none of the menus."""
    traps = [
        Trap(print_.word, ["no such command prefix"])
        for print_ in ipv6_prints()
    ]
    assert ipv6_leaks(ipv6_reading([Reply([HOTSPOT]), *traps[1:]])) == []
    assert ipv6_leaks(ipv6_reading(traps)) == []
    assert ipv6_leaks(ipv6_reading([])) == []
