"""The endpoints about routers and phones: a phone was seen, a router wants its tunnel."""

from __future__ import annotations

import uuid

from starlette.requests import Request

from cerebro.bridge.answers import Answer
from cerebro.bridge.devices.answers import ScriptAnswer, TunnelAnswer
from cerebro.bridge.devices.tunnels import Tunnels
from cerebro.bridge.endpoints.base import read_call
from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.rate_limit import Limiter
from cerebro.bridge.http.refusals import (
    ALL_KNOWN,
    HELLO_REFUSALS,
    KUBERNETES,
    codes,
    merge,
)
from cerebro.bridge.http.routes import Route
from cerebro.bridge.orders.answers import HelloAnswer
from cerebro.bridge.orders.service import OrderService
from cerebro.bridge.requests import devices as requests

_HELLO = {
    "deviceToken": "t-1",
    "mikId": "R1",
    "ip": "10.5.50.10",
    "mac": "AA:BB:CC:DD:EE:FF",
}
_ROUTER = {
    "deviceId": "R1",
    "tunnelIp": "10.8.0.7",
    "allowedIps": ["192.168.88.0/24"],
}
_BOOTSTRAP = merge(
    KUBERNETES,
    ALL_KNOWN,
    codes(
        s400="hub_required",
        s409="tunnel_ip_taken tunnel_ip_mismatch device_without_hub "
        "device_not_ours name_collision",
        s502="wg_peer_failed",
        s503="wg_peer_pending tunnel_address_pending vps_config_missing "
        "invalid_object",
    ),
)


class DeviceEndpoints:
    """Hello and bootstrap."""

    def __init__(self, service: OrderService, tunnels: Tunnels) -> None:
        self._service = service
        self._tunnels = tunnels
        settings = service.settings
        self._limiter = Limiter(
            settings.calls_per_router, settings.rate_window_ms / 1000
        )

    def routes(self) -> list[Route]:
        """Return the endpoints."""
        return [
            Route(
                method="POST",
                path="/relay/device/hello",
                access=Access.SIGNED,
                handler=self.hello,
                summary="A portal saw this phone",
                answer=HelloAnswer,
                example=_HELLO,
                required=("mikId", "ip", "mac"),
                refusals=HELLO_REFUSALS,
            ),
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
                refusals=_BOOTSTRAP,
            ),
        ]

    async def hello(self, request: Request) -> Answer:
        """Note where a phone is; 200 says that it is stored. A phone without
        a `deviceToken` gets a new one.

        An order for that token that waited for its phone is granted now.
        """
        call, fields = read_call(request)
        hello = requests.hello(
            fields, call.requested_at, call.trace_id, str(uuid.uuid4())
        )

        self._limiter.check((hello.mik_id or "").casefold(), call.arrived)

        return await self._service.hello(hello)

    async def bootstrap(self, request: Request) -> Answer:
        """Answer with the lines that a person pastes into a router's terminal;
        with the key that these print, make the router's tunnel.

        With `devicePublicKey` 200 says that the Hub's interface has the key.
        The router makes its key pair itself: a private key is never sent.
        """
        call, fields = read_call(request)
        bootstrap = requests.bootstrap(fields)
        self._limiter.check(bootstrap.device_id.casefold(), call.arrived)

        return await self._tunnels.bootstrap(bootstrap, call.arrived)
