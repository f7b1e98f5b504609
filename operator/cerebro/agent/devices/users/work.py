"""One pass over the hotspot users of a router: read, decide, apply, and read
again until nothing is left to do.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from cerebro.agent.devices.access.desired import (
    PassContext,
    SessionDecision,
    judge_all,
)
from cerebro.agent.devices.access.reconcile import AccessReconciler
from cerebro.agent.devices.access.roster import Roster
from cerebro.agent.devices.urgency import unless_urgent
from cerebro.agent.devices.users.desired import (
    UserOrders,
    desired_users,
    judged,
    orders_of,
    user_name,
)
from cerebro.agent.devices.users.memory import UserMemory
from cerebro.agent.devices.users.outcome import (
    Secrets,
    UsersLook,
    UsersResult,
    refusal,
)
from cerebro.domain.conditions import Obstacle
from cerebro.domain.mass_removal import RemovalDecision
from cerebro.resources import Session
from cerebro.routeros.access.marker import marked_ends
from cerebro.routeros.access.read import Scope, connections_print
from cerebro.routeros.access.user_prints import (
    hosts_print,
    logins_prints,
    our_users_print,
    users_print,
)
from cerebro.routeros.access.users import (
    MASKED,
    ActualUsers,
    DesiredUsers,
    UserPlan,
    UserStep,
    WantedUser,
    user_plan,
)
from cerebro.routeros.client.command import Command
from cerebro.routeros.client.errors import (
    DeadlineExceeded,
    SecretError,
    Trap,
    TrapKind,
)
from cerebro.routeros.client.session import WINDOW
from cerebro.routeros.menus.hotspot import ACTIVE, COOKIE, HOST
from cerebro.routeros.menus.menu import Row

ReadPasswords = Callable[[Sequence[Session]], Awaitable[Secrets]]
"""Reads the Secrets of Sessions."""

_ROUNDS = 6
"""A user that goes takes four: disabled and logged out, connections cut,
removed, and seen to be gone.
"""

_LOOK_FOR_URGENT = 0.05
"""Seconds between two looks, while Secrets or connections are read, whether a
client waits for something newer.
"""


@dataclass(frozen=True, slots=True)
class UsersSubject:
    """What a pass over users is about.

    `chosen` are the Sessions, `former` names of users that one of them has
    left, `known` the decisions of the pass over access by UID. `everything`
    says that these are all Sessions of the Device that name a user.
    """

    chosen: list[Session]
    former: frozenset[str]
    known: dict[str, SessionDecision]
    everything: bool

    @property
    def names(self) -> set[str]:
        """The names of the users that the pass is about."""
        return {user_name(session) for session in self.chosen} | self.former


class UsersUnread(Exception):
    """The router did not print its users; the text says why."""


@dataclass
class UsersPass:
    """One pass over users, for as long as it lasts.

    `access` is the pass over access that went before: its connection, its
    clock, who may write.
    """

    subject: UsersSubject
    access: AccessReconciler
    roster: Roster
    memory: UserMemory
    interrupted: bool = field(default=False, init=False)
    """Whether something more urgent came in between."""
    _known_at: float = field(default_factory=time.monotonic, init=False)
    _secrets: Secrets = field(default_factory=dict, init=False)
    _refused: dict[str, Obstacle] = field(default_factory=dict, init=False)

    @property
    def _at(self) -> PassContext:
        return self.access.at

    @property
    def _installation(self) -> str:
        return self.access.policy.installation

    async def run(self, read_passwords: ReadPasswords) -> UsersResult:
        """Make the router's users as wanted. Raises UsersUnread, and
        RouterError when the connection is lost.
        """
        await self._read_passwords(read_passwords)
        look = await self._look()

        for _ in range(_ROUNDS):
            if self.access.dry_run or self.interrupted:
                break

            if not look.plan.commands() or not self.access.may_write():
                break

            await self._apply(look)
            look = await self._look()

        return UsersResult(look, self._refused, self._secrets)

    async def _read_passwords(self, read_passwords: ReadPasswords) -> None:
        """Read the passwords of the users that may be wanted."""
        sessions = [
            session
            for session in self.subject.chosen
            if not session.spec.revoked
        ]

        async def read() -> Secrets:
            return await read_passwords(sessions)

        secrets = await unless_urgent(
            read(), self.access.urgent, every=_LOOK_FOR_URGENT
        )
        if secrets is None:
            self.interrupted = True
            return

        self._secrets = secrets

    # --- decide

    async def _look(self) -> UsersLook:
        """Read and decide. Raises UsersUnread."""
        actual = ActualUsers(tuple(await self._users()))
        orders = self._orders(actual)
        desired = replace(
            desired_users(
                orders, self._at, everything=self.subject.everything
            ),
            retiring=self.memory.removals.going,
            places=self.memory.places,
            flows=self.memory.flows,
        )

        plan = self._plan(desired, actual)
        removals = self._decide_removals(desired, plan)
        if removals is not None:
            desired = replace(desired, retiring=removals.going)
            plan = self._plan(desired, actual)

        if plan.going:
            actual = await self._with_logins(actual, plan.going)
            desired = replace(desired, kept=self._kept(actual))
            plan = self._plan(desired, actual)

        if plan.wants_connections:
            actual = await self._with_connections(actual)
            plan = self._plan(desired, actual)

        self._remember(orders, plan, actual)

        return UsersLook(orders, plan, removals)

    def _orders(self, actual: ActualUsers) -> UserOrders:
        """Return what the Sessions say of users, with the passwords."""
        subject = self.subject
        ends = marked_ends(actual.users, self._installation)
        decisions = judged(subject.chosen, subject.known, ends, self._at)
        orders = orders_of(decisions, subject.former, self._at)
        users = tuple(map(self._with_password, orders.users))

        return replace(orders, users=users)

    def _with_password(self, user: WantedUser) -> WantedUser:
        """Return a wanted user with its password; one whose Secret cannot be
        used is left as it is, and so is one that the router refused.
        """
        secret = self._secrets.get(user.session)
        if isinstance(secret, SecretError):
            return replace(user, hold=True)

        return replace(
            user,
            password=secret,
            renew=self.memory.told.is_news(user.name, secret),
            hold=user.hold or self.interrupted or user.name in self._refused,
        )

    def _plan(self, desired: DesiredUsers, actual: ActualUsers) -> UserPlan:
        return user_plan(
            desired,
            actual,
            installation=self._installation,
            server=self.access.policy.server,
        )

    def _decide_removals(
        self, desired: DesiredUsers, plan: UserPlan
    ) -> RemovalDecision | None:
        """Decide which users go that no Session explains (rule E13); None if
        not all Sessions are known.
        """
        if not desired.complete or desired.frozen_all:
            return None

        return self.memory.removals.decide(
            plan.orphans,
            plan.marked,
            now=time.monotonic(),
            known_at=self._known_at,
            confirmed=self.access.confirmed,
        )

    def _kept(self, actual: ActualUsers) -> frozenset[str]:
        """Return the MACs and addresses of clients that are logged in as a
        user that goes, and that another Session lets in.
        """
        kept: set[str] = set()

        for row in (*actual.active, *actual.hosts):
            mac = ACTIVE.normal(row, "mac-address")
            ips = {row.get("address", ""), row.get("to-address", "")} - {""}
            scope = Scope(frozenset({mac}), frozenset(ips))
            decisions = judge_all(
                self.roster.within(scope), None, self.access.policy, self._at
            )
            grants = [each.grant for each in decisions if each.grant]

            if any(grant.mac == mac for grant in grants):
                kept |= {mac} | ips

            kept |= {
                grant.ip for grant in grants if not grant.mac and grant.ip
            }

        return frozenset(kept)

    def _remember(
        self, orders: UserOrders, plan: UserPlan, actual: ActualUsers
    ) -> None:
        """Remember where users that go were logged in and what they had
        running, and which passwords the router shows to be right.
        """
        memory = self.memory
        if self.subject.everything:
            for identifier in memory.places.keys() - plan.places.keys():
                memory.places.pop(identifier)
                memory.flows.pop(identifier, None)

        memory.places |= plan.places
        memory.flows |= plan.flows

        wanted = {user.name: user for user in orders.users}
        for row in actual.users:
            user = wanted.get(row.get("name", ""))
            password = row.get("password", MASKED)
            if user is not None and user.password == password:
                memory.told.note(user.name, password)

        for name, state in plan.states.items():
            if name in orders.ended and state.done:
                memory.told.forget(name)

    # --- read

    async def _users(self) -> list[Row]:
        """Return the rows of users. Raises UsersUnread."""
        names = self.subject.names
        command = our_users_print(self._installation)
        if names:
            some = None if self.subject.everything else names
            command = users_print(self._installation, some)

        rows = await self._rows(command)
        if isinstance(rows, str):
            raise UsersUnread(rows)

        return rows

    async def _rows(self, command: Command) -> list[Row] | str:
        """Return the rows of a print, or why the router gave none."""
        try:
            (reply,) = await self.access.session.run_all([command])
        except DeadlineExceeded as error:
            return str(error)

        return str(reply) if isinstance(reply, Trap) else list(reply.rows)

    async def _with_logins(
        self, actual: ActualUsers, names: Collection[str]
    ) -> ActualUsers:
        """Return the rows with the logins and cookies of users that go, and
        with the hosts of who is logged in.
        """
        active, cookies = logins_prints(names)
        logins = await self._rows(active)
        hosts: list[Row] | str = []
        if logins and not isinstance(logins, str):
            hosts = await self._rows(hosts_print(logins))

        tables = {
            ACTIVE.path: logins,
            COOKIE.path: await self._rows(cookies),
            HOST.path: hosts,
        }
        rows: dict[str, tuple[Row, ...]] = {}
        unread: dict[str, str] = {}

        for path, table in tables.items():
            if isinstance(table, str):
                unread[path] = table
            else:
                rows[path] = tuple(table)

        return replace(
            actual,
            active=rows.get(ACTIVE.path, ()),
            cookies=rows.get(COOKIE.path, ()),
            hosts=rows.get(HOST.path, ()),
            unread=unread,
        )

    async def _with_connections(self, actual: ActualUsers) -> ActualUsers:
        """Return the rows with the tracked connections; a read of seconds is
        given up when a client waits for something newer.
        """
        command = connections_print()
        rows = await unless_urgent(
            self._rows(command), self.access.urgent, every=_LOOK_FOR_URGENT
        )

        if rows is None:
            self.interrupted = True
            return actual

        if isinstance(rows, str):
            unread = {**actual.unread, command.path: rows}
            return replace(actual, unread=unread)

        return replace(actual, connections=tuple(rows))

    # --- apply

    async def _apply(self, look: UsersLook) -> None:
        """Run the plan's commands, each stage together."""
        for stage in look.plan.stages:
            for start in range(0, len(stage), WINDOW):
                if not self.access.may_write():
                    self.interrupted = True
                    return

                window = stage[start : start + WINDOW]
                await self._write(window, look.orders)

    async def _write(
        self, steps: Sequence[UserStep], orders: UserOrders
    ) -> None:
        """Run commands, and note which passwords the router was told and for
        whom it refused one; a row that is gone already is as wanted.
        """
        passwords = {user.name: user.password for user in orders.users}
        commands = [step.command for step in steps]
        replies = await self.access.session.run_all(commands)

        for step, reply in zip(steps, replies, strict=True):
            if isinstance(reply, Trap):
                if reply.kind is not TrapKind.GONE:
                    self._refused[step.name] = refusal(step.name, reply)

                continue

            password = passwords.get(step.name)
            if password and "password" in step.command.attributes:
                self.memory.told.note(step.name, password)
