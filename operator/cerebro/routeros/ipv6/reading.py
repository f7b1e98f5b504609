"""What a router answers about its IPv6: what to ask, and the rows that count.
Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cerebro.routeros.client.command import Command, Reply
from cerebro.routeros.client.errors import Trap
from cerebro.routeros.menus.menu import is_true

Row = Mapping[str, str]
Rows = Sequence[Row]

_DEFAULT_ROUTE = "?dst-address=::/0"
"""Routers have many routes; this asks for the ways to the internet alone."""


@dataclass(frozen=True, slots=True)
class Ipv6Reading:
    """Rows of a router, those that are disabled or invalid left out.

    None stands for a menu that the router refused or lacks, where that is
    something else than an empty one.
    """

    hotspots: Rows | None = None
    settings: Rows = ()
    addresses: Rows = ()
    prefixes: Rows = ()
    discovery: Rows | None = None
    dhcp_servers: Rows = ()
    pools: Rows = ()
    filter: Rows | None = None
    raw: Rows = ()
    nat: Rows = ()
    lists: Rows | None = None
    members: Rows = ()
    default_routes: Rows = ()


def ipv6_prints() -> list[Command]:
    """Return what to ask a router, in the order of `ipv6_reading`.

    Firewall rules are asked for with all their properties: any of them may
    narrow a rule.
    """

    return [
        _print("/ip/hotspot", "interface"),
        Command("/ipv6/settings", "print"),
        _print(
            "/ipv6/address", "interface,actual-interface,address,advertise"
        ),
        _print("/ipv6/nd/prefix", "interface,prefix,autonomous"),
        _print("/ipv6/nd", "interface,ra-lifetime"),
        _print("/ipv6/dhcp-server", "interface,address-pool,prefix-pool"),
        _print("/ipv6/pool", "name,prefix"),
        _rules("filter"),
        _rules("raw"),
        _rules("nat"),
        _print("/interface/list", "name,include,exclude"),
        _print("/interface/list/member", "list,interface"),
        _print("/ipv6/route", "gateway,immediate-gw", _DEFAULT_ROUTE),
    ]


def ipv6_reading(replies: Sequence[Reply | Trap]) -> Ipv6Reading:
    """Return what a router answered to `ipv6_prints`; nothing is known where
    it was not asked.
    """
    if not replies:
        return Ipv6Reading()

    known = [
        None if isinstance(reply, Trap) else tuple(filter(_counts, reply.rows))
        for reply in replies
    ]
    tables = [table or () for table in known]

    return Ipv6Reading(
        hotspots=known[0],
        settings=tables[1],
        addresses=tables[2],
        prefixes=tables[3],
        discovery=known[4],
        dhcp_servers=tables[5],
        pools=tables[6],
        filter=known[7],
        raw=tables[8],
        nat=tables[9],
        lists=known[10],
        members=tables[11],
        default_routes=tables[12],
    )


def _print(path: str, properties: str, *queries: str) -> Command:
    listed = {".proplist": f".id,{properties},disabled,invalid"}

    return Command(path, "print", listed, queries)


def _rules(table: str) -> Command:
    query = ("?disabled=false",)

    return Command(f"/ipv6/firewall/{table}", "print", {}, query)


def _counts(row: Row) -> bool:
    """Return whether a row has an effect."""
    return not is_true(row, "disabled") and not is_true(row, "invalid")
