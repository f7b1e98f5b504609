"""What the loop of a Device says of its Sessions, and what it remembers of having said it.

The memory bridges the time until a status that was written comes back by the watch, so that no pass judges by
an old one.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.access.desired import SessionDecision
from cerebro.agent.devices.access.status import ended_status, live_status, status_patch
from cerebro.domain.conditions import Obstacle
from cerebro.kube.status_writer import Write
from cerebro.resources import SESSION, Session, SessionStatus, reasons
from cerebro.routeros.access.result import AccessPlan, EndingView

_NO_CLIENT = Obstacle(
    "NoClient",
    "spec.client names neither macAddress nor ipAddress: name the client that is to be let in",
    final=False,
)


class SessionReporter:
    """Statuses of the Sessions of one Device, by UID."""

    def __init__(self, context: AgentContext) -> None:
        self._context = context
        self._said: dict[str, SessionStatus] = {}

    def known(self, session: Session) -> Session:
        """Return a Session with the status that was said of it last, written or not."""
        said = self._said.get(session.metadata.uid)
        return session if said is None else session.model_copy(update={"status": said})

    def finished(self, uid: str) -> bool:
        """Tell whether we said that the end of a Session is enforced."""
        said = self._said.get(uid)
        return said is not None and said.finished is True

    def forget(self, present: set[str]) -> None:
        """Forget Sessions that are not there any more."""
        self._said = {uid: said for uid, said in self._said.items() if uid in present or said.finished}

    def drop(self, uid: str) -> None:
        """Forget a Session that has gone from the Store for good."""
        self._said.pop(uid, None)

    def awaits_clock(self, one: SessionDecision) -> bool:
        """Tell whether only a clock that is right again held a live Session back (rule A9)."""
        ready = one.session.status.condition("Ready")
        held = ready is not None and ready.reason == reasons.CLOCK_SKEW
        return held and one.verdict.live and not one.verdict.hold

    def may_say(self, one: SessionDecision, *, lasting: bool) -> bool:
        """Tell whether a router that does not answer is worth a word: for one with access only when it lasts."""
        return lasting or not (one.verdict.live and one.session.status.phase == "Active")

    def report(self, one: SessionDecision, plan: AccessPlan | None, obstacle: Obstacle | None) -> None:
        """Say what a Session is after a look at the router; `plan` None when it could not be looked at."""
        session, now = one.session, datetime.now(UTC)
        if one.verdict.live:
            view = plan.grants.get(one.grant) if plan and one.grant else None
            if view and plan and one.left and not plan.endings[one.left].enforced:
                view = replace(view, granted=False)  # the client that it named before is still let in
            why = _NO_CLIENT if one.grant is None else obstacle
            status = live_status(session, one.verdict, view, why, now)
        else:
            ending = plan.endings.get(one.ending) if plan and one.ending else None
            if one.ending is None and not one.untold:
                ending = EndingView(enforced=True)
            if ending and one.left and not (plan and plan.endings[one.left].enforced):
                ending = replace(ending, enforced=False)
            status = ended_status(session, one.verdict, ending, obstacle, now)
        patch = status_patch(session.status, status)
        if not patch:
            return
        meta = session.metadata
        if status.phase == "Active" and session.status.phase != "Active" and meta.creation_timestamp:
            self._context.metrics.granted((now - meta.creation_timestamp).total_seconds())
        self._said[meta.uid] = status
        self._context.statuses.put(Write(SESSION, meta.namespace, meta.name, meta.uid, patch))
