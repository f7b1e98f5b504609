"""Looks at the Leases of the agents, and reports on Hubs, Peers and Devices
that their agent is lost.

`liveness` decides who is lost. Only the condition Ready is written, by
server-side apply, and only while the reason holds. An agent that is back takes
the condition back with its own next apply.
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
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.batch import each
from cerebro.kube.client.errors import Invalid, NotFound
from cerebro.kube.client.server_clock import server_now
from cerebro.kube.event_reasons import AGENT_BACK, AGENT_LOST
from cerebro.kube.events import Recorder
from cerebro.operator import metrics
from cerebro.operator.agents.liveness import (
    LeaseAges,
    Life,
    is_news,
    lease_of,
    lost_condition,
)
from cerebro.resources import (
    KINDS,
    Condition,
    Device,
    Hub,
    Peer,
    set_condition,
)

_Model = TypeVar("_Model", bound=Hub | Peer | Device)

log = logging.getLogger(__name__)

FIELD_MANAGER = "cerebro-operator-lost-agents"
"""Each concern has its manager: an apply drops what its manager wrote before
and leaves out now.
"""


class AgentWatch:
    """Watches the agents, look by look.

    It keeps the age of each Lease, and whether the last look reached the API
    server.
    """

    def __init__(
        self,
        api: KubeApi,
        store: Store,
        events: Recorder,
        *,
        namespace: str,
        namespaces: Iterable[str],
        lost_after: float,
    ) -> None:
        """`namespace` holds the Leases, `namespaces` the objects; `lost_after`
        is in seconds.
        """

        self._api = api
        self._store = store
        self._events = events
        self._namespace = namespace
        self._namespaces = tuple(namespaces)
        self._ages = LeaseAges(lost_after)
        self._reached = True
        self._holders: dict[str, str] = {}
        """Who held each Lease last, by its name."""
        self._withdrawn: set[str] = set()
        """UIDs of objects whose agent is back, and whose Ready the operator
        has withdrawn.
        """

        self._lost: set[str] = set()
        """UIDs of objects whose agent is lost, until it is back."""

        self.lost_devices: frozenset[tuple[str, str]] = frozenset()
        """Namespace and name of the Devices whose agent is lost, as of the
        last look.
        """

    async def look(self) -> None:
        """Look at all Leases once and write what is news. Raises KubeError if
        the API server cannot be reached.
        """

        owned = self._owned()

        # Without an answer nothing is known of any agent, and ages count anew
        # from the next answer on.
        reached_before = self._reached
        self._reached = False
        versions = await self._read_leases({lease for _, lease in owned})
        self._reached = True

        now = time.monotonic()
        if not reached_before:
            self._ages.begin_anew(now)

        self._ages.look(versions, now)
        lives = {lease: self._ages.life(lease, now) for lease in versions}

        lost = [
            (item, lease) for item, lease in owned if lives[lease] is Life.LOST
        ]

        back = [
            item
            for item, lease in owned
            if lives[lease] is Life.ALIVE and says_lost(item)
        ]

        self._tell_back(owned, lives)
        self._count(lives, lost)
        await each(
            lost, lambda item_and_lease: self._report_lost(*item_and_lease)
        )

        await self._withdraw(back)

    def _owned(self) -> list[tuple[Owned, str]]:
        """Return the objects that an agent is meant to own, each with the
        Lease of that agent.
        """

        hubs = {(hub.namespace, hub.name): hub for hub in self._models(Hub)}
        items: list[Owned] = [
            *hubs.values(),
            *self._models(Peer),
            *self._models(Device),
        ]

        owned: list[tuple[Owned, str]] = []
        for item in items:
            lease = lease_of(item, hubs)
            if lease is not None:
                owned.append((item, lease))

        return owned

    def _models(self, model: type[_Model]) -> list[_Model]:
        kind = KINDS[model.__name__]
        return [
            item
            for namespace in self._namespaces
            for item in self._store.models(kind, model, namespace)
        ]

    async def _read_leases(self, leases: set[str]) -> dict[str, str | None]:
        """Return the resourceVersion of each Lease, None if it does not exist.
        Remembers their holders.
        """

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
        self._holders = {
            name: holder
            for name, holder in self._holders.items()
            if name in leases
        }

        return versions

    async def _report_lost(self, item: Owned, lease: str) -> bool:
        """Write into Ready that the agent is lost; return whether that was
        news.
        """

        self._lost.add(item.metadata.uid)
        holder = self._holders.get(lease) or node_of_agent_lease(lease)
        condition = lost_condition(item, holder or None)
        if not is_news(item, condition):
            return False

        self._withdrawn.discard(item.metadata.uid)
        await self._apply(item, condition)
        log.warning(
            "%s %s/%s: its agent is lost", item.kind, item.namespace, item.name
        )

        # Thousands of Peers may be behind a Hub, which tells it for them.
        if not isinstance(item, Peer):
            self._events.post(item, AGENT_LOST, message=condition.message)

        return True

    def _tell_back(
        self, owned: list[tuple[Owned, str]], lives: dict[str, Life]
    ) -> None:
        """Post that the agent is back, where it was lost."""
        self._lost &= {item.metadata.uid for item, _ in owned}
        for item, lease in owned:
            uid = item.metadata.uid
            if uid in self._lost and lives[lease] is Life.ALIVE:
                self._lost.discard(uid)

                if not isinstance(item, Peer):
                    self._events.post(item, AGENT_BACK)

    async def _withdraw(self, back: list[Owned]) -> None:
        """Withdraw Ready of the objects whose agent is back, once for each.

        No agent takes the condition back where only the operator ever wrote
        Ready. Where the agent has a part in the condition, the API server
        refuses what would be left of it, and the agent writes it anew.
        """

        async def withdraw(item: Owned) -> bool:
            self._withdrawn.add(item.metadata.uid)

            try:
                await self._apply(item, None)
            except Invalid as error:
                log.debug(
                    "%s %s/%s: left to its agent: %s",
                    item.kind,
                    item.namespace,
                    item.name,
                    error,
                )

                return False

            return True

        self._withdrawn &= {item.metadata.uid for item in back}
        await each(
            [
                item
                for item in back
                if item.metadata.uid not in self._withdrawn
            ],
            withdraw,
        )

    async def _apply(self, item: Owned, condition: Condition | None) -> None:
        """Apply Ready to an object, or nothing (None), which withdraws it. An
        object that is gone is left alone.
        """

        kind = KINDS[item.kind]
        applied: list[Condition] = []
        if condition is not None:
            conditions = set_condition(
                item.status.conditions, condition, server_now(self._api)
            )

            applied = [
                known for known in conditions if known.type == condition.type
            ]

        status = {"conditions": [known.wire() for known in applied]}
        try:
            written = await self._api.apply(
                kind,
                item.namespace,
                item.name,
                {"metadata": {"uid": item.metadata.uid}, "status": status},
                field_manager=FIELD_MANAGER,
                subresource="status",
            )
        except NotFound:
            return

        self._store.deliver(kind, "MODIFIED", written)

    def _count(
        self, lives: dict[str, Life], lost: list[tuple[Owned, str]]
    ) -> None:
        """Set the metrics of lost agents and of their objects, and
        `lost_devices`.
        """

        metrics.LOST_AGENTS.set(
            sum(life is Life.LOST for life in lives.values())
        )

        by_kind = Counter(item.kind for item, _ in lost)
        for kind in ("Hub", "Peer", "Device"):
            metrics.LOST_OBJECTS.labels(kind).set(by_kind[kind])

        devices = [item for item, _ in lost if isinstance(item, Device)]
        self.lost_devices = frozenset(
            (device.namespace, device.name) for device in devices
        )
