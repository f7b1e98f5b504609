"""Whether the IPv6 firewall of a router lets a new connection of a phone out,
as its chains are written. Pure.

Rules are gone through in their order, as MikroTik's manual describes it
(Firewall, Filter): the first one that holds for all of these connections
decides. A rule that is narrower in a way that is not understood here, such as
by an address list or a rate, decides nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from cerebro.routeros.ipv6.matching import Hold, Traffic, holds
from cerebro.routeros.ipv6.reading import Ipv6Reading, Row, Rows

Verdict = Literal["Passes", "Stopped"]

_ENDS: dict[str, Verdict] = {
    "accept": "Passes",
    "drop": "Stopped",
    "reject": "Stopped",
    "tarpit": "Stopped",
}

_TRANSLATES = ("masquerade", "src-nat", "netmap")
_LONGEST_WAY = 16
"""Jumps that are followed; chains that lead back to themselves have more."""

_SERVICES = (("tcp", 443), ("tcp", 80), ("udp", 443))
"""What a phone that is online uses: the web, also over QUIC."""


@dataclass(frozen=True, slots=True)
class _Walk:
    """A way through chains.

    `doubt` is the verdict of rules of which it is not known whether they hold.
    """

    rules: Rows
    traffic: Traffic
    doubt: Verdict


def lets_out(
    interface: str,
    source: ipaddress.IPv6Network,
    reading: Ipv6Reading,
    *,
    doubt: Verdict,
) -> bool:
    """Return whether phones on an interface, with addresses of `source`, reach
    the web.
    """

    return any(
        _passes(traffic, reading, doubt)
        for traffic in _traffic(interface, source, reading)
    )


def translates(
    interface: str, source: ipaddress.IPv6Network, reading: Ipv6Reading
) -> bool:
    """Return whether the router gives these phones another address on their
    way out (NAT66), or may.
    """
    translating = [
        row for row in reading.nat if row.get("action") in _TRANSLATES
    ]

    return any(
        row.get("chain") == "srcnat"
        and holds(row, traffic, reading) is not Hold.NO
        for row in translating
        for traffic in _traffic(interface, source, reading)
    )


def _traffic(
    interface: str, source: ipaddress.IPv6Network, reading: Ipv6Reading
) -> list[Traffic]:
    uplinks = frozenset(_uplinks(reading.default_routes))

    return [
        Traffic(interface, uplinks, source, protocol, port)
        for protocol, port in _SERVICES
    ]


def _uplinks(routes: Rows) -> Iterable[str]:
    """Yield the interfaces that lead to the internet; a gateway is written as
    `fe80::1%ether1`, or as the interface alone.
    """
    for row in routes:
        gateway = row.get("immediate-gw") or row.get("gateway", "")
        address, percent, interface = gateway.partition("%")

        if percent:
            yield interface
        elif ":" not in address and address:
            yield address


def _passes(traffic: Traffic, reading: Ipv6Reading, doubt: Verdict) -> bool:
    raw = _Walk(reading.raw, traffic, doubt)
    if _verdict(raw, "prerouting", reading) == "Stopped":
        return False

    forward = _Walk(reading.filter or (), traffic, doubt)

    return _verdict(forward, "forward", reading) != "Stopped"


def _verdict(
    walk: _Walk, chain: str, reading: Ipv6Reading, jumps: int = 0
) -> Verdict | None:
    """Return what a chain does with the traffic; None if it leads to its end,
    or back.

    A `return` of which it is not known whether it holds may lead past all
    that follows it: only the verdict of doubt counts from there on.
    """
    if jumps > _LONGEST_WAY:
        return None

    may_be_back = False
    for rule in walk.rules:
        if rule.get("chain") != chain:
            continue

        hold = holds(rule, walk.traffic, reading)
        if hold is Hold.NO:
            continue

        if rule.get("action") == "return":
            if hold is Hold.YES:
                return None

            may_be_back = True
            continue

        verdict = _of_rule(walk, rule, reading, jumps)
        if verdict is None:
            continue

        if verdict == walk.doubt:
            return verdict

        if hold is Hold.YES:
            return None if may_be_back else verdict

    return None


def _of_rule(
    walk: _Walk, rule: Row, reading: Ipv6Reading, jumps: int
) -> Verdict | None:
    """Return what a rule does with the traffic that it holds for; None if the
    next rule decides.
    """
    action = rule.get("action", "accept")
    if action == "jump":
        target = rule.get("jump-target", "")

        return _verdict(walk, target, reading, jumps + 1)

    return _ENDS.get(action)
