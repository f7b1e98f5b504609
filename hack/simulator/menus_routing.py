"""The menus of tunnels, routes and the firewall's filter, as
data.
"""

from __future__ import annotations

import base64
import binascii

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from simulator import computed
from simulator.errors import BAD_VALUE, Trap
from simulator.menu import (
    Computed,
    Menu,
    MenuRouter,
    Property,
    Unique,
    comment,
)
from simulator.menus import BOOL, DISABLED
from simulator.row import Row
from simulator.values import (
    AddressRange,
    Duration,
    Enum,
    Int,
    Kind,
    PrefixList,
    Reference,
)

FIRST_PORT = 13231
KEY_BYTES = 32
MATCHER_VERBS = frozenset(
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


class Key(Kind):
    """A key of WireGuard: 32 bytes in base64."""

    def _parse(self, name: str, text: str) -> str:
        try:
            raw = base64.b64decode(text, validate=True)
        except binascii.Error:
            raw = b""
        if len(raw) != KEY_BYTES:
            raise Trap(f"invalid value for argument {name}", BAD_VALUE)
        return text


def _public_key(_router: MenuRouter, row: Row) -> str | None:
    private = row.values.get("private-key")
    if private is None:
        return None
    key = X25519PrivateKey.from_private_bytes(base64.b64decode(private))
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def _interface_changed(router: MenuRouter, row: Row, _names: set[str]) -> None:
    """An interface that is given no key and no port takes its own."""
    if "private-key" not in row.values:
        raw = router.random.randbytes(KEY_BYTES)
        row.values["private-key"] = base64.b64encode(raw).decode()
    if "listen-port" in row.values:
        return
    rows = router.tables["/interface/wireguard"].rows.values()
    taken = {other.values.get("listen-port") for other in rows}
    port = FIRST_PORT
    while str(port) in taken:
        port += 1
    row.values["listen-port"] = str(port)


def _peer_changed(router: MenuRouter, row: Row, _names: set[str]) -> None:
    """A peer that is given no name takes the next free one (7.15)."""
    if "name" in row.values or router.version < (7, 15):
        return
    rows = router.tables["/interface/wireguard/peers"].rows.values()
    taken = {other.values.get("name") for other in rows}
    number = 1
    while f"peer{number}" in taken:
        number += 1
    row.values["name"] = f"peer{number}"


def _since_handshake(router: MenuRouter, row: Row) -> str | None:
    at = row.hidden.get("handshake")
    return None if at is None else computed.whole(router.clock.now() - at)


def _endpoint(part: str) -> Computed:
    return lambda _router, row: row.hidden.get(part)


WIREGUARD = Menu(
    "/interface/wireguard",
    (
        Property("name", required=True),
        Property("listen-port", Int(1, 65535)),
        Property("mtu", Int(68, 65535), default="1420"),
        Property("private-key", Key(), secret=True),
        Property("vrf", default="main", since=(7, 21)),
        comment(),
        DISABLED,
        Property("public-key", computed=_public_key),
        Property(
            "running",
            BOOL,
            computed=lambda _router, row: (
                "false" if row.values["disabled"] == "true" else "true"
            ),
        ),
    ),
    unique=(
        Unique(
            lambda row: row["name"],
            "failure: already have interface with such name",
            False,
        ),
    ),
    changed=_interface_changed,
)

PEERS = Menu(
    "/interface/wireguard/peers",
    (
        Property("name", since=(7, 15)),
        Property(
            "interface", Reference("/interface/wireguard"), required=True
        ),
        Property("public-key", Key()),
        Property("allowed-address", PrefixList(ipv6=True), required=True),
        Property("endpoint-address", default=""),
        Property("endpoint-port", Int(0, 65535), default="0"),
        Property("persistent-keepalive", Duration(high=65535), default="0s"),
        Property("preshared-key", Key(), secret=True, empty_unsets=True),
        comment(),
        DISABLED,
        Property("current-endpoint-address", computed=_endpoint("address")),
        Property("current-endpoint-port", computed=_endpoint("port")),
        Property("last-handshake", Duration(), computed=_since_handshake),
        Property("rx", Int(), computed=computed.counter("rx")),
        Property("tx", Int(), computed=computed.counter("tx")),
        Property("dynamic", BOOL, default="false", readonly=True),
    ),
    verbs=frozenset(
        {"add", "set", "remove", "enable", "disable", "comment", "move"}
    ),
    ordered=True,
    unique=(
        # The key is unique on the router, whatever the interface.
        Unique(
            lambda row: row.get("public-key"),
            "failure: entry already exists",
            False,
        ),
    ),
    changed=_peer_changed,
)

ROUTES = Menu(
    "/ip/route",
    (
        Property("dst-address", PrefixList(), default="0.0.0.0/0"),
        Property("gateway", unset=True),
        Property("distance", Int(1, 255), unset=True),
        Property("scope", Int(0, 255), unset=True),
        Property("target-scope", Int(0, 255), unset=True),
        Property("routing-table"),
        Property("pref-src", unset=True),
        Property("check-gateway", Enum(("none", "arp", "ping")), unset=True),
        comment(),
        Property("disabled", BOOL),
        Property("static", BOOL, default="true", readonly=True),
        Property("dynamic", BOOL, readonly=True),
    ),
    verbs=MATCHER_VERBS - {"move"},
)

FILTER = Menu(
    "/ip/firewall/filter",
    (
        Property("chain", required=True),
        Property(
            "action",
            Enum(
                (
                    "accept",
                    "drop",
                    "reject",
                    "jump",
                    "return",
                    "log",
                    "passthrough",
                    "tarpit",
                    "fasttrack-connection",
                )
            ),
            default="accept",
        ),
        Property("jump-target", unset=True),
        Property("in-interface", unset=True),
        Property("out-interface", unset=True),
        Property("in-interface-list", unset=True),
        Property("out-interface-list", unset=True),
        Property("src-address", AddressRange(), unset=True),
        Property("dst-address", AddressRange(), unset=True),
        Property("src-address-list", unset=True),
        Property("dst-address-list", unset=True),
        Property("protocol", unset=True),
        Property("src-port", unset=True),
        Property("dst-port", unset=True),
        Property("connection-state", unset=True),
        Property("hotspot", unset=True),
        Property("log", BOOL),
        Property("log-prefix"),
        comment(),
        Property("disabled", BOOL),
        Property("dynamic", BOOL, readonly=True),
    ),
    verbs=MATCHER_VERBS,
    ordered=True,
)

MENUS = (WIREGUARD, PEERS, ROUTES, FILTER)
