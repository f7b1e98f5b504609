"""The menus of the hotspot that we use."""

from __future__ import annotations

from cerebro.routeros.menus.menu import Menu, address, boolean, mac, plain

IP_BINDING = Menu(
    path="/ip/hotspot/ip-binding",
    key=("mac-address", "address", "server"),
    compared={
        "mac-address": mac,
        "address": address,
        "server": plain,
        "type": plain,
        "disabled": boolean,
        "comment": plain,
    },
    defaults={"server": "all", "type": "regular", "disabled": "false"},
    ordered=True,
)


HOST = Menu(
    path="/ip/hotspot/host",
    key=("mac-address", "address"),
    compared={"mac-address": mac, "address": address},
    read=("to-address", "server", "authorized", "bypassed", "blocked"),
)


ACTIVE = Menu(
    path="/ip/hotspot/active",
    key=("mac-address", "address"),
    compared={"mac-address": mac, "address": address},
    read=("user", "login-by"),
)


COOKIE = Menu(
    path="/ip/hotspot/cookie",
    key=("mac-address",),
    compared={"mac-address": mac},
    read=("user",),
)


USER = Menu(
    path="/ip/hotspot/user",
    key=("name", "server"),
    compared={
        "name": plain,
        "server": plain,
        "profile": plain,
        "disabled": boolean,
        "comment": plain,
    },
    defaults={"server": "all", "profile": "default", "disabled": "false"},
    read=("password",),
    may_be_dynamic=True,
)
"""`password` reads `*****` for a user without the policy `sensitive`, so it is
not among what is compared.
"""
