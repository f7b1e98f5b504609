"""The loop of one Device: it owns the router's connection and decides when to pass over the router, and how
widely.

New and changed Sessions go first and look at their own clients only; everything is compared after a connect,
at the resync interval, and when the Device changed. Level-triggered: a pass takes what is desired from the
Store, whatever woke it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta
from functools import partial

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
from cerebro.agent.devices.access.outcome import PassResult, granted_and_ended, session_obstacle
from cerebro.agent.devices.access.reconcile import AccessReconciler
from cerebro.agent.devices.access.reporter import SessionReporter
from cerebro.agent.devices.breaker import Breaker
from cerebro.agent.devices.cleanup import clean_up, wants_cleanup
from cerebro.agent.devices.connection import RouterLink, reason_of
from cerebro.agent.devices.reporter import DeviceReporter
from cerebro.agent.tunnel_status import dialling_obstacle
from cerebro.domain.conditions import Obstacle
from cerebro.domain.mass_removal import confirmed_removals
from cerebro.kube.objects import StoredObject
from cerebro.resources import DEVICE, SESSION, Device, Session, reasons
from cerebro.resources.naming import ANNOTATION_RESYNC_AT
from cerebro.routeros.access.marker import client_id
from cerebro.routeros.access.model import AccessPolicy
from cerebro.routeros.access.result import describe
from cerebro.routeros.client.errors import (
    ConnectionLost,
    LoginRefused,
    RouterError,
    SecretError,
    Stalled,
    Unreachable,
)
from cerebro.routeros.client.session import RouterSession

log = logging.getLogger(__name__)

_CLIENT_WAITS = 4.0  # seconds after a Session came or changed (rule B5)
_UNSETTLED_RETRY, _LONGEST_RETRY = 1.0, 30.0  # seconds; twice as long each time
_MAX_PLAN_LINES = 256
_MOST_OVERTAKEN = 20
_DEVICE, _SESSION = DEVICE, SESSION
_OFFLINE = Obstacle("RouterOffline", "the router is offline and spec.whenOffline is Reject", final=True)
_NOT_LOOKED = Obstacle(reasons.NOT_LOOKED_YET, "the router has not answered yet", looked=False)


class DeviceLoop:
    """One task for one Device, until that goes; everything else only marks it dirty."""

    def __init__(self, context: AgentContext, namespace: str, name: str, uid: str) -> None:
        self.context, self.namespace, self.name, self._uid = context, namespace, name, uid
        self._link = RouterLink(context.api)
        self._wake = asyncio.Event()
        self._dirty: dict[str, float] = {}  # Session UID -> when it came or changed (monotonic)
        self._everything = True
        self._resync_at = 0.0
        self._retry_at: float | None = None
        self._clock_at: datetime | None = None
        self._breaker = Breaker(threshold=1, recovery=1.0)  # each turn sets what the Device says
        self._secret_at_failure: str | None = None
        self._flows: dict[str, frozenset[str]] = {}
        self._contest = ContentionTracker()
        self._overtaken = 0  # passes in a row that went before one over everything
        self._unsettled = 0  # passes in a row that left something to do
        self._reports = SessionReporter(context)
        self._status = DeviceReporter(context)

    # --- what others tell the loop

    def session_changed(self, uid: str, *, gone: bool = False) -> None:
        """A Session came, changed or went; one that went because its end is enforced is no news."""
        if gone and self._reports.finished(uid):
            self._reports.drop(uid)
            return
        self._dirty[uid] = time.monotonic()
        self._wake.set()

    def look_at_everything(self) -> None:
        """Something changed that concerns the whole router."""
        self._everything = True
        self._wake.set()

    def try_again(self) -> None:
        """Something changed that may let the router answer now."""
        self._breaker.half_open(time.monotonic())
        self._retry_at = None
        self._wake.set()

    def tunnel_changed(self, *, came_back: bool) -> None:
        """The tunnel came, went or moved: a connection from before may be dead without knowing it (rule B5)."""
        if came_back:
            self._link.drop_stale()
            self._everything = True
            self.try_again()
        self._wake.set()

    # --- the loop

    async def run(self) -> None:
        """Turn until the agent stops, the Device goes (its entries stay, rule A8) or is made anew, or this is
        cancelled; then close the connection.
        """
        heartbeat = f"device {self.namespace}/{self.name}"
        try:
            while not self.context.stopping and (stored := self._stored()) is not None:
                self.context.turned(heartbeat)
                await self._turn(stored)
                await self._sleep()
        finally:
            await self._link.close()
            self.context.ended(heartbeat)

    def _stored(self) -> StoredObject | None:
        """Return the Device; None when it went, also if another of its name came since."""
        stored = self.context.store.get(_DEVICE, self.namespace, self.name)
        return stored if stored is not None and stored.uid == self._uid else None

    async def _sleep(self) -> None:
        now = time.monotonic()
        times = [now + self.context.heartbeat, self._resync_at]
        if self._retry_at is not None:
            times = [now + self.context.heartbeat, self._retry_at]
        if self._clock_at is not None:
            times.append(now + (self._clock_at - datetime.now(UTC)).total_seconds())
        try:
            async with asyncio.timeout(max(0.0, min(times) - now)):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _turn(self, stored: StoredObject) -> None:
        device = stored.read(Device)
        if device is None:
            await self._frozen(stored)
            return
        breaker, now, wanted = self._breaker, time.monotonic(), device.spec.circuit_breaker
        breaker.threshold, breaker.recovery = wanted.failure_threshold, wanted.recovery_time.total_seconds()
        cleaned_up = wants_cleanup(device) and self._status.found.cleaned_up
        if cleaned_up or device.spec.paused == "All" or not self.context.may_look(device):
            await self._stay_away(device)
            return
        obstacle = dialling_obstacle(device, self.context.tunnels.tunnel_up(device))
        if obstacle is not None:
            await self._without_way(device, obstacle)
            return
        if now < breaker.next_try and not (self._dirty and breaker.state(now) == "Closed"):
            await self._wait_for_router(device, breaker)
            return
        started = time.perf_counter()
        try:
            await self._pass(device, breaker)
        except RouterError as error:
            self._failed(device, breaker, error)
        finally:
            self.context.metrics.reconciled("device", time.perf_counter() - started)

    async def _stay_away(self, device: Device) -> None:
        """Have no connection: the router is not ours to reach."""
        self._dirty.clear()
        self._clock_at = self._retry_at = None
        self._report(device)
        self._resync_at = time.monotonic() + self.context.heartbeat
        await self._link.close()

    async def _without_way(self, device: Device, obstacle: Obstacle) -> None:
        """Have no connection: nothing leads to the router. It is compared as soon as something does."""
        await self._link.close()
        self._dirty.clear()
        self._everything = True
        found = self._status.found
        found.obstacle, found.settled, found.authenticated = obstacle, None, None
        found.reachable = False if obstacle.looked else None
        self._report_unreached(device, lasting=True)
        self._retry_at = time.monotonic() + self.context.heartbeat

    async def _frozen(self, stored: StoredObject) -> None:
        """A Device that cannot be read is left as it is (B9)."""
        self._dirty.clear()
        self._clock_at = self._retry_at = None
        self._resync_at = time.monotonic() + 3600.0
        await self._link.close()
        self.context.report_invalid(stored)

    async def _wait_for_router(self, device: Device, breaker: Breaker) -> None:
        """The breaker is open, or the next try is not due: say what the clock changes, and look at the Secret
        (rule B5).
        """
        obstacle = self._status.found.obstacle
        if obstacle is not None and obstacle.reason in ("LoginRefused", "SecretNotUsable"):
            seen = await self._link.secret_state(device)
            if seen != self._secret_at_failure:
                self._secret_at_failure = seen
                breaker.half_open(time.monotonic())
                self._wake.set()
                return
        self._dirty.clear()
        self._report_unreached(device)
        self._retry_at = min(breaker.next_try, time.monotonic() + 5.0)

    # --- one pass

    async def _pass(self, device: Device, breaker: Breaker) -> None:
        session, fresh = await self._link.session(device)
        self._status.found.reachable = self._status.found.authenticated = True
        self._status.found.facts = self._link.facts
        if wants_cleanup(device):
            await self._clean_up(device, session, breaker)
            return
        now = time.monotonic()
        resync = now >= self._resync_at
        everything = self._everything or fresh or resync or self._retry_at is not None
        sessions = self._sessions()
        at = circumstances(self.context, device, self._contest, self._flows, resync=resync)
        dirty, self._dirty = self._dirty | self._due(sessions, at), {}
        changed = [one for one in sessions if one.metadata.uid in dirty]
        overtaking = bool(changed) and everything and not fresh and self._overtaken < _MOST_OVERTAKEN
        self._overtaken = self._overtaken + 1 if overtaking else 0
        gone = any(self.context.store.by_uid(_SESSION, self.namespace, uid) is None for uid in dirty)
        look_at_all = (everything or gone) and not overtaking
        if not look_at_all and not changed:
            self._clock_at = self._next_clock(sessions, at.now)
            self._report(device)
            return
        # A pass over everything takes the mark at its start: one that is set meanwhile is for the next.
        self._everything = not look_at_all and (self._everything or overtaking or gone)
        run = AccessReconciler(
            session=session,
            policy=policy_of(device, self.context.installation),
            at=at,
            dry_run=device.spec.dry_run,
            flows=self._flows,
            confirmed=confirmed_removals(device),
            impatient=any(now - at < _CLIENT_WAITS for at in dirty.values()) and not look_at_all,
            urgent=lambda: bool(self._dirty) or self.context.stopping or self._stored() is None,
            may_write=partial(self.context.still_acts, device, leased=not at.passed_only),
        )
        outcome = await run.run(sessions, None if look_at_all else changed)
        breaker.succeeded()
        self._retry_at, self._secret_at_failure = None, None
        self._after(device, outcome, sessions, look_at_all=look_at_all)
        self._clock_at = self._next_clock(sessions, at.now)
        self._report(device)

    async def _clean_up(self, device: Device, session: RouterSession, breaker: Breaker) -> None:
        """Take all rows of ours off the router of a Device that goes; a status of its Sessions says nothing."""
        found = self._status.found
        self._dirty.clear()
        self._clock_at = None
        if device.spec.paused == "None" and self.context.may_write(device):
            policy = policy_of(device, self.context.installation)
            may_write = partial(self.context.still_acts, device, leased=True)
            outcome = await clean_up(session, policy, dry_run=device.spec.dry_run, may_write=may_write)
            found.cleaned_up = found.settled = outcome.settled
            found.obstacle = next(iter(outcome.refused.values()), None)
        breaker.succeeded()
        self._retry_at = None if found.cleaned_up else time.monotonic() + _UNSETTLED_RETRY
        self._report(device)

    def _due(self, sessions: list[Session], at: PassContext) -> dict[str, float]:
        """Return the Sessions that the clock has ended since the last look, or lets in (A9); nobody waits for those."""
        if self._clock_at is None or self._clock_at > at.now:
            return {}
        judged = judge_all(sessions, None, AccessPolicy(), at)
        return {
            one.session.metadata.uid: 0.0
            for one in judged
            if one.verdict.phase not in (None, one.session.status.phase) or self._reports.awaits_clock(one)
        }

    def _after(
        self, device: Device, outcome: PassResult, sessions: list[Session], *, look_at_all: bool
    ) -> None:
        now = time.monotonic()
        self._note_repairs(device, outcome, look_at_all=look_at_all)
        finished = outcome.settled or device.spec.dry_run
        if look_at_all:
            self._everything = self._everything or not finished
            self._resync_at = now + device.spec.resync_interval.total_seconds()
            self._status.found.last_resync_at = device.metadata.annotations.get(ANNOTATION_RESYNC_AT)
        if outcome.interrupted or outcome.collided:
            self._everything = True
            if outcome.interrupted or not look_at_all:
                self._wake.set()
        if not finished:
            self._retry_at = now + min(_LONGEST_RETRY, _UNSETTLED_RETRY * 2**self._unsettled)
        elif self._everything:
            self._wake.set()
        self._unsettled = 0 if finished or outcome.interrupted else min(self._unsettled + 1, 8)
        self._status.found.obstacle = outcome.obstacle
        if look_at_all or not finished:
            self._status.found.settled = outcome.settled
            self._status.found.held_back = outcome.held_back
        if device.spec.dry_run and look_at_all:
            self._status.found.plan = describe(list(outcome.plan.commands()))[:_MAX_PLAN_LINES]
        elif not device.spec.dry_run:
            self._status.found.plan = None
        self._report_sessions(device, outcome)
        present = {one.metadata.uid for one in sessions}
        self._reports.forget(present)
        for key in [key for key in self._flows if key.partition(" ")[0] not in present]:
            del self._flows[key]

    def _report_sessions(self, device: Device, outcome: PassResult) -> None:
        for one in outcome.judged:
            obstacle = session_obstacle(device, outcome, one, contested=self._is_contested(one))
            self._reports.report(one, outcome.plan, obstacle)

    def _sessions(self) -> list[Session]:
        """Return the Device's unfinished Sessions as they count, with what we know of them by now."""
        return [self._reports.known(one) for one in self.context.sessions_of(self.namespace, self.name)]

    # --- failures

    def _failed(self, device: Device, breaker: Breaker, error: RouterError) -> None:
        now = time.monotonic()
        self._link.drop()
        self._dirty.clear()
        self._everything = True
        if isinstance(error, Stalled | ConnectionLost) and breaker.failures == 0:
            # A connection that broke says little of the router: a fresh one is tried at once, one time.
            breaker.failed(now)
            breaker.next_try = now
        else:
            breaker.failed(now)
        log.warning("router of Device %s/%s: %s", self.namespace, self.name, error)
        found = self._status.found
        found.reachable = not isinstance(error, Unreachable | ConnectionLost | Stalled)
        if isinstance(error, SecretError):
            found.reachable = None
        found.authenticated = False if isinstance(error, LoginRefused) else None
        found.settled = None
        found.obstacle = Obstacle(reason_of(error), str(error), looked=False)
        self._retry_at = breaker.next_try
        if breaker.open_until is not None:
            found.open_until = datetime.now(UTC) + timedelta(seconds=breaker.open_until - now)
        self.context.metrics.router_failed(found.obstacle.reason)
        if breaker.failures > 1 or not isinstance(error, Stalled | ConnectionLost):
            self._report_unreached(device)

    def _report_unreached(self, device: Device, *, lasting: bool = False) -> None:
        """Say of each Session what can be said without the router: what the clock ended, and why others wait.

        `lasting`: it is known to be no passing failure; the open breaker says so too.
        """
        obstacle = self._status.found.obstacle or _NOT_LOOKED
        lasting = lasting or self._breaker.state(time.monotonic()) != "Closed"
        reject = device.spec.when_offline == "Reject" and lasting
        sessions = self._sessions()
        at = circumstances(self.context, device, self._contest, self._flows, resync=False)
        for one in judge_all(sessions, None, policy_of(device, self.context.installation), at):
            why = obstacle
            if reject and one.verdict.live and one.session.status.authorized_at is None:
                why = _OFFLINE
            if self._reports.may_say(one, lasting=lasting):
                self._reports.report(one, None, why)
        self._clock_at = self._next_clock(sessions, at.now)
        self._report(device)

    def _next_clock(self, sessions: list[Session], since: datetime) -> datetime | None:
        """Return when the clock next ends something, counted from when it was last looked at: a pass takes time.

        While the clock is not trusted (rule A9), return when to ask whether it is.
        """
        if not self.context.clock_trusted():
            return datetime.now(UTC) + timedelta(seconds=self.context.heartbeat)
        at = PassContext(now=since, windows=self.context.windows)
        known = [self._reports.known(one) for one in sessions]
        return next_wake(judge_all(known, None, AccessPolicy(), at), since)

    # --- rows that somebody else keeps changing (rule B10)

    def _note_repairs(self, device: Device, outcome: PassResult, *, look_at_all: bool) -> None:
        granted, ended = granted_and_ended(outcome)
        now = time.monotonic()
        self._contest.note(outcome.repaired, granted, ended, now, everything=look_at_all)
        contested = len(self._contest.contested(now))
        self.context.report_contested(device, contested - self._status.found.contested)
        self._status.found.contested = contested

    def _is_contested(self, one: SessionDecision) -> bool:
        mac, ips = client_keys(one.session)
        contested = self._contest.contested(time.monotonic())
        return any(client_id(key) in contested for key in (mac, *ips) if key)

    def _report(self, device: Device) -> None:
        known = [self._reports.known(one) for one in self.context.sessions_of(self.namespace, self.name)]
        later = self._status.report(device, [one.status.phase for one in known], self._breaker)
        if later is not None:
            self._clock_at = later if self._clock_at is None else min(self._clock_at, later)
