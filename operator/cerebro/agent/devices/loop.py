"""The loop of one Device: it asks its schedule what is due, does that at the
router, and notes what came of it.

Level-triggered: a pass takes what is desired from the Store, whatever woke it.
The loop owns the router's connection; when to look and how widely is decided
in `schedule`, what is to be on the router in `access`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from cerebro.agent.context import AgentContext
from cerebro.agent.devices import findings
from cerebro.agent.devices.access.circumstances import policy_of
from cerebro.agent.devices.access.outcome import PassResult
from cerebro.agent.devices.access.reconcile import AccessReconciler, GaveWay
from cerebro.agent.devices.attempts import Attempts
from cerebro.agent.devices.cleanup import clean_up, wants_cleanup
from cerebro.agent.devices.connection import RouterLink
from cerebro.agent.devices.removals import note_deleted
from cerebro.agent.devices.reporter import DeviceReporter
from cerebro.agent.devices.schedule import (
    CLIENT_WAITS,
    UNSETTLED_RETRY,
    Look,
    Schedule,
    Standing,
    standing,
)
from cerebro.agent.devices.sessions import DeviceSessions
from cerebro.agent.devices.status import DeviceFindings
from cerebro.agent.devices.upkeep import Upkeep
from cerebro.agent.devices.users.passwords import read_passwords
from cerebro.agent.devices.users.reconcile import DeviceUsers, remove_all
from cerebro.agent.tunnel_status import dialling_obstacle
from cerebro.domain.mass_removal import RemovalWindow, confirmed_removals
from cerebro.kube.objects import StoredObject
from cerebro.resources import DEVICE, Device, Session
from cerebro.routeros.client.errors import RouterError
from cerebro.routeros.client.session import RouterSession
from cerebro.runtime.loop import wait_for_wake

log = logging.getLogger(__name__)

_FROZEN_FOR = 3600.0
"""Seconds until the resync of a Device that cannot be read. The loop still
turns at every heartbeat.
"""


class DeviceLoop:
    """One task for one Device, until the Device goes.

    The methods above `run` note that something happened and wake the loop; all
    work is done by `run`. `uid` is the Device's: another Device of the same
    name has a loop of its own. `link` is the connection to the router; the
    loop closes it.
    """

    def __init__(
        self,
        context: AgentContext,
        namespace: str,
        name: str,
        uid: str,
        link: RouterLink,
    ) -> None:
        self.context = context
        self.namespace = namespace
        self.name = name
        self._uid = uid
        self._link = link
        self._wake = asyncio.Event()
        self._schedule = Schedule()
        self._attempts = Attempts(link, self._schedule)
        self._breaker = self._attempts.breaker
        self._findings = DeviceFindings()
        self._sessions = DeviceSessions(context, namespace, name)
        self._reporter = DeviceReporter(context)
        self._removals = RemovalWindow()
        self._users = DeviceUsers(self.session_changed)
        self._upkeep = Upkeep(
            context,
            link,
            self.look_at_everything,
            self._schedule.also_at,
        )

    # --- what happens around the loop

    def session_changed(self, uid: str) -> None:
        """Note that a Session came or changed."""
        self._schedule.session_changed(uid, time.monotonic())
        self._wake.set()

    def session_deleted(self, stored: StoredObject) -> None:
        """Note that a Session was deleted, as it was before.

        After its end was enforced that needs no pass. Else its client waits to
        see whether more are deleted (rule E13).
        """
        if self._sessions.drop_finished(stored.uid):
            return

        now = time.monotonic()
        look_at = note_deleted(
            self._removals, self._users.removals, stored.read(Session), now
        )

        if look_at is None:
            self.session_changed(stored.uid)
        elif self._schedule.session_deleted(stored.uid, look_at):
            self._wake.set()

    def look_at_everything(self) -> None:
        """Note that something changed that concerns the whole router."""
        self._schedule.request_full_pass()
        self._wake.set()

    def try_again(self) -> None:
        """Note that something changed that may let the router answer now: the
        breaker lets one try through.
        """
        self._attempts.try_again()
        self._wake.set()

    def tunnel_changed(self, *, came_back: bool) -> None:
        """Note that the tunnel came, went or moved.

        `came_back`: the router may answer again. A connection from before may
        be dead without knowing it (rule B5).
        """
        if came_back:
            self._link.drop_stale()
            self._schedule.request_full_pass()
            self.try_again()

        self._wake.set()

    # --- the loop

    async def run(self) -> None:
        """Turn until the agent stops, or the Device is deleted or created
        anew; then close the connection.

        The Device's entries on the router stay (rule A8). Raises what a turn
        raises that is no RouterError: an error of ours, after which the caller
        may call `run` again.
        """
        heartbeat = f"device {self.namespace}/{self.name}"

        try:
            while (
                not self.context.stopping
                and (stored := self._stored()) is not None
            ):
                self.context.turned(heartbeat)
                await self._turn(stored)
                await self._sleep()
        finally:
            await self._link.close()
            self.context.ended(heartbeat)

    def _stored(self) -> StoredObject | None:
        """Return the Device; None if it was deleted, also if another of its
        name came since.
        """
        stored = self.context.store.get(DEVICE, self.namespace, self.name)
        if stored is None or stored.uid != self._uid:
            return None

        return stored

    async def _sleep(self) -> None:
        """Wait until the next turn is due, or until something happens."""
        wait = self._schedule.next_turn(
            time.monotonic(),
            datetime.now(UTC),
            heartbeat=self.context.heartbeat,
        )

        await wait_for_wake(self._wake, wait)
        self._wake.clear()

    async def _turn(self, stored: StoredObject) -> None:
        """Do what is due now."""
        device = self.context.device(stored)

        match self._standing(device), device:
            case Standing.FROZEN, _:
                await self._freeze(stored)
            case Standing.NOT_OURS, Device():
                await self._stay_away(device)
            case Standing.NO_ROUTE, Device():
                await self._wait_for_route(device)
            case Standing.BACKING_OFF, Device():
                await self._wait_for_router(device)
            case Standing.READY, Device():
                await self._reach(device)

    def _standing(self, device: Device | None) -> Standing:
        """Return whether the router may be reached now, by what the Device
        asks for by now.
        """
        if device is None:
            return Standing.FROZEN

        self._breaker.configure(device.spec.circuit_breaker)

        return standing(
            device,
            cleaned_up=self._findings.cleaned_up and wants_cleanup(device),
            may_look=self.context.may_look(device),
            tunnel=self.context.tunnels.tunnel_up(device),
            breaker=self._breaker,
            client_waits=bool(self._schedule.changed),
            now=time.monotonic(),
        )

    # --- turns without a pass

    async def _freeze(self, stored: StoredObject) -> None:
        """Leave the router as it is: the Device cannot be read (B9)."""
        self._schedule.suspend(resync_at=time.monotonic() + _FROZEN_FOR)
        await self._link.close()
        self.context.report_invalid(stored)

    async def _stay_away(self, device: Device) -> None:
        """Have no connection: the router is not ours to reach."""
        self._schedule.suspend(
            resync_at=time.monotonic() + self.context.heartbeat
        )

        self._report(device)
        await self._link.close()

    async def _wait_for_route(self, device: Device) -> None:
        """Have no connection: nothing leads to the router. It is compared as
        soon as something does.
        """

        obstacle = dialling_obstacle(
            device, self.context.tunnels.tunnel_up(device)
        )

        await self._link.close()

        if obstacle is not None:
            self._findings = findings.without_route(self._findings, obstacle)

        self._schedule.suspend(
            retry_at=time.monotonic() + self.context.heartbeat, full_pass=True
        )

        await self._report_unreached(device, lasting=True)

    async def _wait_for_router(self, device: Device) -> None:
        """Report what the clock changes while the next try is not due, and
        look at the Secret (rule B5).

        A Secret that changed since it was refused lets one try through at
        once.
        """
        waits = findings.waits_for_secret(self._findings)
        if waits and await self._attempts.secret_changed(device):
            return

        self._attempts.wait()
        await self._report_unreached(device)

    # --- turns with a pass

    async def _reach(self, device: Device) -> None:
        """Make a pass over the router, if one is due; an error of the router
        counts at the breaker.
        """
        started = time.perf_counter()

        try:
            session, fresh = await self._link.session(device)
            self._findings = findings.after_connect(
                self._findings, device, self._link.facts
            )

            if wants_cleanup(device):
                await self._clean_up(device, session)
            else:
                await self._pass(device, session, fresh=fresh)
                self._findings = await self._upkeep.take(
                    device, session, self._findings, self._something_urgent
                )

            self._report(device)
        except RouterError as error:
            await self._failed(device, error)
        finally:
            self.context.metrics.reconciled(
                "device", time.perf_counter() - started
            )

    async def _clean_up(self, device: Device, session: RouterSession) -> None:
        """Remove all rows of ours from the router of a Device that goes; its
        Sessions get no status any more.
        """
        self._schedule.suspend()

        if device.spec.paused == "None" and self.context.may_write(device):
            self._findings = await self._upkeep.clean_up(
                device, session, self._findings
            )
            result = await clean_up(self.context, device, session, remove_all)
            self._findings = findings.after_cleanup(
                self._findings, device, result
            )

        self._breaker.succeeded()

        if not self._findings.cleaned_up:
            self._schedule.retry_at = time.monotonic() + UNSETTLED_RETRY

    async def _pass(
        self, device: Device, session: RouterSession, *, fresh: bool
    ) -> None:
        """Make the router equal to its Sessions, as widely as is due.

        Raises RouterError.
        """

        # What holds now.
        now = time.monotonic()
        roster = await self._sessions.refresh()
        at = self._sessions.pass_context(
            device, resync=self._schedule.resync_is_due(now)
        )

        # Which Sessions changed, by themselves or by the clock. Nobody waits
        # for the latter: their change counts as one of long ago.
        changed_at = self._schedule.take_changed()
        changed_at |= dict.fromkeys(self._sessions.ended_by_clock(at), 0.0)

        changed = roster.some(changed_at)
        gone = self._sessions.any_gone(changed_at)

        # How widely to look.
        look = self._schedule.next_look(
            now, fresh=fresh, present=bool(changed), gone=gone
        )

        if look is Look.NOTHING:
            self._schedule.clock_at = self._sessions.next_clock()

            return

        # The pass.
        somebody_waits = any(
            now - moment < CLIENT_WAITS for moment in changed_at.values()
        )

        reconciler = AccessReconciler(
            session=session,
            policy=policy_of(device, self.context.installation),
            at=at,
            dry_run=device.spec.dry_run,
            flows=self._sessions.flows,
            removals=self._removals,
            confirmed=confirmed_removals(device),
            impatient=somebody_waits and look is Look.CLIENTS,
            urgent=self._something_urgent,
            gives_way=look is Look.EVERYTHING
            and self._schedule.may_overtake(now),
            may_write=partial(
                self.context.still_acts, device, leased=not at.passed_only
            ),
        )

        try:
            result = await reconciler.run(
                roster, changed if look is Look.CLIENTS else None
            )
            result = await self._users.take(
                reconciler,
                roster,
                result,
                partial(read_passwords, self.context.api, device),
                everything=look is Look.EVERYTHING,
            )
        except GaveWay:
            self._schedule.gave_way(changed_at, time.monotonic())
            return

        # What came of it.
        self._attempts.succeeded()
        await self._completed(device, result, look)
        self._schedule.clock_at = self._sessions.next_clock()

    def _something_urgent(self) -> bool:
        """Return whether a pass is to end before it is complete."""
        return (
            bool(self._schedule.changed)
            or self.context.stopping
            or self._stored() is None
        )

    async def _completed(
        self, device: Device, result: PassResult, look: Look
    ) -> None:
        """Note and report what a pass led to."""
        full_pass = look is Look.EVERYTHING
        self._schedule.completed(
            look,
            time.monotonic(),
            settled=result.settled or device.spec.dry_run,
            interrupted=result.interrupted,
            collided=result.collided,
            resync_interval=device.spec.resync_interval.total_seconds(),
        )

        if result.plan.recheck_in is not None:
            self._schedule.look_again(
                time.monotonic() + result.plan.recheck_in
            )

        if result.look_again_at is not None:
            self._schedule.await_removals(result.look_again_at)

        contested = self._sessions.note_repairs(result, full_pass=full_pass)
        self.context.report_contested(
            device, contested - self._findings.contested
        )

        self._findings = findings.after_pass(
            self._findings,
            device,
            result,
            full_pass=full_pass,
            contested=contested,
        )

        await self._sessions.report_pass(device, result)

    async def _failed(self, device: Device, error: RouterError) -> None:
        """Note and report that the router could not be reached or did not
        answer.
        """
        open_until = self._attempts.failed(error)

        log.warning(
            "router of Device %s/%s: %s", self.namespace, self.name, error
        )

        self._findings = findings.after_failure(
            self._findings, error, open_until
        )
        self.context.metrics.router_failed(findings.reason_of(error))

        if not self._attempts.is_first_break(error):
            await self._report_unreached(device)

    # --- what is reported

    def _report(self, device: Device) -> None:
        """Report the Device's status, and come again when the reporter asks
        for it.
        """
        roster = self._sessions.current()
        self._findings = replace(
            self._findings,
            active=roster.count("Active"),
            pending=roster.count("Pending"),
        )

        later = self._reporter.report(device, self._findings, self._breaker)
        if later is not None:
            self._schedule.also_at(later)

    async def _report_unreached(
        self, device: Device, *, lasting: bool = False
    ) -> None:
        """Report what can be told without the router, of its Sessions and of
        the Device.

        `lasting`: it is known to be no passing failure; an open breaker means
        that too.
        """
        lasting = lasting or self._breaker.state(time.monotonic()) != "Closed"
        obstacle = self._findings.obstacle
        self._schedule.clock_at = await self._sessions.report_unreached(
            device, obstacle, lasting=lasting
        )

        self._report(device)
