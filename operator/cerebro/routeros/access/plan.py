"""The plan of access: `desired, actual -> what to change on the router`, in an
order that never lets in or cuts off wrongly. Pure.

New treatment comes first, then the host row goes, because a binding acts only
on hosts that are created after it (rules B1 to B4). A plan grows with the rows
and clients of one router, each looked at a constant number of times: 2,000
clients take some 0.1 s. `steps` lets an event loop breathe in between.
"""

from __future__ import annotations

from collections.abc import Iterator

from cerebro.routeros.access.endings import Endings
from cerebro.routeros.access.grants import conclude, grant
from cerebro.routeros.access.marker import Ownership
from cerebro.routeros.access.model import AccessPolicy, DesiredAccess
from cerebro.routeros.access.orders import end_order
from cerebro.routeros.access.orphans import (
    cut_off_unexplained,
    retire,
    unexplained_rows,
)
from cerebro.routeros.access.result import AccessPlan
from cerebro.routeros.access.state import PlanState
from cerebro.routeros.access.tables import Actual, RouterTables


def access_plan(
    desired: DesiredAccess, actual: Actual, policy: AccessPolicy
) -> AccessPlan:
    """Return what makes the router's access equal to `desired`; applied and
    planned again it gives nothing.
    """
    planner = AccessPlanner(desired, actual, policy)
    for _ in planner.steps():
        pass

    return planner.result


class AccessPlanner:
    """One plan while it is made; `result` is complete once `steps` is
    exhausted.
    """

    def __init__(
        self, desired: DesiredAccess, actual: Actual, policy: AccessPolicy
    ) -> None:
        self._desired, self._actual, self._policy = desired, actual, policy
        self.result = AccessPlan(unread=actual.unread)

    def steps(self) -> Iterator[None]:
        """Make the plan, and yield after each row and each client, so that
        whoever runs it may let others run.
        """
        whose = Ownership(self._policy.installation)
        tables = RouterTables(self._actual, whose)
        yield from tables.index()

        state = PlanState(
            self._desired, self._actual, self._policy, tables, self.result
        )
        yield

        granted = []

        for client in state.clients:
            granted.append(grant(state, client))
            yield

        for each in granted:
            conclude(state, each)
            yield

        endings = Endings(state)

        for ending in state.desired.endings:
            if ending.order is None:
                endings.end(ending)
            else:
                view = end_order(ending.order, state)
                state.result.endings[ending] = view

            yield

        if state.desired.complete and not state.desired.frozen_all:
            yield from _orphans(state)


def _orphans(state: PlanState) -> Iterator[None]:
    for rows in unexplained_rows(state):
        retire(state, rows)
        yield

    for host in state.tables.hosts.all:
        cut_off_unexplained(state, host)
        yield
