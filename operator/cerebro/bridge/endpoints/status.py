"""The endpoints for dashboards: what runs here, and how its tunnels are. They read, and change nothing."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Literal

from pydantic import Field
from starlette.requests import Request

from cerebro.bridge.answers import Answer
from cerebro.bridge.devices.wireguard import Tunnel, WireGuardView
from cerebro.bridge.endpoints.base import BridgeState, now_text
from cerebro.bridge.errors import ApiError
from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.refusals import KUBERNETES
from cerebro.bridge.http.routes import Route
from cerebro.bridge.orders.service import OrderService
from cerebro.resources import format_time

_MAX_LISTED = 1000
"""Peers that an answer lists; `peersCount` counts them all."""


class FullHealthAnswer(Answer):
    """Whether all is well, for the newest of the old dashboards."""

    ok: bool
    status: Literal["ok", "degraded"]
    redis: bool = Field(
        description="Whether the store can be used; the name is from when that was always Redis."
    )
    uptime: float = Field(description="Seconds since the start.")


class RelayStatusAnswer(Answer):
    """What runs here, and how its parts are."""

    ok: Literal[True] = True
    status: Literal["ok", "degraded"]
    uptime: float = Field(description="Seconds since the start.")
    database: Literal["ok", "failed"] = Field(
        description="Whether the store can be used."
    )
    order_check: Literal["ok", "failed", "off"] = Field(
        description="Whether the database can be asked about orders; `off` without CEREBRO_ORDER_QUERY."
    )
    wireguard: Literal["up", "down", "unknown"] = Field(
        description="`up` if each Hub is ready; `unknown` if the API server does not say."
    )
    wireguard_peer: None = Field(
        default=None,
        description="Always null: see `/relay/wireguard/status` for the peers.",
    )
    hmac: Literal["ok", "off"] = Field(
        description="Whether requests are signed."
    )
    env: Literal["ok"] = Field(
        default="ok",
        description="A bridge whose settings cannot be used does not start.",
    )
    timestamp: str = Field(description="The time here, in UTC.")


class PeerAnswer(Answer):
    """A WireGuard peer."""

    name: str = Field(description="The Peer object.")
    device: str | None = Field(description="The Device it belongs to.")
    public_key: str
    status: Literal["ONLINE", "OFFLINE", "NEVER_CONNECTED"]
    allowed_ips: list[str]
    last_handshake: str | None = Field(
        description="The newest handshake, in UTC: by the agent's metrics, else when `status` changed last."
    )


class WireGuardAnswer(Answer):
    """The tunnels of this installation."""

    ok: bool = Field(description="Whether each Hub is ready.")
    interface: str | None = Field(
        description="The Hubs' interfaces, separated by commas."
    )
    status: Literal["up", "down"]
    peers: list[PeerAnswer] = Field(
        description=f"At most {_MAX_LISTED} of them, by name."
    )
    peers_count: int
    timestamp: str = Field(description="The time here, in UTC.")
    error: str | None = Field(description="Why `ok` is false.")


class IdentityAnswer(Answer):
    """Which service this is."""

    ok: Literal[True] = True
    service: Literal["relay"] = "relay"
    version: str
    node: str = Field(description="The pod or host that answers.")
    uptime: float = Field(description="Seconds since the start.")


class StatusEndpoints:
    """Status of the bridge and of the tunnels."""

    def __init__(
        self,
        service: OrderService,
        wireguard: WireGuardView,
        state: Callable[[], BridgeState],
    ) -> None:
        self._service = service
        self._wireguard = wireguard
        self._state = state
        self._started = time.monotonic()

    def routes(self) -> list[Route]:
        """Return the endpoints."""
        return [
            Route(
                method="GET",
                path="/health/full",
                access=Access.OPEN,
                handler=self.full_health,
                summary="Whether all is well, and the store can be used",
                answer=FullHealthAnswer,
                refusals={},
            ),
            Route(
                method="GET",
                path="/relay/status",
                access=Access.TOKEN,
                handler=self.status,
                summary="How the parts of the relay are",
                answer=RelayStatusAnswer,
                refusals={},
            ),
            Route(
                method="GET",
                path="/relay/wireguard/status",
                access=Access.SIGNED,
                handler=self.wireguard_status,
                summary="The tunnels: Hubs and their peers",
                answer=WireGuardAnswer,
                refusals=KUBERNETES,
            ),
            Route(
                method="GET",
                path="/relay/identity",
                access=Access.SIGNED,
                handler=self.identity,
                summary="Which service this is",
                answer=IdentityAnswer,
                refusals={},
            ),
        ]

    async def full_health(self, _: Request) -> Answer:
        """Answer whether all is well; always with 200."""
        state = self._state()
        return FullHealthAnswer(
            ok=state.healthy,
            status="ok" if state.healthy else "degraded",
            redis=state.store_failure is None,
            uptime=self._uptime(),
        )

    async def status(self, _: Request) -> Answer:
        """Answer how the bridge, its store and the Hubs are; always with 200."""
        state = self._state()
        wireguard: Literal["up", "down", "unknown"]
        try:
            tunnels = await self._wireguard.state()
            wireguard = "up" if tunnels.up else "down"
        except ApiError:
            wireguard = "unknown"

        return RelayStatusAnswer(
            status="ok" if state.healthy else "degraded",
            uptime=self._uptime(),
            database="ok" if state.store_failure is None else "failed",
            order_check=state.order_check,
            wireguard=wireguard,
            hmac="ok" if self._service.settings.secret else "off",
            timestamp=now_text(),
        )

    async def wireguard_status(self, _: Request) -> Answer:
        """Answer with the Hubs' peers, as their agents reported them 10 s ago at most."""
        state = await self._wireguard.state()
        return WireGuardAnswer(
            ok=state.up,
            interface=", ".join(dict.fromkeys(state.interfaces)) or None,
            status="up" if state.up else "down",
            peers=[_peer(tunnel) for tunnel in state.tunnels[:_MAX_LISTED]],
            peers_count=len(state.tunnels),
            timestamp=now_text(),
            error=None if state.up else "a Hub is not ready, or there is none",
        )

    async def identity(self, _: Request) -> Answer:
        """Answer which service and version this is."""
        settings = self._service.settings
        return IdentityAnswer(
            version=settings.service_version or settings.version or "unknown",
            node=socket.gethostname(),
            uptime=self._uptime(),
        )

    def _uptime(self) -> float:
        return round(time.monotonic() - self._started, 3)


def _peer(tunnel: Tunnel) -> PeerAnswer:
    handshake = tunnel.last_handshake
    return PeerAnswer(
        name=tunnel.name,
        device=tunnel.device,
        public_key=tunnel.public_key,
        status=tunnel.state,
        allowed_ips=list(tunnel.allowed_ips),
        last_handshake=format_time(handshake) if handshake else None,
    )
