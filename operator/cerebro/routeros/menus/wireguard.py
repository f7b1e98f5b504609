"""The menus of WireGuard that we use. No key that is secret is read."""

from __future__ import annotations

from cerebro.routeros.menus.menu import (
    Menu,
    address,
    boolean,
    duration,
    listed,
    plain,
)

WIREGUARD = Menu(
    path="/interface/wireguard",
    key=("name",),
    compared={
        "name": plain,
        "mtu": plain,
        "comment": plain,
        "disabled": boolean,
    },
    defaults={"mtu": "1420", "disabled": "false"},
)


WIREGUARD_PEERS = Menu(
    path="/interface/wireguard/peers",
    key=("interface", "public-key"),
    compared={
        "interface": plain,
        "public-key": plain,
        "allowed-address": listed(address),
        "endpoint-address": plain,
        "endpoint-port": plain,
        "persistent-keepalive": duration,
        "comment": plain,
        "disabled": boolean,
    },
    defaults={
        "allowed-address": "",
        "endpoint-address": "",
        "endpoint-port": "0",
        "persistent-keepalive": "0s",
        "disabled": "false",
    },
    may_be_dynamic=True,
)
