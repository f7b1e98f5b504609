"""The tunnels that the Hubs of this agent carry, as the loops of Devices and
the metrics see them.

Reads what the loops of Hubs found at their last look. It configures nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cerebro.agent.hubs.loop import HubLoop
from cerebro.agent.hubs.metrics import PeerReading
from cerebro.agent.tunnel_status import (
    NOT_CARRIED,
    TunnelSnapshot,
    came_back,
    changed,
    tunnel_snapshot,
    tunnel_up,
)
from cerebro.domain.conditions import ConditionState
from cerebro.kube.cache.store import Index, Store
from cerebro.resources import DEVICE, PEER, Device, Peer
from cerebro.runtime.loop import Key, LoopTable

TunnelChanged = Callable[[str, str, bool], None]
"""Called with the namespace and name of a Device, and whether its tunnel came
back.
"""


class HubTunnels:
    """The `Tunnels` of the agent's context. `loops` is filled by the manager
    of the Hubs.
    """

    def __init__(
        self, store: Store, peers_by_hub: Index, tunnel_changed: TunnelChanged
    ) -> None:
        self.loops: LoopTable[HubLoop] = LoopTable(
            "Hub", logged_as="hub", ended=self._forget
        )
        self._store = store
        self._peers_by_hub = peers_by_hub
        self._tunnel_changed = tunnel_changed
        self._snapshots: dict[Key, dict[str, TunnelSnapshot]] = {}
        """By Hub, then by name of the Device: its tunnel at the last call of
        `wake_devices`.
        """

    def owns(self, namespace: str, hub: str) -> bool:
        """Return whether this agent owns a Hub now."""
        loop = self.loops.get(namespace, hub)

        return loop is not None and loop.owns()

    def serves(self, namespace: str, hub: str) -> bool:
        """Return whether this agent owns a Hub now and has looked at it."""
        loop = self.loops.get(namespace, hub)

        return loop is not None and loop.owns() and loop.looked()

    def carries(self, namespace: str, hub: str) -> bool:
        """Return whether an interface of this node is a Hub's, by what its
        loop did.
        """
        loop = self.loops.get(namespace, hub)

        return loop is not None and loop.carries()

    def interface_to(self, device: Device) -> str | None:
        """Return the interface of this node that leads into a Device's tunnel;
        None if none does.
        """
        hub = device.spec.hub_ref
        loop = self.loops.get(device.namespace, hub.name) if hub else None

        return loop.interface() if loop is not None else None

    def tunnel_up(self, device: Device) -> ConditionState:
        """Return condition TunnelUp of a Device behind a Hub."""
        hub = device.spec.hub_ref
        loop = self.loops.get(device.namespace, hub.name) if hub else None
        if loop is None or not loop.owns():
            return NOT_CARRIED

        obstacle = loop.view.obstacle
        if obstacle is not None:
            return ConditionState(
                "Unknown", obstacle.reason, f"the Hub: {obstacle.message}"
            )

        name = device.status.peer_name
        stored = (
            self._store.get(PEER, device.namespace, name) if name else None
        )

        peer = stored.read(Peer) if stored else None
        contact = (
            loop.view.contacts.get(peer.spec.public_key) if peer else None
        )

        return tunnel_up(device, peer, contact)

    def wake_devices(self, namespace: str, hub: str) -> None:
        """Wake the loops of the Devices whose tunnel came, went or moved since
        the last call (rule B5).
        """

        loop = self.loops.get(namespace, hub)
        if loop is None:
            return

        if (namespace, hub) not in self._snapshots:
            self._first_look(namespace, hub)

        before = self._snapshots.get((namespace, hub), {})
        now = dict(self._seen_by(loop, namespace, hub))
        self._snapshots[(namespace, hub)] = now

        for device in now.keys() | before.keys():
            old, new = before.get(device), now.get(device)
            if changed(old, new):
                self._tunnel_changed(namespace, device, came_back(old, new))

    def _first_look(self, namespace: str, hub: str) -> None:
        """Wake the loops of all Devices behind a Hub: they waited for this
        look, in whichever state their tunnel is.
        """
        for stored in list(self._store.all(DEVICE, namespace)):
            device = stored.read(Device)
            reference = device.spec.hub_ref if device is not None else None
            if reference is not None and reference.name == hub:
                self._tunnel_changed(namespace, stored.name, False)

    def _seen_by(
        self, loop: HubLoop, namespace: str, hub: str
    ) -> Iterator[tuple[str, TunnelSnapshot]]:
        """Yield the Devices behind a Hub that have a contact, each with its
        tunnel.
        """
        for stored in self._peers_by_hub.get(namespace, hub):
            peer = stored.read(Peer)
            if peer is None or peer.spec.device_ref is None:
                continue

            contact = loop.view.contacts.get(peer.spec.public_key)
            if contact is not None:
                yield (
                    peer.spec.device_ref.name,
                    tunnel_snapshot(
                        contact, loop.view.peers.get(peer.spec.public_key)
                    ),
                )

    def readings(self) -> Iterator[PeerReading]:
        """Yield what was last seen of each Peer on the interfaces that this
        agent carries.
        """
        for (namespace, hub), loop in self.loops.items():
            for stored in self._peers_by_hub.get(namespace, hub):
                peer = stored.read(Peer)
                actual = (
                    loop.view.peers.get(peer.spec.public_key)
                    if peer is not None
                    else None
                )

                if peer is not None and actual is not None:
                    yield PeerReading(namespace, hub, peer.name, actual)

    def _forget(self, hub: Key) -> None:
        self._snapshots.pop(hub, None)
