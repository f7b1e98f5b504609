"""Which loops of Devices this agent runs, and what wakes them."""

from __future__ import annotations

import asyncio

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.connection import RouterLink
from cerebro.agent.devices.loop import DeviceLoop
from cerebro.agent.predicates import wakes_device
from cerebro.kube.cache.references import device_of, superseded_by
from cerebro.kube.objects import Change, StoredObject
from cerebro.resources import DEVICE, SESSION
from cerebro.runtime.loop import LoopTable


class DeviceManager:
    """Runs a loop for each Device of the store, and wakes it when something
    changed that concerns it.
    """

    def __init__(self, context: AgentContext) -> None:
        self._context = context
        self._loops: LoopTable[DeviceLoop] = LoopTable(
            "Device", logged_as="device", failed=self._failed
        )

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Start a loop for each known Device, and from now on for each that
        comes; the store is complete (E7).
        """
        self._loops.start(
            tasks, self._make, stopping=lambda: self._context.stopping
        )

        for stored in self._context.store.all(DEVICE):
            self._loops.ensure(stored.namespace, stored.name)

    def _make(self, namespace: str, name: str) -> DeviceLoop | None:
        stored = self._context.store.get(DEVICE, namespace, name)
        if stored is None:
            return None

        context = self._context
        link = RouterLink(
            context.api,
            context.tunnels,
            observe=context.router_metrics.observer(namespace, name),
        )

        return DeviceLoop(context, namespace, name, stored.uid, link)

    def _failed(self) -> None:
        self._context.metrics.router_failed("InternalError")

    def tasks(self) -> set[asyncio.Task[None]]:
        """Return the tasks of the loops."""
        return self._loops.tasks()

    def count(self) -> int:
        """Return the number of loops."""
        return len(self._loops)

    def compare_all(self) -> None:
        """Let all loops compare everything: what may be done has changed."""
        for _, loop in self._loops.items():
            loop.look_at_everything()

    def tunnel_changed(
        self, namespace: str, device: str, came_back: bool
    ) -> None:
        """Hand to a Device's loop that its tunnel came, went or moved;
        `came_back`: after an absence.
        """
        loop = self._loops.get(namespace, device)
        if loop is not None:
            loop.tunnel_changed(came_back=came_back)

    def device_changed(self, change: Change) -> None:
        """Take a change of a Device: start its loop, or wake it if more than a
        status changed.
        """
        loop = self._loops.ensure(change.namespace, change.name)
        if loop is None or not wakes_device(change.old, change.new):
            return

        loop.try_again()
        loop.look_at_everything()

    def session_changed(self, change: Change) -> None:
        """Take a change of a Session: wake the loops of the Devices that it
        names and named before.
        """
        if not wakes_device(change.old, change.new):
            return

        for stored in _versions(change):
            self._wake(stored, gone=change.new is None)
            self._wake_superseded(stored)

        if change.new is not None and change.new.model is None:
            self._context.report_invalid(change.new)

    def _wake_superseded(self, stored: StoredObject) -> None:
        """Wake the loop of the Session in whose place this one stands (rule
        A10).
        """
        name = superseded_by(stored)
        superseded = (
            self._context.store.get(SESSION, stored.namespace, name)
            if name
            else None
        )
        if superseded is not None:
            self._wake(superseded, gone=False)

    def _wake(self, stored: StoredObject, *, gone: bool) -> None:
        device = device_of(stored)
        loop = self._loops.get(stored.namespace, device) if device else None
        if loop is None:
            return

        if gone:
            loop.session_deleted(stored)
        else:
            loop.session_changed(stored.uid)


def _versions(change: Change) -> list[StoredObject]:
    """Return an object as it was before a change and as it is after it; once,
    if they are the same.
    """
    versions = [
        stored for stored in (change.old, change.new) if stored is not None
    ]

    same = len(versions) == 2 and versions[0] is versions[1]

    return versions[:1] if same else versions
