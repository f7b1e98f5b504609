"""What the loops of an agent share: the store, who may act, the clock, and
where statuses go.

It belongs to no loop: what one Hub or Device needs alone is in the loop of
that object.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from cerebro.agent import dry_run
from cerebro.agent.metrics import AgentMetrics
from cerebro.agent.router_metrics import RouterMetrics
from cerebro.agent.session_changes import SessionChanges
from cerebro.domain.conditions import (
    ConditionState,
    judgement,
    truncate_message,
)
from cerebro.domain.lifecycle import GrantWindows, is_finished
from cerebro.domain.supersession import effective, newest
from cerebro.kube.cache.store import Index, Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.event_reasons import CONTESTED
from cerebro.kube.events import Recorder
from cerebro.kube.lease import Lease
from cerebro.kube.objects import StoredObject
from cerebro.kube.status_writer import StatusWriter, Write
from cerebro.resources import Device, Session, reasons
from cerebro.resources.conditions import ABNORMAL_TRUE, STALLED
from cerebro.runtime.clock import monotonic
from cerebro.runtime.times import Monotonic

log = logging.getLogger(__name__)

FIELD_MANAGER = "cerebro-agent"
"""Who owns the fields of a status that the agent applies."""


class Tunnels(Protocol):
    """What the loops know of the Hubs of this agent, and of the tunnels behind
    them.
    """

    def owns(self, namespace: str, hub: str) -> bool:
        """Return whether this agent owns a Hub now (rule E4)."""
        ...

    def serves(self, namespace: str, hub: str) -> bool:
        """Return whether this agent owns a Hub now and has looked at its
        tunnels: before that, nothing can be told of any router behind it.
        """
        ...

    def carries(self, namespace: str, hub: str) -> bool:
        """Return whether an interface of this node is a Hub's, by what its
        loop did.
        """
        ...

    def interface_to(self, device: Device) -> str | None:
        """Return the interface of this node that leads into a Device's tunnel;
        None if none does.
        """
        ...

    def tunnel_up(self, device: Device) -> ConditionState:
        """Return condition TunnelUp of a Device behind a Hub."""
        ...

    def wake_devices(self, namespace: str, hub: str) -> None:
        """Wake the loops of the Devices whose tunnel came, went or moved since
        the last call (rule B5).
        """
        ...


@dataclass
class AgentContext:
    """What the loops of one agent share; made once, by the process."""

    api: KubeApi
    store: Store
    statuses: StatusWriter
    recorder: Recorder
    direct: Lease
    """The Lease for Devices without a Hub (rule E1)."""
    by_device: Index
    """Sessions by the name of their Device."""
    superseding: Index
    """Sessions by the name of the Session in whose place they stand."""
    peers_by_hub: Index
    """Peers by the name of their Hub."""
    windows: GrantWindows
    tunnels: Tunnels
    installation: str = "main"
    clock_skew_limit: float = 60.0
    """Seconds, see `clock_trusted`."""
    dry_run: bool = False
    """Whether all Devices are in dry run, whatever their spec says (rule F6).
    """
    heartbeat: float = 30.0
    """Seconds after which a loop turns even if nothing is due."""
    stopping: bool = False
    """Whether the loops are to finish the pass that they are in, and end (rule
    E14).
    """
    metrics: AgentMetrics = field(default_factory=AgentMetrics)
    router_metrics: RouterMetrics = field(init=False)
    """Counts what is done on each router."""
    heartbeats: dict[str, Monotonic] = field(default_factory=dict)
    """When each loop turned last, by its name."""
    session_changes: SessionChanges = field(init=False)
    """Tells the loop of a Device which of its Sessions changed."""

    def __post_init__(self) -> None:
        self.session_changes = SessionChanges(self.store)
        self.router_metrics = RouterMetrics(self.store)

    # --- Devices

    def device(self, stored: StoredObject) -> Device | None:
        """Return a Device as its loops go by it; None if it cannot be read."""
        device = stored.read(Device)
        if device is None:
            return None

        return dry_run.as_it_counts(device, everything=self.dry_run)

    # --- Sessions

    def as_it_counts(self, stored: StoredObject) -> Session | None:
        """Return an unfinished Session with what stands in its place (rule
        A10); None if it does not count.

        Nothing is decided about a Session that our model cannot read, or in
        whose place such an object stands: see `frozen_body`.
        """
        session = self._unfinished(stored)
        if session is None:
            return None

        superseder = self._superseder(session)
        if superseder is None:
            return session

        if superseder.model is None:
            return None

        return effective(session, superseder.read(Session))

    def frozen_body(self, stored: StoredObject) -> dict[str, Any] | None:
        """Return a Session about which nothing is decided, in the form of the
        API (rule B9); None for every other one.

        It is one that our model cannot read, or one in whose place such an
        object stands.
        """
        if stored.model is None:
            return stored.raw

        session = self._unfinished(stored)
        superseder = self._superseder(session) if session else None
        if session is None or superseder is None:
            return None

        return session.wire() if superseder.model is None else None

    def _unfinished(self, stored: StoredObject) -> Session | None:
        session = stored.read(Session)
        if session is None or is_finished(session):
            return None

        is_going = session.metadata.deletion_timestamp is not None

        return None if is_going else session

    def _superseder(self, session: Session) -> StoredObject | None:
        """Return the object that stands in a Session's place (rule A10); None
        if none does.
        """
        return newest(self.superseding.get(session.namespace, session.name))

    # --- who may act

    def is_direct(self, device: Device) -> bool:
        """Return whether a Device is reached without a Hub."""
        return device.spec.hub_ref is None

    def may_look(self, device: Device) -> bool:
        """Return whether this agent may connect to a router.

        It may while it holds the Lease, and after that until another agent
        took it (rule E1).
        """
        if not self.is_direct(device):
            return self._serves_hub_of(device)

        return self.direct.held() or self.direct.ours_until_taken()

    def may_write(self, device: Device) -> bool:
        """Return whether this agent is the only writer of a router now."""
        if not self.is_direct(device):
            return self._serves_hub_of(device)

        return self.direct.held()

    def still_acts(self, device: Device, *, leased: bool) -> bool:
        """Return whether this agent may do what was planned when `may_write`
        returned `leased` (rule E1).

        A plan that was made without the Lease only ends what has passed; a
        Lease that came meanwhile asks for a new plan.
        """
        return self.may_look(device) and self.may_write(device) is leased

    def _serves_hub_of(self, device: Device) -> bool:
        hub = device.spec.hub_ref
        return hub is not None and self.tunnels.serves(
            device.namespace, hub.name
        )

    # --- clock

    def clock_trusted(self) -> bool:
        """Return whether our clock is near enough to the API server's to grant
        and to end by it (rule A9).
        """
        skew = self.api.clock_skew

        return skew is None or abs(skew) <= self.clock_skew_limit

    def now(self) -> datetime:
        """Return the wall clock's time in UTC."""
        return datetime.now(UTC)

    # --- reports

    def report_invalid(self, stored: StoredObject) -> None:
        """Report on an object that our model cannot read that it is frozen
        (rule B9).

        Writes condition Ready only, beside the conditions that the object has,
        and only if it changed.
        """

        raw = stored.raw or {}
        status = raw.get("status") or {}
        conditions = status.get("conditions") or []
        message = f"{stored.error}: correct the field; until then nothing of it is changed or removed"
        state = truncate_message(
            ConditionState("Unknown", reasons.INVALID_OBJECT, message)
        )

        # Nothing is written that the object has already.
        ready = [
            condition
            for condition in conditions
            if condition.get("type") == "Ready"
        ]

        generation = raw["metadata"].get("generation", 0)
        before = ready[0] if ready else {}
        # Older CRDs do not keep the field at the top.
        judged_of = status.get(
            "observedGeneration", before.get("observedGeneration")
        )
        is_stalled = any(
            condition.get("type") == STALLED
            and condition.get("reason") == state.reason
            for condition in conditions
        )

        if (
            before.get("reason") == state.reason
            and before.get("message") == state.message
            and judged_of == generation
            and is_stalled
        ):
            return

        log.warning(
            "%s %s/%s cannot be read: %s",
            stored.kind.kind,
            stored.namespace,
            stored.name,
            stored.error,
        )

        kept = [
            condition
            for condition in conditions
            if condition.get("type") not in {"Ready", *ABNORMAL_TRUE}
        ]

        kind = stored.kind.kind
        judged = judgement(kind, [], {"Ready": state}, generation, self.now())
        judged["conditions"] = [*kept, *judged["conditions"]]

        self.statuses.put(
            Write(
                stored.kind, stored.namespace, stored.name, stored.uid, judged
            )
        )

    def report_contested(self, device: Device, clients: int) -> None:
        """Report that somebody keeps changing the rows of `clients` more
        clients of a router (rule B10).
        """
        if clients <= 0:
            return

        self.metrics.found_contested(clients)
        self.recorder.post(device, CONTESTED)

    # --- life of the loops (rule E11)

    def turned(self, loop: str) -> None:
        """Note that a loop turned."""
        self.heartbeats[loop] = monotonic()

    def ended(self, loop: str) -> None:
        """Forget a loop that ended."""
        self.heartbeats.pop(loop, None)

    def stuck(self, limit: float) -> str | None:
        """Return which loop has not turned for `limit` seconds, in words; None
        if all turn.
        """
        now = monotonic()
        for name, turned_at in self.heartbeats.items():
            silent = now - turned_at
            if silent > limit:
                return f"{name} has not turned for {silent:.0f} s"

        return None


def may_configure(context: AgentContext, device: Device) -> bool:
    """Return whether this agent may change more of a router than access: its
    users, its configuration. Not in dry run, nor while it is paused (B8).
    """
    if device.spec.dry_run or device.spec.paused != "None":
        return False

    return context.still_acts(device, leased=True)
