"""The menus of IPv6, and of interface lists, as data.

From MikroTik's manual: IPv6 addresses, neighbour discovery, IPv6 firewall,
interface lists.
"""

from __future__ import annotations

from ipaddress import IPv6Interface, IPv6Network

from simulator.errors import BAD_VALUE, Trap
from simulator.menu import Menu, Property, comment
from simulator.menus import BOOL, DISABLED
from simulator.values import Duration, Enum, Kind

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


ADDRESS = Menu(
    "/ipv6/address",
    (
        Property("address", Address(), required=True),
        Property("from-pool", default=""),
        Property("interface", required=True),
        Property("actual-interface", readonly=True),
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
            "actual-interface": "bridge",
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

FILTER = Menu(
    "/ipv6/firewall/filter",
    (
        Property("chain", required=True),
        Property(
            "action",
            Enum(("accept", "drop", "reject", "jump", "return", "log")),
            default="accept",
        ),
        Property("jump-target", unset=True),
        Property("in-interface", unset=True),
        Property("in-interface-list", unset=True),
        Property("out-interface", unset=True),
        Property("out-interface-list", unset=True),
        Property("src-address", Prefix(), unset=True),
        Property("dst-address", Prefix(), unset=True),
        Property("protocol", unset=True),
        Property("src-port", unset=True),
        Property("dst-port", unset=True),
        Property("connection-state", unset=True),
        comment(),
        DISABLED,
        Property("invalid", BOOL, default="false", readonly=True),
        Property("dynamic", BOOL, default="false", readonly=True),
    ),
    verbs=frozenset(
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
    ),
    ordered=True,
)

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

MENUS = (ADDRESS, ND, ND_PREFIX, FILTER, SETTINGS, LIST_MEMBER)
