"""Values about a Hub that its desired state, its pass and its status share.
Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from cerebro.domain.conditions import Obstacle
from cerebro.resources import Hub, Peer
from cerebro.wireguard.model import Endpoint


@dataclass(frozen=True, slots=True)
class PresharedKey:
    """What a Secret holds."""

    key: str | None = field(default=None, repr=False)

    trouble: Obstacle | None = None
    """Why the key cannot be had. Beside a key: the API server is away, and
    this is the last good one.
    """


@dataclass(frozen=True, slots=True)
class Frozen:
    """What Peers hold that our model cannot read (rule B9)."""

    keys: frozenset[str] = frozenset()
    """The public keys that they name."""

    everything: bool = False
    """Whether one of them names no key: then any key on the interface may be
    its own.
    """

    count: int = 0
    """How many there are."""


@dataclass(frozen=True, slots=True)
class HubDesired:
    """What is desired of a Hub's interface, and what holds for one pass."""

    hub: Hub

    peers: Collection[Peer]
    """The Hub's Peers that can be read, also those that are being deleted."""

    staying: frozenset[str] = frozenset()
    """UIDs of terminating Peers that stay until their Device is cleaned up
    (rule E6).
    """

    frozen: Frozen = Frozen()

    departed: frozenset[str] = frozenset()
    """Keys of Peers whose deletion this agent saw."""

    preshared: Mapping[str, PresharedKey] = field(default_factory=dict)
    """By the Secret's name."""

    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    """The addresses to dial, by spec.endpoint."""

    unresolved: Mapping[str, Obstacle] = field(default_factory=dict)
    """Why there is no address to dial, by spec.endpoint."""

    dialled: Mapping[str, Endpoint] = field(default_factory=dict)
    """The endpoint that was set last, by public key."""

    heard: Mapping[str, Endpoint] = field(default_factory=dict)
    """Where peers were heard from last, by public key, as this agent saw it:
    it is newer than what their statuses say.
    """

    dials_back: bool = False
    """Whether peers that were dialled where they were heard from last, and did
    not answer yet, go on being dialled (rule E16).
    """

    node: str = ""

    beside: frozenset[str] = frozenset()
    """Interfaces of other Hubs on the node."""

    node_networks: Mapping[str, str] = field(default_factory=dict)
    """Networks that the node is connected to besides, and where; the pass
    reads them.
    """

    ways: Mapping[str, str] = field(default_factory=dict)
    """Addresses that the node reaches outside of the tunnel, and what is there
    (rule E17).
    """

    complete: bool = False
    """Whether the Store is complete (rule E7): until then nothing is removed.
    """

    dry_run: bool = False

    confirmed: int = 0
    """How many peers a person lets a mass removal end (rule E13)."""

    now: float = 0.0
    """Unix seconds."""

    monotonic: float = 0.0
    """Seconds of the monotonic clock."""
