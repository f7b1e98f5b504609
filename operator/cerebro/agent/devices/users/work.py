"""One pass over the hotspot users of a router: read, decide, apply, and read
again until nothing is left to do.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from cerebro.agent.devices.access.desired import (
    PassContext,
    SessionDecision,
    judge_all,
)
from cerebro.agent.devices.access.promises import Promised, note_promise
from cerebro.agent.devices.access.reconcile import AccessReconciler
from cerebro.agent.devices.access.roster import Roster
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
from cerebro.agent.devices.users.reading import UsersGaveWay, UsersReader
from cerebro.domain.conditions import Obstacle
from cerebro.domain.mass_removal import RemovalDecision
from cerebro.resources import Session
from cerebro.routeros.access.marker import marked_ends
from cerebro.routeros.access.read import Scope
from cerebro.routeros.access.user_model import (
    MASKED,
    ActualUsers,
    DesiredUsers,
    UserPlan,
    UserStep,
    WantedUser,
)
from cerebro.routeros.access.users import UserPlanner
from cerebro.routeros.client.errors import SecretError, Trap, TrapKind
from cerebro.routeros.client.session import WINDOW
from cerebro.routeros.menus.hotspot import ACTIVE
from cerebro.runtime.pace import Pace, exhaust, gather

ReadPasswords = Callable[[Sequence[Session]], Awaitable[Secrets]]
"""Reads the Secrets of Sessions."""

_ROUNDS = 6
"""A user that goes takes four: disabled and logged out, connections cut,
removed, and seen to be gone.
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
    _reader: UsersReader = field(init=False)
    _known_at: float = field(default_factory=time.monotonic, init=False)
    _secrets: Secrets = field(default_factory=dict, init=False)
    _refused: dict[str, Obstacle] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._reader = UsersReader(self.access.session, self.access.urgent)

    @property
    def _at(self) -> PassContext:
        return self.access.at

    @property
    def _installation(self) -> str:
        return self.access.policy.installation

    async def run(self, read_passwords: ReadPasswords) -> UsersResult:
        """Make the router's users as wanted. Raises UsersUnread, UsersGaveWay
        when a client waits for something newer, and RouterError when the
        connection is lost.
        """
        self._secrets = await self._reader.unless_urgent(
            self._passwords(read_passwords)
        )
        look = await self._look()

        for _ in range(_ROUNDS):
            if self.access.dry_run or not look.plan.commands():
                break

            if not self.access.may_write():
                break

            await self._apply(look)
            look = await self._look()

        return UsersResult(look, self._refused, self._secrets)

    async def _passwords(self, read_passwords: ReadPasswords) -> Secrets:
        """Return the passwords of the users that may be wanted."""
        return await read_passwords(
            [
                session
                for session in self.subject.chosen
                if not session.spec.revoked
            ]
        )

    # --- decide

    async def _look(self) -> UsersLook:
        """Read and decide. Raises UsersUnread and UsersGaveWay."""
        actual = await self._reader.users(
            self._installation,
            self.subject.names,
            ours=self.subject.everything,
        )

        orders = await self._orders(actual)
        going = self.memory.removals.going

        desired = replace(
            desired_users(
                orders, self._at, everything=self.subject.everything
            ),
            retiring=going,
            places=self.memory.places,
            flows=self.memory.flows,
        )

        plan = await self._plan(desired, actual)

        # The plan shows whom no Session explains; if more of them may go now,
        # they go in this round.
        removals = self._decide_removals(desired, plan)

        if removals is not None and not removals.going <= going:
            desired = replace(desired, retiring=removals.going)
            plan = await self._plan(desired, actual)

        if plan.going:
            actual = await self._reader.with_logins(actual, plan.going)
            desired = replace(desired, kept=self._kept(actual))
            plan = await self._plan(desired, actual)

        if plan.wants_connections:
            actual = await self._reader.with_connections(actual)
            plan = await self._plan(desired, actual)

        self._remember(orders, plan, actual)

        return UsersLook(orders, plan, removals)

    async def _orders(self, actual: ActualUsers) -> UserOrders:
        """Return what the Sessions say of users, with the passwords, and let
        others run in between.
        """
        subject = self.subject
        pace = Pace()
        promised: Promised = {}

        for session in subject.chosen:
            note_promise(promised, session)
            await pace.breathe()

        ends = marked_ends(actual.users, self._installation)
        decisions = await gather(
            judged(subject.chosen, subject.known, ends, promised, self._at)
        )
        await pace.breathe()
        orders = orders_of(decisions, subject.former, self._at)
        await pace.breathe()
        users = await gather(map(self._with_password, orders.users))

        return replace(orders, users=tuple(users))

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
            hold=user.hold or user.name in self._refused,
        )

    async def _plan(
        self, desired: DesiredUsers, actual: ActualUsers
    ) -> UserPlan:
        """Return the plan, and let others run while it is made."""
        planner = UserPlanner(
            desired,
            actual,
            installation=self._installation,
            server=self.access.policy.server,
        )

        await exhaust(planner.steps())

        return planner.plan

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

    # --- apply

    async def _apply(self, look: UsersLook) -> None:
        """Run the plan's commands, each stage together, a window at a time.

        The first window runs whoever waits, so that a pass always gets on.
        """
        is_first = True

        for stage in look.plan.stages:
            for start in range(0, len(stage), WINDOW):
                if not is_first and self.access.urgent():
                    raise UsersGaveWay

                if not self.access.may_write():
                    return

                window = stage[start : start + WINDOW]
                await self._write(window, look.orders)
                is_first = False

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
