"""Whether IPv6 leads past the hotspot of a router. Pure.

The hotspot of RouterOS is IPv4 only. Whoever gets an IPv6 address behind a hotspot needs no access from us, unless
the IPv6 firewall of the router stands in the way.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from cerebro.routeros.client.command import Command, Reply
from cerebro.routeros.client.errors import Trap

_Row = Mapping[str, str]

_INTERNET = ipaddress.IPv6Network("2000::/3")
"""The addresses that the internet knows (IANA: Global Unicast)."""

_SHUTS = ("drop", "reject", "tarpit", "jump")
"""Actions that keep a packet, or hand it to a chain that may."""

_NOT_NARROWING = frozenset(
    {
        ".id",
        "action",
        "bytes",
        "chain",
        "comment",
        "disabled",
        "dynamic",
        "in-interface",
        "in-interface-list",
        "invalid",
        "jump-target",
        "log",
        "log-prefix",
        "out-interface",
        "out-interface-list",
        "packets",
        "reject-with",
        "src-address",
    }
)
"""Properties of a firewall rule besides which it holds for all traffic of an
interface; any other one narrows it.
"""


@dataclass(frozen=True, slots=True)
class Ipv6Reading:
    """Rows of a router, those that are disabled or invalid left out."""

    hotspots: Sequence[_Row] = ()
    addresses: Sequence[_Row] = ()
    prefixes: Sequence[_Row] = ()
    rules: Sequence[_Row] = ()
    members: Sequence[_Row] = ()
    settings: Sequence[_Row] = ()


def ipv6_prints() -> list[Command]:
    """Return what to ask a router, in the order of `ipv6_reading`."""
    forward = ("?chain=forward", "?disabled=false", "?#&")

    return [
        _print("/ip/hotspot", "interface"),
        _print("/ipv6/address", "interface,address,advertise"),
        _print("/ipv6/nd/prefix", "interface,prefix"),
        Command("/ipv6/firewall/filter", "print", {}, forward),
        _print("/interface/list/member", "list,interface"),
        Command("/ipv6/settings", "print"),
    ]


def ipv6_reading(replies: Iterable[Reply | Trap]) -> Ipv6Reading:
    """Return what a router answered to `ipv6_prints`. A menu that it refuses
    or lacks counts as empty.
    """
    tables = [
        () if isinstance(reply, Trap) else tuple(filter(_counts, reply.rows))
        for reply in replies
    ]

    return Ipv6Reading(*tables)


def ipv6_leaks(reading: Ipv6Reading) -> list[str]:
    """Return the interfaces on which a hotspot runs and clients get IPv6
    addresses of the internet, with nothing in the firewall against it.

    A rule that may keep these clients from it counts as if it did: nobody is
    alarmed for nothing.
    """

    if any(_is_true(row, "disable-ipv6") for row in reading.settings):
        return []

    behind_hotspots = {row.get("interface", "") for row in reading.hotspots}
    leaks = behind_hotspots & _announced(reading)

    return sorted(
        interface for interface in leaks if not _is_shut(interface, reading)
    )


def _print(path: str, properties: str) -> Command:
    listed = {".proplist": f".id,{properties},disabled,invalid"}
    return Command(path, "print", listed)


def _counts(row: _Row) -> bool:
    """Return whether a row has an effect."""
    return not _is_true(row, "disabled") and not _is_true(row, "invalid")


def _is_true(row: _Row, name: str) -> bool:
    return row.get(name) in ("true", "yes")


def _announced(reading: Ipv6Reading) -> set[str]:
    """Return the interfaces on which clients are offered addresses of the
    internet: by the router's own, or by a prefix that a person wrote.
    """

    by_address = {
        row.get("interface", "")
        for row in reading.addresses
        if _is_of_internet(row.get("address", ""))
        and row.get("advertise") not in ("false", "no")
    }

    by_prefix = {
        row.get("interface", "")
        for row in reading.prefixes
        if _is_of_internet(row.get("prefix", ""))
    }

    return by_address | by_prefix


def _is_of_internet(text: str) -> bool:
    """Return whether an address with its prefix length, or a prefix, is one
    that the internet knows; link-local and private ones are not.
    """
    try:
        address = ipaddress.IPv6Interface(text)
    except ValueError:
        return False

    return address.ip in _INTERNET


def _is_shut(interface: str, reading: Ipv6Reading) -> bool:
    """Return whether a rule keeps, or may keep, what comes from an interface."""
    lists = {
        row.get("list", "")
        for row in reading.members
        if row.get("interface") == interface
    }

    return any(
        rule.get("action") in _SHUTS
        and rule.keys() <= _NOT_NARROWING
        and _may_match(rule, interface, lists)
        for rule in reading.rules
    )


def _may_match(rule: _Row, interface: str, lists: Collection[str]) -> bool:
    """Return whether a rule may hold for what comes from an interface, which
    is in these interface lists.

    A list may include others, so of one that does not name the interface
    nothing is known.
    """

    named = rule.get("in-interface", "")
    if named.startswith("!"):
        return named[1:] != interface

    if named:
        return named == interface

    excluded = rule.get("in-interface-list", "").partition("!")[2]

    return excluded not in lists and excluded != "all"
