"""What is asked of one Hub's interface: out of the Store, with what must be looked up and what is remembered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from cerebro.controllers.acceptance import staying
from cerebro.controllers.agent_context import AgentContext, hub_of
from cerebro.controllers.hub_lookups import Endpoints, PresharedKeys
from cerebro.controllers.hub_peers import Asked, frozen_peers
from cerebro.controllers.hub_report import confirmed_removals
from cerebro.controllers.hub_tools import HubTools
from cerebro.resources import KINDS, Device, Hub, Peer
from cerebro.wireguard.model import Endpoint

_HUB, _PEER, _DEVICE = KINDS["Hub"], KINDS["Peer"], KINDS["Device"]


class Asking:
    """Gathers it for each pass; `changed` is called when something that was looked up did."""

    def __init__(
        self,
        context: AgentContext,
        tools: HubTools,
        namespace: str,
        name: str,
        *,
        changed: Callable[[], None],
    ) -> None:
        self._context, self._tools, self._namespace, self._name = context, tools, namespace, name
        self._preshared = PresharedKeys(context.api, namespace)
        self._endpoints = Endpoints(changed)
        self.dialled: dict[str, Endpoint] = {}
        self._departed: frozenset[str] = frozenset()
        self._departing: set[str] = set()  # since the last time that it was gathered

    def departed(self, peer: Peer) -> None:
        """Remember the keys of a Peer that went, until they are gone or another's (rule E8)."""
        self._departing |= set(peer.keys)

    def keep(self, left: frozenset[str]) -> None:
        """Remember of those that were asked about only what is `left`; the next ones departed meanwhile."""
        self._departed = left

    def close(self) -> None:
        """Look nothing up any more."""
        self._endpoints.close()

    async def gather(self, hub: Hub, on_node: Iterable[Hub] = (), *, again: bool) -> Asked:
        """Return what is asked for now; what was looked up is looked up `again`. `on_node` are all its Hubs."""
        store, name = self._context.store, self._name
        self._departed, self._departing = self._departed | self._departing, set()
        nameless = [one for one in store.frozen(_PEER) if hub_of(one) is None]
        mine = [*self._context.peers_by_hub.get(self._namespace, name), *nameless]
        peers = [peer for one in mine if (peer := one.read(Peer)) is not None]
        secrets = {
            one.spec.preshared_key_secret_ref.name for one in peers if one.spec.preshared_key_secret_ref
        }
        texts = {one.spec.endpoint for one in peers if one.spec.endpoint}
        endpoints, unresolved = self._endpoints.look_up(texts, again=again)
        going = [one for one in peers if one.metadata.deletion_timestamp is not None]
        names = {one.spec.device_ref.name for one in going if one.spec.device_ref}
        devices = {
            device: model
            for device in names
            if (stored := store.get(_DEVICE, self._namespace, device)) and (model := stored.read(Device))
        }
        return Asked(
            hub=hub,
            peers=peers,
            staying=staying(going, devices, now=time.time() - (self._context.api.clock_skew or 0.0)),
            frozen=frozen_peers((one for one in mine if one.model is None), name),
            departed=self._departed,
            preshared=await self._preshared.read(secrets, again=again),
            endpoints=endpoints,
            unresolved=unresolved,
            dialled=self.dialled,
            node=self._tools.node,
            beside=frozenset(one.spec.interface for one in on_node),
            complete=all(store.complete(kind, self._namespace) for kind in (_HUB, _PEER, _DEVICE)),
            dry_run=self._tools.dry_run,
            confirmed=confirmed_removals(hub),
            now=time.time(),
        )
