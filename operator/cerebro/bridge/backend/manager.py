"""The backend's side as a whole: it works only while this bridge holds the
Lease `cerebro-bridge-poller` (E1).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta

from cerebro.bridge.audit.log import AuditLog
from cerebro.bridge.backend.acks import AckSender
from cerebro.bridge.backend.client import BackendClient, BackendUrls
from cerebro.bridge.backend.consumer import Consumer
from cerebro.bridge.backend.file_source import FileSource
from cerebro.bridge.backend.poller import Poller, Source
from cerebro.bridge.backend.tracker import Tracker
from cerebro.bridge.leased_work import LeasedWork
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.orders.sessions import Sessions, Written
from cerebro.bridge.requests.events import FeedRules
from cerebro.bridge.settings import BridgeSettings
from cerebro.bridge.store.base import BridgeStore, Entry
from cerebro.bridge.store.events import EVENT_MEMORY
from cerebro.domain.leases import POLLER_LEASE
from cerebro.domain.lifecycle import GrantWindows
from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.lease import Lease


class BackendSide:
    """Feed, open events and outbox of one bridge.

    What it is told of by the inbox it notes at any time; it polls, follows and
    sends only under the Lease.
    """

    def __init__(
        self,
        settings: BridgeSettings,
        store: BridgeStore,
        sessions: Sessions,
        objects: Store,
        *,
        metrics: Metrics,
        windows: GrantWindows,
        enqueue: Callable[[Entry], None],
        audit: AuditLog,
    ) -> None:
        """`enqueue` starts a new entry of the inbox."""
        self._settings = settings
        self._store = store
        self._metrics = metrics
        self._enqueue = enqueue

        # Whether SIGTERM came.
        self._closing = False

        sends_acks = settings.ack_url is not None

        # From the end of an event's way to its beginning.
        self._sender = AckSender(
            store,
            metrics,
            retries=settings.ack_retries,
            quick=settings.ack_retry_delay_ms,
        )

        self._tracker = Tracker(
            store,
            sessions,
            objects,
            metrics,
            sends_acks=sends_acks,
            ack_due=self._sender.wake,
            audit=audit,
        )

        rules = FeedRules(
            trial_within=windows.within("Trial"),
            trial_minutes=settings.trial_minutes,
            memory=timedelta(milliseconds=EVENT_MEMORY),
        )

        self._consumer = Consumer(
            store,
            metrics,
            rules=rules,
            payment_within=round(
                windows.within("Paid").total_seconds() * 1000
            ),
            sends_acks=sends_acks,
            taken=self._start,
            ack_due=self._sender.wake,
            audit=audit,
        )

    def settled(self, entry: Entry, result: Written | Exception) -> None:
        """Note what was written for an event: the hook of the inbox. Raises
        ApiError.
        """
        self._tracker.settled(entry, result)

    def stop_polling(self) -> None:
        """Take no event any more (E14)."""
        self._closing = True

    async def run(self, api: KubeApi) -> None:
        """Work whenever the Lease is held, until cancelled; then give it back.

        Without a feed and without an address for ACKs there is nothing to do.
        """
        settings = self._settings

        if not settings.has_feed and settings.ack_url is None:
            await asyncio.Event().wait()

        backend = LeasedWork("the backend's side", self._work)
        await backend.run(api, settings, POLLER_LEASE)

    async def _work(self, lease: Lease) -> None:
        """Poll, follow events and send ACKs.

        In dry run nothing is recorded or acknowledged (F6).
        """
        settings = self._settings

        urls = BackendUrls(
            settings.events_url, settings.ack_url, settings.feed_secret
        )

        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(BackendClient(urls))
            tasks = await stack.enter_async_context(asyncio.TaskGroup())

            # Events that a former feed brought are followed to their outcome,
            # and their ACKs sent, also where there is no feed any more.
            if not settings.dry_run:
                tasks.create_task(self._tracker.run(), name="events")

            if settings.ack_url is not None and not settings.dry_run:
                tasks.create_task(
                    self._sender.run(client, lease.held), name="acks"
                )

            source = self._source(client)

            if source is not None:
                poller = Poller(
                    source,
                    self._consumer,
                    self._store,
                    self._metrics,
                    interval=settings.poll_interval,
                    dry_run=settings.dry_run,
                )

                tasks.create_task(
                    poller.run(lambda: lease.held() and not self._closing),
                    name="poller",
                )

    def _source(self, client: BackendClient) -> Source | None:
        """Return where events come from; None if there is no feed."""
        settings = self._settings

        if settings.events_url is not None:
            return client

        file = settings.feed_file

        return FileSource(file) if file is not None else None

    def _start(self, entry: Entry) -> None:
        """Start an event that was put into the inbox.

        It is followed first: it may be carried out at once.
        """
        self._tracker.taken(entry)
        self._enqueue(entry)
