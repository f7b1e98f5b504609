"""Tunnels over HTTP: reads Hubs and Peers, writes Devices of its own, waits
for the Hub.

What a request asks for, and what it may change, is decided in `bootstrap.py`.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from pydantic import ValidationError

from cerebro.bridge.devices import bootstrap
from cerebro.bridge.devices.answers import (
    PeerChange,
    ScriptAnswer,
    TunnelAnswer,
)
from cerebro.bridge.errors import ApiError, invalid, starting
from cerebro.bridge.orders.sessions import Sessions
from cerebro.bridge.requests.devices import Bootstrap
from cerebro.bridge.settings import BridgeSettings
from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import (
    AlreadyExists,
    Conflict,
    Invalid,
    KubeError,
    NotFound,
)
from cerebro.resources import DEVICE, HUB, PEER, Device, Hub, Peer, Resource
from cerebro.resources.naming import device_name
from cerebro.routeros.bootstrap import NotReadyError, script, tunnel_of

LOOK_AGAIN = 0.2
"""Seconds between two looks at the Peer that the answer waits for."""
MARGIN = 0.1
"""Seconds before the deadline at which the answer is made, so that it is out
in time.
"""
_TRIES = 3

Body = dict[str, Any]
TunnelResult = ScriptAnswer | TunnelAnswer
R = TypeVar("R", bound=Resource)


class Tunnels:
    """The tunnels of one namespace's routers, as far as HTTP makes them."""

    def __init__(
        self,
        api: KubeApi,
        store: Store,
        sessions: Sessions,
        settings: BridgeSettings,
    ) -> None:
        self._api = api
        self._store = store
        self._sessions = sessions
        self._settings = settings

    async def bootstrap(
        self, request: Bootstrap, arrived: float
    ) -> TunnelResult:
        """Return the script for a router; if the request has its key, once the
        Hub's interface has that key.

        `arrived` is monotonic: the answer comes before clients give up (A7).

        Raises ApiError.
        """
        deadline = arrived + self._settings.answer_timeout_ms / 1000 - MARGIN
        in_time = ApiError(
            503,
            "kubernetes_unavailable",
            "the API server does not answer: try again",
        )
        try:
            async with asyncio.timeout_at(deadline):
                answer, device = await self._settle(request)
                if (
                    request.public_key is not None
                    and not self._settings.dry_run
                ):
                    in_time = _peer_pending(device)
                    await self._wait_until_applied(device, request.public_key)

                return answer
        except TimeoutError:
            raise in_time from None
        except Invalid as error:
            raise invalid(
                f"the API server refuses this Device: {error}"
            ) from None
        except KubeError as error:
            raise ApiError(
                503,
                "kubernetes_unavailable",
                f"the API server did not do it: {error}",
            ) from None

    async def _settle(self, request: Bootstrap) -> tuple[TunnelResult, str]:
        """Write what the request changes; return the answer and the Device's
        name.
        """
        if not self._sessions.complete():
            raise starting()

        for _ in range(_TRIES):
            try:
                return await self._attempt(request)
            except (AlreadyExists, Conflict):
                await self._read_again(request)

        raise ApiError(
            503,
            "kubernetes_unavailable",
            "the Device keeps changing: try again",
        )

    async def _attempt(self, request: Bootstrap) -> tuple[TunnelResult, str]:
        device = self._sessions.device(request.device_id)
        if device is None:
            return await self._create(request)

        # The script for the router.
        hub_name = bootstrap.check(device, request)
        hub = await self._hub(hub_name)
        lines = self._script(hub, device, request)
        has_key = device.spec.public_key is not None
        if request.public_key is None:
            return ScriptAnswer(
                need_public_key=not has_key, instructions=lines
            ), device.name

        # The router's key, and its networks.
        changes = bootstrap.change(device, request)
        if changes and not self._settings.dry_run:
            written = await self._api.patch(
                DEVICE,
                self._sessions.namespace,
                device.name,
                {"spec": changes},
                resource_version=device.metadata.resource_version,
            )

            self._deliver(written)

        updated = has_key and bool(changes)

        return self._tunnel_answer(
            lines, created=not has_key, updated=updated
        ), device.name

    async def _create(self, request: Bootstrap) -> tuple[TunnelResult, str]:
        """Answer for a router without a Device; if the request has its key,
        create one (F9).
        """

        hub = await self._hub_of_new_devices()
        bootstrap.refuse_taken(request, hub.name, self._sessions.devices())
        manifest = bootstrap.new_device(
            self._sessions.namespace, hub.name, request
        )
        manifest["spec"] = self._settings.with_device_defaults(
            manifest["spec"]
        )

        device = Device.model_validate(manifest)
        lines = self._script(hub, device, request)
        if request.public_key is None:
            return ScriptAnswer(
                need_public_key=True, instructions=lines
            ), device.name

        if not self._settings.dry_run:
            self._deliver(
                await self._api.create(
                    DEVICE, self._sessions.namespace, manifest
                )
            )

        return self._tunnel_answer(
            lines, created=True, updated=False
        ), device.name

    def _tunnel_answer(
        self, lines: list[str], *, created: bool, updated: bool
    ) -> TunnelAnswer:
        return TunnelAnswer(
            created_peer=PeerChange(created=created, updated=updated),
            commands=lines,
            dry_run=True if self._settings.dry_run else None,
        )

    def _deliver(self, written: Body) -> None:
        """Put a Device into the watched store at once, so that the bridge
        reads its own writes.
        """
        self._store.deliver(DEVICE, "MODIFIED", written)

    async def _read_again(self, request: Bootstrap) -> None:
        """Read the Device that was in the way, so that the next attempt knows
        it.
        """

        known = self._sessions.device(request.device_id)
        name = known.name if known else device_name(request.device_id)
        body = await self._api.get(DEVICE, self._sessions.namespace, name)
        self._deliver(body)

        if self._sessions.device(request.device_id) is None:
            raise ApiError(
                409,
                "name_collision",
                f"a Device {name} exists for another router: correct its spec.routerID",
            )

    async def _wait_until_applied(self, name: str, key: str) -> None:
        """Wait, without a limit of its own, until the Hub's interface has the
        Device's key.

        Raises ApiError 502 if the Hub refuses the Peer, and KubeError.
        """
        namespace = self._sessions.namespace
        while True:
            device = _read(
                Device, await self._api.get(DEVICE, namespace, name)
            )

            peer = (
                await self._peer(device.status.peer_name)
                if device.status.peer_name
                else None
            )
            if bootstrap.judge(peer, key) == "applied":
                return

            await asyncio.sleep(LOOK_AGAIN)

    async def _peer(self, name: str) -> Peer | None:
        try:
            return _read(
                Peer, await self._api.get(PEER, self._sessions.namespace, name)
            )
        except NotFound:
            return None

    async def _hub(self, name: str) -> Hub:
        try:
            return _read(
                Hub, await self._api.get(HUB, self._sessions.namespace, name)
            )
        except NotFound:
            raise ApiError(
                503,
                "vps_config_missing",
                f"the Hub {name} does not exist: create it",
            ) from None

    async def _hub_of_new_devices(self) -> Hub:
        """Return the Hub that a setting names, else the only one (F9)."""
        if self._settings.hub:
            return await self._hub(self._settings.hub)

        hubs = [
            body
            async for body in self._api.list_objects(
                HUB, self._sessions.namespace
            )
        ]
        if len(hubs) != 1:
            reason = "there are several Hubs" if hubs else "there is no Hub"
            raise ApiError(
                400,
                "hub_required",
                f"{reason}: make one and name it in CEREBRO_HUB",
            )

        return _read(Hub, hubs[0])

    def _script(
        self, hub: Hub, device: Device, request: Bootstrap
    ) -> list[str]:
        """Return the lines for the router's terminal; the last one prints what
        to send back.
        """
        prompt = f"Send this as devicePublicKey to POST /mikrotik/bootstrap, with deviceId {request.device_id}: "

        try:
            tunnel = tunnel_of(
                hub, device, installation=self._settings.installation
            )
        except NotReadyError as error:
            if error.of_hub:
                raise ApiError(503, "vps_config_missing", str(error)) from None

            raise invalid(f"tunnelIp: {error}") from None

        return script(tunnel, (prompt, ""))


def _peer_pending(device: str) -> ApiError:
    return ApiError(
        503,
        "wg_peer_pending",
        f"the Device {device} has the key, but the hub's interface not yet; ask again: "
        "see the Device's status.peerName and that Peer's conditions",
    )


def _read(model: type[R], body: Body) -> R:
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
