"""What is asked of one Hub's interface: out of the Store, with what must be looked up and what is remembered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from cerebro.agent.context import AgentContext
from cerebro.agent.hubs.backends import NodeBackends
from cerebro.agent.hubs.lookups import Endpoints, PresharedKeys
from cerebro.agent.hubs.model import Frozen, HubDesired
from cerebro.agent.hubs.status import confirmed_removals
from cerebro.kube.cache.references import hub_of
from cerebro.kube.objects import StoredObject
from cerebro.resources import DEVICE, HUB, PEER, Device, Hub, Peer, reasons
from cerebro.resources.naming import FINALIZER_CLEANUP
from cerebro.wireguard.model import Endpoint

_HUB, _PEER, _DEVICE = HUB, PEER, DEVICE


class HubInputs:
    """Gathers it for each pass; `changed` is called when something that was looked up did."""

    def __init__(
        self,
        context: AgentContext,
        tools: NodeBackends,
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

    async def gather(self, hub: Hub, on_node: Iterable[Hub] = (), *, refresh: bool) -> HubDesired:
        """Return what is asked for now; `refresh` looks up anew what was looked up. `on_node` are all its Hubs."""
        store, name = self._context.store, self._name
        self._departed, self._departing = self._departed | self._departing, set()
        nameless = [one for one in store.frozen(_PEER) if hub_of(one) is None]
        mine = [*self._context.peers_by_hub.get(self._namespace, name), *nameless]
        peers = [peer for one in mine if (peer := one.read(Peer)) is not None]
        secrets = {
            one.spec.preshared_key_secret_ref.name for one in peers if one.spec.preshared_key_secret_ref
        }
        texts = {one.spec.endpoint for one in peers if one.spec.endpoint}
        endpoints, unresolved = self._endpoints.look_up(texts, refresh=refresh)
        going = [one for one in peers if one.metadata.deletion_timestamp is not None]
        names = {one.spec.device_ref.name for one in going if one.spec.device_ref}
        devices = {
            device: model
            for device in names
            if (stored := store.get(_DEVICE, self._namespace, device)) and (model := stored.read(Device))
        }
        return HubDesired(
            hub=hub,
            peers=peers,
            staying=staying(going, devices, now=time.time() - (self._context.api.clock_skew or 0.0)),
            frozen=frozen_peers((one for one in mine if one.model is None), name),
            departed=self._departed,
            preshared=await self._preshared.read(secrets, refresh=refresh),
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


def wants_cleanup(hub: Hub) -> bool:
    """Return whether a Hub is being deleted and its interface with it."""
    return hub.metadata.deletion_timestamp is not None and hub.spec.deletion_policy == "Cleanup"


_BRIDGED = 10.0  # seconds in which that a Device is going may come after that its Peer is, by another watch


def staying(peers: Iterable[Peer], devices: Mapping[str, Device], *, now: float) -> frozenset[str]:
    """Return the UIDs of terminating Peers whose Device still has its clean-up to do (rule E6).

    `devices` are those of the Hub's namespace, by name; `now` is in Unix seconds, by the API server's clock.
    """
    found = set()
    for peer in peers:
        if peer.metadata.deletion_timestamp is None or peer.spec.device_ref is None:
            continue
        device = devices.get(peer.spec.device_ref.name)
        if device is None or not _same_device(peer, device) or not _to_clean_up(device):
            continue
        if device.metadata.deletion_timestamp is not None or _may_be_going(device, peer, now):
            found.add(peer.metadata.uid)
    return frozenset(found)


def _may_be_going(device: Device, peer: Peer, now: float) -> bool:
    """Tell whether a Peer may go because its Device does (foreground deletion), and not alone or with its key."""
    assert peer.metadata.deletion_timestamp is not None
    since = now - peer.metadata.deletion_timestamp.timestamp()
    return since < _BRIDGED and device.spec.public_key == peer.spec.public_key


def _same_device(peer: Peer, device: Device) -> bool:
    owners = [owner.uid for owner in peer.metadata.owner_references if owner.kind == "Device"]
    return not owners or device.metadata.uid in owners


def _to_clean_up(device: Device) -> bool:
    ready = device.status.condition("Ready")
    cleaned_up = ready is not None and ready.status == "False" and ready.reason == reasons.CLEANED_UP
    return FINALIZER_CLEANUP in device.metadata.finalizers and not cleaned_up


def frozen_peers(stored: Iterable[StoredObject], hub: str) -> Frozen:
    """Return what must not be touched for the sake of Peers of this Hub that cannot be read (rule B9)."""
    keys: set[str] = set()
    everything, count = False, 0
    for one in stored:
        raw = one.raw or {}
        spec, status = raw.get("spec") or {}, raw.get("status") or {}
        if hub_of(one) not in (hub, None):
            continue
        count += 1
        rotated = status.get("rotatedPublicKeys")
        named_keys = [
            spec.get("publicKey"),
            status.get("appliedPublicKey"),
            *(rotated if isinstance(rotated, list) else ()),
        ]
        found = {key for key in named_keys if isinstance(key, str)}
        everything = everything or not found
        keys |= found
    return Frozen(frozenset(keys), everything, count)
