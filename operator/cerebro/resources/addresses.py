"""Which addresses mean the same, and which can be a client's (rule A13). Pure.

It refuses nothing: each caller says in its own words what is wrong.
"""

import ipaddress
import re

from cerebro.resources.values import NO_CLIENT_MAC_PATTERN

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_BROADCAST = ipaddress.IPv4Address("255.255.255.255")
_MAPPED_PREFIX = 96
"""Bits before the IPv4 address in an IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2)."""


def parse_address(text: str) -> Address:
    """Return an IP address; an IPv4-mapped IPv6 address is the IPv4 address.

    Raises ValueError.
    """
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv4Address):
        return address

    return address.ipv4_mapped or address


def parse_network(text: str, *, strict: bool = True) -> Network:
    """Return a network; one of IPv4-mapped IPv6 addresses is the IPv4 network.

    Raises ValueError, with `strict` also for bits behind the prefix.
    """
    network = ipaddress.ip_network(text, strict=strict)
    if isinstance(network, ipaddress.IPv4Network):
        return network

    mapped = network.network_address.ipv4_mapped
    if mapped is None or network.prefixlen < _MAPPED_PREFIX:
        return network

    return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED_PREFIX))


def normal_host(text: str) -> str:
    """Return the one spelling of an IP address or host name: of `FD00::7` it
    is `fd00::7`. Brackets around an address do not count.
    """
    try:
        return str(parse_address(text.strip("[] ")))
    except ValueError:
        return text.strip().lower()


def same_host(first: str | None, second: str | None) -> bool:
    """Return whether both are one IP address or host name, however they are
    spelt; False if one of them is missing.
    """
    if first is None or second is None:
        return False

    return normal_host(first) == normal_host(second)


def is_client_mac(mac: str) -> bool:
    """Return whether a phone can have this MAC, written `AA:BB:CC:DD:EE:FF`.

    The lowest bit of the first byte marks a group (IEEE 802), broadcast among
    them. RouterOS writes zero for "not set"; 02:00:00:00:00:00 is what a
    phone's system tells apps that may not know the MAC.
    """
    return re.search(NO_CLIENT_MAC_PATTERN, mac) is None


def is_client_ip(ip: str) -> bool:
    """Return whether a phone behind a hotspot can have this IPv4 address.

    Raises ValueError for a text that is no IPv4 address.
    """
    address = ipaddress.IPv4Address(ip)

    return not (
        address.is_unspecified
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address == _BROADCAST
    )
