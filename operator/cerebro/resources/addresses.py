"""Which addresses mean the same, and which can be a client's (rule A13). Pure.

It refuses nothing: each caller says in its own words what is wrong.
"""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

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
