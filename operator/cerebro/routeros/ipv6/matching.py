"""Whether a rule of the IPv6 firewall holds for the new connections of phones.
Pure.

What a property means is from MikroTik's manual (Firewall, Filter). `!` before
a value turns it around.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum

from cerebro.routeros.ipv6.lists import is_listed
from cerebro.routeros.ipv6.reading import Ipv6Reading, Row

_Network = ipaddress.IPv6Network


class Hold(Enum):
    """Whether a rule holds: for all of the connections, for none (or for some
    of a kind that is not looked at), or nobody knows.
    """

    YES = "yes"
    NO = "no"
    PERHAPS = "perhaps"


@dataclass(frozen=True, slots=True)
class Traffic:
    """New connections of phones to a server of the internet.

    `uplinks` are the interfaces that lead there; none: not known. `source` is
    the network of the phones' addresses, `::/0` if it is not known.
    """

    interface: str
    uplinks: frozenset[str]
    source: _Network
    protocol: str
    port: int


_SERVER = _Network("2600:1f18::10/128")
"""Some address of the internet; rules about others do not hold for it."""

_NUMBERS = {"6": "tcp", "17": "udp"}
"""Protocols that a rule may name by number (IANA: Protocol Numbers)."""

_SAY_NOTHING = frozenset(
    {
        ".about",
        ".id",
        ".nextid",
        "about",
        "action",
        "bytes",
        "chain",
        "comment",
        "creation-time",
        "disabled",
        "dynamic",
        "invalid",
        "jump-target",
        "log",
        "log-prefix",
        "packets",
        "reject-with",
        "to-address",
        "to-ports",
    }
)
"""Properties of a rule that are not about what it holds for."""


def holds(rule: Row, traffic: Traffic, reading: Ipv6Reading) -> Hold:
    """Return whether a rule holds for the traffic."""
    every = [
        _matches(name, value, traffic, reading)
        for name, value in rule.items()
        if name not in _SAY_NOTHING and value != ""
    ]

    if Hold.NO in every:
        return Hold.NO

    return Hold.PERHAPS if Hold.PERHAPS in every else Hold.YES


def _matches(
    name: str, value: str, traffic: Traffic, reading: Ipv6Reading
) -> Hold:
    """Return whether one property of a rule holds. One that is not known here
    narrows the rule to few connections.
    """
    is_not, text = value.startswith("!"), value.removeprefix("!")

    match name:
        case "in-interface":
            hold = _names(text, {traffic.interface})
        case "out-interface":
            hold = _names(text, traffic.uplinks)
        case "in-interface-list":
            hold = _lists(text, {traffic.interface}, reading)
        case "out-interface-list":
            hold = _lists(text, traffic.uplinks, reading)
        case "src-address":
            hold = _covers(text, traffic.source)
        case "dst-address":
            hold = _covers(text, _SERVER)
        case "protocol":
            hold = _known(_NUMBERS.get(text, text) == traffic.protocol)
        case "dst-port":
            hold = _has_port(text, traffic.port)
        case "connection-state":
            hold = _known("new" in text.split(","))
        case "connection-nat-state":
            hold = Hold.NO
        case "ipsec-policy":
            hold = _known(text.endswith(",none"))
        case _:
            return _known(text == "no-mark" and not is_not)

    return _turned(hold) if is_not else hold


def _known(is_so: bool) -> Hold:
    return Hold.YES if is_so else Hold.NO


def _turned(hold: Hold) -> Hold:
    """Return what a property says with `!` before its value."""
    return {Hold.YES: Hold.NO, Hold.NO: Hold.YES}.get(hold, hold)


def _of_all(
    interfaces: Collection[str], fits: Callable[[str], bool | None]
) -> Hold:
    """Return whether all, none or some of the interfaces fit."""
    answers = {fits(interface) for interface in interfaces}

    if answers == {True}:
        return Hold.YES

    return Hold.NO if answers == {False} else Hold.PERHAPS


def _names(text: str, interfaces: Collection[str]) -> Hold:
    """Return whether a rule names the interfaces: `all-vlan` and its like are
    names for many.
    """
    if text.startswith("all-"):
        return Hold.PERHAPS

    return _of_all(interfaces, lambda interface: text in ("all", interface))


def _lists(
    name: str, interfaces: Collection[str], reading: Ipv6Reading
) -> Hold:
    return _of_all(
        interfaces, lambda interface: is_listed(name, interface, reading)
    )


def _covers(text: str, network: _Network) -> Hold:
    """Return whether a network or a range, as a rule has it, has all or none
    of a network's addresses.
    """
    first, dash, last = text.partition("-")

    try:
        if dash:
            lowest = ipaddress.IPv6Address(first)
            highest = ipaddress.IPv6Address(last)
        else:
            covered = _Network(text, strict=False)
            lowest, highest = covered[0], covered[-1]
    except ValueError:
        return Hold.PERHAPS

    if lowest <= network[0] and network[-1] <= highest:
        return Hold.YES

    apart = highest < network[0] or network[-1] < lowest

    return Hold.NO if apart else Hold.PERHAPS


def _has_port(text: str, port: int) -> Hold:
    """Return whether a list of ports and ranges has a port."""
    for part in text.split(","):
        first, _, last = part.partition("-")

        try:
            if int(first) <= port <= int(last or first):
                return Hold.YES
        except ValueError:
            return Hold.PERHAPS

    return Hold.NO
