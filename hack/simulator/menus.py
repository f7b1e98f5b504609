"""The hotspot and firewall menus as data."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from simulator import computed
from simulator.menu import Menu, Property, Unique, comment
from simulator.values import (
    Address,
    AddressRange,
    Bool,
    Duration,
    Enum,
    Int,
    Mac,
    Reference,
)

BOOL = Bool()
MAC = Mac()
ADDRESS = Address()
COUNT = Int()
OR_UNLIMITED = Int(1, keywords=("unlimited",))
SPAN = Duration(("none",))
DISABLED = Property("disabled", BOOL, default="false")
SERVER = Reference("/ip/hotspot", ("all",))


def _counters() -> tuple[Property, ...]:
    names = ("bytes-in", "bytes-out", "packets-in", "packets-out")
    return tuple(
        Property(name, COUNT, computed=computed.counter(name))
        for name in names
    )


def _flags(*names: str) -> tuple[Property, ...]:
    return tuple(Property(name, BOOL, readonly=True) for name in names)


def _text(*names: str) -> tuple[Property, ...]:
    return tuple(Property(name, readonly=True) for name in names)


def by(*names: str, fallback: str = "") -> Unique:
    """Return the uniqueness of the given properties, refused as an already
    existing entry with such a name.
    """
    return Unique(
        lambda row: tuple(row.get(n, fallback) for n in names),
        "failure: already have such name",
        False,
    )


def _binding_key(row: Mapping[str, str]) -> Hashable | None:
    # Reference 3: the exact key is not documented; the same MAC for the same
    # server is refused, and the same address where no MAC is given.
    if "mac-address" in row:
        return row["mac-address"], row.get("server", "all")
    return row.get("address")


IP_BINDING = Menu(
    "/ip/hotspot/ip-binding",
    (
        Property("address", AddressRange(collapse=False)),
        Property("mac-address", MAC),
        Property("to-address", ADDRESS),
        Property("server", SERVER),
        Property(
            "type", Enum(("regular", "bypassed", "blocked")), empty_unsets=True
        ),
        comment(),
        DISABLED,
        Property("bypassed", BOOL, computed=computed.binding_flag("bypassed")),
        Property("blocked", BOOL, computed=computed.binding_flag("blocked")),
    ),
    verbs=frozenset(
        {"add", "set", "remove", "enable", "disable", "comment", "move"}
    ),
    ordered=True,
    unique=(Unique(_binding_key, "failure: such client already exists"),),
)

SERVERS = Menu(
    "/ip/hotspot",
    (
        Property("name", required=True),
        Property("interface", required=True),
        Property("address-pool", default="none"),
        Property(
            "profile", Reference("/ip/hotspot/profile"), default="default"
        ),
        Property("idle-timeout", SPAN, default="5m"),
        Property("keepalive-timeout", SPAN, default="none"),
        Property("login-timeout", SPAN, default="none"),
        Property("addresses-per-mac", OR_UNLIMITED, default="2"),
        DISABLED,
        *_flags("invalid", "HTTPS"),
        *_text("ip-of-dns-name", "proxy-status"),
    ),
    unique=(by("name"),),
    initial=(
        {
            "name": "hotspot1",
            "interface": "bridge",
            "HTTPS": "false",
            "proxy-status": "running",
        },
    ),
)

PROFILES = Menu(
    "/ip/hotspot/profile",
    (
        Property("name", required=True),
        Property("hotspot-address", ADDRESS, default="0.0.0.0"),  # noqa: S104
        Property("dns-name", default=""),
        Property("html-directory", default="hotspot"),
        Property("http-cookie-lifetime", SPAN, default="3d"),
        Property("login-by", default="cookie,http-chap"),
        Property("mac-auth-mode", default="mac-as-username"),
        Property("use-radius", BOOL, default="false"),
        Property("split-user-domain", BOOL, default="false"),
        Property("rate-limit"),
        *_flags("default"),
    ),
    verbs=frozenset({"add", "set", "remove"}),
    unique=(by("name"),),
    initial=({"name": "default", "default": "true"},),
)

USER_PROFILES = Menu(
    "/ip/hotspot/user/profile",
    (
        Property("name", required=True),
        Property("shared-users", OR_UNLIMITED, default="1"),
        Property("keepalive-timeout", SPAN, default="2m", unset=True),
        Property("idle-timeout", SPAN, default="none", unset=True),
        Property("status-autorefresh", SPAN, default="1m"),
        Property("add-mac-cookie", BOOL, default="true"),
        Property("mac-cookie-timeout", SPAN, default="3d", unset=True),
        Property(
            "open-status-page",
            Enum(("always", "http-login")),
            default="always",
        ),
        Property("transparent-proxy", BOOL, default="false"),
        Property("advertise", BOOL, default="false"),
        Property("address-pool", default="none"),
        Property("address-list", default=""),
        Property("rate-limit"),
        Property("session-timeout", SPAN),
        Property("parent-queue", unset=True),
        Property("queue-type", unset=True),
        Property("insert-queue-before", unset=True),
        Property("on-login"),
        Property("on-logout"),
        Property("incoming-filter"),
        Property("outgoing-filter"),
        Property("incoming-packet-mark"),
        Property("outgoing-packet-mark"),
        *_flags("default"),
    ),
    verbs=frozenset({"add", "set", "remove", "unset"}),
    unique=(by("name"),),
    initial=({"name": "default", "default": "true"},),
)

USERS = Menu(
    "/ip/hotspot/user",
    (
        Property("name", required=True),
        Property("password", secret=True),
        Property(
            "profile", Reference("/ip/hotspot/user/profile"), default="default"
        ),
        Property("server", SERVER, default="all"),
        Property("address", ADDRESS),
        Property("mac-address", MAC),
        Property("limit-uptime", Duration()),
        Property("limit-bytes-in", Int(suffixes=True)),
        Property("limit-bytes-out", Int(suffixes=True)),
        Property("limit-bytes-total", Int(suffixes=True)),
        Property("email"),
        Property("routes"),
        Property("otp-secret", secret=True, since=(7, 21)),
        comment(),
        DISABLED,
        Property("uptime", Duration(), computed=computed.user_uptime),
        *_counters(),
        *_flags("dynamic", "default"),
    ),
    unique=(
        Unique(
            lambda row: (row["name"], row.get("server", "all")),
            "failure: already have user with this name for this server",
            enabled_only=False,
        ),
    ),
    initial=(
        {"name": "default-trial", "default": "true", "dynamic": "false"},
    ),
)

HOSTS = Menu(
    "/ip/hotspot/host",
    (
        Property("mac-address", MAC, readonly=True),
        Property("address", ADDRESS, readonly=True),
        Property("to-address", ADDRESS, readonly=True),
        Property("server", SERVER, readonly=True),
        *_text("bridge-port", "found-by", "comment"),
        Property("uptime", Duration(), computed=computed.age),
        Property("idle-time", Duration(), computed=computed.idle),
        Property("idle-timeout", SPAN, readonly=True),
        *_counters(),
        *_flags(
            "authorized", "bypassed", "blocked", "DHCP", "static", "dynamic"
        ),
    ),
    verbs=frozenset({"remove", "make-binding"}),
    volatile=True,
)

ACTIVE = Menu(
    "/ip/hotspot/active",
    (
        Property("user", readonly=True),
        Property("address", ADDRESS, readonly=True),
        Property("mac-address", MAC, readonly=True),
        Property("server", SERVER, readonly=True),
        *_text("login-by", "domain", "comment"),
        Property("uptime", Duration(), computed=computed.age),
        Property("idle-time", Duration(), computed=computed.idle),
        Property("session-time-left", Duration(), computed=computed.time_left),
        *_counters(),
        *_flags("radius", "blocked"),
    ),
    verbs=frozenset({"remove", "login"}),
    volatile=True,
)

COOKIES = Menu(
    "/ip/hotspot/cookie",
    (
        Property("user", readonly=True),
        Property("domain", readonly=True),
        Property("mac-address", MAC, readonly=True),
        Property("expires-in", Duration(), computed=computed.remaining),
        Property("mac-cookie", BOOL, readonly=True),
    ),
    verbs=frozenset({"remove"}),
)

WALLED_GARDEN_IP = Menu(
    "/ip/hotspot/walled-garden/ip",
    (
        Property(
            "action", Enum(("accept", "drop", "reject")), default="accept"
        ),
        Property("server", SERVER, unset=True),
        Property("src-address", AddressRange(), unset=True),
        Property("src-address-list", unset=True),
        Property("dst-address", AddressRange(), unset=True),
        Property("dst-address-list", unset=True),
        Property("dst-host"),
        Property("protocol", unset=True),
        Property("dst-port", unset=True),
        comment(),
        DISABLED,
        *_flags("invalid"),
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

ADDRESS_LIST = Menu(
    "/ip/firewall/address-list",
    (
        Property("list", required=True),
        Property("address", AddressRange(names=True), required=True),
        Property(
            "timeout", Duration(), computed=computed.remaining, accepts=True
        ),
        DISABLED,
        comment(),
        Property("creation-time", readonly=True),
        Property("dynamic", BOOL, readonly=True),
    ),
    unique=(
        Unique(
            lambda row: (row["list"], row["address"]),
            "failure: already have such entry",
        ),
    ),
    changed=computed.list_entry_changed,
)

CONNECTIONS = Menu(
    "/ip/firewall/connection",
    (
        Property("protocol", readonly=True),
        Property("src-address", ADDRESS, readonly=True),
        Property("dst-address", ADDRESS, readonly=True),
        Property("reply-src-address", ADDRESS, readonly=True),
        Property("reply-dst-address", ADDRESS, readonly=True),
        Property("tcp-state", readonly=True),
        Property("timeout", Duration(), computed=computed.remaining),
        Property("orig-bytes", COUNT, computed=computed.counter("bytes-out")),
        Property(
            "orig-packets", COUNT, computed=computed.counter("packets-out")
        ),
        Property("repl-bytes", COUNT, computed=computed.counter("bytes-in")),
        Property(
            "repl-packets", COUNT, computed=computed.counter("packets-in")
        ),
        *_flags(
            "assured",
            "seen-reply",
            "confirmed",
            "fasttrack",
            "dying",
            "srcnat",
            "dstnat",
        ),
    ),
    verbs=frozenset({"remove"}),
    volatile=True,
)

ARP = Menu(
    "/ip/arp",
    (
        Property("address", ADDRESS, required=True),
        Property("interface", required=True),
        Property("mac-address", MAC),
        Property("published", BOOL, default="false"),
        comment(),
        DISABLED,
        *_flags("complete", "dhcp", "dynamic", "invalid"),
        *_text("status"),
    ),
)

MENUS = (
    SERVERS,
    PROFILES,
    IP_BINDING,
    HOSTS,
    ACTIVE,
    COOKIES,
    USERS,
    USER_PROFILES,
    WALLED_GARDEN_IP,
    ADDRESS_LIST,
    CONNECTIONS,
    ARP,
)
