"""Which IPv6 networks a router offers to the phones of an interface. Pure.

A phone makes its address out of a prefix that the router announces (SLAAC), or
asks the router's DHCPv6 server for it. Without the router's word that it is
the gateway (router advertisement, RFC 4861), the phone gets nowhere with it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from cerebro.routeros.ipv6.reading import Ipv6Reading

_ANY_NETWORK = ipaddress.IPv6Network("::/0")
"""Stands for a network that is not known."""

_LOCAL = ipaddress.IPv6Network("fe80::/10")
_INTERNET = ipaddress.IPv6Network("2000::/3")
"""The addresses that the internet knows (IANA: Global Unicast)."""

_NO = ("false", "no")
_NO_POOL = ("", "static-only", "none")

_NO_GATEWAY = ("none", "0s", "0")
"""Lifetimes by which a router says that it is no gateway (MikroTik's manual,
`ra-lifetime` of `/ipv6/nd`).
"""


def offers(
    interface: str, reading: Ipv6Reading
) -> list[ipaddress.IPv6Network]:
    """Return the networks out of which phones on an interface get addresses;
    `::/0` for one that is not known, link-local ones left out.
    """
    if not _is_gateway(interface, reading):
        return []

    networks = {
        network
        for text in _offered(interface, reading)
        if (network := _network(text)) is not None
    }

    return sorted(networks)


def is_of_internet(network: ipaddress.IPv6Network) -> bool:
    """Return whether the internet may know addresses of a network."""
    return network.overlaps(_INTERNET)


def _is_gateway(interface: str, reading: Ipv6Reading) -> bool:
    """Return whether a router says on an interface that it is the gateway; it
    does where its settings are not known.
    """
    if reading.discovery is None:
        return True

    named = {row.get("interface", ""): row for row in reading.discovery}
    row = named.get(interface, named.get("all"))

    return row is not None and row.get("ra-lifetime") not in _NO_GATEWAY


def _offered(interface: str, reading: Ipv6Reading) -> Iterator[str]:
    """Yield what phones on an interface are offered, as the router writes it.

    An address of a bridge's port works on the bridge: `actual-interface`.
    """
    for row in reading.addresses:
        actual = row.get("actual-interface") or row.get("interface")
        if actual == interface and row.get("advertise") not in _NO:
            yield row.get("address", "")

    for row in reading.prefixes:
        is_here = row.get("interface") == interface
        if is_here and row.get("autonomous") not in _NO:
            yield row.get("prefix", "")

    pools = {row.get("name"): row.get("prefix", "") for row in reading.pools}

    for row in reading.dhcp_servers:
        if row.get("interface") != interface:
            continue

        for name in ("address-pool", "prefix-pool"):
            pool = row.get(name, "")
            if pool not in _NO_POOL:
                yield pools.get(pool) or str(_ANY_NETWORK)


def _network(text: str) -> ipaddress.IPv6Network | None:
    """Return the network of an address or a prefix; None if it is link-local
    or makes no sense.
    """
    try:
        network = ipaddress.IPv6Interface(text).network
    except ValueError:
        return None

    return None if network.subnet_of(_LOCAL) else network
