"""The Sessions of one Device as its loop sees them: which there are, which the
clock ended, what is reported of them.

This file remembers what the passes showed of their clients (connections at the
end of access, rows that somebody else keeps changing); it neither touches the
router nor decides when to look at it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.access.circumstances import circumstances, policy_of
from cerebro.agent.devices.access.contention import ContentionTracker
from cerebro.agent.devices.access.desired import (
    PassContext,
    SessionDecision,
    client_keys,
    judge_all,
    next_wake,
)
from cerebro.agent.devices.access.outcome import (
    PassResult,
    granted_and_ended,
    session_obstacle,
)
from cerebro.agent.devices.access.reporter import SessionReporter
from cerebro.domain.conditions import Obstacle
from cerebro.resources import SESSION, Device, Session, reasons
from cerebro.routeros.access.marker import client_id
from cerebro.routeros.access.model import AccessPolicy

_OFFLINE = Obstacle(
    "RouterOffline",
    "the router is offline and spec.whenOffline is Reject",
    final=True,
)
_NOT_LOOKED = Obstacle(
    reasons.NOT_LOOKED_YET, "the router has not answered yet", looked=False
)


class DeviceSessions:
    """The Sessions of one Device, and what is remembered of their clients."""

    def __init__(
        self, context: AgentContext, namespace: str, device: str
    ) -> None:
        self._context = context
        self._namespace = namespace
        self._device = device
        self._reporter = SessionReporter(context)
        self._contention = ContentionTracker()
        self.flows: dict[str, frozenset[str]] = {}
        """Connections at the end of a client's access, by `flows_key`; a pass
        adds to them.
        """

    # --- which there are

    def current(self) -> list[Session]:
        """Return the unfinished Sessions as they count, with the statuses that
        were reported last.
        """
        sessions = self._context.sessions_of(self._namespace, self._device)
        return [self._reporter.known(session) for session in sessions]

    def any_gone(self, uids: Iterable[str]) -> bool:
        """Return whether one of these Sessions is not in the store any more."""
        store = self._context.store
        return any(
            store.by_uid(SESSION, self._namespace, uid) is None for uid in uids
        )

    def drop_finished(self, uid: str) -> bool:
        """Forget a Session that was deleted, if its end was reported as
        enforced; return whether it was.
        """
        if not self._reporter.finished(uid):
            return False

        self._reporter.drop(uid)

        return True

    def forget_gone(self, sessions: Iterable[Session]) -> None:
        """Forget what is remembered of Sessions that are not among these."""
        present = {session.metadata.uid for session in sessions}
        self._reporter.forget(present)

        for key in list(self.flows):
            uid, _, _ = key.partition(" ")
            if uid not in present:
                del self.flows[key]

    # --- the clock

    def pass_context(self, device: Device, *, resync: bool) -> PassContext:
        """Return what a pass depends on now; at a resync also contested rows
        are tried again.
        """
        return circumstances(
            self._context, device, self._contention, self.flows, resync=resync
        )

    def ended_by_clock(
        self, sessions: Iterable[Session], at: PassContext
    ) -> set[str]:
        """Return the UIDs of the Sessions whose phase the clock has changed,
        and of those that it lets in as it can be trusted again (A9).
        """
        ended: set[str] = set()

        for decision in judge_all(sessions, None, AccessPolicy(), at):
            session = decision.session
            moved = decision.verdict.phase not in (None, session.status.phase)
            if moved or self._reporter.awaits_clock(decision):
                ended.add(session.metadata.uid)

        return ended

    def next_clock(
        self, sessions: Iterable[Session], since: datetime
    ) -> datetime | None:
        """Return when the clock next ends something, counted from when it was
        last looked at: a pass takes time.

        While the clock is not trusted (rule A9), return when to ask whether it
        is.
        """
        if not self._context.clock_trusted():
            return datetime.now(UTC) + timedelta(
                seconds=self._context.heartbeat
            )

        at = PassContext(now=since, windows=self._context.windows)
        known = [self._reporter.known(session) for session in sessions]

        return next_wake(judge_all(known, None, AccessPolicy(), at), since)

    # --- what is reported

    def report_pass(self, device: Device, result: PassResult) -> None:
        """Report each Session that a pass looked at; call `note_repairs`
        before.
        """
        for decision in result.judged:
            obstacle = session_obstacle(
                device,
                result,
                decision,
                contested=self._is_contested(decision),
            )

            self._reporter.report(decision, result.plan, obstacle)

    def report_unreached(
        self, device: Device, obstacle: Obstacle | None, *, lasting: bool
    ) -> datetime | None:
        """Report what can be told without the router: what the clock ended,
        and why others wait. Return when the clock next changes something.

        `obstacle` is what keeps the router from being reached; None if that is
        not known yet. `lasting`: it is known to be no passing failure.
        """

        rejects = lasting and device.spec.when_offline == "Reject"
        sessions = self.current()
        at = self.pass_context(device, resync=False)
        policy = policy_of(device, self._context.installation)

        for decision in judge_all(sessions, None, policy, at):
            reason = obstacle or _NOT_LOOKED
            never_let_in = decision.session.status.authorized_at is None
            if rejects and decision.verdict.live and never_let_in:
                reason = _OFFLINE

            if self._reporter.may_say(decision, lasting=lasting):
                self._reporter.report(decision, None, reason)

        return self.next_clock(sessions, at.now)

    # --- rows that somebody else keeps changing (rule B10)

    def note_repairs(self, result: PassResult, *, full_pass: bool) -> int:
        """Note whose rows a pass put right; return how many clients are
        contested by now.
        """
        now = time.monotonic()
        granted, ended = granted_and_ended(result)
        self._contention.note(
            result.repaired, granted, ended, now, everything=full_pass
        )
        self._contention.note_logouts(
            result.plan.logged_out, granted.keys(), now
        )

        return len(self._contention.contested(now))

    def _is_contested(self, decision: SessionDecision) -> bool:
        mac, ips = client_keys(decision.session)
        contested = self._contention.contested(time.monotonic())
        return any(client_id(key) in contested for key in (mac, *ips) if key)
