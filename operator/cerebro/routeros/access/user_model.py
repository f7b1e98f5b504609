"""What is wanted of the hotspot users of a router, what was read of them, and
the plan that makes one equal to the other. Pure.

The plan is made in `users.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from cerebro.routeros.client.command import Command
from cerebro.routeros.menus.hotspot import USER
from cerebro.routeros.menus.menu import Menu, Row

MASKED = "*****"
"""What RouterOS prints in place of a secret that one may not read."""

# Stages run one after the other, the commands of one stage together.
STAGES = DISABLE, WRITE, LOGOUT, HOSTS, FLOWS, REMOVE = range(6)


def user_key(name: str) -> str:
    """Return the client key of a hotspot user; no MAC or address has a blank."""
    return f"user {name}"


@dataclass(frozen=True, slots=True)
class WantedUser:
    """A user that must be on the router."""

    name: str
    """What the user logs in as."""

    profile: str | None = None
    """The profile in `/ip/hotspot/user/profile`; None: the router's default."""

    password: str | None = field(default=None, repr=False)
    """The password that it is to have; None: the one that it has stays."""

    until: float | None = None
    """When its access ends, in unix seconds; None: when it is revoked."""

    renew: bool = False
    """Whether the router may have another password: then it is set also where
    it cannot be read.
    """

    hold: bool = False
    """Whether nothing may be written for it now."""

    session: str = ""
    """UID of the Session whose profile and password count."""


@dataclass(frozen=True, slots=True)
class DesiredUsers:
    """All that is desired of a router's users in one pass."""

    wanted: tuple[WantedUser, ...] = ()
    """The users of live Sessions, each name once."""

    ended: Mapping[str, bool] = field(default_factory=dict)
    """Names of users that no live Session wants any more, and whether one of
    their Sessions was revoked: then a row of the older relay goes too.
    """

    untouched: frozenset[str] = frozenset()
    """Names of users that are left as they are now."""

    complete: bool = False
    """Whether all users that anybody wants are named here: only then those
    that nobody explains may go.
    """

    passed_at: float | None = None
    """With it only users go whose marker says an end before it, in unix
    seconds (rule E1).
    """

    now: float | None = None
    """The time in unix seconds; None while the clock is not trusted."""

    retiring: frozenset[str] | None = None
    """Client ids of users without a Session that go before the end that their
    marker says; None: all of them (rule E13).
    """

    frozen: frozenset[str] = frozenset()
    """Client ids of users of Sessions that cannot be read (rule B9)."""

    frozen_all: bool = False
    """Whether a Session that cannot be read may name any user."""

    kept: frozenset[str] = frozenset()
    """MACs and addresses of clients that another Session lets in: these lose
    their login, and nothing else.
    """

    places: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Addresses at which earlier looks met the logins of users that go, by
    client id.
    """

    flows: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Connections that were there when the last of these logins had gone, by
    client id; later ones were not let through (rule B1).
    """


@dataclass(frozen=True, slots=True)
class ActualUsers:
    """The rows that were read, in the router's order."""

    users: tuple[Row, ...] = ()
    """Users: those that were asked for by name, and those of ours."""

    active: tuple[Row, ...] = ()
    """Who is logged in as a user that goes."""

    cookies: tuple[Row, ...] = ()
    """Cookies of users that go: with one a phone logs in by itself."""

    hosts: tuple[Row, ...] = ()
    """Hosts of who is logged in as a user that goes."""

    connections: tuple[Row, ...] | None = None
    """Tracked connections; None while nobody asked for them."""

    unread: Mapping[str, str] = field(default_factory=dict)
    """Why a menu could not be read, by its path; it has no rows here then."""


@dataclass(frozen=True, slots=True)
class UserState:
    """What the rows say of one user."""

    done: bool
    """Whether nothing is left to do for it."""

    by_hand: str | None = None
    """The id of a user of that name that somebody else made."""

    unread: str | None = None
    """The path of a menu without which nothing is proven (rule B0)."""


class UserStep(NamedTuple):
    """One command, and the name of the user that it is for."""

    name: str
    command: Command


@dataclass(slots=True)
class UserPlan:
    """Commands in stages, and what the rows say of users."""

    stages: list[list[UserStep]] = field(
        default_factory=lambda: [[] for _ in STAGES]
    )
    states: dict[str, UserState] = field(default_factory=dict)
    """What the rows say of each user that was asked for, by its name."""

    orphans: set[str] = field(default_factory=set)
    """Client ids of users that no Session explains."""

    marked: set[str] = field(default_factory=set)
    """Client ids of all users of ours."""

    going: set[str] = field(default_factory=set)
    """Names whose logins have to be read."""

    places: dict[str, frozenset[str]] = field(default_factory=dict)
    """Addresses at which the users that go are or were logged in, by client
    id.
    """

    flows: dict[str, frozenset[str]] = field(default_factory=dict)
    """Connections that were there when the last login had gone, by client id.
    """

    wants_connections: bool = False
    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    """The rows that commands name by id, by path and id."""

    _dropped: set[tuple[str, str]] = field(default_factory=set)

    def commands(self) -> list[Command]:
        """Return all commands in the order in which they run."""
        return [step.command for stage in self.stages for step in stage]

    def add(self, name: str, values: dict[str, str]) -> None:
        """Make a user."""
        self._do(WRITE, name, USER, "add", values)

    def change(
        self, stage: int, name: str, row: Row, values: dict[str, str]
    ) -> None:
        """Change a user's row."""
        self.rows[USER.path, row[".id"]] = row
        self._do(stage, name, USER, "set", {".id": row[".id"], **values})

    def drop(self, stage: int, name: str, menu: Menu, row: Row) -> None:
        """Remove a row, once."""
        key = (menu.path, row[".id"])

        if key in self._dropped:
            return

        self._dropped.add(key)
        self.rows[key] = row
        self._do(stage, name, menu, "remove", {".id": row[".id"]})

    def _do(
        self,
        stage: int,
        name: str,
        menu: Menu,
        verb: str,
        values: dict[str, str],
    ) -> None:
        step = UserStep(name, Command(menu.path, verb, values))
        self.stages[stage].append(step)
