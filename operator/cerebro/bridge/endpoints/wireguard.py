"""The internal endpoints about WireGuard: peers, and the routers that have
their keys.
"""

from __future__ import annotations

from starlette.requests import Request

from cerebro.bridge.answers import Answer
from cerebro.bridge.devices.answers import (
    BindAnswer,
    BindingsAnswer,
    PeersAnswer,
    UnbindAnswer,
)
from cerebro.bridge.devices.bindings import Bindings
from cerebro.bridge.endpoints.base import read_call
from cerebro.bridge.http.answers import Call
from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.refusals import (
    ALL_KNOWN,
    KUBERNETES,
    codes,
    merge,
)
from cerebro.bridge.http.routes import Route
from cerebro.bridge.requests import routers as requests

_PEERS = "/internal/wireguard/peers"
_BINDING = {
    "publicKey": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "deviceId": "R1",
    "mikrotikIp": "203.0.113.7",
}
_READING = merge(ALL_KNOWN, KUBERNETES)
_CHANGING = merge(
    _READING,
    codes(
        s400="hub_required",
        s404="device_not_found",
        s409="key_taken device_not_ours peer_not_ours device_without_hub "
        "name_collision tunnel_ip_taken tunnel_ip_mismatch",
        s502="wg_peer_failed",
        s503="invalid_object wg_peer_pending tunnel_address_pending "
        "vps_config_missing removal_pending",
    ),
)


class WireGuardEndpoints:
    """Peers and bindings."""

    def __init__(self, bindings: Bindings) -> None:
        self._bindings = bindings

    def routes(self) -> list[Route]:
        """Return the endpoints."""
        return [
            Route(
                method="GET",
                path=f"{_PEERS}/status",
                access=Access.INTERNAL,
                handler=self.peers,
                summary="The peers of all hubs",
                answer=PeersAnswer,
                refusals=_READING,
            ),
            Route(
                method="GET",
                path=f"{_PEERS}/bindings",
                access=Access.INTERNAL,
                handler=self.bindings,
                summary="The routers that have keys",
                answer=BindingsAnswer,
                refusals=_READING,
            ),
            Route(
                method="POST",
                path=f"{_PEERS}/bind",
                access=Access.INTERNAL,
                handler=self.bind,
                summary="Give a router its key",
                answer=BindAnswer,
                example=_BINDING,
                required=("publicKey", "deviceId", "mikrotikIp"),
                refusals=_CHANGING,
            ),
            Route(
                method="DELETE",
                path=f"{_PEERS}/{{publicKey:path}}",
                access=Access.INTERNAL,
                handler=self.unbind,
                summary="Take a key from its router",
                answer=UnbindAnswer,
                refusals=_CHANGING,
            ),
        ]

    async def peers(self, _: Request) -> Answer:
        """Answer with the peers, as their agents reported them 10 s ago at most."""
        return await self._bindings.peers()

    async def bindings(self, _: Request) -> Answer:
        """Answer with the routers that have a key, whoever gave it."""
        return self._bindings.bindings()

    async def bind(self, request: Request) -> Answer:
        """Give a router its key, and wait until the hub's interface has it."""
        call, fields = read_call(request)
        binding = requests.binding(fields)

        return await self._bindings.bind(binding, call.arrived)

    async def unbind(self, request: Request) -> Answer:
        """Take a key from its router, and wait until its Peer is gone."""
        call: Call = request.state.call
        key = requests.public_key(request.path_params)

        return await self._bindings.unbind(key, call.arrived)
