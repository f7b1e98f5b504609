"""One pass over a Hub's interface: read, decide, change, and say what came of it.

It decides nothing by itself: `hub_keys`, `hub_peers`, `wireguard/plan` and `wireguard/isolation` do. Those work
in threads, as with ten thousand peers they take a second in which Sessions are let in too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType

from cerebro.agent.contacts import Contact
from cerebro.agent.hubs.keys import HubKey, settle_key
from cerebro.agent.hubs.model import HubDesired
from cerebro.agent.hubs.ownership import Ownership
from cerebro.agent.hubs.peers.outcome import PeersOutcome, keys_after, mark_blocked, peer_results
from cerebro.agent.hubs.peers.plan import PeersPlan, plan
from cerebro.agent.hubs.status import HubFindings, failed_pass
from cerebro.domain.conditions import Obstacle
from cerebro.kube.client.api import KubeApi
from cerebro.runtime.threads import Answer, in_thread
from cerebro.wireguard import choose, isolation, links
from cerebro.wireguard.backend import Backend, ForeignInterface, WireGuardError
from cerebro.wireguard.dry_run import LINES, DryRun
from cerebro.wireguard.model import Endpoint, Interface, LinkChange, PeerChange
from cerebro.wireguard.networks import connected_networks, interface_address, span
from cerebro.wireguard.nft import Nft
from cerebro.wireguard.plan import foreign_addresses, plan_link, remember_dialled, routes_for
from cerebro.wireguard.words import link_words, peer_words

log = logging.getLogger(__name__)


class NotNow(WireGuardError):
    """We may not write any more: the Lease ran out, or another Hub has what this one wants."""

    def __init__(self, obstacle: Obstacle) -> None:
        super().__init__(obstacle.message)
        self.reason = obstacle.reason


@dataclass(slots=True)
class HubOutcome:
    """What a pass found and did."""

    findings: HubFindings
    interface: Interface | None = None
    """As it was read, if that counts: what is there holds, though the findings name an obstacle."""
    peers: PeersOutcome = field(default_factory=PeersOutcome)
    dialled: Mapping[str, Endpoint] = field(default_factory=dict)
    present: frozenset[str] = frozenset()
    """Keys on the interface."""
    departed: frozenset[str] = frozenset()
    """Those of Peers that went which are still there, and no other Peer's."""
    again: bool = False
    """Whether one of them was to go and did not; not where something holds it back."""
    own_addresses: frozenset[str] = frozenset()
    """As in `HubReconciler`, for the next one."""


@dataclass
class HubReconciler:
    """A pass with what it needs; `backends` in the order in which they are tried.

    `check` raises when we may not write now; `carries` does too, or notes that we carry the interface, and how it
    was read.
    """

    api: KubeApi
    backends: Sequence[Backend]
    nft: Nft
    asked: HubDesired
    claim: Ownership
    check: Callable[[], None]
    carries: Callable[[Backend, Interface], None]
    carried: bool
    """Whether we did before."""
    before: Mapping[str, Contact] = field(default_factory=dict)
    own_addresses: frozenset[str] = frozenset()
    """Addresses that the Hub asked for while we carry it: they go with their line in the spec."""
    connected: Callable[[], Sequence[tuple[str, str]]] = links.connected
    """Reads the addresses of the node's links."""

    async def run(self) -> HubOutcome:
        """Make the interface equal to its Peers as far as it may be. Raises WireGuardError, TimeoutError."""
        networks = await in_thread(self._node_networks)
        self.asked = replace(self.asked, node_networks=networks)
        spec, found = self.asked.hub.spec, HubFindings()
        outcome = HubOutcome(found, own_addresses=self.own_addresses)
        writing = spec.paused == "None" and not self.asked.dry_run
        there = await in_thread(lambda: choose.find(self.backends, spec.interface))
        if there is None and not writing:
            found.up, absent = False, Interface(spec.interface)
            decided = await in_thread(lambda: plan(self.asked, absent))
            found.plan = self._rehearsed(absent, decided) if self.asked.dry_run else None
            await self._conclude(outcome, decided, absent, there=frozenset(), refused={})
            return outcome
        if there is None:
            there = await self._write(
                lambda: choose.make(self.backends, spec.interface, spec.mtu, self.claim.deadline())
            )
            self.carries(*there)
        backend, actual = there
        key = await self._key(actual, create=writing)
        if not self.claim.fixed:  # so that it is the keeper's, which alone has the watchdog (rule E4)
            await self._write(lambda: backend.refresh(spec.interface, self.claim.deadline()))
        self.carries(backend, actual)
        found.implementation, found.up = backend.implementation, actual.up
        found.public_key = key.public_key
        if key.private_key is None:
            found.obstacle = key.trouble
            return outcome
        found.warnings = (key.trouble,) if key.trouble else ()
        await self._bring(backend, actual, key.private_key, outcome)
        return outcome

    async def _bring(
        self, backend: Backend, actual: Interface, private_key: str, outcome: HubOutcome
    ) -> None:
        """Bring an interface that is ours up to date, and say what is so.

        One part after the other, and none after one that fails: no new peer comes without isolation (rule D3).
        What was read of the peers holds all the same.
        """
        found, recorder = outcome.findings, DryRun(backend) if self.asked.dry_run else None
        decided = await in_thread(lambda: plan(self.asked, actual))
        changes: list[PeerChange] = []
        refused: dict[str, str] = {}
        unrouted: dict[str, str] = {}
        try:
            await self._device(recorder or backend, actual, private_key)
            await self._isolate(decided, actual, recorder)
            refused = await self._peers(recorder or backend, decided)
            changes = decided.changes
            unrouted = await self._link(recorder or backend, actual, decided, outcome)
        except NotNow:
            raise
        except Exception as error:
            failed = failed_pass(error)
            if failed.up is False or not actual.up:
                raise  # the interface is gone, or never was up
            if not isinstance(error, WireGuardError | TimeoutError):
                log.exception("a part of the pass over %s failed", actual.name)
            found.obstacle = failed.obstacle
            decided.changes = changes
        if recorder is not None:
            found.plan = [*(found.plan or []), *recorder.take()]
        present = frozenset(actual.peers) if recorder else keys_after(actual, decided.changes, refused)
        if found.obstacle is not None:
            mark_blocked(decided, present, found.obstacle)
        await self._conclude(outcome, decided, actual, there=present, refused=refused, unrouted=unrouted)

    def _node_networks(self) -> dict[str, str]:
        """Read what the node is connected to besides, if a Peer asks for a network to which there would be a route."""
        asked, spec = self.asked, self.asked.hub.spec
        pools = [interface_address(text)[2] for text in spec.addresses]
        wanted = (span(text) for peer in asked.peers for text in peer.spec.allowed_ips)
        if spec.routes != "Managed" or all(any(one.within(pool) for pool in pools) for one in wanted):
            return {}
        found = connected_networks(self.connected(), {"lo", spec.interface, *asked.beside})
        return {network: f"{link} on the node {asked.node}" for network, link in found.items()}

    def _rehearsed(self, absent: Interface, decided: PeersPlan) -> list[str]:
        """Say in words what would be made on a node that has nothing yet."""
        spec = self.asked.hub.spec
        lines = [f"make the interface, MTU {spec.mtu}, listen on port {spec.listen_port}"]
        lines += [peer_words(change) for change in decided.changes]
        lines += link_words(self._link_change(absent, decided))
        return [f"{spec.interface}: {line}" for line in lines[:LINES]]

    async def _write(self, call: Callable[[], Answer]) -> Answer:
        self.check()
        return await in_thread(call)

    async def _key(self, actual: Interface, *, create: bool) -> HubKey:
        """Settle the key; an interface whose key a leased Hub knows from nowhere is another's.

        An Interface without a key is one that was just made. Raises ForeignInterface.
        """
        hub = self.asked.hub
        noted = actual.public_key in (None, hub.status.public_key)
        if noted or self.carried or self.claim.fixed:
            return await settle_key(self.api, hub, actual.private_key or None, create=create)
        key = await settle_key(self.api, hub, None, create=False)
        if key.private_key not in (None, actual.private_key):
            raise ForeignInterface(
                f"the interface {hub.spec.interface} on this node has another key than this Hub: set another "
                "spec.interface, or remove it"
            )
        return key

    async def _device(self, backend: Backend, actual: Interface, private_key: str) -> None:
        spec = self.asked.hub.spec
        key = None if actual.private_key else private_key
        port = spec.listen_port if actual.listen_port != spec.listen_port else None
        if spec.paused == "None" and (key is not None or port is not None):
            await self._write(lambda: backend.set_device(spec.interface, private_key=key, listen_port=port))

    async def _isolate(self, decided: PeersPlan, actual: Interface, recorder: DryRun | None) -> None:
        """Keep the table right, before the first peer comes (rule D3)."""
        spec = self.asked.hub.spec
        if spec.paused != "None" or recorder is not None:
            return
        if spec.isolation == "None":
            await self._write(lambda: self.nft.drop(spec.interface))
            return
        await self._write(lambda: self._repair(decided, actual))

    def _repair(self, decided: PeersPlan, actual: Interface) -> None:
        spec = self.asked.hub.spec
        administrators = decided.administrators(actual)
        wanted = isolation.desired_table(spec.interface, spec.addresses, administrators)
        commands = isolation.plan(wanted, self.nft.read(spec.interface))
        if commands:
            self.nft.apply(commands)

    async def _peers(self, backend: Backend, decided: PeersPlan) -> dict[str, str]:
        if not decided.changes:
            return {}
        name = self.asked.hub.spec.interface
        return await self._write(lambda: backend.set_peers(name, decided.changes))

    async def _link(
        self, backend: Backend, actual: Interface, decided: PeersPlan, outcome: HubOutcome
    ) -> dict[str, str]:
        """Bring the link to what is wanted; return the routes that were refused, and why: their Peers say it."""
        spec, found = self.asked.hub.spec, outcome.findings
        if spec.paused != "None":
            return {}
        change = await in_thread(lambda: self._link_change(actual, decided))
        refused: dict[str, str] = {}
        if change:
            refused = await self._write(lambda: backend.set_link(spec.interface, change))
            found.up = actual.up if self.asked.dry_run else True
        unrouted = {network: refused.pop(network) for network in change.add_routes if network in refused}
        found.warnings += tuple(
            Obstacle("AddressRefused", f"{what}: {why}") for what, why in sorted(refused.items())
        )
        foreign = foreign_addresses(actual, spec.addresses) - set(change.remove_addresses)
        found.warnings += tuple(_foreign(address, spec.interface) for address in sorted(foreign))
        if not self.asked.dry_run:
            wanted = frozenset(interface_address(address)[0] for address in spec.addresses)
            outcome.own_addresses = wanted | (self.own_addresses & refused.keys())
        return unrouted

    async def _conclude(
        self,
        outcome: HubOutcome,
        decided: PeersPlan,
        actual: Interface,
        *,
        there: frozenset[str],
        refused: Mapping[str, str],
        unrouted: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        made = [one for one in decided.changes if one.public_key not in refused]
        outcome.interface, outcome.present = actual, there
        outcome.departed = (self.asked.departed & there) - decided.keys
        outcome.again = not outcome.departed.isdisjoint(refused)
        outcome.dialled = remember_dialled(self.asked.dialled, decided.desired, actual, made)
        concluding = partial(
            peer_results, present=there, refused=refused, unrouted=unrouted, before=self.before
        )
        outcome.peers = await in_thread(lambda: concluding(self.asked, decided, actual))
        _count(outcome.findings, outcome, decided)

    def _link_change(self, actual: Interface, decided: PeersPlan) -> LinkChange:
        spec = self.asked.hub.spec
        routes = routes_for(decided.allowed_ips, spec.addresses) if spec.routes == "Managed" else ()
        return plan_link(
            actual, addresses=spec.addresses, mtu=spec.mtu, routes=routes, own_addresses=self.own_addresses
        )


def _foreign(address: str, interface: str) -> Obstacle:
    message = (
        f"{interface} has the address {address}, which is not in spec.addresses: write it there, or remove it "
        f"with `ip address del {address} dev {interface}`"
    )
    return Obstacle("ForeignAddress", message)


def _count(found: HubFindings, outcome: HubOutcome, decided: PeersPlan) -> None:
    peers = outcome.peers
    found.desired, found.applied, found.online = peers.desired, peers.applied, peers.online
    found.waiting, found.refused = peers.waiting, peers.refused
    found.unknown = len(decided.unknown & outcome.present)
    found.held_back, found.frozen = len(decided.held_back), decided.frozen.count
