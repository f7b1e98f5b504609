"""Keeps the watchdog of userspace interfaces from dropping what we carry by a Lease (rule E4).

It follows the Lease alone: a pass may be slow or fail, and a Hub be paused or unreadable, while its tunnel works.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from cerebro.agent.hubs.ownership import Ownership
from cerebro.runtime.threads import in_thread
from cerebro.wireguard.backend import Backend, WireGuardError

log = logging.getLogger(__name__)

_THREADS = ThreadPoolExecutor(2, thread_name_prefix="keeping")  # waits for no pass


class Watchdog:
    """What the loop of one Hub carries.

    `renewed` is set when the Lease was; `gone` is called when the keeper may not have the interface any more.
    """

    def __init__(
        self, claim: Ownership, userspace: Backend, renewed: asyncio.Event, gone: Callable[[], None]
    ) -> None:
        self._claim, self._userspace, self._renewed, self._gone = claim, userspace, renewed, gone
        self._interface = ""
        self.backend: Backend | None = None
        """Who carries it; None: we carry nothing."""

    def begin(self, backend: Backend, interface: str) -> None:
        """Keep this one from now on."""
        self.backend, self._interface = backend, interface

    def end(self) -> None:
        """Keep it no more."""
        self.backend = None

    async def run(self) -> None:
        """Move the deadline on after each renewal, until cancelled."""
        while True:
            await self._renewed.wait()
            self._renewed.clear()
            backend, interface, deadline = self.backend, self._interface, self._claim.deadline()
            if backend is None or deadline is None or not self._claim.owns():
                continue
            try:
                await in_thread(partial(backend.refresh, interface, deadline), _THREADS)
            except (WireGuardError, TimeoutError) as error:
                log.warning("interface %s was not kept: %s", interface, error or "no answer in time")
                self._gone()

    async def adopt(self, interface: object, key: object) -> None:
        """Begin with one that was ours before a restart, as its public key says."""
        if self._claim.fixed or self.backend or not isinstance(interface, str) or key is None:
            return
        try:
            actual = await in_thread(partial(self._userspace.read, interface))
            if actual is not None and actual.public_key == key:
                await in_thread(partial(self._userspace.refresh, interface, self._claim.deadline()))
                self.begin(self._userspace, interface)
        except (WireGuardError, TimeoutError) as error:
            log.debug("interface %s is not as it was: %s", interface, error)  # the pass says it

    async def drop(self, interface: str) -> bool:
        """Drop the interface if it is ours; tell whether there surely is none now."""
        carried, self.backend = self.backend, None

        def gone() -> bool:
            if carried is not None and carried.read(interface) is not None:
                carried.drop(interface)
            return self._userspace.read(interface) is None

        try:
            return await in_thread(gone)
        except (WireGuardError, TimeoutError) as error:
            log.warning("interface %s was not dropped: %s", interface, error or "no answer in time")
            return False
