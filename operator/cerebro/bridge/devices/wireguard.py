"""What the Hubs and Peers say of the tunnels, for people and dashboards.

The bridge watches neither, so it reads them when somebody asks, and remembers
the answer for a moment: however many ask, the API server is asked once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeVar

import structlog
from pydantic import ValidationError

from cerebro.bridge.devices.figures import AgentFigures, Figures, PeerName
from cerebro.bridge.errors import ApiError
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import KubeError
from cerebro.resources import HUB, PEER, Hub, Kind, Peer, Resource

R = TypeVar("R", bound=Resource)

REMEMBERED_FOR = 10.0
"""Seconds for which a reading is remembered."""
READ_WITHIN = 3.5
"""Seconds that a reading may take: clients give up after 5 s (A7)."""

PeerState = Literal["ONLINE", "OFFLINE", "NEVER_CONNECTED"]
_STATES: dict[str | None, PeerState] = {
    "Online": "ONLINE",
    "Offline": "OFFLINE",
}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A Peer as the agent last reported it."""

    name: str
    device: str | None
    public_key: str
    state: PeerState
    allowed_ips: tuple[str, ...]
    last_handshake: datetime | None
    """The newest handshake when its agent was asked, else when the state
    changed last.
    """
    endpoint: str | None
    """Where its last valid handshake came from, else where it is dialled."""
    figures: Figures
    """What its agent's metrics show."""


@dataclass(frozen=True, slots=True)
class WireGuardState:
    """All Hubs and Peers at one moment."""

    interfaces: tuple[str, ...]
    up: bool
    """Whether there is a Hub, and an agent carries each of them."""
    tunnels: tuple[Tunnel, ...]


class WireGuardView:
    """Reads Hubs and Peers of one namespace."""

    def __init__(
        self, api: KubeApi, namespace: str, figures: AgentFigures
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._figures = figures
        self._lock = asyncio.Lock()
        self._state: WireGuardState | None = None
        self._read_at = 0.0

    async def state(self) -> WireGuardState:
        """Return how the tunnels are, as of REMEMBERED_FOR ago at most.

        Raises ApiError 503 `kubernetes_unavailable`.
        """
        try:
            async with asyncio.timeout(READ_WITHIN), self._lock:
                age = time.monotonic() - self._read_at
                if self._state is None or age > REMEMBERED_FOR:
                    self._state = await self._read()
                    self._read_at = time.monotonic()

                return self._state
        except (TimeoutError, KubeError) as error:
            log.warning("Hubs and Peers could not be read", error=str(error))
            raise ApiError(
                503,
                "kubernetes_unavailable",
                "the API server does not say which tunnels there are: try again",
            ) from None

    async def state_now(self) -> WireGuardState:
        """Return how the tunnels are at this moment. Raises KubeError."""
        return await self._read()

    async def _read(self) -> WireGuardState:
        reading = asyncio.create_task(self._figures.read())
        try:
            hubs = await self._list(HUB, Hub)
            peers = await self._list(PEER, Peer)
            figures = await reading
        finally:
            reading.cancel()

        return wireguard_state(hubs, peers, figures)

    async def _list(self, kind: Kind, model: type[R]) -> list[R]:
        """Return the objects that our models can read (B9)."""
        objects: list[R] = []
        async for body in self._api.list_objects(kind, self._namespace):
            try:
                objects.append(model.model_validate(body))
            except ValidationError:
                continue

        return objects


def wireguard_state(
    hubs: Iterable[Hub],
    peers: Iterable[Peer],
    figures: Mapping[PeerName, Figures],
) -> WireGuardState:
    """Return what Hubs and Peers say, and the agents' figures. Pure."""
    known_hubs = list(hubs)
    unknown = Figures()
    tunnels = [
        _tunnel(
            peer, figures.get((peer.spec.hub_ref.name, peer.name), unknown)
        )
        for peer in peers
    ]

    return WireGuardState(
        interfaces=tuple(hub.spec.interface for hub in known_hubs),
        up=bool(known_hubs) and all(_is_up(hub) for hub in known_hubs),
        tunnels=tuple(sorted(tunnels, key=lambda tunnel: tunnel.name)),
    )


def _is_up(hub: Hub) -> bool:
    ready = hub.status.condition("Ready")
    return ready is not None and ready.status == "True"


def _tunnel(peer: Peer, figures: Figures) -> Tunnel:
    device = peer.spec.device_ref
    seen = figures.last_handshake

    return Tunnel(
        name=peer.name,
        device=device.name if device else None,
        public_key=peer.spec.public_key,
        state=_STATES.get(peer.status.state, "NEVER_CONNECTED"),
        allowed_ips=tuple(peer.spec.allowed_ips),
        last_handshake=datetime.fromtimestamp(int(seen), UTC)
        if seen
        else peer.status.last_handshake_time,
        endpoint=peer.status.endpoint or peer.spec.endpoint,
        figures=figures,
    )
