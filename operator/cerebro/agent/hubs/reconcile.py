"""One pass over a Hub's interface: read it, decide, apply the plan, and return
what came of it.

The pass decides nothing by itself: `keys`, `peers.plan` and `wireguard.plan`
do. With ten thousand peers each of them takes up to a second, so they run in
threads: Sessions are let in meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType

from cerebro.agent.handshakes import Contact
from cerebro.agent.hubs.keys import HubKeys
from cerebro.agent.hubs.lookups.node_ways import node_networks_of
from cerebro.agent.hubs.model import HubDesired
from cerebro.agent.hubs.ownership import Ownership
from cerebro.agent.hubs.peers.outcome import (
    PeersOutcome,
    changes_made,
    keys_after,
    mark_blocked,
    peer_results,
)
from cerebro.agent.hubs.peers.plan import PeersPlan, plan
from cerebro.agent.hubs.status import HubFindings, failed_pass, note_link
from cerebro.agent.hubs.story import drifted
from cerebro.domain.conditions import Obstacle
from cerebro.domain.mass_removal import RemovalWindow
from cerebro.runtime.threads import Answer, in_thread
from cerebro.wireguard import choose, links
from cerebro.wireguard.apply import Applied, apply
from cerebro.wireguard.backend import Backend, WireGuardError
from cerebro.wireguard.dry_run import LINES, DryRun
from cerebro.wireguard.model import DesiredPeer, Endpoint, Interface
from cerebro.wireguard.networks import (
    interface_address,
)
from cerebro.wireguard.nft import Nft
from cerebro.wireguard.plan import (
    DesiredInterface,
    InterfacePlan,
    TableStep,
    plan_interface,
    remember_dialled,
)
from cerebro.wireguard.words import link_words, peer_words

log = logging.getLogger(__name__)

_NOTHING: Mapping[str, str] = MappingProxyType({})


class NotNow(WireGuardError):
    """This node may not write any more: its Lease ran out, or another Hub has
    what this one wants.
    """

    def __init__(self, obstacle: Obstacle) -> None:
        super().__init__(obstacle.message)
        self.reason = obstacle.reason


@dataclass(slots=True)
class HubOutcome:
    """What a pass read and did."""

    findings: HubFindings
    interface: Interface | None = None
    """As it was read before the changes; None where the pass did not get as
    far as to compare it.

    What it shows holds, though the findings may name an obstacle.
    """
    peers: PeersOutcome = field(default_factory=PeersOutcome)
    dialled: Mapping[str, Endpoint] = field(default_factory=dict)
    """The endpoint that was set last, by public key."""
    dialled_back: bool = False
    """Whether peers were made that are dialled where they were heard from last
    (rule E16).
    """
    present: frozenset[str] = frozenset()
    """Keys on the interface after the pass."""
    changes: Mapping[str, int] = field(default_factory=dict)
    """How many peers came and went, as `changes_made` returns it."""
    departed: frozenset[str] = frozenset()
    """Keys of deleted Peers that are still on the interface and no other
    Peer's.
    """
    removal_refused: bool = False
    """Whether the interface refused to remove one of `departed`; not where
    something holds the key back.
    """
    look_again_at: float | None = None
    """When keys of deleted Peers may go, by the monotonic clock; None: none
    waits for its time (rule E13).
    """
    own_addresses: frozenset[str] = frozenset()
    """As in `HubReconciler`, for the next pass."""
    asked: Mapping[str, DesiredPeer] = field(default_factory=dict)
    """The peers that the pass made sure of, by public key."""
    repaired: int = 0
    """How many of them had been put right before and were not any more."""


@dataclass
class HubReconciler:
    """One pass, with what it needs.

    `backends` are in the order in which they are tried. `check` raises NotNow
    if this node may no longer write. `carries` calls `check`, then records the
    interface, as it was read, as ours.
    """

    keys: HubKeys
    backends: Sequence[Backend]
    nft: Nft
    desired: HubDesired
    ownership: Ownership
    check: Callable[[], None]
    carries: Callable[[Backend, Interface], None]
    carried: bool
    """Whether this node carried the interface before the pass."""
    removals: RemovalWindow = field(default_factory=RemovalWindow)
    """Decides which keys without a Peer go, and remembers those that went."""
    before: Mapping[str, Contact] = field(default_factory=dict)
    """The contacts at the last reading, by public key."""
    own_addresses: frozenset[str] = frozenset()
    """Addresses that the Hub asked for while this node carries it: they go
    with their line in the spec.
    """
    asked: Mapping[str, DesiredPeer] = field(default_factory=dict)
    """The peers that the pass before made sure of, by public key."""
    connected: Callable[[], Sequence[tuple[str, str]]] = links.connected
    """Reads the addresses of the node's links."""

    async def run(self) -> HubOutcome:
        """Make the interface equal to its Peers as far as it may be. Raises
        WireGuardError, TimeoutError.
        """

        node_networks = await in_thread(
            lambda: node_networks_of(self.desired, self.connected)
        )

        self.desired = replace(self.desired, node_networks=node_networks)
        spec = self.desired.hub.spec
        findings = HubFindings()
        outcome = HubOutcome(findings, own_addresses=self.own_addresses)

        # Read the interface, or make it.
        writing = spec.paused == "None" and not self.desired.dry_run
        carrier = await in_thread(
            lambda: choose.find(self.backends, spec.interface)
        )

        if carrier is None and not writing:
            await self._without_interface(outcome)
            return outcome

        if carrier is None:
            carrier = await self._write(
                lambda: choose.make(
                    self.backends,
                    spec.interface,
                    spec.mtu,
                    self.ownership.deadline(),
                )
            )

            self.carries(*carrier)

        backend, actual = carrier

        # Make sure that it is this Hub's, and that it is kept.
        key = await self.keys.claim(
            self.desired.hub,
            actual,
            ours=self.carried or self.ownership.fixed,
            create=writing,
        )

        if not self.ownership.fixed:
            # Only the keeper's interfaces can be refreshed, and only the
            # keeper has the watchdog (rule E4).
            await self._write(
                lambda: backend.refresh(
                    spec.interface, self.ownership.deadline()
                )
            )

        self.carries(backend, actual)
        findings.implementation = backend.implementation
        findings.up = actual.up
        findings.public_key = key.public_key

        # Compare it and bring it up to date.
        if key.private_key is None:
            findings.obstacle = key.trouble
            return outcome

        if key.trouble is not None:
            findings.warnings = (key.trouble,)

        await self._update(backend, actual, key.private_key, outcome)

        return outcome

    async def _without_interface(self, outcome: HubOutcome) -> None:
        """Decide about the Peers of a Hub whose interface is not on the node
        and may not be made now.
        """

        absent = Interface(self.desired.hub.spec.interface)
        peers_plan = await in_thread(
            lambda: plan(self.desired, absent, self.removals)
        )

        outcome.findings.up = False
        if self.desired.dry_run:
            outcome.findings.plan = self._rehearse(absent, peers_plan)

        await self._conclude(
            outcome, peers_plan, absent, present=frozenset(), refused=_NOTHING
        )

    async def _update(
        self,
        backend: Backend,
        actual: Interface,
        private_key: str,
        outcome: HubOutcome,
    ) -> None:
        """Bring an interface that is ours up to date. What was read of its
        peers holds if a part fails.
        """

        findings = outcome.findings
        recorder = DryRun(backend) if self.desired.dry_run else None
        peers_plan, interface_plan = await in_thread(
            lambda: self._decide(actual, private_key)
        )

        applied = await apply(
            interface_plan, recorder or backend, self.nft, self.check
        )

        if applied.failure is not None:
            _note_failure(applied.failure, actual, findings)

        if applied.failure is not None and not applied.peers_changed:
            peers_plan.changes = []

        unrouted = _NOTHING
        if applied.failure is None and self.desired.hub.spec.paused == "None":
            unrouted = note_link(
                findings,
                interface_plan,
                applied.refused_link,
                up=actual.up or not self.desired.dry_run,
            )

            if not self.desired.dry_run:
                outcome.own_addresses = self._addresses_of_ours(applied)

        if recorder is not None:
            findings.plan = [*(findings.plan or []), *recorder.take()]

        refused = applied.refused_peers
        present = frozenset(actual.peers)
        if recorder is None:
            changes = peers_plan.changes
            present = keys_after(actual, changes, refused)
            outcome.changes = changes_made(actual, changes, refused)
            self._note_peers(outcome, peers_plan, actual, refused)

        if findings.obstacle is not None:
            mark_blocked(peers_plan, present, findings.obstacle)

        await self._conclude(
            outcome,
            peers_plan,
            actual,
            present=present,
            refused=refused,
            unrouted=unrouted,
        )

    def _note_peers(
        self,
        outcome: HubOutcome,
        peers_plan: PeersPlan,
        actual: Interface,
        refused: Mapping[str, str],
    ) -> None:
        """Note which peers are as desired now, and how many were put right."""
        desired = peers_plan.desired
        outcome.asked = desired
        if refused:
            outcome.asked = {
                key: peer
                for key, peer in desired.items()
                if key not in refused
            }

        outcome.repaired = drifted(
            peers_plan.changes, self.asked, desired, actual, refused
        )

    def _decide(
        self, actual: Interface, private_key: str
    ) -> tuple[PeersPlan, InterfacePlan]:
        """Decide what is changed on an interface; takes up to a second with
        ten thousand peers.
        """

        peers_plan = plan(self.desired, actual, self.removals)
        desired = self._desired_interface(peers_plan)
        spec = self.desired.hub.spec
        desired.private_key = private_key
        desired.peers_only = spec.paused != "None"
        if not self.desired.dry_run and not desired.peers_only:
            desired.table = (
                TableStep.REMOVE
                if spec.isolation == "None"
                else TableStep.REPAIR
            )

        if desired.table is TableStep.REPAIR:
            desired.administrators = peers_plan.administrators(actual)

        return peers_plan, plan_interface(desired, actual)

    def _desired_interface(self, peers_plan: PeersPlan) -> DesiredInterface:
        """Return the interface as the Hub's spec and its accepted Peers ask
        for it; without table and key.
        """
        spec = self.desired.hub.spec

        return DesiredInterface(
            name=spec.interface,
            listen_port=spec.listen_port,
            mtu=spec.mtu,
            addresses=spec.addresses,
            own_addresses=self.own_addresses,
            routed_ips=peers_plan.allowed_ips
            if spec.routes == "Managed"
            else frozenset(),
            peer_changes=peers_plan.changes,
        )

    def _rehearse(self, absent: Interface, peers_plan: PeersPlan) -> list[str]:
        """Return in words what would be made on a node that has no such
        interface yet.
        """

        spec = self.desired.hub.spec
        interface_plan = plan_interface(
            self._desired_interface(peers_plan), absent
        )

        lines = [
            f"make the interface, MTU {spec.mtu}, listen on port {spec.listen_port}"
        ]

        lines += [peer_words(change) for change in interface_plan.peers]
        lines += link_words(interface_plan.link)

        return [f"{spec.interface}: {line}" for line in lines[:LINES]]

    def _addresses_of_ours(self, applied: Applied) -> frozenset[str]:
        """Return the addresses that are desired, and those that could not be
        removed: they stay ours, so that the next pass removes them.
        """
        addresses = self.desired.hub.spec.addresses
        desired = frozenset(
            interface_address(address)[0] for address in addresses
        )

        return desired | (self.own_addresses & applied.refused_link.keys())

    async def _write(self, call: Callable[[], Answer]) -> Answer:
        self.check()
        return await in_thread(call)

    async def _conclude(
        self,
        outcome: HubOutcome,
        peers_plan: PeersPlan,
        actual: Interface,
        *,
        present: frozenset[str],
        refused: Mapping[str, str],
        unrouted: Mapping[str, str] = _NOTHING,
    ) -> None:
        """Note what came of the pass.

        `present` are the keys on the interface now, `refused` says by key
        which change was refused, `unrouted` by network why there is no route
        to it.
        """

        desired = self.desired
        outcome.interface = actual
        outcome.present = present

        # Deleted Peers whose keys are still there.
        outcome.departed = (desired.departed & present) - peers_plan.keys
        outcome.look_again_at = peers_plan.look_again_at
        outcome.removal_refused = not outcome.departed.isdisjoint(refused)

        # What was dialled.
        made = [
            change
            for change in peers_plan.changes
            if change.public_key not in refused
        ]

        outcome.dialled = remember_dialled(
            desired.dialled, peers_plan.desired, actual, made
        )

        outcome.dialled_back = any(
            peers_plan.desired[change.public_key].last_endpoint is not None
            for change in made
            if change.public_key in peers_plan.desired
        )

        # Each Peer's status, and the Hub's figures.
        concluding = partial(
            peer_results,
            present=present,
            refused=refused,
            unrouted=unrouted,
            before=self.before,
        )

        outcome.peers = await in_thread(
            lambda: concluding(desired, peers_plan, actual)
        )

        _count_peers(outcome, peers_plan)


def _note_failure(
    failure: Exception, actual: Interface, findings: HubFindings
) -> None:
    """Note what kept a part of the plan from being made. Raises `failure` if
    no tunnel can work.
    """
    failed = failed_pass(failure)
    if failed.up is False or not actual.up:
        raise failure  # the interface is gone, or never was up

    if not isinstance(failure, WireGuardError | TimeoutError):
        log.error(
            "a part of the pass over %s failed",
            actual.name,
            exc_info=failure,
        )

    findings.obstacle = failed.obstacle


def _count_peers(outcome: HubOutcome, peers_plan: PeersPlan) -> None:
    """Take the figures of the Peers into the Hub's findings."""
    findings, peers = outcome.findings, outcome.peers
    findings.desired = peers.desired
    findings.applied = peers.applied
    findings.online = peers.online
    findings.waiting = peers.waiting
    findings.refused = peers.refused
    findings.unknown = len(peers_plan.unknown & outcome.present)
    findings.held_back = len(peers_plan.held_back)
    findings.frozen = peers_plan.frozen.count
