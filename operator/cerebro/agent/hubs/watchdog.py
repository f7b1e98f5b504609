"""Keeps the watchdog of userspace interfaces from dropping what this node
carries by a Lease (rule E4).

It follows the Lease alone: a pass may be slow or fail, and a Hub be paused or
unreadable, while its tunnel works. It also sees at once when an interface went
or was made anew, which costs each router its tunnel until the next pass (rule
E16).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from cerebro.agent.hubs.ownership import Ownership
from cerebro.runtime.threads import in_thread
from cerebro.wireguard.backend import Backend, WireGuardError

log = logging.getLogger(__name__)

_THREADS = ThreadPoolExecutor(2, thread_name_prefix="keeping")
"""Of their own, so that a renewal waits for no pass."""

_LOOK = 0.5
"""Seconds between two looks whether a link is the same."""


class Watchdog:
    """What the loop of one Hub carries, and the deadline at which the keeper
    would drop it.

    `renewed` is set whenever the Lease was renewed; `gone` is called when the
    keeper may not have the interface any more, or when it is another link.
    """

    def __init__(
        self,
        ownership: Ownership,
        userspace: Backend,
        renewed: asyncio.Event,
        gone: Callable[[], None],
    ) -> None:
        self.backend: Backend | None = None
        """Which backend carries the interface; None: this node carries none.
        """
        self._interface = ""
        self._ownership = ownership
        self._userspace = userspace
        self._renewed = renewed
        self._gone = gone

    def begin(self, backend: Backend, interface: str) -> None:
        """Keep an interface from now on."""
        self.backend = backend
        self._interface = interface

    @property
    def interface(self) -> str | None:
        """Return the interface that this node carries; None if it carries
        none.
        """
        return self._interface if self.backend is not None else None

    def end(self) -> None:
        """Keep it no more; it stays as it is until its deadline."""
        self.backend = None

    async def run(self) -> None:
        """Move the deadline on after each renewal, and watch the link, until
        cancelled.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep(), name="keep an interface")
            tasks.create_task(self._watch(), name="watch a link")

    async def _keep(self) -> None:
        """Move the deadline on after each renewal."""
        while True:
            await self._renewed.wait()
            self._renewed.clear()
            await self._move_deadline()

    async def _watch(self) -> None:
        """Look whether the interface is the same link. One that comes is told
        too: a pass may have failed without it.
        """
        before: int | None = None
        carried = False
        while True:
            index = link_index(self._interface)

            if carried and self.backend and index != before:
                self._gone()

            carried = self.backend is not None
            before = index

            await asyncio.sleep(_LOOK)

    async def _move_deadline(self) -> None:
        backend = self.backend
        interface = self._interface
        deadline = self._ownership.deadline()
        if backend is None or deadline is None or not self._ownership.owns():
            return

        try:
            await in_thread(
                partial(backend.refresh, interface, deadline), _THREADS
            )
        except (WireGuardError, TimeoutError) as error:
            log.warning(
                "interface %s was not kept: %s",
                interface,
                error or "no answer in time",
            )

            self._gone()

    async def adopt(self, interface: object, public_key: object) -> None:
        """Take over an interface from before a restart if it has the Hub's
        public key.

        Both are as the Hub names them, which may be anything. An interface
        that this node carries by its name in the spec needs no deadline.
        """
        if self._ownership.fixed or self.backend is not None:
            return

        if not isinstance(interface, str) or public_key is None:
            return

        try:
            actual = await in_thread(partial(self._userspace.read, interface))
            if actual is None or actual.public_key != public_key:
                return

            deadline = self._ownership.deadline()
            await in_thread(
                partial(self._userspace.refresh, interface, deadline)
            )
        except (WireGuardError, TimeoutError) as error:
            log.debug(
                "interface %s is not as it was: %s", interface, error
            )  # the pass reports it
        else:
            self.begin(self._userspace, interface)

    async def drop(self, interface: str) -> bool:
        """Drop the interface if this node carries it; return whether surely
        none of that name exists now.
        """
        carrier = self.backend
        self.backend = None

        def gone() -> bool:
            if carrier is not None and carrier.read(interface) is not None:
                carrier.drop(interface)

            return self._userspace.read(interface) is None

        try:
            return await in_thread(gone)
        except (WireGuardError, TimeoutError) as error:
            log.warning(
                "interface %s was not dropped: %s",
                interface,
                error or "no answer in time",
            )

            return False


def link_index(name: str) -> int | None:
    """Return the kernel's number of a link, which none has again after it;
    None if none has that name.
    """
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return None
