"""The records of access as a whole: this bridge makes and writes them only
while it holds the Lease `cerebro-bridge-recorder` (E1).
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket

import structlog

from cerebro.bridge.audit_settings import RecordsSettings
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.orders.sessions import Sessions
from cerebro.bridge.records.places import LinePlace, RecordPlace
from cerebro.bridge.records.postgres import PostgresPlace
from cerebro.bridge.records.recorder import Recorder
from cerebro.bridge.records.writer import RecordWriter
from cerebro.bridge.settings import BridgeSettings
from cerebro.bridge.store.access import AccessStore
from cerebro.domain.leases import RECORDER_LEASE
from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.lease import Lease

_ANEW = 5.0
"""Seconds until what failed by a fault of ours is started anew."""

log = structlog.get_logger(__name__)


class AccessRecords:
    """What records the access that Sessions give."""

    def __init__(
        self,
        settings: BridgeSettings,
        store: AccessStore,
        sessions: Sessions,
        objects: Store,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._writer = RecordWriter(store, metrics)
        self._recorder = Recorder(store, sessions, objects, self._writer.wake)

        # Whether the Lease is ours, or was lost.
        self._gained = asyncio.Event()
        self._lost = asyncio.Event()

    async def run(self, api: KubeApi) -> None:
        """Record whenever the Lease is held, until cancelled; then give it
        back.
        """
        settings = self._settings
        if settings.records == "off":
            await asyncio.Event().wait()

        lease = Lease(
            api,
            settings.namespace,
            RECORDER_LEASE,
            _identity(),
            duration=settings.lease_duration,
            renew=settings.lease_renew_interval,
            gained=self._note_gain,
            lost=self._note_loss,
        )

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(lease.run(), name="records lease")
            tasks.create_task(self._work_while_held(api), name="records")

    async def _work_while_held(self, api: KubeApi) -> None:
        """Work from each gain of the Lease to its loss."""
        while True:
            await self._gained.wait()
            work = asyncio.create_task(self._work(api))
            loss = asyncio.create_task(self._lost.wait())

            try:
                await asyncio.wait(
                    [work, loss], return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                loss.cancel()
                work.cancel()
                await asyncio.gather(work, loss, return_exceptions=True)

            # A fault of ours costs the records a while, and the orders
            # nothing.
            if not work.cancelled() and work.exception() is not None:
                log.error(
                    "records of access failed, and are started anew",
                    exc_info=work.exception(),
                )

                await asyncio.sleep(_ANEW)

    async def _work(self, api: KubeApi) -> None:
        place = place_of(self._settings)

        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._recorder.run(api), name="recorder")
                tasks.create_task(self._writer.run(place), name="writer")
        finally:
            await place.close()

    def _note_gain(self) -> None:
        self._lost.clear()
        self._gained.set()

    def _note_loss(self) -> None:
        self._gained.clear()
        self._lost.set()


def place_of(settings: RecordsSettings) -> RecordPlace:
    """Return where the settings send records; they must not be off."""
    if settings.records == "postgresql":
        return PostgresPlace(settings)

    if settings.records == "file":
        return LinePlace.file(settings.records_file)

    return LinePlace.standard_output()


def _identity() -> str:
    """Return a name that no bridge has that may run at once: two may share a
    host.
    """
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
