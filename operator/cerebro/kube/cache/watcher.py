"""Runs kopf as a watcher and nothing else: its event handlers put objects into
the Store.

kopf writes nothing on objects, knows no peering, posts no Events and looks for
no kinds after its start. Whatever ends it (a CRD that went, an odd answer),
this starts it again in the same process. A deletion, also one that waits for a
finalizer, is believed only when rule E13 allows it. What the Store lacks in
spite of this is found by `completeness.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import kopf

from cerebro.kube.cache import kopf_tasks
from cerebro.kube.cache.completeness import Watch
from cerebro.kube.cache.kopf_activity import Activity
from cerebro.kube.cache.kopf_streams import Insights, read_streams
from cerebro.kube.cache.presence import Presence
from cerebro.kube.cache.store import EventType, Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.connection import ConfigError
from cerebro.kube.client.discovery import wait_served
from cerebro.resources import API_GROUP, API_VERSION, KINDS, Kind
from cerebro.runtime import metrics
from cerebro.runtime.backoff import Backoff
from cerebro.runtime.clock import monotonic

_SESSION_LIFE = timedelta(minutes=30)
"""Time after which kopf asks for credentials again; a 401 makes it ask at
once.
"""

_KINDS_BY_PLURAL = {kind.plural: kind for kind in KINDS.values()}

log = logging.getLogger(__name__)


async def _watched(**_: Any) -> None:
    """Stand for a handler: kopf watches what has one."""


@dataclass(frozen=True)
class WatchTimes:
    """Times of the watcher, in seconds."""

    request_timeout: float = 30.0
    """Deadline of one request, but for a watch."""
    watch_timeout: float = 240.0
    """Age at which the server ends a watch."""
    inactivity_timeout: float = 70.0
    """A watch without event and bookmark for this long is taken for dead;
    bookmarks come every 60 s.
    """
    backoff_ceiling: float = 30.0
    """Longest wait of kopf after an error of the API server."""
    restart_ceiling: float = 30.0
    """Longest wait until kopf is started again."""

    @property
    def silence(self) -> float:
        """Longest time between two requests of a watcher that turns, whether
        or not the API server answers.
        """
        return (
            self.watch_timeout
            + self.inactivity_timeout
            + self.request_timeout
            + self.backoff_ceiling
        )


class Watcher:
    """Keeps the Store fed. One in an event loop; `run()` ends by cancellation
    only.
    """

    def __init__(
        self,
        api: KubeApi,
        store: Store,
        watches: Collection[Watch],
        *,
        presence: Presence,
        relisted: Callable[[Watch], None],
        times: WatchTimes | None = None,
        waiting: Callable[[str | None], None] | None = None,
    ) -> None:
        """`relisted` is called when kopf has handed over a list; `waiting` as
        in discovery.wait_served.

        Handle signals with the signal module or in a thread: kopf takes the
        event loop's own handlers for itself.
        """

        self._api = api
        self._store = store
        self._watches = tuple(watches)
        self._presence = presence
        self._times = times or WatchTimes()
        self._waiting = waiting
        self.activity = Activity(self._watches, relisted)

    def alive(self) -> bool:
        """Return whether each watch made a request lately (rule E11).

        True also while we wait for the API server to serve our kinds.
        """
        return self.activity.silence() <= self._times.silence

    async def run(self) -> None:
        """Wait for the kinds (rule E10), run kopf, and start it again should
        it end or fall silent.
        """
        delays = iter(Backoff(first=0.2, ceiling=self._times.restart_ceiling))
        while True:
            self.activity.pause()
            await wait_served(
                self._api,
                kinds=tuple(KINDS.values()),
                backoff=Backoff(ceiling=min(5.0, self._times.backoff_ceiling)),
                waiting=self._waiting,
            )

            started = monotonic()
            reason = await self._run_kopf()
            metrics.WATCHER_RESTARTS.inc()

            ran_long = monotonic() - started > 10 * self._times.restart_ceiling
            if ran_long:
                delays = iter(
                    Backoff(first=0.2, ceiling=self._times.restart_ceiling)
                )

            log.error("kopf ended and is started again: %s", reason)
            self.activity.pause()
            await asyncio.sleep(next(delays))

    async def _run_kopf(self) -> str:
        """Run kopf until it ends, and clean up what it started; return why it
        ended.

        Not by kopf.operator: at its end that cancels every task of the event
        loop, ours too.
        """

        self.activity.resume()

        settings, insights = self._settings(), Insights()
        namespaces = {watch.namespace for watch in self._watches}

        with kopf_tasks.signals_kept():
            tasks = await kopf.spawn_tasks(
                registry=self._registry(),
                settings=settings,
                insights=insights,
                standalone=True,
                namespaces=sorted(namespaces),
                _command=read_streams(settings, insights, self._take),
            )

        guard = asyncio.create_task(
            self._until_silent(), name="watch for silent watchers"
        )

        try:
            done, _ = await asyncio.wait(
                [*tasks, guard], return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            guard.cancel()
            await kopf_tasks.stop(tasks)

        errors = [task.exception() for task in done if not task.cancelled()]
        reasons = [
            f"{type(error).__name__}: {error}"
            for error in errors
            if error is not None
        ]

        return "; ".join(reasons) or "no error given"

    async def _until_silent(self) -> None:
        """Raise RuntimeError once a watch makes no request any more."""
        while True:
            await asyncio.sleep(min(5.0, self._times.silence))

            if not self.alive():
                raise RuntimeError(
                    f"no request of a watch for {self.activity.silence():.0f} s"
                )

    def _registry(self) -> kopf.OperatorRegistry:
        """Return the handlers: one for the login, and for each kind one that
        says that its objects are watched. Events go to `_take`.
        """

        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry, id="cerebro")(self._login)

        kinds = {watch.kind.kind: watch.kind for watch in self._watches}
        for kind in kinds.values():
            register = kopf.on.event(
                API_GROUP,
                API_VERSION,
                kind.plural,
                registry=registry,
                id=f"store-{kind.plural}",
            )

            register(_watched)

        return registry

    def _take(
        self, plural: str, event: dict[str, Any]
    ) -> Awaitable[None] | None:
        """Put the object of an event into the Store; return what has to be
        awaited first if the event tells of a deletion (rule E13).
        """
        kind = _KINDS_BY_PLURAL[plural]
        event_type, body = event["type"], event["object"]
        metadata = body["metadata"]

        if event_type == "DELETED":
            return self._take_deleted(kind, body)

        is_going = metadata.get("deletionTimestamp") is not None
        if is_going and not self._store.believed(
            kind, metadata["namespace"], metadata["uid"]
        ):
            return self._take_going(kind, event_type, body)

        self._store.deliver(kind, event_type, body)

        return None

    async def _take_deleted(self, kind: Kind, body: dict[str, Any]) -> None:
        """Take an object that went, if that counts."""
        if await self._deletion_counts(kind, body["metadata"]):
            self._store.deliver(kind, "DELETED", body)

    async def _take_going(
        self, kind: Kind, event_type: EventType, body: dict[str, Any]
    ) -> None:
        """Take an object that begins to go; it is shown as going if that
        counts.
        """
        metadata = body["metadata"]
        if await self._deletion_counts(kind, metadata):
            self._store.believe(kind, metadata["namespace"], [metadata["uid"]])

        self._store.deliver(kind, event_type, body)

    async def _deletion_counts(
        self, kind: Kind, metadata: dict[str, Any]
    ) -> bool:
        """Return whether a deletion may be believed; one that may not is
        logged once.
        """

        namespace, name = metadata["namespace"], metadata["name"]
        if await self._presence.intact(kind, namespace):
            return True

        known = self._store.by_uid(kind, namespace, metadata["uid"])
        if known is None or not known.held:
            metrics.DELETIONS_HELD.labels(kind.kind).inc()
            log.warning(
                "%s %s/%s was deleted with its CRD or namespace: kept until those are back (E13)",
                kind.kind,
                namespace,
                name,
            )

        return False

    async def _login(self, **_: Any) -> kopf.AiohttpSession:
        """Return a new session for kopf as soon as the API server takes our
        credentials.

        A 401 must not end kopf. kopf refuses credentials equal to ones that
        failed; a session is equal only to itself.
        """
        for delay in Backoff(ceiling=min(5.0, self._times.backoff_ceiling)):
            session = self._session()
            if session is not None:
                if await self._accepted(session):
                    break

                await session.close()

            await asyncio.sleep(delay)

        assert session is not None

        return kopf.AiohttpSession(
            server=self._api.connection.server,
            aiohttp_session=session,
            expiration=datetime.now(UTC) + _SESSION_LIFE,
        )

    def _session(self) -> aiohttp.ClientSession | None:
        """Return a session with our credentials as they are now, None if they
        cannot be read.
        """
        connection = self._api.connection
        try:
            headers, context = connection.headers(), connection.ssl_context()
        except ConfigError as error:
            log.warning("no credentials for the API server yet: %s", error)
            return None

        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=context),
            headers={"User-Agent": "cerebro", **headers},
            trace_configs=[self.activity.trace()],
        )

    async def _accepted(self, session: aiohttp.ClientSession) -> bool:
        """Return whether the API server takes the credentials of a session;
        every answer but 401 shows it.
        """
        url = f"{self._api.connection.server}/apis/{API_GROUP}/{API_VERSION}"
        try:
            timeout = aiohttp.ClientTimeout(total=self._times.request_timeout)
            async with session.get(url, timeout=timeout) as answer:
                if answer.status != 401:
                    return True

                log.warning(
                    "the API server does not take our credentials (401): trying again"
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning(
                "the API server cannot be reached: %s: %s",
                type(error).__name__,
                error,
            )

        return False

    def _settings(self) -> kopf.OperatorSettings:
        """Return the settings that make kopf a watcher and nothing else."""
        times = self._times
        settings = kopf.OperatorSettings()

        # It writes nothing, looks for nothing, and leaves the process to us.
        settings.process.ultimate_exiting_timeout = None
        settings.posting.enabled = False
        settings.posting.level = logging.WARNING
        settings.posting.loggers = False
        settings.peering.standalone = True
        settings.scanning.disabled = True

        # Times.
        settings.networking.request_timeout = times.request_timeout
        settings.networking.connect_timeout = times.request_timeout
        settings.networking.error_backoffs = Backoff(
            ceiling=times.backoff_ceiling
        )

        settings.networking.enforce_retry_after = True
        settings.watching.server_timeout = int(times.watch_timeout)
        settings.watching.client_timeout = (
            times.watch_timeout + times.inactivity_timeout
        )

        settings.watching.inactivity_timeout = times.inactivity_timeout
        settings.watching.chunk_size = 500

        for watch in self._watches:
            if watch.field_selector:
                resource = (API_GROUP, API_VERSION, watch.kind.plural)
                settings.watching.field_selectors[resource] = (
                    watch.field_selector
                )

        return settings
