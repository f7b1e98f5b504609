"""The bridge's metrics: the old relay's counters under their old names, and figures with labels beside them.

Labels hold routes, Devices and codes only, never what a caller made up, so their number is bounded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client import Counter as Labelled
from prometheus_client.core import GaugeMetricFamily

from cerebro.domain.lifecycle import is_ours, recorded_end
from cerebro.resources import Device, Session

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
_UNUSUAL = re.compile(r"[^A-Za-z0-9_]+")
_CIRCUIT = {"Closed": 0, "HalfOpen": 1, "Open": 2}


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
            "relay_trials_shortened", "Trials that asked for more than 120 minutes", registry=self.registry
        )
        self._old: Counter[str] = Counter()

    def action(self, name: str, ok: bool, milliseconds: float, router: str | None) -> None:
        """Count an action as the old relay did; `router` only where a Device of that name exists."""
        result = "success" if ok else "fail"
        for key in ("action", f"action.{name}"):
            self._old[f"{key}.attempt"] += 1
            self._old[f"{key}.{result}"] += 1
            self._old[f"{key}.latency_ms_total"] += round(milliseconds)
        self._old["audit.attempt"] += 1
        self._old[f"audit.{result}"] += 1
        if router is not None:
            self._old[f"router.{router}.action.attempt"] += 1
            self._old[f"router.{router}.action.{result}"] += 1
            self._old[f"router.{router}.latency_ms_total"] += round(milliseconds)

    def watch(
        self, sessions: Callable[[], Iterable[Session]], devices: Callable[[], Iterable[Device]]
    ) -> None:
        """Render the figures of Sessions and Devices at each scrape."""
        self.registry.register(_Watched(sessions, devices))

    def text(self, backlog: int, oldest: int) -> str:
        """Render everything as Prometheus text; `backlog` and `oldest` (ms) are the inbox's."""
        lines = [f"{_old_name(key)} {value}" for key, value in sorted(self._old.items())]
        jobs = {"total": backlog, "due": backlog, "pending": backlog, "oldest_run_at": oldest}
        lines += [f"relay_jobs_{name} {value}" for name, value in jobs.items()]
        return generate_latest(self.registry).decode() + "\n".join(lines) + "\n"


class _Watched:
    """Figures that are counted from what the watch shows, at the moment of a scrape."""

    def __init__(
        self, sessions: Callable[[], Iterable[Session]], devices: Callable[[], Iterable[Device]]
    ) -> None:
        self._sessions = sessions
        self._devices = devices

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give the families, for prometheus_client."""
        active: Counter[str] = Counter()
        endless = 0
        for session in self._sessions():
            if session.status.phase == "Active":
                active[session.spec.device_ref.name] += 1
            unlimited = session.spec.duration is None and recorded_end(session) is None
            endless += is_ours(session) and not session.spec.revoked and unlimited
        family = GaugeMetricFamily("relay_active_sessions", "Active Sessions", labels=("router_id",))
        circuit = GaugeMetricFamily(
            "relay_circuit_breaker_state", "0 closed, 1 half open, 2 open", labels=("router_id",)
        )
        for device in self._devices():
            family.add_metric((device.name,), active[device.name])
            state = device.status.circuit.state if device.status.circuit else None
            circuit.add_metric((device.name,), _CIRCUIT.get(state or "Closed", 0))
        yield family
        yield circuit
        yield GaugeMetricFamily(
            "relay_sessions_without_end", "Sessions of the bridge that only a revoke ends", value=endless
        )


def _old_name(key: str) -> str:
    """Render a counter's key as the old relay did (contract 8)."""
    return "relay_" + re.sub("_+", "_", _UNUSUAL.sub("_", key))
