"""Reads requests about a router or a phone. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime

from cerebro.bridge.errors import invalid
from cerebro.bridge.intents import Hello
from cerebro.bridge.requests.fields import (
    Fields,
    mik_id,
    printable,
    read_client,
    read_token,
    text,
)
from cerebro.resources.addresses import parse_address, parse_network
from cerebro.resources.values import KEY_PATTERN

_MAX_NETWORKS = 64
_MAX_USER_AGENT = 512


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """A router's request for its tunnel."""

    device_id: str
    """The routerID, as the caller wrote it."""

    tunnel_ip: str
    """The router's address in the tunnel, without a prefix length."""

    public_key: str | None = None
    """The router's WireGuard key in base64; None while the caller does not
    know it.
    """

    lan_networks: tuple[str, ...] | None = None
    """The networks behind the router: allowedIps without its own address. None
    if the request names none.
    """


def bootstrap(fields: Fields) -> Bootstrap:
    """Read the body of a bootstrap.

    Raises ApiError 400 that names the field.
    """

    device_id = text(fields, "deviceId", limit=128)
    tunnel_ip = text(fields, "tunnelIp")

    if device_id is None:
        raise invalid("deviceId required")

    if tunnel_ip is None:
        raise invalid("tunnelIp required")

    try:
        address = parse_address(tunnel_ip)
    except ValueError:
        raise invalid(
            "tunnelIp must be an IP address without prefix length, such as 10.8.0.7"
        ) from None

    public_key = text(fields, "devicePublicKey")
    if public_key is not None and not re.fullmatch(KEY_PATTERN, public_key):
        raise invalid(
            "devicePublicKey must be a WireGuard public key: 44 characters that end in '=', as the router prints it"
        )

    # The tunnel address itself is among the allowed ones; what remains are the
    # router's own networks.
    networks = _networks(fields.get("allowedIps"))
    if networks is not None:
        own = str(ipaddress.ip_network(address))
        networks = tuple(network for network in networks if network != own)

    return Bootstrap(device_id, str(address), public_key, networks)


def hello(
    fields: Fields, requested_at: datetime, trace_id: str, new_token: str
) -> Hello:
    """Read the body of a hello; `new_token` is for a phone that came without a
    token.

    Raises ApiError 400 that names the field.
    """

    client = read_client(fields)
    if client.ip is None:
        raise invalid("ip required")

    if client.mac is None:
        raise invalid("mac required")

    router = mik_id(fields)
    if router is None:
        raise invalid("mikId required")

    sent_agent = fields.get("userAgent")
    user_agent = (
        printable(sent_agent)[:_MAX_USER_AGENT]
        if isinstance(sent_agent, str)
        else None
    )

    return Hello(
        mik_id=router,
        token=read_token(fields) or new_token,
        client=client,
        requested_at=requested_at,
        trace_id=trace_id,
        user_agent=user_agent,
    )


def _networks(value: object) -> tuple[str, ...] | None:
    """Read allowedIps, a list or a text with commas; each network once, in its
    order. None if it is absent.
    """

    if value is None or value == "":
        return None

    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or len(parts) > _MAX_NETWORKS:
        raise invalid(
            f"allowedIps must be at most {_MAX_NETWORKS} networks, such as 10.8.0.7/32"
        )

    networks = [_network(part) for part in parts]

    return tuple(dict.fromkeys(networks))


def _network(part: object) -> str:
    """Read a network.

    Raises ApiError 400, also for a default route.
    """
    written = part.strip() if isinstance(part, str) else ""
    try:
        network = parse_network(written)
    except ValueError:
        raise invalid(
            "allowedIps must be networks without bits behind the prefix, such as 192.168.88.0/24"
        ) from None

    if network.prefixlen == 0:
        raise invalid(
            "allowedIps must not be a default route: this router would take the hub's whole traffic"
        )

    return str(network)
