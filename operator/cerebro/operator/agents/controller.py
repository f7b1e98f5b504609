"""Looks at the Leases of the agents, and says on Hubs, Peers and Devices whose agent is lost that it is.

What is lost is decided in `lost_agents`. Only the condition Ready is written, by server-side apply, and
only while the reason holds; an agent that is back takes the condition back with its own next apply.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

from cerebro.domain.leases import NO_LEASE, node_of_agent_lease
from cerebro.domain.ready_owner import Owned, says_lost
from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi, server_now
from cerebro.kube.client.batch import each
from cerebro.kube.client.errors import Invalid, NotFound
from cerebro.operator import metrics
from cerebro.operator.agents.liveness import LeaseAges, Life, lease_of, lost_condition, must_say
from cerebro.resources import KINDS, Condition, Device, Hub, Peer, set_condition

_Model = TypeVar("_Model", bound=Hub | Peer | Device)

log = logging.getLogger(__name__)

FIELD_MANAGER = "cerebro-operator-lost-agents"
"""One manager a concern: an apply drops what its manager wrote before and leaves out now."""


class AgentWatch:
    """The looks; keeps the age of each Lease and whether the last look reached the API server."""

    def __init__(
        self, api: KubeApi, store: Store, *, namespace: str, namespaces: Iterable[str], lost_after: float
    ) -> None:
        self._api = api
        self._store = store
        self._namespace = namespace
        self._namespaces = tuple(namespaces)
        self._ages = LeaseAges(lost_after)
        self._reached = True
        self._holders: dict[str, str] = {}
        self._said: set[str] = set()
        self._released: set[str] = set()
        self.lost_devices: frozenset[tuple[str, str]] = frozenset()
        """Namespace and name of the Devices whose agent is lost, as of the last look."""

    async def look(self) -> None:
        """Look once and write what is news. Raises KubeError when the API server cannot be asked."""
        hubs = {(hub.namespace, hub.name): hub for hub in self._models(Hub)}
        items: list[Owned] = [*hubs.values(), *self._models(Peer), *self._models(Device)]
        owners = [(item, lease) for item in items if (lease := lease_of(item, hubs)) is not None]
        reached, self._reached = self._reached, False
        versions = await self._versions({lease for _, lease in owners})
        self._reached = True
        now = time.monotonic()
        if not reached:
            self._ages.begin_anew(now)
        self._ages.look(versions, now)
        lives = {lease: self._ages.life(lease, now) for lease in versions}
        lost = [(item, lease) for item, lease in owners if lives[lease] is Life.LOST]
        back = [item for item, lease in owners if lives[lease] is Life.ALIVE and says_lost(item)]
        self._count(lives, lost)
        await each(lost, lambda owned: self._say(*owned))
        await self._let_go(back)

    def _models(self, model: type[_Model]) -> list[_Model]:
        kind = KINDS[model.__name__]
        return [item for of in self._namespaces for item in self._store.models(kind, model, of)]

    async def _versions(self, leases: set[str]) -> dict[str, str | None]:
        """Read the Leases; the holder of each is remembered for the message."""
        versions: dict[str, str | None] = dict.fromkeys(leases)

        async def read(name: str) -> bool:
            try:
                lease = await self._api.get_lease(self._namespace, name)
            except NotFound:
                return False
            versions[name] = lease["metadata"]["resourceVersion"]
            self._holders[name] = lease["spec"].get("holderIdentity") or ""
            return True

        await each([name for name in leases if name != NO_LEASE], read)
        self._holders = {name: holder for name, holder in self._holders.items() if name in leases}
        return versions

    async def _say(self, item: Owned, lease: str) -> bool:
        holder = self._holders.get(lease) or node_of_agent_lease(lease)
        condition = lost_condition(item, holder or None)
        if not must_say(item, condition):
            return False
        self._released.discard(item.metadata.uid)
        await self._apply(item, condition)
        log.warning("%s %s/%s: its agent is lost", item.kind, item.namespace, item.name)
        return True

    async def _let_go(self, back: list[Owned]) -> None:
        """Withdraw, once for each, what no agent takes back because only we ever wrote Ready there.

        Where the agent has a part in the condition, the API server refuses what would be left of it, and
        the agent writes it anew.
        """

        async def withdraw(item: Owned) -> bool:
            self._released.add(item.metadata.uid)
            try:
                await self._apply(item, None)
            except Invalid as error:
                log.debug("%s %s/%s: left to its agent: %s", item.kind, item.namespace, item.name, error)
                return False
            return True

        uids = {item.metadata.uid for item in back}
        self._released &= uids
        await each([item for item in back if item.metadata.uid not in self._released], withdraw)

    async def _apply(self, item: Owned, condition: Condition | None) -> None:
        conditions: list[Condition] = []
        if condition is not None:
            known = set_condition(item.status.conditions, condition, server_now(self._api))
            conditions = [other for other in known if other.type == condition.type]
        status = {"conditions": [said.wire() for said in conditions]}
        try:
            written = await self._api.apply(
                KINDS[item.kind],
                item.namespace,
                item.name,
                {"metadata": {"uid": item.metadata.uid}, "status": status},
                field_manager=FIELD_MANAGER,
                subresource="status",
            )
        except NotFound:
            return
        self._store.deliver(KINDS[item.kind], "MODIFIED", written)

    def _count(self, lives: dict[str, Life], lost: list[tuple[Owned, str]]) -> None:
        metrics.LOST_AGENTS.set(sum(life is Life.LOST for life in lives.values()))
        kinds = Counter(item.kind for item, _ in lost)
        for kind in ("Hub", "Peer", "Device"):
            metrics.LOST_OBJECTS.labels(kind).set(kinds[kind])
        self.lost_devices = frozenset(
            (item.namespace, item.name) for item, _ in lost if isinstance(item, Device)
        )
