"""Writes what `plan` decides for Devices: Peers, addresses in statuses, and
what stands in the way.

Also the trouble of a Device whose routerID an older Device has is written
here. One step takes the next Devices that changed, in their order. An address
is promised before the first write, so no address is given twice. The Peer is
written before the status: an operator that ends in between finds the address
in the Peer when it starts again.

Nothing is decided here.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping

from cerebro.domain.conditions import (
    ConditionState,
    ConditionStatus,
    make_condition,
)
from cerebro.domain.ready_owner import operator_says, says_lost
from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.batch import each
from cerebro.kube.client.errors import (
    AlreadyExists,
    Conflict,
    Invalid,
    NotFound,
)
from cerebro.kube.client.server_clock import server_now
from cerebro.kube.event_reasons import of_condition
from cerebro.kube.events import Recorder
from cerebro.kube.objects import Change, Name
from cerebro.operator import metrics
from cerebro.operator.tunnels.index import TunnelIndex
from cerebro.operator.tunnels.plan import Plan, Planner
from cerebro.operator.tunnels.router_ids import RouterIDs
from cerebro.operator.tunnels.trouble import Trouble
from cerebro.resources import DEVICE, PEER, Device, reasons, set_condition
from cerebro.resources.reasons import DUPLICATE_ROUTER_ID, TROUBLES

log = logging.getLogger(__name__)

FIELD_MANAGER = "cerebro-operator-tunnel"
"""Manager of the address and the Peer's name in a Device's status."""

CONDITION_MANAGER = "cerebro-operator-tunnel-ready"
"""Manager of Ready. Each concern has its own: an apply drops what its manager
wrote before and leaves out now.
"""

BATCH = 500
"""Devices in one step."""

_CHECK_WAITING = 60.0
"""Seconds after which Devices that wait for something are looked at without an
occasion.
"""

_RETRY = 1.0
"""Seconds until a plan is made again for a Device that changed while its plan
was written.
"""


class DevicePeers:
    """Gives Devices their addresses and Peers, step by step.

    It keeps the index of addresses, and the trouble that each Device was last
    found to have.
    """

    def __init__(self, api: KubeApi, store: Store, events: Recorder) -> None:
        self._api = api
        self._store = store
        self._events = events
        self._index = TunnelIndex(store)
        self._planner = Planner(store, self._index)
        self._router_ids = RouterIDs(store)
        self._troubles: dict[Name, Trouble] = {}
        self._waiting_marked_at = 0.0
        """Monotonic seconds."""

    def changed(self, change: Change) -> bool:
        """Take a change of the store; return whether a step is due."""
        self._index.changed(change)
        self._index.mark(self._router_ids.concerned(change))

        return self._index.any_marked()

    def begin(self) -> None:
        """Mark every Device: another operator may have written until now."""
        self._index.mark_all()

    async def step(self) -> float:
        """Write what the next marked Devices get; return the seconds until the
        next step. Raises KubeError.
        """

        now = time.monotonic()
        if now - self._waiting_marked_at >= _CHECK_WAITING:
            self._waiting_marked_at = now
            self._index.mark_waiting()

        names = self._index.take(BATCH)
        undone = set(names)
        outdated: set[Name] = set()

        async def write(planned: tuple[Device, Plan]) -> bool:
            device, plan = planned
            name = (device.namespace, device.name)
            if not await self._write(device, plan):
                outdated.add(name)

            undone.discard(name)

            return True

        # All plans are made before the first write: each promises its address
        # to its Device.
        try:
            plans: list[tuple[Device, Plan]] = []
            for name in names:
                planned = self._plan(name)
                if planned is None:
                    undone.discard(name)
                else:
                    plans.append(planned)

            await each(plans, write)
        finally:
            self._index.mark(undone | outdated)
            self._count()

        if outdated:
            return _RETRY

        return 0.0 if self._index.any_marked() else _CHECK_WAITING

    def _plan(self, name: Name) -> tuple[Device, Plan] | None:
        """Return the plan for a Device; None if it is gone, or cannot be read
        (rule B9).
        """

        stored = self._store.get(DEVICE, *name)
        if stored is None:
            self._troubles.pop(name, None)
            self._index.forget(name)

            return None

        device = stored.read(Device)
        if device is None:
            return None

        plan = self._planner.plan(device)
        self._index.waits(device, plan.trouble is not None)

        if plan.allocated is not None:
            self._index.promise(device, plan.allocated)

        # A Device that has its tunnel may still share its routerID.
        plan.trouble = plan.trouble or self._router_ids.trouble(device)

        return device, plan

    async def _write(self, device: Device, plan: Plan) -> bool:
        """Write one plan; return False if something changed meanwhile and the
        plan must be made again.
        """
        try:
            await self._write_peers(device, plan)

            if plan.status is not None:
                await self._apply(device, plan.status, FIELD_MANAGER)

            await self._report(device, plan.trouble)
        except (Conflict, AlreadyExists, NotFound):
            return False
        except Invalid:
            # A new try at once would be refused too, so the Device is one of
            # those that wait.
            self._index.waits(device, True)
            log.exception(
                "Device %s/%s: its Peer or status is refused",
                device.namespace,
                device.name,
            )

        return True

    async def _write_peers(self, device: Device, plan: Plan) -> None:
        for peer in plan.delete:
            await self._api.delete(
                PEER,
                peer.namespace,
                peer.name,
                uid=peer.metadata.uid,
                resource_version=peer.metadata.resource_version,
            )

            log.info(
                "deleted Peer %s/%s of Device %s",
                peer.namespace,
                peer.name,
                device.name,
            )

        if plan.create is not None:
            created = await self._api.create(
                PEER, device.namespace, plan.create
            )

            self._store.deliver(PEER, "MODIFIED", created)

        if plan.change is not None:
            peer, patch = plan.change
            changed = await self._api.patch(
                PEER,
                peer.namespace,
                peer.name,
                patch,
                resource_version=peer.metadata.resource_version,
            )

            self._store.deliver(PEER, "MODIFIED", changed)

    async def _report(self, device: Device, trouble: Trouble | None) -> None:
        """Write into Ready what stands in the way of a Device, or withdraw it
        (None).

        An agent leaves Ready alone once it sees that, so no two writers fight
        over it. If the agent of the Device is lost, Ready says so and stays.
        """

        name = (device.namespace, device.name)
        if trouble is None:
            self._troubles.pop(name, None)

            if operator_says(device):
                await self._withdraw_ready(device)

            return

        if self._troubles.get(name) != trouble:
            self._post_event(device, trouble)

        self._troubles[name] = trouble

        if not says_lost(device) and not _ready_shows(device, trouble):
            await self._write_ready(device, "False", trouble)

    def _post_event(self, device: Device, trouble: Trouble) -> None:
        action = (
            "Identify" if trouble.reason == DUPLICATE_ROUTER_ID else "Allocate"
        )

        told = of_condition(trouble.reason, DEVICE.kind, action)
        self._events.post(device, told, message=trouble.message)

    async def _withdraw_ready(self, device: Device) -> None:
        """Remove Ready, or set it to Unknown until the agent writes it.

        If an agent has a part in the condition, the API server refuses what
        would be left of it.
        """
        try:
            await self._apply(device, {"conditions": []}, CONDITION_MANAGER)
        except Invalid:
            nothing = Trouble(
                reasons.NOT_LOOKED_YET, "nothing stands in the way any more"
            )

            await self._write_ready(device, "Unknown", nothing)

    async def _write_ready(
        self, device: Device, status: ConditionStatus, trouble: Trouble
    ) -> None:
        state = ConditionState(status, trouble.reason, trouble.message)
        ready = make_condition(
            "Ready", state, device.metadata.generation, limit=None
        )

        conditions = set_condition(
            device.status.conditions, ready, server_now(self._api)
        )

        applied = [
            condition.wire()
            for condition in conditions
            if condition.type == "Ready"
        ]

        await self._apply(device, {"conditions": applied}, CONDITION_MANAGER)

    async def _apply(
        self, device: Device, status: Mapping[str, object], manager: str
    ) -> None:
        """Apply fields of the Device's status; the UID keeps them from a
        Device of the same name made meanwhile.
        """
        written = await self._api.apply(
            DEVICE,
            device.namespace,
            device.name,
            {"metadata": {"uid": device.metadata.uid}, "status": status},
            field_manager=manager,
            subresource="status",
        )

        self._store.deliver(DEVICE, "MODIFIED", written)

    def _count(self) -> None:
        """Set the metrics of troubles and of free addresses."""
        by_reason = Counter(
            trouble.reason for trouble in self._troubles.values()
        )

        for reason in TROUBLES:
            metrics.TUNNEL_TROUBLES.labels(reason).set(by_reason[reason])

        metrics.DUPLICATE_ROUTER_IDS.set(by_reason[DUPLICATE_ROUTER_ID])

        metrics.POOL_FREE.clear()

        for (namespace, hub), book in self._index.books().items():
            metrics.POOL_FREE.labels(namespace, hub).set(book.free())


def _ready_shows(device: Device, trouble: Trouble) -> bool:
    """Return whether Ready says so already of the Device as it is now."""
    ready = device.status.condition("Ready")

    return (
        ready is not None
        and ready.reason == trouble.reason
        and ready.message == trouble.message
        and ready.observed_generation == device.metadata.generation
    )
