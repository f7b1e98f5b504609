"""What the watch shows of Devices and Sessions, counted as they change.

A scrape walks over the Devices, and over the orders that wait; each change of
a Session costs the same, however many Sessions exist.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import get_args

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cerebro.domain.lifecycle import (
    cause_of,
    is_ours,
    recorded_end,
    reopens,
)
from cerebro.kube.cache.store import Store
from cerebro.kube.objects import Change
from cerebro.resources import DEVICE, SESSION, Device, Session
from cerebro.resources.session import SessionPhase

WAITS_LONG = timedelta(seconds=60)
"""How long a paid order waits before it is shown."""
FEW_TRIALS = 3
"""Trials of a client on a Device in a day; a client with more is shown.
"""
UNKNOWN_ROUTER = "unknown"
"""The label of orders whose router has no Device, or names none."""
_MAX_CLIENTS = 50_000
"""Clients whose trials of a day are counted, to bound the memory."""
_NEW = "New"
_PHASES = (_NEW, *get_args(SessionPhase))
_OPEN_STATES = ("Open", "HalfOpen")

WaitingOrders = Callable[[datetime], Iterable[str | None]]
"""Returns the `mikId` of each paid order that came before a time and is not
written yet.
"""


@dataclass(frozen=True, slots=True)
class _Figures:
    """What a Session counts for."""

    phase: str
    """Its phase; New until an agent has looked at it."""

    active: bool
    """Whether its client has access."""

    endless: bool
    """Whether the bridge made it, and only a revoke ends it (A5)."""

    waiting_since: datetime | None
    """Since when a paid order waits for its access; None if none does."""


class WatchedObjects(Collector):
    """Figures of the Devices and unfinished Sessions of one namespace."""

    def __init__(
        self,
        store: Store,
        namespace: str,
        waiting_orders: WaitingOrders = lambda _before: (),
    ) -> None:
        """Count what the store has from now on; it is still empty."""
        self._store = store
        self._namespace = namespace
        self._waiting_orders = waiting_orders

        # By the names of Devices.
        self._active: Counter[str] = Counter()
        self._waiting: dict[str, dict[str, datetime]] = {}
        self._phases: Counter[str] = Counter()
        self._endless = 0
        self._trials = _TrialsOfADay()

        self._router_gone: list[Callable[[str], None]] = []
        store.subscribe(self._changed)

    def on_router_gone(self, callback: Callable[[str], None]) -> None:
        """Call `callback` with each routerID that no Device has any more."""
        self._router_gone.append(callback)

    def describe(self) -> Sequence[Metric]:
        """Return nothing: the metrics are named when they are collected."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield the families, each with a value for every Device."""
        now = datetime.now(UTC)
        devices = self._devices()

        active: Counter[str] = Counter()
        online: Counter[str] = Counter()
        open_circuits: Counter[str] = Counter()
        waiting = self._unwritten(devices, now - WAITS_LONG)
        eager: Counter[str] = Counter()

        # Two Devices may have the same routerID: they are one line.
        for device in devices:
            router_id = device.router_id
            active[router_id] += self._active[device.name]
            online[router_id] |= _is_online(device)
            open_circuits[router_id] |= _is_open(device)
            waiting[router_id] += self._waiting_long(device.name, now)
            eager[router_id] += self._trials.clients(device.name, now.date())

        yield from (
            _by_label("phase", "relay_sessions", SESSIONS, self._by_phase()),
            _by_router("relay_active_sessions", ACTIVE_SESSIONS, active),
            _by_router("relay_router_online", ROUTER_ONLINE, online),
            _by_router(
                "relay_circuit_breaker_state", CIRCUIT_BREAKER, open_circuits
            ),
            _by_router(
                "relay_paid_orders_waiting", PAID_ORDERS_WAITING, waiting
            ),
            _by_router("relay_clients_with_many_trials", MANY_TRIALS, eager),
            GaugeMetricFamily(
                "relay_sessions_without_end",
                SESSIONS_WITHOUT_END,
                value=self._endless,
            ),
        )

    def _by_phase(self) -> Counter[str]:
        """Return how many Sessions are in each phase, 0 for those that none
        is in.
        """
        return Counter({phase: self._phases[phase] for phase in _PHASES})

    def _devices(self) -> list[Device]:
        return list(self._store.models(DEVICE, Device, self._namespace))

    def _unwritten(
        self, devices: Sequence[Device], before: datetime
    ) -> Counter[str]:
        """Return how many paid orders came before a time and are no Session
        yet, by routerID.
        """
        router_ids = {
            device.router_key: device.router_id for device in devices
        }

        return Counter(
            router_ids.get((mik_id or "").casefold(), UNKNOWN_ROUTER)
            for mik_id in self._waiting_orders(before)
        )

    def _waiting_long(self, device: str, now: datetime) -> int:
        """Return how many Sessions of a Device are paid orders that wait for
        longer than WAITS_LONG.
        """
        since = self._waiting.get(device, {}).values()
        return sum(now - moment > WAITS_LONG for moment in since)

    def _changed(self, change: Change) -> None:
        """Count a change of the store; it must cost next to nothing."""
        if change.namespace != self._namespace:
            return

        if change.kind is SESSION:
            old = change.old.read(Session) if change.old else None
            new = change.new.read(Session) if change.new else None
            self._session_changed(old, new)
        elif change.kind is DEVICE:
            former = change.old.read(Device) if change.old else None
            present = change.new.read(Device) if change.new else None
            self._device_changed(former, present)

    def _session_changed(
        self, old: Session | None, new: Session | None
    ) -> None:
        if old is not None:
            self._add(old, -1)

        if new is not None:
            self._add(new, 1)

        if old is None and new is not None and new.spec.type == "Trial":
            self._trials.add(new)

    def _add(self, session: Session, sign: int) -> None:
        """Count a Session as it is now, or with -1 as it was no more."""
        figures = _figures(session)
        device = session.spec.device_ref.name
        self._phases[figures.phase] += sign
        self._endless += sign * figures.endless

        if figures.active:
            self._active[device] += sign
            if not self._active[device]:
                del self._active[device]

        if figures.waiting_since is None:
            return

        if sign > 0:
            waiting = self._waiting.setdefault(device, {})
            waiting[session.name] = figures.waiting_since
            return

        waiting = self._waiting.get(device, {})
        waiting.pop(session.name, None)
        if not waiting:
            self._waiting.pop(device, None)

    def _device_changed(
        self, former: Device | None, present: Device | None
    ) -> None:
        """Say that a routerID is no more, if no Device has it."""
        if former is None:
            return

        router_id = former.router_id
        is_kept = present is not None and present.router_id == router_id
        if is_kept or any(
            device.router_id == router_id for device in self._devices()
        ):
            return

        for callback in self._router_gone:
            callback(router_id)


class _TrialsOfADay:
    """Trials by Device and client, of the present day in UTC."""

    def __init__(self) -> None:
        self._day = date.min
        self._counts: Counter[tuple[str, str]] = Counter()
        self._eager: Counter[str] = Counter()

    def add(self, session: Session) -> None:
        """Count a Session that came to be seen; one of an earlier day counts
        no more.
        """
        created = session.metadata.creation_timestamp
        if created is None or created.date() < self._day:
            return

        self._turn(created.date())
        device = session.spec.device_ref.name
        client = session.spec.client
        key = (device, client.mac_address or client.ip_address or "")

        if key not in self._counts and len(self._counts) >= _MAX_CLIENTS:
            return

        self._counts[key] += 1
        if self._counts[key] == FEW_TRIALS + 1:
            self._eager[device] += 1

    def clients(self, device: str, today: date) -> int:
        """Return how many clients had more than FEW_TRIALS on a Device."""
        return self._eager[device] if self._day == today else 0

    def _turn(self, day: date) -> None:
        if day > self._day:
            self._day = day
            self._counts.clear()
            self._eager.clear()


SESSIONS = (
    "Unfinished Sessions by phase; New until an agent has looked at them."
)
ROUTER_ONLINE = (
    "1 if the router answered and took the login when it was last spoken to."
)
ACTIVE_SESSIONS = "Sessions whose clients have access, by router."
CIRCUIT_BREAKER = "1 while the router is left alone as it failed several times, or is tried once after that; else 0."
PAID_ORDERS_WAITING = (
    "Paid orders that wait for their access for over 60 s, by router, and unknown where it has no Device; "
    "orders that wait for a hello are relay_jobs_pending."
)
MANY_TRIALS = (
    "Clients that had more than three trials on the router today (UTC)."
)
SESSIONS_WITHOUT_END = "Sessions of the bridge that only a revoke ends."


def _by_router(
    name: str, text: str, values: Counter[str]
) -> GaugeMetricFamily:
    return _by_label("router_id", name, text, values)


def _by_label(
    label: str, name: str, text: str, values: Counter[str]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=(label,))
    for label_value, value in sorted(values.items()):
        family.add_metric((label_value,), value)

    return family


def _is_online(device: Device) -> bool:
    """Return whether the agent could use the router's API at its last try."""
    conditions = (
        device.status.condition(name)
        for name in ("Reachable", "Authenticated")
    )
    return all(each and each.status == "True" for each in conditions)


def _is_open(device: Device) -> bool:
    """Return whether the breaker of a Device is not closed."""
    circuit = device.status.circuit
    return circuit is not None and circuit.state in _OPEN_STATES


def _figures(session: Session) -> _Figures:
    """Return what a Session counts for.

    It follows from the object alone, so that what was added can be taken away
    again.
    """
    return _Figures(
        phase=session.status.phase or _NEW,
        active=session.status.phase == "Active",
        endless=_is_endless(session),
        waiting_since=_waiting_since(session),
    )


def _is_endless(session: Session) -> bool:
    """Return whether only a revoke ends a Session of the bridge."""
    if not is_ours(session) or session.spec.revoked:
        return False

    return session.spec.duration is None and recorded_end(session) is None


def _waiting_since(session: Session) -> datetime | None:
    """Return since when a paid order waits for its access; None if it has
    access, or gets none.
    """
    if session.spec.type != "Paid" or session.spec.revoked:
        return None

    # One that ended waits again once it was opened again (A1).
    waits = session.status.phase in (None, "Pending") or reopens(session)

    return cause_of(session) if waits else None
