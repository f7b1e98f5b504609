"""The Sessions of one Device as its loop sees them: which there are, which the
clock ended, what is reported of them.

This file remembers what the passes showed of their clients (connections at the
end of access, rows that somebody else keeps changing); it neither touches the
router nor decides when to look at it. What it does at a change costs the same
however many Sessions the Device has.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.access.circumstances import circumstances, policy_of
from cerebro.agent.devices.access.clients import client_keys, frozen_clients
from cerebro.agent.devices.access.contention import ContentionTracker
from cerebro.agent.devices.access.desired import (
    PassContext,
    SessionDecision,
    judge_all,
    judgements,
)
from cerebro.agent.devices.access.outcome import (
    PassResult,
    granted_and_ended,
    session_obstacle,
)
from cerebro.agent.devices.access.reporter import SessionReporter
from cerebro.agent.devices.access.roster import Roster
from cerebro.domain.conditions import Obstacle
from cerebro.domain.lifecycle import RouterObservation, judge
from cerebro.kube.cache.references import device_of
from cerebro.kube.event_reasons import (
    DRIFT_REPAIRED,
    EXPIRED,
    GRANTED,
    REVOKED,
    SESSIONS_ENDED,
    SESSIONS_GRANTED,
)
from cerebro.kube.objects import StoredObject
from cerebro.resources import SESSION, Device, Session, reasons
from cerebro.routeros.access.marker import client_id
from cerebro.routeros.access.model import AccessPolicy
from cerebro.runtime.pace import exhaust

_OFFLINE = Obstacle(
    "RouterOffline",
    "the router is offline and spec.whenOffline is Reject",
    final=True,
)
_NOT_LOOKED = Obstacle(
    reasons.NOT_LOOKED_YET, "the router has not answered yet", looked=False
)

_MANY = 10
"""Sessions that one pass lets in or puts out, above which the Device tells it
too.
"""


class DeviceSessions:
    """The Sessions of one Device, and what is remembered of their clients.

    The store says which Sessions changed, and `current` looks at these alone:
    at each as it counts (rule A10), with the status that was reported last,
    since the one in the store may be older. Only `report_unreached` goes over
    all of them, and only when there is something new to tell.
    """

    def __init__(
        self, context: AgentContext, namespace: str, device: str
    ) -> None:
        self._context = context
        self._namespace = namespace
        self._device = device
        self._reporter = SessionReporter(context)
        self._contention = ContentionTracker()
        self._drifted = 0
        """Clients whose rows the last pass repaired."""
        self._roster = Roster()
        self._frozen: dict[str, tuple[frozenset[str], bool]] = {}
        """By the UID of a Session about which nothing is decided (rule B9):
        the client that it names, and whether it names none.
        """
        self.flows: dict[str, frozenset[str]] = {}
        """Connections at the end of a client's access, by `flows_key`; a pass
        adds to them.
        """

        self._told: tuple[object, ...] | None = None
        """What was reported of all Sessions while the router is silent."""
        self._untold: dict[str, None] = {}
        """UIDs of the Sessions that changed since then."""

        self._changed = context.session_changes.follow(namespace, device)

        for stored in context.by_device.get(namespace, device):
            self._changed.add(stored.uid)

    # --- which there are

    def current(self) -> Roster:
        """Return the unfinished Sessions as they count, with the statuses that
        were reported last.
        """
        for _ in self._take_changes():
            pass

        return self._roster

    async def refresh(self) -> Roster:
        """Return what `current` returns, and let others run meanwhile: a
        thousand Sessions may have changed.
        """
        await exhaust(self._take_changes())

        return self.current()

    def _take_changes(self) -> Iterator[None]:
        """Look at each Session that changed, and yield after each."""
        gone: list[str] = []

        for uid in self._changed.take():
            self._untold[uid] = None

            if not self._look_at(uid):
                gone.append(uid)

            yield

        self._forget(frozenset(gone))

    def _look_at(self, uid: str) -> bool:
        """Take a Session as the store has it now; return whether it counts.

        A Session that is finished, that is being deleted, that moved to
        another Device or that is frozen counts no more.
        """
        self._frozen.pop(uid, None)

        stored = self._context.store.by_uid(SESSION, self._namespace, uid)

        if stored is None or device_of(stored) != self._device:
            self._roster.leave(uid)

            return False

        session = self._context.as_it_counts(stored)

        if session is None:
            self._roster.leave(uid)
            self._note_frozen(stored)

            return False

        session = self._reporter.known(session)
        now = datetime.now(UTC)
        verdict = judge(
            session, RouterObservation(now=now), self._context.windows
        )

        # A Session that changes after its end was due, as by its own status
        # that comes back late, is still to be ended.
        overdue = self._roster.overdue(uid, now)
        self._roster.join(session, overdue or verdict.wake_at)

        return True

    def _note_frozen(self, stored: StoredObject) -> None:
        """Note who must be left alone for a Session about which nothing is
        decided.
        """
        body = self._context.frozen_body(stored)

        if body is not None:
            self._frozen[stored.uid] = frozen_clients([body])

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

    def _forget(self, gone: frozenset[str]) -> None:
        """Forget what is remembered of Sessions that count no more."""
        if not gone:
            return

        for uid in gone:
            self._reporter.forget(uid)

        for key in list(self.flows):
            uid, _, _ = key.partition(" ")

            if uid in gone:
                del self.flows[key]

    # --- the clock

    def pass_context(self, device: Device, *, resync: bool) -> PassContext:
        """Return what a pass depends on now; at a resync also contested rows
        are tried again.
        """
        self.current()
        names = (clients for clients, _ in self._frozen.values())
        frozen = frozenset[str]().union(*names)
        frozen_all = any(nobody for _, nobody in self._frozen.values())

        return circumstances(
            self._context,
            device,
            self._contention,
            self.flows,
            (frozen, frozen_all),
            resync=resync,
        )

    def ended_by_clock(self, at: PassContext) -> set[str]:
        """Return the UIDs of the Sessions whose phase the clock has changed
        since the last call, and of those that it lets in as it can be trusted
        again (A9).
        """
        if not at.clock_trusted:
            return set()

        roster = self.current()
        due = [*roster.take_due(at.now), *roster.held_by_clock]
        ended: set[str] = set()

        for decision in judge_all(due, None, AccessPolicy(), at):
            uid = decision.session.metadata.uid
            self._changed.add(uid)

            before = decision.session.status.phase
            moved = decision.verdict.phase not in (None, before)

            if moved or self._reporter.awaits_clock(decision):
                ended.add(uid)

        return ended

    def next_clock(self) -> datetime | None:
        """Return when the clock next ends something, or has ended it and
        nobody has looked.

        While the clock is not trusted (rule A9), return when to ask whether it
        is.
        """
        if not self._context.clock_trusted():
            return datetime.now(UTC) + timedelta(
                seconds=self._context.heartbeat
            )

        return self.current().next_wake()

    # --- what is reported

    async def report_pass(self, device: Device, result: PassResult) -> None:
        """Report each Session that a pass looked at; call `note_repairs`
        before.
        """
        self._told = None
        await exhaust(self._report_each(device, result))
        self._tell_of_pass(device)
        await self.refresh()

    def _report_each(
        self, device: Device, result: PassResult
    ) -> Iterator[None]:
        contested = self._contention.contested(time.monotonic())

        for decision in result.judged:
            obstacle = session_obstacle(
                device,
                result,
                decision,
                contested=_is_among(contested, decision.session),
            )

            uid = decision.session.metadata.uid
            user = result.users.get(uid)

            if self._reporter.report(decision, result.plan, obstacle, user):
                self._changed.add(uid)

            yield

    def _tell_of_pass(self, device: Device) -> None:
        """Post Events about the Device: of rows that were repaired, and of many
        Sessions at once, which may have had none of their own.
        """
        recorder = self._context.recorder
        news = self._reporter.news
        granted = news[GRANTED.reason]
        ended = news[EXPIRED.reason] + news[REVOKED.reason]
        news.clear()

        if granted > _MANY:
            recorder.post(device, SESSIONS_GRANTED, count=granted)

        if ended > _MANY:
            recorder.post(device, SESSIONS_ENDED, count=ended)

        if self._drifted:
            message = f"entries of {self._drifted} clients were missing or changed on the router; they were put right"
            recorder.post(device, DRIFT_REPAIRED, message=message)

    async def report_unreached(
        self, device: Device, obstacle: Obstacle | None, *, lasting: bool
    ) -> datetime | None:
        """Report what can be told without the router: what the clock ended,
        and why others wait. Return when the clock next changes something.

        `obstacle` is what keeps the router from being reached; None if that is
        not known yet. `lasting`: it is known to be no passing failure. What
        was told of a Session is not told again before something changes.
        """
        await self.refresh()
        at = self.pass_context(device, resync=False)
        self.ended_by_clock(at)
        roster = self.current()

        rejects = lasting and device.spec.when_offline == "Reject"
        reason = obstacle or _NOT_LOOKED
        telling = (reason, lasting, rejects, at.hold, at.clock_trusted)

        sessions = roster.all()

        if telling == self._told:
            sessions = roster.some(self._untold)

        self._untold = {}
        self._told = None

        decisions = judgements(
            sessions,
            None,
            policy_of(device, self._context.installation),
            at,
        )

        await exhaust(
            self._tell(decision, reason, rejects=rejects, lasting=lasting)
            for decision in decisions
        )

        self._told = telling

        return self.next_clock()

    def _tell(
        self,
        decision: SessionDecision,
        reason: Obstacle,
        *,
        rejects: bool,
        lasting: bool,
    ) -> bool:
        """Report a Session whose router is silent; return whether that was
        news.
        """
        never_let_in = decision.session.status.authorized_at is None

        if rejects and decision.verdict.live and never_let_in:
            reason = _OFFLINE

        if not self._reporter.may_say(decision, lasting=lasting):
            return False

        is_news = self._reporter.report(decision, None, reason)

        if is_news:
            self._changed.add(decision.session.metadata.uid)

        return is_news

    # --- rows that somebody else keeps changing (rule B10)

    def note_repairs(self, result: PassResult, *, full_pass: bool) -> int:
        """Note whose rows a pass put right; return how many clients are
        contested by now.
        """
        now = time.monotonic()
        granted, ended = granted_and_ended(result)
        self._drifted = self._contention.note(
            result.repaired, granted, ended, now, everything=full_pass
        )
        self._context.metrics.drifted("access", self._drifted)
        self._contention.note_logouts(
            result.plan.logged_out, granted.keys(), now
        )

        return len(self._contention.contested(now))


def _is_among(contested: frozenset[str], session: Session) -> bool:
    """Return whether a Session's client is among these client ids."""
    if not contested:
        return False

    mac, ips = client_keys(session)

    return any(client_id(key) in contested for key in (mac, *ips) if key)
