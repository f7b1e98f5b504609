"""The loop of one Hub: it carries the WireGuard interface while this node owns the Hub, and says what is so.

Level-triggered: a pass takes what is desired from the Store, whatever woke it. A pass reads all peers, so it is
also the look at their handshakes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from cerebro.agent.contacts import Contact, lost
from cerebro.agent.context import AgentContext
from cerebro.agent.hubs.backends import NodeBackends
from cerebro.agent.hubs.conflict import conflict
from cerebro.agent.hubs.desired import HubInputs
from cerebro.agent.hubs.observed import contacts_seen, routed_peers
from cerebro.agent.hubs.ownership import Ownership, gives_back, may_be_ours
from cerebro.agent.hubs.peers.reporter import PeerReporter
from cerebro.agent.hubs.peers.status import out_of_sight
from cerebro.agent.hubs.reconcile import HubOutcome, HubReconciler, NotNow
from cerebro.agent.hubs.reporter import HubReporter
from cerebro.agent.hubs.status import CLEANED_UP, HubFindings, failed_pass, peers_out_of_sight
from cerebro.agent.hubs.watchdog import Watchdog
from cerebro.domain.conditions import ConditionState, Obstacle
from cerebro.domain.leases import hub_lease
from cerebro.kube.lease import Lease
from cerebro.kube.objects import StoredObject
from cerebro.resources import HUB, Hub, Peer, reasons
from cerebro.resources.naming import ANNOTATION_RESYNC_AT
from cerebro.runtime.threads import in_thread
from cerebro.wireguard import choose
from cerebro.wireguard.backend import Backend, WireGuardError
from cerebro.wireguard.model import ActualPeer, Interface

log = logging.getLogger(__name__)

_LEAST_LOOK = 5.0
_LOOK_SHARE = 50  # a pass that finds nothing to do takes at most a fiftieth of the time
_LONGEST_REST = (
    2.0  # after a pass at most as long as it took, so that passes after changes leave half the time
)
_ONLINE_WITHIN = timedelta(seconds=180)  # behind a Hub that cannot be read
_NOT_FOUND = Obstacle(reasons.INVALID_OBJECT, "it cannot be read, and its interface is not on this node")
_RETRY, _LONGEST_RETRY = 1.0, 30.0
_LASTS = 1.0  # seconds without a look at the interface after which the next failure is told of all Peers


class HubLoop:
    """One task for one Hub, known by its UID; everything else only marks it dirty."""

    def __init__(
        self, context: AgentContext, tools: NodeBackends, namespace: str, name: str, uid: str
    ) -> None:
        self._context, self._tools, self._uid = context, tools, uid
        self.namespace, self.name = namespace, name
        self._wake = asyncio.Event()
        renewed = asyncio.Event()
        self._claim = Ownership(
            self._lease, duration=tools.lease_duration, changed=self.mark, renewed=renewed.set
        )
        self._keeping = Watchdog(self._claim, tools.userspace, renewed, gone=self.mark)
        self._asking = HubInputs(context, tools, namespace, name, changed=self.mark)
        self._said = HubReporter(context, tools.node)
        self._reports = PeerReporter(context)
        self._own_addresses: frozenset[str] = frozenset()
        self._resync_at = 0.0
        self._resynced: str | None = None
        self._failures = 0
        self._failing_since = 0.0
        self._took = 0.0
        self._read: Interface | None = None  # in this turn
        self.contacts: dict[str, Contact] = {}
        """By public key; what was seen of accepted Peers that are on the interface."""
        self.obstacle: Obstacle | None = None
        """Why nobody knows of any tunnel: the interface is not there, or could not be read."""
        self.peers: Mapping[str, ActualPeer] = {}
        """By public key; what the interface had at the last look."""

    def mark(self) -> None:
        """Something changed that concerns the Hub."""
        self._wake.set()

    def departed(self, peer: Peer) -> None:
        """A Peer went: its keys are ours, and go (rule E8)."""
        self._asking.departed(peer)
        self.mark()

    def owns(self) -> bool:
        """Tell whether this node carries the Hub now (rule E4)."""
        return self._claim.owns()

    def carries(self) -> bool:
        """Tell whether an interface of this node is ours."""
        return self._keeping.backend is not None

    async def run(self) -> None:
        """Turn until the agent stops, the Hub goes or is made anew; the interface stays as it is."""
        async with asyncio.TaskGroup() as tasks:
            keeping = tasks.create_task(self._keeping.run(), name=f"keep hub {self.namespace}/{self.name}")
            await self._turns()
            keeping.cancel()

    async def _turns(self) -> None:
        heartbeat = f"hub {self.namespace}/{self.name}"
        try:
            while not self._context.stopping:
                self._context.turned(heartbeat)
                self._wake.clear()
                if (stored := self._stored()) is None:
                    self._claim.follow(None, self._tools.node)
                    await self._let_go(None)
                    return
                delay = await self._turn(stored)
                await asyncio.sleep(min(_LONGEST_REST, self._took))
                try:
                    async with asyncio.timeout(max(0.05, min(delay, self._context.heartbeat))):
                        await self._wake.wait()
                except TimeoutError:
                    pass
        finally:
            self._claim.close()
            self._asking.close()
            self._context.ended(heartbeat)

    def _stored(self) -> StoredObject | None:
        """Return the Hub; None when it went, also if another of its name came since."""
        stored = self._context.store.get(HUB, self.namespace, self.name)
        return stored if stored is not None and stored.uid == self._uid else None

    def _lease(self, changed: Any, renewed: Any) -> Lease:
        tools = self._tools
        return Lease(
            self._context.api,
            self.namespace,
            hub_lease(self.name),
            tools.node,
            duration=tools.lease_duration,
            renew=tools.lease_renew,
            gained=changed,
            lost=changed,
            renewed=renewed,
            release=False,
        )

    async def _turn(self, stored: StoredObject) -> float:
        """Do what is due; give the seconds until the next turn."""
        self._read = None
        hub = stored.read(Hub)
        if hub is None:
            return await self._frozen(stored)
        self._claim.follow(hub if may_be_ours(hub, self._tools.node) else None, self._tools.node)
        if not self._claim.owns():
            await self._let_go(hub)
            return 1.0 if hub.spec.node_name is None else self._context.heartbeat
        await self._keeping.adopt(hub.spec.interface, hub.status.public_key)
        obstacle = self._conflict(hub)
        if obstacle is None:
            return await self._attempt(hub)
        if wants_cleanup(hub):
            await self._say_cleaned_up(hub)  # what has the interface is another's
            return self._context.heartbeat
        return await self._failed(hub, HubFindings(up=False, obstacle=obstacle))

    async def _frozen(self, stored: StoredObject) -> float:
        """Say that the Hub cannot be read; one that was carried here stays, also after a restart (rule B9)."""
        self._context.report_invalid(stored)
        spec, status = ((stored.raw or {}).get(part) or {} for part in ("spec", "status"))
        if spec.get("nodeName") == self._tools.node:
            self._claim.have()
        elif not spec.get("nodeName") and status.get("nodeName") == self._tools.node:
            self._claim.take_part()
        if not self._claim.owns():
            self._forget_tunnels()
            self._keeping.end()  # the watchdog drops it
            return self._context.heartbeat
        await self._keeping.adopt(spec.get("interface"), status.get("publicKey"))
        await self._look(spec.get("interface"), status.get("publicKey"))
        return self._context.heartbeat

    async def _look(self, interface: object, key: object) -> None:
        """See who has a tunnel, by an interface that is ours as its public key says, and change nothing: ends of
        access go on also behind a Hub that cannot be read (rule B9).
        """
        tools, found = self._tools, None
        backends = (tools.userspace,) if not self._claim.fixed else (tools.kernel, tools.userspace)
        try:
            if isinstance(interface, str):
                found = await in_thread(partial(choose.find, backends, interface))
            self.obstacle = _NOT_FOUND
        except (WireGuardError, TimeoutError) as error:
            self.obstacle = failed_pass(error).obstacle
        if found is None or key is None or found[1].public_key != key:
            self._forget_tunnels()
            return
        self.obstacle = None
        self._judge(found[1], _ONLINE_WITHIN)

    def _on_node(self) -> list[Hub]:
        context, node = self._context, self._tools.node
        return [
            one
            for one in context.store.models(HUB, Hub)
            if node in {one.spec.node_name, one.status.node_name}
            or context.tunnels.owns(one.namespace, one.name)
        ]

    def _conflict(self, hub: Hub) -> Obstacle | None:
        hubs, carries = self._on_node(), self._context.tunnels.carries
        return conflict(hub, hubs, {one.metadata.uid for one in hubs if carries(one.namespace, one.name)})

    def _check(self, hub: Hub) -> None:
        """Raise NotNow unless we may write at this moment."""
        obstacle = self._conflict(hub)
        if not self._claim.owns():
            obstacle = Obstacle("NotCarried", "the Lease of the Hub ran out")
        if obstacle is not None:
            raise NotNow(obstacle)

    def _carries(self, hub: Hub, backend: Backend, interface: Interface) -> None:
        self._check(hub)
        self._keeping.begin(backend, hub.spec.interface)
        self._read = interface

    async def _let_go(self, hub: Hub | None) -> None:
        """Drop an interface that another may carry now; one that only this node carries stays."""
        self._own_addresses = frozenset()
        self._forget_tunnels()
        if self.carries() and hub is not None and hub.spec.node_name is None:
            await self._keeping.drop(hub.spec.interface)
        self._keeping.end()

    def _forget_tunnels(self) -> None:
        if self.contacts:
            self.contacts, self.peers = {}, {}
            self._context.tunnels.wake_devices(self.namespace, self.name)

    async def _failed(self, hub: Hub, found: HubFindings, *, seen: bool = False) -> float:
        """Say what is in the way, of the Peers too once it lasts; where this node cannot carry the Hub at all, let
        another try (rule E4). Give the seconds until the next try.

        `seen`: the interface is there and was read, so that its tunnels hold, whatever else is in the way.
        """
        assert found.obstacle is not None
        log.warning("Hub %s/%s: %s", self.namespace, self.name, found.obstacle.message)
        self.obstacle = None if seen else found.obstacle
        self._said.report(hub, found)
        now = time.monotonic()
        self._failing_since = now if self._failures == 0 else self._failing_since
        self._failures = min(self._failures + 1, 8)
        if not seen and now - self._failing_since >= _LASTS:
            await self._out_of_sight(peers_out_of_sight(found))
        working = self.contacts.values() if seen else ()
        if not self._tools.dry_run and gives_back(hub, found.obstacle.reason, self._failures, working):
            log.warning(
                "Hub %s/%s: gives the Lease back, another node may do better", self.namespace, self.name
            )
            dropped = await self._keeping.drop(hub.spec.interface)
            await self._claim.stand_aside(dropped=dropped)
            await self._let_go(hub)
        return min(_LONGEST_RETRY, _RETRY * 2.0**self._failures)

    async def _attempt(self, hub: Hub) -> float:
        started = time.monotonic()
        try:
            if hub.metadata.deletion_timestamp is not None and hub.spec.paused != "All":
                return await self._going(hub)
            delay = await self._pass(hub)
        except Exception as error:
            # An error of ours too: a loop that ends gives up its Lease, and with it its tunnels.
            expected = isinstance(error, WireGuardError | TimeoutError)
            if not expected:
                log.exception("the pass over Hub %s/%s failed", self.namespace, self.name)
            if not self._claim.owns():
                return 0.0
            read = self._read if self._read is not None and self._read.up and not expected else None
            if read is not None:
                self._judge(read, hub.spec.online_within)
            return await self._failed(hub, failed_pass(error), seen=read is not None)
        self._took = time.monotonic() - started
        self._context.metrics.reconciled("hub", self._took)
        return delay

    def _judge(self, interface: Interface, online_within: timedelta) -> None:
        """Take what an interface shows of its Peers, where no pass over it comes to an end."""
        stored = self._context.peers_by_hub.get(self.namespace, self.name)
        peers = [peer for one in stored if (peer := one.read(Peer)) is not None]
        self.contacts = contacts_seen(peers, interface, self.contacts, time.time(), online_within)
        self.peers = interface.peers
        self._context.tunnels.wake_devices(self.namespace, self.name)

    async def _out_of_sight(self, applied: ConditionState) -> None:
        """Say of all Peers that the interface is not there or not seen; nobody's tunnel is up by its last look."""
        before, self.peers = self.contacts, {}
        self.contacts = {key: lost(one) for key, one in before.items()} if applied.status == "False" else {}
        self._context.tunnels.wake_devices(self.namespace, self.name)
        stored = list(self._context.peers_by_hub.get(self.namespace, self.name))
        peers = [peer for one in stored if (peer := one.read(Peer)) is not None]
        await self._reports.report(
            (peer, out_of_sight(peer, before.get(peer.spec.public_key), applied)) for peer in peers
        )

    async def _going(self, hub: Hub) -> float:
        """Take off the interface, and what belongs to it, of a Hub that goes and asks for it."""
        if wants_cleanup(hub):
            name = hub.spec.interface
            self._keeping.end()
            await in_thread(lambda: choose.drop(self._tools.backends(hub), name))
            await in_thread(lambda: self._tools.nft.drop(name))
            await self._say_cleaned_up(hub)
        return self._context.heartbeat

    async def _say_cleaned_up(self, hub: Hub) -> None:
        self.obstacle = None
        self._said.report(hub, HubFindings(up=False, cleaned_up=True))
        await self._out_of_sight(CLEANED_UP)

    async def _pass(self, hub: Hub) -> float:
        now = time.monotonic()
        asked_at = hub.metadata.annotations.get(ANNOTATION_RESYNC_AT)
        resync = now >= self._resync_at or asked_at != self._resynced
        asked = await self._asking.gather(hub, self._on_node(), again=resync)
        carried = self._keeping.backend
        run = HubReconciler(
            self._context.api,
            (carried,) if carried else self._tools.backends(hub),
            self._tools.nft,
            asked,
            self._claim,
            check=partial(self._check, hub),
            carries=partial(self._carries, hub),
            carried=carried is not None,
            before=self.contacts,
            own_addresses=self._own_addresses,
        )
        outcome = await run.run()
        if resync:
            self._resync_at, self._resynced = now + hub.spec.resync_interval.total_seconds(), asked_at
        if outcome.findings.implementation is None:
            self._keeping.end()  # nobody has it
        self._own_addresses = outcome.own_addresses
        outcome.findings.last_resync_at = self._resynced
        if outcome.interface is None:
            return await self._failed(hub, outcome.findings)
        await self._after(outcome, outcome.interface)
        if outcome.findings.obstacle is not None:
            return await self._failed(hub, outcome.findings, seen=True)
        self._failures = 0
        self._claim.works()
        self._said.report(hub, outcome.findings)
        if outcome.findings.waiting or outcome.again:
            return _RETRY
        until_resync = self._resync_at - time.monotonic()
        return max(0.05, min(until_resync, max(_LEAST_LOOK, _LOOK_SHARE * self._took)))

    async def _after(self, outcome: HubOutcome, interface: Interface) -> None:
        self._asking.dialled = dict(outcome.dialled)
        self._asking.keep(outcome.departed)
        self.contacts = dict(outcome.peers.contacts)
        if outcome.findings.obstacle is not None:  # a part is missing, perhaps a way to some of them
            led = routed_peers(interface)
            self.contacts = {key: one for key, one in self.contacts.items() if key in led}
        self.peers = interface.peers
        self.obstacle = None
        await self._reports.report(outcome.peers.reports)
        self._context.tunnels.wake_devices(self.namespace, self.name)


def wants_cleanup(hub: Hub) -> bool:
    """Tell whether a Hub is being deleted and its interface with it."""
    return hub.metadata.deletion_timestamp is not None and hub.spec.deletion_policy == "Cleanup"
