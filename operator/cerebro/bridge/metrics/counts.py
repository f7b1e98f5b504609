"""What one bridge counts of its own work, and the page that shows it.

Labels have routes, Devices and codes only, never a text that a caller made up,
so their number is bounded; what bears a router's name goes with its Device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Gauge,
    Histogram,
)
from prometheus_client import Counter as Labelled

from cerebro.bridge.metrics.old_counters import OldCounters
from cerebro.bridge.metrics.watched import WatchedObjects
from cerebro.runtime.clock import monotonic
from cerebro.runtime.exposition import exposition, text_of

SERVICE = {"service": "relay-cerebro"}
"""What every metric with labels bears, as in the old relay."""

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 5.0)
_Request = tuple[str, str, int]
"""Method, route and status."""

_Authorized = tuple[str, bool]
"""A router, and whether an order was done there."""

_JOB_SECONDS = (0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0)
_STORE_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 2.0)


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """What the store has, at the moment of a scrape."""

    due: int
    """Entries of the inbox: orders that are to be carried out now."""

    pending: int
    """Orders that wait for the hello of their phone."""

    oldest: int
    """When the oldest entry of the inbox came, in milliseconds since 1970; 0
    if the inbox is empty.
    """

    events: int
    """Events of the backend that are remembered."""


STORE_MEANINGS = {
    "relay_jobs_total": "Orders in the inbox, and those that wait for a hello",
    "relay_jobs_due": "Entries of the inbox, which are to be carried out now",
    "relay_jobs_pending": "Orders that wait for the hello of their phone",
    "relay_jobs_oldest_run_at": "When the oldest entry of the inbox came, in ms since 1970; 0 if it is empty",
    "relay_processed_events_total": "Events of the backend that are remembered",
}
"""What each line tells that comes from the store, by its name."""


def _store_values(store: StoreFigures) -> dict[str, int]:
    """Return the values of STORE_MEANINGS."""
    values = (
        store.due + store.pending,
        store.due,
        store.pending,
        store.oldest,
        store.events,
    )

    return dict(zip(STORE_MEANINGS, values, strict=True))


class _Figures:
    """A registry, and the figures in it that parts of the bridge set
    themselves.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        self.trials_shortened = self._counter(
            "relay_trials_shortened",
            "Trials that asked for more than 120 minutes.",
        )

        self.acks_waiting = self._gauge(
            "relay_acks_waiting",
            "ACKs that the backend has not taken; only the bridge that sends them knows.",
        )

        self.events_open = self._gauge(
            "relay_events_open",
            "Events of the backend without a final outcome; only the bridge that follows them knows.",
        )

        self.order_checks = self._counter(
            "relay_order_checks",
            "Orders that the database was asked about: paid, not_paid, unknown, away, failed.",
            ("result",),
        )

        self.records_waiting = self._gauge(
            "relay_records_waiting",
            "Records of access that are not written; only the bridge that writes them knows.",
        )

        self.records_written = self._counter(
            "relay_records_written", "Records of access that were written."
        )

        self.audit_dropped = self._counter(
            "relay_audit_lines_dropped",
            "Audit lines that found no room while none could be written.",
        )

    def _counter(
        self, name: str, text: str, labels: Sequence[str] = ()
    ) -> Labelled:
        return Labelled(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self.registry)

    def _histogram(
        self,
        name: str,
        text: str,
        labels: Sequence[str] = (),
        buckets: Sequence[float] = _SECONDS,
    ) -> Histogram:
        return Histogram(
            name, text, labels, buckets=buckets, registry=self.registry
        )


class Metrics(_Figures):
    """Counters and histograms of one bridge; `page` renders them all."""

    def __init__(self) -> None:
        super().__init__()
        self._old = OldCounters()

        self.requests = self._counter(
            "relay_http_requests",
            "Requests by route and status.",
            ("method", "route", "status_code"),
        )

        self.request_seconds = self._histogram(
            "relay_http_request_duration_seconds",
            "Time from a request's arrival to its answer.",
            ("method", "route", "status_code"),
        )

        self.write_seconds = self._histogram(
            "relay_order_write_duration_seconds",
            "Time from an order's arrival to its Session's being written.",
        )

        self._authorizations = self._counter(
            "relay_authorization",
            "Orders for access by router; success: it was on the router in time, else failure.",
            ("router_id", "status"),
        )

        self._authorization_seconds = self._histogram(
            "relay_authorization_duration_seconds",
            "Time from an order's arrival to its answer, or to the outcome of its event.",
            ("router_id", "status"),
        )

        self._job_seconds = self._histogram(
            "relay_job_duration_seconds",
            "Duration of recurring work: prune, adopt and poll.",
            ("job_name", "status"),
            _JOB_SECONDS,
        )

        self._store_seconds = self._histogram(
            "relay_redis_operation_duration_seconds",
            "Time that callers waited for Redis: to run a script, to read, to write. Nothing with SQLite.",
            ("operation", "status"),
            _STORE_SECONDS,
        )

        self._store_up = self._gauge(
            "relay_store_up",
            "1 if the store could be read for this page; else what it would say is missing.",
        )

        # The children of both, which prometheus_client takes long to find; by
        # method, route and status, of which there are few.
        self._by_request: dict[_Request, tuple[Labelled, Histogram]] = {}

        # The same by router, and whether it was done.
        self._by_router: dict[_Authorized, tuple[Labelled, Histogram]] = {}

    def request(
        self, method: str, route: str, status: int, seconds: float
    ) -> None:
        """Count a request, and how long it took. The texts are bounded: see
        the head of this file.
        """
        key: _Request = (method, route, status)
        children = self._by_request.get(key)

        if children is None:
            labels = (method, route, str(status))
            children = self._by_request[key] = (
                self.requests.labels(*labels),
                self.request_seconds.labels(*labels),
            )

        count, time = children
        count.inc()
        time.observe(seconds)

    def action(
        self, name: str, ok: bool, milliseconds: float, router_id: str | None
    ) -> None:
        """Count an action.

        `milliseconds` is from its arrival to its answer; `router_id` is that
        of a Device, None if none has it.
        """
        self._old.action(name, ok, round(milliseconds), router_id)

    def authorized(
        self, router_id: str | None, ok: bool, seconds: float
    ) -> None:
        """Count an order for access; `router_id` is that of a Device, None if
        none has it, and then nothing is counted.
        """
        if router_id is None:
            return

        key: _Authorized = (router_id, ok)
        children = self._by_router.get(key)

        if children is None:
            labels = (router_id, "success" if ok else "failure")
            children = self._by_router[key] = (
                self._authorizations.labels(*labels),
                self._authorization_seconds.labels(*labels),
            )

        count, time = children
        count.inc()
        time.observe(seconds)

    def count(self, key: str) -> None:
        """Count under a key of the old relay's, such as `consumer.ack_sent`.

        Raises KeyError for a key that `old_counters.MEANINGS` lacks.
        """
        self._old.count(key)

    def identity_error(self, code: str, *, is_down: bool) -> None:
        """Count an error of an identity refresh by our code; `is_down`: the
        router failed several times in a row.
        """
        self._old.identity_error(code, is_down=is_down)

    @contextmanager
    def job(self, name: str) -> Iterator[None]:
        """Measure a piece of recurring work, which fails by raising."""
        began = monotonic()
        status = "failure"

        try:
            yield
            status = "success"
        finally:
            self._job_seconds.labels(name, status).observe(monotonic() - began)

    def store_called(self, operation: str, seconds: float, ok: bool) -> None:
        """Count a call to Redis."""
        status = "success" if ok else "failure"
        self._store_seconds.labels(operation, status).observe(seconds)

    def watch(self, objects: WatchedObjects) -> None:
        """Show Sessions and Devices at each scrape, and forget routers whose
        Devices are no more.
        """
        self.registry.register(objects)
        objects.on_router_gone(self._forget_router)

    def text(self, store: StoreFigures | None) -> str:
        """Return what this bridge counts, as Prometheus text.

        `store` is None if the store cannot be read: then its gauges are
        missing, and `relay_store_up` is 0.
        """
        self._store_up.set(0 if store is None else 1)
        labelled = text_of(self.registry.collect(), SERVICE)

        return labelled + self._old_text(store)

    async def page(self, store: StoreFigures | None) -> str:
        """Return `text`, and what every process counts, without holding the
        event loop.
        """
        self._store_up.set(0 if store is None else 1)
        labelled = await exposition(self.registry, REGISTRY, labels=SERVICE)

        return labelled + self._old_text(store)

    def _old_text(self, store: StoreFigures | None) -> str:
        """Return the lines without labels, as the old relay wrote them."""
        lines = list(self._old.lines())

        if store is not None:
            values = _store_values(store)
            lines += [f"{name} {value}" for name, value in values.items()]

        return "\n".join(lines) + "\n"

    def _forget_router(self, router_id: str) -> None:
        """Forget what bears the name of a router whose Device is no more."""
        self._old.forget(router_id)

        for ok in (True, False):
            self._by_router.pop((router_id, ok), None)

        for metric in (self._authorizations, self._authorization_seconds):
            metric.remove_by_labels({"router_id": router_id})
