"""The bridge's hands for tunnels: reads Hubs and Peers, writes Devices of its own, waits for the hub.

What is asked for and what may change is decided in `bootstrap.py`.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from pydantic import ValidationError

from cerebro.bridge.devices import bootstrap
from cerebro.bridge.errors import ApiError, invalid, starting
from cerebro.bridge.orders.sessions import Sessions
from cerebro.bridge.requests.devices import Bootstrap
from cerebro.bridge.settings import BridgeSettings
from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import AlreadyExists, Conflict, Invalid, KubeError, NotFound
from cerebro.resources import DEVICE, HUB, PEER, Device, Hub, Peer, Resource
from cerebro.resources.naming import device_name
from cerebro.routeros.bootstrap import NotReadyError, script, tunnel_of

LOOK_AGAIN = 0.2
MARGIN = 0.1
_TRIES = 3

Body = dict[str, Any]
_Kind = TypeVar("_Kind", bound=Resource)


class Tunnels:
    """Tunnels of one namespace's routers, as far as HTTP makes them."""

    def __init__(self, api: KubeApi, store: Store, sessions: Sessions, settings: BridgeSettings) -> None:
        self._api = api
        self._store = store
        self._sessions = sessions
        self._settings = settings

    async def bootstrap(self, request: Bootstrap, arrived: float) -> Body:
        """Give the script for a router; with its key, once the hub has that on its interface. Raises ApiError.

        `arrived` is monotonic: the answer comes before clients give up (A7).
        """
        deadline = arrived + self._settings.answer_timeout_ms / 1000 - MARGIN
        pending = ApiError(503, "kubernetes_unavailable", "the API server does not answer: try again")
        try:
            async with asyncio.timeout_at(deadline):
                body, device = await self._settle(request)
                if request.public_key is not None and not self._settings.dry_run:
                    pending = ApiError(
                        503,
                        "wg_peer_pending",
                        f"the Device {device} has the key, but the hub's interface not yet; ask again: "
                        "see the Device's status.peerName and that Peer's conditions",
                    )
                    await self._applied(device, request.public_key)
                return body
        except TimeoutError:
            raise pending from None
        except Invalid as error:
            raise invalid(f"the API server refuses this Device: {error}") from None
        except KubeError as error:
            raise ApiError(503, "kubernetes_unavailable", f"the API server did not do it: {error}") from None

    async def _settle(self, request: Bootstrap) -> tuple[Body, str]:
        """Give the answer, and the Device's name; what has to be written is written."""
        if not self._sessions.complete():
            raise starting()
        for _ in range(_TRIES):
            try:
                return await self._attempt(request)
            except (AlreadyExists, Conflict):
                await self._read_again(request)
        raise ApiError(503, "kubernetes_unavailable", "the Device keeps changing: try again")

    async def _attempt(self, request: Bootstrap) -> tuple[Body, str]:
        found = self._sessions.device(request.device_id)
        if found is None:
            return await self._new(request)
        hub = await self._hub(bootstrap.check(found, request))
        lines = self._script(hub, found, request)
        known = found.spec.public_key is not None
        if request.public_key is None:
            return {"ok": True, "needPublicKey": not known, "instructions": lines}, found.name
        changes = bootstrap.change(found, request)
        if changes and not self._settings.dry_run:
            self._deliver(
                await self._api.patch(
                    DEVICE,
                    self._sessions.namespace,
                    found.name,
                    {"spec": changes},
                    resource_version=found.metadata.resource_version,
                )
            )
        return self._with_key(lines, created=not known, updated=known and bool(changes)), found.name

    async def _new(self, request: Bootstrap) -> tuple[Body, str]:
        """Answer for a router without a Device; its key makes one (F9)."""
        hub = await self._hub_of_new_devices()
        bootstrap.refuse_taken(request, hub.name, self._sessions.devices())
        manifest = bootstrap.new_device(self._sessions.namespace, hub.name, request)
        device = Device.model_validate(manifest)
        lines = self._script(hub, device, request)
        if request.public_key is None:
            return {"ok": True, "needPublicKey": True, "instructions": lines}, device.name
        if not self._settings.dry_run:
            self._deliver(await self._api.create(DEVICE, self._sessions.namespace, manifest))
        return self._with_key(lines, created=True, updated=False), device.name

    def _with_key(self, lines: list[str], *, created: bool, updated: bool) -> Body:
        dry = {"dryRun": True} if self._settings.dry_run else {}
        return {"ok": True, "createdPeer": {"created": created, "updated": updated}, "commands": lines, **dry}

    def _deliver(self, written: Body) -> None:
        self._store.deliver(DEVICE, "MODIFIED", written)

    async def _read_again(self, request: Bootstrap) -> None:
        """Look at the Device that stood in the way, so that the next decision knows it."""
        known = self._sessions.device(request.device_id)
        name = known.name if known else device_name(request.device_id)
        body = await self._api.get(DEVICE, self._sessions.namespace, name)
        self._deliver(body)
        if self._sessions.device(request.device_id) is None:
            raise ApiError(
                409, "name_collision", f"a Device {name} exists for another router: correct its spec.routerID"
            )

    async def _applied(self, name: str, key: str) -> None:
        """Wait, without a limit of its own, until the hub's interface has the key."""
        namespace = self._sessions.namespace
        while True:
            device = _read(Device, await self._api.get(DEVICE, namespace, name))
            peer = None
            if device.status.peer_name:
                try:
                    peer = _read(Peer, await self._api.get(PEER, namespace, device.status.peer_name))
                except NotFound:
                    peer = None
            if bootstrap.judge(peer, key) == "applied":
                return
            await asyncio.sleep(LOOK_AGAIN)

    async def _hub(self, name: str) -> Hub:
        try:
            return _read(Hub, await self._api.get(HUB, self._sessions.namespace, name))
        except NotFound:
            raise ApiError(503, "vps_config_missing", f"the Hub {name} does not exist: create it") from None

    async def _hub_of_new_devices(self) -> Hub:
        """Find the Hub that a setting names, else the only one (F9)."""
        if self._settings.hub:
            return await self._hub(self._settings.hub)
        hubs = [body async for body in self._api.list_objects(HUB, self._sessions.namespace)]
        if len(hubs) != 1:
            there = "there are several Hubs" if hubs else "there is no Hub"
            raise ApiError(400, "hub_required", f"{there}: make one and name it in CEREBRO_HUB")
        return _read(Hub, hubs[0])

    def _script(self, hub: Hub, device: Device, request: Bootstrap) -> list[str]:
        ask = f"Send this as devicePublicKey to POST /mikrotik/bootstrap, with deviceId {request.device_id}: "
        try:
            tunnel = tunnel_of(hub, device, installation=self._settings.installation)
        except NotReadyError as error:
            if error.of_hub:
                raise ApiError(503, "vps_config_missing", str(error)) from None
            raise invalid(f"tunnelIp: {error}") from None
        return script(tunnel, (ask, ""))


def _read(kind: type[_Kind], body: Body) -> _Kind:
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        name = body["metadata"]["name"]
        raise ApiError(
            503,
            "invalid_object",
            f"the {kind.__name__} {name} cannot be read here, see its {field}: correct it",
        ) from None
