"""One pass over a router: read, judge, plan, apply, and read again until nothing is left to do.

It decides nothing by itself: `desired.py` judges the Sessions, `routeros/access/plan.py` plans. A pass looks
at everything, or only at the clients of some Sessions, which new ones need at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from cerebro.agent.devices.access.desired import (
    PassContext,
    SessionDecision,
    ends_rows_of_others,
    flows_key,
    in_scope,
    judge_all,
    pinned,
    scope_of,
    wanted_of,
)
from cerebro.agent.devices.access.outcome import PassResult, pass_obstacle
from cerebro.resources import Session
from cerebro.routeros.access.marker import parse_marker
from cerebro.routeros.access.model import AccessPolicy
from cerebro.routeros.access.plan import access_plan, without_orphans
from cerebro.routeros.access.read import Scope, access_prints, actual_from, connections_print
from cerebro.routeros.access.result import AccessPlan
from cerebro.routeros.access.tables import Actual
from cerebro.routeros.client.command import Command, Reply
from cerebro.routeros.client.errors import Trap, TrapKind
from cerebro.routeros.client.session import WINDOW, RouterSession
from cerebro.routeros.menus.menu import Row

_ROUNDS = 4
# Rule B5: a write that a client waits for and that brought no byte for this long goes over a fresh
# connection.
_PATIENCE = 1.0


@dataclass
class AccessReconciler:
    """A pass over one router with what it needs.

    `urgent()` tells whether a client waits for something newer, `may_write()` whether this agent still may do
    what `at` says: a Lease can run out within a pass, and another agent may have written since (rule E1).
    """

    session: RouterSession
    policy: AccessPolicy
    at: PassContext
    dry_run: bool = False
    flows: dict[str, frozenset[str]] = field(default_factory=dict)  # by `flows_key`: connections at the end
    confirmed: int = 0  # how many clients a mass removal may end (rule E13)
    impatient: bool = False
    urgent: Callable[[], bool] = lambda: False
    may_write: Callable[[], bool] = lambda: True

    async def run(self, sessions: Sequence[Session], changed: Iterable[Session] | None) -> PassResult:
        """Make the router equal to its Sessions; `changed` None looks at everything, else at their clients
        only.

        Raises RouterError when the connection is lost or stalls: then the outcome of the writes is unknown.
        """
        asked = None if changed is None else list(changed)
        uids = {one.metadata.uid for one in asked or ()}  # also those that name no client
        outcome = PassResult()
        written = {one.metadata.uid: one for one in sessions}
        met: Scope = Scope()
        left: tuple[Row, ...] = ()
        for _ in range(_ROUNDS):
            scope, actual = await self._look(None if asked is None else scope_of(asked) | met, sessions)
            asked, met = (None, met) if scope is None else (asked, scope)
            actual, left = replace(actual, left=left), (*left, *actual.hosts)
            chosen = [
                one for one in sessions if scope is None or one.metadata.uid in uids or in_scope(one, scope)
            ]
            outcome.judged = judge_all(chosen, actual, self.policy, self.at)
            self._forget_flows(outcome.judged)
            outcome.plan = await self._plan(outcome, actual, everything=scope is None)
            undone = any(one.untold for one in outcome.judged) or any(
                view.too_early for view in outcome.plan.endings.values()
            )
            outcome.settled = outcome.plan.empty and not undone
            if outcome.plan.empty or self.dry_run:
                break
            # The host goes in this round and may be away in the next: the MAC is what it was at first sight.
            pins = pinned(outcome.judged, actual)
            sessions = [pins.get(one.metadata.uid, one) for one in sessions]
            asked = None if asked is None else [pins.get(one.metadata.uid, one) for one in asked]
            await self._apply(outcome)
            if outcome.interrupted or outcome.collided:
                break
        if outcome.settled:
            outcome.obstacle = None
        # What is reported is compared with the status that was written, not with what we know since.
        outcome.judged = [replace(one, session=written[one.session.metadata.uid]) for one in outcome.judged]
        return outcome

    async def _look(self, scope: Scope | None, sessions: Sequence[Session]) -> tuple[Scope | None, Actual]:
        """Read what concerns some clients, and whoever the hosts show to share their addresses; of one that is
        revoked also what rows of the older relay say.
        """
        while scope is not None and not scope.wide:
            actual = await self._read(scope)
            met = scope.met(actual.hosts)
            ends = any(ends_rows_of_others(one) and in_scope(one, scope) for one in sessions)
            if ends:
                met = met.joined(actual) | scope_of(one for one in sessions if in_scope(one, met))
            new = any(in_scope(one, met) and not in_scope(one, scope) for one in sessions)
            if not new and not (ends and met != scope):
                return scope, actual
            scope = met
        return None, await self._read(None)

    async def _read(self, scope: Scope | None) -> Actual:
        replies = await self._run_all(access_prints(self.policy, scope))
        return actual_from([_rows(reply) for reply in replies])

    async def _plan(self, outcome: PassResult, actual: Actual, *, everything: bool) -> AccessPlan:
        wanted = wanted_of(outcome.judged, self.at, everything=everything)
        plan = access_plan(wanted, actual, self.policy)
        if plan.wants_connections and not self.dry_run:
            (reply,) = await self._run_all([connections_print()])
            actual = replace(actual, connections=tuple(_rows(reply)))
            plan = access_plan(wanted, actual, self.policy)
            self._remember_flows(outcome.judged, plan)
        outcome.held_back = 0
        if plan.is_mass_removal() and len(plan.orphans) > self.confirmed:
            outcome.held_back = len(plan.orphans)
            plan = without_orphans(wanted, actual, self.policy)
        return plan

    def _remember_flows(self, judged: Iterable[SessionDecision], plan: AccessPlan) -> None:
        """Note which connections were there when the last host of a client had gone: later ones are not let
        through (B1).
        """
        for one in judged:
            for ending in one.endings:
                view = plan.endings[ending]
                if view.cut:
                    self.flows.setdefault(flows_key(one.session, ending), view.flows)

    def _forget_flows(self, judged: Iterable[SessionDecision]) -> None:
        """Forget the connections at an earlier end of clients that are to have access again."""
        for one in judged:
            if one.grant is not None:
                self.flows.pop(flows_key(one.session, one.grant), None)

    async def _apply(self, outcome: PassResult) -> None:
        outcome.repaired |= outcome.plan.repaired
        for stage in outcome.plan.stages:
            for start in range(0, len(stage), WINDOW):
                if (start and self.urgent()) or not self.may_write():
                    outcome.interrupted = True
                    return
                window = stage[start : start + WINDOW]
                for command, reply in zip(window, await self._run_all(window), strict=True):
                    self._note(outcome, command, reply)

    def _note(self, outcome: PassResult, command: Command, reply: Reply | Trap) -> None:
        if not isinstance(reply, Trap) or reply.kind is TrapKind.GONE:
            return
        marker = parse_marker(command.attributes.get("comment"), self.policy.installation)
        if reply.kind is TrapKind.EXISTS:
            outcome.collided = True
        if marker is not None:
            outcome.refused[marker.client_id] = pass_obstacle(reply)
        else:
            outcome.obstacle = replace(pass_obstacle(reply), final=False)

    async def _run_all(self, commands: Sequence[Command]) -> list[Reply | Trap]:
        if not self.impatient or len(commands) > WINDOW:
            return await self.session.run_all(commands)
        replies = await asyncio.gather(
            *(self.session.run(command, first_byte_within=_PATIENCE) for command in commands),
            return_exceptions=True,
        )
        outcomes: list[Reply | Trap] = []
        for reply in replies:
            if isinstance(reply, BaseException) and not isinstance(reply, Trap):
                raise reply
            outcomes.append(reply)
        return outcomes


def _rows(reply: Reply | Trap) -> list[dict[str, str]]:
    if isinstance(reply, Trap):
        raise reply
    return reply.rows
