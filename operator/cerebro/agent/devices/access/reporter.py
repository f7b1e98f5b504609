"""Reports the statuses of a Device's Sessions, and remembers what was
reported.

The memory bridges the time until a status that was written comes back by the
watch, so that no pass judges by an old one.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.access.desired import SessionDecision
from cerebro.agent.devices.access.outcome import UserOutcome
from cerebro.agent.devices.access.status import (
    GRANTING,
    ended_status,
    live_status,
    status_patch,
)
from cerebro.agent.devices.access.story import SessionNews, session_news
from cerebro.domain.conditions import Obstacle
from cerebro.domain.lifecycle import is_current
from cerebro.kube.status_writer import Write
from cerebro.resources import SESSION, Session, SessionStatus, reasons
from cerebro.resources.naming import ANNOTATION_TRACE_ID
from cerebro.routeros.access.result import AccessPlan, EndingView, GrantView

log = logging.getLogger(__name__)

_NO_CLIENT = Obstacle(
    reasons.NOT_SUPPORTED,
    "spec.client names neither macAddress nor ipAddress: name the client that is to be let in, or a hotspotUser",
)

_UNDER_WAY = timedelta(minutes=1)
"""How long a new Session may be without a status while its router answers."""


class SessionReporter:
    """Statuses of the Sessions of one Device, by UID."""

    def __init__(self, context: AgentContext) -> None:
        self._context = context
        self._reported: dict[str, SessionStatus] = {}
        self.news: Counter[str] = Counter()
        """How often each reason of an Event came; whoever reads it clears it."""

    def known(self, session: Session) -> Session:
        """Return a Session with the status that was reported last, whether
        that is written by now or not.

        Once the store has that status, it is not remembered any more; that of
        a finished Session is, since it leaves the watch.
        """
        uid = session.metadata.uid
        reported = self._reported.get(uid)

        if reported is None:
            return session

        if reported == session.status and not reported.finished:
            del self._reported[uid]

            return session

        return session.model_copy(update={"status": reported})

    def finished(self, uid: str) -> bool:
        """Return whether the end of a Session was reported as enforced."""
        reported = self._reported.get(uid)

        return reported is not None and reported.finished is True

    def forget(self, uid: str) -> None:
        """Forget a Session that counts no more; not a finished one: that has
        only left the watch.
        """
        if not self.finished(uid):
            self.drop(uid)

    def drop(self, uid: str) -> None:
        """Forget a Session that has gone from the Store for good."""
        self._reported.pop(uid, None)

    def awaits_clock(self, decision: SessionDecision) -> bool:
        """Return whether a live Session was held back only by a clock that is
        right by now (rule A9).
        """
        ready = decision.session.status.condition("Ready")
        was_held = ready is not None and ready.reason == reasons.CLOCK_SKEW

        return was_held and decision.verdict.live and not decision.verdict.hold

    def may_say(self, decision: SessionDecision, *, lasting: bool) -> bool:
        """Return whether a silent router is reported on a Session: on one that
        has access only if it lasts.
        """
        has_access = (
            decision.verdict.live and decision.session.status.phase == "Active"
        )

        return lasting or not has_access

    def report(
        self,
        decision: SessionDecision,
        plan: AccessPlan | None,
        obstacle: Obstacle | None,
        user: UserOutcome | None = None,
    ) -> bool:
        """Report the status of a Session after a pass; return whether it
        changed.

        `plan` is None if the router could not be read, `user` if nobody looked
        at the Session's hotspot user. The first grant is measured from the
        Session's creation.
        """

        now = datetime.now(UTC)

        if decision.verdict.live:
            status = _live(decision, plan, obstacle, user, now)
        else:
            status = _ended(decision, plan, obstacle, user, now)

        session, meta = decision.session, decision.session.metadata

        # Most Sessions of a full pass are as they were.
        if status == session.status or _is_under_way(session, status, now):
            return False

        patch = status_patch(session.status, status)

        if not patch:
            return False

        is_new_grant = (
            status.phase == "Active" and session.status.phase != "Active"
        )

        if is_new_grant and meta.creation_timestamp:
            self._context.metrics.granted(
                (now - meta.creation_timestamp).total_seconds()
            )

        self._context.router_metrics.session_reported(session, status, now)
        self._tell(session, status, looked=plan is not None)
        self._reported[meta.uid] = status

        self._context.statuses.put(
            Write(
                SESSION,
                meta.namespace,
                meta.name,
                meta.uid,
                patch,
                line=session.spec.device_ref.name,
            )
        )

        return True

    def _tell(
        self, session: Session, status: SessionStatus, *, looked: bool
    ) -> None:
        """Log what a new status says of a Session, and post an Event."""
        news = session_news(session, status, looked=looked)
        if news is None:
            return

        _log_news(session, news)
        self._context.recorder.post(session, news.told, **news.values)
        self.news[news.told.reason] += 1


def _log_news(session: Session, news: SessionNews) -> None:
    """Log what is told of a Session, with the trace of the request that made
    it.
    """
    annotations = session.metadata.annotations
    is_trouble = news.told.type == "Warning"

    log.log(
        logging.WARNING if is_trouble else logging.INFO,
        "Session %s/%s: %s: %s",
        session.namespace,
        session.name,
        news.told.reason,
        news.told.sentence.format(**news.values),
        extra={
            "session": f"{session.namespace}/{session.name}",
            "device": f"{session.namespace}/{session.spec.device_ref.name}",
            "order": session.spec.order_id,
            "traceId": annotations.get(ANNOTATION_TRACE_ID),
        },
    )


def _is_under_way(
    session: Session, status: SessionStatus, now: datetime
) -> bool:
    """Return whether a new Session is only being let in, as it has to be.

    Nothing is told of it then: the next word is that it is in, or what keeps
    it out. With many that come at once this saves a write for each.
    """
    ready = status.condition("Ready")
    nothing_to_tell = ready is not None and ready.reason == GRANTING

    if session.status.phase is not None or not nothing_to_tell:
        return False

    created = session.metadata.creation_timestamp

    return created is not None and now - created < _UNDER_WAY


def _live(
    decision: SessionDecision,
    plan: AccessPlan | None,
    obstacle: Obstacle | None,
    user: UserOutcome | None,
    now: datetime,
) -> SessionStatus:
    """Return the status of a live Session."""
    session = decision.session
    names_user = session.spec.hotspot_user is not None

    if decision.grant is None and not names_user:
        return live_status(session, decision.verdict, None, _NO_CLIENT, now)

    view: GrantView | None = None

    if plan is not None and decision.grant is not None:
        view = plan.grants.get(decision.grant)
    elif plan is not None:
        view = GrantView(granted=True, mac=None, ips=())

    if view is not None and names_user and not _user_is_there(session, user):
        view = replace(view, granted=False)

    if view is not None and not _former_is_out(decision, plan):
        view = replace(view, granted=False)

    return live_status(decision.session, decision.verdict, view, obstacle, now)


def _user_is_there(session: Session, user: UserOutcome | None) -> bool:
    """Return whether the hotspot user of a live Session is on the router; if
    nobody looked, what was seen last counts.
    """
    if user is not None:
        return user.done

    ready = session.status.condition("Ready")
    was_granted = ready is not None and ready.status == "True"

    return was_granted and is_current(session)


def _ended(
    decision: SessionDecision,
    plan: AccessPlan | None,
    obstacle: Obstacle | None,
    user: UserOutcome | None,
    now: datetime,
) -> SessionStatus:
    """Return the status of an ended Session. One that names neither a client
    nor an order has nothing on the router.
    """
    view: EndingView | None = None

    if decision.ending is not None:
        view = plan.endings.get(decision.ending) if plan is not None else None
    elif not decision.untold:
        names_user = decision.session.spec.hotspot_user is not None
        view = EndingView(enforced=plan is not None or not names_user)

    if view is not None and decision.session.spec.hotspot_user is not None:
        user_is_out = user is not None and user.done
        view = replace(view, enforced=view.enforced and user_is_out)

    if view is not None and not _former_is_out(decision, plan):
        view = replace(view, enforced=False)

    return ended_status(
        decision.session, decision.verdict, view, obstacle, now
    )


def _former_is_out(decision: SessionDecision, plan: AccessPlan | None) -> bool:
    """Return whether the client that a Session named before is not let in any
    more; False if nobody looked.
    """
    if decision.former is None:
        return True

    return plan is not None and plan.endings[decision.former].enforced
