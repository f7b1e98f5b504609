"""The agent's metrics of each router: those of the old relay that tell of
routers, under their old names, and how long orders took.

What bears a router's name goes with its Device.
"""

from __future__ import annotations

from datetime import datetime

from prometheus_client import Counter, Histogram

from cerebro.domain.lifecycle import cause_of
from cerebro.kube.cache.store import Store
from cerebro.kube.objects import Change
from cerebro.resources import DEVICE, Device, Session, SessionStatus
from cerebro.routeros.client.command import Observe

SERVICE = "relay-cerebro"
"""The label `service` that the old relay's metrics bear."""

_COMMANDS = frozenset(
    {
        *(
            f"/ip/hotspot/{menu}/{verb}"
            for menu in ("ip-binding", "host", "active", "cookie")
            for verb in ("print", "add", "set", "remove")
        ),
        *(
            f"/ip/firewall/{menu}/{verb}"
            for menu in ("address-list", "connection")
            for verb in ("print", "add", "set", "remove")
        ),
        "/ip/arp/print",
        "/ping",
        "/system/clock/print",
        "/system/identity/print",
        "/system/resource/print",
    }
)
"""The commands that have a line of their own; the rest is `other`."""

_MIKROTIK_COMMAND = Histogram(
    "relay_mikrotik_command_duration_seconds",
    "Duration of commands on a router; a word that is rare is other.",
    ["service", "router_id", "command", "status"],
    buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10),
)
_SESSIONS_CLEANED = Counter(
    "relay_sessions_cleaned",
    "Sessions that ended by the clock, and of which the router has nothing any more.",
    ["service", "router_id", "result"],
)
_ORDER_SECONDS = Histogram(
    "cerebro_order_seconds",
    "From the backend's asking to the entry on the router (granted), or to the end of an order that never was there.",
    ["router_id", "outcome"],
    buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600),
)


_OUTCOMES = {"Failed": "failed", "Expired": "expired", "Revoked": "revoked"}


class RouterMetrics:
    """Counts what was done on routers, by their routerIDs.

    Callers name the Device. One that the store lacks is not counted.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        store.subscribe(self._changed)

    def observer(self, namespace: str, device: str) -> Observe:
        """Return what counts the commands on the router of a Device."""

        def observe(word: str, seconds: float, ok: bool) -> None:
            router_id = self._router_id(namespace, device)
            if router_id is None:
                return

            command = word if word in _COMMANDS else "other"
            status = "success" if ok else "failure"
            labels = (SERVICE, router_id, command, status)
            _MIKROTIK_COMMAND.labels(*labels).observe(seconds)

        return observe

    def session_reported(
        self, session: Session, status: SessionStatus, now: datetime
    ) -> None:
        """Count what a new status tells: that an order is on its router, or
        will not be there any more, and that what expired is off it.

        `session` has the status before it.
        """
        namespace = session.metadata.namespace
        router_id = self._router_id(namespace, session.spec.device_ref.name)
        if router_id is None:
            return

        is_finished = status.finished and not session.status.finished
        if status.phase == "Expired" and is_finished:
            _SESSIONS_CLEANED.labels(SERVICE, router_id, "success").inc()

        outcome = order_outcome(session, status)
        asked_at = cause_of(session)

        if outcome is not None and asked_at is not None:
            seconds = max(0.0, (now - asked_at).total_seconds())
            _ORDER_SECONDS.labels(router_id, outcome).observe(seconds)

    def _router_id(self, namespace: str, device: str) -> str | None:
        stored = self._store.get(DEVICE, namespace, device)
        model = stored.read(Device) if stored is not None else None

        return model.router_id if model is not None else None

    def _changed(self, change: Change) -> None:
        """Forget the router of a Device that is gone, or that has another
        routerID now.
        """
        if change.kind is not DEVICE or change.old is None:
            return

        former = change.old.read(Device)
        present = change.new.read(Device) if change.new is not None else None
        if former is None:
            return

        router_id = former.router_id
        if present is not None and present.router_id == router_id:
            return

        for device in self._store.models(DEVICE, Device):
            if device.router_id == router_id:
                return

        for metric in (_MIKROTIK_COMMAND, _SESSIONS_CLEANED, _ORDER_SECONDS):
            metric.remove_by_labels({"router_id": router_id})


def order_outcome(session: Session, status: SessionStatus) -> str | None:
    """Return what a new status says of an order that waited for its access:
    `granted`, or how it ended before that; None if it tells nothing new.

    An order that was granted before and moves, or is prolonged, does not wait.
    """
    before = session.status
    if before.phase in (status.phase, "Active"):
        return None

    # One that was opened again waits since it was asked for anew.
    granted_at, asked_at = before.authorized_at, cause_of(session)
    has_had_access = granted_at is not None and (
        asked_at is None or asked_at <= granted_at
    )
    if has_had_access:
        return None

    if status.phase == "Active":
        return "granted"

    return _OUTCOMES.get(status.phase or "")
