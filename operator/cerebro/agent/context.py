"""What the loops of an agent share: the store, who may act, the clock, and where statuses go."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from cerebro.agent.metrics import AgentMetrics
from cerebro.domain.conditions import ConditionState, truncate_message, wire_states
from cerebro.domain.lifecycle import GrantWindows, is_finished
from cerebro.domain.supersession import effective, newest
from cerebro.kube.cache.store import Index, Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.events import Recorder
from cerebro.kube.lease import Lease
from cerebro.kube.objects import StoredObject
from cerebro.kube.status_writer import StatusWriter, Write
from cerebro.resources import Device, Session, reasons

log = logging.getLogger(__name__)
FIELD_MANAGER = "cerebro-agent"


class Tunnels(Protocol):
    """What the loops know of the Hubs of this agent, and of the tunnels behind them."""

    def owns(self, namespace: str, hub: str) -> bool:
        """Return whether this agent owns a Hub now (rule E4)."""
        ...

    def carries(self, namespace: str, hub: str) -> bool:
        """Return whether an interface of this node is a Hub's, by what its loop did."""
        ...

    def tunnel_up(self, device: Device) -> ConditionState:
        """Return condition TunnelUp of a Device behind a Hub."""
        ...

    def wake_devices(self, namespace: str, hub: str) -> None:
        """Wake the loops of the Devices whose tunnel came, went or moved since the last call (rule B5)."""
        ...


@dataclass
class AgentContext:
    """One for an agent; `direct` is the Lease for Devices without a Hub (rule E1)."""

    api: KubeApi
    store: Store
    statuses: StatusWriter
    recorder: Recorder
    direct: Lease
    by_device: Index
    superseding: Index
    peers_by_hub: Index
    windows: GrantWindows
    tunnels: Tunnels
    installation: str = "main"
    clock_skew_limit: float = 60.0
    heartbeat: float = 30.0
    stopping: bool = False  # loops finish the pass that they are in and end (rule E14)
    metrics: AgentMetrics = field(default_factory=AgentMetrics)
    heartbeats: dict[str, float] = field(default_factory=dict)

    def sessions_of(self, namespace: str, device: str) -> list[Session]:
        """Return the unfinished Sessions of a Device as they count (rule A10)."""
        return [
            effective(session, superseder.read(Session) if superseder else None)
            for session, superseder in self._unfinished(namespace, device)
            if superseder is None or superseder.model is not None
        ]

    def frozen_sessions_of(self, namespace: str, device: str) -> list[dict[str, Any]]:
        """Return the Sessions of a Device that our model cannot read, and those in whose place such a one
        stands, as they are (rule B9).
        """
        unread = [one.raw for one in self.by_device.get(namespace, device) if one.model is None and one.raw]
        return unread + [
            session.wire()
            for session, superseder in self._unfinished(namespace, device)
            if superseder is not None and superseder.model is None
        ]

    def _unfinished(self, namespace: str, device: str) -> Iterator[tuple[Session, StoredObject | None]]:
        """Give the readable Sessions of a Device, each with the one that stands in its place (rule A10)."""
        for stored in self.by_device.get(namespace, device):
            session = stored.read(Session)
            if (
                session is not None
                and not is_finished(session)
                and session.metadata.deletion_timestamp is None
            ):
                yield session, newest(self.superseding.get(session.namespace, session.name))

    def is_direct(self, device: Device) -> bool:
        """Tell whether a Device is reached without a Hub."""
        return device.spec.hub_ref is None

    def may_look(self, device: Device) -> bool:
        """Tell whether this agent may connect to a router: it holds the Lease, or did and nobody else took it
        (rule E1).
        """
        if not self.is_direct(device):
            return self._owns_hub_of(device)
        return self.direct.held() or self.direct.ours_until_taken()

    def may_write(self, device: Device) -> bool:
        """Tell whether this agent is the one writer of a router now."""
        return self.direct.held() if self.is_direct(device) else self._owns_hub_of(device)

    def still_acts(self, device: Device, *, leased: bool) -> bool:
        """Tell whether this agent may do what was planned when `may_write` gave `leased` (rule E1)."""
        return self.may_look(device) and self.may_write(device) is leased

    def _owns_hub_of(self, device: Device) -> bool:
        hub = device.spec.hub_ref
        return hub is not None and self.tunnels.owns(device.namespace, hub.name)

    def clock_trusted(self) -> bool:
        """Tell whether our clock is near enough to the API server's to grant and to end by it (rule A9)."""
        skew = self.api.clock_skew
        return skew is None or abs(skew) <= self.clock_skew_limit

    def report_invalid(self, stored: StoredObject) -> None:
        """Say on an object that our model cannot read that it is frozen (rule B9)."""
        raw = stored.raw or {}
        message = f"{stored.error}: correct the field; until then nothing of it is changed or removed"
        state = truncate_message(ConditionState("Unknown", reasons.INVALID_OBJECT, message))
        status = raw.get("status") or {}
        old: dict[str, Any] = next(
            (c for c in status.get("conditions") or [] if c.get("type") == "Ready"), {}
        )
        if old.get("reason") == state.reason and old.get("message") == state.message:
            return
        generation = raw["metadata"].get("generation", 0)
        others = [c for c in status.get("conditions") or [] if c.get("type") != "Ready"]
        conditions = [*others, *wire_states([], {"Ready": state}, generation, self.now())]
        log.warning(
            "%s %s/%s cannot be read: %s", stored.kind.kind, stored.namespace, stored.name, stored.error
        )
        self.statuses.put(
            Write(stored.kind, stored.namespace, stored.name, stored.uid, {"conditions": conditions})
        )

    def report_contested(self, device: Device, clients: int) -> None:
        """Say that somebody keeps changing the rows of that many more clients of a router (rule B10)."""
        if clients <= 0:
            return
        self.metrics.found_contested(clients)
        message = "somebody else keeps changing clients' rows on the router: an older relay that still runs, a script?"
        self.recorder.post(device, "Warning", "Contested", message, action="Compare")

    def now(self) -> datetime:
        """Return the wall clock's time."""
        return datetime.now(UTC)

    def turned(self, loop: str) -> None:
        """Note that a loop went round (rule E11)."""
        self.heartbeats[loop] = time.monotonic()

    def ended(self, loop: str) -> None:
        """Note that a loop is no more."""
        self.heartbeats.pop(loop, None)

    def stuck(self, limit: float) -> str | None:
        """Name a loop that has not gone round for `limit` seconds."""
        now = time.monotonic()
        return next(
            (
                f"{name} has not turned for {now - at:.0f} s"
                for name, at in self.heartbeats.items()
                if now - at > limit
            ),
            None,
        )
