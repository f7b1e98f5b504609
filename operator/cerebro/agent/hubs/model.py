"""Values about a Hub that its desired state, its pass and its status share."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from cerebro.domain.conditions import Obstacle
from cerebro.resources import Hub, Peer
from cerebro.wireguard.model import Endpoint


@dataclass(frozen=True, slots=True)
class PresharedKey:
    """What a Secret holds; `trouble` stands beside the last good key where only the API server is away."""

    key: str | None = field(default=None, repr=False)
    trouble: Obstacle | None = None


@dataclass(frozen=True, slots=True)
class Frozen:
    """Keys of Peers that our model cannot read (rule B9). `everything`: one of them names none."""

    keys: frozenset[str] = frozenset()
    everything: bool = False
    count: int = 0


@dataclass(frozen=True, slots=True)
class HubDesired:
    """What is asked for, and what holds for this pass."""

    hub: Hub
    peers: Collection[Peer]
    staying: frozenset[str] = frozenset()
    """UIDs of terminating Peers that stay until their Device is cleaned up (rule E6)."""
    frozen: Frozen = Frozen()
    departed: frozenset[str] = frozenset()
    """Keys of Peers that we saw go."""
    preshared: Mapping[str, PresharedKey] = field(default_factory=dict)
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    unresolved: Mapping[str, Obstacle] = field(default_factory=dict)
    """Why there is no address to dial, by spec.endpoint."""
    dialled: Mapping[str, Endpoint] = field(default_factory=dict)
    node: str = ""
    beside: frozenset[str] = frozenset()
    """Interfaces of other Hubs on the node."""
    node_networks: Mapping[str, str] = field(default_factory=dict)
    """Networks that the node is connected to besides, and where; a pass reads them."""
    complete: bool = False
    """Whether the Store is (rule E7): until then nothing is removed."""
    dry_run: bool = False
    confirmed: int = 0
    now: float = 0.0
    """Unix seconds."""
