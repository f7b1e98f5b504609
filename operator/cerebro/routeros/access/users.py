"""Plans the hotspot users of a router: those that Sessions name are made, and
those whose Sessions have ended are logged out and removed. Pure.

A user of ours bears our marker (rule A3) with the client id of `user_key`. A
user that somebody else made is never touched (rule B4). A user that goes is
disabled and logged out at first, and removed last: its row is the only note of
it, should the agent die in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from cerebro.routeros.access.marker import (
    Marker,
    Ownership,
    client_id,
    marker_for,
)
from cerebro.routeros.client.command import Command
from cerebro.routeros.menus.firewall import CONNECTION
from cerebro.routeros.menus.hotspot import ACTIVE, COOKIE, HOST, USER
from cerebro.routeros.menus.menu import Menu, Row, is_true

MASKED = "*****"
"""What RouterOS prints in place of a secret that one may not read."""

# Stages run one after the other, the commands of one stage together.
_STAGES = _DISABLE, _WRITE, _LOGOUT, _HOSTS, _FLOWS, _REMOVE = range(6)

_CONNECTION_ENDS = (
    "src-address",
    "dst-address",
    "reply-src-address",
    "reply-dst-address",
)


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
        default_factory=lambda: [[] for _ in _STAGES]
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
        self._do(_WRITE, name, USER, "add", values)

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


def user_plan(
    desired: DesiredUsers,
    actual: ActualUsers,
    *,
    installation: str,
    server: str | None,
) -> UserPlan:
    """Return what makes the router's users equal to `desired`; applied and
    planned again it gives nothing.

    `server` is the hotspot server that the users are for, None: all. It costs
    the same for each row and user.
    """
    planner = _Planner(desired, actual, installation, server)

    for user in desired.wanted:
        planner.want(user)

    for name, revoked in sorted(desired.ended.items()):
        planner.end(name, revoked=revoked)

    if desired.complete and not desired.frozen_all:
        planner.end_orphans()

    return planner.plan


class _Planner:
    """One plan while it is made, with the rows by name and by marker."""

    def __init__(
        self,
        desired: DesiredUsers,
        actual: ActualUsers,
        installation: str,
        server: str | None,
    ) -> None:
        self.plan = UserPlan()
        self._desired, self._actual = desired, actual
        self._installation, self._server = installation, server
        self._whose = Ownership(installation)

        self._users = _by(actual.users, "name")
        self._active = _by(actual.active, "user")
        self._cookies = _by(actual.cookies, "user")
        self._hosts = _by(actual.hosts, "mac-address")
        self._ends: dict[str, list[Row]] | None = None

        self._ours: dict[str, list[Row]] = {}
        for row in actual.users:
            marker = self._whose.marker(row)
            if marker is not None:
                self._ours.setdefault(marker.client_id, []).append(row)

        self.plan.marked |= self._ours.keys()

    # --- users that are wanted

    def want(self, user: WantedUser) -> None:
        """Plan a user of live Sessions, and note what the rows say of it."""
        if user.name not in self._desired.untouched:
            self.plan.states[user.name] = self._want(user)

    def _want(self, user: WantedUser) -> UserState:
        marker = marker_for(
            self._installation, user_key(user.name), user.until
        )
        values = {
            "name": user.name,
            "server": self._server or USER.defaults["server"],
            "profile": user.profile or USER.defaults["profile"],
            "disabled": USER.defaults["disabled"],
            "comment": str(marker),
        }

        ours = self._rows_of(user.name, legacy=True)
        if not ours:
            by_hand = self._by_hand(user.name)
            if by_hand is None and not user.hold:
                secret = {"password": user.password} if user.password else {}
                self.plan.add(user.name, {**values, **secret})

            return UserState(done=False, by_hand=by_hand)

        # The row that differs least stays, so that nobody is logged out.
        row, *duplicates = sorted(
            ours, key=lambda each: len(USER.differences(values, each))
        )
        changes = USER.differences(values, row)
        if _must_set_password(user, row):
            changes["password"] = user.password or ""

        if not user.hold:
            if changes:
                self.plan.change(_WRITE, user.name, row, changes)

            for duplicate in duplicates:
                self.plan.drop(_DISABLE, user.name, USER, duplicate)

        return UserState(done=not changes and not duplicates)

    # --- users that go

    def end(self, name: str, *, revoked: bool) -> None:
        """Plan the end of a user of ended Sessions, and note what the rows say
        of it.
        """
        if name not in self._desired.untouched:
            self.plan.states[name] = self._end(name, revoked=revoked)

    def _end(self, name: str, *, revoked: bool) -> UserState:
        desired = self._desired
        identifier = client_id(user_key(name))
        ours = self._rows_of(name, legacy=revoked)

        if desired.frozen_all or identifier in desired.frozen:
            return UserState(done=not ours)

        passed_at = desired.passed_at
        if passed_at is not None and not (
            ours and all(self._passed(row, passed_at) for row in ours)
        ):
            return UserState(done=not ours)

        # Of a user that somebody else made nothing is ended.
        if not ours and self._by_hand(name) is not None:
            return UserState(done=True)

        return self._retire(identifier, name, {name}, ours)

    def end_orphans(self) -> None:
        """Plan the end of users of ours that no Session explains (rule E13)."""
        desired = self._desired
        names = {user.name for user in desired.wanted}
        names |= desired.ended.keys() | desired.untouched
        explained = {client_id(user_key(name)) for name in names}

        for identifier, rows in self._ours.items():
            if identifier in explained | desired.frozen:
                continue

            if not all(self._passed(row, desired.now) for row in rows):
                self.plan.orphans.add(identifier)
                retiring = desired.retiring
                if retiring is not None and identifier not in retiring:
                    continue

            users = {row.get("name", "") for row in rows}
            self._retire(identifier, min(users), users, rows)

    def _retire(
        self, identifier: str, name: str, users: set[str], rows: list[Row]
    ) -> UserState:
        """Disable, log out and remove a user; `rows` are all that it has,
        `users` the names by which it may be logged in.
        """
        plan, unread = self.plan, self._actual.unread
        plan.going |= users
        in_force = [row for row in rows if not is_true(row, "disabled")]
        for row in in_force:
            plan.change(_DISABLE, name, row, {"disabled": "yes"})

        remains = self._log_out(identifier, name, users)

        # Nothing is proven by rows that were not read.
        path = next(
            (
                menu.path
                for menu in (ACTIVE, COOKIE, HOST)
                if menu.path in unread
            ),
            None,
        )
        if path is None and not in_force and not remains:
            path, remains = self._cut_flows(identifier, name)

        if in_force or remains or path is not None:
            return UserState(done=False, unread=path)

        for row in rows:
            plan.drop(_REMOVE, name, USER, row)

        return UserState(done=not rows)

    def _log_out(self, identifier: str, name: str, users: set[str]) -> bool:
        """Remove the cookies and the logins of a user that goes, and the hosts
        that were let in by these; return whether there were any.
        """
        plan, kept = self.plan, self._desired.kept
        places = set(self._desired.places.get(identifier, ()))
        remains = False

        for user in sorted(users):
            for row in self._cookies.get(user, ()):
                remains = True
                plan.drop(_LOGOUT, name, COOKIE, row)

            for row in self._active.get(user, ()):
                # A login that RADIUS let in is none of a user on this router.
                if is_true(row, "radius"):
                    continue

                remains = True
                plan.drop(_LOGOUT, name, ACTIVE, row)

                for host in self._hosts_of(row):
                    seen = host.get("to-address", "")
                    if kept.isdisjoint({host.get("mac-address"), seen}):
                        plan.drop(_HOSTS, name, HOST, host)
                        places.add(seen)

                places.add(row.get("address", ""))

        plan.places[identifier] = frozenset(places - kept - {""})

        return remains

    def _hosts_of(self, login: Row) -> list[Row]:
        """Return the hosts of a client that is logged in."""
        hosts = self._hosts.get(login.get("mac-address", ""), [])

        return [
            host
            for host in hosts
            if host.get("address") == login.get("address")
        ]

    def _cut_flows(
        self, identifier: str, name: str
    ) -> tuple[str | None, bool]:
        """Remove the connections that were there when the last login had gone;
        return the path of the menu if they could not be read, and whether any
        is left.
        """
        plan, places = self.plan, self.plan.places[identifier]
        if not places:
            return None, False

        if CONNECTION.path in self._actual.unread:
            return CONNECTION.path, True

        if self._actual.connections is None:
            plan.wants_connections = True
            return None, True

        running = self._connections_at(places)
        first = frozenset(row[".id"] for row in running)
        flows = self._desired.flows.get(identifier, first)
        plan.flows[identifier] = flows
        due = [row for row in running if row[".id"] in flows]

        for row in due:
            plan.drop(_FLOWS, name, CONNECTION, row)

        return None, bool(due)

    def _connections_at(self, places: Iterable[str]) -> list[Row]:
        """Return the tracked connections with one of these addresses at an
        end, each once.
        """
        if self._ends is None:
            self._ends = {}
            for row in self._actual.connections or ():
                for place in _places_of(row):
                    self._ends.setdefault(place, []).append(row)

        rows = {
            row[".id"]: row
            for place in places
            for row in self._ends.get(place, ())
        }

        return list(rows.values())

    # --- whose a row is

    def _rows_of(self, name: str, *, legacy: bool) -> list[Row]:
        """Return the rows that we made for a user; with `legacy` also the one
        of that name that the older relay made.
        """
        ours = self._ours.get(client_id(user_key(name)), [])
        if ours or not legacy:
            return ours

        return list(filter(self._whose.legacy, self._users.get(name, ())))

    def _by_hand(self, name: str) -> str | None:
        """Return the id of a user of this name that somebody else made."""
        rows = filter(self._whose.foreign, self._users.get(name, ()))

        return next((row[".id"] for row in rows), None)

    def _passed(self, row: Row, now: float | None) -> bool:
        """Return whether the end that a row's marker says has come."""
        marker: Marker | None = self._whose.marker(row)

        return marker is not None and marker.passed(now)


def _must_set_password(user: WantedUser, row: Row) -> bool:
    """Return whether the password is to be written: one that is masked, or is
    not returned, is unknown and never compared.
    """
    if user.password is None:
        return False

    actual = row.get("password", MASKED)
    if actual == MASKED:
        return user.renew

    return actual != user.password


def _by(rows: Iterable[Row], name: str) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row.get(name, ""), []).append(row)

    return grouped


def _places_of(connection: Row) -> set[str]:
    """Return the addresses at the ends of a connection: an end is
    `address:port` or, without ports, `address`.
    """
    texts = [connection.get(name, "") for name in _CONNECTION_ENDS]

    return {part for text in texts for part in (text, text.rpartition(":")[0])}
