"""Which loops of Hubs this agent runs, and what wakes them."""

from __future__ import annotations

import asyncio

from cerebro.agent.context import AgentContext
from cerebro.agent.hubs.backends import NodeBackends
from cerebro.agent.hubs.loop import HubLoop
from cerebro.agent.hubs.tunnels import HubTunnels
from cerebro.agent.predicates import wakes_hub
from cerebro.kube.cache.references import hub_of
from cerebro.kube.objects import Change, StoredObject
from cerebro.resources import HUB, Device, Peer


class HubManager:
    """Runs a loop for each Hub of the store, and wakes it when something
    changed that concerns it.
    """

    def __init__(
        self, context: AgentContext, tools: NodeBackends, tunnels: HubTunnels
    ) -> None:
        self._context = context
        self._tools = tools
        self._loops = tunnels.loops

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Start a loop for each known Hub, and from now on for each that
        comes; the store is complete (E7).
        """
        self._loops.start(
            tasks, self._make, stopping=lambda: self._context.stopping
        )

        for stored in self._context.store.all(HUB):
            self._loops.ensure(stored.namespace, stored.name)

    def _make(self, namespace: str, name: str) -> HubLoop | None:
        stored = self._context.store.get(HUB, namespace, name)
        if stored is None:
            return None

        return HubLoop(self._context, self._tools, namespace, name, stored.uid)

    def tasks(self) -> set[asyncio.Task[None]]:
        """Return the tasks of the loops."""
        return self._loops.tasks()

    def mark_all(self) -> None:
        """Wake all loops: something changed that concerns each Hub."""
        for _, loop in self._loops.items():
            loop.mark()

    def device_changed(self, device: Device) -> None:
        """Wake the Hub of a Device that is being deleted: its Peer may wait
        for its clean-up (rule E6).
        """
        hub = device.spec.hub_ref
        loop = self._loops.get(device.namespace, hub.name) if hub else None
        if loop is not None and device.metadata.deletion_timestamp is not None:
            loop.mark()

    def changed(self, change: Change) -> None:
        """Take a change of a Hub or Peer out of the store."""
        if not self._loops.started() or not wakes_hub(change):
            return

        if change.kind is HUB:
            self._loops.ensure(change.namespace, change.name)
            self.mark_all()  # a Hub that goes may be what was in the way of another

            return

        for stored in (change.old, change.new):
            if stored is not None:
                self._peer_changed(stored, change)

    def _peer_changed(self, stored: StoredObject, change: Change) -> None:
        """Wake the Hub of a Peer, as the Peer was before the change or as it
        is after it.
        """

        hub = hub_of(stored)
        loop = self._loops.get(change.namespace, hub) if hub else None
        if loop is None:
            return

        peer = stored.read(Peer)
        if change.new is None and peer is not None:
            loop.departed(peer)

        if stored is change.new and stored.model is None and loop.owns():
            self._context.report_invalid(stored)

        loop.mark()
