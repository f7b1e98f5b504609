"""Reads requests about routers, their tunnels and their keys. Pure.

Every reader raises ApiError 400 that names a field it cannot use. What it
reads is complete or refused: nothing is kept of a request with a bad key.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from cerebro.bridge.errors import invalid
from cerebro.bridge.requests.fields import Fields, read_number, text
from cerebro.resources.addresses import parse_address, parse_network
from cerebro.resources.values import (
    ENDPOINT_PATTERN,
    HOST_PATTERN,
    KEY_PATTERN,
)

_MAX_ID = 128
_MAX_NETWORKS = 64
_MAX_PASSWORD = 512
_MAX_PORT = 65535

WIREGUARD_PORT = 51820
"""The port of an endpoint that names none."""

_KEY_FORM = (
    "must be a WireGuard key: 44 characters that end in '=', as the router "
    "prints it"
)


@dataclass(frozen=True, slots=True)
class Login:
    """How a router's API is logged in to."""

    username: str
    password: str = field(repr=False)
    port: int | None = None
    """The API's TCP port; None for the usual one."""


@dataclass(frozen=True, slots=True)
class PeerFields:
    """What a request says of the peer on the hub besides key and networks."""

    endpoint: str | None = None
    """host:port, with brackets around an IPv6 address."""

    keepalive: int | None = None
    """Seconds between keepalives."""

    preshared_key: str | None = field(default=None, repr=False)
    """In base64."""

    def __bool__(self) -> bool:
        """Return whether the request says anything of it."""
        values = (self.endpoint, self.keepalive, self.preshared_key)
        return any(value is not None for value in values)


@dataclass(frozen=True, slots=True)
class Registration:
    """What a caller wants a router's Device to be."""

    device_id: str
    """The routerID, as the caller wrote it."""

    tunnel_ip: str | None = None
    """The router's address in the tunnel, without a prefix length; None where
    the caller leaves it to the Hub.
    """

    public_key: str | None = None
    """The router's WireGuard key in base64; None while the caller does not
    know it.
    """

    networks: tuple[str, ...] | None = None
    """allowedIps: the router's own address, and the networks behind it. None
    if the request names none.
    """

    login: Login | None = None

    public_ip: str | None = None
    """Where the router is in the internet: recorded, never dialled (D2)."""

    peer: PeerFields = PeerFields()


@dataclass(frozen=True, slots=True)
class Binding:
    """Which router has a key."""

    public_key: str
    device_id: str
    address: str
    """mikrotikIp: recorded, never dialled (D2)."""


def bootstrap(fields: Fields) -> Registration:
    """Read the body of `/mikrotik/bootstrap`; the key may be absent."""

    return Registration(
        device_id=device_id(fields),
        tunnel_ip=_required_address(fields, "tunnelIp"),
        public_key=_key(fields, "devicePublicKey"),
        networks=_networks(fields, "allowedIps"),
    )


def new_device(fields: Fields, new_id: str) -> Registration:
    """Read the body of `POST /devices`; `new_id` is for a request without a
    deviceId.
    """

    networks = _networks(fields, "allowedIps")
    if networks is None:
        raise invalid("allowedIps required, such as 10.8.0.7/32")

    meta = _object(fields, "meta")
    router = _object(meta, "mikrotik")

    return Registration(
        device_id=text(fields, "deviceId", limit=_MAX_ID) or new_id,
        tunnel_ip=_address(fields, "tunnelIp"),
        public_key=_required_key(fields, "publicKey"),
        networks=networks,
        public_ip=_host(router, "publicIp", "meta.mikrotik.publicIp"),
        peer=_peer(fields),
    )


def manager_registration(fields: Fields) -> Registration:
    """Read the body of `/relay/manager/register`."""

    tunnel = _object(fields, "wireguard")
    key = "wireguard.peerPublicKey"

    return Registration(
        device_id=device_id(fields),
        public_key=_required_key({key: tunnel.get("peerPublicKey")}, key),
        networks=_networks(tunnel, "allowedIps"),
        login=_login(fields),
        public_ip=_public_ip(fields),
    )


def router_registration(fields: Fields) -> Registration:
    """Read the body of `/relay/routers/routers/register`."""

    return Registration(
        device_id=device_id(fields),
        tunnel_ip=_required_address(fields, "tunnelIp"),
        public_key=_required_key(fields, "mikrotikPublicKey"),
        networks=_networks(fields, "allowedIps"),
        login=_login(fields),
        public_ip=_public_ip(fields),
        peer=_peer(fields),
    )


def binding(fields: Fields) -> Binding:
    """Read the body of `/internal/wireguard/peers/bind`."""

    address = _host(fields, "mikrotikIp", "mikrotikIp")
    if address is None:
        raise invalid("mikrotikIp required")

    return Binding(
        public_key=_required_key(fields, "publicKey"),
        device_id=device_id(fields),
        address=address,
    )


def device_id(fields: Fields) -> str:
    """Return the identifier of a router."""

    identifier = text(fields, "deviceId", limit=_MAX_ID)
    if identifier is None:
        raise invalid("deviceId required")

    return identifier


def public_key(fields: Fields) -> str:
    """Return the key that a path names, in base64."""

    return _required_key(fields, "publicKey")


def _required_key(fields: Fields, name: str) -> str:
    key = _key(fields, name)
    if key is None:
        raise invalid(f"{name} required")

    return key


def _key(fields: Fields, name: str) -> str | None:
    key = text(fields, name)
    if key is not None and not re.fullmatch(KEY_PATTERN, key):
        raise invalid(f"{name} {_KEY_FORM}")

    return key


def _required_address(fields: Fields, name: str) -> str:
    address = _address(fields, name)
    if address is None:
        raise invalid(f"{name} required")

    return address


def _address(fields: Fields, name: str) -> str | None:
    """Return an IP address in its usual spelling."""
    value = text(fields, name)
    if value is None:
        return None

    try:
        return str(parse_address(value))
    except ValueError:
        raise invalid(
            f"{name} must be an IP address without prefix length, such as 10.8.0.7"
        ) from None


def _host(fields: Fields, name: str, shown: str) -> str | None:
    """Return an IP address or host name; `shown` names the field in errors."""
    value = text(fields, name)
    if value is not None and not re.fullmatch(HOST_PATTERN, value):
        raise invalid(f"{shown} must be an IP address or a host name")

    return value


def _public_ip(fields: Fields) -> str:
    router = _object(fields, "mikrotik")
    address = _host(router, "publicIp", "mikrotik.publicIp")
    if address is None:
        raise invalid("mikrotik.publicIp required")

    return address


def _login(fields: Fields) -> Login:
    """Return the credentials in `mikrotik`. No error repeats a password."""
    router = _object(fields, "mikrotik")

    username = text(router, "apiUser")
    if username is None:
        raise invalid("mikrotik.apiUser required")

    password = router.get("apiPassword")
    if not isinstance(password, str) or not password:
        raise invalid("mikrotik.apiPassword required, a text")

    if len(password) > _MAX_PASSWORD or _is_not_unicode(password):
        raise invalid(
            f"mikrotik.apiPassword must be text of at most {_MAX_PASSWORD} characters"
        )

    return Login(username, password, _port(router))


def _is_not_unicode(value: str) -> bool:
    """Return whether a text has lone surrogates, which UTF-8 cannot carry."""
    return any("\ud800" <= char <= "\udfff" for char in value)


def _port(router: Fields) -> int | None:
    port = _whole(router, "apiPort", "mikrotik.apiPort", _MAX_PORT)
    if port == 0:
        raise invalid("mikrotik.apiPort must be at least 1")

    return port


def _peer(fields: Fields) -> PeerFields:
    return PeerFields(
        endpoint=_endpoint(fields),
        keepalive=_whole(fields, "keepalive", "keepalive", _MAX_PORT),
        preshared_key=_key(fields, "presharedKey"),
    )


def _whole(fields: Fields, name: str, shown: str, limit: int) -> int | None:
    """Return a whole number of at most `limit`; a text of digits is one."""
    value = fields.get(name)
    if value is None or value == "":
        return None

    number = read_number(shown, value)
    if number != int(number) or number > limit:
        raise invalid(f"{shown} must be a whole number of at most {limit}")

    return int(number)


def _endpoint(fields: Fields) -> str | None:
    """Return host:port. A host alone gets WireGuard's usual port; an IPv6
    address has brackets, or stands alone.
    """
    value = text(fields, "endpoint")
    if value is None:
        return None

    endpoint = value
    if _is_ipv6(value.strip("[]")):
        endpoint = f"[{value.strip('[]')}]:{WIREGUARD_PORT}"
    elif ":" not in value:
        endpoint = f"{value}:{WIREGUARD_PORT}"

    port = endpoint.rpartition(":")[2]
    fits = re.fullmatch(ENDPOINT_PATTERN, endpoint)
    if not fits or not 1 <= int(port) <= _MAX_PORT:
        raise invalid(
            "endpoint must be host:port, such as vpn.example.net:51820 or [2001:db8::1]:51820"
        )

    return endpoint


def _is_ipv6(value: str) -> bool:
    try:
        return ipaddress.ip_address(value).version == 6
    except ValueError:
        return False


def _object(fields: Fields, name: str) -> Fields:
    """Return a field that is an object; an empty one if it is absent."""
    value = fields.get(name)
    if value is None:
        return {}

    if not isinstance(value, Mapping):
        raise invalid(f"{name} must be an object")

    return value


def _networks(fields: Fields, name: str) -> tuple[str, ...] | None:
    """Read a list, or a text with commas; each network once, in its order.
    None if it is absent.
    """

    value = fields.get(name)
    if value is None or value == "":
        return None

    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or len(parts) > _MAX_NETWORKS:
        raise invalid(
            f"{name} must be at most {_MAX_NETWORKS} networks, such as 10.8.0.7/32"
        )

    networks = [_network(part, name) for part in parts]

    return tuple(dict.fromkeys(networks))


def _network(part: object, name: str) -> str:
    """Read a network.

    Raises ApiError 400, also for a default route.
    """
    written = part.strip() if isinstance(part, str) else ""
    try:
        network = parse_network(written)
    except ValueError:
        raise invalid(
            f"{name} must be networks without bits behind the prefix, such as 192.168.88.0/24"
        ) from None

    if network.prefixlen == 0:
        raise invalid(
            f"{name} must not be a default route: this router would take the hub's whole traffic"
        )

    return str(network)
