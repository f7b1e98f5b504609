"""A pass over a router's access: read, decide, apply, and read again until
nothing is left to do.

This file decides nothing by itself: `desired` judges the Sessions,
`routeros/access/plan` plans. A pass looks at everything, or only at the
clients of some Sessions: whoever waits for a new one needs it at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from cerebro.agent.devices.access.desired import (
    PassContext,
    SessionDecision,
    ends_rows_of_others,
    flows_key,
    in_scope,
    judgements,
    pinned,
    scope_of,
    wanted_of,
)
from cerebro.agent.devices.access.outcome import PassResult, pass_obstacle
from cerebro.agent.devices.access.roster import Roster
from cerebro.domain.conditions import Obstacle
from cerebro.domain.mass_removal import RemovalDecision, RemovalWindow
from cerebro.resources import Session
from cerebro.routeros.access.marker import parse_marker
from cerebro.routeros.access.model import AccessPolicy, DesiredAccess
from cerebro.routeros.access.plan import AccessPlanner
from cerebro.routeros.access.read import (
    VOLATILE,
    Scope,
    access_prints,
    actual_from,
    connections_print,
)
from cerebro.routeros.access.result import AccessPlan
from cerebro.routeros.access.tables import Actual
from cerebro.routeros.client.command import Command, Reply
from cerebro.routeros.client.errors import DeadlineExceeded, Trap, TrapKind
from cerebro.routeros.client.session import WINDOW, RouterSession
from cerebro.routeros.menus.firewall import CONNECTION
from cerebro.routeros.menus.menu import Row
from cerebro.runtime.pace import exhaust, gather

_ROUNDS = 4
"""A round reads, decides and applies. The second one finds nothing left to do,
unless somebody else writes too.
"""

_PATIENCE = 1.0
"""Seconds: a write that a client waits for and that brought no byte for this
long goes over a fresh connection (rule B5).
"""


_READ_AGAIN = 3
"""How often a menu is read whose rows came and went while the router printed
it.
"""

_LOOK_FOR_URGENT = 0.05
"""Seconds between two looks, while a long print runs, whether a client waits
for something newer.
"""


@dataclass
class _Subject:
    """What a pass is about; each round may narrow or widen it."""

    roster: Roster
    """All Sessions of the Device."""

    changed: list[Session] | None
    """Those at whose clients the pass looks; None: at everything."""

    pins: dict[str, Session] = field(default_factory=dict)
    """Sessions as they count in this pass, by UID, in place of those of the
    roster.
    """

    scope: Scope = field(default_factory=Scope)
    """The clients at which the last round looked: the next one looks at no
    fewer.
    """

    hosts: tuple[Row, ...] = ()
    """Hosts that earlier rounds have read."""

    def chosen(self, scope: Scope | None) -> list[Session]:
        """Return the Sessions that are to be decided about, each once.

        They are those that changed, also where they name no client, and those
        of the scope's clients: who shares a client shares its rows (rule B3).
        Without a scope they are all.
        """
        if scope is None or self.changed is None:
            return [self._as_pinned(session) for session in self.roster.all()]

        sessions = [*self.changed, *self.within(scope)]
        by_uid = {session.metadata.uid: session for session in sessions}

        return list(by_uid.values())

    def within(self, scope: Scope) -> list[Session]:
        """Return the Sessions whose clients are in a scope, as they count in
        this pass; each once.
        """
        sessions = map(self._as_pinned, self.roster.within(scope))
        by_uid = {session.metadata.uid: session for session in sessions}

        # A pinned Session is known by more than the roster knows.
        for uid, session in self.pins.items():
            if in_scope(session, scope):
                by_uid[uid] = session

        return list(by_uid.values())

    def pin(self, pins: dict[str, Session]) -> None:
        """Take these Sessions, by UID, in place of theirs."""
        self.pins.update(pins)
        if self.changed is not None:
            self.changed = [
                self._as_pinned(session) for session in self.changed
            ]

    def _as_pinned(self, session: Session) -> Session:
        return self.pins.get(session.metadata.uid, session)


@dataclass(frozen=True, slots=True)
class _Reading:
    """The router's rows as a round has read them; `scope` None: all."""

    scope: Scope | None
    actual: Actual


@dataclass(frozen=True, slots=True)
class _Decision:
    """What a round is to do.

    `removals` is None unless the round knew all Sessions. `settled`: nothing
    is to be done, and nothing is left for later.
    """

    judged: list[SessionDecision]
    plan: AccessPlan
    removals: RemovalDecision | None
    settled: bool


@dataclass
class _Writes:
    """What became of the writes of all rounds; see `PassResult`."""

    interrupted: bool = False
    collided: bool = False
    repaired: set[str] = field(default_factory=set)
    refused: dict[str, Obstacle] = field(default_factory=dict)
    obstacle: Obstacle | None = None


@dataclass
class AccessReconciler:
    """A pass over one router, with what it needs.

    `flows` are the connections at the end of a client's access, by
    `flows_key`; the pass adds to them. `removals` decides which
    clients without a Session go, `confirmed` is how many a mass removal may
    end (rule E13). `impatient`: a client waits, so commands that bring no byte
    raise Stalled soon. `urgent()` returns whether a client waits for something
    newer, `may_write()` whether this agent still may do what `at` says: a
    Lease can run out within a pass, and another agent may have written since
    (rule E1).
    """

    session: RouterSession
    policy: AccessPolicy
    at: PassContext
    dry_run: bool = False
    flows: dict[str, frozenset[str]] = field(default_factory=dict)
    removals: RemovalWindow = field(default_factory=RemovalWindow)
    confirmed: int = 0
    impatient: bool = False
    urgent: Callable[[], bool] = lambda: False
    may_write: Callable[[], bool] = lambda: True
    _known_at: float = field(default=0.0, init=False)
    """When the pass took its Sessions, by the monotonic clock."""

    async def run(
        self, roster: Roster, changed: Iterable[Session] | None
    ) -> PassResult:
        """Make the router equal to its Sessions; with `changed` only as far as
        the clients of these are concerned. The roster stays as it is
        meanwhile.

        Raises RouterError when the connection is lost or stalls: then it is
        not known which writes ran.
        """
        some = None if changed is None else list(changed)
        subject = _Subject(roster, some)
        writes = _Writes()
        self._known_at = time.monotonic()

        for number in range(_ROUNDS):
            reading = await self._read(subject)
            decision = await self._decide(
                subject, reading, writes, first=number == 0
            )
            if decision.plan.empty or self.dry_run or writes.interrupted:
                break

            # The host goes in this round and may be away in the next: the MAC
            # is what it was at first sight.
            subject.pin(pinned(decision.judged, reading.actual))
            await self._apply(decision.plan, writes)

            if writes.interrupted or writes.collided:
                break

        return self._finish(roster, decision, writes)

    # --- read

    async def _read(self, subject: _Subject) -> _Reading:
        """Read what concerns the subject's clients. Hosts of earlier rounds
        count as left.
        """

        reading = await self._read_scope(subject)
        if reading.scope is None:
            subject.changed = None
        else:
            subject.scope = reading.scope

        hosts = reading.actual.hosts
        actual = replace(reading.actual, left=subject.hosts)
        subject.hosts = (*subject.hosts, *hosts)

        return replace(reading, actual=actual)

    async def _read_scope(self, subject: _Subject) -> _Reading:
        """Read the rows of the changed Sessions' clients and of any client
        that shares an address with them. For one that is revoked, also read
        the rows that the older relay made.
        """
        scope = (
            None
            if subject.changed is None
            else scope_of(subject.changed) | subject.scope
        )

        while scope is not None and not scope.wide:
            actual = await self._read_rows(scope)
            wider = _widened(scope, actual, subject)
            if wider is None:
                return _Reading(scope, actual)

            scope = wider

        return _Reading(None, await self._read_rows(None))

    async def _read_rows(self, scope: Scope | None) -> Actual:
        """Read the menus of access. Raises Trap for bindings and list rows;
        the others may stay unread (rule B0).
        """

        prints = access_prints(self.policy, scope)
        replies = await self._run_all(prints)
        tables: list[list[dict[str, str]]] = []
        unread: dict[str, str] = {}

        for command, reply in zip(prints, replies, strict=True):
            if isinstance(reply, Trap) and command.path not in VOLATILE:
                raise reply

            rows = await self._rows_of(command, reply)
            if isinstance(rows, str):
                unread[command.path] = rows
                rows = []

            tables.append(rows)

        return replace(actual_from(tables), unread=unread)

    async def _rows_of(
        self, command: Command, reply: Reply | Trap
    ) -> list[dict[str, str]] | str:
        """Return the rows of a print, or why there are none. What changed
        under the print is read again.
        """
        for _ in range(_READ_AGAIN):
            if not isinstance(reply, Trap):
                return reply.rows

            if reply.kind is not TrapKind.GONE:
                break

            (reply,) = await self._run_all([command])

        return str(reply) if isinstance(reply, Trap) else reply.rows

    # --- decide

    async def _decide(
        self,
        subject: _Subject,
        reading: _Reading,
        writes: _Writes,
        *,
        first: bool,
    ) -> _Decision:
        """Judge the Sessions and plan.

        Connections are read only if the plan asks for them, and not before
        what else is due was written once: who is to be shut out is shut out
        first (rule B0).
        """

        chosen = subject.chosen(reading.scope)
        judged = await gather(
            judgements(chosen, reading.actual, self.policy, self.at)
        )
        self._forget_flows(judged)

        # What an earlier look let go goes on.
        wanted = wanted_of(judged, self.at, everything=reading.scope is None)
        going = self.removals.going
        wanted = replace(wanted, retiring=going)
        actual = reading.actual
        plan = await self._plan(wanted, actual)

        # The plan shows who has no Session; if more of them may go now, they
        # go in this round.
        removals = self._decide_removals(wanted, plan)
        if removals is not None and not removals.going <= going:
            wanted = replace(wanted, retiring=removals.going)
            plan = await self._plan(wanted, actual)

        if plan.wants_connections and (plan.empty or not first):
            actual = await self._with_connections(actual, writes)
            plan = await self._plan(wanted, actual)
            self._remember_flows(judged, plan)

        return _Decision(
            judged, plan, removals, settled=_is_settled(judged, plan)
        )

    async def _plan(self, wanted: DesiredAccess, actual: Actual) -> AccessPlan:
        """Return the plan, and let others run while it is made.

        Nobody changes `wanted` and `actual` meanwhile: both are values.
        """
        planner = AccessPlanner(wanted, actual, self.policy)
        await exhaust(planner.steps())

        return planner.result

    async def _with_connections(
        self, actual: Actual, writes: _Writes
    ) -> Actual:
        """Return the rows with the tracked connections, or with the reason why
        these could not be read.

        A large table takes seconds: the read is given up when a client waits
        for something newer.
        """

        reading = asyncio.ensure_future(self._read_connections())

        try:
            while not reading.done():
                await asyncio.wait({reading}, timeout=_LOOK_FOR_URGENT)

                if not reading.done() and self.urgent():
                    writes.interrupted = True
                    return actual
        finally:
            reading.cancel()

        rows = reading.result()
        if isinstance(rows, str):
            return replace(
                actual, unread={**actual.unread, CONNECTION.path: rows}
            )

        return replace(actual, connections=tuple(rows))

    async def _read_connections(self) -> list[dict[str, str]] | str:
        command = connections_print()

        try:
            (reply,) = await self.session.run_all([command])
            return await self._rows_of(command, reply)
        except DeadlineExceeded as error:
            return str(error)

    def _decide_removals(
        self, wanted: DesiredAccess, plan: AccessPlan
    ) -> RemovalDecision | None:
        """Decide which clients go that no Session explains (rule E13); None
        if not all Sessions are known.
        """
        if not wanted.complete or wanted.frozen_all:
            return None

        return self.removals.decide(
            plan.orphans,
            plan.marked,
            now=time.monotonic(),
            known_at=self._known_at,
            confirmed=self.confirmed,
        )

    def _remember_flows(
        self, judged: Iterable[SessionDecision], plan: AccessPlan
    ) -> None:
        """Remember which connections a client had when its last host had gone:
        later ones are not let through (B1).
        """
        for decision in judged:
            for ending in decision.endings:
                view = plan.endings[ending]
                if view.cut:
                    self.flows.setdefault(
                        flows_key(decision.session, ending), view.flows
                    )

    def _forget_flows(self, judged: Iterable[SessionDecision]) -> None:
        """Forget the connections at an earlier end of clients that are to have
        access again.
        """
        for decision in judged:
            if decision.grant is not None:
                self.flows.pop(
                    flows_key(decision.session, decision.grant), None
                )

    # --- apply

    async def _apply(self, plan: AccessPlan, writes: _Writes) -> None:
        """Run the plan's commands in the order of its stages, a window at a
        time, and note what became of them.

        A router takes what one window holds one after the other. Should it
        ever do otherwise, and remove a host before the binding is there, the
        next round sees that host and removes it again.
        """
        writes.repaired |= plan.repaired
        commands = list(plan.commands())

        for start in range(0, len(commands), WINDOW):
            # The first window runs whoever waits, so that a pass always gets
            # on.
            overtaken = start > 0 and self.urgent()
            if overtaken or not self.may_write():
                writes.interrupted = True
                return

            window = commands[start : start + WINDOW]
            replies = await self._run_all(window)
            for command, reply in zip(window, replies, strict=True):
                self._note(command, reply, writes)

    def _note(
        self, command: Command, reply: Reply | Trap, writes: _Writes
    ) -> None:
        """Note a write that was refused; a row that is gone already is as
        wanted.
        """
        if not isinstance(reply, Trap) or reply.kind is TrapKind.GONE:
            return

        if reply.kind is TrapKind.EXISTS:
            writes.collided = True

        marker = parse_marker(
            command.attributes.get("comment"), self.policy.installation
        )
        obstacle = pass_obstacle(reply)
        if marker is not None:
            writes.refused[marker.client_id] = obstacle

        # What is not about one client is the Device's trouble (case T7).
        about_device = reply.kind is TrapKind.OTHER and not obstacle.final
        if marker is None or about_device:
            writes.obstacle = replace(obstacle, final=False)

    # --- finish

    def _finish(
        self, roster: Roster, decision: _Decision, writes: _Writes
    ) -> PassResult:
        """Return the result: the last decision, and what became of all writes."""
        # What is reported is compared with the status that was written, not
        # with what we know since.
        judged = []
        for each in decision.judged:
            written = roster.get(each.session.metadata.uid) or each.session
            judged.append(replace(each, session=written))

        return PassResult(
            judged=judged,
            plan=decision.plan,
            settled=decision.settled,
            interrupted=writes.interrupted,
            collided=writes.collided,
            held_back=len(self.removals.held),
            look_again_at=(
                decision.removals.look_again_at if decision.removals else None
            ),
            refused=writes.refused,
            obstacle=None if decision.settled else writes.obstacle,
            repaired=writes.repaired,
        )

    # --- commands

    async def _run_all(
        self, commands: Sequence[Command]
    ) -> list[Reply | Trap]:
        """Run commands together; raises RouterError, but returns Traps."""
        if not self.impatient or len(commands) > WINDOW:
            return await self.session.run_all(commands)

        runs = [
            self.session.run(command, first_byte_within=_PATIENCE)
            for command in commands
        ]

        replies = await asyncio.gather(*runs, return_exceptions=True)
        outcomes: list[Reply | Trap] = []
        for reply in replies:
            if isinstance(reply, BaseException) and not isinstance(
                reply, Trap
            ):
                raise reply

            outcomes.append(reply)

        return outcomes


def _widened(scope: Scope, actual: Actual, subject: _Subject) -> Scope | None:
    """Return the scope with the clients that its rows show, if that is more to
    read; else None.
    """

    met = scope.met(actual.hosts)
    ends_others = any(map(ends_rows_of_others, subject.chosen(scope)))
    if ends_others:
        met = met.joined(actual) | scope_of(subject.within(met))

    new_client = any(
        not in_scope(session, scope) for session in subject.within(met)
    )

    new_rows = ends_others and met != scope

    return met if new_client or new_rows else None


def _is_settled(judged: Iterable[SessionDecision], plan: AccessPlan) -> bool:
    """Return whether nothing is left to do, now or when time has passed."""
    if not plan.empty:
        return False

    if any(decision.untold for decision in judged):
        return False

    if plan.unproven:
        return False

    return not any(view.too_early for view in plan.endings.values())
