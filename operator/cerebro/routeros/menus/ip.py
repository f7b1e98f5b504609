"""The menus of addresses, routes, input rules and services that we use, for
IPv4 (`/ip`) and IPv6 (`/ipv6`).
"""

from __future__ import annotations

from cerebro.routeros.menus.menu import (
    Menu,
    address,
    boolean,
    host_address,
    listed,
    plain,
)


def addresses(family: str) -> Menu:
    """Return the menu of addresses; `family` is `/ip` or `/ipv6`."""
    more = "network" if family == "/ip" else "advertise"

    return Menu(
        path=f"{family}/address",
        key=("address", "interface"),
        compared={
            "address": host_address,
            more: boolean,
            "interface": plain,
            "comment": plain,
            "disabled": boolean,
        },
        defaults={"disabled": "false"},
        may_be_dynamic=True,
    )


def routes(family: str) -> Menu:
    """Return the menu of routes; `family` is `/ip` or `/ipv6`."""
    return Menu(
        path=f"{family}/route",
        key=("dst-address", "gateway"),
        compared={
            "dst-address": address,
            "gateway": plain,
            "comment": plain,
            "disabled": boolean,
        },
        defaults={"disabled": "false"},
        may_be_dynamic=True,
    )


def filters(family: str) -> Menu:
    """Return the menu of filter rules; `family` is `/ip` or `/ipv6`. A
    property that is absent does not match anything there.
    """
    return Menu(
        path=f"{family}/firewall/filter",
        key=("comment",),
        compared={
            "chain": plain,
            "action": plain,
            "in-interface": plain,
            "src-address": address,
            "protocol": plain,
            "dst-port": plain,
            "comment": plain,
            "disabled": boolean,
        },
        defaults={"disabled": "false"},
        removable=("in-interface", "src-address", "protocol", "dst-port"),
        may_be_dynamic=True,
        ordered=True,
    )


SERVICE = Menu(
    path="/ip/service",
    key=("name",),
    compared={
        "address": listed(address),
        "disabled": boolean,
        "port": plain,
    },
    defaults={"address": "", "disabled": "false"},
    may_be_dynamic=True,
)
"""Its rows are fixed; from RouterOS 7.19 each open connection has a dynamic
one.
"""
