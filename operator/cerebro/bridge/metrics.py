"""The bridge's metrics: the old relay's counters under their old names, and
figures with labels beside them.

Labels have routes, Devices and codes only, never a text that a caller made up,
so their number is bounded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client import Counter as Labelled
from prometheus_client.core import GaugeMetricFamily

from cerebro.domain.lifecycle import is_ours, recorded_end
from cerebro.resources import Device, Session

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
_Request = tuple[str, str, int]
"""Method, route and status."""
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]+")
_CIRCUIT_STATES = {"Closed": 0, "HalfOpen": 1, "Open": 2}


class Metrics:
    """Counters and histograms of one bridge; `text` renders them all."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        self.requests = Labelled(
            "relay_http_requests",
            "Requests by route and status",
            ("method", "route", "status_code"),
            registry=self.registry,
        )

        self.request_seconds = Histogram(
            "relay_http_request_duration_seconds",
            "Time from a request's arrival to its answer",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self.registry,
        )

        self.write_seconds = Histogram(
            "relay_order_write_duration_seconds",
            "Time from an order's arrival to its Session's being written",
            buckets=_SECONDS,
            registry=self.registry,
        )

        self.trials_shortened = Labelled(
            "relay_trials_shortened",
            "Trials that asked for more than 120 minutes",
            registry=self.registry,
        )

        self.order_checks = Labelled(
            "relay_order_checks",
            "Orders that the database was asked about: paid, not_paid, unknown, away, failed",
            ("result",),
            registry=self.registry,
        )

        self.acks_waiting = Gauge(
            "relay_acks_waiting",
            "ACKs that the backend has not taken; only the bridge that sends them knows",
            registry=self.registry,
        )

        self.events_open = Gauge(
            "relay_events_open",
            "Events of the backend without a final outcome; only the bridge that follows them knows",
            registry=self.registry,
        )

        self.records_waiting = Gauge(
            "relay_records_waiting",
            "Records of access that are not written; only the bridge that writes them knows",
            registry=self.registry,
        )

        self.audit_dropped = Gauge(
            "relay_audit_lines_dropped",
            "Audit lines that found no room while none could be written",
            registry=self.registry,
        )

        self.records_written = Labelled(
            "relay_records_written",
            "Records of access that were written",
            registry=self.registry,
        )

        self._old_counters: Counter[str] = Counter()

        # The children of both, which prometheus_client takes long to find; by
        # method, route and status, of which there are few.
        self._by_request: dict[_Request, tuple[Labelled, Histogram]] = {}

    def request(
        self, method: str, route: str, status: int, seconds: float
    ) -> None:
        """Count a request, and how long it took. The texts are bounded: see
        the head of this file.
        """
        key: _Request = (method, route, status)
        children = self._by_request.get(key)

        if children is None:
            children = self._by_request[key] = (
                self.requests.labels(method, route, str(status)),
                self.request_seconds.labels(method, route),
            )

        count, time = children
        count.inc()
        time.observe(seconds)

    def action(
        self, name: str, ok: bool, milliseconds: float, router: str | None
    ) -> None:
        """Count an action as the old relay did.

        `milliseconds` is from its arrival to its answer; `router` is the
        routerID of a Device, None if none has it.
        """

        counters = self._old_counters
        result = "success" if ok else "fail"
        latency = round(milliseconds)

        for key in ("action", f"action.{name}"):
            counters[f"{key}.attempt"] += 1
            counters[f"{key}.{result}"] += 1
            counters[f"{key}.latency_ms_total"] += latency

        counters["audit.attempt"] += 1
        counters[f"audit.{result}"] += 1

        if router is not None:
            counters[f"router.{router}.action.attempt"] += 1
            counters[f"router.{router}.action.{result}"] += 1
            counters[f"router.{router}.latency_ms_total"] += latency

    def count(self, key: str) -> None:
        """Count what the old relay counted of its backend under this key, such
        as `consumer.ack_sent`.
        """
        self._old_counters[key] += 1

    def watch(
        self,
        sessions: Callable[[], Iterable[Session]],
        devices: Callable[[], Iterable[Device]],
    ) -> None:
        """Count Sessions and Devices at each scrape."""
        self.registry.register(_WatchedObjects(sessions, devices))

    def text(self, backlog: int, oldest: int) -> str:
        """Return everything as Prometheus text.

        `backlog` is how many entries the inbox has, `oldest` when its oldest
        entry came (ms since 1970, 0 if empty).
        """
        lines = [
            f"{_old_name(key)} {value}"
            for key, value in sorted(self._old_counters.items())
        ]

        jobs = {
            "total": backlog,
            "due": backlog,
            "pending": backlog,
            "oldest_run_at": oldest,
        }

        lines += [f"relay_jobs_{name} {value}" for name, value in jobs.items()]

        return (
            generate_latest(self.registry).decode() + "\n".join(lines) + "\n"
        )


class _WatchedObjects:
    """Counts the objects that the watch shows, at the moment of a scrape."""

    def __init__(
        self,
        sessions: Callable[[], Iterable[Session]],
        devices: Callable[[], Iterable[Device]],
    ) -> None:
        self._sessions = sessions
        self._devices = devices

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the families, for prometheus_client."""
        active: Counter[str] = Counter()
        endless = 0

        for session in self._sessions():
            if session.status.phase == "Active":
                active[session.spec.device_ref.name] += 1

            if _is_endless(session):
                endless += 1

        active_sessions = GaugeMetricFamily(
            "relay_active_sessions", "Active Sessions", labels=("router_id",)
        )

        circuits = GaugeMetricFamily(
            "relay_circuit_breaker_state",
            "0 closed, 1 half open, 2 open",
            labels=("router_id",),
        )

        for device in self._devices():
            active_sessions.add_metric((device.name,), active[device.name])
            circuit = device.status.circuit

            state = (
                circuit.state if circuit is not None else None
            ) or "Closed"

            circuits.add_metric((device.name,), _CIRCUIT_STATES.get(state, 0))

        yield active_sessions
        yield circuits

        yield GaugeMetricFamily(
            "relay_sessions_without_end",
            "Sessions of the bridge that only a revoke ends",
            value=endless,
        )


def _is_endless(session: Session) -> bool:
    """Return whether only a revoke ends a Session of the bridge."""
    if not is_ours(session) or session.spec.revoked:
        return False

    return session.spec.duration is None and recorded_end(session) is None


def _old_name(key: str) -> str:
    """Return a counter's key as the old relay wrote it: `relay_`, and one
    underscore for what no name can have.
    """
    replaced = _NOT_IN_NAMES.sub("_", key)

    return "relay_" + re.sub("_+", "_", replaced)
