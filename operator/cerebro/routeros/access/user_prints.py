"""What to ask a router in order to plan its hotspot users. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from cerebro.routeros.access.marker import client_id
from cerebro.routeros.access.read import MOST_CLIENTS, any_of, begins
from cerebro.routeros.access.user_model import user_key
from cerebro.routeros.client.command import Command
from cerebro.routeros.menus.hotspot import ACTIVE, COOKIE, HOST, USER
from cerebro.routeros.menus.menu import Menu, Row


def users_print(
    installation: str, names: Collection[str], *, ours: bool
) -> Command:
    """Return the print of some users, by their names and by our markers for
    them; with `ours` of all users that bear our marker.
    """
    if len(names) > MOST_CLIENTS:
        return _print(USER)

    marks = [f"cerebro:{installation}:"]

    if not ours:
        marks = [
            f"cerebro:{installation}:{client_id(user_key(name))}:"
            for name in sorted(names)
        ]

    queries = list(any_of([f"?name={name}" for name in sorted(names)]))

    for mark in marks:
        queries += [*begins(mark), *(["?#|"] if queries else [])]

    return _print(USER, queries)


def logins_prints(names: Collection[str]) -> list[Command]:
    """Return the prints of the logins, and of the cookies, of some users."""
    queries = _any("user", names)

    return [_print(ACTIVE, queries, "radius"), _print(COOKIE, queries)]


def hosts_print(logins: Iterable[Row]) -> Command:
    """Return the print of the hosts of clients that are logged in."""
    macs = {ACTIVE.normal(row, "mac-address") for row in logins}

    return _print(HOST, _any("mac-address", macs))


def _any(name: str, values: Collection[str]) -> tuple[str, ...]:
    """Return query words for rows that have one of the values; none, for all
    rows, where these are many.
    """
    if len(values) > MOST_CLIENTS:
        return ()

    return any_of([f"?{name}={value}" for value in sorted(values)])


def _print(menu: Menu, queries: Iterable[str] = (), *more: str) -> Command:
    proplist = ",".join((*menu.proplist, *more))

    return Command(menu.path, "print", {".proplist": proplist}, tuple(queries))
