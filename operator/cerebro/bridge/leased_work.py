"""Work that one of several bridges does: whoever holds a Lease (E1)."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable

import structlog

from cerebro.bridge.settings import BridgeSettings
from cerebro.kube.client.api import KubeApi
from cerebro.kube.lease import Lease

_ANEW = 5.0
"""Seconds until what failed by a fault of ours is started anew."""

log = structlog.get_logger(__name__)


class LeasedWork:
    """Work from each gain of a Lease to its loss.

    `work` gets the Lease and works until it is cancelled; `title` is what the
    log calls it.
    """

    def __init__(
        self, title: str, work: Callable[[Lease], Awaitable[None]]
    ) -> None:
        self._title = title
        self._work = work

        # Whether the Lease is ours, or was lost.
        self._gained = asyncio.Event()
        self._lost = asyncio.Event()

    async def run(
        self, api: KubeApi, settings: BridgeSettings, lease_name: str
    ) -> None:
        """Work whenever the Lease is held, until cancelled; then give it
        back.
        """
        lease = Lease(
            api,
            settings.namespace,
            lease_name,
            _identity(),
            duration=settings.lease_duration,
            renew=settings.lease_renew_interval,
            gained=self._note_gain,
            lost=self._note_loss,
        )

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(lease.run(), name=f"Lease {lease_name}")
            tasks.create_task(self._work_while_held(lease), name=self._title)

    async def _work_while_held(self, lease: Lease) -> None:
        while True:
            await self._gained.wait()
            work = asyncio.ensure_future(self._work(lease))
            loss = asyncio.create_task(self._lost.wait())

            try:
                await asyncio.wait(
                    [work, loss], return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                loss.cancel()
                work.cancel()
                await asyncio.gather(work, loss, return_exceptions=True)

            # A fault of ours costs this work a while, and orders nothing.
            if not work.cancelled() and work.exception() is not None:
                log.error(
                    "work failed, and is started anew",
                    work=self._title,
                    exc_info=work.exception(),
                )

                await asyncio.sleep(_ANEW)

    def _note_gain(self) -> None:
        self._lost.clear()
        self._gained.set()

    def _note_loss(self) -> None:
        self._gained.clear()
        self._lost.set()


def _identity() -> str:
    """Return a name that no bridge has that may run at once: two may share a
    host.
    """
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
