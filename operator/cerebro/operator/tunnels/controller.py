"""Writes what `peers_for_devices` decides: Peers, addresses in statuses, and what stands in the way; a routerID
that an older Device has is said there too.

One step takes the Devices that changed, in order. An address is promised before the first write, so none is
given twice; the Peer is written before the status, so that an operator that ends in between finds it again.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping

from cerebro.domain.conditions import ConditionState, ConditionStatus, make_condition
from cerebro.domain.ready_owner import operator_says, says_lost
from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi, server_now
from cerebro.kube.client.batch import each
from cerebro.kube.client.errors import AlreadyExists, Conflict, Invalid, NotFound
from cerebro.kube.events import Recorder
from cerebro.kube.objects import Change, Name
from cerebro.operator import metrics
from cerebro.operator.tunnels.index import TunnelIndex
from cerebro.operator.tunnels.plan import Plan, Planner, Trouble
from cerebro.operator.tunnels.router_ids import RouterIDs
from cerebro.resources import DEVICE, PEER, Device, reasons, set_condition
from cerebro.resources.reasons import DUPLICATE_ROUTER_ID, TROUBLES

log = logging.getLogger(__name__)

FIELD_MANAGER = "cerebro-operator-tunnel"
CONDITION_MANAGER = "cerebro-operator-tunnel-ready"
"""One manager a concern: an apply drops what its manager wrote before and leaves out now."""
BATCH = 500
"""Devices in one step."""
AGAIN = 60.0
"""Seconds after which Devices that wait for something are looked at without an occasion."""
_SOON = 1.0


class DevicePeers:
    """The steps; keeps the index of addresses, and what was said of which Device when."""

    def __init__(self, api: KubeApi, store: Store, events: Recorder) -> None:
        self._api = api
        self._store = store
        self._events = events
        self._index = TunnelIndex(store)
        self._planner = Planner(store, self._index)
        self._router_ids = RouterIDs(store)
        self._troubles: dict[Name, Trouble] = {}
        self._looked_at = 0.0

    def changed(self, change: Change) -> bool:
        """Take a change of the store; True when a step is due."""
        self._index.changed(change)
        self._index.mark(self._router_ids.concerned(change))
        return self._index.any_marked()

    def begin(self) -> None:
        """Have every Device looked at: somebody else may have written meanwhile."""
        self._index.mark_all()

    async def step(self) -> float:
        """Look at the next Devices that changed; gives the seconds until the next step. Raises KubeError."""
        if time.monotonic() - self._looked_at >= AGAIN:
            self._looked_at = time.monotonic()
            self._index.mark_waiting()
        names = self._index.take(BATCH)
        left = set(names)
        again: set[Name] = set()

        async def work(planned: tuple[Device, Plan]) -> bool:
            device, plan = planned
            name = (device.namespace, device.name)
            if not await self._carry_out(device, plan):
                again.add(name)
            left.discard(name)
            return True

        try:
            plans = [planned for name in names if (planned := self._plan(name, left)) is not None]
            await each(plans, work)
        finally:
            self._index.mark(left | again)
            self._count()
        if again:
            return _SOON
        return 0.0 if self._index.any_marked() else AGAIN

    def _plan(self, name: Name, left: set[Name]) -> tuple[Device, Plan] | None:
        stored = self._store.get(DEVICE, *name)
        device = stored.read(Device) if stored is not None else None
        if device is None:
            left.discard(name)
            if stored is None:
                self._troubles.pop(name, None)
                self._index.forget(name)
            return None
        plan = self._planner.plan(device)
        self._index.waits(device, plan.trouble is not None)
        if plan.allocated is not None:
            self._index.promise(device, plan.allocated)
        plan.trouble = plan.trouble or self._router_ids.trouble(device)
        return device, plan

    async def _carry_out(self, device: Device, plan: Plan) -> bool:
        """Write one plan; False when something changed meanwhile and it is to be made anew."""
        try:
            await self._write_peers(device, plan)
            if plan.status is not None:
                await self._apply(device, plan.status, FIELD_MANAGER)
            await self._say(device, plan.trouble)
        except (Conflict, AlreadyExists, NotFound):
            return False
        except Invalid:
            self._index.waits(device, True)
            log.exception("Device %s/%s: its Peer or status is refused", device.namespace, device.name)
        return True

    async def _write_peers(self, device: Device, plan: Plan) -> None:
        kind = PEER
        for peer in plan.delete:
            meta = peer.metadata
            await self._api.delete(
                kind, peer.namespace, peer.name, uid=meta.uid, resource_version=meta.resource_version
            )
            log.info("deleted Peer %s/%s of Device %s", peer.namespace, peer.name, device.name)
        if plan.create is not None:
            made = await self._api.create(kind, device.namespace, plan.create)
            self._store.deliver(kind, "MODIFIED", made)
        if plan.change is not None:
            peer, patch = plan.change
            changed = await self._api.patch(
                kind, peer.namespace, peer.name, patch, resource_version=peer.metadata.resource_version
            )
            self._store.deliver(kind, "MODIFIED", changed)

    async def _say(self, device: Device, trouble: Trouble | None) -> None:
        """Say what stands in the way, or take it back.

        An agent leaves Ready alone once it sees that, so nobody fights. That its agent is lost goes before.
        """
        name = (device.namespace, device.name)
        said = self._troubles.get(name)
        if trouble is None:
            self._troubles.pop(name, None)
            if operator_says(device):
                await self._take_back(device)
            return
        self._troubles[name] = trouble
        if said != trouble:
            action = "Identify" if trouble.reason == DUPLICATE_ROUTER_ID else "Allocate"
            self._events.post(device, "Warning", trouble.reason, trouble.message, action=action)
        ready = device.status.condition("Ready")
        there = (ready.reason, ready.message, ready.observed_generation) if ready else None
        if not says_lost(device) and there != (trouble.reason, trouble.message, device.metadata.generation):
            await self._say_ready(device, "False", trouble)

    async def _take_back(self, device: Device) -> None:
        """Withdraw Ready. Where an agent has a part in it the API server refuses what would be left of it:
        then it is Unknown until the agent says it anew.
        """
        try:
            await self._apply(device, {"conditions": []}, CONDITION_MANAGER)
        except Invalid:
            await self._say_ready(
                device, "Unknown", Trouble(reasons.NOT_LOOKED_YET, "nothing stands in the way any more")
            )

    async def _say_ready(self, device: Device, status: ConditionStatus, trouble: Trouble) -> None:
        state = ConditionState(status, trouble.reason, trouble.message)
        condition = make_condition("Ready", state, device.metadata.generation, limit=None)
        known = set_condition(device.status.conditions, condition, server_now(self._api))
        ready = [said.wire() for said in known if said.type == "Ready"]
        await self._apply(device, {"conditions": ready}, CONDITION_MANAGER)

    async def _apply(self, device: Device, status: Mapping[str, object], manager: str) -> None:
        kind = DEVICE
        written = await self._api.apply(
            kind,
            device.namespace,
            device.name,
            {"metadata": {"uid": device.metadata.uid}, "status": status},
            field_manager=manager,
            subresource="status",
        )
        self._store.deliver(kind, "MODIFIED", written)

    def _count(self) -> None:
        by_reason = Counter(trouble.reason for trouble in self._troubles.values())
        for reason in TROUBLES:
            metrics.TUNNEL_TROUBLES.labels(reason).set(by_reason[reason])
        metrics.DUPLICATE_ROUTER_IDS.set(by_reason[DUPLICATE_ROUTER_ID])
        metrics.POOL_FREE.clear()
        for (namespace, hub), book in self._index.books().items():
            metrics.POOL_FREE.labels(namespace, hub).set(book.free())
