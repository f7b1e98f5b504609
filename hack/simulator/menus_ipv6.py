"""The menus of IPv6, and of the interfaces that it is on, as data.

From MikroTik's manual: IPv6 addresses, neighbour discovery, DHCPv6 server,
IPv6 pools, IPv6 firewall, IPv6 routes, interface lists, VLAN, bridge ports.
"""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Interface, IPv6Network

from simulator.errors import BAD_VALUE, Trap
from simulator.menu import Menu, MenuRouter, Property, comment
from simulator.menus import BOOL, DISABLED, by
from simulator.row import Row
from simulator.values import Duration, Enum, Int, Kind

WEEK, MONTH = "1w", "4w2d"


class Address(Kind):
    """An IPv6 address with its prefix length, /64 where none is given."""

    def _parse(self, name: str, text: str) -> str:
        try:
            return str(IPv6Interface(text if "/" in text else f"{text}/64"))
        except ValueError:
            raise Trap(
                f"invalid value for argument {name}", BAD_VALUE
            ) from None


class Prefix(Kind):
    """An IPv6 network."""

    def _parse(self, name: str, text: str) -> str:
        try:
            return str(IPv6Network(text, strict=False))
        except ValueError:
            raise Trap(
                f"invalid value for argument {name}", BAD_VALUE
            ) from None


class Matched(Kind):
    """What a rule matches an address against: a network, a range, each with
    `!` before it for all but that.
    """

    def _parse(self, name: str, text: str) -> str:
        exclamation = "!" if text.startswith("!") else ""
        first, dash, last = text.removeprefix("!").partition("-")
        if not dash:
            return exclamation + Prefix().parse(name, first)
        try:
            return f"{exclamation}{IPv6Address(first)}-{IPv6Address(last)}"
        except ValueError:
            raise Trap(
                f"invalid value for argument {name}", BAD_VALUE
            ) from None


def actual_interface(router: MenuRouter, name: str) -> str:
    """Return the interface that works for another one: the bridge for its
    ports, else itself.
    """
    for row in router.tables["/interface/bridge/port"].rows.values():
        if row.values["interface"] == name and (
            row.values["disabled"] == "false"
        ):
            return row.values["bridge"]
    return name


def _actual_interface(router: MenuRouter, row: Row) -> str:
    return actual_interface(router, row.values["interface"])


ADDRESS = Menu(
    "/ipv6/address",
    (
        Property("address", Address(), required=True),
        Property("from-pool", default=""),
        Property("interface", required=True),
        Property("actual-interface", computed=_actual_interface),
        Property("eui-64", BOOL, default="false"),
        Property("advertise", BOOL, default="true"),
        Property("no-dad", BOOL, default="false"),
        comment(),
        DISABLED,
        Property("invalid", BOOL, default="false", readonly=True),
        Property("dynamic", BOOL, default="false", readonly=True),
        Property("link-local", BOOL, default="false", readonly=True),
    ),
    initial=(
        {
            "address": "fe80::2ec8:1bff:fe00:1/64",
            "interface": "bridge",
            "advertise": "false",
            "dynamic": "true",
            "link-local": "true",
        },
    ),
)

ND = Menu(
    "/ipv6/nd",
    (
        Property("interface", required=True),
        Property("ra-interval", default="3m20s-10m"),
        Property("ra-lifetime", Duration(("none",)), default="30m"),
        Property("advertise-mac-address", BOOL, default="true"),
        Property("advertise-dns", BOOL, default="true"),
        Property("managed-address-configuration", BOOL, default="false"),
        Property("other-configuration", BOOL, default="false"),
        comment(),
        DISABLED,
        Property("invalid", BOOL, default="false", readonly=True),
        Property("default", BOOL, readonly=True),
    ),
    initial=({"interface": "all", "default": "true"},),
)

ND_PREFIX = Menu(
    "/ipv6/nd/prefix",
    (
        Property("prefix", Prefix(), required=True),
        Property("interface", required=True),
        Property("on-link", BOOL, default="true"),
        Property("autonomous", BOOL, default="true"),
        Property("valid-lifetime", Duration(), default=MONTH),
        Property("preferred-lifetime", Duration(), default=WEEK),
        comment(),
        DISABLED,
        Property("invalid", BOOL, default="false", readonly=True),
        Property("dynamic", BOOL, default="false", readonly=True),
    ),
)

DHCP_SERVER = Menu(
    "/ipv6/dhcp-server",
    (
        Property("name", required=True),
        Property("interface", required=True),
        Property("address-pool", default="static-only"),
        Property("prefix-pool", default="static-only", since=(7, 17)),
        Property("lease-time", Duration(), default="3d"),
        comment(),
        DISABLED,
        Property("invalid", BOOL, default="false", readonly=True),
        Property("dynamic", BOOL, default="false", readonly=True),
    ),
    unique=(by("name"),),
)

POOL = Menu(
    "/ipv6/pool",
    (
        Property("name", required=True),
        Property("prefix", Prefix(), required=True),
        Property("prefix-length", Int(1, 128), required=True),
        comment(),
        Property("dynamic", BOOL, default="false", readonly=True),
    ),
    unique=(by("name"),),
)

ROUTE = Menu(
    "/ipv6/route",
    (
        Property("dst-address", Prefix(), default="::/0"),
        Property("gateway"),
        Property("distance", Int(1, 255), default="1"),
        comment(),
        DISABLED,
        Property("active", BOOL, default="true", readonly=True),
        Property("dynamic", BOOL, default="false", readonly=True),
    ),
)

_MATCHERS = (
    Property("jump-target", unset=True),
    Property("in-interface", unset=True),
    Property("in-interface-list", unset=True),
    Property("out-interface", unset=True),
    Property("out-interface-list", unset=True),
    Property("src-address", Matched(), unset=True),
    Property("dst-address", Matched(), unset=True),
    Property("src-address-list", unset=True),
    Property("dst-address-list", unset=True),
    Property("protocol", unset=True),
    Property("src-port", unset=True),
    Property("dst-port", unset=True),
    Property("connection-state", unset=True),
    Property("hop-limit", unset=True),
    Property("ipsec-policy", unset=True),
)

_VERBS = frozenset(
    {
        "add",
        "set",
        "remove",
        "enable",
        "disable",
        "comment",
        "move",
        "unset",
    }
)


def _firewall(table: str, *actions: str) -> Menu:
    """Return one of the tables of the IPv6 firewall."""
    every = ("accept", "jump", "return", "log", "passthrough")

    return Menu(
        f"/ipv6/firewall/{table}",
        (
            Property("chain", required=True),
            Property("action", Enum((*every, *actions)), default="accept"),
            *_MATCHERS,
            Property("reject-with", unset=True),
            Property("to-address", Matched(), unset=True),
            comment(),
            DISABLED,
            Property("invalid", BOOL, default="false", readonly=True),
            Property("dynamic", BOOL, default="false", readonly=True),
        ),
        verbs=_VERBS,
        ordered=True,
    )


FILTER = _firewall("filter", "drop", "reject", "fasttrack-connection")
RAW = _firewall("raw", "drop", "notrack")
NAT = _firewall("nat", "masquerade", "src-nat", "dst-nat", "netmap")

SETTINGS = Menu(
    "/ipv6/settings",
    (
        Property("disable-ipv6", BOOL, default="false"),
        Property("forward", BOOL, default="true"),
    ),
    verbs=frozenset({"set"}),
    singleton=True,
)

LIST_MEMBER = Menu(
    "/interface/list/member",
    (
        Property("list", required=True),
        Property("interface", required=True),
        comment(),
        DISABLED,
        Property("dynamic", BOOL, default="false", readonly=True),
    ),
)

INTERFACE_LIST = Menu(
    "/interface/list",
    (
        Property("name", required=True),
        Property("include", default=""),
        Property("exclude", default=""),
        comment(),
        Property("builtin", BOOL, default="false", readonly=True),
        Property("dynamic", BOOL, default="false", readonly=True),
    ),
    initial=tuple(
        {"name": name, "builtin": "true"}
        for name in ("all", "none", "dynamic", "static")
    ),
    unique=(by("name"),),
)

BRIDGE_PORT = Menu(
    "/interface/bridge/port",
    (
        Property("interface", required=True),
        Property("bridge", required=True),
        Property("pvid", Int(1, 4094), default="1"),
        comment(),
        DISABLED,
        Property("dynamic", BOOL, default="false", readonly=True),
    ),
)

VLAN = Menu(
    "/interface/vlan",
    (
        Property("name", required=True),
        Property("interface", required=True),
        Property("vlan-id", Int(1, 4094), default="1"),
        Property("mtu", Int(68, 65535), default="1500"),
        comment(),
        DISABLED,
        Property("running", BOOL, default="true", readonly=True),
    ),
    unique=(by("name"),),
)

MENUS = (
    ADDRESS,
    ND,
    ND_PREFIX,
    DHCP_SERVER,
    POOL,
    ROUTE,
    FILTER,
    RAW,
    NAT,
    SETTINGS,
    INTERFACE_LIST,
    LIST_MEMBER,
    BRIDGE_PORT,
    VLAN,
)
