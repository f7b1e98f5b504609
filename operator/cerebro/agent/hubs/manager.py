"""The Hubs of one agent: a loop for each, who owns which, and what Devices behind them see of their tunnel."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator

from cerebro.agent.context import AgentContext
from cerebro.agent.hubs.backends import NodeBackends
from cerebro.agent.hubs.loop import HubLoop
from cerebro.agent.hubs.metrics import PeerReading
from cerebro.agent.predicates import concerns
from cerebro.agent.tunnel_status import NOT_CARRIED, TunnelSnapshot, came_back, changed, sight, tunnel_up
from cerebro.domain.conditions import ConditionState
from cerebro.kube.cache.references import hub_of
from cerebro.kube.objects import Change
from cerebro.resources import HUB, PEER, Device, Peer

log = logging.getLogger(__name__)

Key = tuple[str, str]


class AgentHubs:
    """Feeds the loops of the Hubs; `device_changed` is told whose tunnel changed, and whether it came back."""

    def __init__(
        self, context: AgentContext, tools: NodeBackends, device_changed: Callable[[str, str, bool], None]
    ) -> None:
        self._context, self._tools, self._device_changed = context, tools, device_changed
        self._tasks: asyncio.TaskGroup | None = None
        self._loops: dict[Key, tuple[HubLoop, asyncio.Task[None]]] = {}
        self._seen: dict[Key, dict[str, TunnelSnapshot]] = {}
        context.owns_hub = self.owns
        context.carries_hub = self.carries
        context.tunnel = self.tunnel
        context.tunnels_changed = self.tunnels_changed

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Have a loop for each Hub that is known; the store is complete."""
        self._tasks = tasks
        for stored in self._context.store.all(HUB):
            self._ensure((stored.namespace, stored.name))

    def tasks(self) -> set[asyncio.Task[None]]:
        """Return the running loops."""
        return {task for _, task in self._loops.values()}

    def mark_all(self) -> None:
        """Something changed that concerns all."""
        for loop, _ in self._loops.values():
            loop.mark()

    def device_changed(self, device: Device) -> None:
        """Take a change of a Device: its Peer may have waited for its clean-up (rule E6)."""
        hub = device.spec.hub_ref
        entry = self._loops.get((device.namespace, hub.name)) if hub else None
        if entry is not None and device.metadata.deletion_timestamp is not None:
            entry[0].mark()

    def changed(self, change: Change) -> None:
        """Take a change of a Hub or Peer out of the store."""
        if self._tasks is None or not concerns(change):
            return
        if change.kind is HUB:
            self._ensure((change.namespace, change.name))
            self.mark_all()  # one that goes may be what was in another's way
            return
        for stored in (change.old, change.new):
            hub = hub_of(stored) if stored is not None else None
            loop = self._loops.get((change.namespace, hub)) if hub else None
            if loop is None or stored is None:
                continue
            peer = stored.read(Peer)
            if change.new is None and peer is not None:
                loop[0].departed(peer)
            if stored is change.new and stored.model is None and loop[0].owns():
                self._context.report_invalid(stored)
            loop[0].mark()

    def readings(self) -> Iterator[PeerReading]:
        """Give what was last seen of each Peer on the interfaces that this agent carries."""
        for (namespace, hub), (loop, _) in self._loops.items():
            for stored in self._context.peers_by_hub.get(namespace, hub):
                peer = stored.read(Peer)
                if peer is not None and (actual := loop.peers.get(peer.spec.public_key)):
                    yield PeerReading(namespace, hub, peer.name, actual)

    def owns(self, namespace: str, hub: str) -> bool:
        """Tell whether this agent carries a Hub now."""
        entry = self._loops.get((namespace, hub))
        return entry is not None and entry[0].owns()

    def carries(self, namespace: str, hub: str) -> bool:
        """Tell whether an interface of this node is a Hub's, by what its loop did."""
        entry = self._loops.get((namespace, hub))
        return entry is not None and entry[0].carries()

    def tunnel(self, device: Device) -> ConditionState:
        """Return condition TunnelUp of a Device behind a Hub."""
        hub = device.spec.hub_ref
        entry = self._loops.get((device.namespace, hub.name)) if hub else None
        if entry is None or not entry[0].owns():
            return NOT_CARRIED
        if entry[0].obstacle is not None:
            return ConditionState(
                "Unknown", entry[0].obstacle.reason, f"the Hub: {entry[0].obstacle.message}"
            )
        name = device.status.peer_name
        stored = self._context.store.get(PEER, device.namespace, name) if name else None
        peer = stored.read(Peer) if stored else None
        return tunnel_up(device, peer, entry[0].contacts.get(peer.spec.public_key) if peer else None)

    def tunnels_changed(self, namespace: str, hub: str) -> None:
        """Wake the loops of the Devices whose tunnel came, went or moved since the last look (rule B5)."""
        entry = self._loops.get((namespace, hub))
        if entry is None:
            return
        now: dict[str, TunnelSnapshot] = {}
        for stored in self._context.peers_by_hub.get(namespace, hub):
            peer = stored.read(Peer)
            contact = entry[0].contacts.get(peer.spec.public_key) if peer else None
            if peer is not None and peer.spec.device_ref is not None and contact is not None:
                now[peer.spec.device_ref.name] = sight(contact, entry[0].peers.get(peer.spec.public_key))
        before = self._seen.get((namespace, hub), {})
        self._seen[(namespace, hub)] = now
        for device in now.keys() | before.keys():
            if changed(before.get(device), now.get(device)):
                back = came_back(before.get(device), now.get(device))
                self._device_changed(namespace, device, back)

    def _ensure(self, key: Key) -> None:
        """Have a loop for a Hub that is there."""
        stored = self._context.store.get(HUB, *key)
        if key not in self._loops and self._tasks is not None and stored is not None:
            loop = HubLoop(self._context, self._tools, *key, stored.uid)
            task = self._tasks.create_task(self._guarded(loop, key), name=f"hub {key[0]}/{key[1]}")
            self._loops[key] = (loop, task)

    async def _guarded(self, loop: HubLoop, key: Key) -> None:
        """Run a loop until its Hub goes; an error of ours in one ends no other: it is logged, and the loop begins
        anew.

        A Hub of that name that came meanwhile gets a loop of its own, which knows nothing of this one's. When the
        agent stops, a Hub stays ours for what is being done behind it.
        """
        while not self._context.stopping:
            try:
                await loop.run()
                break
            except asyncio.CancelledError:
                raise
            except Exception:
                log.exception("the loop of Hub %s/%s failed and begins anew", *key)
                await asyncio.sleep(1.0)
        if self._context.stopping:
            return
        del self._loops[key]
        self._seen.pop(key, None)
        self._ensure(key)
