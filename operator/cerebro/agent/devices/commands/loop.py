"""Takes the DeviceCommands of one Device in the order of their age, two at a
time (rule C2).

It has its own connection and its own task: the loop that keeps access equal
never waits for a command.
"""

from __future__ import annotations

import asyncio
from datetime import datetime

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.commands.executor import CommandExecutor
from cerebro.agent.devices.commands.link import CommandLink
from cerebro.domain.commands import latest_start
from cerebro.kube.cache.store import Index
from cerebro.kube.client.server_clock import server_now
from cerebro.resources import DEVICE, Device, DeviceCommand, age_key
from cerebro.runtime.clock import monotonic
from cerebro.runtime.loop import wait_for_wake

AT_ONCE = 2
"""Commands that run on a router at the same time."""
IDLE = 60.0
"""Seconds without a command after which the connection is closed."""
_LOOK = 1.0
"""Seconds between two looks while commands wait for their turn: one that waits
too long is told so.
"""


class CommandLoop:
    """One task for one Device that has commands, until it had none for a
    minute.
    """

    def __init__(
        self,
        context: AgentContext,
        namespace: str,
        name: str,
        link: CommandLink,
        by_device: Index,
    ) -> None:
        """`by_device` are the unfinished DeviceCommands by their Device; the
        loop closes `link`.
        """
        self._context = context
        self._namespace = namespace
        self._name = name
        self._link = link
        self._by_device = by_device
        self._executor = CommandExecutor(context, link)
        self._wake = asyncio.Event()
        self._busy_at = monotonic()
        self._running: set[asyncio.Task[None]] = set()
        self._taken: set[str] = set()
        """UIDs of commands that were begun here, as long as the store has
        them.
        """

    def wake(self) -> None:
        """Note that a command came, or may run now."""
        self._wake.set()

    def tunnel_changed(self) -> None:
        """Note that the tunnel came back or moved: an idle connection may be
        dead.
        """

        if not self._running:
            self._link.drop_stale()

        self._wake.set()

    async def run(self) -> None:
        """Turn until nothing was to do for a minute, or the agent stops; then
        let what runs come to its end, and close the connection.
        """
        heartbeat = f"commands {self._namespace}/{self._name}"

        try:
            while not self._context.stopping:
                self._context.turned(heartbeat)
                self._wake.clear()
                self._turn()

                if self._is_idle():
                    return

                wait = _LOOK if self._waiting() else self._context.heartbeat
                await wait_for_wake(self._wake, wait)

            if self._running:
                await asyncio.wait(self._running)
        finally:
            # What is broken off here was started, and is ended as interrupted.
            for task in self._running:
                task.cancel()

            self._taken.clear()
            await self._link.close()
            self._context.ended(heartbeat)

    def _turn(self) -> None:
        """Begin what may begin now."""
        device = self._device()

        if device is None or not self._context.may_write(device):
            return

        now = server_now(self._context.api)

        for command in self._waiting():
            if not self._may_begin(command, now):
                continue

            self._taken.add(command.metadata.uid)
            task = asyncio.create_task(
                self._executor.carry_out(device, command),
                name=f"command {self._namespace}/{command.name}",
            )

            self._running.add(task)
            task.add_done_callback(self._ended)

    def _may_begin(self, command: DeviceCommand, now: datetime) -> bool:
        """Return whether a place is free for a command, or it needs none: it
        is only told that it does not run.
        """

        if len(self._running) < AT_ONCE:
            return True

        was_started = command.status.started_at is not None

        return was_started or now > latest_start(command, now)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._busy_at = monotonic()
        self._wake.set()

    def _device(self) -> Device | None:
        stored = self._context.store.get(DEVICE, self._namespace, self._name)

        return self._context.device(stored) if stored is not None else None

    def _waiting(self) -> list[DeviceCommand]:
        """Return the commands that nobody began here, the oldest first."""
        stored = list(self._by_device.get(self._namespace, self._name))
        self._taken &= {item.uid for item in stored}

        commands = [
            item.read(DeviceCommand)
            for item in stored
            if item.uid not in self._taken
        ]

        waiting = [
            command
            for command in commands
            if command is not None and not command.status.finished
        ]

        return sorted(waiting, key=age_key)

    def _is_idle(self) -> bool:
        """Return whether there was nothing to do for a minute."""

        if self._running or self._waiting():
            self._busy_at = monotonic()

            return False

        return monotonic() - self._busy_at >= IDLE
