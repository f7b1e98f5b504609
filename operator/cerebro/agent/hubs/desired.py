"""What is desired of one Hub's interface, gathered for each pass.

It comes out of the Store, with what Peers name and do not hold (`lookups`),
and with what is remembered from one pass to the next: the keys of deleted
Peers, the endpoints that were dialled, and where Peers were heard from last.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from cerebro.agent.context import AgentContext
from cerebro.agent.hubs.backends import NodeBackends
from cerebro.agent.hubs.lookups.endpoints import Endpoints
from cerebro.agent.hubs.lookups.node_ways import NodeWays
from cerebro.agent.hubs.lookups.preshared_keys import PresharedKeys
from cerebro.agent.hubs.model import Frozen, HubDesired
from cerebro.agent.hubs.status import confirmed_removals
from cerebro.kube.cache.references import hub_of
from cerebro.kube.objects import StoredObject
from cerebro.resources import DEVICE, HUB, PEER, Device, Hub, Peer, reasons
from cerebro.resources.naming import FINALIZER_CLEANUP
from cerebro.wireguard.model import Endpoint

_BRIDGED = 10.0
"""The deletion of a Device may be seen so many seconds after that of its Peer:
they are two watches.
"""

_DIALS_BACK_FOR = 600.0
"""Seconds for which peers are dialled where they were heard from last: a
router that is silent for so long dials by itself when it is back.
"""


class HubInputs:
    """Gathers what is desired of one Hub. `changed` is called when something
    that was looked up changed.
    """

    def __init__(
        self,
        context: AgentContext,
        tools: NodeBackends,
        namespace: str,
        name: str,
        *,
        changed: Callable[[], None],
    ) -> None:
        self.dialled: dict[str, Endpoint] = {}
        """By public key, the endpoint that was set last; the loop sets it
        after each pass.
        """

        self.heard: dict[str, Endpoint] = {}
        """By public key, where a peer was heard from last while this node
        carries the Hub; the loop sets it after each pass.
        """

        self._dials_back_until = time.monotonic() + _DIALS_BACK_FOR
        """For peers that an agent before us dialled, too."""

        self._context = context
        self._tools = tools
        self._namespace = namespace
        self._name = name
        self._preshared = PresharedKeys(context.api, namespace, changed)
        self._endpoints = Endpoints(changed)
        self._ways = NodeWays(context.api.connection.server, changed)
        self._departed: frozenset[str] = frozenset()
        self._departing: set[str] = set()
        """Keys of Peers that were deleted since the last `gather`."""

    def departed(self, peer: Peer) -> None:
        """Remember the keys of a deleted Peer until they are gone, or another
        Peer's (rule E8).
        """
        self._departing |= set(peer.keys)

    def keep(self, remaining: frozenset[str]) -> None:
        """Keep only the departed keys that are still on the interface.

        Keys that departed since `gather` are kept apart: the pass did not know
        them.
        """
        self._departed = remaining

    def dialled_back(self) -> None:
        """Note that peers were dialled just now where they were heard from
        last.
        """
        self._dials_back_until = time.monotonic() + _DIALS_BACK_FOR

    def close(self) -> None:
        """Look nothing up any more."""
        self._preshared.close()
        self._endpoints.close()
        self._ways.close()

    async def gather(
        self, hub: Hub, on_node: Iterable[Hub] = (), *, refresh: bool
    ) -> HubDesired:
        """Return what is desired now.

        `on_node` are all Hubs of the node. `refresh` looks up anew what was
        looked up before.
        """

        self._departed |= self._departing
        self._departing = set()

        # The Peers, and those that cannot be read: they hold what they have.
        stored = self._stored_peers()
        peers = _readable(stored)
        frozen = frozen_peers(
            (each for each in stored if each.model is None), self._name
        )

        # What Peers name and do not hold.
        secrets = {
            peer.spec.preshared_key_secret_ref.name
            for peer in peers
            if peer.spec.preshared_key_secret_ref
        }

        preshared = self._preshared.look_up(secrets, refresh=refresh)

        texts = {peer.spec.endpoint for peer in peers if peer.spec.endpoint}
        endpoints, unresolved = self._endpoints.look_up(texts, refresh=refresh)
        ways = await self._ways.look_up(refresh=refresh)

        # Terminating Peers, by the API server's clock, and their Devices.
        server_now = time.time() - (self._context.api.clock_skew or 0.0)
        going = [
            peer
            for peer in peers
            if peer.metadata.deletion_timestamp is not None
        ]

        kept = staying(going, self._devices_of(going), now=server_now)

        return HubDesired(
            hub=hub,
            peers=peers,
            staying=kept,
            frozen=frozen,
            departed=self._departed,
            preshared=preshared,
            endpoints=endpoints,
            unresolved=unresolved,
            dialled=self.dialled,
            heard=self.heard,
            dials_back=time.monotonic() < self._dials_back_until,
            node=self._tools.node,
            ways=ways,
            beside=frozenset(other.spec.interface for other in on_node),
            complete=self._complete(),
            dry_run=self._tools.dry_run,
            confirmed=confirmed_removals(hub),
            now=time.time(),
            monotonic=time.monotonic(),
        )

    def _stored_peers(self) -> list[StoredObject]:
        """Return the Peers of the Hub, and those that cannot be read and name
        no Hub: they may be its own.
        """
        nameless = [
            each
            for each in self._context.store.frozen(PEER)
            if hub_of(each) is None
        ]

        return [
            *self._context.peers_by_hub.get(self._namespace, self._name),
            *nameless,
        ]

    def _devices_of(self, peers: Iterable[Peer]) -> dict[str, Device]:
        """Return the Devices of Peers, by name, that the Store has and our
        model can read.
        """
        names = {
            peer.spec.device_ref.name for peer in peers if peer.spec.device_ref
        }

        devices: dict[str, Device] = {}
        for name in names:
            stored = self._context.store.get(DEVICE, self._namespace, name)
            device = stored.read(Device) if stored is not None else None
            if device is not None:
                devices[name] = device

        return devices

    def _complete(self) -> bool:
        """Return whether the Store knows all objects that a removal depends on
        (rule E7).
        """
        store = self._context.store

        return all(
            store.complete(kind, self._namespace)
            for kind in (HUB, PEER, DEVICE)
        )


def _readable(stored: Iterable[StoredObject]) -> list[Peer]:
    peers = [each.read(Peer) for each in stored]
    return [peer for peer in peers if peer is not None]


def wants_cleanup(hub: Hub) -> bool:
    """Return whether a Hub is being deleted and its interface with it."""
    return (
        hub.metadata.deletion_timestamp is not None
        and hub.spec.deletion_policy == "Cleanup"
    )


def staying(
    peers: Iterable[Peer], devices: Mapping[str, Device], *, now: float
) -> frozenset[str]:
    """Return the UIDs of terminating Peers whose Device still has its clean-up
    to do (rule E6).

    `devices` are those of the Hub's namespace, by name; `now` is in Unix
    seconds, by the API server's clock.
    """
    uids = set()
    for peer in peers:
        if (
            peer.metadata.deletion_timestamp is None
            or peer.spec.device_ref is None
        ):
            continue

        device = devices.get(peer.spec.device_ref.name)
        if (
            device is None
            or not _same_device(peer, device)
            or not _to_clean_up(device)
        ):
            continue

        if device.metadata.deletion_timestamp is not None or _may_be_going(
            device, peer, now
        ):
            uids.add(peer.metadata.uid)

    return frozenset(uids)


def _may_be_going(device: Device, peer: Peer, now: float) -> bool:
    """Return whether a Peer may go because its Device does (foreground
    deletion), and not alone or with its key.
    """
    assert peer.metadata.deletion_timestamp is not None
    since = now - peer.metadata.deletion_timestamp.timestamp()

    return since < _BRIDGED and device.spec.public_key == peer.spec.public_key


def _same_device(peer: Peer, device: Device) -> bool:
    """Return whether a Device is the one that made the Peer, and not another
    that has its name since.
    """
    owners = [
        owner.uid
        for owner in peer.metadata.owner_references
        if owner.kind == "Device"
    ]

    return not owners or device.metadata.uid in owners


def _to_clean_up(device: Device) -> bool:
    if FINALIZER_CLEANUP not in device.metadata.finalizers:
        return False

    ready = device.status.condition("Ready")
    cleaned_up = (
        ready is not None
        and ready.status == "False"
        and ready.reason == reasons.CLEANED_UP
    )

    return not cleaned_up


def frozen_peers(stored: Iterable[StoredObject], hub: str) -> Frozen:
    """Return what must not be touched for the sake of Peers of this Hub that
    cannot be read (rule B9).

    A Peer that names no Hub counts too.
    """

    keys: set[str] = set()
    everything = False
    count = 0
    for peer in stored:
        if hub_of(peer) not in (hub, None):
            continue

        count += 1
        named = _keys_of(peer.raw or {})
        if not named:
            everything = True

        keys |= named

    return Frozen(frozenset(keys), everything, count)


def _keys_of(raw: Mapping[str, object]) -> set[str]:
    """Return the public keys that an unreadable Peer names, as far as they are
    text.
    """

    spec, status = raw.get("spec"), raw.get("status")
    keys: list[object] = []
    if isinstance(spec, Mapping):
        keys.append(spec.get("publicKey"))

    if isinstance(status, Mapping):
        keys.append(status.get("appliedPublicKey"))
        rotated = status.get("rotatedPublicKeys")
        keys += rotated if isinstance(rotated, list) else ()

    return {key for key in keys if isinstance(key, str)}
