"""The endpoints about routers: registered, deleted, brought up to date, asked
about; and their scripts.
"""

from __future__ import annotations

import uuid

from starlette.requests import Request

from cerebro.bridge.answers import Answer
from cerebro.bridge.devices.answers import (
    DeviceAnswer,
    DeviceStatusAnswer,
    DoneAnswer,
    ManagerAnswer,
    RouterAnswer,
    ScriptAnswer,
    TunnelAnswer,
)
from cerebro.bridge.devices.routers import Routers
from cerebro.bridge.devices.tunnels import Tunnels
from cerebro.bridge.endpoints.base import read_call
from cerebro.bridge.http.answers import Call
from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.rate_limit import Limiter
from cerebro.bridge.http.refusals import (
    ALL_KNOWN,
    KUBERNETES,
    codes,
    merge,
)
from cerebro.bridge.http.routes import Route
from cerebro.bridge.requests import routers as requests
from cerebro.bridge.settings import BridgeSettings

_KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
_ROUTER = {
    "deviceId": "R1",
    "tunnelIp": "10.8.0.7",
    "allowedIps": ["192.168.88.0/24"],
}
_LOGIN = {
    "publicIp": "203.0.113.7",
    "apiUser": "relay",
    "apiPassword": "secret",
    "apiPort": 8728,
}
_DEVICE = {
    "deviceId": "R1",
    "publicKey": _KEY,
    "allowedIps": ["10.8.0.7/32", "192.168.88.0/24"],
    "tunnelIp": "10.8.0.7",
    "endpoint": "203.0.113.7:13231",
    "keepalive": 25,
    "presharedKey": _KEY,
}
_REGISTER_PATHS = (
    "/relay/routers/routers/register",
    "/relay/routers/register",
)
_ROUTER_PATHS = (
    "/relay/routers/routers/{deviceId}",
    "/relay/routers/{deviceId}",
)
_READING = merge(ALL_KNOWN, KUBERNETES, codes(s503="invalid_object"))
_OF_DEVICE = merge(_READING, codes(s404="device_not_found"))
_NOT_YET = codes(
    s502="wg_peer_failed",
    s503="wg_peer_pending router_timeout MIKROTIK_UNREACHABLE "
    "MIKROTIK_AUTH_FAILED paused wrong_router clock_skew removal_pending",
)
_REGISTRATION = merge(
    _READING,
    codes(
        s400="hub_required",
        s409="tunnel_ip_taken key_taken tunnel_ip_mismatch "
        "device_without_hub device_not_ours peer_not_ours name_collision",
        s502="wg_peer_failed",
        s503="wg_peer_pending tunnel_address_pending vps_config_missing "
        "removal_pending",
    ),
)
_REMOVAL = merge(
    _OF_DEVICE,
    codes(s409="device_not_ours peer_not_ours", s503="removal_pending"),
)


class RouterEndpoints:
    """The registration of routers, and what is done with them."""

    def __init__(
        self, settings: BridgeSettings, tunnels: Tunnels, routers: Routers
    ) -> None:
        self._tunnels = tunnels
        self._routers = routers
        self._limiter = Limiter(
            settings.calls_per_router, settings.rate_window_ms / 1000
        )

    def routes(self) -> list[Route]:
        """Return the endpoints."""
        return [
            *self._register_routes(),
            *self._device_routes(),
            Route(
                method="POST",
                path="/mikrotik/bootstrap",
                access=Access.SIGNED,
                handler=self.bootstrap,
                summary="The script for a router's tunnel; with its key, the tunnel",
                answer=ScriptAnswer | TunnelAnswer,
                example=_ROUTER,
                fields=("devicePublicKey",),
                required=("deviceId", "tunnelIp"),
                refusals=_REGISTRATION,
            ),
        ]

    def _register_routes(self) -> list[Route]:
        router = {
            **_ROUTER,
            "mikrotikPublicKey": _KEY,
            "mikrotik": _LOGIN,
        }

        return [
            Route(
                method="POST",
                path="/relay/manager/register",
                access=Access.SIGNED,
                handler=self.register_manager,
                summary="Register a router, and return its script",
                answer=ManagerAnswer,
                example={
                    "deviceId": "R1",
                    "mikrotik": _LOGIN,
                    "wireguard": {"peerPublicKey": _KEY},
                },
                required=("deviceId", "mikrotik", "wireguard"),
                refusals=_REGISTRATION,
            ),
            *(
                Route(
                    method="POST",
                    path=path,
                    access=Access.SIGNED,
                    handler=self.register_router,
                    summary="Register a router at its address in the tunnel",
                    answer=RouterAnswer,
                    example=router,
                    fields=("endpoint", "keepalive", "presharedKey"),
                    required=(
                        "deviceId",
                        "tunnelIp",
                        "mikrotikPublicKey",
                        "mikrotik",
                    ),
                    refusals=_REGISTRATION,
                )
                for path in _REGISTER_PATHS
            ),
            Route(
                method="POST",
                path="/devices",
                access=Access.SIGNED,
                handler=self.register_device,
                summary="Register a router by its key",
                answer=DeviceAnswer,
                example=_DEVICE,
                fields=("meta",),
                required=("publicKey", "allowedIps"),
                refusals=_REGISTRATION,
            ),
        ]

    def _device_routes(self) -> list[Route]:
        return [
            *(
                Route(
                    method="DELETE",
                    path=path,
                    access=Access.SIGNED,
                    handler=self.remove,
                    summary="Delete a router, its peer and its credentials",
                    answer=DoneAnswer,
                    refusals=_REMOVAL,
                )
                for path in ("/devices/{deviceId}", *_ROUTER_PATHS)
            ),
            Route(
                method="POST",
                path="/devices/{deviceId}/sync",
                access=Access.SIGNED,
                handler=self.sync,
                summary="Compare a router with what it is to be",
                answer=DoneAnswer,
                refusals=merge(_OF_DEVICE, _NOT_YET),
            ),
            Route(
                method="GET",
                path="/devices/{deviceId}/status",
                access=Access.SIGNED,
                handler=self.status,
                summary="How a router is",
                answer=DeviceStatusAnswer,
                refusals=_OF_DEVICE,
            ),
        ]

    async def bootstrap(self, request: Request) -> Answer:
        """Answer with a router's script, and take its key."""
        call, fields = read_call(request)
        registration = requests.bootstrap(fields)
        self._check(registration.device_id, call)

        return await self._tunnels.bootstrap(registration, call.arrived)

    async def register_manager(self, request: Request) -> Answer:
        """Take a router's key and credentials; answer with its script."""
        call, fields = read_call(request)
        registration = requests.manager_registration(fields)
        self._check(registration.device_id, call)

        return await self._tunnels.register_manager(registration, call.arrived)

    async def register_router(self, request: Request) -> Answer:
        """Take a router's key, credentials and address in the tunnel."""
        call, fields = read_call(request)
        registration = requests.router_registration(fields)
        self._check(registration.device_id, call)

        return await self._tunnels.register_router(
            registration,
            call.arrived,
            as_list=isinstance(fields.get("allowedIps"), list),
        )

    async def register_device(self, request: Request) -> Answer:
        """Take a router's key and networks."""
        call, fields = read_call(request)
        registration = requests.new_device(fields, str(uuid.uuid4()))
        self._check(registration.device_id, call)

        return await self._tunnels.register_device(registration, call.arrived)

    async def remove(self, request: Request) -> Answer:
        """Delete a router's Device, and wait until its Peer and Secrets are gone."""
        device_id, deadline = self._read_path(request)

        return await self._routers.remove(device_id, deadline)

    async def sync(self, request: Request) -> Answer:
        """Have a router compared, and wait until nothing is left to do."""
        device_id, deadline = self._read_path(request)

        return await self._routers.sync(device_id, deadline)

    async def status(self, request: Request) -> Answer:
        """Answer with what is known of a router; it is not asked now."""
        device_id, deadline = self._read_path(request)

        return await self._routers.status(device_id, deadline)

    def _read_path(self, request: Request) -> tuple[str, float]:
        """Return the router that a path names, and when the answer is made."""
        call: Call = request.state.call
        device_id = requests.device_id(request.path_params)
        self._check(device_id, call)

        return device_id, self._tunnels.deadline(call.arrived)

    def _check(self, device_id: str, call: Call) -> None:
        """Raise ApiError 429 for too many calls of a router."""
        self._limiter.check(device_id.casefold(), call.arrived)
