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
    """A user that must be there until `until` (unix seconds, None: until
    revoked).

    `profile` None is the router's default. `password` None leaves the
    password alone. `renew` says that the router may have another password: it
    is set also where it cannot be read. `hold`: nothing may be written.
    `session` names the Session whose user it is.
    """

    name: str
    profile: str | None = None
    password: str | None = field(default=None, repr=False)
    until: float | None = None
    renew: bool = False
    hold: bool = False
    session: str = ""


@dataclass(frozen=True, slots=True)
class DesiredUsers:
    """All that is desired of a router's users in one pass; `complete`,
    `passed_at`, `now`, `retiring` and `frozen_all` as in `DesiredAccess`.

    `ended` are the names of users that no live Session wants any more, and
    whether a person or the backend revoked them. `untouched` are names of
    users that are left as they are now. `frozen` are the client ids of
    Sessions that cannot be read (rule B9). `kept` are the MACs and addresses
    of clients that another Session lets in: these lose their login, and
    nothing else. `places` are the addresses at which an earlier look met the
    logins of a user that goes, `flows` the connections that were there when
    the last of them had gone, both by client id.
    """

    wanted: tuple[WantedUser, ...] = ()
    ended: Mapping[str, bool] = field(default_factory=dict)
    untouched: frozenset[str] = frozenset()
    complete: bool = False
    passed_at: float | None = None
    now: float | None = None
    retiring: frozenset[str] | None = None
    frozen: frozenset[str] = frozenset()
    frozen_all: bool = False
    kept: frozenset[str] = frozenset()
    places: Mapping[str, frozenset[str]] = field(default_factory=dict)
    flows: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ActualUsers:
    """The rows that were read: users, and of the users that go also who is
    logged in, their cookies, and the hosts of these.

    `connections` is None while nobody asked for them. `unread` says, by the
    path of a menu, why its rows could not be read.
    """

    users: tuple[Row, ...] = ()
    active: tuple[Row, ...] = ()
    cookies: tuple[Row, ...] = ()
    hosts: tuple[Row, ...] = ()
    connections: tuple[Row, ...] | None = None
    unread: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UserState:
    """What the rows say of one user: `done` when nothing is left to do.

    `by_hand` is the id of a user of that name that somebody else made.
    `unread` is the path of a menu without which nothing is proven (rule B0).
    """

    done: bool
    by_hand: str | None = None
    unread: str | None = None


class UserStep(NamedTuple):
    """One command, and the name of the user that it is for."""

    name: str
    command: Command


@dataclass(slots=True)
class UserPlan:
    """Commands in stages, and what the rows say of each user by its name."""

    stages: list[list[UserStep]] = field(
        default_factory=lambda: [[] for _ in STAGES]
    )
    states: dict[str, UserState] = field(default_factory=dict)
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
