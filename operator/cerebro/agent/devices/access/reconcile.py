"""A pass over a router's access: read, decide, apply, and read again until
nothing is left to do.

This file decides nothing by itself: `desired` judges the Sessions,
`routeros/access/plan` plans. A pass looks at everything, or only at the
clients of some Sessions: whoever waits for a new one needs it at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from cerebro.agent.devices.access.desired import (
    PassContext,
    SessionDecision,
    flows_key,
    judgements,
    pinned,
    scope_of,
    wanted_of,
)
from cerebro.agent.devices.access.outcome import PassResult, pass_obstacle
from cerebro.agent.devices.access.reading import AccessReader
from cerebro.agent.devices.access.roster import Roster
from cerebro.agent.devices.access.subject import Subject, widened
from cerebro.agent.devices.urgency import unless_urgent
from cerebro.domain.conditions import Obstacle
from cerebro.domain.mass_removal import RemovalDecision, RemovalWindow
from cerebro.resources import Session
from cerebro.routeros.access.marker import parse_marker
from cerebro.routeros.access.model import AccessPolicy, DesiredAccess
from cerebro.routeros.access.plan import AccessPlanner
from cerebro.routeros.access.read import (
    Scope,
)
from cerebro.routeros.access.result import AccessPlan
from cerebro.routeros.access.tables import Actual
from cerebro.routeros.client.command import Command, Reply
from cerebro.routeros.client.errors import Trap, TrapKind
from cerebro.routeros.client.session import WINDOW, RouterSession
from cerebro.routeros.menus.firewall import CONNECTION
from cerebro.runtime.pace import exhaust, gather

T = TypeVar("T")

_ROUNDS = 4
"""A round reads, decides and applies. The second one finds nothing left to do,
unless somebody else writes too.
"""

_PREVIEW_AFTER = 2.0
"""Seconds until the router is compared as a whole after some Sessions changed
in dry run: what is shown is the plan for all.
"""

_LOOK_FOR_URGENT = 0.05
"""Seconds between two looks, while a long print runs, whether a client waits
for something newer.
"""


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


class GaveWay(Exception):
    """The pass has written nothing, and ended, as a client waits."""


@dataclass
class AccessReconciler:
    """A pass over one router, with what it needs.

    `flows` are the connections at the end of a client's access, by
    `flows_key`; the pass adds to them. `removals` decides which
    clients without a Session go, `confirmed` is how many a mass removal may
    end (rule E13). `impatient`: a client waits, so commands that bring no byte
    raise Stalled soon. `urgent()` returns whether a client waits for something
    newer; `gives_way` says that the pass ends then, as long as it has written
    nothing. `may_write()` returns whether this agent still may do what `at` says: a
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
    gives_way: bool = False
    may_write: Callable[[], bool] = lambda: True
    _known_at: float = field(default=0.0, init=False)
    """When the pass took its Sessions, by the monotonic clock."""
    _reader: AccessReader = field(init=False)

    def __post_init__(self) -> None:
        self._reader = AccessReader(self.session, self.policy, self.impatient)

    async def run(
        self, roster: Roster, changed: Iterable[Session] | None
    ) -> PassResult:
        """Make the router equal to its Sessions; with `changed` only as far as
        the clients of these are concerned. The roster stays as it is
        meanwhile.

        Raises RouterError when the connection is lost or stalls: then it is
        not known which writes ran; and GaveWay.
        """
        some = None if changed is None else list(changed)
        subject = Subject(roster, some)
        writes = _Writes()
        self._known_at = time.monotonic()

        for number in range(_ROUNDS):
            is_first = number == 0
            looking = self._look(subject, writes, first=is_first)
            if is_first and self.gives_way:
                looking = self._unless_urgent(looking)

            reading, decision = await looking
            if decision.plan.empty or self.dry_run or writes.interrupted:
                break

            # The host goes in this round and may be away in the next: the MAC
            # is what it was at first sight.
            subject.pin(pinned(decision.judged, reading.actual))
            await self._apply(decision.plan, writes)

            if writes.interrupted or writes.collided:
                break

        if self.dry_run and subject.changed is not None:
            decision.plan.look_again(_PREVIEW_AFTER)

        return self._finish(roster, decision, writes)

    async def _look(
        self, subject: Subject, writes: _Writes, *, first: bool
    ) -> tuple[_Reading, _Decision]:
        """Read and decide."""
        reading = await self._read(subject)
        decision = await self._decide(subject, reading, writes, first=first)

        return reading, decision

    async def _unless_urgent(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what some work comes to. Raises GaveWay when a client waits
        for something newer: reading and planning two thousand takes a second.
        """
        result = await unless_urgent(work, self.urgent, every=_LOOK_FOR_URGENT)
        if result is None:
            raise GaveWay

        return result

    # --- read

    async def _read(self, subject: Subject) -> _Reading:
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

    async def _read_scope(self, subject: Subject) -> _Reading:
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
            actual = await self._reader.rows(scope)
            wider = widened(scope, actual, subject)
            if wider is None:
                return _Reading(scope, actual)

            scope = wider

        return _Reading(None, await self._reader.rows(None))

    # --- decide

    async def _decide(
        self,
        subject: Subject,
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
        wanted = replace(
            wanted,
            retiring=going,
            live_users=subject.live_users(reading.actual, self.at),
        )
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

        rows = await unless_urgent(
            self._reader.connections(), self.urgent, every=_LOOK_FOR_URGENT
        )
        if rows is None:
            writes.interrupted = True
            return actual

        if isinstance(rows, str):
            return replace(
                actual, unread={**actual.unread, CONNECTION.path: rows}
            )

        return replace(actual, connections=tuple(rows))

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
            replies = await self._reader.run_all(window)
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
        about_device = reply.kind is not TrapKind.EXISTS and not obstacle.final
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


def _is_settled(judged: Iterable[SessionDecision], plan: AccessPlan) -> bool:
    """Return whether nothing is left to do, now or when time has passed."""
    if not plan.empty:
        return False

    if any(decision.untold for decision in judged):
        return False

    if plan.unproven:
        return False

    return not any(view.too_early for view in plan.endings.values())
