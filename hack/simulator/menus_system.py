"""The menus of the router itself as data: system, router users, services."""

from __future__ import annotations

from simulator import computed
from simulator.menu import TEXT, Menu, Property, Unique, comment
from simulator.menus import BOOL, COUNT, DISABLED, by
from simulator.rights import POLICIES
from simulator.values import (
    Duration,
    Enum,
    Int,
    PrefixList,
    Reference,
    WordSet,
)

_NONE: frozenset[str] = frozenset()

IDENTITY = Menu(
    "/system/identity",
    (Property("name", default="MikroTik"),),
    verbs=frozenset({"set"}),
    singleton=True,
)

RESOURCE = Menu(
    "/system/resource",
    (
        Property(
            "uptime",
            Duration(),
            computed=lambda router, _row: router.uptime_text(),
        ),
        Property(
            "version",
            computed=lambda router, _row: f"{router.options.version} (stable)",
        ),
        Property("build-time", default="2026-01-15 09:12:33", readonly=True),
        Property("factory-software", default="7.1", readonly=True),
        Property("free-memory", COUNT, default="783003648", readonly=True),
        Property("total-memory", COUNT, default="1073741824", readonly=True),
        Property("cpu", default="ARM64", readonly=True),
        Property("cpu-count", COUNT, default="4", readonly=True),
        Property("cpu-frequency", COUNT, default="864", readonly=True),
        Property("cpu-load", COUNT, default="3", readonly=True),
        Property(
            "free-hdd-space",
            COUNT,
            computed=lambda router, _row: (
                "0" if router.options.disk_full else "92274688"
            ),
        ),
        Property("total-hdd-space", COUNT, default="134217728", readonly=True),
        Property(
            "write-sect-since-reboot", COUNT, default="1184", readonly=True
        ),
        Property("write-sect-total", COUNT, default="20318", readonly=True),
        Property("bad-blocks", default="0", readonly=True),
        Property("architecture-name", default="arm64", readonly=True),
        Property(
            "board-name",
            computed=lambda router, _row: (
                "CHR" if router.options.chr else "hAP ax^2"
            ),
        ),
        Property("platform", default="MikroTik", readonly=True),
    ),
    verbs=_NONE,
    singleton=True,
)

ROUTERBOARD = Menu(
    "/system/routerboard",
    (
        Property("routerboard", BOOL, default="true", readonly=True),
        Property("board-name", default="hAP ax^2", readonly=True),
        Property("model", default="C52iG-5HaxD2HaxD", readonly=True),
        Property(
            "serial-number",
            computed=lambda router, _row: router.options.serial,
        ),
        Property("firmware-type", default="ipq6000", readonly=True),
        Property("factory-firmware", default="7.1", readonly=True),
        Property(
            "current-firmware",
            computed=lambda router, _row: router.options.version,
        ),
        Property(
            "upgrade-firmware",
            computed=lambda router, _row: router.options.version,
        ),
    ),
    verbs=_NONE,
    singleton=True,
    absent=lambda router: router.options.chr,
)

LICENSE = Menu(
    "/system/license",
    (
        Property("software-id", default="SIMU-LATE", readonly=True),
        Property(
            "nlevel",
            computed=lambda router, _row: router.options.license_level,
        ),
        Property("features", default="", readonly=True),
    ),
    verbs=_NONE,
    singleton=True,
)

DEVICE_MODE = Menu(
    "/system/device-mode",
    (
        Property(
            "mode",
            computed=lambda router, _row: (
                "advanced" if router.options.device_mode_hotspot else "home"
            ),
        ),
        Property(
            "hotspot",
            BOOL,
            computed=lambda router, _row: (
                "true" if router.options.device_mode_hotspot else "false"
            ),
        ),
        Property(
            "scheduler",
            BOOL,
            computed=lambda router, _row: (
                "true" if router.options.device_mode_scheduler else "false"
            ),
        ),
    ),
    verbs=_NONE,
    singleton=True,
)

GROUPS = Menu(
    "/user/group",
    (
        Property("name", required=True),
        Property(
            "policy",
            WordSet(POLICIES),
            computed=computed.policies,
            accepts=True,
        ),
        Property("skin", default="default"),
        comment(),
    ),
    verbs=frozenset({"add", "set", "remove", "comment"}),
    unique=(by("name"),),
    write_policy="policy",
    removable=computed.group_unused,
)


USERS = Menu(
    "/user",
    (
        Property("name", required=True),
        Property("group", Reference("/user/group"), required=True),
        Property("password", TEXT, write_only=True),
        Property(
            "address", PrefixList(mask=False), default="", empty_unsets=False
        ),
        DISABLED,
        comment(),
        Property(
            "inactivity-policy",
            Enum(("none", "logout", "lockscreen")),
            default="none",
            since=(7, 16),
        ),
        Property(
            "inactivity-timeout", Duration(), default="10m", since=(7, 16)
        ),
        Property("expired", BOOL, default="false", readonly=True),
        Property("last-logged-in", readonly=True),
    ),
    unique=(
        Unique(
            lambda row: row["name"],
            "failure: user with the same name already exists",
            False,
        ),
    ),
    write_policy="policy",
    removable=computed.not_last_full_user,
)

USER_ACTIVE = Menu(
    "/user/active",
    (
        Property("name", readonly=True),
        Property("address", readonly=True),
        Property("via", readonly=True),
        Property("group", readonly=True),
        Property("when", readonly=True),
        Property("radius", BOOL, default="false", readonly=True),
        Property("by-romon", BOOL, default="false", readonly=True),
    ),
    verbs=frozenset({"remove"}),
    volatile=True,
    write_policy="policy",
)

SERVICES = Menu(
    "/ip/service",
    (
        Property("name", readonly=True),
        Property("port", Int(1, 65535)),
        Property("address", PrefixList(mask=True), default=""),
        DISABLED,
        Property("certificate"),
        Property("tls-version", Enum(("any", "only-1.2"))),
        Property("vrf", default="main"),
        Property("max-sessions", Int(1, 1000), default="20", since=(7, 16)),
        Property("invalid", BOOL, default="false", readonly=True),
        Property(
            "dynamic", BOOL, default="false", readonly=True, since=(7, 19)
        ),
        Property("connection", BOOL, readonly=True, since=(7, 19)),
        Property("local", readonly=True, since=(7, 19)),
        Property("remote", readonly=True, since=(7, 19)),
        Property("proto", readonly=True, since=(7, 19)),
    ),
    verbs=frozenset({"set", "enable", "disable"}),
    initial=(
        {"name": "telnet", "port": "23", "disabled": "true"},
        {"name": "ftp", "port": "21", "disabled": "true"},
        {"name": "www", "port": "80"},
        {"name": "ssh", "port": "22"},
        {
            "name": "www-ssl",
            "port": "443",
            "disabled": "true",
            "certificate": "none",
            "tls-version": "any",
        },
        {"name": "api", "port": "8728"},
        {"name": "winbox", "port": "8291"},
        {
            "name": "api-ssl",
            "port": "8729",
            "disabled": "true",
            "certificate": "none",
            "tls-version": "any",
        },
    ),
)

SAFE_MODE = Menu(
    "/safe-mode",
    (
        Property(
            "enabled",
            BOOL,
            computed=lambda router, _row: (
                "false" if router.safe_mode.user is None else "true"
            ),
        ),
        Property("user", computed=lambda router, _row: router.safe_mode.user),
    ),
    verbs=_NONE,
    singleton=True,
    absent=lambda router: router.version < (7, 18),
)

MENUS = (
    SAFE_MODE,
    IDENTITY,
    RESOURCE,
    ROUTERBOARD,
    LICENSE,
    DEVICE_MODE,
    GROUPS,
    USERS,
    USER_ACTIVE,
    SERVICES,
)
