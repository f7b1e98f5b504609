"""The Devices that come over HTTP: reads Hubs and Peers, writes Devices, Peers
and Secrets, waits for operator and agent.

What a request may change is decided in `registration.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from cerebro.bridge.devices import registration
from cerebro.bridge.devices.waiting import LOOK_AGAIN, Waiting
from cerebro.bridge.errors import ApiError, starting
from cerebro.bridge.orders.sessions import Sessions
from cerebro.bridge.requests.routers import Registration
from cerebro.bridge.settings import BridgeSettings
from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import AlreadyExists, Conflict, NotFound
from cerebro.kube.objects import StoredObject
from cerebro.resources import DEVICE, HUB, PEER, Device, Hub, Peer, Resource
from cerebro.resources.naming import device_name

_TRIES = 3

Body = dict[str, Any]
R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True)
class Planned:
    """A router's Device as a request wants it."""

    device: Device
    """As it is now; as it is to be made, if there is none."""

    hub: Hub

    create: Body | None
    """The manifest of a Device that is to be made."""

    patch: Body
    """What is to be changed of the Device that is there."""

    @property
    def had_key(self) -> bool:
        """Whether the Device has a key already."""
        return self.create is None and self.device.spec.public_key is not None


class Registry:
    """The Devices of one namespace, as far as HTTP makes them."""

    def __init__(
        self,
        api: KubeApi,
        store: Store,
        sessions: Sessions,
        settings: BridgeSettings,
    ) -> None:
        self.api = api
        self.namespace = sessions.namespace
        self.sessions = sessions
        self.settings = settings
        self._store = store
        self._by_key = store.add_index(DEVICE, _public_key)
        self._by_address = store.add_index(DEVICE, _tunnel_address)

    async def settle(
        self,
        request: Registration,
        ready: Callable[[Planned], object] | None = None,
    ) -> Planned:
        """Write what a request changes; return what was planned.

        `ready` may refuse the plan before anything is written. In dry run
        nothing is written. Raises ApiError, KubeError.
        """
        for _ in range(_TRIES):
            planned = await self.plan(request)
            if ready is not None:
                ready(planned)

            if self.settings.dry_run:
                return planned

            try:
                await self._write(planned)
            except (AlreadyExists, Conflict):
                await self._read_again(request)
            else:
                return planned

        raise ApiError(
            503,
            "kubernetes_unavailable",
            "the Device keeps changing: try again",
        )

    async def plan(self, request: Registration) -> Planned:
        """Return the Device as a request wants it; nothing is written."""
        self.check_complete()

        now = datetime.now(UTC)
        device = self.sessions.device(request.device_id)
        if device is None:
            hub = await self._hub_of_new_devices()
            placement = registration.place(request, hub, None)
            self._refuse_taken(request, placement, hub)
            manifest = registration.new_device(
                self.namespace, hub.name, request, placement, now
            )

            spec = self.settings.with_device_defaults(manifest["spec"])
            manifest = {**manifest, "spec": spec}

            return Planned(
                Device.model_validate(manifest), hub, manifest, patch={}
            )

        hub = await self.hub(registration.check(device, request))
        placement = registration.place(request, hub, device)
        self._refuse_taken(request, placement, hub)
        patch = registration.change(device, request, placement, now)

        return Planned(device, hub, create=None, patch=patch)

    def check_complete(self) -> None:
        """Raise ApiError 503 while not all Devices are known (E7)."""
        if not self.sessions.complete():
            raise starting()

    def existing(self, device_id: str) -> Device:
        """Return the Device of a router.

        Raises ApiError 404 `device_not_found`, and 503 while not all are
        known.
        """
        self.check_complete()
        device = self.sessions.device(device_id)
        if device is None:
            raise not_found(device_id)

        return device

    def with_key(self, key: str) -> list[Device]:
        """Return the Devices with a WireGuard key."""
        found = self._by_key.get(self.namespace, key)
        models = (stored.read(Device) for stored in found)

        return [device for device in models if device is not None]

    async def patch(self, device: Device, patch: Body) -> Device:
        """Change this version of a Device; return it as it is then.

        Raises Conflict if somebody changed it meanwhile.
        """
        written = await self.api.patch(
            DEVICE,
            self.namespace,
            device.name,
            patch,
            resource_version=device.metadata.resource_version,
        )

        self.deliver(written)

        return read_object(Device, written)

    async def read_device(self, name: str) -> Device:
        """Read a Device from the API server. Raises NotFound."""
        body = await self.api.get(DEVICE, self.namespace, name)
        self.deliver(body)

        return read_object(Device, body)

    async def peer_of(self, device: Device) -> Peer | None:
        """Return the Peer that the operator made for a Device; None if there
        is none.
        """
        name = device.status.peer_name
        return await self.peer(name) if name else None

    async def peer(self, name: str) -> Peer | None:
        """Return the Peer of that name; None if there is none."""
        try:
            body = await self.api.get(PEER, self.namespace, name)
        except NotFound:
            return None

        return read_object(Peer, body)

    async def hub(self, name: str) -> Hub:
        """Return a Hub. Raises ApiError 503 `vps_config_missing`."""
        try:
            body = await self.api.get(HUB, self.namespace, name)
        except NotFound:
            raise ApiError(
                503,
                "vps_config_missing",
                f"the Hub {name} does not exist: create it",
            ) from None

        return read_object(Hub, body)

    async def until_placed(self, name: str, waiting: Waiting) -> Device:
        """Wait, without a limit of its own, until the operator gave a Device
        its tunnel address; return the Device.
        """
        while True:
            device = await self.still_there(name)
            if device.tunnel_address is not None:
                return device

            waiting.waits(
                "tunnel_address_pending",
                f"the Device {name} is made, and has no tunnel address yet: the operator allocates it; send the "
                "same again" + _trouble(device),
            )

            await asyncio.sleep(LOOK_AGAIN)

    async def until_it_has_a_peer(
        self, name: str, key: str, waiting: Waiting
    ) -> Peer:
        """Wait, without a limit of its own, until the Peer of a Device has the
        Device's key; return the Peer.
        """
        while True:
            device = await self.still_there(name)
            peer = await self.peer_of(device)
            if peer is not None and peer.spec.public_key == key:
                return peer

            _wait_for_peer(name, device, waiting)
            await asyncio.sleep(LOOK_AGAIN)

    async def until_applied(
        self, name: str, key: str, waiting: Waiting
    ) -> None:
        """Wait, without a limit of its own, until the Hub's interface has the
        Device's key.

        Raises ApiError 502 if the Hub refuses the Peer, and KubeError.
        """
        while True:
            device = await self.still_there(name)
            peer = await self.peer_of(device)
            if registration.judge(peer, key) == "applied":
                return

            _wait_for_peer(name, device, waiting)
            await asyncio.sleep(LOOK_AGAIN)

    async def still_there(self, name: str) -> Device:
        """Read a Device that was there. Raises ApiError 404
        `device_not_found`.
        """
        try:
            return await self.read_device(name)
        except NotFound:
            raise ApiError(
                404,
                "device_not_found",
                f"the Device {name} was deleted meanwhile",
            ) from None

    async def _write(self, planned: Planned) -> None:
        if planned.create is not None:
            created = await self.api.create(
                DEVICE, self.namespace, planned.create
            )

            self.deliver(created)
        elif planned.patch:
            await self.patch(planned.device, planned.patch)

    def _refuse_taken(
        self,
        request: Registration,
        placement: registration.Placement,
        hub: Hub,
    ) -> None:
        """Refuse an address or a key that another Device has."""
        address = placement.tunnel_ip or ""
        key = request.public_key or ""
        stored = [
            *self._by_address.get(self.namespace, address),
            *self._by_key.get(self.namespace, key),
        ]

        models = (item.read(Device) for item in stored)
        devices = [device for device in models if device is not None]
        registration.refuse_taken(request, placement, hub, devices)

    def deliver(self, written: Body) -> None:
        """Put a Device into the watched store at once, so that the bridge
        reads its own writes.
        """
        self._store.deliver(DEVICE, "MODIFIED", written)

    def forget(self, device: Device) -> None:
        """Take a Device that is gone out of the watched store at once."""
        stored = self._store.get(DEVICE, self.namespace, device.name)
        if stored is None or stored.uid != device.metadata.uid:
            return

        metadata = {
            "uid": stored.uid,
            "namespace": stored.namespace,
            "name": stored.name,
            "resourceVersion": str(stored.resource_version),
        }

        self._store.deliver(DEVICE, "DELETED", {"metadata": metadata})

    async def _read_again(self, request: Registration) -> None:
        """Read the Device that was in the way, so that the next attempt knows
        it.
        """

        known = self.sessions.device(request.device_id)
        name = known.name if known else device_name(request.device_id)
        body = await self.api.get(DEVICE, self.namespace, name)
        self.deliver(body)

        if self.sessions.device(request.device_id) is None:
            raise ApiError(
                409,
                "name_collision",
                f"a Device {name} exists for another router: correct its spec.routerID",
            )

    async def _hub_of_new_devices(self) -> Hub:
        """Return the Hub that a setting names, else the only one (F9)."""
        if self.settings.hub:
            return await self.hub(self.settings.hub)

        hubs = [
            body async for body in self.api.list_objects(HUB, self.namespace)
        ]

        if len(hubs) != 1:
            reason = "there are several Hubs" if hubs else "there is no Hub"
            raise ApiError(
                400,
                "hub_required",
                f"{reason}: make one and name it in CEREBRO_HUB",
            )

        return read_object(Hub, hubs[0])


def not_found(device_id: str) -> ApiError:
    """Return the error for a router that has no Device."""
    return ApiError(
        404,
        "device_not_found",
        f"no Device has the routerID {device_id!r}: register it, or correct deviceId",
    )


def read_object(model: type[R], body: Body) -> R:
    """Read an object from the API server.

    Raises ApiError 503 that names the field it cannot read.
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        name = body["metadata"]["name"]
        raise ApiError(
            503,
            "invalid_object",
            f"the {model.__name__} {name} cannot be read here, see its {field}: correct it",
        ) from None


def _wait_for_peer(name: str, device: Device, waiting: Waiting) -> None:
    waiting.waits(
        "wg_peer_pending",
        f"the Device {name} has the key, but the hub's interface not yet; ask again: "
        "see the Device's status.peerName and that Peer's conditions"
        + _trouble(device),
    )


def _trouble(device: Device) -> str:
    """Return what the Device's Ready says against it, to be appended to a
    text.
    """
    ready = device.status.condition("Ready")
    if ready is None or ready.status == "True" or not ready.message:
        return ""

    return f" ({ready.reason}: {ready.message})"


def _public_key(stored: StoredObject) -> str | None:
    device = stored.read(Device)
    return device.spec.public_key if device else None


def _tunnel_address(stored: StoredObject) -> str | None:
    device = stored.read(Device)
    return registration.tunnel_address(device) if device else None
