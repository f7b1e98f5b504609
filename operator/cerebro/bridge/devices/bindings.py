"""Keys of routers and their peers, for what is inside: bound, taken away,
listed (F8).

A binding is a Device that has a key, whoever gave it: so one that nobody made
is there as soon as key and Device are known.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from itertools import islice

from cerebro.bridge.devices import records
from cerebro.bridge.devices.answers import (
    BindAnswer,
    BindingsAnswer,
    KeyBinding,
    PeerRecord,
    PeersAnswer,
    UnbindAnswer,
)
from cerebro.bridge.devices.registration import not_ours
from cerebro.bridge.devices.registry import Registry
from cerebro.bridge.devices.tunnels import Tunnels
from cerebro.bridge.devices.waiting import LOOK_AGAIN, answered_by
from cerebro.bridge.devices.wireguard import Tunnel, WireGuardView
from cerebro.bridge.errors import ApiError
from cerebro.bridge.requests.routers import Binding, Registration
from cerebro.kube.client.errors import Conflict
from cerebro.resources import Device
from cerebro.resources.naming import ANNOTATION_BOUND_AT, came_over_http

MAX_LISTED = 1000
"""Peers and bindings that an answer lists; its count has them all."""


class Bindings:
    """The keys of one namespace's routers."""

    def __init__(
        self,
        registry: Registry,
        tunnels: Tunnels,
        wireguard: WireGuardView,
    ) -> None:
        self._registry = registry
        self._tunnels = tunnels
        self._wireguard = wireguard

    async def bind(self, binding: Binding, arrived: float) -> BindAnswer:
        """Give a router its key; answer once the Hub's interface has it.

        Raises ApiError 404 `device_not_found`, 409 for a Device that the
        bridge did not make, and for a key that another one has.
        """

        request = Registration(
            device_id=binding.device_id,
            public_key=binding.public_key,
            public_ip=binding.address,
        )

        device = await self._tunnels.bind(request, arrived)
        dry_run = True if self._registry.settings.dry_run else None

        return BindAnswer(binding=records.binding(device), dry_run=dry_run)

    async def unbind(self, key: str, arrived: float) -> UnbindAnswer:
        """Take a key from its router; answer once its Peer is gone.

        Raises ApiError 409 for a key that the bridge did not give, and 503
        `wg_peer_pending` while the Peer is still there.
        """

        registry = self._registry
        async with answered_by(self._tunnels.deadline(arrived)) as waiting:
            registry.check_complete()
            devices = registry.with_key(key)
            for device in devices:
                if not came_over_http(device):
                    raise not_ours(device, "spec.publicKey")

            if registry.settings.dry_run:
                return UnbindAnswer(removed=False, dry_run=True)

            for device in devices:
                await self._take_key(device)

            waiting.waits(
                "wg_peer_pending",
                "no Device has the key any more; its Peer waits until the key is off the hub's interface: "
                "ask again",
            )

            made = [device.status.peer_name for device in devices]
            names = [name for name in made if name]
            if not devices:
                names = await self._peers_with(key)

            for name in names:
                await self._until_it_lacks(name, key)

            return UnbindAnswer(removed=bool(devices))

    def bindings(self) -> BindingsAnswer:
        """Return the routers that have a key, MAX_LISTED of them, by name."""
        self._registry.check_complete()
        devices = [
            device
            for device in self._registry.sessions.devices()
            if device.spec.public_key is not None
        ]

        devices.sort(key=lambda device: device.name)
        listed = [
            KeyBinding(
                public_key=device.spec.public_key or "",
                **records.binding(device).model_dump(),
            )
            for device in devices[:MAX_LISTED]
        ]

        return BindingsAnswer(bindings=listed, count=len(devices))

    async def peers(self) -> PeersAnswer:
        """Return the peers of all Hubs, MAX_LISTED of them, by name."""
        state = await self._wireguard.state()
        now = time.time()

        return PeersAnswer(
            timestamp=int(now),
            peers=peer_records(
                islice(state.tunnels, MAX_LISTED),
                self._registry.sessions.device_named,
                now,
            ),
            peers_count=len(state.tunnels),
        )

    async def _take_key(self, device: Device) -> None:
        """Take the key from a Device; what others change meanwhile stays."""
        patch = {
            "spec": {"publicKey": None},
            "metadata": {"annotations": {ANNOTATION_BOUND_AT: None}},
        }

        try:
            await self._registry.patch(device, patch)
        except Conflict:
            current = await self._registry.read_device(device.name)
            if current.spec.public_key == device.spec.public_key:
                await self._registry.patch(current, patch)

    async def _peers_with(self, key: str) -> list[str]:
        """Return the Peers of Devices that still have a key.

        Raises ApiError 409 `peer_not_ours` for a Peer without a Device: a
        person made it.
        """

        state = await self._wireguard.state_now()
        having = [
            tunnel for tunnel in state.tunnels if tunnel.public_key == key
        ]

        for tunnel in having:
            if tunnel.device is None:
                raise ApiError(
                    409,
                    "peer_not_ours",
                    f"the key is that of the Peer {tunnel.name}, which has no Device: a person made it, and deletes it",
                )

        return [tunnel.name for tunnel in having]

    async def _until_it_lacks(self, name: str, key: str) -> None:
        """Wait until a Peer is gone, or has another key."""
        while True:
            peer = await self._registry.peer(name)
            if peer is None or key not in peer.keys:
                return

            await asyncio.sleep(LOOK_AGAIN)


def peer_records(
    tunnels: Iterable[Tunnel],
    device_named: Callable[[str], Device | None],
    now: float,
) -> list[PeerRecord]:
    """Return what is said of peers; `now` is in seconds since 1970."""
    result: list[PeerRecord] = []
    for tunnel in tunnels:
        device = device_named(tunnel.device) if tunnel.device else None
        result.append(
            PeerRecord(
                public_key=tunnel.public_key,
                handshake_age=_handshake_age(tunnel, now),
                status=tunnel.state,
                rx=tunnel.figures.rx,
                tx=tunnel.figures.tx,
                allowed_ips=list(tunnel.allowed_ips),
                endpoint=tunnel.endpoint,
                device=records.binding(device) if device else None,
            )
        )

    return result


def _handshake_age(tunnel: Tunnel, now: float) -> int | None:
    """Return the age of the last handshake in seconds; None if there was none,
    or if it is not known: a status has the time of the last change only.
    """
    moment = tunnel.last_handshake
    is_old_news = (
        tunnel.state == "ONLINE" and tunnel.figures.last_handshake is None
    )

    if moment is None or is_old_news:
        return None

    return max(0, int(now - moment.timestamp()))
