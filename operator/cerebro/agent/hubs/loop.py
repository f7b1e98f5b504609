"""The loop of one Hub: while this node owns the Hub, keep its WireGuard
interface configured and report the status.

Level-triggered: a pass takes what is desired from the Store, whatever woke it.
A pass reads all peers, so it is also the look at their handshakes. What is due
when is `schedule`'s part, one pass over the interface `reconcile`'s.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from functools import partial

from cerebro.agent.context import AgentContext
from cerebro.agent.hubs.backends import Callback, NodeBackends
from cerebro.agent.hubs.desired import HubInputs, wants_cleanup
from cerebro.agent.hubs.keys import HubKeys
from cerebro.agent.hubs.model import HubDesired
from cerebro.agent.hubs.node_hubs import NodeHubs
from cerebro.agent.hubs.observed import TunnelView
from cerebro.agent.hubs.observer import Observer
from cerebro.agent.hubs.ownership import Ownership, gives_back, may_be_ours
from cerebro.agent.hubs.reconcile import HubOutcome, HubReconciler, NotNow
from cerebro.agent.hubs.reporter import HubReporter
from cerebro.agent.hubs.schedule import HubSchedule, wait
from cerebro.agent.hubs.status import (
    CLEANED_UP,
    HubFindings,
    failed_pass,
    peers_out_of_sight,
)
from cerebro.agent.hubs.watchdog import Watchdog
from cerebro.domain.conditions import Obstacle
from cerebro.domain.mass_removal import RemovalWindow
from cerebro.kube.lease import Lease
from cerebro.kube.objects import StoredObject
from cerebro.resources import HUB, Hub, Peer
from cerebro.resources.naming import ANNOTATION_RESYNC_AT
from cerebro.runtime.loop import wait_for_wake
from cerebro.runtime.threads import in_thread
from cerebro.wireguard.backend import Backend, WireGuardError
from cerebro.wireguard.model import DesiredPeer, Interface

log = logging.getLogger(__name__)

_UNTIL_LEASED = 1.0
"""Seconds until the next look at a Lease that somebody else may have."""


class HubLoop:
    """One task for one Hub, known by its UID; everything else only marks it
    dirty.
    """

    def __init__(
        self,
        context: AgentContext,
        tools: NodeBackends,
        namespace: str,
        name: str,
        uid: str,
    ) -> None:
        self.namespace = namespace
        self.name = name
        self._uid = uid
        self._context = context
        self._tools = tools
        self._wake = asyncio.Event()
        renewed = asyncio.Event()
        self._ownership = Ownership(
            self._lease,
            duration=tools.lease_duration,
            changed=self.mark,
            renewed=renewed.set,
        )

        self._watchdog = Watchdog(
            self._ownership, tools.userspace, renewed, gone=self.mark
        )

        self._inputs = HubInputs(
            context, tools, namespace, name, changed=self.mark
        )

        self._keys = HubKeys(context.api, self.mark)
        self._node_hubs = NodeHubs(context, tools.node)
        self._hub_reporter = HubReporter(context, tools.node)
        self._observer = Observer(context, namespace, name)
        self._schedule = HubSchedule()
        self._removals = RemovalWindow()
        self._own_addresses: frozenset[str] = frozenset()
        self._asked: Mapping[str, DesiredPeer] = {}
        """The peers that the last pass made sure of, by public key."""
        self._reading: Interface | None = None
        """As read in this turn, once it is known to be ours."""

    @property
    def view(self) -> TunnelView:
        """What the last look showed of the tunnels."""
        return self._observer.view

    def looked(self) -> bool:
        """Return whether anything is known of the tunnels."""
        return self._observer.looked()

    def mark(self) -> None:
        """Wake the loop: something changed that concerns the Hub."""
        self._wake.set()

    def departed(self, peer: Peer) -> None:
        """Take the deletion of a Peer: its keys are ours, and go (rule E8)."""
        self._inputs.departed(peer)
        self.mark()

    def owns(self) -> bool:
        """Return whether this node owns the Hub now (rule E4)."""
        return self._ownership.owns()

    def carries(self) -> bool:
        """Return whether an interface of this node is this Hub's."""
        return self._watchdog.backend is not None

    def interface(self) -> str | None:
        """Return the interface of this node that is this Hub's; None for none."""
        return self._watchdog.interface

    async def run(self) -> None:
        """Turn until the agent stops, or the Hub goes or is made anew; the
        interface stays as it is.
        """
        async with asyncio.TaskGroup() as tasks:
            name = f"keep hub {self.namespace}/{self.name}"
            keeping = tasks.create_task(self._watchdog.run(), name=name)
            await self._turns()
            keeping.cancel()

    async def _turns(self) -> None:
        heartbeat = f"hub {self.namespace}/{self.name}"
        try:
            while not self._context.stopping:
                self._context.turned(heartbeat)
                self._wake.clear()
                stored = self._stored()
                if stored is None:
                    self._ownership.follow(None, self._tools.node)
                    await self._let_go(None)

                    return

                delay = await self._turn(stored)
                await asyncio.sleep(self._schedule.rest())
                await wait_for_wake(
                    self._wake, wait(delay, self._context.heartbeat)
                )
        finally:
            self._ownership.close()
            self._inputs.close()
            self._keys.close()
            self._context.ended(heartbeat)

    def _stored(self) -> StoredObject | None:
        """Return the Hub; None if it went, also if another Hub of its name
        came since.
        """
        stored = self._context.store.get(HUB, self.namespace, self.name)
        if stored is None or stored.uid != self._uid:
            return None

        return stored

    def _lease(self, changed: Callback, renewed: Callback) -> Lease:
        api = self._context.api
        lease = partial(self._tools.lease, api, self.namespace, self.name)

        return lease(changed=changed, renewed=renewed)

    async def _turn(self, stored: StoredObject) -> float:
        """Do what is due; return the seconds until the next turn."""
        self._reading = None
        hub = stored.read(Hub)
        if hub is None:
            await self._turn_unreadable(stored)
            return self._context.heartbeat

        # Who owns the Hub.
        node = self._tools.node
        self._ownership.follow(hub if may_be_ours(hub, node) else None, node)

        if not self._ownership.owns():
            await self._let_go(hub)
            return (
                _UNTIL_LEASED
                if hub.spec.node_name is None
                else self._context.heartbeat
            )

        # Whether another Hub of this node is in the way.
        await self._watchdog.adopt(hub.spec.interface, hub.status.public_key)
        obstacle = self._node_hubs.conflict(hub)
        if obstacle is None:
            return await self._attempt(hub)

        if wants_cleanup(hub):
            await self._report_cleaned_up(
                hub
            )  # the interface is that other Hub's

            return self._context.heartbeat

        return await self._fail(hub, HubFindings(up=False, obstacle=obstacle))

    async def _attempt(self, hub: Hub) -> float:
        """Make a pass, or clean up; return the seconds until the next turn."""
        started = time.monotonic()

        try:
            if (
                hub.metadata.deletion_timestamp is not None
                and hub.spec.paused != "All"
            ):
                await self._clean_up(hub)
                return self._context.heartbeat

            delay = await self._pass(hub)
        except Exception as error:
            # An error of ours too: a loop that ends gives up its Lease, and
            # with it its tunnels.
            ours = not isinstance(error, WireGuardError | TimeoutError)
            if ours:
                log.exception(
                    "the pass over Hub %s/%s failed", self.namespace, self.name
                )

            if not self._ownership.owns():
                return 0.0

            # After an error of ours what was read counts: the interface works,
            # though nobody can compare it.
            readable = ours and self._reading is not None and self._reading.up
            if readable and self._reading is not None:
                self._observer.judge(self._reading, hub.spec.online_within)

            return await self._fail(hub, failed_pass(error), seen=readable)

        took = time.monotonic() - started
        self._schedule.ended(took)
        self._context.metrics.reconciled("hub", took)

        return delay

    async def _pass(self, hub: Hub) -> float:
        """Compare the interface and bring it up to date; return the seconds
        until the next turn.
        """

        # What is desired; a resync looks up anew what Peers name: Secrets, and
        # addresses of host names.
        now = time.monotonic()
        request = hub.metadata.annotations.get(ANNOTATION_RESYNC_AT)
        resync = self._schedule.resync_due(request, now)
        desired = await self._inputs.gather(
            hub, self._node_hubs.all(), refresh=resync
        )

        # The interface.
        outcome = await self._reconciler(hub, desired).run()
        self._context.metrics.peers_changed(outcome.changes)
        findings = outcome.findings

        if resync:
            self._schedule.resynced(
                request, now, hub.spec.resync_interval.total_seconds()
            )

        if findings.implementation is None:
            self._watchdog.end()  # no backend has it

        self._own_addresses = outcome.own_addresses
        self._asked = outcome.asked
        self._hub_reporter.story.repaired(hub, outcome.repaired)
        findings.last_resync_at = self._schedule.answered

        # What came of it.
        if outcome.interface is None:
            return await self._fail(hub, findings)

        await self._take(outcome, outcome.interface)

        if findings.obstacle is not None:
            return await self._fail(hub, findings, seen=True)

        self._schedule.succeeded()
        self._ownership.works()
        self._hub_reporter.report(hub, findings)
        unfinished = bool(findings.waiting) or outcome.removal_refused

        return self._schedule.next_pass(
            time.monotonic(),
            unfinished=unfinished,
            removals_at=outcome.look_again_at,
        )

    def _reconciler(self, hub: Hub, desired: HubDesired) -> HubReconciler:
        carrier = self._watchdog.backend
        return HubReconciler(
            self._keys,
            (carrier,) if carrier is not None else self._tools.backends(hub),
            self._tools.nft,
            desired,
            self._ownership,
            check=partial(self._check, hub),
            carries=partial(self._carries, hub),
            carried=carrier is not None,
            removals=self._removals,
            before=self.view.contacts,
            own_addresses=self._own_addresses,
            asked=self._asked,
        )

    def _check(self, hub: Hub) -> None:
        """Raise NotNow if this node may not write to the Hub's interface at
        this moment.
        """
        if not self._ownership.owns():
            raise NotNow(
                Obstacle("NotCarried", "the Lease of the Hub ran out")
            )

        obstacle = self._node_hubs.conflict(hub)
        if obstacle is not None:
            raise NotNow(obstacle)

    def _carries(
        self, hub: Hub, backend: Backend, interface: Interface
    ) -> None:
        """Record the interface as ours; raise NotNow as `_check`."""
        self._check(hub)
        self._watchdog.begin(backend, hub.spec.interface)
        self._reading = interface

    async def _take(self, outcome: HubOutcome, interface: Interface) -> None:
        """Take what a pass came to that compared the interface, also if a part
        of it failed.
        """

        self._inputs.dialled = dict(outcome.dialled)
        self._inputs.heard = outcome.peers.heard
        if outcome.dialled_back:
            self._inputs.dialled_back()

        self._inputs.keep(outcome.departed)

        await self._observer.take(
            outcome.peers, interface, obstacle=outcome.findings.obstacle
        )

    async def _fail(
        self, hub: Hub, findings: HubFindings, *, seen: bool = False
    ) -> float:
        """Report what is in the way, on the Peers too once it lasts; return
        the seconds until the next try.

        `seen`: the interface is up and was read, so that its tunnels hold,
        whatever else is in the way. Where this node cannot carry the Hub at
        all, let another node try (rule E4).
        """

        obstacle = findings.obstacle
        assert obstacle is not None
        log.warning(
            "Hub %s/%s: %s", self.namespace, self.name, obstacle.message
        )

        self._observer.hinder(None if seen else obstacle)
        self._hub_reporter.report(hub, findings)

        now = time.monotonic()
        delay = self._schedule.failed(now)

        if not seen and self._schedule.failure_lasts(now):
            await self._observer.lose(peers_out_of_sight(findings))

        working = self.view.contacts.values() if seen else ()
        failures = self._schedule.failures
        if not self._tools.dry_run and gives_back(
            hub, obstacle.reason, failures, working
        ):
            await self._give_back(hub)

        return delay

    async def _give_back(self, hub: Hub) -> None:
        """Give the Lease back and drop the interface, so that another node may
        carry the Hub (rule E4).
        """
        log.warning(
            "Hub %s/%s: gives the Lease back, another node may do better",
            self.namespace,
            self.name,
        )

        dropped = await self._watchdog.drop(hub.spec.interface)
        await self._ownership.stand_aside(dropped=dropped)
        await self._let_go(hub)

    async def _let_go(self, hub: Hub | None) -> None:
        """Drop an interface that another node may carry now; one that only
        this node carries stays.
        """
        self._own_addresses = frozenset()
        self._forget()

        if self.carries() and hub is not None and hub.spec.node_name is None:
            await self._watchdog.drop(hub.spec.interface)

        self._watchdog.end()

    def _forget(self) -> None:
        """Forget the Peers: whoever carries the Hub now knows better."""
        self._inputs.heard = {}
        self._asked = {}
        self._observer.stand_by()

    async def _clean_up(self, hub: Hub) -> None:
        """Remove the interface, and what belongs to it, of a Hub that is being
        deleted and asks for it.
        """

        if not wants_cleanup(hub):
            return

        # In dry run the Hub waits while anything of it is on the node.
        if self._tools.dry_run:
            up, plan = await in_thread(partial(self._tools.to_drop, hub))
            if plan:
                self._hub_reporter.report(hub, HubFindings(up=up, plan=plan))
                return

            await self._report_cleaned_up(hub)

            return

        self._watchdog.end()
        await in_thread(partial(self._tools.drop, hub))
        await self._report_cleaned_up(hub)

    async def _report_cleaned_up(self, hub: Hub) -> None:
        self._observer.hinder(None)
        self._hub_reporter.report(hub, HubFindings(up=False, cleaned_up=True))
        await self._observer.lose(CLEANED_UP)

    async def _turn_unreadable(self, stored: StoredObject) -> None:
        """Report that the Hub cannot be read; one that this node carried
        stays, also after a restart (rule B9).
        """

        self._context.report_invalid(stored)
        raw = stored.raw or {}
        spec = raw.get("spec") or {}
        status = raw.get("status") or {}

        self._ownership.follow_unreadable(spec, status, self._tools.node)
        if not self._ownership.owns():
            self._forget()
            self._watchdog.end()  # the keeper drops it

            return

        interface, public_key = spec.get("interface"), status.get("publicKey")
        await self._watchdog.adopt(interface, public_key)

        backends = self._tools.readable(leased=not self._ownership.fixed)
        await self._observer.look(backends, interface, public_key)
