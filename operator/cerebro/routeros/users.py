"""The technical user of a router and its group: from what is wanted and what
is there to commands (rule B7). Pure.

Only rows that bear our marker are changed or removed, and those that the
older relay made with its own (contract, section 6.3).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cerebro.routeros.client.command import Command
from cerebro.routeros.menus.menu import Menu, Row
from cerebro.routeros.menus.users import GROUP, USER

POLICIES = "api,read,write"
"""The least with which access is kept.

No `test`, which only pings need, and DeviceCommands run with the credentials.
No `sensitive`: no password or key is ever read. No `policy`: this user must
not change users.
"""

_OLD_MARKER = "managed-by-relay"
"""The comment of the older relay's user and group."""


@dataclass(frozen=True, slots=True)
class WantedUser:
    """The technical user that is to be there."""

    name: str
    group: str

    addresses: str
    """Addresses from which it may log in, with commas; empty: from any."""


@dataclass(frozen=True, slots=True)
class UserPlan:
    """What is to be done on a router. The order of the commands counts."""

    commands: tuple[Command, ...] = ()

    by_hand: str | None = None
    """Which row that a person made is in the way; then there is no command."""


def marker(installation: str) -> str:
    """Return the comment of the user and the group of an installation."""
    return f"cerebro:{installation}:technical-user"


def user_prints() -> list[Command]:
    """Return the commands that read groups and users, in this order."""
    return [
        Command(menu.path, "print", {".proplist": ",".join(menu.proplist)})
        for menu in (GROUP, USER)
    ]


def plan_user(
    wanted: WantedUser | None,
    groups: Sequence[Row],
    users: Sequence[Row],
    installation: str,
    password: str | None,
) -> UserPlan:
    """Return what makes the router's users as they are wanted.

    `groups` and `users` are the replies to `user_prints`. Without `wanted`
    all of ours goes. `password` is set; None leaves that of a user who is
    there already. A user who is to be added needs one.
    """

    comment = marker(installation)
    if wanted is None:
        return UserPlan(tuple(_removals(None, groups, users, comment)))

    group = {"name": wanted.group, "policy": POLICIES, "comment": comment}
    user = {
        "name": wanted.name,
        "group": wanted.group,
        "address": wanted.addresses,
        "disabled": "false",
        "comment": comment,
    }

    by_hand = _by_hand(GROUP, groups, wanted.group, comment) or _by_hand(
        USER, users, wanted.name, comment
    )
    if by_hand is not None:
        return UserPlan(by_hand=by_hand)

    commands = [
        *_kept(GROUP, groups, group, None),
        *_kept(USER, users, user, password),
        *_removals(wanted, groups, users, comment),
    ]

    return UserPlan(tuple(commands))


def is_there(wanted: WantedUser, users: Iterable[Row]) -> bool:
    """Return whether the router has a user of this name, whoever made it."""
    return _named(users, wanted.name) is not None


def _by_hand(
    menu: Menu, rows: Iterable[Row], name: str, comment: str
) -> str | None:
    """Return which row of this name a person made; None if it is ours, or
    absent.
    """
    row = _named(rows, name)
    if row is None or row.get("comment") in (comment, _OLD_MARKER):
        return None

    return f'{menu.path} name="{name}"'


def _kept(
    menu: Menu,
    rows: Iterable[Row],
    wanted: dict[str, str],
    password: str | None,
) -> list[Command]:
    """Return the command that makes a row as wanted; none if it is."""
    row = _named(rows, wanted["name"])
    secret = {} if password is None else {"password": password}

    if row is None:
        given = {name: value for name, value in wanted.items() if value}
        return [Command(menu.path, "add", {**given, **secret})]

    changes = {
        name: value
        for name, value in wanted.items()
        if menu.normal(row, name) != menu.normal(wanted, name)
    }
    changes |= secret

    if not changes:
        return []

    return [Command(menu.path, "set", {".id": row[".id"], **changes})]


def _removals(
    wanted: WantedUser | None,
    groups: Iterable[Row],
    users: Iterable[Row],
    comment: str,
) -> list[Command]:
    """Return the removals of ours that are not wanted: users first, since a
    group that is in use stays.
    """
    kept_user = None if wanted is None else wanted.name
    kept_group = None if wanted is None else wanted.group

    return [
        Command(menu.path, "remove", {".id": row[".id"]})
        for menu, rows, kept in (
            (USER, users, kept_user),
            (GROUP, groups, kept_group),
        )
        for row in rows
        if row.get("comment") == comment and row.get("name") != kept
    ]


def _named(rows: Iterable[Row], name: str) -> Row | None:
    return next((row for row in rows if row.get("name") == name), None)
