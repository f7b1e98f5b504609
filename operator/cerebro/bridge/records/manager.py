"""The records of access as a whole: this bridge makes and writes them only
while it holds the Lease `cerebro-bridge-recorder` (E1).
"""

from __future__ import annotations

import asyncio

from cerebro.bridge.audit_settings import RecordsSettings
from cerebro.bridge.leased_work import LeasedWork
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

    async def run(self, api: KubeApi) -> None:
        """Record whenever the Lease is held, until cancelled; then give it
        back.
        """
        settings = self._settings
        if settings.records == "off":
            await asyncio.Event().wait()

        records = LeasedWork(
            "records of access", lambda _lease: self._work(api)
        )

        await records.run(api, settings, RECORDER_LEASE)

    async def _work(self, api: KubeApi) -> None:
        place = place_of(self._settings)

        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._recorder.run(api), name="recorder")
                tasks.create_task(self._writer.run(place), name="writer")
        finally:
            await place.close()


def place_of(settings: RecordsSettings) -> RecordPlace:
    """Return where the settings send records; they must not be off."""
    if settings.records == "postgresql":
        return PostgresPlace(settings)

    if settings.records == "file":
        return LinePlace.file(settings.records_file)

    return LinePlace.standard_output()
