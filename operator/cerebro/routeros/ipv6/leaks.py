"""Where IPv6 leads past the hotspot of a router, and where a rule has to shut
it (rule B12). Pure.

The hotspot of RouterOS is IPv4 only. Whoever gets an IPv6 address behind a
hotspot needs no access from us, unless the IPv6 firewall of the router stands
in the way.
"""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from cerebro.routeros.ipv6.firewall import lets_out, translates
from cerebro.routeros.ipv6.offers import is_of_internet, offers
from cerebro.routeros.ipv6.reading import Ipv6Reading, Row

_WHATEVER = ipaddress.IPv6Network("::/0")


def ipv6_leaks(reading: Ipv6Reading) -> list[str]:
    """Return the interfaces on which a hotspot runs and phones are online over
    IPv6.

    They are offered addresses that lead to the internet, and nothing in the
    firewall stops them. A rule of which it is not known whether it stops them
    counts as if it did: nobody is alarmed for nothing.
    """

    return [
        interface
        for interface in _hotspots(reading)
        if any(
            _leads_out(interface, network, reading)
            and lets_out(interface, network, reading, doubt="Stopped")
            for network in offers(interface, reading)
        )
    ]


def ipv6_to_shut(reading: Ipv6Reading, comment: str) -> tuple[str, ...] | None:
    """Return the interfaces on which a hotspot runs and no rule of a person
    stops IPv6: there a rule with our comment is to stop it. None where that is
    not known, as the router did not print its hotspots or its rules.

    Whether phones are offered addresses says nothing here: they may be by the
    next minute, when the provider gives the router a network. A rule of which
    it is not known whether it stops them counts as if it did not.
    """

    if reading.hotspots is None or reading.filter is None:
        return None

    by_others = replace(
        reading,
        filter=[
            row for row in reading.filter if row.get("comment") != comment
        ],
    )

    return tuple(
        interface
        for interface in _hotspots(reading)
        if lets_out(interface, _WHATEVER, by_others, doubt="Passes")
    )


def _hotspots(reading: Ipv6Reading) -> list[str]:
    """Return the interfaces with a hotspot; none where the router does not
    forward IPv6.
    """
    if any(_is_off(row) for row in reading.settings):
        return []

    hotspots = reading.hotspots or ()

    return sorted({row.get("interface", "") for row in hotspots})


def _is_off(settings: Row) -> bool:
    is_disabled = settings.get("disable-ipv6") in ("true", "yes")

    return is_disabled or settings.get("forward") in ("false", "no")


def _leads_out(
    interface: str, network: ipaddress.IPv6Network, reading: Ipv6Reading
) -> bool:
    """Return whether the internet answers addresses of a network: private ones
    only where the router puts its own in their place.
    """
    return is_of_internet(network) or translates(interface, network, reading)
