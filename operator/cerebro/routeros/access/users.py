"""Plans the hotspot users of a router: those that Sessions name are made, and
those whose Sessions have ended are logged out and removed. Pure.

A user of ours bears our marker (rule A3) with the client id of `user_key`. A
user that somebody else made is never touched (rule B4). A user that goes is
disabled and logged out at first, and removed last: its row is the only note of
it, should the agent die in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cerebro.routeros.access.marker import (
    Marker,
    Ownership,
    client_id,
    marker_for,
)
from cerebro.routeros.access.user_model import (
    DISABLE,
    FLOWS,
    HOSTS,
    LOGOUT,
    MASKED,
    REMOVE,
    WRITE,
    ActualUsers,
    DesiredUsers,
    UserPlan,
    UserState,
    WantedUser,
    user_key,
)
from cerebro.routeros.menus.firewall import CONNECTION
from cerebro.routeros.menus.hotspot import ACTIVE, COOKIE, HOST, USER
from cerebro.routeros.menus.menu import Row, is_true

_CONNECTION_ENDS = (
    "src-address",
    "dst-address",
    "reply-src-address",
    "reply-dst-address",
)


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
    planner = UserPlanner(
        desired, actual, installation=installation, server=server
    )

    for _ in planner.steps():
        pass

    return planner.plan


class UserPlanner:
    """One plan while it is made, with the rows by name and by marker; `plan`
    is complete once `steps` is exhausted.
    """

    def __init__(
        self,
        desired: DesiredUsers,
        actual: ActualUsers,
        *,
        installation: str,
        server: str | None,
    ) -> None:
        """`server` is the hotspot server that the users are for, None: all."""
        self.plan = UserPlan()
        self._desired, self._actual = desired, actual
        self._installation, self._server = installation, server
        self._whose = Ownership(installation)

        self._users: dict[str, list[Row]] = {}
        self._ours: dict[str, list[Row]] = {}
        """Users of ours by the client id in the marker."""
        self._active = _by(actual.active, "user")
        self._cookies = _by(actual.cookies, "user")
        self._hosts = _by(actual.hosts, "mac-address")
        self._ends: dict[str, list[Row]] | None = None

    def steps(self) -> Iterator[None]:
        """Make the plan, and yield after each row and each user, so that
        whoever runs it may let others run.
        """
        for row in self._actual.users:
            self._index(row)
            yield

        self.plan.marked |= self._ours.keys()

        for user in self._desired.wanted:
            self._want_one(user)
            yield

        for name, revoked in sorted(self._desired.ended.items()):
            self._end_one(name, revoked=revoked)
            yield

        if self._desired.complete and not self._desired.frozen_all:
            yield from self._end_orphans()

    def _index(self, row: Row) -> None:
        self._users.setdefault(row.get("name", ""), []).append(row)
        marker = self._whose.marker(row)

        if marker is not None:
            self._ours.setdefault(marker.client_id, []).append(row)

    # --- users that are wanted

    def _want_one(self, user: WantedUser) -> None:
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

        is_held = user.hold or marker.client_id in self._desired.frozen
        ours = self._rows_of(user.name, legacy=True)
        is_named = any(row.get("name") == user.name for row in ours)

        # The name is that of another row: one made by hand stays, and one of
        # ours to which somebody gave it is renamed or removed. A row of this
        # user with yet another name is of no use.
        if not is_named and user.name in self._users:
            for row in () if is_held else ours:
                self.plan.drop(DISABLE, user.name, USER, row)

            return UserState(done=False, by_hand=self._by_hand(user.name))

        if not ours:
            if not is_held:
                secret = {"password": user.password} if user.password else {}
                self.plan.add(user.name, {**values, **secret})

            return UserState(done=False)

        return self._keep(user, ours, values, is_held=is_held)

    def _keep(
        self,
        user: WantedUser,
        ours: list[Row],
        values: dict[str, str],
        *,
        is_held: bool,
    ) -> UserState:
        """Plan that of a user's rows one stays, with `values`: the one that
        differs least, so that nobody is logged out.
        """
        row, *duplicates = sorted(
            ours, key=lambda each: len(USER.differences(values, each))
        )

        changes = USER.differences(values, row)

        if _must_set_password(user, row):
            changes["password"] = user.password or ""

        if changes and not is_held:
            self.plan.change(WRITE, user.name, row, changes)

        for duplicate in () if is_held else duplicates:
            self.plan.drop(DISABLE, user.name, USER, duplicate)

        return UserState(done=not changes and not duplicates)

    # --- users that go

    def _end_one(self, name: str, *, revoked: bool) -> None:
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

        # Of a user that somebody else made nothing is ended, also where ours
        # was given another name.
        is_by_hand = self._by_hand(name) is not None
        if not ours and is_by_hand:
            return UserState(done=True)

        users = {row.get("name", "") for row in ours}
        if not is_by_hand:
            users.add(name)

        return self._retire(identifier, name, users, ours)

    def _end_orphans(self) -> Iterator[None]:
        """Plan the end of users of ours that no Session explains (rule E13)."""
        desired = self._desired
        names = {user.name for user in desired.wanted}
        names |= desired.ended.keys() | desired.untouched
        explained = {client_id(user_key(name)) for name in names}
        explained |= desired.frozen

        for identifier, rows in self._ours.items():
            yield

            if identifier in explained:
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
            plan.change(DISABLE, name, row, {"disabled": "yes"})

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
            plan.drop(REMOVE, name, USER, row)

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
                plan.drop(LOGOUT, name, COOKIE, row)

            for row in self._active.get(user, ()):
                # A login that RADIUS let in is none of a user on this router.
                if is_true(row, "radius"):
                    continue

                remains = True
                plan.drop(LOGOUT, name, ACTIVE, row)

                for host in self._hosts_of(row):
                    seen = host.get("to-address", "")

                    if kept.isdisjoint({host.get("mac-address"), seen}):
                        plan.drop(HOSTS, name, HOST, host)
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
            plan.drop(FLOWS, name, CONNECTION, row)

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
