"""What to ask a router in order to plan access: everything, or only what
concerns some clients. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cerebro.routeros.access.marker import client_id, is_legacy
from cerebro.routeros.access.model import AccessPolicy
from cerebro.routeros.access.tables import Actual
from cerebro.routeros.client.command import Command
from cerebro.routeros.menus.firewall import ADDRESS_LIST, CONNECTION
from cerebro.routeros.menus.hotspot import ACTIVE, COOKIE, HOST, IP_BINDING
from cerebro.routeros.menus.menu import Menu, Row

# A query word costs the router one look at each row: beyond this many clients
# the whole table is cheaper.
MOST_CLIENTS = 40
_CLIENT = ("mac-address", "address")
VOLATILE = frozenset({HOST.path, ACTIVE.path, COOKIE.path, CONNECTION.path})
"""Menus whose rows come and go by themselves. One that cannot be read delays a
proof and no write (rule B0).
"""
_NO_ROW = ("?.id=*FFFFFFFF",)
"""Query words that are true for no row."""
_HOST_ADDRESSES = (
    "address",
    "to-address",
)  # its own, and the one that the firewall sees


@dataclass(frozen=True, slots=True)
class Scope:
    """Some clients of a router, by everything that is known of them;
    `comments` are those of the older relay's rows.
    """

    macs: frozenset[str] = frozenset()
    ips: frozenset[str] = frozenset()
    comments: frozenset[str] = frozenset()

    def __or__(self, other: Scope) -> Scope:
        """Join two."""
        return Scope(
            self.macs | other.macs,
            self.ips | other.ips,
            self.comments | other.comments,
        )

    def met(self, hosts: Iterable[Row]) -> Scope:
        """Return it with those whom the hosts show at its addresses, and with
        the addresses of its clients.
        """
        rows = list(hosts)
        macs = self.macs | {
            HOST.normal(row, "mac-address")
            for row in rows
            if any(row.get(name) in self.ips for name in _HOST_ADDRESSES)
        }

        ips = self.ips | {
            row[name]
            for row in rows
            if HOST.normal(row, "mac-address") in macs
            for name in _HOST_ADDRESSES
            if name in row
        }

        return Scope(macs, ips, self.comments)

    def joined(self, actual: Actual) -> Scope:
        """Return it with all that rows of the older relay say of its clients
        (rule B4).
        """
        macs, ips, comments = set(self.macs), set(self.ips), set(self.comments)
        for row in (*actual.bindings, *actual.lists):
            mac, ip, comment = (
                *(IP_BINDING.normal(row, key) for key in _CLIENT),
                row.get("comment", ""),
            )
            if is_legacy(comment) and (
                mac in self.macs or ip in self.ips or comment in self.comments
            ):
                macs.add(mac)
                ips.add(ip)
                comments.add(comment)

        return Scope(
            frozenset(macs - {""}), frozenset(ips - {""}), frozenset(comments)
        )

    @property
    def wide(self) -> bool:
        """Tell whether reading everything is cheaper."""
        return (
            len(self.macs) + len(self.ips) + len(self.comments)
            > 2 * MOST_CLIENTS
        )


def access_prints(policy: AccessPolicy, scope: Scope | None) -> list[Command]:
    """Return the five prints behind an `Actual`: bindings, list rows, hosts,
    active, cookies; `scope` None asks for all.

    Of the bindings those without a MAC are always read: one by address or
    range may match any client; those at an address of the clients say whose
    the older relay's rows there are. Of the address lists also those rows are
    read that begin with our marker, of all or of these clients:
    `access.addressList` may have changed, or the client's address.
    """

    ours = f"cerebro:{policy.installation}:"
    if scope is None:
        lists = (f"?list={policy.address_list}", *begins(ours), "?#|")
        return [
            _print(IP_BINDING),
            _print(ADDRESS_LIST, lists),
            _print(HOST),
            _print(ACTIVE),
            _print(COOKIE),
        ]

    macs = [f"?mac-address={mac}" for mac in sorted(scope.macs)]
    ips = [f"?address={ip}" for ip in sorted(scope.ips)]
    orders = [f"?comment={comment}" for comment in sorted(scope.comments)]
    prints = [
        _print(IP_BINDING, any_of([*macs, *ips, *orders, "?-mac-address"]))
    ]

    places = [*ips, *orders]
    listed: list[str] = (
        [*any_of(places), f"?list={policy.address_list}", "?#&"]
        if places
        else []
    )
    for key in sorted(scope.macs | scope.ips):
        listed += [
            *begins(f"{ours}{client_id(key)}:"),
            *(["?#|"] if listed else []),
        ]

    prints.append(_print(ADDRESS_LIST, listed or _NO_ROW))
    seen_at = [f"?to-address={ip}" for ip in sorted(scope.ips)]
    prints += [
        _print_any(HOST, [*macs, *ips, *seen_at]),
        _print_any(ACTIVE, [*macs, *ips]),
        _print_any(COOKIE, macs),
    ]

    return prints


def connections_print() -> Command:
    """Return the print of all tracked connections: the API has no query for
    the address part of `address:port`.
    """
    return _print(CONNECTION)


def actual_from(
    replies: Sequence[Iterable[Row]], connections: Iterable[Row] | None = None
) -> Actual:
    """Return the rows of `access_prints`' replies, in their order, as an
    `Actual`.
    """
    bindings, lists, hosts, active, cookies = (tuple(rows) for rows in replies)
    return Actual(
        bindings,
        lists,
        hosts,
        active,
        cookies,
        None if connections is None else tuple(connections),
    )


def _print(menu: Menu, queries: Sequence[str] = ()) -> Command:
    return Command(
        menu.path,
        "print",
        {".proplist": ",".join(menu.proplist)},
        tuple(queries),
    )


def begins(prefix: str) -> tuple[str, ...]:
    """Return query words that are true where the comment begins so; `prefix`
    ends with a colon.
    """
    return (f"?>comment={prefix}", f"?<comment={prefix[:-1]};", "?#&")


def _print_any(menu: Menu, words: Sequence[str]) -> Command:
    """Return the print of the rows for which one of the query words is true:
    of no row where no word is given.
    """
    return _print(menu, any_of(words) if words else _NO_ROW)


def any_of(words: Sequence[str]) -> tuple[str, ...]:
    """Return query words that are true where one of them is."""
    return (*words, *("?#|" for _ in words[1:]))
