"""Which Devices have a loop for their DeviceCommands, and what wakes it."""

from __future__ import annotations

import asyncio

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.commands.link import CommandLink
from cerebro.agent.devices.commands.loop import CommandLoop
from cerebro.agent.devices.connection import RouterLink
from cerebro.kube.cache.references import device_of
from cerebro.kube.objects import Change
from cerebro.resources import DEVICE, DEVICE_COMMAND
from cerebro.routeros.client.credentials import RouterCredentials
from cerebro.runtime.loop import LoopTable


class CommandManager:
    """Runs a loop for each Device that has commands, as long as it has some."""

    def __init__(self, context: AgentContext) -> None:
        self._context = context
        self._by_device = context.store.add_index(DEVICE_COMMAND, device_of)
        self._loops: LoopTable[CommandLoop] = LoopTable(
            "DeviceCommands", logged_as="device", failed=self._failed
        )

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Take commands from now on; the store is complete (E7)."""
        self._loops.start(
            tasks, self._make, stopping=lambda: self._context.stopping
        )

        for stored in self._context.store.all(DEVICE_COMMAND):
            device = device_of(stored)

            if device is not None:
                self._loops.ensure(stored.namespace, device)

    def tasks(self) -> set[asyncio.Task[None]]:
        """Return the tasks of the loops."""

        return self._loops.tasks()

    def command_changed(self, change: Change) -> None:
        """Take a change of a DeviceCommand: see to it that somebody runs it."""
        stored = change.new

        if stored is None:
            return

        if stored.model is None:
            self._context.report_invalid(stored)

            return

        device = device_of(stored)
        loop = self._loops.ensure(stored.namespace, device) if device else None

        if loop is not None:
            loop.wake()

    def device_changed(self, change: Change) -> None:
        """Take a change of a Device: its commands may be allowed now."""
        loop = self._loops.ensure(change.namespace, change.name)

        if loop is not None:
            loop.wake()

    def look_at_all(self) -> None:
        """Wake all loops: what may be done has changed."""

        for _, loop in self._loops.items():
            loop.wake()

    def tunnel_changed(
        self, namespace: str, device: str, came_back: bool
    ) -> None:
        """Hand to a Device's loop that its tunnel came, went or moved."""
        loop = self._loops.get(namespace, device)

        if loop is not None and came_back:
            loop.tunnel_changed()

    def _make(self, namespace: str, name: str) -> CommandLoop | None:
        """Return a loop for a Device that exists and has commands."""
        context = self._context

        if context.store.get(DEVICE, namespace, name) is None:
            return None

        if not self._by_device.get(namespace, name):
            return None

        observe = context.router_metrics.observer(namespace, name)

        def make_link(credentials: RouterCredentials | None) -> RouterLink:
            return RouterLink(
                context.api,
                context.tunnels,
                credentials=credentials,
                observe=observe,
            )

        return CommandLoop(
            context, namespace, name, CommandLink(make_link), self._by_device
        )

    def _failed(self) -> None:
        self._context.metrics.router_failed("InternalError")
